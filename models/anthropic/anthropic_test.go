package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

func TestMessages(t *testing.T) { strandstest.TestModel(t, messageSuite()) }

func messageSuite() strandstest.ModelSuite {
	return strandstest.ModelSuite{
		New: func(t *testing.T, at strandstest.Endpoint) strands.Model {
			return New(Config{
				Model: "claude-sonnet-4-5", BaseURL: at.URL, APIKey: "sk-test", Thinking: Thinking{Budget: 2048}, Cache: true, CacheTTL: "1h",
				Temperature: new(1.0), TopP: new(0.9), TopK: 40, Stop: []string{"END"}, Betas: []string{"context-1m-2025-08-07"},
				Extra: map[string]any{"service_tier": "auto"}, HTTPClient: at.Client, IdleTimeout: at.IdleTimeout,
			})
		},
		Play: play, Broken: []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"del\n\n"),
		Golden: "testdata/messages", Check: check,
		Citation: &strands.Citation{Kind: "char", Title: "Lawns", Source: 1, Start: 3, End: 17, Quotes: []string{"grass is green"}},
		Lacks: []strandstest.Feature{
			strandstest.ReplyImages, strandstest.Videos, strandstest.Guards,
			strandstest.Stops(strands.StopContentFiltered), strandstest.Stops(strands.StopGuardrail),
		},
	}
}

func check(t *testing.T, r *http.Request, body []byte) {
	if r.URL.Path != "/v1/messages" || r.Method != "POST" {
		t.Errorf("the request is %s %s", r.Method, r.URL.Path)
	}
	for header, want := range map[string]string{
		"X-Api-Key": "sk-test", "Anthropic-Version": "2023-06-01", "Anthropic-Beta": "context-1m-2025-08-07",
	} {
		if got := r.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	var v struct {
		Stream   bool
		Messages []struct{ Content []any }
	}
	if err := json.Unmarshal(body, &v); err != nil || !v.Stream {
		t.Errorf("no stream was asked for (%v): %s", err, body)
	}
	for _, m := range v.Messages {
		if len(m.Content) == 0 {
			t.Errorf("a message without content, which the server refuses: %s", body)
		}
	}
}

type object = map[string]any

// events writes the events of a stream.
type events struct{ frames [][]byte }

func (e *events) send(kind string, fields object) {
	fields["type"] = kind
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	e.frames = append(e.frames, slices.Concat([]byte("event: "+kind+"\ndata: "), b, []byte("\n\n")))
}

func (e *events) block(i int, start object, deltas ...object) {
	e.send("content_block_start", object{"index": i, "content_block": start})
	for _, d := range deltas {
		e.send("content_block_delta", object{"index": i, "delta": d})
	}
	e.send("content_block_stop", object{"index": i})
}

func (e *events) part(a strandstest.Answer, i int, p strands.Part) {
	deltas := func(kind, field, s string) (d []object) {
		for _, piece := range a.Pieces(s) {
			d = append(d, object{"type": kind, field: piece})
		}
		return d
	}
	switch {
	case p.Reasoning != nil && p.Reasoning.Redacted != nil:
		e.block(i, object{"type": "redacted_thinking", "data": string(p.Reasoning.Redacted)})
	case p.Reasoning != nil:
		d := deltas("thinking_delta", "thinking", p.Reasoning.Text)
		e.block(i, object{"type": "thinking", "thinking": "", "signature": ""}, append(d, object{"type": "signature_delta", "signature": p.Reasoning.Signature})...)
	case p.ToolCall != nil:
		d := append([]object{{"type": "input_json_delta", "partial_json": ""}}, deltas("input_json_delta", "partial_json", string(p.ToolCall.Input))...)
		e.block(i, object{"type": "tool_use", "id": p.ToolCall.ID, "name": p.ToolCall.Name, "input": object{}}, d...)
	case p.Cited != nil:
		c := p.Cited.Citations[0]
		e.block(i, object{"type": "text", "text": "", "citations": []any{}}, append(deltas("text_delta", "text", p.Cited.Text), object{
			"type": "citations_delta", "citation": object{
				"type": "char_location", "cited_text": c.Quotes[0], "document_index": c.Source, "document_title": c.Title,
				"start_char_index": c.Start, "end_char_index": c.End,
			},
		})...)
	default:
		e.block(i, object{"type": "text", "text": ""}, deltas("text_delta", "text", p.Text)...)
	}
}

func play(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil && a.Parts == nil {
		return playError(a.Error)
	}
	var e events
	usage := object{
		"input_tokens": a.Usage.Input, "cache_creation_input_tokens": a.Usage.CacheWrite, "cache_read_input_tokens": a.Usage.CacheRead,
		"output_tokens": 1, "service_tier": "standard",
	}
	e.send("message_start", object{"message": object{
		"id": "msg_1", "type": "message", "role": "assistant", "model": a.Model, "content": []any{},
		"stop_reason": nil, "stop_sequence": nil, "usage": usage,
	}})
	e.send("ping", object{})
	for i, p := range a.Parts {
		e.part(a, i, p)
	}
	w := strandstest.Wire{Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}, "Request-Id": {"req_1"}}}
	if a.Error != nil {
		e.send("error", object{"error": object{"type": "api_error", "message": a.Error.Message}})
		w.Frames = e.frames
		return w
	}
	e.send("message_delta", object{
		"delta": object{"stop_reason": a.StopReason, "stop_sequence": nil},
		"usage": object{"output_tokens": a.Usage.Output, "output_tokens_details": object{"thinking_tokens": a.Usage.Reasoning}},
	})
	e.send("message_stop", object{})
	w.Frames = e.frames
	return w
}

func playError(e *strands.ModelError) strandstest.Wire {
	s := map[strands.ModelErrorKind]struct {
		status     int
		kind, text string
	}{
		strands.ModelThrottled:  {429, "rate_limit_error", ""},
		strands.ModelOverflow:   {400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum. "},
		strands.ModelRefused:    {400, "invalid_request_error", "Output blocked by content filtering policy. "},
		strands.ModelAuth:       {401, "authentication_error", ""},
		strands.ModelNotFound:   {404, "not_found_error", ""},
		strands.ModelTransient:  {500, "api_error", ""},
		strands.ModelBadRequest: {400, "invalid_request_error", ""},
	}[e.Kind]
	w := strandstest.Wire{Status: s.status, Header: http.Header{"Content-Type": {"application/json"}}}
	if e.RetryAfter > 0 {
		w.Header.Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	}
	b, err := json.Marshal(object{"type": "error", "error": object{"type": s.kind, "message": s.text + e.Message}, "request_id": "req_1"})
	if err != nil {
		panic(err)
	}
	w.Frames = [][]byte{b}
	return w
}

func TestConfig(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "")
	for says, cfg := range map[string]Config{
		"Config.Model": {}, "ANTHROPIC_API_KEY": {Model: "claude-sonnet-4-5"}, "https://": {Model: "m", BaseURL: "here"},
	} {
		for _, err := range New(cfg).Generate(t.Context(), &strands.Request{}) {
			if _, ok := errors.AsType[*strands.ModelError](err); !ok || !strings.Contains(err.Error(), says) {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
	}
}

func TestOverloaded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(529)
		fmt.Fprint(w, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	}))
	defer server.Close()
	for _, err := range New(Config{Model: "m", BaseURL: server.URL}).Generate(t.Context(), &strands.Request{}) {
		if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != strands.ModelThrottled {
			t.Errorf("an overloaded server gave %v", err)
		}
	}
}

// TestWholeInput: other makers' servers send the input of a tool call with its
// beginning.
func TestWholeInput(t *testing.T) {
	var e events
	e.send("message_start", object{"message": object{"model": "m"}})
	e.block(0, object{"type": "tool_use", "id": "a", "name": "add", "input": object{"x": 1}})
	e.block(1, object{"type": "tool_use", "id": "b", "name": "add", "input": object{"x": 2}}, object{"type": "input_json_delta", "partial_json": `{"x":2}`})
	e.send("message_delta", object{"delta": object{"stop_reason": "tool_use"}})
	e.send("message_stop", object{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, f := range e.frames {
			_, _ = w.Write(f)
		}
	}))
	defer server.Close()
	for c, err := range New(Config{Model: "m", BaseURL: server.URL}).Generate(t.Context(), &strands.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Reply == nil {
			continue
		}
		if calls := c.Reply.Message.ToolCalls(); len(calls) != 2 || string(calls[0].Input) != `{"x":1}` || string(calls[1].Input) != `{"x":2}` {
			t.Errorf("the calls are %+v", calls)
		}
	}
}

func TestForcedToolDoesNotThink(t *testing.T) {
	m := New(Config{Model: "claude-sonnet-4-5", APIKey: "k", Thinking: Thinking{Adaptive: true}})
	for forced, req := range map[bool]*strands.Request{false: {}, true: {ToolChoice: strands.ToolChoice{Any: true}}} {
		p, err := m.params(req)
		if err != nil {
			t.Fatal(err)
		}
		if thinks := p.Thinking.OfAdaptive != nil; thinks == forced {
			t.Errorf("with forced %v the model thinks: %v", forced, thinks)
		}
	}
}

func TestCountTokens(t *testing.T) {
	var sent object
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/messages/count_tokens" {
			t.Errorf("the request went to %s", r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"input_tokens":123}`)
	}))
	defer server.Close()
	n, err := New(Config{Model: "m", BaseURL: server.URL}).CountTokens(t.Context(), &strands.Request{
		System: []strands.Part{strands.Text("Be brief.")}, Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))},
		Tools: []strands.ToolSpec{{Name: "now"}},
	})
	if err != nil || n != 123 {
		t.Errorf("CountTokens is %d, %v", n, err)
	}
	if sent["system"] == nil || sent["tools"] == nil || sent["max_tokens"] != nil {
		t.Errorf("sent was %v", sent)
	}
}
