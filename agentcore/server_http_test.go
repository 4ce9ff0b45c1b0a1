package agentcore_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/eventstream"

	"crypto/sha256"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
)

const sessionHeader = "X-Amzn-Code-Interpreter-Session-Id"

// raw is a server in open mode with a way to talk to it in raw HTTP.
type raw struct {
	*httptest.Server
	t *testing.T
}

func newRaw(t *testing.T, cfg agentcore.ServerConfig) *raw {
	t.Helper()
	if cfg.JavaScript == nil {
		cfg.JavaScript = []string{javaScriptWorker(t)}
	}
	return &raw{interpreterServer(t, cfg), t}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) field(name string) string {
	var m map[string]any
	if json.Unmarshal(a.body, &m) != nil || m[name] == nil {
		return ""
	}
	return fmt.Sprint(m[name])
}

func (r *raw) request(method, path, body string, change ...func(*http.Request)) *answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL+"/code-interpreters/aws.codeinterpreter.v1/"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	return r.send(req)
}

func (r *raw) send(req *http.Request) *answer {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return &answer{resp.StatusCode, resp.Header, data}
}

func (r *raw) session() string {
	r.t.Helper()
	a := r.request("PUT", "sessions/start", "{}")
	if a.status != 200 {
		r.t.Fatalf("start: %d %s", a.status, a.body)
	}
	return a.field("sessionId")
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// code is the body of a call that runs Python.
func code(source string) string {
	b, err := json.Marshal(map[string]any{"name": "executeCode", "arguments": map[string]any{"code": source}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (r *raw) run(session, source string) *answer {
	r.t.Helper()
	return r.request("POST", "tools/invoke", code(source), with(sessionHeader, session))
}

// frames decodes an event stream with the decoder of the SDK.
func frames(t *testing.T, body []byte) []eventstream.Message {
	t.Helper()
	var all []eventstream.Message
	in := bytes.NewReader(body)
	for d := eventstream.NewDecoder(); in.Len() > 0; {
		m, err := d.Decode(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Clone())
	}
	return all
}

// Cases 3, 4, 7, 10, 15, 22 to 24, 48 and 52.
func TestRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{})
	id := r.session()
	invoke := func(body string) *answer {
		return r.request("POST", "tools/invoke", body, with(sessionHeader, id))
	}
	start := func(body string) *answer { return r.request("PUT", "sessions/start", body) }
	list := func(body string) *answer { return r.request("POST", "sessions/list", body) }
	for name, test := range map[string]struct {
		a              *answer
		status         int
		reason, inBody string
	}{
		"timeout 0":           {start(`{"sessionTimeoutSeconds": 0}`), 400, "FieldValidationFailed", `"name":"sessionTimeoutSeconds"`},
		"timeout -1":          {start(`{"sessionTimeoutSeconds": -1}`), 400, "FieldValidationFailed", `"name":"sessionTimeoutSeconds"`},
		"timeout 28801":       {start(`{"sessionTimeoutSeconds": 28801}`), 400, "FieldValidationFailed", `"name":"sessionTimeoutSeconds"`},
		"timeout x":           {start(`{"sessionTimeoutSeconds": "x"}`), 400, "FieldValidationFailed", `"name":"sessionTimeoutSeconds"`},
		"timeout 1.5":         {start(`{"sessionTimeoutSeconds": 1.5}`), 400, "FieldValidationFailed", `"name":"sessionTimeoutSeconds"`},
		"no name":             {start(`{"name": ""}`), 400, "FieldValidationFailed", `"name":"name"`},
		"a short token":       {start(`{"clientToken": "short"}`), 400, "FieldValidationFailed", `"name":"clientToken"`},
		"certificates":        {start(`{"certificates": [{}]}`), 400, "FieldValidationFailed", `certificates`},
		"no JSON":             {start(`{"name"`), 400, "CannotParse", "JSON"},
		"two values":          {start(`{} {}`), 400, "CannotParse", "JSON"},
		"an array":            {start(`[]`), 400, "FieldValidationFailed", ""},
		"not UTF-8":           {start("{\"name\": \"\xff\"}"), 400, "CannotParse", "JSON"},
		"a name twice":        {start(`{"name": "a", "name": "b"}`), 400, "CannotParse", "JSON"},
		"page 0":              {list(`{"maxResults": 0}`), 400, "FieldValidationFailed", "maxResults"},
		"session without id":  {r.request("GET", "sessions/get", ""), 400, "FieldValidationFailed", "sessionId"},
		"no session header":   {r.request("POST", "tools/invoke", code("1")), 400, "FieldValidationFailed", "sessionId"},
		"no body":             {invoke(""), 400, "FieldValidationFailed", `"name":"name"`},
		"arguments a string":  {invoke(`{"name": "executeCode", "arguments": "x"}`), 400, "FieldValidationFailed", "arguments"},
		"bad base64":          {invoke(`{"name": "writeFiles", "arguments": {"content": [{"path": "a", "blob": "!!"}]}}`), 400, "FieldValidationFailed", "blob"},
		"base64 without end":  {invoke(`{"name": "writeFiles", "arguments": {"content": [{"path": "a", "blob": "YQ"}]}}`), 400, "FieldValidationFailed", "blob"},
		"a file without path": {invoke(`{"name": "writeFiles", "arguments": {"content": [{"text": "x"}]}}`), 400, "FieldValidationFailed", "path"},
		"a file and a folder": {invoke(`{"name": "writeFiles", "arguments": {"content": [{"path": "a", "text": ""}, {"path": "a/b", "text": ""}]}}`), 400, "FieldValidationFailed", "path"},
		"wrong method":        {r.request("GET", "sessions/start", ""), 405, "CannotParse", "PUT"},
		"wrong operation":     {r.request("POST", "sessions/fly", "{}"), 404, "", "sessions/fly"},
		"an encoded slash":    {r.request("PUT", "sessions%2Fstart", "{}"), 404, "", ""},
	} {
		want := "ValidationException"
		if test.status == 404 {
			want = "ResourceNotFoundException"
		}
		a := test.a
		if a.status != test.status || a.header.Get("X-Amzn-Errortype") != want || a.header.Get("Content-Type") != "application/json" ||
			a.header.Get("X-Amzn-Requestid") == "" || a.field("message") == "" || a.field("reason") != test.reason || !strings.Contains(string(a.body), test.inBody) {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	if a := start(""); a.status != 200 { // nothing is required
		t.Errorf("an empty body: %d %s", a.status, a.body)
	}
	if a := start(`{"clientToken": null, "name": null, "later": {"x": 1}}`); a.status != 200 {
		t.Errorf("null and unknown members: %d %s", a.status, a.body)
	}
	if a := list(`{"status": "TERMINATED"}`); a.status != 200 || !strings.Contains(string(a.body), `"items":[]`) {
		t.Errorf("an empty list: %s", a.body)
	}
}

// Case 16, and sessions of others.
func TestQuotas(t *testing.T) {
	t.Parallel()
	keys := []agentcore.Key{{ID: "ALICE", Secret: "a"}, {ID: "BOB", Secret: "b"}, {ID: "CAROL", Secret: "c"}}
	server := newTestServer(t, agentcore.ServerConfig{Keys: keys, MaxSessions: 3, MaxSessionsPerCaller: 2})
	as := map[string]*dialogue{}
	for _, k := range keys {
		as[k.ID] = &dialogue{t, newGoClient(t, clientConfig{Endpoint: server.URL, Key: k.ID, Secret: k.Secret}), server, false}
	}
	alice, bob, carol := as["ALICE"], as["BOB"], as["CAROL"]
	first := alice.session()
	alice.session()
	alice.fails("StartCodeInterpreterSession", in{}, 402, "ServiceQuotaExceededException")
	bobs := bob.session()
	carol.fails("StartCodeInterpreterSession", in{}, 402, "ServiceQuotaExceededException")
	for _, op := range []string{"GetCodeInterpreterSession", "StopCodeInterpreterSession"} {
		bob.fails(op, in{"sessionId": first}, 404, "ResourceNotFoundException")
	}
	bob.fails("InvokeCodeInterpreter", in{"sessionId": first, "name": "executeCode", "arguments": in{"code": "1"}}, 404, "ResourceNotFoundException")
	if items := bob.ok("ListCodeInterpreterSessions", in{})["items"].([]any); len(items) != 1 || items[0].(map[string]any)["sessionId"] != bobs {
		t.Errorf("Bob sees %v", items)
	}
	alice.stop(first)
	carol.session() // there is room again
	if n := server.sessions(); n != 3 {
		t.Errorf("%d sessions are counted", n)
	}
}

// halting opens sessions, but for one that waits until its caller leaves.
type halting struct {
	python.Interpreter
	next   atomic.Bool
	halted chan struct{}
}

func (h *halting) Open(ctx context.Context, o python.Options) (python.Session, error) {
	if h.next.CompareAndSwap(true, false) {
		close(h.halted)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Interpreter.Open(ctx, o)
}

// A client whose start is cut off comes again with its token, perhaps before
// the server has noticed.
func TestStartIsTakenOver(t *testing.T) {
	t.Parallel()
	h := &halting{Interpreter: withPrograms(t), halted: make(chan struct{})}
	s, err := agentcore.NewServer(agentcore.ServerConfig{Interpreter: h})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &raw{serveTest(t, s), t}
	h.next.Store(true)
	ctx, leave := context.WithCancel(t.Context())
	path := r.URL + "/code-interpreters/aws.codeinterpreter.v1/sessions/start"
	body := `{"clientToken": "` + strings.Repeat("t", 40) + `"}`
	first, err := http.NewRequestWithContext(ctx, http.MethodPut, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if resp, err := http.DefaultClient.Do(first); err == nil {
			resp.Body.Close()
		}
	}()
	<-h.halted
	again := make(chan *answer)
	go func() { again <- r.request("PUT", "sessions/start", body) }()
	time.Sleep(50 * time.Millisecond) // it should wait by then; if not, it finds nothing to wait for
	leave()
	<-left
	if a := <-again; a.status != 200 || a.field("sessionId") == "" || s.Open() != 1 {
		t.Errorf("%d %s, %d sessions", a.status, a.body, s.Open())
	}
}

// Who announces much and sends nothing does not keep others from moving data
// for ever.
func TestBodiesHaveToCome(t *testing.T) {
	for size, want := range map[int64]time.Duration{-1: 30 * time.Second, 0: 30 * time.Second, 100 << 20: 130 * time.Second} {
		if got := agentcore.BodyTime(size); got != want {
			t.Errorf("%d bytes: %v, want %v", size, got, want)
		}
	}
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{})
	deadlines := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	req := httptest.NewRequest("PUT", "/code-interpreters/aws.codeinterpreter.v1/sessions/list", strings.NewReader("{}"))
	req.Method, req.Host = "POST", "localhost"
	r.Config.Handler.ServeHTTP(deadlines, req)
	if deadlines.Code != 200 || len(deadlines.set) != 2 || deadlines.set[0].IsZero() || !deadlines.set[1].IsZero() {
		t.Errorf("%d %s, deadlines %v", deadlines.Code, deadlines.Body, deadlines.set)
	}
}

// A body that does not come to its end, or does not come to one, is an error,
// and the room that it was given is given back.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	r := newRaw(t, agentcore.ServerConfig{MaxBody: most, MaxTransfer: 2 * most}) // one request fills it
	for name, rest := range map[string]string{
		"cut off":          fmt.Sprintf("Content-Length: %d\r\n\r\n{", most),
		"chunks, cut off":  "Transfer-Encoding: chunked\r\n\r\n100\r\n{",
		"chunks, too many": "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("100\r\n"+strings.Repeat(" ", 256)+"\r\n", most>>8+1) + "0\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /code-interpreters/aws.codeinterpreter.v1/sessions/list HTTP/1.1\r\nHost: localhost\r\n"+rest); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if resp.StatusCode != 400 || resp.Header.Get("X-Amzn-Errortype") != "ValidationException" {
			t.Errorf("%s: %s", name, resp.Status)
		}
		if a := r.request("POST", "sessions/list", strings.Repeat(" ", most-2)+"{}"); a.status != 200 {
			t.Errorf("after a body %s: %d %s", name, a.status, a.body)
		}
	}
}

// deadlined notes the deadlines of reading.
type deadlined struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlined) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// A machine without memory refuses sessions instead of falling.
func TestMemoryIsKeptFree(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{MinMemory: 1 << 60})
	if a := r.request("PUT", "sessions/start", "{}"); a.status != 429 || a.header.Get("X-Amzn-Errortype") != "ThrottlingException" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Case 54: what the SDKs sign is right (TestConformance), and nothing else is.
func TestSignatures(t *testing.T) {
	t.Parallel()
	server := newTestServer(t, agentcore.ServerConfig{})
	r := &raw{server.Server, t}
	const body = `{"maxResults":5}`
	sign := func(service, secret string, at time.Time, change ...func(*http.Request)) *answer {
		t.Helper()
		req, err := http.NewRequest("POST", server.URL+"/code-interpreters/arn%3Aaws%3Ax%2Faws.codeinterpreter.v1/sessions/list?b=2&a=1%2F", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Custom", "  two   words ")
		sum := sha256.Sum256([]byte(body))
		err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: server.key.ID, SecretAccessKey: secret}, req, hex.EncodeToString(sum[:]), service, "eu-central-1", at)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range change {
			f(req)
		}
		return r.send(req)
	}
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	now, secret, service := time.Now(), server.key.Secret, "bedrock-agentcore"
	if a := sign(service, secret, now); a.status != 200 {
		t.Fatalf("a good signature: %d %s", a.status, a.body)
	}
	if a := sign(service, secret, now.Add(-4*time.Minute)); a.status != 200 {
		t.Errorf("four minutes late: %d %s", a.status, a.body)
	}
	for name, a := range map[string]*answer{
		"another secret":    sign(service, "other", now),
		"another service":   sign("s3", secret, now),
		"six minutes late":  sign(service, secret, now.Add(-6*time.Minute)),
		"six minutes early": sign(service, secret, now.Add(6*time.Minute)),
		"unknown key":       sign(service, secret, now, replace(server.key.ID, "AKIDOTHER")),
		"another body": sign(service, secret, now, func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"maxResults":6}`))
		}),
		"another body, with its hash": sign(service, secret, now, func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"maxResults":6}`))
			sum := sha256.Sum256([]byte(`{"maxResults":6}`))
			r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		}),
		"another hash":                sign(service, secret, now, with("X-Amz-Content-Sha256", strings.Repeat("0", 64))),
		"unsigned payload":            sign(service, secret, now, with("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")),
		"another header":              sign(service, secret, now, with("X-Custom", "three")),
		"another date":                sign(service, secret, now, with("X-Amz-Date", now.Add(time.Second).UTC().Format("20060102T150405Z"))),
		"no date":                     sign(service, secret, now, func(r *http.Request) { r.Header.Del("X-Amz-Date") }),
		"another query":               sign(service, secret, now, func(r *http.Request) { r.URL.RawQuery = "b=3&a=1%2F" }),
		"a query that cannot be read": sign(service, secret, now, func(r *http.Request) { r.URL.RawQuery += "&c=%zz" }),
		"more of a query":             sign(service, secret, now, func(r *http.Request) { r.URL.RawQuery += "&c=1;d=2" }),
		"another method": sign(service, secret, now, func(r *http.Request) {
			r.URL.RawPath, r.URL.Path = "", "/code-interpreters/aws.codeinterpreter.v1/sessions/list"
		}),
		"host not signed":    sign(service, secret, now, replace("host;", "")),
		"session not signed": sign(service, secret, now, with(sessionHeader, "x")),
		"cut signature":      sign(service, secret, now, func(r *http.Request) { a := r.Header.Get("Authorization"); r.Header.Set("Authorization", a[:len(a)-2]) }),
		"no signature":       sign(service, secret, now, func(r *http.Request) { r.Header.Del("Authorization") }),
		"nonsense":           sign(service, secret, now, with("Authorization", "AWS4-HMAC-SHA256 ====,,,Credential")),
	} {
		if a.status != 403 || a.header.Get("X-Amzn-Errortype") != "AccessDeniedException" || a.field("message") == "" || strings.Contains(string(a.body), secret) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Case 19.
func TestFrameBytes(t *testing.T) {
	var b bytes.Buffer
	payload := []byte(`{"content":[{"type":"text","text":"2"}],"structuredContent":{"stdout":"2","stderr":"","exitCode":0,"executionTime":0.01},"isError":false}`)
	if err := agentcore.WriteResultFrame(&b, payload); err != nil {
		t.Fatal(err)
	}
	// As the real service's clients were measured to take it.
	want, err := hex.DecodeString("000000e50000004cfa7c9a7d" + "0b3a6576656e742d74797065070006726573756c74" +
		"0d3a6d6573736167652d747970650700056576656e74" + "0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e")
	if err != nil {
		t.Fatal(err)
	}
	want = append(append(want, payload...), 0xa0, 0xfa, 0x9d, 0xf3)
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got %x\nwant %x", b.Bytes(), want)
	}
	if all := frames(t, b.Bytes()); len(all) != 1 || !bytes.Equal(all[0].Payload, payload) {
		t.Errorf("the SDK reads %v", all)
	}
}

// Cases 19 and 20: what is on the wire, and when.
func TestHeadersComeBeforeTheResult(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{})
	id := r.session()
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.URL+"/code-interpreters/aws.codeinterpreter.v1/tools/invoke",
		strings.NewReader(code("import os\nwhile not os.path.exists('go'): pass\nprint('went')")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(sessionHeader, id)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req) // returns although the code has not ended
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" || resp.Header.Get(sessionHeader) != id ||
		resp.Header.Get("Content-Encoding") != "" || resp.ContentLength != -1 {
		t.Errorf("headers %v, length %d", resp.Header, resp.ContentLength)
	}
}

// Case 21.
func TestReadTimeoutRunsCodeOnce(t *testing.T) {
	t.Parallel()
	server := newTestServer(t, agentcore.ServerConfig{})
	patient := &dialogue{t, newGoClient(t, server.client()), server, false}
	// The headers have to come before; on a machine that stands still longer
	// than that a client with more patience is tried.
	for seconds := 5.0; ; seconds *= 4 {
		cfg := server.client()
		cfg.ReadTimeout = seconds
		boto := &dialogue{t, newBoto(t, cfg), server, true}
		id := patient.session()
		if r := boto.invoke(id, "executeCode", in{"code": "open('runs', 'a').write('x')\nimport time; time.sleep(1000)"}); r.Error == nil {
			t.Fatalf("no timeout: %v", r.Events)
		}
		r := patient.python(id, "print(open('runs').read())")
		if r.stdout() == "x" {
			return
		}
		if seconds > 60 {
			t.Fatalf("runs: %q", r.stdout())
		}
	}
}

// Case 26.
func TestExceptionsAreTyped(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := r.Header.Get(sessionHeader)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		if err := agentcore.WriteExceptionFrame(w, kind); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	for name, connect := range clients {
		t.Run(name, func(t *testing.T) {
			c := connect(t, clientConfig{Endpoint: server.URL, Key: "a", Secret: "b"})
			for _, kind := range []string{
				"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException",
				"ServiceQuotaExceededException", "ThrottlingException", "ValidationException",
			} {
				r := c.do(t, "InvokeCodeInterpreter", in{
					"codeInterpreterIdentifier": "x", "sessionId": kind, "name": "executeCode", "arguments": in{"code": "1"},
				})
				if !r.inStream(kind) || !strings.Contains(r.Error.Message, "text") {
					t.Errorf("%s: %+v", kind, r.Error)
				}
			}
		})
	}
}

// Case 27: the run of a client that has gone is stopped, and the session's
// state is kept.
func TestClientGone(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{})
	id, other := r.session(), r.session()
	r.run(id, "x = 'kept'")
	r.begin(id, "while True: pass")()
	// Waits for its turn, which comes when the other has been stopped.
	for session, want := range map[string]string{id: "kept", other: "False"} {
		a := r.run(session, "print(x if 'x' in globals() else False)")
		if all := frames(t, a.body); len(all) != 1 || !strings.Contains(string(all[0].Payload), `"stdout":"`+want+`"`) {
			t.Errorf("%s", a.body)
		}
	}
}

// begin starts a call that does not end, and returns how to leave it.
func (r *raw) begin(session, source string) (leave func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", r.URL+"/code-interpreters/aws.codeinterpreter.v1/tools/invoke", strings.NewReader(code(source)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set(sessionHeader, session)
	resp, err := http.DefaultClient.Do(req) // the headers come at once
	if err != nil {
		r.t.Fatal(err)
	}
	return func() {
		cancel()
		resp.Body.Close()
	}
}

// Case 28: calls of a session run one after the other, and too many are
// refused before they begin.
func TestCallsOfOneSessionWait(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{MaxWaiting: 2})
	id := r.session()
	r.run(id, "import subprocess, time\nseen = []")
	mark := fmt.Sprintf("8%d", os.Getpid())
	leave := r.begin(id, "subprocess.run(['sleep', '"+mark+"'])")
	// It has the turn until its client leaves. Its headers alone do not say that
	// it has it now.
	await(t, mark)
	answers := make(chan *answer)
	for i := range 7 {
		go func() {
			answers <- r.run(id, fmt.Sprintf("seen.append(('begin', %d)); time.sleep(.05); seen.append(('end', %d))", i, i))
		}()
	}
	for i := range 7 {
		a := <-answers
		if waits := i >= 5; waits != (a.status == 200) {
			t.Errorf("call %d to be answered: %d %s", i, a.status, a.body)
		} else if !waits && (a.status != 429 || a.header.Get("X-Amzn-Errortype") != "ThrottlingException") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if i == 4 {
			leave()
		}
	}
	a := r.run(id, "print(all(a[0] == 'begin' and b[0] == 'end' and a[1] == b[1] for a, b in zip(seen[::2], seen[1::2])), len(seen))")
	if want := "True 4"; !strings.Contains(string(a.body), want) {
		t.Errorf("want %s in %s", want, a.body)
	}
}

// Case 30.
func TestLargestFile(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{})
	id := r.session()
	write := func(n int) *answer {
		var b strings.Builder
		b.Grow(n + 200)
		b.WriteString(`{"name":"writeFiles","arguments":{"content":[{"path":"big.txt","text":"`)
		for b.Len() < n {
			b.WriteString(strings.Repeat("x", min(1<<20, n)))
		}
		text := b.String()[:70+n]
		return r.request("POST", "tools/invoke", text+`"}]}}`, with(sessionHeader, id))
	}
	prefix := len(`{"name":"writeFiles","arguments":{"content":[{"path":"big.txt","text":"`)
	if prefix != 71 {
		t.Fatal(prefix)
	}
	if a := write(100_000_001); a.status != 200 || !strings.Contains(string(a.body), "Successfully wrote all 1 files") {
		t.Errorf("100,000,000 bytes: %d %.300s", a.status, a.body)
	}
	if a := r.run(id, "import os; print(os.path.getsize('big.txt'))"); !strings.Contains(string(a.body), "100000000") {
		t.Errorf("%s", a.body)
	}
	if a := write(100_000_002); a.status != 400 || a.field("reason") != "FieldValidationFailed" {
		t.Errorf("one byte more: %d %.300s", a.status, a.body)
	}
	if a := r.request("PUT", "sessions/start", strings.Repeat(" ", 161<<20)); a.status != 400 || !strings.Contains(a.field("message"), "at most") {
		t.Errorf("a body over the limit: %d %.300s", a.status, a.body)
	}
	if a := r.run(id, "print('usable')"); !strings.Contains(string(a.body), "usable") {
		t.Errorf("%s", a.body)
	}
}

// Case 55.
func TestBrowsersAndForeignNames(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{Hosts: []string{"interpreter.internal"}})
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"another origin":    {with("Origin", "https://evil.example"), 403},
		"a cross-site post": {with("Sec-Fetch-Site", "cross-site"), 403},
		"a rebound name":    {func(r *http.Request) { r.Host = "evil.example:8086" }, 403},
		"a name given":      {func(r *http.Request) { r.Host = "interpreter.internal" }, 200},
		"localhost":         {func(r *http.Request) { r.Host = "localhost:1" }, 200},
		"IPv6":              {func(r *http.Request) { r.Host = "[::1]:8086" }, 200},
	} {
		if a := r.request("POST", "sessions/list", "{}", test.change); a.status != test.status || (a.status == 403 && a.header.Get("X-Amzn-Errortype") != "AccessDeniedException") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Case 56: clients find the server by the variable that AWS gave its SDKs.
func TestEndpointVariable(t *testing.T) {
	t.Parallel()
	server := newTestServer(t, agentcore.ServerConfig{})
	for _, name := range []string{"boto3", "js"} {
		t.Run(name, func(t *testing.T) {
			c := clients[name](t, clientConfig{Key: server.key.ID, Secret: server.key.Secret, env: []string{"AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=" + server.URL}})
			d := &dialogue{t, c, server, name == "boto3"}
			if r := d.python(d.session(), "print('here')"); r.stdout() != "here" {
				t.Errorf("%v", r.fields)
			}
		})
	}
}

// Below namespaces nothing ends what a session starts, so nothing may be.
func TestWithoutPrograms(t *testing.T) {
	t.Parallel()
	r := newRaw(t, agentcore.ServerConfig{Level: python.LevelFiltered, Logger: slog.New(slog.DiscardHandler)})
	id := r.session()
	if a := r.run(id, "print('runs')"); !strings.Contains(string(a.body), "runs") {
		t.Errorf("%s", a.body)
	}
	for _, body := range []string{
		`{"name":"executeCommand","arguments":{"command":"ls"}}`, `{"name":"startCommandExecution","arguments":{"command":"ls"}}`,
		`{"name":"executeCode","arguments":{"code":"1","language":"javascript"}}`,
	} {
		if a := r.request("POST", "tools/invoke", body, with(sessionHeader, id)); a.status != 400 || !strings.Contains(a.field("message"), "namespaces") {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

// A call under way is finished when the server is told to end.
func TestServeFinishesRunningCalls(t *testing.T) {
	t.Parallel()
	logger, address := newLog()
	s, err := agentcore.NewServer(agentcore.ServerConfig{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, "127.0.0.1:0", 30*time.Second) }()
	r := &raw{&httptest.Server{URL: "http://" + <-address}, t}
	id := r.session()
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.URL+"/code-interpreters/aws.codeinterpreter.v1/tools/invoke",
		strings.NewReader(code("import time; time.sleep(.3); print('finished')")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(sessionHeader, id)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "finished") {
		t.Errorf("%s %v", body, err)
	}
	resp.Body.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServeRefusesOpenAddresses(t *testing.T) {
	s, err := agentcore.NewServer(agentcore.ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := errors.AsType[*strands.InputError](s.Serve(t.Context(), "0.0.0.0:0", time.Second)); !ok || e.Field != "Keys" {
		t.Errorf("got %v", e)
	}
}

// Close ends all processes.
func TestCloseLeavesNoProcess(t *testing.T) {
	s, err := agentcore.NewServer(agentcore.ServerConfig{JavaScript: []string{javaScriptWorker(t)}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	r := &raw{server, t}
	mark := fmt.Sprintf("7%d", os.Getpid())
	id := r.session()
	r.request("POST", "tools/invoke", `{"name":"startCommandExecution","arguments":{"command":"exec sleep `+mark+`"}}`, with(sessionHeader, id))
	r.request("POST", "tools/invoke", `{"name":"executeCode","arguments":{"language":"javascript","code":"1"}}`, with(sessionHeader, id))
	await(t, mark)
	r.request("PUT", "sessions/stop?sessionId="+id, "")
	if n := processes(mark); n != 0 {
		t.Errorf("%d processes outlive their session", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if a := r.request("PUT", "sessions/start", "{}"); a.status != 500 {
		t.Errorf("a start after Close: %d %s", a.status, a.body)
	}
}

// await waits for one process with the word as its last argument.
func await(t *testing.T, word string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); processes(word) != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes end in %s", processes(word), word)
		}
	}
}

// processes counts those with the word as their last argument.
func processes(word string) int {
	n := 0
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range found {
		if data, err := os.ReadFile(f); err == nil && strings.HasSuffix(string(data), "\x00"+word+"\x00") {
			n++
		}
	}
	return n
}

// --- hostile bytes

func FuzzTool(f *testing.F) {
	for _, seed := range []string{
		code("1"), `{"name":"writeFiles","arguments":{"content":[{"path":"a","blob":"AA=="},{"path":"b/c","text":"x"}]}}`,
		`{"name":"listFiles","arguments":{"path":"./"}}`, `{"name":"getTask","arguments":{"taskId":"t"}}`, `{"name":"readFiles","arguments":{"paths":["../x"]}}`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := agentcore.CheckTool(body); err != nil && !strings.HasPrefix(err.Error(), "ValidationException") {
			t.Errorf("%q: %v", body, err)
		}
		_ = agentcore.NormalPage(string(body))
	})
}

// FuzzPath looks for a path that leaves its folder.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a", "a/../b", "../a", "/a", "a//b", "./a", "C:a", `a\b`, "a/.", "..a", "a/..b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		clean, err := agentcore.CleanPath(p)
		if err != nil {
			return
		}
		if !filepath.IsLocal(clean) || clean == "." || filepath.Clean("/w/"+p) != "/w/"+clean || strings.ContainsAny(clean, "\x00\\") {
			t.Errorf("%q becomes %q", p, clean)
		}
	})
}
