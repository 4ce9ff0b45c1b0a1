package wire

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":         {http.Header{}, 0},
		"seconds":      {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"fraction":     {http.Header{"Retry-After": {"0.5"}}, 500 * time.Millisecond},
		"milliseconds": {http.Header{"Retry-After-Ms": {"250"}, "Retry-After": {"7"}}, 250 * time.Millisecond},
		"date":         {http.Header{"Retry-After": {"Sat, 21 Nov 2026 12:01:00 GMT"}}, time.Minute},
		"past":         {http.Header{"Retry-After": {"Sat, 21 Nov 2026 11:59:00 GMT"}}, 0},
		"nonsense":     {http.Header{"Retry-After": {"soon"}}, 0},
		"negative":     {http.Header{"Retry-After": {"-3"}}, 0},
		"endless":      {http.Header{"Retry-After": {"Inf"}}, 1e9 * time.Second},
		"huge":         {http.Header{"Retry-After-Ms": {"1e300"}}, 1e9 * time.Second},
	} {
		if got := retryAfter(c.header, now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestFindServer(t *testing.T) {
	t.Setenv("TEST_URL", "https://proxy.example.com/v1")
	t.Setenv("TEST_KEY", "secret")
	for name, c := range map[string]struct {
		base, key string
		want      Server
	}{
		"environment": {"", "", Server{"https://proxy.example.com/v1", false, "secret"}},
		"home":        {"https://api.example.com/v2", "", Server{"https://api.example.com/v2", true, "secret"}},
		"another":     {"https://evil.example.com", "", Server{"https://evil.example.com", false, ""}},
		"own key":     {"https://evil.example.com", "mine", Server{"https://evil.example.com", false, "mine"}},
	} {
		got, ok := FindServer(c.base, c.key, "https://api.example.com/v1", "TEST_URL", "TEST_KEY")
		if got != c.want || !ok {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	if _, ok := FindServer("nowhere", "", "https://api.example.com", "TEST_URL", "TEST_KEY"); ok {
		t.Error("a word is no address")
	}
}

func TestErrorText(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"a"}`: "a", `{"error":{"message":"b"}}`: "b", `{"message":"c"}`: "c", `{"detail":"d"}`: "d", `{"detail":[{"msg":"e"}]}`: "",
		"two\nlines": "two lines", "<html>page</html>": "", "\ufeff<html>page</html>": "", "": "",
	} {
		if got := ErrorText([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestRedirect: first that net/http alone takes a key to another server.
func TestRedirect(t *testing.T) {
	var stolen string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { stolen = r.Header.Get("X-Api-Key") }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(strings.Replace(thief.URL, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect))
	defer server.Close()
	send := func(c *http.Client) error {
		stolen = ""
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", "secret")
		resp, err := c.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if send(http.DefaultClient); stolen != "secret" {
		t.Fatal("net/http keeps the key at home by itself; this test proves nothing")
	}
	if err := send(Client(nil)); stolen != "" || err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("stolen %q, error %v", stolen, err)
	}
}

func TestOversized(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":"document too large"}`, http.StatusBadRequest)
	}))
	defer server.Close()
	p := Provider{Name: "test", Model: "small"}
	send := func(size int) error {
		doc := &strands.Media{MIME: "application/pdf", Name: "annual report.pdf", Data: make([]byte, size)}
		result := strands.Part{ToolResult: &strands.ToolResult{Parts: []strands.Part{{Document: doc}}}}
		req := &strands.Request{Messages: []strands.Message{strands.UserMessage(result)}}
		for _, err := range p.Generate(t.Context(), req, func(ctx context.Context, call *Call, _ *Writer) (*strands.Reply, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
			if err != nil {
				return nil, err
			}
			_, err = Client(nil).Do(r)
			return nil, call.Fail(cmp.Or(err, errors.New("refused")), Fault{})
		}) {
			return err
		}
		return nil
	}
	err := send(12_300_000)
	for _, word := range []string{"test", "small", "document too large", `"annual report.pdf" has 12.3 MB`, "send a smaller one"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("no %s in: %v", word, err)
		}
	}
	if err := send(1000); err == nil || strings.Contains(err.Error(), "annual") {
		t.Errorf("a small document is blamed: %v", err)
	}
}

// ask makes a call whose answer is read to its end, as an SDK would.
func ask(t *testing.T, url string) *strands.ModelError {
	t.Helper()
	p := Provider{Name: "test", Model: "small"}
	run := func(ctx context.Context, call *Call, _ *Writer) (*strands.Reply, error) {
		call.Streams()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := Client(nil).Do(r)
		if err != nil {
			return nil, call.Fail(err, Fault{})
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode >= 400 {
			err = errors.New("refused")
		}
		return nil, call.Fail(cmp.Or(err, io.ErrUnexpectedEOF), Fault{})
	}
	for _, err := range p.Generate(t.Context(), new(strands.Request), run) {
		me, ok := errors.AsType[*strands.ModelError](err)
		if !ok {
			t.Fatalf("the error is a %T: %v", err, err)
		}
		return me
	}
	t.Fatal("no error")
	return nil
}

// TestNoStream: what comes under a status of success and is no stream.
func TestNoStream(t *testing.T) {
	for name, c := range map[string]struct {
		mime, body string
		kind       strands.ModelErrorKind
		status     int
		want       string
	}{
		"page":        {"text/html; charset=utf-8", "<html><title>Sign\nin</title>", strands.ModelBadRequest, 0, `web page "Sign in"; check the base URL`},
		"error":       {"application/json", `{"error":{"message":"no more room"}}`, strands.ModelTransient, 200, "no more room"},
		"reply":       {"application/json; charset=utf-8", `{"choices":[]}`, strands.ModelBadRequest, 0, "JSON instead of a stream"},
		"mislabelled": {"application/json", "data: {\"error\": 1}\n\n", strands.ModelTransient, 0, "the connection broke"},
		"stream":      {"text/event-stream", `{"error":"of no concern"}`, strands.ModelTransient, 0, "the connection broke"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.mime)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			if me := ask(t, server.URL); me.Kind != c.kind || me.Status != c.status || !strings.Contains(me.Message, c.want) {
				t.Errorf("status %d, kind %s: %s", me.Status, me.Kind, me.Message)
			}
		})
	}
}

// TestStrayed: a redirect that is not followed is said at once, is not tried
// again, and gives away nothing of the address but the host.
func TestStrayed(t *testing.T) {
	for to, want := range map[string]string{
		"https://login.example.com/sso?token=secret": "redirects to https://login.example.com; if that is right",
		"/again?token=secret":                        "redirects to itself",
		"":                                           "without saying where to",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if to != "" {
				w.Header().Set("Location", to)
			}
			w.WriteHeader(http.StatusFound)
		}))
		me := ask(t, server.URL)
		server.Close()
		if me.Kind != strands.ModelBadRequest || me.Status != http.StatusFound || !strings.Contains(me.Error(), want) || strings.Contains(me.Error(), "secret") {
			t.Errorf("%q: %v", to, me)
		}
	}
}

func TestEndlessAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for b := make([]byte, 1<<20); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	if me := ask(t, server.URL); me.Kind != strands.ModelBadRequest || !strings.Contains(me.Message, "longer than 256 MB") {
		t.Error(me)
	}
}

func TestEndlessParts(t *testing.T) {
	p := Provider{Name: "test", Model: "small"}
	run := func(_ context.Context, _ *Call, w *Writer) (*strands.Reply, error) {
		for i := 0; ; i++ {
			if err := w.Send(&strands.Delta{Block: i, ToolCall: &strands.ToolCallDelta{ID: "x", Name: "x"}}); err != nil {
				return nil, err
			}
		}
	}
	for _, err := range p.Generate(t.Context(), new(strands.Request), run) {
		if err != nil {
			if !strings.Contains(err.Error(), "parts") {
				t.Error(err)
			}
			return
		}
	}
}

// TestNonsense: what an SDK and a server may make of a reply, and what not.
func TestNonsense(t *testing.T) {
	reply := &strands.Reply{StopReason: strands.StopEndTurn, Usage: strands.Usage{Input: math.MaxInt, Output: -7, CacheRead: 3}}
	for name, c := range map[string]struct {
		run  Runner
		want string
	}{
		"panic": {func(context.Context, *Call, *Writer) (*strands.Reply, error) { panic("null") }, "cannot be read: panic: null"},
		"run's end": {func(context.Context, *Call, *Writer) (*strands.Reply, error) {
			return &strands.Reply{StopReason: strands.StopInterrupt}, nil
		}, `no reply ends with "interrupt"`},
		"usage": {func(context.Context, *Call, *Writer) (*strands.Reply, error) { return reply, nil }, ""},
	} {
		p := Provider{Name: "test", Model: "small"}
		for chunk, err := range p.Generate(t.Context(), new(strands.Request), c.run) {
			if me, ok := errors.AsType[*strands.ModelError](err); ok != (c.want != "") || ok && (!strings.Contains(me.Message, c.want) || !me.Temporary()) {
				t.Errorf("%s: %v", name, err)
			}
			if r := chunk.Reply; r != nil && (r.Usage.Total() < 0 || r.Usage.Output != 0 || r.Usage.CacheRead != 3 || r.Usage.Add(r.Usage).Total() < 0) {
				t.Errorf("%s: %+v", name, r.Usage)
			}
		}
	}
	// A panic of the consumer is the consumer's.
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	p := Provider{Name: "test", Model: "small"}
	for range p.Generate(t.Context(), new(strands.Request), func(_ context.Context, _ *Call, w *Writer) (*strands.Reply, error) {
		return nil, w.Send(&strands.Delta{Text: "x"})
	}) {
		panic("mine")
	}
}

// TestNeverMet: a certificate that nobody vouches for, and a server that
// speaks no TLS, stay so.
func TestNeverMet(t *testing.T) {
	quiet := log.New(io.Discard, "", 0) // they complain, too
	secure, plain := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog, plain.Config.ErrorLog = quiet, quiet
	secure.StartTLS()
	plain.Start()
	defer secure.Close()
	defer plain.Close()
	for url, want := range map[string]string{
		secure.URL: "certificate", strings.Replace(plain.URL, "http:", "https:", 1): "HTTP response to HTTPS client",
	} {
		if me := ask(t, url); me.Temporary() || !strings.Contains(me.Message, want) {
			t.Errorf("%s: %v", url, me)
		}
	}
}
