package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	strands "github.com/strandsgo/strands"
)

// forwarded is a reply as OpenRouter sends it for a model of another provider.
var forwarded = []string{
	`{"role":"assistant","content":"","reasoning":"First ","reasoning_details":[{"type":"reasoning.text","text":"First ","format":"anthropic-claude-v1","index":0}]}`,
	`{"content":"","reasoning":"I add.","reasoning_details":[{"type":"reasoning.text","text":"I add.","format":"anthropic-claude-v1","index":0}]}`,
	`{"content":"","reasoning_details":[{"type":"reasoning.text","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}`,
	`{"content":"","reasoning_details":[{"type":"reasoning.encrypted","data":"c2VjcmV0","id":"rs_1","format":"openai-responses-v1","index":1}]}`,
	`{"content":"It is 4."}`,
	`{"content":"","annotations":[{"type":"url_citation","url_citation":{"url":"https://example.com/sums","title":"Sums","content":"2 + 2 = 4","start_index":0,"end_index":8}}]}`,
}

// TestForwardedReasoning has what a server forwards of another provider's
// reasoning go back as it came: that provider refuses a changed signature.
func TestForwardedReasoning(t *testing.T) {
	var asked []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, delta := range forwarded {
			w.Write(sse(object{"choices": []object{{"index": 0, "delta": json.RawMessage(delta)}}}))
		}
		w.Write(sse(object{"choices": []object{{"index": 0, "delta": object{}, "finish_reason": "stop"}}}))
		io.WriteString(w, "data: [DONE]\n\n")
	}))
	defer server.Close()
	m := New(Config{Model: "anthropic/claude-sonnet-4.5", BaseURL: server.URL + "/v1"})

	reply, err := ask(t, m)
	if err != nil {
		t.Fatal(err)
	}
	parts := reply.Message.Parts
	if len(parts) != 3 || parts[0].Reasoning == nil || parts[0].Reasoning.Text != "First I add." ||
		parts[1].Reasoning == nil || parts[1].Reasoning.Redacted == nil {
		t.Fatalf("the reply is %+v", parts)
	}
	cited := parts[2].Cited
	want := &strands.Cited{Text: "It is 4.", Citations: []strands.Citation{
		{Kind: "web", Title: "Sums", URL: "https://example.com/sums", Quotes: []string{"2 + 2 = 4"}},
	}}
	if !reflect.DeepEqual(cited, want) {
		t.Errorf("the text is %+v, want %+v", parts[2], want)
	}

	history := []strands.Message{strands.UserMessage(strands.Text("2 + 2?")), reply.Message, strands.UserMessage(strands.Text("Sure?"))}
	for _, err := range m.Generate(t.Context(), &strands.Request{Messages: history}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var sent struct {
		Messages []struct {
			Reasoning any              `json:"reasoning_content"`
			Details   []map[string]any `json:"reasoning_details"`
		}
	}
	if err := json.Unmarshal(asked, &sent); err != nil {
		t.Fatal(err)
	}
	back := []map[string]any{
		{"type": "reasoning.text", "text": "First I add.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0.0},
		{"type": "reasoning.encrypted", "data": "c2VjcmV0", "id": "rs_1", "format": "openai-responses-v1", "index": 1.0},
	}
	if got := sent.Messages[1]; !reflect.DeepEqual(got.Details, back) || got.Reasoning != nil {
		t.Errorf("what went back is\n%v\nwant\n%v", got, back)
	}
}
