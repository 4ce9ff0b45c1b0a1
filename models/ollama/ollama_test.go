package ollama

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

func TestChat(t *testing.T) { strandstest.TestModel(t, chatSuite()) }

func chatSuite() strandstest.ModelSuite {
	return strandstest.ModelSuite{
		New: func(t *testing.T, at strandstest.Endpoint) strands.Model {
			return New(Config{
				Model: "qwen3", BaseURL: at.URL + ":80", APIKey: "key", ContextWindow: 32768, MaxTokens: 1000, Temperature: new(0.5), TopP: new(0.9),
				Stop: []string{"END"}, Think: "on", KeepAlive: time.Hour, Options: map[string]any{"top_k": 20}, Headers: map[string]string{"X-Team": "a"},
				HTTPClient: at.Client, IdleTimeout: at.IdleTimeout,
			})
		},
		Play: play, Broken: []byte("{\"model\":\"qwen3\",\"mess\n"),
		Golden: "testdata/chat",
		Check: func(t *testing.T, r *http.Request, body []byte) {
			if r.URL.Path != "/api/chat" || r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("X-Team") != "a" {
				t.Errorf("the request is %s with %v", r.URL, r.Header)
			}
		},
		Lacks: []strandstest.Feature{
			strandstest.Signatures, strandstest.Redacted, strandstest.ImageURLs, strandstest.ReplyImages, strandstest.Documents, strandstest.Videos,
			strandstest.Guards, strandstest.BrokenInputs, strandstest.CacheRead, strandstest.CacheWrite, strandstest.ReasoningTokens,
			strandstest.Stops(strands.StopSequence), strandstest.Stops(strands.StopContentFiltered), strandstest.Stops(strands.StopGuardrail),
			strandstest.Stops(strands.StopRefusal), strandstest.Stops(strands.StopPause), strandstest.Fails(strands.ModelRefused),
		},
	}
}

type object = map[string]any

func jsonLine(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(b, '\n')
}

func play(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil && a.Parts == nil {
		return playError(a.Error)
	}
	w := strandstest.Wire{Header: http.Header{"Content-Type": {"application/x-ndjson"}}}
	send := func(message object) {
		message["role"] = "assistant"
		if message["content"] == nil {
			message["content"] = ""
		}
		w.Frames = append(w.Frames, jsonLine(object{"model": a.Model, "created_at": "2026-11-21T00:00:00.5Z", "message": message, "done": false}))
	}
	for i, p := range a.Parts {
		switch {
		case p.Reasoning != nil:
			for _, s := range a.Pieces(p.Reasoning.Text) {
				send(object{"thinking": s})
			}
		case p.ToolCall != nil:
			send(object{"tool_calls": []object{{"id": p.ToolCall.ID, "function": object{"index": i, "name": p.ToolCall.Name, "arguments": p.ToolCall.Input}}}})
		default:
			for _, s := range a.Pieces(p.Text) {
				send(object{"content": s})
			}
		}
	}
	if a.Error != nil {
		w.Frames = append(w.Frames, jsonLine(object{"error": a.Error.Message}))
		return w
	}
	reason := "stop"
	if a.StopReason == strands.StopMaxTokens {
		reason = "length"
	}
	w.Frames = append(w.Frames, jsonLine(object{
		"model": a.Model, "created_at": "2026-11-21T00:00:01Z", "message": object{"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
		"total_duration": 123456, "load_duration": 123, "prompt_eval_count": a.Usage.Input, "prompt_eval_duration": 5, "eval_count": a.Usage.Output, "eval_duration": 7,
	}))
	return w
}

func playError(e *strands.ModelError) strandstest.Wire {
	s := map[strands.ModelErrorKind]struct {
		status int
		text   string
	}{
		strands.ModelThrottled:  {429, "too many concurrent requests. "},
		strands.ModelOverflow:   {400, "the input length exceeds the context length. "},
		strands.ModelAuth:       {401, "unauthorized. "},
		strands.ModelNotFound:   {404, "model 'qwen3' not found. "},
		strands.ModelTransient:  {500, "llama runner process has terminated. "},
		strands.ModelBadRequest: {400, "\"qwen3\" does not support tools. "},
	}[e.Kind]
	w := strandstest.Wire{Status: s.status, Header: http.Header{"Content-Type": {"application/json"}}}
	if e.RetryAfter > 0 {
		w.Header.Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	}
	w.Frames = [][]byte{jsonLine(object{"error": s.text + e.Message})}
	return w
}

// answers makes a model whose server says lines and tells what it was sent.
func answers(t *testing.T, lines ...object) (*Model, *object) {
	t.Helper()
	sent := new(object)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*sent = nil
		if err := json.NewDecoder(r.Body).Decode(sent); err != nil {
			t.Error(err)
		}
		for _, l := range lines {
			w.Write(jsonLine(l))
		}
	}))
	t.Cleanup(server.Close)
	return New(Config{Model: "qwen3", BaseURL: server.URL}), sent
}

// TestForcedTools: what the protocol cannot ask for is made with a format.
func TestForcedTools(t *testing.T) {
	specs := []strands.ToolSpec{
		{Name: "save", Description: "Saves.", InputSchema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`)}, {Name: "now"},
	}
	say := func(content string) object { return object{"message": object{"content": content}} }
	done := object{"done": true, "done_reason": "stop"}
	for name, c := range map[string]struct {
		choice strands.ToolChoice
		lines  []object
		format string
	}{
		"one": {strands.ToolChoice{Tool: "save"}, []object{say(`{"n"`), say(`:7}`), done}, `"n"`},
		"any": {strands.ToolChoice{Any: true}, []object{say(`{"name":"save",`), say(`"arguments":{"n":7}}`), done}, `anyOf`},
	} {
		m, sent := answers(t, c.lines...)
		var reply *strands.Reply
		for chunk, err := range m.Generate(t.Context(), &strands.Request{Tools: specs, ToolChoice: c.choice}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			reply = chunk.Reply
		}
		calls := reply.Message.ToolCalls()
		if len(calls) != 1 || calls[0].Name != "save" || string(calls[0].Input) != `{"n":7}` || reply.StopReason != strands.StopToolUse {
			t.Errorf("%s: the reply is %+v", name, reply)
		}
		if b, _ := json.Marshal((*sent)["format"]); !strings.Contains(string(b), c.format) {
			t.Errorf("%s: the format is %s", name, b)
		}
	}
}

func TestHost(t *testing.T) {
	for env, want := range map[string]string{
		"": "http://127.0.0.1:11434", "0.0.0.0": "http://127.0.0.1:11434", "box:8080": "http://box:8080", "https://ollama.com": "https://ollama.com",
		"[::1]:11434": "http://[::1]:11434", "http://box/": "http://box:11434",
	} {
		t.Setenv("OLLAMA_HOST", env)
		if got, ok := Host(""); got != want || !ok {
			t.Errorf("OLLAMA_HOST=%q gives %q, %v", env, got, ok)
		}
	}
}

func TestConfig(t *testing.T) {
	for says, cfg := range map[string]Config{"ollama list": {}, "127.0.0.1:11434": {Model: "m", BaseURL: "http://"}, "is the server running": {Model: "m", BaseURL: "http://127.0.0.1:1"}} {
		for _, err := range New(cfg).Generate(t.Context(), &strands.Request{}) {
			if _, ok := errors.AsType[*strands.ModelError](err); !ok || !strings.Contains(err.Error(), says) {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
	}
}

func TestInstalled(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/tags" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		fmt.Fprint(w, `{"models":[{"name":"qwen3:latest","size":1},{"name":"llama3.2:3b"}]}`)
	}))
	defer server.Close()
	names, err := Installed(t.Context(), nil, server.URL)
	if err != nil || fmt.Sprint(names) != "[qwen3:latest llama3.2:3b]" {
		t.Errorf("%v, %v", names, err)
	}
}

// TestErrorInAStream: as Ollama writes it, as others do, and none.
func TestErrorInAStream(t *testing.T) {
	for want, said := range map[string]any{"out of memory": "out of memory", "overloaded": object{"message": "overloaded", "code": 503}, "": nil} {
		m, _ := answers(t, object{"message": object{"content": "Hi"}, "done": true, "error": said})
		got := ""
		for _, err := range m.Generate(t.Context(), new(strands.Request)) {
			if me, ok := errors.AsType[*strands.ModelError](err); ok {
				got = me.Message
			}
		}
		if got != want {
			t.Errorf("%v: %q", said, got)
		}
	}
}
