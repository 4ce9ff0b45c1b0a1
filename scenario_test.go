package strands_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
)

// TestANewPromptAnswersOpenCalls: calls that were left open, one or several,
// get error results before the prompt.
func TestANewPromptAnswersOpenCalls(t *testing.T) {
	oslo := `{"city":"Oslo"}`
	for n, open := range [][]strands.Part{{call("1", "weather", oslo)}, {call("1", "weather", oslo), call("2", "weather", oslo)}} {
		var ran atomic.Int32
		m := &script{turns: []turn{says("ok")}}
		s := newAgent(t, strands.Config{
			Model: m, Tools: []strands.Tool{counted("weather", &ran)},
			Messages: []strands.Message{strands.UserMessage(strands.Text("go")), strands.AssistantMessage(open...)},
		}).NewSession()
		if _, err := s.Ask(t.Context(), "something else"); err != nil {
			t.Fatal(err)
		}
		msgs := s.Messages()
		results := msgs[2].ToolResults()
		if len(msgs) != 5 || len(results) != n+1 || !results[n].IsError || results[n].CallID != open[n].ToolCall.ID || msgs[3].Text() != "something else" || ran.Load() != 0 {
			t.Errorf("history %s", show(msgs))
		}
		valid(t, s)
	}
}

func TestTheSessionIsUsableAfterAnError(t *testing.T) {
	boom := errors.New("boom")
	s := newAgent(t, strands.Config{Model: &script{turns: []turn{{err: boom}, says("ok")}}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.Text() != "ok" {
		t.Error(res, err)
	}
	valid(t, s)
}

func TestAnInvalidToolNameIsAnErrorResult(t *testing.T) {
	m := &script{turns: []turn{calls(call("1", "no such name!", `{}`), call("2", "weather", `{"city":"Oslo"}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	msgs := s.Messages()
	results := msgs[2].ToolResults()
	if !results[0].IsError || results[0].Text() != "The tool name is invalid: it must be 1 to 64 of a-z A-Z 0-9 _ -." || results[1].IsError {
		t.Errorf("results %s", show(results))
	}
	if name := msgs[1].ToolCalls()[0].Name; name != "INVALID_TOOL_NAME" { // a provider would refuse the other
		t.Errorf("the history has a tool named %q", name)
	}
	valid(t, s)
}

// TestARetryOfAHookDoesNotSleep: when a hook repeats a failed call, the retry
// policy does not wait in addition.
func TestARetryOfAHookDoesNotSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := strands.Hooks{AfterModelCall: func(_ context.Context, e *strands.AfterModelCall) error {
			e.Retry = e.Err != nil && e.Attempt == 1
			return nil
		}}
		a, err := strands.New(strands.Config{Model: &script{turns: append(throttled(2, 0), says("ok"))}, Hooks: []strands.Hooks{retry}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		waits := 0
		for e, err := range a.NewSession().Run(t.Context(), strands.Prompt("go")) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Retry != nil {
				waits++
			}
		}
		if d := time.Since(start); waits != 1 || d != 4*time.Second {
			t.Errorf("%d waits, %v in all", waits, d)
		}
	})
}

// TestCancelBetweenAnswerAndTools: each call gets an error result, no tool runs.
func TestCancelBetweenAnswerAndTools(t *testing.T) {
	var ran atomic.Int32
	h := strands.Hooks{AfterModelCall: func(_ context.Context, e *strands.AfterModelCall) error {
		if e.Attempt == 1 && ran.Load() == 0 && len(e.Session.Messages()) == 1 {
			e.Session.Cancel()
		}
		return nil
	}}
	added := strands.Hooks{MessageAdded: func(_ context.Context, e *strands.MessageAdded) error {
		if e.Message.Role == strands.Assistant && len(e.Message.ToolCalls()) > 0 {
			e.Session.Cancel()
		}
		return nil
	}}
	for name, hooks := range map[string]strands.Hooks{"while the answer is taken": h, "after it was taken": added} {
		m := &script{turns: []turn{calls(call("1", "tool", `{}`), call("2", "tool", `{}`)), says("ok")}}
		s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{counted("tool", &ran)}, Hooks: []strands.Hooks{hooks}}).NewSession()
		res, err := s.Ask(t.Context(), "go")
		if err != nil || res.StopReason != strands.StopCancelled || ran.Load() != 0 {
			t.Fatalf("%s: %v, %v, %d tools ran", name, res, err, ran.Load())
		}
		msgs := s.Messages()
		if name == "after it was taken" {
			if results := msgs[len(msgs)-1].ToolResults(); len(results) != 2 || !results[0].IsError || results[1].Text() != "The tool call was cancelled." {
				t.Errorf("history %s", show(msgs))
			}
		}
		valid(t, s)
	}
}

func TestAContextThatHasEndedAsksNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &script{turns: []turn{says("ok")}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	if _, err := s.Ask(ctx, "go"); !errors.Is(err, context.Canceled) || len(m.seen) != 0 {
		t.Errorf("%v after %d model calls", err, len(m.seen))
	}
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.Text() != "ok" {
		t.Error(res, err)
	}
	valid(t, s)
}

// TestQuestionsOfSeveralHooks: hooks that ask about one call are asked about
// together; the tool runs once both are answered.
func TestQuestionsOfSeveralHooks(t *testing.T) {
	var ran atomic.Int32
	asking := func(name string) strands.Hooks {
		return strands.Hooks{BeforeToolCall: func(ctx context.Context, e *strands.BeforeToolCall) error {
			_, err := strands.RequestInput(ctx, name, e.Call.Name)
			return err
		}}
	}
	m := &script{turns: []turn{calls(call("1", "tool", `{}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{counted("tool", &ran)}, Hooks: []strands.Hooks{asking("price"), asking("risk")}}).NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || len(res.Interrupts) != 2 || res.Interrupts[0].Name != "price" || res.Interrupts[1].Name != "risk" {
		t.Fatal(show(res), err)
	}
	if res, err = strands.Collect(s.Run(t.Context(), respond(res.Interrupts[1].ID, true))); err != nil || len(res.Interrupts) != 1 || ran.Load() != 0 {
		t.Fatal(show(res), err)
	}
	if res, err = strands.Collect(s.Run(t.Context(), respond(res.Interrupts[0].ID, true))); err != nil || res.Text() != "ok" || ran.Load() != 1 {
		t.Error(show(res), err)
	}
	valid(t, s)
}

// TestARetriedOutputIsCheckedAgain: a hook repeats the call that gives the
// structured output, with another input.
func TestARetriedOutputIsCheckedAgain(t *testing.T) {
	tries := 0
	h := strands.Hooks{
		BeforeToolCall: func(_ context.Context, e *strands.BeforeToolCall) error {
			if tries++; tries == 2 {
				e.Call.Input = []byte(`{"name":"Bergen","people":2}`)
			}
			return nil
		},
		AfterToolCall: func(_ context.Context, e *strands.AfterToolCall) error {
			e.Retry = tries == 1
			return nil
		},
	}
	m := &script{turns: []turn{calls(call("1", "city", `{"name":"Oslo","people":1}`))}}
	a := newAgent(t, strands.Config{Model: m, Hooks: []strands.Hooks{h}})
	if c, err := strands.AskFor[city](t.Context(), a, "go"); err != nil || c.Name != "Bergen" || tries != 2 {
		t.Errorf("%v, %v after %d tries", c, err, tries)
	}
}

// TestProjectedTokens: what the model said it had read is the base, and what
// came since is estimated.
func TestProjectedTokens(t *testing.T) {
	counted := says("ok")
	counted.usage = strands.Usage{Input: 1000, Output: 50}
	var projected []int
	h := strands.Hooks{BeforeModelCall: func(_ context.Context, e *strands.BeforeModelCall) error {
		projected = append(projected, e.ProjectedTokens)
		return nil
	}}
	s := newAgent(t, strands.Config{Model: &script{turns: []turn{counted, says("ok")}}, Hooks: []strands.Hooks{h}}).NewSession()
	for range 2 {
		if _, err := s.Ask(t.Context(), "a question of some words"); err != nil {
			t.Fatal(err)
		}
	}
	if projected[0] <= 0 || projected[0] > 100 || projected[1] <= 1050 || projected[1] > 1150 {
		t.Errorf("projected %v", projected)
	}
}
