package openai

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

// TestChatCompletions plays OpenAI's own server; TestCompatibleServer below
// one of those that give reasoning.
func TestChatCompletions(t *testing.T) { strandstest.TestModel(t, chatSuite()) }

func chatSuite() strandstest.ModelSuite {
	return strandstest.ModelSuite{
		New: func(t *testing.T, at strandstest.Endpoint) strands.Model {
			m := New(Config{
				Model: "gpt-5", BaseURL: at.URL + "/v1", APIKey: "sk-test", MaxTokens: 1000, CachePoints: true,
				HTTPClient: at.Client, IdleTimeout: at.IdleTimeout,
			})
			m.openAI = true // which decides the names of some fields
			return m
		},
		Play: playChat, Broken: []byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"con\n\n"),
		Golden: "testdata/chat", Check: checkRequest("/v1/chat/completions"),
		Lacks: append(chatLacks, strandstest.Reasoning),
	}
}

func TestCompatibleServer(t *testing.T) {
	strandstest.TestModel(t, strandstest.ModelSuite{
		New: func(t *testing.T, at strandstest.Endpoint) strands.Model {
			return New(Config{
				Model: "qwen3", BaseURL: at.URL + "/v1", APIKey: "sk-test", MaxTokens: 1000, Temperature: new(0.5), TopP: new(0.9),
				Stop: []string{"END"}, Extra: map[string]any{"top_k": 20}, HTTPClient: at.Client, IdleTimeout: at.IdleTimeout,
			})
		},
		Play: playChat, Broken: []byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"con\n\n"),
		Golden: "testdata/compatible", Check: checkRequest("/v1/chat/completions"),
		Lacks: chatLacks,
	})
}

var chatLacks = []strandstest.Feature{
	strandstest.Signatures, strandstest.Redacted, strandstest.ReplyImages,
	strandstest.Videos, strandstest.Guards,
	strandstest.Stops(strands.StopSequence), strandstest.Stops(strands.StopGuardrail), strandstest.Stops(strands.StopPause),
}

func checkRequest(path string) func(*testing.T, *http.Request, []byte) {
	return func(t *testing.T, r *http.Request, body []byte) {
		if r.URL.Path != path {
			t.Errorf("the request went to %s", r.URL.Path)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer sk-test" {
			t.Errorf("Authorization is %q", got)
		}
		var v struct{ Stream bool }
		if err := json.Unmarshal(body, &v); err != nil || !v.Stream {
			t.Errorf("no stream was asked for (%v): %s", err, body)
		}
	}
}

type object = map[string]any

// sse is an event of a stream.
func sse(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return slices.Concat([]byte("data: "), b, []byte("\n\n"))
}

func playChat(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil && a.Parts == nil {
		return playError(a.Error)
	}
	w := strandstest.Wire{Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}}
	send := func(delta object, finish any) {
		w.Frames = append(w.Frames, sse(object{
			"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1750000000, "model": a.Model, "system_fingerprint": "fp_1",
			"choices": []object{{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}, "usage": nil,
		}))
	}
	send(object{"role": "assistant", "content": "", "refusal": nil}, nil)
	textField := "content"
	if a.StopReason == strands.StopRefusal {
		textField = "refusal"
	}
	calls := 0
	for _, p := range a.Parts {
		switch {
		case p.Reasoning != nil:
			for _, s := range a.Pieces(p.Reasoning.Text) {
				send(object{"reasoning_content": s}, nil)
			}
		case p.ToolCall != nil:
			send(object{"tool_calls": []object{{
				"index": calls, "id": p.ToolCall.ID, "type": "function", "function": object{"name": p.ToolCall.Name, "arguments": ""},
			}}}, nil)
			for _, s := range a.Pieces(string(p.ToolCall.Input)) {
				send(object{"tool_calls": []object{{"index": calls, "function": object{"arguments": s}}}}, nil)
			}
			calls++
		default:
			for _, s := range a.Pieces(p.Text) {
				send(object{textField: s}, nil)
			}
		}
	}
	if a.Error != nil {
		w.Frames = append(w.Frames, sse(object{"error": object{"message": a.Error.Message, "type": "server_error", "code": nil}}))
		return w
	}
	send(object{}, finishes[a.StopReason])
	w.Frames = append(w.Frames, sse(object{
		"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1750000000, "model": a.Model, "choices": []any{},
		"usage": object{
			"prompt_tokens": a.Usage.Input + a.Usage.CacheRead + a.Usage.CacheWrite, "completion_tokens": a.Usage.Output, "total_tokens": a.Usage.Total(),
			"prompt_tokens_details":     object{"cached_tokens": a.Usage.CacheRead, "cache_write_tokens": a.Usage.CacheWrite},
			"completion_tokens_details": object{"reasoning_tokens": a.Usage.Reasoning},
		},
	}), []byte("data: [DONE]\n\n"))
	return w
}

var finishes = map[strands.StopReason]string{
	strands.StopEndTurn: "stop", strands.StopToolUse: "tool_calls", strands.StopMaxTokens: "length",
	strands.StopContentFiltered: "content_filter", strands.StopRefusal: "stop",
}

// serverErrors are the status, type and code of each kind of error.
var serverErrors = map[strands.ModelErrorKind]struct {
	status int
	kind   string
	code   any
}{
	strands.ModelThrottled:  {429, "requests", "rate_limit_exceeded"},
	strands.ModelOverflow:   {400, "invalid_request_error", "context_length_exceeded"},
	strands.ModelRefused:    {400, "invalid_request_error", "content_policy_violation"},
	strands.ModelAuth:       {401, "invalid_request_error", "invalid_api_key"},
	strands.ModelNotFound:   {404, "invalid_request_error", "model_not_found"},
	strands.ModelTransient:  {500, "server_error", nil},
	strands.ModelBadRequest: {400, "invalid_request_error", nil},
}

func playError(e *strands.ModelError) strandstest.Wire {
	s := serverErrors[e.Kind]
	w := strandstest.Wire{Status: s.status, Header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"req_1"}}}
	if e.RetryAfter > 0 {
		w.Header.Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	}
	b, err := json.Marshal(object{"error": object{"message": e.Message, "type": s.kind, "param": nil, "code": s.code}})
	if err != nil {
		panic(err)
	}
	w.Frames = [][]byte{b}
	return w
}
