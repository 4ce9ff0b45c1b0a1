package gemini

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

func TestGenerateContent(t *testing.T) { strandstest.TestModel(t, generateSuite()) }

func generateSuite() strandstest.ModelSuite {
	return strandstest.ModelSuite{
		New: func(t *testing.T, at strandstest.Endpoint) strands.Model {
			return New(Config{
				Model: "gemini-2.5-flash", BaseURL: at.URL, APIKey: "key", MaxTokens: 1000, Temperature: new(0.5), TopP: new(0.75), TopK: 20,
				Stop: []string{"END"}, Thinking: Thinking{Budget: new(2048)}, Headers: map[string]string{"X-Team": "a"},
				HTTPClient: at.Client, IdleTimeout: at.IdleTimeout,
			})
		},
		Play: play, Broken: []byte("data: {\"candidates\": [{\"content\"\r\n\r\n"), Golden: "testdata/generate",
		Check: func(t *testing.T, r *http.Request, body []byte) {
			if r.URL.RequestURI() != "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse" {
				t.Errorf("the request went to %s", r.URL)
			}
			if r.Header.Get("X-Goog-Api-Key") != "key" || r.Header.Get("X-Team") != "a" {
				t.Errorf("the headers are %v", r.Header)
			}
		},
		Citation: &strands.Citation{Kind: "web", Title: "Lawns", URL: "https://example.com/lawns"},
		Lacks: []strandstest.Feature{
			strandstest.Redacted, strandstest.Guards, strandstest.BrokenInputs, strandstest.CacheWrite,
			strandstest.Stops(strands.StopSequence), strandstest.Stops(strands.StopGuardrail), strandstest.Stops(strands.StopRefusal), strandstest.Stops(strands.StopPause),
		},
	}
}

type object = map[string]any

func event(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return slices.Concat([]byte("data: "), b, []byte("\r\n\r\n"))
}

func play(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil && a.Parts == nil {
		return playError(a.Error)
	}
	w := strandstest.Wire{Header: http.Header{"Content-Type": {"text/event-stream"}}}
	send := func(candidate object) {
		candidate["index"] = 0
		w.Frames = append(w.Frames, event(object{
			"candidates": []object{candidate}, "modelVersion": a.Model, "responseId": "r1",
			"usageMetadata": object{
				"promptTokenCount": a.Usage.Input + a.Usage.CacheRead, "cachedContentTokenCount": a.Usage.CacheRead,
				"candidatesTokenCount": a.Usage.Output - a.Usage.Reasoning, "thoughtsTokenCount": a.Usage.Reasoning, "totalTokenCount": a.Usage.Total(),
			},
		}))
	}
	part := func(p object) { send(object{"content": object{"role": "model", "parts": []object{p}}}) }
	for _, p := range a.Parts {
		switch {
		case p.Reasoning != nil:
			for _, s := range a.Pieces(p.Reasoning.Text) {
				part(object{"text": s, "thought": true})
			}
			if p.Reasoning.Signature != "" {
				part(object{"text": "", "thought": true, "thoughtSignature": p.Reasoning.Signature})
			}
		case p.ToolCall != nil:
			part(object{"functionCall": object{"id": p.ToolCall.ID, "name": p.ToolCall.Name, "args": p.ToolCall.Input}})
		case p.Image != nil:
			part(object{"inlineData": object{"mimeType": p.Image.MIME, "data": p.Image.Data}})
		case p.Cited != nil:
			for _, s := range a.Pieces(p.Cited.Text) {
				part(object{"text": s})
			}
			c := p.Cited.Citations[0]
			for range 2 { // as it comes
				send(object{"groundingMetadata": object{"groundingChunks": []object{{"web": object{"uri": c.URL, "title": c.Title}}}}})
			}
		default:
			for _, s := range a.Pieces(p.Text) {
				part(object{"text": s})
			}
		}
	}
	if a.Error != nil {
		w.Frames = append(w.Frames, event(object{"error": object{"code": 500, "message": a.Error.Message, "status": "INTERNAL"}}))
		return w
	}
	send(object{"finishReason": map[strands.StopReason]string{
		strands.StopEndTurn: "STOP", strands.StopToolUse: "STOP", strands.StopMaxTokens: "MAX_TOKENS", strands.StopContentFiltered: "SAFETY",
	}[a.StopReason]})
	return w
}

func playError(e *strands.ModelError) strandstest.Wire {
	if e.Kind == strands.ModelRefused {
		return strandstest.Wire{Frames: [][]byte{event(object{"promptFeedback": object{"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": e.Message}})}}
	}
	s := map[strands.ModelErrorKind]struct {
		code         int
		status, text string
	}{
		strands.ModelThrottled:  {429, "RESOURCE_EXHAUSTED", ""},
		strands.ModelOverflow:   {400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576). "},
		strands.ModelAuth:       {403, "PERMISSION_DENIED", ""},
		strands.ModelNotFound:   {404, "NOT_FOUND", ""},
		strands.ModelTransient:  {503, "UNAVAILABLE", ""},
		strands.ModelBadRequest: {400, "INVALID_ARGUMENT", ""},
	}[e.Kind]
	details := []object{{"@type": "type.googleapis.com/google.rpc.Help"}}
	if e.RetryAfter > 0 {
		details = append(details, object{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": fmt.Sprintf("%gs", e.RetryAfter.Seconds())})
	}
	b, err := json.Marshal(object{"error": object{"code": s.code, "status": s.status, "message": s.text + e.Message, "details": details}})
	if err != nil {
		panic(err)
	}
	return strandstest.Wire{Status: s.code, Header: http.Header{"Content-Type": {"application/json"}}, Frames: [][]byte{b}}
}

// serve makes a model whose server answers with body.
func serve(t *testing.T, status int, body string) (*Model, *object) {
	t.Helper()
	sent := new(object)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(sent); err != nil {
			t.Error(err)
		}
		(*sent)["path"] = r.URL.Path
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return New(Config{Model: "gemini-2.5-flash", BaseURL: server.URL}), sent
}

func ask(t *testing.T, m *Model, req *strands.Request) (*strands.Reply, error) {
	t.Helper()
	for c, err := range m.Generate(t.Context(), req) {
		if err != nil || c.Reply != nil {
			return c.Reply, err
		}
	}
	t.Fatal("neither a reply nor an error")
	return nil, nil
}

// TestSignatures: those of calls and of texts come back where they were.
func TestSignatures(t *testing.T) {
	m, sent := serve(t, 200, string(event(object{"candidates": []object{{"finishReason": "STOP", "content": object{"parts": []object{
		{"text": "I look."}, {"text": "", "thoughtSignature": "dGV4dA=="},
		{"functionCall": object{"name": "now", "args": object{}}, "thoughtSignature": "Y2FsbA=="},
		{"functionCall": object{"name": "now"}},
	}}}}})))
	question := strands.UserMessage(strands.Text("What time is it?"))
	reply, err := ask(t, m, &strands.Request{Messages: []strands.Message{question}})
	if err != nil {
		t.Fatal(err)
	}
	calls := reply.Message.ToolCalls()
	if len(calls) != 2 || calls[0].Signature != "Y2FsbA==" || calls[0].ID == "" || calls[0].ID == calls[1].ID || reply.StopReason != strands.StopToolUse {
		t.Fatalf("the reply is %+v", reply)
	}
	results := strands.UserMessage(
		strands.Part{ToolResult: &strands.ToolResult{CallID: calls[0].ID, Parts: []strands.Part{{JSON: json.RawMessage(`{"hour":12}`)}}}},
		strands.Part{ToolResult: &strands.ToolResult{CallID: calls[1].ID, IsError: true, Parts: []strands.Part{strands.Text("no clock")}}},
	)
	if _, err := ask(t, m, &strands.Request{Messages: []strands.Message{question, reply.Message, results}}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal((*sent)["contents"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"text":"I look."},{"thoughtSignature":"dGV4dA=="}`, `"thoughtSignature":"Y2FsbA=="`, `"response":{"hour":12}`, `"response":{"error":"no clock"}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is missing in\n%s", want, b)
		}
	}
}

func TestOddEnds(t *testing.T) {
	finish := func(reason string) string {
		return string(event(object{"candidates": []object{{"finishReason": reason, "finishMessage": "why not"}}}))
	}
	for name, c := range map[string]struct {
		status int
		body   string
		kind   strands.ModelErrorKind
		says   string
	}{
		"malformed call": {200, finish("MALFORMED_FUNCTION_CALL"), strands.ModelTransient, "MALFORMED_FUNCTION_CALL"},
		"null":           {200, "data: {\"candidates\":[null]}\n\n", strands.ModelTransient, "cannot be read"},
		"null part":      {200, "data: {\"candidates\":[{\"content\":{\"parts\":[null]}}]}\n\n", strands.ModelTransient, "before the reply was complete"},
		"wrong key":      {400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid.","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}`, strands.ModelAuth, "GEMINI_API_KEY"},
	} {
		m, _ := serve(t, c.status, c.body)
		_, err := ask(t, m, &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))}})
		if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, k := range []string{"GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"} {
		t.Setenv(k, "")
	}
	for says, cfg := range map[string]Config{"Config.Model": {}, "GEMINI_API_KEY": {Model: "gemini-2.5-flash"}, "https://": {Model: "m", BaseURL: "here"}} {
		if _, err := ask(t, New(cfg), &strands.Request{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	t.Setenv("GOOGLE_API_KEY", "secret")
	if m := New(Config{Model: "m"}); m.Check() != nil || m.server.Key != "secret" {
		t.Errorf("GOOGLE_API_KEY was not found: %v", m.Check())
	}
	if m := New(Config{Model: "m", BaseURL: "https://example.com"}); m.server.Key != "" {
		t.Error("the key goes to another server")
	}
}

func TestCountTokens(t *testing.T) {
	m, sent := serve(t, 200, `{"totalTokens":123}`)
	n, err := m.CountTokens(t.Context(), &strands.Request{
		System: []strands.Part{strands.Text("Be brief.")}, Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))},
		Tools: []strands.ToolSpec{{Name: "now"}},
	})
	if err != nil || n != 123 {
		t.Errorf("CountTokens is %d, %v", n, err)
	}
	b, err := json.Marshal((*sent)["generateContentRequest"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Be brief.", `"model":"models/gemini-2.5-flash"`, `"name":"now"`, `"text":"Hi"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is missing in %s", want, b)
		}
	}
}
