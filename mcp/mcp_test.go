package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/mcp"
)

// TestMain makes the test binary a real server on standard input and output
// when it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv("MCP_TEST_SERVER") != "" {
		if err := newServer().Run(context.Background(), &sdk.StdioTransport{}); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

type numbers struct {
	A int `json:"a"`
	B int `json:"b"`
}

type sum struct {
	Sum int `json:"sum"`
}

func newServer() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "add", Description: "Adds."}, func(_ context.Context, _ *sdk.CallToolRequest, in numbers) (*sdk.CallToolResult, sum, error) {
		return nil, sum{in.A + in.B}, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "fail.hard"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return nil, nil, errors.New("no luck")
	})
	sdk.AddTool(s, &sdk.Tool{Name: "hang"}, func(ctx context.Context, _ *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	})
	sdk.AddTool(s, &sdk.Tool{Name: "die"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		os.Exit(3)
		return nil, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "pid"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: strconv.Itoa(os.Getpid())}}}, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "env"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: strings.Join(os.Environ(), "\n")}}}, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "show"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{
			&sdk.ImageContent{MIMEType: "image/png", Data: []byte{1, 2}},
			&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x://y", MIMEType: "text/csv", Blob: []byte("a,b")}},
			&sdk.AudioContent{MIMEType: "audio/wav", Data: []byte{1}},
		}}, nil, nil
	})
	return s
}

func stdio(t *testing.T, s mcp.Server) *mcp.Provider {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Command, s.Env = []string{exe}, append(s.Env, "MCP_TEST_SERVER=1")
	return provider(t, s)
}

func provider(t *testing.T, s mcp.Server) *mcp.Provider {
	t.Helper()
	p, err := mcp.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

func names(tools []strands.Tool) string {
	var l []string
	for _, tool := range tools {
		l = append(l, tool.Spec().Name)
	}
	return strings.Join(l, " ")
}

func find(t *testing.T, p *mcp.Provider, name string) strands.Tool {
	t.Helper()
	tools, err := p.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		if tool.Spec().Name == name {
			return tool
		}
	}
	t.Fatalf("no tool %q in %s", name, names(tools))
	return nil
}

func call(t *testing.T, tool strands.Tool, input string) (*strands.ToolResult, error) {
	t.Helper()
	return tool.Call(t.Context(), &strands.ToolCall{ID: "c", Name: tool.Spec().Name, Input: json.RawMessage(input)})
}

func TestStdio(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	p := stdio(t, mcp.Server{Env: []string{"EXTRA=1"}})
	tools, err := p.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := names(tools); got != "add die env fail_hard hang pid show" {
		t.Errorf("tools: %s", got)
	}
	add := find(t, p, "add")
	if s := add.Spec(); s.Description != "Adds." || !strings.Contains(string(s.OutputSchema), `"sum"`) || !strings.Contains(string(s.InputSchema), `"required"`) {
		t.Errorf("spec: %+v", s)
	}
	res, err := call(t, add, `{"a":2,"b":3}`)
	if err != nil || res.IsError || res.Text() != `{"sum":5}` || res.CallID != "c" {
		t.Errorf("%+v, %v", res, err)
	}
	if v, ok := res.Value.(map[string]any); !ok || v["sum"] != 5.0 {
		t.Errorf("value: %v", res.Value)
	}
	if res, err := call(t, add, `{"a":"x"}`); err == nil && !res.IsError {
		t.Errorf("a wrong input: %+v", res)
	}
	if res, err := call(t, find(t, p, "fail_hard"), `{}`); err != nil || !res.IsError || !strings.Contains(res.Text(), "no luck") {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err = call(t, find(t, p, "env"), `{}`); err != nil || strings.Contains(res.Text(), "hunter2") || !strings.Contains(res.Text(), "EXTRA=1") {
		t.Errorf("the server's environment: %v, %v", res.Text(), err)
	}
	res, err = call(t, find(t, p, "show"), `{}`)
	if err != nil || len(res.Parts) != 3 || res.Parts[0].Image == nil || res.Parts[1].Text != "a,b" || res.Parts[2].Text != "[audio: audio/wav, 1 bytes]" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestFiltersAndPrefix(t *testing.T) {
	p := stdio(t, mcp.Server{Prefix: "srv", Allow: []string{"a*", "*n*"}, Reject: []string{"hang"}})
	tools, err := p.Tools(t.Context())
	if err != nil || names(tools) != "srv_add srv_env" {
		t.Errorf("%s, %v", names(tools), err)
	}
	if res, err := call(t, tools[0], `{"a":1,"b":1}`); err != nil || res.IsError {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestHungServerDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, mcp.Server{CallTimeout: 100 * time.Millisecond, Transport: func() (sdk.Transport, error) {
			ours, theirs := sdk.NewInMemoryTransports()
			go func() { _ = newServer().Run(t.Context(), theirs) }()
			return ours, nil
		}})
		if _, err := call(t, find(t, p, "hang"), `{}`); err == nil || !strings.Contains(err.Error(), "did not answer") {
			t.Errorf("got %v", err)
		}
		if res, err := call(t, find(t, p, "add"), `{"a":1,"b":1}`); err != nil || res.IsError {
			t.Errorf("after a hung call: %+v, %v", res, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := find(t, p, "hang").Call(ctx, &strands.ToolCall{Input: json.RawMessage(`{}`)}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// A server that does not end by itself is ended, and Close is content.
func TestCloseEndsAStubbornServer(t *testing.T) {
	t.Parallel()
	p := stdio(t, mcp.Server{})
	pid, err := call(t, find(t, p, "pid"), `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", "-STOP", pid.Text()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("kill", "-0", pid.Text()).CombinedOutput(); err == nil {
		t.Errorf("the server lives on: %s", out)
	}
}

func TestDeadServerIsStartedAgain(t *testing.T) {
	p := stdio(t, mcp.Server{})
	add := find(t, p, "add")
	if _, err := call(t, find(t, p, "die"), `{}`); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("the call that killed it: %v", err)
	}
	if res, err := call(t, add, `{"a":1,"b":1}`); err != nil || res.IsError {
		t.Errorf("a tool from before: %+v, %v", res, err)
	}
	if tools, err := p.Tools(t.Context()); err != nil || len(tools) != 7 {
		t.Errorf("%s, %v", names(tools), err)
	}
}

func TestUnreachable(t *testing.T) {
	missing := []string{"/nonexistent/server"}
	if tools, err := provider(t, mcp.Server{Command: missing}).Tools(t.Context()); err != nil || tools != nil {
		t.Errorf("optional: %v, %v", tools, err)
	}
	if _, err := provider(t, mcp.Server{Command: missing, Required: true}).Tools(t.Context()); err == nil {
		t.Error("required: no error")
	}
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // only then is a caller's leaving noticed
		<-req.Context().Done()
	}))
	t.Cleanup(hung.Close)
	p := provider(t, mcp.Server{URL: hung.URL, Required: true, StartTimeout: 100 * time.Millisecond})
	if _, err := p.Tools(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hung at the start: %v", err)
	}
	closed, err := mcp.New(mcp.Server{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := closed.Tools(t.Context()); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestStreamableHTTPAndListChanged(t *testing.T) {
	server := newServer()
	var authorized atomic.Int32
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") == "Bearer t" {
			authorized.Add(1)
		}
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(web.Close)
	p := provider(t, mcp.Server{URL: web.URL, HTTPClient: &http.Client{Transport: bearer("t")}})
	if res, err := call(t, find(t, p, "add"), `{"a":20,"b":22}`); err != nil || res.Text() != `{"sum":42}` {
		t.Errorf("%+v, %v", res, err)
	}
	if authorized.Load() == 0 {
		t.Error("the client's credentials were not sent")
	}
	sdk.AddTool(server, &sdk.Tool{Name: "later"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{}, nil, nil
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		tools, err := p.Tools(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(names(tools), "later") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new tool never came: %s", names(tools))
		}
	}
	if err := p.Close(); err != nil { // before the server, which waits for its streams
		t.Error(err)
	}
}

type bearer string

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(req)
}

func TestBadConfig(t *testing.T) {
	for _, s := range []mcp.Server{{}, {URL: "http://x", Command: []string{"y"}}, {URL: "http://x", Allow: []string{"["}}} {
		if _, err := mcp.New(s); err == nil {
			t.Errorf("%+v was accepted", s)
		} else if _, ok := errors.AsType[*strands.InputError](err); !ok {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
