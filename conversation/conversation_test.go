package conversation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/conversation"
)

// history makes messages from a sketch: U a question, A an answer, C a call
// and R its result, P a pinned question.
func history(sketch string) []strands.Message {
	var msgs []strands.Message
	for i, kind := range strings.Split(sketch, "") {
		text := strands.Text(fmt.Sprintf("%s%d", kind, i))
		switch kind {
		case "U":
			msgs = append(msgs, strands.UserMessage(text))
		case "P":
			msgs = append(msgs, conversation.Pin(strands.UserMessage(text)))
		case "A":
			msgs = append(msgs, strands.AssistantMessage(text))
		case "C":
			msgs = append(msgs, strands.AssistantMessage(strands.Part{ToolCall: &strands.ToolCall{ID: fmt.Sprint("c", i), Name: "t", Input: json.RawMessage("{}")}}))
		case "R":
			msgs = append(msgs, strands.UserMessage(strands.Part{ToolResult: &strands.ToolResult{CallID: fmt.Sprint("c", i-1), Parts: []strands.Part{text}}}))
		}
	}
	return msgs
}

func sketch(msgs []strands.Message) string {
	var b strings.Builder
	for _, m := range msgs {
		switch {
		case len(m.ToolCalls()) > 0:
			fmt.Fprintf(&b, "C%s ", m.ToolCalls()[0].ID[1:])
		case len(m.ToolResults()) > 0:
			b.WriteString(m.ToolResults()[0].Parts[0].Text + " ")
		default:
			b.WriteString(m.Text() + " ")
		}
	}
	return strings.TrimSpace(b.String())
}

func TestSlidingWindow(t *testing.T) {
	for _, c := range []struct {
		before string
		size   int
		want   string
	}{
		{"UAUA", 2, "U2 A3"},
		{"UAUA", 3, "U2 A3"}, // a history does not begin with an answer
		{"UAUA", 4, "U0 A1 U2 A3"},
		{"UCRAUCRA", 5, "U4 C5 R6 A7"},
		{"UCRCR", 2, "U0 C3 R4"},             // the question stays, the pair too
		{"UCRCR", 3, "U0 C3 R4"},             // never a result without its call
		{"UCRA", 1, "U0 C1 R2 A3"},           // nothing to cut
		{"UCRA", 2, "U0 C1 R2 A3"},           // would keep the question and the pair: nothing gained
		{"UAPAUAUA", 2, "P2 U6 A7"},          // pinned
		{"UAUCRCRCRCRA", 4, "U2 C9 R10 A11"}, // a long run
	} {
		conv := &strands.Conversation{Messages: history(c.before), Ended: true}
		if err := (conversation.SlidingWindow{Size: c.size}).Manage(t.Context(), conv); err != nil {
			t.Fatal(err)
		}
		if got := sketch(conv.Messages); got != c.want {
			t.Errorf("%s with %d: %s; want %s", c.before, c.size, got, c.want)
		}
		if err := strands.Validate(conv.Messages); err != nil {
			t.Errorf("%s with %d: %v", c.before, c.size, err)
		}
	}
}

func TestSlidingWindowReduces(t *testing.T) {
	long := strings.Repeat("x", 1000)
	msgs := history("UCRCRCRA")
	for i, text := range map[int]string{2: strings.Repeat("y", 400), 4: long, 6: strings.Repeat("z", 900)} {
		msgs[i].Parts[0].ToolResult.Parts[0].Text = text
	}
	conv := &strands.Conversation{Messages: msgs}
	if err := (conversation.SlidingWindow{}).Reduce(t.Context(), conv, errors.New("overflow")); err != nil {
		t.Fatal(err)
	}
	result := func(i int) string { return conv.Messages[i].Parts[0].ToolResult.Parts[0].Text }
	if got := result(4); got != strings.Repeat("x", 200)+"... [truncated: 600 characters removed] ..."+strings.Repeat("x", 200) {
		t.Errorf("the largest: %s", got)
	}
	if len(result(2)) != 400 || msgs[4].Parts[0].ToolResult.Parts[0].Text != long {
		t.Error("a short result, or the original, was changed")
	}
	if err := (conversation.SlidingWindow{}).Reduce(t.Context(), conv, errors.New("overflow")); err != nil {
		t.Fatal(err)
	}
	if got := sketch(conv.Messages); len(conv.Messages) >= len(msgs) {
		t.Errorf("when no result can be shortened messages must go: %s", got)
	}
	conv.Messages = history("UA")
	if err := (conversation.SlidingWindow{}).Reduce(t.Context(), conv, errors.New("overflow")); err == nil {
		t.Errorf("nothing can be dropped, but it said it did: %s", sketch(conv.Messages))
	}
}

func TestPicturesInResultsBecomeWords(t *testing.T) {
	msgs := history("UCRA")
	msgs[2].Parts[0].ToolResult.Parts = []strands.Part{{Image: &strands.Media{MIME: "image/png", Data: make([]byte, 9)}}}
	conv := &strands.Conversation{Messages: msgs}
	if err := (conversation.SlidingWindow{}).Reduce(t.Context(), conv, errors.New("overflow")); err != nil {
		t.Fatal(err)
	}
	if got := conv.Messages[2].ToolResults()[0].Text(); got != "[image: image/png, 9 bytes]" {
		t.Error(got)
	}
}

func TestThresholdIsChecked(t *testing.T) {
	for _, bad := range []float64{-.1, 1.1} {
		for _, m := range []strands.ConversationManager{conversation.SlidingWindow{Threshold: bad}, conversation.Summarizing{Threshold: bad}} {
			if err := m.Manage(t.Context(), &strands.Conversation{}); err == nil {
				t.Errorf("%T took the threshold %v", m, bad)
			}
		}
	}
	for _, c := range []struct{ tokens, window, left int }{{690, 1000, 6}, {700, 1000, 4}, {150_000, 0, 4}, {130_000, 0, 6}, {0, 1000, 6}} {
		conv := &strands.Conversation{Messages: history("UAUAUA"), Tokens: c.tokens, Window: c.window}
		if err := (conversation.SlidingWindow{Threshold: .7}).Manage(t.Context(), conv); err != nil {
			t.Fatal(err)
		}
		if len(conv.Messages) != c.left {
			t.Errorf("%d tokens of %d left %s", c.tokens, c.window, sketch(conv.Messages))
		}
	}
}

// writer is a model that answers with a fixed text and notes what it was asked.
type writer struct {
	reply strands.Reply
	err   error
	asked []*strands.Request
}

func (w *writer) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		w.asked = append(w.asked, req)
		if w.err != nil {
			yield(strands.Chunk{}, w.err)
			return
		}
		r := w.reply
		yield(strands.Chunk{Reply: &r}, nil)
	}
}

func says(text string) strands.Reply {
	return strands.Reply{Message: strands.AssistantMessage(strands.Text(text)), StopReason: strands.StopEndTurn, Usage: strands.Usage{Input: 7, Output: 3}}
}

func TestSummarizing(t *testing.T) {
	m := &writer{reply: says("They talked.")}
	conv := &strands.Conversation{Messages: history("UPCRAUAUAUA"), Model: m}
	err := conversation.Summarizing{Ratio: .3, Keep: 4}.Reduce(t.Context(), conv, errors.New("overflow"))
	if err != nil {
		t.Fatal(err)
	}
	// 3 of 11 would part a call from its result
	if got := sketch(conv.Messages); got != "P1 [Summary of the earlier conversation]\nThey talked. A4 U5 A6 U7 A8 U9 A10" {
		t.Error(got)
	}
	if err := strands.Validate(conv.Messages); err != nil {
		t.Error(err)
	}
	if conv.Usage.Input != 7 || len(m.asked) != 1 || len(m.asked[0].Tools) != 0 {
		t.Errorf("usage %+v, asked %d times", conv.Usage, len(m.asked))
	}
	if text := m.asked[0].Messages[0].Text(); !strings.Contains(text, "user: U0") || !strings.Contains(text, "assistant calls t: {}") || strings.Contains(text, "P1") {
		t.Errorf("transcript: %s", text)
	}
}

func TestSummarizingCommitsOnlyWhatIsThere(t *testing.T) {
	cause := errors.New("no connection")
	for name, m := range map[string]*writer{
		"an error":    {err: cause},
		"nothing":     {reply: says("  ")},
		"cut off":     {reply: strands.Reply{Message: strands.AssistantMessage(strands.Text("They")), StopReason: strands.StopMaxTokens}},
		"a tool call": {reply: strands.Reply{Message: history("C")[0], StopReason: strands.StopToolUse}},
	} {
		conv := &strands.Conversation{Messages: history("UAUAUAUAUAUAUAUA"), Model: m, Tokens: 999, Window: 1000}
		if err := (conversation.Summarizing{}).Reduce(t.Context(), conv, errors.New("overflow")); err == nil || m.err != nil && !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
		if len(conv.Messages) != 16 {
			t.Errorf("%s: the history was changed", name)
		}
		if err := (conversation.Summarizing{Threshold: .5}).Manage(t.Context(), conv); err != nil || len(conv.Messages) != 16 {
			t.Errorf("%s, before a call: %v", name, err)
		}
	}
	short := &strands.Conversation{Messages: history("UAUA"), Model: &writer{reply: says("x")}}
	if err := (conversation.Summarizing{}).Reduce(t.Context(), short, errors.New("overflow")); err == nil {
		t.Error("too few messages were summarized")
	}
}

// small is a model whose context takes a number of messages.
type small struct{ takes int }

func (s small) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		if len(req.Messages) > s.takes {
			yield(strands.Chunk{}, &strands.ModelError{Kind: strands.ModelOverflow, Provider: "test", Model: "small"})
			return
		}
		yield(strands.Chunk{Reply: &strands.Reply{Message: strands.AssistantMessage(strands.Text("ok")), StopReason: strands.StopEndTurn}}, nil)
	}
}

func TestInAnAgent(t *testing.T) {
	agent, err := strands.New(strands.Config{Model: small{takes: 5}, Conversation: conversation.SlidingWindow{Size: 8}, Messages: history("UAUAUAUA")})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	s := agent.NewSession()
	if _, err := s.Ask(t.Context(), "fits?"); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Messages()); n > 6 {
		t.Errorf("%d messages are left", n)
	}
	stubborn, err := strands.New(strands.Config{Model: small{}, Conversation: conversation.SlidingWindow{Size: 8}, Messages: history("UAUAUAUA")})
	if err != nil {
		t.Fatal(err)
	}
	defer stubborn.Close()
	_, err = stubborn.Ask(t.Context(), "fits?")
	if e, ok := errors.AsType[*strands.ModelError](err); !ok || e.Kind != strands.ModelOverflow {
		t.Errorf("a context that never fits: %v", err)
	}
}
