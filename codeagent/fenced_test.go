package codeagent

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

// parrot answers with one reply, in deltas of n bytes, and keeps the request.
type parrot struct {
	reply strands.Reply
	n     int
	err   error
	seen  *strands.Request
}

func (p *parrot) Describe() strands.ModelInfo { return strands.ModelInfo{ID: "parrot"} }

func (p *parrot) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		p.seen = req
		for block, part := range p.reply.Message.Parts {
			if part.Reasoning != nil && !yield(strands.Chunk{Delta: &strands.Delta{Block: block, Reasoning: part.Reasoning}}, nil) {
				return
			}
			if c := part.ToolCall; c != nil && !yield(strands.Chunk{Delta: &strands.Delta{Block: block, ToolCall: &strands.ToolCallDelta{ID: c.ID, Name: c.Name, Input: string(c.Input)}}}, nil) {
				return
			}
			for text := part.Text; text != ""; {
				n := min(p.n, len(text))
				if !yield(strands.Chunk{Delta: &strands.Delta{Block: block, Text: text[:n]}}, nil) {
					return
				}
				text = text[n:]
			}
		}
		if p.err != nil {
			yield(strands.Chunk{}, p.err)
			return
		}
		reply := p.reply
		yield(strands.Chunk{Reply: &reply}, nil)
	}
}

func replRequest() *strands.Request {
	return &strands.Request{
		System:     []strands.Part{strands.Text("system")},
		Messages:   []strands.Message{strands.UserMessage(strands.Text("hi"))},
		Tools:      []strands.ToolSpec{{Name: "python_repl"}},
		ToolChoice: strands.ToolChoice{Tool: "python_repl"},
	}
}

// streamed puts the deltas together: the text before the call, and the input.
func streamed(t *testing.T, m strands.Model, req *strands.Request) (text, id, input string, reply *strands.Reply, err error) {
	t.Helper()
	blocks := map[int]string{} // what kind each has
	for chunk, e := range m.Generate(t.Context(), req) {
		if e != nil {
			return text, id, input, nil, e
		}
		if chunk.Reply != nil {
			reply = chunk.Reply
			continue
		}
		d, kind := chunk.Delta, "text"
		switch {
		case d.ToolCall != nil:
			kind = "call " + d.ToolCall.ID
			if d.ToolCall.ID == "" {
				kind = blocks[d.Block] // goes on
			}
			id += d.ToolCall.ID
			input += d.ToolCall.Input
		case d.Reasoning != nil:
			kind = "reasoning"
		}
		text += d.Text
		if k, ok := blocks[d.Block]; ok && k != kind {
			t.Errorf("block %d is of kind %s and %s", d.Block, k, kind)
		}
		blocks[d.Block] = kind
	}
	return text, id, input, reply, nil
}

func TestFenced(t *testing.T) {
	for _, tc := range []struct{ name, answer, text, code string }{
		{"plain", "No code.", "No code.", ""},
		{"fence", "Let me see.\n\n```python\nx = 1\nprint(x)\n```", "Let me see.", "x = 1\nprint(x)"},
		{"at the start", "```py\nx\n```\n", "", "x"},
		{"what follows is dropped", "```python\nx\n```\nIt is 42.\n```python\ny\n```", "", "x"},
		{"not closed", "a\n```python\nx\ny", "a", "x\ny"},
		{"label with more", "```Python3 title=a\nx\n```", "", "x"},
		{"blank lines", "```python\n\nx\n\n\ny\n\n```", "", "\nx\n\n\ny\n"},
		{"other language", "```text\nx\n```", "```text\nx\n```", ""},
		{"no language", "```\nx\n```", "```\nx\n```", ""},
		{"other first", "```json\n{}\n```\n```python\nx\n```", "```json\n{}\n```", "x"},
		{"tildes, indented", "  ~~~~python\ns = '''\n~~~\n'''\n  ~~~~", "", "s = '''\n~~~\n'''"},
		{"backticks in code", "```python\ns = '```'\nf(```)\n```", "", "s = '```'\nf(```)"},
		{"four blanks are no fence", "    ```python\n    x\n    ```", "    ```python\n    x\n    ```", ""},
		{"in the line", "use ```python\nx", "use ```python\nx", ""},
		{"empty", "a\n```python\n\n```", "a\n```python\n\n```", ""},
		{"unicode and escapes", "```python\ns = \"ä\\n\\u2028\u2028<>\"\n```", "", "s = \"ä\\n\\u2028\u2028<>\""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for n := 1; n <= len(tc.answer); n++ {
				inner := &parrot{n: n, reply: strands.Reply{Message: strands.AssistantMessage(strands.Text(tc.answer)), StopReason: strands.StopEndTurn}}
				text, id, input, reply, err := streamed(t, Fenced(inner), replRequest())
				if err != nil {
					t.Fatal(err)
				}
				calls := reply.Message.ToolCalls()
				if tc.code == "" {
					if len(calls) != 0 || reply.Message.Text() != tc.text || reply.StopReason != strands.StopEndTurn {
						t.Fatalf("pieces of %d: got %+v", n, reply)
					}
					continue
				}
				if len(calls) != 1 || codeOf(calls[0]) != tc.code || reply.Message.Text() != tc.text || reply.StopReason != strands.StopToolUse {
					t.Fatalf("pieces of %d: text %q, calls %v, stop %s", n, reply.Message.Text(), calls, reply.StopReason)
				}
				var in struct{ Code string }
				if err := json.Unmarshal([]byte(input), &in); err != nil || in.Code != tc.code {
					t.Fatalf("pieces of %d: streamed %q: %v", n, input, err)
				}
				if id != calls[0].ID || strings.TrimRight(text, "\n ") != tc.text {
					t.Fatalf("pieces of %d: streamed id %q and text %q, reply has %q", n, id, text, calls[0].ID)
				}
			}
		})
	}
}

func TestFencedCutOff(t *testing.T) {
	inner := &parrot{n: 5, reply: strands.Reply{Message: strands.AssistantMessage(strands.Text("```python\nrm = 1")), StopReason: strands.StopMaxTokens}}
	_, _, _, reply, err := streamed(t, Fenced(inner), replRequest())
	if err != nil || len(reply.Message.ToolCalls()) != 0 || reply.StopReason != strands.StopMaxTokens {
		t.Errorf("half a program became a call: %+v, %v", reply, err)
	}
}

func TestFencedOtherParts(t *testing.T) {
	call := &strands.ToolCall{ID: "1", Name: "search", Input: json.RawMessage(`{}`)}
	inner := &parrot{n: 3, reply: strands.Reply{
		Message: strands.AssistantMessage(
			strands.Part{Reasoning: &strands.Reasoning{Text: "```python\nthought\n```"}},
			strands.Text("```python\nx\n```\n"), strands.Part{ToolCall: call}, strands.Text("dropped")),
		StopReason: strands.StopToolUse,
	}}
	_, _, _, reply, err := streamed(t, Fenced(inner), replRequest())
	if err != nil {
		t.Fatal(err)
	}
	calls := reply.Message.ToolCalls()
	if len(calls) != 2 || codeOf(calls[0]) != "x" || calls[1] != call || reply.Message.Parts[0].Reasoning == nil || reply.Message.Text() != "" {
		t.Errorf("got %+v", reply.Message.Parts)
	}
}

func TestFencedRequest(t *testing.T) {
	other := strands.ToolSpec{Name: "search"}
	req := replRequest()
	req.Tools = append(req.Tools, other)
	req.Messages = append(req.Messages,
		strands.AssistantMessage(strands.Text("See:"), strands.Part{ToolCall: &strands.ToolCall{ID: "a", Name: "python_repl", Input: json.RawMessage(`{"code":"1+1"}`)}},
			strands.Part{ToolCall: &strands.ToolCall{ID: "b", Name: "search", Input: json.RawMessage(`{}`)}}),
		strands.UserMessage(strands.Part{ToolResult: &strands.ToolResult{CallID: "a", Parts: []strands.Part{strands.Text("2")}}},
			strands.Part{ToolResult: &strands.ToolResult{CallID: "b"}}))
	before, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	inner := &parrot{n: 1, reply: strands.Reply{Message: strands.AssistantMessage(strands.Text("ok"))}}
	if _, _, _, _, err := streamed(t, Fenced(inner), req); err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(req); string(after) != string(before) {
		t.Error("the caller's request was changed")
	}
	got := inner.seen
	if len(got.System) != 2 || got.System[1].Text != fencedRule || !reflect.DeepEqual(got.Tools, []strands.ToolSpec{other}) || got.ToolChoice != (strands.ToolChoice{}) {
		t.Errorf("got %+v", got)
	}
	if text := got.Messages[1].Text(); text != "See:```python\n1+1\n```" || len(got.Messages[1].ToolCalls()) != 1 {
		t.Errorf("the call became %q", text)
	}
	if text := got.Messages[2].Text(); text != "Output of the code:2" || len(got.Messages[2].ToolResults()) != 1 {
		t.Errorf("the result became %q", text)
	}

	plain := &strands.Request{Tools: []strands.ToolSpec{other}}
	if _, _, _, _, err := streamed(t, Fenced(inner), plain); err != nil || inner.seen != plain {
		t.Errorf("a request without python_repl was changed (%v)", err)
	}
}

func TestFencedWrapper(t *testing.T) {
	fail := errors.New("boom")
	inner := &parrot{n: 1, err: fail, reply: strands.Reply{Message: strands.AssistantMessage(strands.Text("```python\nx"))}}
	if _, _, _, reply, err := streamed(t, Fenced(inner), replRequest()); !errors.Is(err, fail) || reply != nil {
		t.Errorf("got %v, %v", reply, err)
	}
	if d := strands.Describe(Fenced(inner)); d.ID != "parrot" {
		t.Errorf("described as %+v", d)
	}
	for range Fenced(inner).Generate(t.Context(), replRequest()) {
		break // must not panic
	}
	if _, ok := Fenced(&strandstest.Script{}).(interface{ Unwrap() strands.Model }); !ok {
		t.Error("no Unwrap")
	}
}
