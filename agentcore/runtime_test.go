package agentcore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
)

// counter answers with the number of user messages it has seen, in two
// pieces; it fails for "fail" and waits for the end of "wait".
type counter struct {
	started chan struct{}
	ended   chan error
}

func (c *counter) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		last := req.Messages[len(req.Messages)-1].Text()
		if last == "wait" {
			close(c.started)
			<-ctx.Done()
			c.ended <- ctx.Err()
			yield(strands.Chunk{}, ctx.Err())
			return
		}
		n := 0
		for _, m := range req.Messages {
			if m.Role == strands.User {
				n++
			}
		}
		parts := []string{"question ", fmt.Sprint(n)}
		for _, p := range parts {
			if !yield(strands.Chunk{Delta: &strands.Delta{Text: p}}, nil) {
				return
			}
			if last == "fail" {
				yield(strands.Chunk{}, &strands.ModelError{Kind: strands.ModelBadRequest, Provider: "test", Model: "m", Message: "no <luck>"})
				return
			}
		}
		yield(strands.Chunk{Reply: &strands.Reply{Message: strands.AssistantMessage(strands.Text(strings.Join(parts, ""))), StopReason: strands.StopEndTurn}}, nil)
	}
}

func serve(t *testing.T, cfg agentcore.RuntimeConfig, hooks ...strands.Hooks) (*httptest.Server, *counter) {
	t.Helper()
	model := &counter{started: make(chan struct{}), ended: make(chan error, 1)}
	agent, err := strands.New(strands.Config{Model: model, Hooks: hooks, Store: strands.NewMemoryStore()})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Agent = agent
	runtime := agentcore.NewRuntime(cfg)
	server := httptest.NewServer(runtime)
	t.Cleanup(func() {
		server.Close()
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
		if err := agent.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, model
}

func post(t *testing.T, server *httptest.Server, path, session, accept, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	if session != "" {
		req.Header.Set(agentcore.SessionHeader, session)
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Get(agentcore.SessionHeader); res.StatusCode == 200 && got != session {
		t.Errorf("session header %q came back as %q", session, got)
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

func TestInvocations(t *testing.T) {
	server, _ := serve(t, agentcore.RuntimeConfig{MaxBody: 1000})
	long := strings.Repeat("A", 300) + "/ö"
	for _, c := range []struct {
		name, path, session, accept, body string
		status                            int
		want                              string
	}{
		{"one question", "/invocations", "", "application/json", `{"prompt":"hi"}`, 200, `"question 1"`},
		{"again without a session", "/invocations", "", "", `{"prompt":"hi"}`, 200, `"question 1"`},
		{"a session", "/invocations", "s1", "", `{"prompt":"hi"}`, 200, `"question 1"`},
		{"the same session", "/invocations", "s1", "", `{"prompt":"hi","more":1}`, 200, `"question 2"`},
		{"another session", "/invocations", long, "", `{"prompt":"hi"}`, 200, `"question 1"`},
		{"the other again, by the AWS path", "/runtimes/arn%3Aaws%3Ax%2Fy/invocations?qualifier=DEFAULT", long, "", `{"prompt":"hi"}`, 200, `"question 2"`},
		{"stream", "/invocations", "s1", "text/event-stream", `{"prompt":"hi"}`, 200, "data: \"question \"\n\ndata: \"3\""},
		{"no prompt", "/invocations", "", "", `{"question":"hi"}`, 400, `{"details":"send {\"prompt\": \"…\"}, or {\"responses\": […]} to go on after interrupts","error":"No prompt"}`},
		{"not an object", "/invocations", "", "", `"hi"`, 400, ""},
		{"bad JSON", "/invocations", "", "", `{`, 400, `{"details":"unexpected end of JSON input","error":"Invalid JSON"}`},
		{"bad UTF-8", "/invocations", "", "", "{\"prompt\":\"\xff\"}", 400, `{"details":"the body is not UTF-8","error":"Invalid encoding"}`},
		{"too large", "/invocations", "", "", `{"prompt":"` + strings.Repeat("x", 1000) + `"}`, 413, ""},
		{"no interrupt to answer", "/invocations", "s1", "", `{"responses":[{"id":"x","response":1}]}`, 400, ""},
		{"the model fails", "/invocations", "s1", "", `{"prompt":"fail"}`, 500, ""},
		{"the model fails in a stream", "/invocations", "s2", "text/event-stream", `{"prompt":"fail"}`, 200, ""},
	} {
		status, text := post(t, server, c.path, c.session, c.accept, c.body)
		if status != c.status || c.want != "" && text != strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(c.want) {
			t.Errorf("%s: %d %s; want %d %s", c.name, status, text, c.status, c.want)
		}
		if c.name == "the model fails in a stream" && (!strings.HasPrefix(text, `data: "question "`) || !strings.Contains(text, `"error_type":"ModelError.bad_request"`)) {
			t.Errorf("%s: %s", c.name, text)
		}
	}
}

func TestCallerGoneStopsTheRun(t *testing.T) {
	server, model := serve(t, agentcore.RuntimeConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/invocations", strings.NewReader(`{"prompt":"wait"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(agentcore.SessionHeader, "s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := server.Client().Do(req); err == nil {
			res.Body.Close()
		}
	}()
	<-model.started
	if status, text := post(t, server, "/invocations", "s", "", `{"prompt":"hi"}`); status != http.StatusConflict {
		t.Errorf("a second request on a busy session: %d %s", status, text)
	}
	if res, err := server.Client().Get(server.URL + "/ping"); err != nil || res.StatusCode != 200 {
		t.Errorf("ping while a run waits: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	cancel()
	<-done
	if err := <-model.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the model ended with %v", err)
	}
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, err := strands.New(strands.Config{Model: &counter{}})
		if err != nil {
			t.Fatal(err)
		}
		r := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent})
		defer r.Close()
		ping := func() (string, int64) {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ping", nil))
			var p struct {
				Status string `json:"status"`
				Time   int64  `json:"time_of_last_update"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 {
				t.Fatal(w.Code, w.Body, err)
			}
			return p.Status, p.Time
		}
		status, first := ping()
		time.Sleep(time.Minute)
		if s, at := ping(); s != "Healthy" || s != status || at != first {
			t.Errorf("an idle runtime says %s at %d, then %s at %d", status, first, s, at)
		}
		one, two := r.Task(), r.Task()
		if s, at := ping(); s != "HealthyBusy" || at != first+60 {
			t.Errorf("with tasks: %s at %d", s, at)
		}
		time.Sleep(time.Minute)
		one()
		one() // counts once
		if s, at := ping(); s != "HealthyBusy" || at != first+60 {
			t.Errorf("with one task left: %s at %d", s, at)
		}
		two()
		if s, at := ping(); s != "Healthy" || at != first+120 {
			t.Errorf("after the tasks: %s at %d", s, at)
		}
	})
}

func TestIdleSessionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, err := strands.New(strands.Config{Model: &counter{}, Store: strands.NewMemoryStore()})
		if err != nil {
			t.Fatal(err)
		}
		r := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, MaxSessions: 1, IdleTimeout: time.Minute})
		defer r.Close()
		ask := func(session string) (int, string) {
			req := httptest.NewRequest(http.MethodPost, "/invocations", strings.NewReader(`{"prompt":"hi"}`))
			req.Header.Set(agentcore.SessionHeader, session)
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			return w.Code, strings.TrimSpace(w.Body.String())
		}
		if code, text := ask("a"); code != 200 || text != `"question 1"` {
			t.Error(code, text)
		}
		if code, _ := ask("b"); code != http.StatusTooManyRequests {
			t.Errorf("a second session: %d", code)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if code, text := ask("b"); code != 200 {
			t.Error(code, text)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if code, text := ask("a"); code != 200 || text != `"question 2"` { // from the store
			t.Error(code, text)
		}
	})
}

// A stream waits for clients that drop what begins too early, see goPatience.
func TestStreamsBeginLateForGo(t *testing.T) {
	for agentName, want := range map[string]time.Duration{"aws-sdk-go-v2/1.47.6 os/linux": 50 * time.Millisecond, "Boto3/1.40": 0} {
		synctest.Test(t, func(t *testing.T) {
			agent, err := strands.New(strands.Config{Model: &counter{}})
			if err != nil {
				t.Fatal(err)
			}
			r := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent})
			defer r.Close()
			req := httptest.NewRequest(http.MethodPost, "/invocations", strings.NewReader(`{"prompt":"hi"}`))
			req.Header.Set("Accept", "text/event-stream")
			req.Header.Set("User-Agent", agentName)
			w, begun := httptest.NewRecorder(), time.Now()
			r.ServeHTTP(w, req)
			if took := time.Since(begun); took != want || !strings.Contains(w.Body.String(), "question ") {
				t.Errorf("%s: %v, %s", agentName, took, w.Body)
			}
		})
	}
}

func TestInterruptsAreAnswered(t *testing.T) {
	tool := strands.NewTool("pay", "", func(ctx context.Context, in struct{}) (string, error) {
		ok, err := strands.RequestInput(ctx, "approve", "pay 5?")
		return fmt.Sprint(ok), err
	})
	calls := 0
	model := modelFunc(func(req *strands.Request) strands.Message {
		calls++
		if last := req.Messages[len(req.Messages)-1]; len(last.ToolResults()) > 0 {
			return strands.AssistantMessage(strands.Text("said " + last.ToolResults()[0].Text()))
		}
		return strands.AssistantMessage(strands.Part{ToolCall: &strands.ToolCall{ID: "c1", Name: "pay", Input: json.RawMessage(`{}`)}})
	})
	agent, err := strands.New(strands.Config{Model: model, Tools: []strands.Tool{tool}, Store: strands.NewMemoryStore()})
	if err != nil {
		t.Fatal(err)
	}
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent})
	server := httptest.NewServer(runtime)
	defer server.Close()
	defer runtime.Close()
	_, text := post(t, server, "/invocations", "s", "", `{"prompt":"go"}`)
	var asked struct{ Interrupts []strands.Interrupt }
	if err := json.Unmarshal([]byte(text), &asked); err != nil || len(asked.Interrupts) != 1 || asked.Interrupts[0].Name != "approve" {
		t.Fatal(text, err)
	}
	body, err := json.Marshal(map[string]any{"responses": []strands.InterruptResponse{{ID: asked.Interrupts[0].ID, Response: "yes"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, text := post(t, server, "/invocations", "s", "", string(body)); text != `"said yes"` {
		t.Error(text)
	}
}

type modelFunc func(*strands.Request) strands.Message

func (f modelFunc) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		yield(strands.Chunk{Reply: &strands.Reply{Message: f(req), StopReason: strands.StopEndTurn}}, nil)
	}
}

func TestWebSocket(t *testing.T) {
	server, _ := serve(t, agentcore.RuntimeConfig{})
	conn, _, err := websocket.Dial(t.Context(), server.URL+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{agentcore.SessionHeader: {"w"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	read := func() string {
		_, b, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	for n := 1; n <= 2; n++ {
		if err := wsjson.Write(t.Context(), conn, map[string]string{"prompt": "hi"}); err != nil {
			t.Fatal(err)
		}
		if got := read() + read() + read(); got != fmt.Sprintf(`"question ""%d"{"result":"question %d"}`, n, n) {
			t.Error(got)
		}
	}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if got := read(); !strings.Contains(got, "Invalid JSON") {
		t.Error(got)
	}
}

func TestServeFinishesRunningTurns(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	model := modelFunc(func(*strands.Request) strands.Message {
		close(entered)
		<-release
		return strands.AssistantMessage(strands.Text("finished"))
	})
	agent, err := strands.New(strands.Config{Model: model})
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog()
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: log})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- runtime.Serve(ctx, "127.0.0.1:0", time.Minute) }()
	addr := <-lines
	answered := make(chan string, 1)
	go func() {
		res, err := http.Post("http://"+addr+"/invocations", "application/json", strings.NewReader(`{"prompt":"x"}`))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		text, _ := bufio.NewReader(res.Body).ReadString('\n')
		answered <- strings.TrimSpace(text)
	}()
	<-entered
	stop()
	select {
	case err := <-served:
		t.Fatalf("Serve returned while a turn ran: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if got := <-answered; got != `"finished"` {
		t.Error(got)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) && err != nil {
		t.Error(err)
	}
}

func TestBrowsersOfOthersAreRefused(t *testing.T) {
	server, _ := serve(t, agentcore.RuntimeConfig{})
	req, err := http.NewRequest(http.MethodPost, server.URL+"/invocations", strings.NewReader(`{"prompt":"hi"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a cross-site post got %d", res.StatusCode)
	}
}

// TestServeKnowsItsNames: a page of evil.example, whose name server says that
// this is 127.0.0.1, is of the same origin to a browser.
func TestServeKnowsItsNames(t *testing.T) {
	agent, err := strands.New(strands.Config{Model: &counter{}})
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog()
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: log, Hosts: []string{"agent.example.org"}})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- runtime.Serve(ctx, "127.0.0.1:0", time.Minute) }()
	addr := <-lines
	_, port, _ := strings.Cut(addr, ":")
	for host, want := range map[string]int{
		addr: http.StatusOK, "localhost:" + port: http.StatusOK, "[::1]:" + port: http.StatusOK, "agent.example.org": http.StatusOK,
		"evil.example:" + port: http.StatusForbidden, "127.0.0.1.evil.example": http.StatusForbidden, "10.0.0.1": http.StatusForbidden,
	} {
		for method, path := range map[string]string{http.MethodPost: "/invocations", http.MethodGet: "/ping"} {
			req, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(`{"prompt":"hi"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			req.Header.Set("Origin", "http://"+host)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s %s at %s is answered with %d, want %d", method, path, host, res.StatusCode, want)
			}
		}
	}
	stop()
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// A turn over a WebSocket is finished too, and who only listens is told.
func TestServeFinishesTalks(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{})
	model := modelFunc(func(*strands.Request) strands.Message {
		close(entered)
		<-release
		return strands.AssistantMessage(strands.Text("finished"))
	})
	agent, err := strands.New(strands.Config{Model: model})
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog()
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: log})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- runtime.Serve(ctx, "127.0.0.1:0", time.Minute) }()
	address := "http://" + <-lines + "/ws"
	var conns []*websocket.Conn
	for range 2 {
		conn, _, err := websocket.Dial(t.Context(), address, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		conns = append(conns, conn)
	}
	if err := wsjson.Write(t.Context(), conns[0], map[string]string{"prompt": "x"}); err != nil {
		t.Fatal(err)
	}
	<-entered
	stop()
	if _, _, err := conns[1].Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("who listens: %v", err)
	}
	close(release)
	_, got, err := conns[0].Read(t.Context())
	if strings.TrimSpace(string(got)) != `{"result":"finished"}` {
		t.Errorf("%s %v", got, err)
	}
	if _, _, err := conns[0].Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("after the turn: %v", err)
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestToolsKnowTheRequest(t *testing.T) {
	var got *agentcore.Request
	hook := strands.Hooks{BeforeInvocation: func(ctx context.Context, _ *strands.BeforeInvocation) error {
		got = agentcore.RequestFrom(ctx)
		return nil
	}}
	server, _ := serve(t, agentcore.RuntimeConfig{}, hook)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/invocations", strings.NewReader(`{"prompt":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		agentcore.SessionHeader: "s", "X-Amzn-Bedrock-AgentCore-Runtime-Request-Id": "r-1", "Authorization": "Bearer x",
		"X-Amzn-Bedrock-AgentCore-Runtime-Custom-Tenant": "t", "Cookie": "c", "X-Amz-Date": "d",
	} {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got == nil || got.ID != "r-1" || got.SessionID != "s" || len(got.Header) != 2 ||
		got.Header.Get("X-Amzn-Bedrock-AgentCore-Runtime-Custom-Tenant") != "t" || got.Header.Get("Authorization") != "Bearer x" {
		t.Errorf("%+v", got)
	}
	if agentcore.RequestFrom(t.Context()) != nil {
		t.Error("a request out of nothing")
	}
}

// slow is a store in which the first Load takes its time.
type slow struct {
	strands.Store
	once          sync.Once
	entered, goOn chan struct{}
}

func (s *slow) Load(ctx context.Context, id string) ([]strands.Entry, error) {
	s.once.Do(func() {
		close(s.entered)
		<-s.goOn
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, id)
}

// Who leaves while a session is opened does not spoil it for who waits for it.
func TestOpeningIsForAll(t *testing.T) {
	store := &slow{Store: strands.NewMemoryStore(), entered: make(chan struct{}), goOn: make(chan struct{})}
	agent, err := strands.New(strands.Config{Model: &counter{}, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: slog.New(slog.DiscardHandler)})
	defer runtime.Close()
	ask := func(ctx context.Context) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/invocations", strings.NewReader(`{"prompt":"x"}`))
		req.Header.Set(agentcore.SessionHeader, "s")
		w := httptest.NewRecorder()
		runtime.ServeHTTP(w, req)
		return w
	}
	ctx, leave := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() { ask(ctx) })
	<-store.entered
	asking.Go(func() {
		if w := ask(t.Context()); w.Code != http.StatusOK && w.Code != http.StatusConflict { // the first may still be on its way out
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	time.Sleep(50 * time.Millisecond) // it should wait by then; if not, it finds nothing to wait for
	leave()
	close(store.goOn)
	asking.Wait()
}

// Without a store a conversation lives while it is open.
func TestSessionsWithoutAStore(t *testing.T) {
	agent, err := strands.New(strands.Config{Model: &counter{}})
	if err != nil {
		t.Fatal(err)
	}
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: slog.New(slog.DiscardHandler)})
	defer runtime.Close()
	for _, want := range []string{`"question 1"`, `"question 2"`} {
		req := httptest.NewRequest(http.MethodPost, "/invocations", strings.NewReader(`{"prompt":"x"}`))
		req.Header.Set(agentcore.SessionHeader, "s")
		w := httptest.NewRecorder()
		runtime.ServeHTTP(w, req)
		if got := strings.TrimSpace(w.Body.String()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
