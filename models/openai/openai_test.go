package openai

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
)

// ask makes one call of m.
func ask(t *testing.T, m *Model) (*strands.Reply, error) {
	t.Helper()
	for c, err := range m.Generate(t.Context(), &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))}}) {
		if err != nil || c.Reply != nil {
			return c.Reply, err
		}
	}
	t.Fatal("no reply")
	return nil, nil
}

func TestConfig(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	t.Setenv("OPENAI_BASE_URL", "")
	for name, c := range map[string]struct {
		cfg  Config
		kind strands.ModelErrorKind
		says string
	}{
		"empty":  {Config{}, strands.ModelBadRequest, "Config.Model"},
		"no key": {Config{Model: "gpt-5"}, strands.ModelAuth, "OPENAI_API_KEY"},
		"no URL": {Config{Model: "gpt-5", BaseURL: "localhost:8000"}, strands.ModelBadRequest, "https://"},
	} {
		m := New(c.cfg)
		_, err := ask(t, m)
		me, ok := errors.AsType[*strands.ModelError](err)
		if !ok || me.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if m.Check() == nil {
			t.Errorf("%s: Check finds nothing", name)
		}
	}
}

func TestKeyStaysAtHome(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	t.Setenv("OPENAI_ORG_ID", "org-secret")
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()

	t.Setenv("OPENAI_BASE_URL", "")
	ask(t, New(Config{Model: "m", BaseURL: server.URL}))
	if text := fmt.Sprint(got); got == nil || strings.Contains(text, "secret") {
		t.Errorf("another server was sent %v", got)
	}
	t.Setenv("OPENAI_BASE_URL", server.URL)
	ask(t, New(Config{Model: "m"}))
	if got.Get("Authorization") != "Bearer sk-secret" {
		t.Errorf("the server of OPENAI_BASE_URL was not sent the key: %v", got)
	}
}

// serve answers every request with body.
func serve(t *testing.T, status int, kind, body string) *Model {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return New(Config{Model: "m", BaseURL: server.URL + "/v1"})
}

// TestErrorsOfImitators: the shapes in which other servers report errors.
func TestErrorsOfImitators(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   strands.ModelErrorKind
		says   string
	}{
		"llama.cpp": {400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_ctx":4096}}`, strands.ModelOverflow, "exceeds"},
		"vLLM":      {400, `{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}`, strands.ModelOverflow, "4096"},
		"FastAPI":   {422, `{"detail":"field required"}`, strands.ModelBadRequest, "field required"},
		"string":    {404, `{"error":"model 'm' not found"}`, strands.ModelNotFound, "not found"},
		"quota":     {429, `{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, strands.ModelAuth, "quota"},
		"page":      {503, "<html><body>upstream</body></html>", strands.ModelTransient, "Service Unavailable"},
		"long line": {200, "data: " + strings.Repeat("x", 33<<20), strands.ModelTransient, "a line that is too long"},
		"plain":     {400, "no\nsuch thing", strands.ModelBadRequest, "no such thing"},
		"late":      {200, "data: {\"error\":{\"code\":503,\"message\":\"Provider is down\"}}\n\n", strands.ModelTransient, "Provider is down"},
		"late 3":    {200, `data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":"error"}]}` + "\n\n", strands.ModelTransient, "in the middle"},
		"as well":   {200, `{"error":{"code":429,"message":"Slow down"}}`, strands.ModelThrottled, "Slow down"},
		"too long":  {200, `{"error":"the context size has been exceeded"}`, strands.ModelTransient, "exceeded"},
		"no stream": {200, `{"choices":[]}`, strands.ModelBadRequest, "instead of a stream"},
		"late 2":    {200, "data: {\"error\":{\"code\":429,\"message\":\"Slow down\"}}\n\n", strands.ModelThrottled, "Slow down"},
	} {
		_, err := ask(t, serve(t, c.status, "application/json", c.body))
		me, ok := errors.AsType[*strands.ModelError](err)
		if !ok || me.Kind != c.kind || !strings.Contains(me.Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCallsOfImitators: servers that give all tool calls the same index, no
// id, or no reason to call a tool.
func TestCallsOfImitators(t *testing.T) {
	call := func(fields string) string {
		return `data: {"choices":[{"index":0,"delta":{"tool_calls":[{` + fields + `}]}}]}` + "\n\n"
	}
	end := `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"same index": {call(`"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}`) +
			call(`"index":0,"id":"b","function":{"name":"g","arguments":"{}"}`), []string{`f {"x":1}`, "g {}"}},
		"interleaved": {call(`"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}`) +
			call(`"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}`) +
			call(`"index":0,"function":{"arguments":":1}"}`) + call(`"index":1,"function":{"arguments":":2}"}`), []string{`f {"x":1}`, `g {"y":2}`}},
		"id repeated": {call(`"index":0,"id":"a","function":{"name":"f","arguments":"{"}`) +
			call(`"index":0,"id":"a","function":{"arguments":"}"}`), []string{"f {}"}},
		"no id": {call(`"index":0,"function":{"name":"f"}`), []string{"f {}"}},
	} {
		reply, err := ask(t, serve(t, 200, "text/event-stream", c.body+end))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, c := range reply.Message.ToolCalls() {
			got = append(got, c.Name+" "+string(c.Input))
			if c.ID == "" {
				t.Errorf("%s: a call without an id", name)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) || reply.StopReason != strands.StopToolUse {
			t.Errorf("%s: %v, %s", name, got, reply.StopReason)
		}
	}
}
