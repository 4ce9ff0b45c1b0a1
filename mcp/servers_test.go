package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/pythonsdk"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/mcp"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

func TestSSE(t *testing.T) {
	server := newServer()
	web := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return server }, nil))
	t.Cleanup(web.Close)
	p := provider(t, mcp.Server{URL: web.URL, SSE: true})
	if res, err := call(t, find(t, p, "add"), `{"a":20,"b":22}`); err != nil || res.Text() != `{"sum":42}` {
		t.Errorf("%+v, %v", res, err)
	}
	if err := p.Close(); err != nil { // before the server, which waits for its streams
		t.Error(err)
	}
}

// A server that is restarted at the same address is connected to again.
func TestReconnectOverHTTP(t *testing.T) {
	var handler atomic.Pointer[http.Handler]
	serve := func() {
		server := newServer()
		var h http.Handler = sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
		handler.Store(&h)
	}
	serve()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { (*handler.Load()).ServeHTTP(w, req) }))
	t.Cleanup(web.Close)
	p := provider(t, mcp.Server{URL: web.URL, Logger: slog.New(slog.DiscardHandler)})
	add := find(t, p, "add")
	serve() // which knows no sessions
	_, first := call(t, add, `{"a":1,"b":1}`)
	if first != nil && !strings.Contains(first.Error(), "the next call connects anew") {
		t.Errorf("the call that found it gone: %v", first)
	}
	if res, err := call(t, add, `{"a":1,"b":1}`); err != nil || res.IsError {
		t.Errorf("the next call: %+v, %v", res, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A server that stops answering holds up neither runs nor Close.
func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	server := newServer()
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
	var hangs atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if hangs.Load() {
			_, _ = io.Copy(io.Discard, req.Body) // only then is a caller's leaving noticed
			<-req.Context().Done()
			return
		}
		h.ServeHTTP(w, req)
	}))
	t.Cleanup(web.Close)
	t.Cleanup(web.CloseClientConnections)
	p, err := mcp.New(mcp.Server{URL: web.URL, CallTimeout: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	add := find(t, p, "add")
	hangs.Store(true)
	if _, err := call(t, add, `{"a":1,"b":1}`); err == nil || !strings.Contains(err.Error(), "did not answer within") {
		t.Errorf("a call: %v", err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = p.Close() // that it cannot say good-bye is no matter
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute): // without an end of ours it waits for ever
		t.Fatal("Close hangs, too")
	}
}

// One that does not even read: what is written to it must not wait for ever.
func TestServerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	// On a machine that stands still the time is over before anything is
	// written: then it is tried with more, and with another server.
	for limit := time.Second; ; limit *= 4 {
		res, err := afterAStop(t, limit)
		if err == nil && res.Text() == `{"sum":3}` {
			return
		}
		if limit > 10*time.Second {
			t.Fatalf("with a new server: %+v, %v", res, err)
		}
	}
}

// afterAStop writes, for so long, more to a stopped server than it can leave
// unread, and returns the result of the call that follows.
func afterAStop(t *testing.T, limit time.Duration) (*strands.ToolResult, error) {
	t.Helper()
	p := stdio(t, mcp.Server{Logger: slog.New(slog.DiscardHandler)})
	pid, err := call(t, find(t, p, "pid"), `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", "-STOP", pid.Text()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	add := find(t, p, "add")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := add.Call(ctx, &strands.ToolCall{Input: json.RawMessage(`{"a":1,"b":2,"pad":"` + strings.Repeat("x", 1<<20) + `"}`)}); err == nil {
		t.Error("a call of a stopped server has a result")
	}
	next, cancel := context.WithTimeout(t.Context(), 30*limit)
	defer cancel()
	return add.Call(next, &strands.ToolCall{Input: json.RawMessage(`{"a":1,"b":2}`)})
}

// A server that hangs when it is started costs one run its start timeout, not
// all of them; when it has come to itself it is used.
func TestServerThatHangsAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts atomic.Int32
		p := provider(t, mcp.Server{StartTimeout: time.Second, Logger: slog.New(slog.DiscardHandler), Transport: func() (sdk.Transport, error) {
			ours, theirs := sdk.NewInMemoryTransports()
			if starts.Add(1) > 1 {
				go func() { _ = newServer().Run(t.Context(), theirs) }()
			}
			return ours, nil
		}})
		var wg sync.WaitGroup
		begin := time.Now()
		for range 5 { // sessions that begin at once
			wg.Go(func() {
				if tools, err := p.Tools(t.Context()); err != nil || tools != nil {
					t.Errorf("%v, %v", tools, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took != time.Second || starts.Load() != 1 {
			t.Errorf("five runs waited %v for %d starts", took, starts.Load())
		}
		time.Sleep(10 * time.Second) // for as long it is left alone
		if tools, err := p.Tools(t.Context()); err != nil || len(tools) == 0 {
			t.Errorf("when it has come to itself: %v, %v", tools, err)
		}
	})
}

// A server that ends leaves nothing of its connection behind: the bubble would
// say so.
func TestServerThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		p := provider(t, mcp.Server{Logger: slog.New(slog.DiscardHandler), Transport: func() (sdk.Transport, error) {
			ours, theirs := sdk.NewInMemoryTransports()
			go func() { _ = newServer().Run(life, theirs) }()
			return ours, nil
		}})
		if tools, err := p.Tools(t.Context()); err != nil || len(tools) == 0 {
			t.Errorf("%v, %v", tools, err)
		}
		end()
		synctest.Wait() // until it has been noticed
	})
}

// The server of an agent dies in the middle: the run goes on, and ends well.
func TestDeadServerDoesNotEndARun(t *testing.T) {
	p := stdio(t, mcp.Server{Logger: slog.New(slog.DiscardHandler)})
	turn := func(tool, input string) strandstest.Turn {
		return strandstest.Turn{Calls: []strandstest.Call{{Name: tool, Input: json.RawMessage(input)}}}
	}
	a, err := strands.New(strands.Config{
		Model:     &strandstest.Script{Turns: []strandstest.Turn{turn("die", `{}`), turn("add", `{"a":1,"b":2}`), {Text: "done"}}},
		Providers: []strands.ToolProvider{p}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s := a.NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || res.Message.Text() != "done" {
		t.Fatalf("%+v, %v", res, err)
	}
	messages := s.Messages()
	if r := messages[2].ToolResults()[0]; !r.IsError || !strings.Contains(r.Text(), "whether it did what was asked is unknown") {
		t.Errorf("the call that killed it: %s", r.Text())
	}
	if r := messages[4].ToolResults()[0]; r.IsError || r.Text() != `{"sum":3}` {
		t.Errorf("the next one: %s", r.Text())
	}
}

// Tools of a server are functions of the REPL with the types of their schemas,
// and give Python what they return.
func TestFunctionsOfTheREPL(t *testing.T) {
	ours := stdio(t, mcp.Server{})
	exe := pythonsdk.Need(t).Command(t.Context(), nil, "testdata/server.py")
	theirs := provider(t, mcp.Server{Name: "shop", Command: exe.Args, Env: exe.Env, Dir: dir(t), StartTimeout: 5 * time.Minute})
	kits := []codeagent.Toolkit{}
	for name, p := range map[string]*mcp.Provider{"go_server": ours, "shop": theirs} {
		f, err := p.Functions(t.Context())
		if err != nil || len(f.Tools()) == 0 {
			t.Fatalf("%s: %v, %v", name, f.Tools(), err)
		}
		kits = append(kits, codeagent.ToolkitOf(name, f))
	}
	interpreter := &python.Sandboxed{Logger: slog.New(slog.DiscardHandler)}
	defer interpreter.Close()
	var system string
	a, err := codeagent.New(codeagent.Config{
		Interpreter: interpreter, Toolkits: kits, Logger: slog.New(slog.DiscardHandler),
		Model: &strandstest.Script{Turns: []strandstest.Turn{
			{Python: "from go_server import add\nfrom shop import price, total\np = price('tea', factor=2)\n[p.product, p.amount, p['tags'], add(1, b=2).sum, total([1, 2])]"},
			{Python: "from shop import fails\ntry:\n    fails()\nexcept RuntimeError as e:\n    print(e)"}, {Text: "done"},
		}},
		Hooks: []strands.Hooks{{BeforeModelCall: func(_ context.Context, b *strands.BeforeModelCall) error {
			system = ""
			for _, part := range b.Session.System() {
				system += part.Text
			}
			return nil
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	messages := s.Messages()
	if got := messages[2].ToolResults()[0].Text(); !strings.Contains(got, "['tea', 5, ['a', 'b'], 3, ") {
		t.Errorf("what Python got: %s", got)
	}
	if got := messages[4].ToolResults()[0].Text(); !strings.Contains(got, "Error executing tool fails") {
		t.Errorf("an error of the server: %s", got)
	}
	for _, want := range []string{"def price(product: str, factor: float = 1", "{product: str, amount: float, tags: list[str]}", "def add(a: int, b: int) -> dict", "Ask for prices."} {
		if !strings.Contains(system, want) {
			t.Errorf("the prompt has no %q:\n%s", want, system)
		}
	}
}

func dir(t *testing.T) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return wd
}

// The trace goes with the call; a server that wants a page visited says which.
func TestTraceAndVisit(t *testing.T) {
	server := sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	var parent atomic.Value
	sdk.AddTool(server, &sdk.Tool{Name: "trace"}, func(_ context.Context, req *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
		parent.Store(req.Params.Meta["traceparent"])
		return &sdk.CallToolResult{}, nil, nil
	})
	server.AddTool(&sdk.Tool{Name: "visit", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return nil, &jsonrpc.Error{Code: -32042, Message: "sign in first", Data: json.RawMessage(`{"elicitations":[{"url":"https://x.example/in","message":"Sign in"}]}`)}
	})
	p := provider(t, mcp.Server{Transport: func() (sdk.Transport, error) {
		ours, theirs := sdk.NewInMemoryTransports()
		go func() { _ = server.Run(t.Context(), theirs) }()
		return ours, nil
	}})
	ctx, span := sdktrace.NewTracerProvider().Tracer("t").Start(t.Context(), "call")
	defer span.End()
	if _, err := find(t, p, "trace").Call(ctx, &strands.ToolCall{Input: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if got, _ := parent.Load().(string); !strings.Contains(got, span.SpanContext().TraceID().String()) {
		t.Errorf("the server saw the trace %q", got)
	}
	if _, err := call(t, find(t, p, "visit"), `{}`); err == nil || !strings.Contains(err.Error(), "Sign in https://x.example/in") {
		t.Errorf("got %v", err)
	}
}

func TestReadConfig(t *testing.T) {
	t.Setenv("TOKEN", "hunter2")
	servers, err := mcp.ReadConfig(strings.NewReader(`{"mcpServers":{
		"b":{"command":"srv","args":["--key","${NOPE:-none}"],"env":{"K":"${TOKEN}"},"cwd":"/x","allow":["a*"],"prefix":"","timeout":1.5},
		"a":{"type":"http","url":"https://h/mcp","headers":{"authorization":"Bearer ${TOKEN}"}},
		"c":{"type":"sse","url":"https://h/sse"}}}`))
	if err != nil || len(servers) != 3 {
		t.Fatalf("%v, %v", servers, err)
	}
	a, b, c := servers[0], servers[1], servers[2]
	if a.URL != "https://h/mcp" || a.Header.Get("Authorization") != "Bearer hunter2" || a.Prefix != "a" || !c.SSE {
		t.Errorf("%+v, %+v", a, c)
	}
	if strings.Join(b.Command, " ") != "srv --key none" || b.Env[0] != "K=hunter2" || b.Dir != "/x" || b.Prefix != "" || b.CallTimeout != 1500*time.Millisecond {
		t.Errorf("%+v", b)
	}
	for text, want := range map[string]string{
		`{`: "unexpected", `{}`: "is missing", `{"mcpServers":{"x":{}}}`: "mcpServers.x", `{"mcpServers":{"x":{"command":"c","port":1}}}`: "port",
		`{"mcpServers":{"x":{"command":"c","env":{"A":"${NOPE}"}}}}`: "not set in the environment: NOPE",
		`{"mcpServers":{"x":{"type":"sse","command":"c"}}}`:          "does not fit", `{"mcpServers":{"x":{"type":"pigeon","url":"u"}}}`: "pigeon",
	} {
		_, err := mcp.ReadConfig(strings.NewReader(text))
		if _, ok := errors.AsType[*strands.InputError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A header goes to the server, and not to where it redirects.
func TestHeaderStaysAtHome(t *testing.T) {
	var leaked atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		leaked.Store(leaked.Load() || req.Header.Get("X-Key") != "")
	}))
	t.Cleanup(elsewhere.Close)
	var seen atomic.Bool
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen.Store(seen.Load() || req.Header.Get("X-Key") == "hunter2")
		http.Redirect(w, req, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(home.Close)
	var log strings.Builder
	p := provider(t, mcp.Server{
		URL: home.URL + "/mcp?key=hunter2", Header: http.Header{"X-Key": {"hunter2"}},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	_, _ = p.Tools(t.Context())
	if !seen.Load() || leaked.Load() {
		t.Errorf("the server saw the header: %v, the other one: %v", seen.Load(), leaked.Load())
	}
	if strings.Contains(log.String(), "server=\"http://"+filepath.Base(home.URL)+"/mcp?key") {
		t.Errorf("the log names the key: %s", log.String())
	}
}
