package openai

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

func TestResponses(t *testing.T) { strandstest.TestModel(t, responseSuite()) }

func responseSuite() strandstest.ModelSuite {
	return strandstest.ModelSuite{
		New: func(t *testing.T, at strandstest.Endpoint) strands.Model {
			m := New(Config{
				Model: "gpt-5", BaseURL: at.URL + "/v1", APIKey: "sk-test", Responses: true, MaxTokens: 1000,
				ReasoningEffort: "low", ReasoningSummary: "auto", CachePoints: true,
				Extra: map[string]any{"service_tier": "flex"}, HTTPClient: at.Client, IdleTimeout: at.IdleTimeout,
			})
			m.openAI = true // which decides what reasoning is asked for and sent
			return m
		},
		Play: playResponse, Broken: []byte("data: {\"type\":\"response.output_text.delta\",\"del\n\n"),
		Golden: "testdata/responses", Check: checkRequest("/v1/responses"),
		Citation: &strands.Citation{Kind: "web", Title: "Lawns", URL: "https://example.com/lawns"},
		Lacks: []strandstest.Feature{
			strandstest.Redacted, strandstest.Videos, strandstest.Guards,
			strandstest.Stops(strands.StopSequence), strandstest.Stops(strands.StopGuardrail), strandstest.Stops(strands.StopPause),
		},
	}
}

// output writes the events of a Responses stream.
type output struct {
	frames [][]byte
	answer strandstest.Answer
}

func (o *output) send(kind string, fields object) {
	e := object{"type": kind, "sequence_number": len(o.frames)}
	for k, v := range fields {
		e[k] = v
	}
	o.frames = append(o.frames, append([]byte("event: "+kind+"\n"), sse(e)...))
}

// item writes an item of the output around its pieces.
func (o *output) item(i int, added, done object, pieces func()) {
	o.send("response.output_item.added", object{"output_index": i, "item": added})
	pieces()
	o.send("response.output_item.done", object{"output_index": i, "item": done})
}

func (o *output) text(i int, s, delta string, annotation any) {
	message := object{"id": fmt.Sprintf("msg_%d", i), "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}
	o.item(i, message, message, func() {
		at := func(more object) object {
			more["item_id"], more["output_index"], more["content_index"] = message["id"], i, 0
			return more
		}
		o.send("response.content_part.added", at(object{"part": object{"type": "output_text", "text": "", "annotations": []any{}}}))
		for _, piece := range o.answer.Pieces(s) {
			o.send(delta, at(object{"delta": piece, "obfuscation": "xyz"}))
		}
		if annotation != nil {
			o.send("response.output_text.annotation.added", at(object{"annotation_index": 0, "annotation": annotation}))
		}
	})
}

func (o *output) part(i int, p strands.Part) {
	switch {
	case p.Reasoning != nil:
		thought := object{"id": "rs_1", "type": "reasoning", "summary": []any{}}
		done := object{"id": "rs_1", "type": "reasoning", "summary": []any{}, "encrypted_content": p.Reasoning.Signature}
		o.item(i, thought, done, func() {
			o.send("response.reasoning_summary_part.added", object{"output_index": i, "summary_index": 0, "part": object{"type": "summary_text", "text": ""}})
			for _, s := range o.answer.Pieces(p.Reasoning.Text) {
				o.send("response.reasoning_summary_text.delta", object{"output_index": i, "summary_index": 0, "delta": s})
			}
		})
	case p.ToolCall != nil:
		call := object{"id": "fc_1", "type": "function_call", "status": "in_progress", "call_id": p.ToolCall.ID, "name": p.ToolCall.Name, "arguments": ""}
		o.item(i, call, call, func() {
			for _, s := range o.answer.Pieces(string(p.ToolCall.Input)) {
				o.send("response.function_call_arguments.delta", object{"output_index": i, "item_id": "fc_1", "delta": s})
			}
		})
	case p.Image != nil:
		picture := object{"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": base64.StdEncoding.EncodeToString(p.Image.Data)}
		o.item(i, object{"id": "ig_1", "type": "image_generation_call", "status": "in_progress"}, picture, func() {})
	case p.Cited != nil:
		c := p.Cited.Citations[0]
		o.text(i, p.Cited.Text, "response.output_text.delta", object{
			"type": "url_citation", "title": c.Title, "url": c.URL, "start_index": 0, "end_index": 5,
		})
	case o.answer.StopReason == strands.StopRefusal:
		o.text(i, p.Text, "response.refusal.delta", nil)
	default:
		o.text(i, p.Text, "response.output_text.delta", nil)
	}
}

func playResponse(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil && a.Parts == nil {
		return playError(a.Error)
	}
	o := output{answer: a}
	resp := object{"id": "resp_1", "object": "response", "created_at": 1750000000, "model": a.Model, "status": "in_progress", "output": []any{}, "error": nil, "incomplete_details": nil}
	o.send("response.created", object{"response": resp})
	o.send("response.in_progress", object{"response": resp})
	for i, p := range a.Parts {
		o.part(i, p)
	}
	end := "response.completed"
	switch a.StopReason {
	case strands.StopMaxTokens:
		end, resp["incomplete_details"] = "response.incomplete", object{"reason": "max_output_tokens"}
	case strands.StopContentFiltered:
		end, resp["incomplete_details"] = "response.incomplete", object{"reason": "content_filter"}
	}
	if a.Error != nil {
		end, resp["error"] = "response.failed", object{"code": "server_error", "message": a.Error.Message}
	}
	resp["usage"] = object{
		"input_tokens": a.Usage.Input + a.Usage.CacheRead + a.Usage.CacheWrite, "output_tokens": a.Usage.Output, "total_tokens": a.Usage.Total(),
		"input_tokens_details":  object{"cached_tokens": a.Usage.CacheRead, "cache_write_tokens": a.Usage.CacheWrite},
		"output_tokens_details": object{"reasoning_tokens": a.Usage.Reasoning},
	}
	o.send(end, object{"response": resp})
	return strandstest.Wire{Header: http.Header{"Content-Type": {"text/event-stream"}}, Frames: o.frames}
}

func TestCountTokens(t *testing.T) {
	var sent map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/responses/input_tokens" {
			t.Errorf("the request went to %s", r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"response.input_tokens","input_tokens":123}`)
	}))
	defer server.Close()
	m := New(Config{Model: "gpt-5", BaseURL: server.URL + "/v1", APIKey: "sk-test"})
	m.openAI = true
	n, err := m.CountTokens(t.Context(), &strands.Request{
		System: []strands.Part{strands.Text("Be brief.")}, Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))},
	})
	if err != nil || n != 123 {
		t.Errorf("CountTokens is %d, %v", n, err)
	}
	if sent["instructions"] != "Be brief." || sent["store"] != nil || sent["model"] != "gpt-5" {
		t.Errorf("sent was %v", sent)
	}
}

// TestResponsesOfImitators: servers that stream less than OpenAI's.
func TestResponsesOfImitators(t *testing.T) {
	const (
		call = `{"type":"function_call","call_id":"c","name":"add","arguments":"{\"x\":1}"}`
		text = `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}`
		end  = `"type":"response.completed","response":{"id":"r","status":"completed"`
	)
	for name, c := range map[string]struct {
		events []string
		want   string
		stop   strands.StopReason
	}{
		"item when it is done": {[]string{`"type":"response.output_item.done","output_index":0,"item":` + call, end + "}"}, `add {"x":1}`, strands.StopToolUse},
		"input when it is done": {[]string{
			`"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"add","arguments":""}`,
			`"type":"response.output_item.done","output_index":0,"item":` + call, end + `,"output":[` + call + "]}",
		}, `add {"x":1}`, strands.StopToolUse},
		"text when it is done": {[]string{`"type":"response.output_item.done","output_index":0,"item":` + text, end + "}"}, "Hello", strands.StopEndTurn},
		"all when it is done":  {[]string{end + `,"output":[` + text + "," + call + "]}"}, `Hello add {"x":1}`, strands.StopToolUse},
		"why is not said":      {[]string{`"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hel"`, `"type":"response.incomplete","response":{"id":"r"}`}, "Hel", strands.StopMaxTokens},
	} {
		var body strings.Builder
		for _, e := range c.events {
			body.WriteString("data: {" + e + "}\n\n")
		}
		m := serve(t, 200, "text/event-stream", body.String())
		m.cfg.Responses = true
		reply, err := ask(t, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := reply.Message.Text()
		for _, c := range reply.Message.ToolCalls() {
			got += " " + c.Name + " " + string(c.Input)
		}
		if strings.TrimSpace(got) != c.want || reply.StopReason != c.stop {
			t.Errorf("%s: %q, %s", name, got, reply.StopReason)
		}
	}
}
