package strandstest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

// generate collects one call of a model.
func generate(t *testing.T, m strands.Model, history ...strands.Message) (*strands.Reply, []strands.Delta, error) {
	t.Helper()
	var deltas []strands.Delta
	for c, err := range m.Generate(t.Context(), &strands.Request{Messages: history}) {
		if err != nil {
			return nil, deltas, err
		}
		if c.Reply != nil {
			return c.Reply, deltas, nil
		}
		deltas = append(deltas, *c.Delta)
	}
	t.Fatal("the sequence ended without a reply or an error")
	return nil, nil, nil
}

func answer(msg strands.Message, text string) strands.Message {
	var parts []strands.Part
	for _, c := range msg.ToolCalls() {
		parts = append(parts, strands.Part{ToolResult: &strands.ToolResult{CallID: c.ID, Parts: []strands.Part{strands.Text(text)}}})
	}
	return strands.UserMessage(parts...)
}

func user(text string) strands.Message { return strands.UserMessage(strands.Text(text)) }

func TestScriptTalks(t *testing.T) {
	s := &strandstest.Script{Turns: []strandstest.Turn{
		{Reasoning: "A power of two, obviously.", Text: "I will compute it.", Python: "print(2 ** 10)", Usage: strands.Usage{Input: 7, Output: 3}},
		{Text: "It is {{ stdout 1 }}, the value {{ value 1 }}, {{ match -1 `(\\d+)24` }} in front."},
	}}
	history := []strands.Message{user("What is 2 ** 10?")}
	first, deltas, err := generate(t, s, history...)
	if err != nil {
		t.Fatal(err)
	}
	if first.StopReason != strands.StopToolUse || first.Usage.Total() != 10 {
		t.Errorf("stop reason %s, usage %v", first.StopReason, first.Usage)
	}
	calls := first.Message.ToolCalls()
	if len(calls) != 1 || calls[0].Name != "python_repl" || string(calls[0].Input) != `{"code":"print(2 ** 10)"}` {
		t.Fatalf("calls %+v", calls)
	}
	assembled := assemble(deltas)
	want := map[int]string{0: "A power of two, obviously.", 1: "I will compute it.", 2: "python_repl" + string(calls[0].Input)}
	for block, text := range want {
		if assembled[block] != text {
			t.Errorf("block %d: %q, want %q", block, assembled[block], text)
		}
	}
	if len(deltas) < 6 {
		t.Errorf("only %d deltas", len(deltas))
	}

	history = append(history, first.Message, answer(first.Message, "STDOUT:\n1024\nVALUE:\n1025"))
	second, _, err := generate(t, s, history...)
	if err != nil {
		t.Fatal(err)
	}
	if got := second.Message.Text(); got != "It is 1024, the value 1025, 10 in front." || second.StopReason != strands.StopEndTurn {
		t.Errorf("%s: %q", second.StopReason, got)
	}
	if n := len(s.Requests()); n != 2 || len(s.Requests()[1].Messages) != 3 {
		t.Errorf("%d requests recorded", n)
	}

	_, _, err = generate(t, s, append(history, second.Message, user("Again"))...)
	if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != strands.ModelBadRequest {
		t.Errorf("after the last turn: %v", err)
	}
}

func assemble(deltas []strands.Delta) map[int]string {
	blocks := map[int]string{}
	for _, d := range deltas {
		s := d.Text
		if d.Reasoning != nil {
			s = d.Reasoning.Text
		}
		if d.ToolCall != nil {
			s = d.ToolCall.Name + d.ToolCall.Input
		}
		blocks[d.Block] += s
	}
	return blocks
}

// TestScriptPlace: the next turn is found in a history that was cut, and in one
// that others began.
func TestScriptPlace(t *testing.T) {
	s := &strandstest.Script{Turns: []strandstest.Turn{{Text: "one"}, {Python: "2"}, {Text: "three"}, {Text: "four"}}}
	var history []strands.Message
	for range 3 {
		r, _, err := generate(t, s, append(history, user("go on"))...)
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, user("go on"), r.Message)
		if len(r.Message.ToolCalls()) > 0 {
			history = append(history, answer(r.Message, "VALUE:\n2"))
		}
	}
	for name, h := range map[string][]strands.Message{
		"whole": history,
		"cut":   history[2:],
		"others": append([]strands.Message{user("hello"), strands.AssistantMessage(strands.Text("who are you?"))},
			history...),
	} {
		r, _, err := generate(t, s, append(h[:len(h):len(h)], user("and?"))...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Message.Text() != "four" {
			t.Errorf("%s: %q", name, r.Message.Text())
		}
	}
}

func TestScriptQuotesNothing(t *testing.T) {
	call := strands.Part{ToolCall: &strands.ToolCall{ID: "a", Name: "python_repl"}}
	asked := strands.AssistantMessage(call)
	for _, c := range []struct{ answer, text, want string }{
		{"STDOUT:\nx", "{{ stdout 2 }}", "no tool call 2; 1 were answered"},
		{"STDOUT:\nx", "{{ stdout 0 }}", "no tool call 0"},
		{"STDOUT:\nx", "{{ value 1 }}", "value 1: the answer has no VALUE"},
		{"STDOUT:\n\nVALUE:\n3", "{{ stdout 1 }}", "stdout 1: the answer has no STDOUT"},
		{"STDOUT:\nx", `{{ match 1 "y(.)" }}`, `match 1: "y(.)" is not in the answer`},
		{"STDOUT:\nx", `{{ match 1 "(" }}`, "missing closing"},
		{" ", "{{ result 1 }}", "result 1: the answer is empty"},
		{"STDOUT:\nx", "{{ growth 1 }}", `function "growth" not defined`},
	} {
		s := &strandstest.Script{Turns: []strandstest.Turn{{Text: "never"}, {Text: c.text}}}
		_, deltas, err := generate(t, s, user("q"), asked, answer(asked, c.answer))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "template") {
			t.Errorf("%s on %q: error %v, want %q", c.text, c.answer, err, c.want)
		}
		if len(deltas) > 0 {
			t.Errorf("%s: it spoke before it failed", c.text)
		}
	}
}

func TestScriptAttempts(t *testing.T) {
	throttled := &strands.ModelError{Kind: strands.ModelThrottled}
	s := &strandstest.Script{Turns: []strandstest.Turn{
		{Err: throttled}, {Text: "half a ", Err: throttled}, {Text: "hello"}, {Text: "bye"},
	}}
	for i, want := range []error{throttled, throttled, nil, nil} {
		r, deltas, err := generate(t, s, user("q"))
		if !errors.Is(err, want) {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
		if i == 1 && assemble(deltas)[0] != "half a " {
			t.Errorf("deltas before the error: %v", deltas)
		}
		if err == nil && r.Message.Text() != "hello" {
			t.Errorf("attempt %d: %q", i+1, r.Message.Text())
		}
	}
	r, _, err := generate(t, s, user("q"), strands.AssistantMessage(strands.Text("hello")), user("q"))
	if err != nil || r.Message.Text() != "bye" {
		t.Errorf("the reply after: %v, %v", r, err)
	}
}

func TestScriptShared(t *testing.T) {
	s := &strandstest.Script{}
	for i := range 20 {
		s.Turns = append(s.Turns, strandstest.Turn{Text: fmt.Sprint(i)})
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var history []strands.Message
			for i := range 20 {
				history = append(history, user("next"))
				r, _, err := generate(t, s, history...)
				if err != nil || r.Message.Text() != fmt.Sprint(i) {
					t.Errorf("turn %d: %v, %v", i, r, err)
					return
				}
				history = append(history, r.Message)
			}
		})
	}
	wg.Wait()
}

func TestScriptDelayAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &strandstest.Script{Turns: []strandstest.Turn{{Text: "slow", Delay: time.Minute}}}
		start := time.Now()
		if _, _, err := generate(t, s, user("q")); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, err := range s.Generate(ctx, &strands.Request{}) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("cancelled: %v", err)
			}
		}
		if d := time.Since(start); d != time.Minute+time.Second {
			t.Errorf("the cancelled call ended after %v", d)
		}
	})
}

func TestLoadScript(t *testing.T) {
	for name, text := range map[string]string{
		"a.yaml": `
model: actor
turns:
  - reasoning: Hm.
    text: "Let me see, {{ if ok 1 }}{{ end }}"
    python: |
      x = {{1}: {2}}
    calls:
      - {tool: add, input: {a: 1, b: [2, x]}, id: mine}
    stop: max_tokens
    usage: {input: 1, output: 2}
    delay: 1.5s
  - error: {kind: throttled, message: slow down, retryAfter: 2s}
`,
		"a.json": `{"model": "actor", "turns": [
	{"reasoning": "Hm.", "text": "Let me see, {{ if ok 1 }}{{ end }}", "python": "x = {{1}: {2}}\n",
	 "calls": [{"tool": "add", "input": {"a": 1, "b": [2, "x"]}, "id": "mine"}],
	 "stop": "max_tokens", "usage": {"input": 1, "output": 2}, "delay": "1.5s"},
	{"error": {"kind": "throttled", "message": "slow down", "retryAfter": "2s"}}
]}`,
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := strandstest.LoadScript(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := s.Turns[0]
		if s.ID != "actor" || got.Reasoning != "Hm." || got.Python != "x = {{1}: {2}}\n" || got.Stop != strands.StopMaxTokens ||
			got.Usage.Output != 2 || got.Delay != 1500*time.Millisecond || got.Calls[0].ID != "mine" {
			t.Errorf("%s: %+v", name, got)
		}
		if input := fmt.Sprint(got.Calls[0].Input); input != "map[a:1 b:[2 x]]" {
			t.Errorf("%s: input %s", name, input)
		}
		me, ok := errors.AsType[*strands.ModelError](s.Turns[1].Err)
		if !ok || me.Kind != strands.ModelThrottled || me.RetryAfter != 2*time.Second || me.Message != "slow down" {
			t.Errorf("%s: error %v", name, s.Turns[1].Err)
		}
	}
}

func TestLoadScriptMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "s.yaml:1: the file is empty"},
		{"turns: []", "s.yaml:1: there are no turns"},
		{"turns:\n  - text: a\n  - txt: b\n", "s.yaml:3: unknown field txt"},
		{"turns:\n  - text: a\n    text: b\n", "s.yaml:3: "},
		{"turns:\n  - text: a\n - x", "s.yaml:"},
		{"turns:\n  - text: ok\n  - text: '{{ stdout }'\n", "s.yaml:3: "},
		{"turns:\n  - text: '{{ output 1 }}'\n", `s.yaml:2: function "output" not defined`},
		{"turns:\n  - text: a\n    delay: soon\n", `s.yaml:3: "soon" is no duration`},
		{"turns:\n  - text: a\n    stop: now\n", `s.yaml:3: a model does not stop for the reason "now"`},
		{"turns:\n  - error: {kind: tired}\n", `s.yaml:2: "tired" is no kind of error`},
		{"turns:\n  - text: a\n  - calls:\n      - input: {}\n", "s.yaml:3: turn 2: a call needs the name of its tool"},
		{"turns:\n  - calls:\n      - {tool: x, input: {1: {2: 3}}}\n", "s.yaml:"},
		{"turns:\n  - text: a\n\n  - {}\n", "s.yaml:4: turn 2: it says nothing"},
		{"turns:\n  - text: [a]\n", "s.yaml:2: a text is expected"},
		{"just words", "s.yaml:1: "},
	} {
		_, err := strandstest.ParseScript("s.yaml", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "\n") || strings.Contains(msg, "strandstest.") {
			t.Errorf("%q: not for a user: %q", c.text, msg)
		}
	}
	if _, err := strandstest.LoadScript("no/such/file.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
