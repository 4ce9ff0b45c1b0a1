package strands_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strandsgo/strands"
)

// trace notes every hook event under a name.
type trace struct {
	mu    sync.Mutex
	lines []string
}

func (tr *trace) note(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

func (tr *trace) hooks(name string) strands.Hooks {
	return strands.Hooks{
		BeforeInvocation: func(context.Context, *strands.BeforeInvocation) error { tr.note("%s+run", name); return nil },
		AfterInvocation:  func(context.Context, *strands.AfterInvocation) error { tr.note("%s-run", name); return nil },
		MessageAdded: func(_ context.Context, e *strands.MessageAdded) error {
			tr.note("%s %s", name, e.Message.Role)
			return nil
		},
		BeforeModelCall: func(context.Context, *strands.BeforeModelCall) error { tr.note("%s+model", name); return nil },
		AfterModelCall:  func(context.Context, *strands.AfterModelCall) error { tr.note("%s-model", name); return nil },
		BeforeToolCall:  func(context.Context, *strands.BeforeToolCall) error { tr.note("%s+tool", name); return nil },
		AfterToolCall:   func(context.Context, *strands.AfterToolCall) error { tr.note("%s-tool", name); return nil },
	}
}

func TestHooksNest(t *testing.T) {
	tr := new(trace)
	m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("done")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, Hooks: []strands.Hooks{tr.hooks("a")}}).NewSession()
	remove := s.AddHooks(tr.hooks("gone"))
	remove()
	s.AddHooks(tr.hooks("b"))
	in := strands.Prompt("go")
	in.Hooks = []strands.Hooks{tr.hooks("c")}
	if _, err := strands.Collect(s.Run(t.Context(), in)); err != nil {
		t.Fatal(err)
	}
	want := "a+run b+run c+run, a user b user c user," +
		" a+model b+model c+model c-model b-model a-model, a assistant b assistant c assistant," +
		" a+tool b+tool c+tool c-tool b-tool a-tool, a user b user c user," +
		" a+model b+model c+model c-model b-model a-model, a assistant b assistant c assistant," +
		" c-run b-run a-run"
	if got := strings.Join(tr.lines, " "); got != strings.ReplaceAll(want, ",", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// withHook makes the hook of an event fail or panic.
func failing(event string, err error, panics bool) strands.Hooks {
	fail := func() error {
		if panics {
			panic(err)
		}
		return err
	}
	var h strands.Hooks
	switch event {
	case "BeforeInvocation":
		h.BeforeInvocation = func(context.Context, *strands.BeforeInvocation) error { return fail() }
	case "AfterInvocation":
		h.AfterInvocation = func(context.Context, *strands.AfterInvocation) error { return fail() }
	case "MessageAdded":
		h.MessageAdded = func(_ context.Context, e *strands.MessageAdded) error {
			if e.Message.Role == strands.Assistant {
				return fail()
			}
			return nil
		}
	case "BeforeModelCall":
		h.BeforeModelCall = func(context.Context, *strands.BeforeModelCall) error { return fail() }
	case "AfterModelCall":
		h.AfterModelCall = func(context.Context, *strands.AfterModelCall) error { return fail() }
	case "BeforeToolCall":
		h.BeforeToolCall = func(context.Context, *strands.BeforeToolCall) error { return fail() }
	case "AfterToolCall":
		h.AfterToolCall = func(context.Context, *strands.AfterToolCall) error { return fail() }
	}
	return h
}

func TestAHookThatFailsKeepsThePairs(t *testing.T) {
	boom := errors.New("boom")
	for _, event := range []string{"BeforeInvocation", "AfterInvocation", "MessageAdded", "BeforeModelCall", "AfterModelCall", "BeforeToolCall", "AfterToolCall"} {
		for _, panics := range []bool{false, true} {
			t.Run(fmt.Sprint(event, panics), func(t *testing.T) {
				tr := new(trace)
				m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("done")}}
				s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()},
					Hooks: []strands.Hooks{tr.hooks("a"), failing(event, boom, panics), tr.hooks("b")}}).NewSession()
				_, err := s.Ask(t.Context(), "go")
				if strings.HasSuffix(event, "ToolCall") {
					// Only a Fatal error of these ends the run.
					r := s.Messages()[2].ToolResults()[0]
					if err != nil || !r.IsError || !strings.Contains(r.Text(), "hook "+event+": ") || !strings.Contains(r.Text(), "boom") {
						t.Errorf("error %v, result %s", err, show(r))
					}
				} else if err == nil || !strings.Contains(err.Error(), "hook "+event+": ") || !panics && !errors.Is(err, boom) {
					t.Errorf("error %v", err)
				}
				for _, what := range []string{"run", "model", "tool"} {
					before, after := 0, 0
					for _, l := range tr.lines {
						switch l {
						case "a+" + what:
							before++
						case "a-" + what:
							after++
						}
					}
					if before != after {
						t.Errorf("%s: %d before and %d after in %v", what, before, after, tr.lines)
					}
				}
				valid(t, s)
			})
		}
	}
}

func TestFatalErrorsOfToolHooks(t *testing.T) {
	boom := errors.New("boom")
	for _, event := range []string{"BeforeToolCall", "AfterToolCall"} {
		m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`))}}
		s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, Hooks: []strands.Hooks{failing(event, strands.Fatal(boom), false)}}).NewSession()
		if _, err := s.Ask(t.Context(), "go"); !errors.Is(err, boom) {
			t.Errorf("%s: %v", event, err)
		}
		valid(t, s)
	}
}

func TestToolHooksChangeCalls(t *testing.T) {
	other := strands.NewTool("other", "", func(context.Context, none) (string, error) { return "other ran", nil })
	tries := 0
	h := strands.Hooks{
		BeforeToolCall: func(_ context.Context, e *strands.BeforeToolCall) error {
			switch e.Call.ID {
			case "input":
				e.Call.Input = []byte(`{"city":"Rome"}`)
				e.Call.ID = "nonsense"
			case "cancel":
				e.Cancel = "not allowed"
				e.Call = &strands.ToolCall{ID: "lost", Name: e.Call.Name, Input: e.Call.Input}
			case "tool":
				e.Tool, e.Call.Input = other, []byte(`{}`)
			case "unknown":
				if e.Tool != nil {
					t.Error("an unknown tool is there")
				}
				e.Tool = other
			}
			return nil
		},
		AfterToolCall: func(_ context.Context, e *strands.AfterToolCall) error {
			switch e.Call.ID {
			case "nonsense", "lost":
				t.Errorf("a hook changed an id to %s", e.Call.ID)
			case "result":
				e.Result = &strands.ToolResult{Parts: []strands.Part{strands.Text("rewritten")}}
			case "cancel":
				if !e.Cancelled {
					t.Error("the hook does not see that the call was cancelled")
				}
			case "retry":
				tries++
				e.Retry = tries < 3
			case "forever":
				e.Retry = true
			case "err":
				if e.Err == nil || e.Err.Error() != "no such city" {
					t.Errorf("error %v", e.Err)
				}
			}
			return nil
		},
	}
	oslo := `{"city":"Oslo"}`
	got := results(t, strands.Config{Tools: []strands.Tool{weather()}, Hooks: []strands.Hooks{h}, Sequential: true},
		call("input", "weather", oslo), call("cancel", "weather", oslo), call("tool", "weather", oslo), call("unknown", "none", `{}`),
		call("result", "weather", oslo), call("retry", "weather", oslo), call("forever", "weather", oslo), call("err", "weather", `{"city":"Atlantis"}`))
	want := []string{"sunny in Rome", "not allowed", "other ran", "other ran", "rewritten", "sunny in Oslo", "Given up after 5 retries.", "no such city"}
	for i, r := range got {
		if r.Text() != want[i] {
			t.Errorf("result %s, want %q", show(r), want[i])
		}
	}
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}

func TestModelHooks(t *testing.T) {
	boom := errors.New("boom")
	m := &script{turns: []turn{says("bad"), {err: boom}, says("good"), says("never")}}
	var seen []string
	h := strands.Hooks{
		BeforeModelCall: func(_ context.Context, e *strands.BeforeModelCall) error {
			e.Request.System = append(slices.Clone(e.Request.System), strands.Text("extra"))
			e.Request.Messages[0] = strands.UserMessage(strands.Text("redacted"))
			return nil
		},
		AfterModelCall: func(_ context.Context, e *strands.AfterModelCall) error {
			if (e.Reply == nil) == (e.Err == nil) {
				t.Error("not exactly one of Reply and Err is set")
			}
			e.Retry = e.Err != nil || e.Reply.Message.Text() == "bad"
			seen = append(seen, fmt.Sprint(e.Attempt, e.Retry))
			return nil
		},
	}
	s := newAgent(t, strands.Config{Model: m, Hooks: []strands.Hooks{h}}).NewSession()
	res, err := s.Ask(t.Context(), "secret")
	if err != nil || res.Text() != "good" {
		t.Fatal(res, err)
	}
	if got := strings.Join(seen, " "); got != "1 true 2 true 3 false" {
		t.Error(got)
	}
	if res.Usage.Total() != 30 {
		t.Errorf("usage %+v: the dropped reply counts too", res.Usage)
	}
	if msgs := s.Messages(); len(msgs) != 2 || msgs[0].Text() != "secret" {
		t.Errorf("history %s", show(msgs))
	}
	if q := m.seen[0]; q.System[0].Text != "extra" || q.Messages[0].Text() != "redacted" {
		t.Errorf("request %s", show(q))
	}
}

func TestModelRetriesAreCapped(t *testing.T) {
	var turns []turn
	for range 20 {
		turns = append(turns, says("bad"))
	}
	m := &script{turns: turns}
	s := newAgent(t, strands.Config{Model: m, Hooks: []strands.Hooks{{
		AfterModelCall: func(_ context.Context, e *strands.AfterModelCall) error { e.Retry = true; return nil },
	}}}).NewSession()
	_, err := s.Ask(t.Context(), "go")
	le, ok := errors.AsType[*strands.LimitError](err)
	if !ok || le.Max != 5 || len(m.seen) != 6 || le.Result.Usage.Total() != 90 {
		t.Errorf("%v after %d calls", err, len(m.seen))
	}
	valid(t, s)
}

func TestBeforeInvocationReplacesTheInput(t *testing.T) {
	m := &script{turns: []turn{says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Hooks: []strands.Hooks{{
		BeforeInvocation: func(_ context.Context, e *strands.BeforeInvocation) error {
			e.Messages = []strands.Message{strands.UserMessage(strands.Text("no secrets"))}
			return nil
		},
	}}}).NewSession()
	if _, err := s.Ask(t.Context(), "secret"); err != nil {
		t.Fatal(err)
	}
	if got := s.Messages()[0].Text(); got != "no secrets" {
		t.Error(got)
	}
}

func TestAfterInvocationResumes(t *testing.T) {
	var turns []turn
	for i := range 20 {
		turns = append(turns, says(fmt.Sprint("answer ", i)))
	}
	for _, rounds := range []int{2, 100} {
		m := &script{turns: turns}
		n := 0
		s := newAgent(t, strands.Config{Model: m, Hooks: []strands.Hooks{{
			AfterInvocation: func(_ context.Context, e *strands.AfterInvocation) error {
				if n++; n <= rounds {
					e.Resume = new(strands.Prompt("more"))
				}
				return nil
			},
		}}}).NewSession()
		res, err := s.Ask(t.Context(), "go")
		if rounds == 2 {
			if err != nil || res.Text() != "answer 2" || res.Cycles != 3 || s.Turn() != 1 {
				t.Error(res, err, s.Turn())
			}
			continue
		}
		if le, ok := errors.AsType[*strands.LimitError](err); !ok || le.Max != 10 || len(m.seen) != 11 {
			t.Errorf("%v after %d calls", err, len(m.seen))
		}
	}
}

func TestHooksMayChangeTheSession(t *testing.T) {
	// From inside a run: a tool and a system prompt for the next model call.
	m := &script{turns: []turn{calls(call("1", "grow", `{}`)), calls(call("2", "weather", `{"city":"Oslo"}`)), says("done")}}
	grow := strands.NewTool("grow", "", func(ctx context.Context, _ none) (string, error) {
		s := strands.SessionFrom(ctx)
		s.SetSystem(strands.Text("You have grown."))
		if !s.RemoveTool("grow") || s.RemoveTool("nonsense") {
			t.Error("RemoveTool is wrong about what was offered")
		}
		return "ok", s.AddTools(weather())
	})
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{grow}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	if q := m.seen[1]; len(q.Tools) != 1 || q.Tools[0].Name != "weather" || q.System[0].Text != "You have grown." {
		t.Errorf("second request %s", show(q))
	}
	if r := s.Messages()[4].ToolResults()[0]; r.Text() != "sunny in Oslo" {
		t.Errorf("result %s", show(r))
	}
	if err := s.AddTools(weather()); err == nil {
		t.Error("a name was taken twice")
	}
}

// TestHooksSeeWhatTheToolWillRead: a policy cannot be passed by a number that
// is written as a string.
func TestHooksSeeWhatTheToolWillRead(t *testing.T) {
	type args struct {
		Sum  float64 `json:"sum"`
		Kind string  `json:"kind" default:"cash"`
	}
	paid := 0.0
	pay := strands.NewTool("pay", "", func(_ context.Context, in args) (string, error) { paid += in.Sum; return "paid", nil })
	policy := strands.Hooks{BeforeToolCall: func(_ context.Context, e *strands.BeforeToolCall) error {
		var in args
		if err := json.Unmarshal(e.Call.Input, &in); err != nil || in.Kind != "cash" {
			t.Errorf("the hook sees %s: %v", e.Call.Input, err)
		}
		if in.Sum > 1000 {
			e.Cancel = "too much"
		}
		return nil
	}}
	m := &script{turns: []turn{calls(call("1", "pay", `{"sum":"2500"}`), call("2", "pay", `{"sum":"25"}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{pay}, Hooks: []strands.Hooks{policy}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil || paid != 25 {
		t.Errorf("paid %v, %v", paid, err)
	}
	if got := string(s.Messages()[1].ToolCalls()[0].Input); got != `{"sum":"2500"}` {
		t.Errorf("the history has %s instead of what the model wrote", got)
	}
}
