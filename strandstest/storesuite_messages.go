package strandstest

import (
	"encoding/json"
	"time"

	strands "github.com/strandsgo/strands"
)

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// everyMessage returns messages with every kind of part, and with what a
// medium may get wrong: every byte, control characters, characters outside the
// first plane, numbers beyond a float, empty things.
func everyMessage() []strands.Message {
	data := everyByte()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	user := []strands.Part{
		{}, strands.Text("plain"), strands.Text("zero \x00, bell \a, <html> & \"quotes\", \u2028, é, 🦫\r\n"),
		{Image: &strands.Media{MIME: "image/png", Data: data}},
		{Image: &strands.Media{MIME: "image/webp", URI: "s3://bucket/key.webp"}},
		{Image: &strands.Media{MIME: "image/x-rare", URI: "https://example.com/a"}},
		{Document: &strands.Media{MIME: "application/pdf", Name: "paper", Context: "about bees", Cite: true, Data: data}},
		{Document: &strands.Media{MIME: "text/plain", Name: "notes", Data: []byte("text")}},
		{Document: &strands.Media{MIME: "application/x-odd;v=1", Name: "odd", URI: "s3://bucket/odd"}},
		{Video: &strands.Media{MIME: "video/mp4", URI: "s3://bucket/film"}},
		{Video: &strands.Media{MIME: "video/3gpp", Data: data}},
		{Guard: &strands.Guard{Text: "look", Qualifiers: []string{"query", "guard_content"}}},
		{Guard: &strands.Guard{Text: "at this"}},
		{CachePoint: &strands.CachePoint{}}, {CachePoint: &strands.CachePoint{TTL: "1h"}},
	}
	reply := []strands.Part{
		{Reasoning: &strands.Reasoning{Text: "hm", Signature: "c2ln+/="}},
		{Reasoning: &strands.Reasoning{Redacted: data}},
		{Reasoning: &strands.Reasoning{Text: "signed", Signature: "s", Redacted: data}},
		{Cited: &strands.Cited{Text: "as said", Citations: []strands.Citation{
			{Kind: "char", Title: "paper", Source: 1, Start: 2, End: 30, Quotes: []string{"a", "b"}},
			{Kind: "page", Source: 1, Start: 2, End: 3}, {Kind: "chunk", End: 1},
			{Kind: "search", Source: 2, Start: 1, End: 2}, {Kind: "web", URL: "https://example.com", Title: "x"}, {Title: "bare"},
		}}},
		{Cited: &strands.Cited{Text: "nothing", Citations: []strands.Citation{}}},
		{ToolCall: &strands.ToolCall{ID: "c1", Name: "add", Input: raw(`{"b":1,"a":12345678901234567890,"x":1.10,"deep":{"k":[null,true,"<&>"]}}`), Signature: "sig"}},
		{ToolCall: &strands.ToolCall{ID: "c2", ParentID: "c1", Name: "sub", Input: raw(`{}`)}},
		{ToolCall: &strands.ToolCall{ID: "c3", Name: "broken", Input: raw(`"{\"cut"`)}},
		{ToolCall: &strands.ToolCall{ID: "c4", Name: "bytes", Input: raw(`{"__bytes_encoded__":true,"data":"AAE="}`)}},
	}
	results := []strands.Part{
		{ToolResult: &strands.ToolResult{CallID: "c1", Parts: []strands.Part{strands.Text("3"), {JSON: raw(`{"sum":3}`)},
			{JSON: raw(`null`)}, {Image: &strands.Media{MIME: "image/jpeg", Data: data}}, {Document: &strands.Media{MIME: "text/csv", Name: "t", Data: data}}}}},
		{ToolResult: &strands.ToolResult{CallID: "c2", IsError: true, Parts: []strands.Part{strands.Text("no")}}},
		{ToolResult: &strands.ToolResult{CallID: "c3", Parts: []strands.Part{}}},
	}
	noted := strands.AssistantMessage(strands.Text("done"))
	noted.Metadata = &strands.Metadata{
		Model: "m-1", StopReason: strands.StopEndTurn, Latency: strands.Duration(1500 * time.Millisecond), FirstToken: strands.Duration(200 * time.Millisecond),
		Usage:  strands.Usage{Input: 10, Output: 5, CacheRead: 3, CacheWrite: 2, Reasoning: 1},
		Custom: map[string]any{"pinned": true, "list": []any{"a", 1.5, nil}},
	}
	all := []strands.Message{noted, {Role: strands.User, Parts: []strands.Part{}}, strands.UserMessage(results...)}
	for _, p := range user {
		all = append(all, strands.UserMessage(p))
	}
	for _, p := range reply {
		all = append(all, strands.AssistantMessage(p))
	}
	return append(all, strands.UserMessage(user...), strands.AssistantMessage(reply...))
}

// fullState returns a state with every field set.
func fullState() strands.SessionState {
	summary := strands.UserMessage(strands.Text("it was about bees"), strands.Part{Image: &strands.Media{MIME: "image/png", Data: everyByte()}})
	return strands.SessionState{
		Values:  map[string]json.RawMessage{"n": json.RawMessage("12345678901234567890"), "": json.RawMessage(`{"a":[1,null]}`)},
		Dropped: 3, Summary: []strands.Message{summary, strands.AssistantMessage(strands.Text("yes"))},
		Pending: &strands.Pending{
			Results:    []strands.ToolResult{{CallID: "c0", Parts: []strands.Part{{Image: &strands.Media{MIME: "image/png", Data: everyByte()}}}}},
			Interrupts: []strands.Interrupt{{ID: "tool:c1:ok", Name: "ok", Reason: map[string]any{"n": 1.5}, CallID: "c1", ParentID: "c0"}, {ID: "tool:c1:sure", Name: "sure"}},
			Responses:  []strands.InterruptResponse{{ID: "tool:c1:ok", Response: "yes"}},
		},
	}
}
