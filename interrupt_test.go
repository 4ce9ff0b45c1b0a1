package strands_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/strandsgo/strands"
)

// approval asks before each call of the tool named.
func approval(name string) strands.Hooks {
	return strands.Hooks{BeforeToolCall: func(ctx context.Context, e *strands.BeforeToolCall) error {
		if e.Call.Name != name {
			return nil
		}
		answer, err := strands.RequestInput(ctx, "approve", map[string]any{"tool": name})
		if err != nil {
			return err
		}
		if answer != "yes" {
			e.Cancel = fmt.Sprint("refused: ", answer)
		}
		return nil
	}}
}

// counted is a tool that counts its runs.
func counted(name string, n *atomic.Int32) strands.Tool {
	return strands.NewTool(name, "", func(context.Context, none) (string, error) { return fmt.Sprint(name, " ", n.Add(1)), nil })
}

// asker is a tool that asks for a name and a colour.
func asker(runs *atomic.Int32) strands.Tool {
	return strands.NewTool("ask", "", func(ctx context.Context, _ none) (string, error) {
		runs.Add(1)
		name, err := strands.RequestInput(ctx, "name", "who?")
		if err != nil {
			return "", err
		}
		colour, err := strands.RequestInput(ctx, "colour", nil)
		if err != nil {
			return "", fmt.Errorf("wrapped: %w", err)
		}
		return fmt.Sprint(name, " likes ", colour), nil
	})
}

func respond(id string, v any) strands.Input {
	return strands.Input{Responses: []strands.InterruptResponse{{ID: id, Response: v}}}
}

func TestInterruptAndResume(t *testing.T) {
	for _, sequential := range []bool{false, true} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(fmt.Sprint(sequential, elsewhere), func(t *testing.T) { interruptAndResume(t, sequential, elsewhere) })
		}
	}
}

// interruptAndResume: a run with a finished call, one that waits for approval,
// and one that asks two questions in turn. Each step is done by a new process
// when elsewhere.
func interruptAndResume(t *testing.T, sequential, elsewhere bool) {
	var plain, guarded, asked atomic.Int32
	store := strands.NewMemoryStore()
	model := &script{turns: []turn{calls(call("a", "plain", `{}`), call("b", "guarded", `{}`), call("c", "ask", `{}`)), says("done")}}
	agent := func() *strands.Agent {
		return newAgent(t, strands.Config{Model: model, Store: store, Sequential: sequential, Hooks: []strands.Hooks{approval("guarded")},
			Tools: []strands.Tool{counted("plain", &plain), counted("guarded", &guarded), asker(&asked)}})
	}
	s := agent().NewSession()
	step := func(in strands.Input, want ...string) *strands.Result {
		t.Helper()
		if elsewhere && len(s.Messages()) > 0 {
			var err error
			if s, err = agent().Restore(t.Context(), s.ID()); err != nil {
				t.Fatal(err)
			}
		}
		var events []string
		var res *strands.Result
		for e, err := range s.Run(t.Context(), in) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Interrupt != nil {
				events = append(events, e.Interrupt.ID)
			}
			res = e.Result
		}
		var got []string
		for _, q := range res.Interrupts {
			got = append(got, q.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) && fmt.Sprint(got) != fmt.Sprint(reversed(want)) || len(events) != len(got) {
			t.Fatalf("interrupts %v, events %v, want %v", got, events, want)
		}
		return res
	}

	first := []string{"hook:b:approve", "tool:c:name"}
	if sequential {
		first = first[:1]
	}
	res := step(strands.Prompt("go"), first...)
	if res.StopReason != strands.StopInterrupt || len(s.Pending().Results) != 1 || len(res.Message.ToolCalls()) != 3 {
		t.Fatalf("result %s, pending %s", show(res), show(s.Pending()))
	}
	for name, in := range map[string]strands.Input{
		"a prompt":      strands.Prompt("hello?"),
		"an unknown id": {Responses: []strands.InterruptResponse{{ID: "hook:b:approve", Response: "yes"}, {ID: "x"}}},
	} {
		_, err := strands.Collect(s.Run(t.Context(), in))
		if _, ok := errors.AsType[*strands.InputError](err); !ok || len(s.Pending().Responses) != 0 {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if _, err := s.Call(t.Context(), "plain", nil); err == nil {
		t.Fatal("a direct call of an interrupted session")
	}
	step(strands.Input{}, first...) // no answer: asked again
	if sequential {
		step(respond("hook:b:approve", "yes"), "tool:c:name")
	} else {
		step(respond("tool:c:name", "Ada"), "hook:b:approve", "tool:c:colour")
		step(respond("hook:b:approve", "yes"), "tool:c:colour")
	}
	if sequential {
		step(respond("tool:c:name", "Ada"), "tool:c:colour")
	}
	res = step(respond("tool:c:colour", nil))
	if res.StopReason != strands.StopEndTurn || s.Pending() != nil || len(model.seen) != 2 {
		t.Errorf("result %s after %d model calls", show(res), len(model.seen))
	}
	want := []string{"plain 1", "guarded 1", "Ada likes <nil>"}
	for i, r := range s.Messages()[2].ToolResults() {
		if r.Text() != want[i] {
			t.Errorf("result %d is %q, want %q", i, r.Text(), want[i])
		}
	}
	if s.Turn() > 1 {
		t.Errorf("turn %d", s.Turn())
	}
	valid(t, s)
	// What is stored is the same.
	log, err := store.Load(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(log) {
		if e.State != nil {
			if e.State.Pending != nil {
				t.Error("the questions are still in the store")
			}
			break
		}
	}
	s2, err := agent().Restore(t.Context(), s.ID())
	if err != nil || show(s2.Messages()) != show(s.Messages()) || s2.Pending() != nil {
		t.Errorf("restored: %v", err)
	}
}

func reversed(s []string) []string {
	r := []string{}
	for i := range s {
		r = append(r, s[len(s)-1-i])
	}
	return r
}

func TestARefusedApproval(t *testing.T) {
	var n atomic.Int32
	m := &script{turns: []turn{calls(call("b", "guarded", `{}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{counted("guarded", &n)}, Hooks: []strands.Hooks{approval("guarded"), approval("guarded")}}).NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || len(res.Interrupts) != 1 { // two hooks, one question
		t.Fatal(show(res), err)
	}
	if _, err := strands.Collect(s.Run(t.Context(), respond(res.Interrupts[0].ID, "no"))); err != nil {
		t.Fatal(err)
	}
	if r := s.Messages()[2].ToolResults()[0]; r.Text() != "refused: no" || n.Load() != 0 {
		t.Errorf("result %s, ran %d times", show(r), n.Load())
	}
}

func TestAbandon(t *testing.T) {
	var n, asked atomic.Int32
	m := &script{turns: []turn{calls(call("a", "plain", `{}`), call("c", "ask", `{}`)), says("never mind")}}
	s := newAgent(t, strands.Config{Model: m, Store: strands.NewMemoryStore(), Tools: []strands.Tool{counted("plain", &n), asker(&asked)}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	valid(t, s)
	if r := s.Messages()[2].ToolResults(); r[0].Text() != "plain 1" || !r[1].IsError {
		t.Errorf("results %s", show(r))
	}
	if _, err := s.Ask(t.Context(), "forget it"); err != nil {
		t.Fatal(err)
	}
	if err := s.Abandon(t.Context()); err != nil || len(s.Messages()) != 5 {
		t.Error("Abandon without an interrupt did something", err)
	}
}

func TestAbandonIsStoredWhole(t *testing.T) {
	// Its context may end at any moment: what is given up is stored all the same.
	var n, asked atomic.Int32
	m := &script{turns: []turn{calls(call("a", "plain", `{}`), call("c", "ask", `{}`))}}
	a := newAgent(t, strands.Config{Model: m, Store: strands.NewMemoryStore(), Tools: []strands.Tool{counted("plain", &n), asker(&asked)}})
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Abandon(ctx); err != nil {
		t.Error(err)
	}
	r, err := a.Restore(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Messages(); len(got) != 3 || r.Pending() != nil {
		t.Errorf("restored %s", show(got))
	}
}

func TestAnswersByTheProgramItself(t *testing.T) {
	// AfterInvocation may answer in the same run.
	var n atomic.Int32
	m := &script{turns: []turn{calls(call("b", "guarded", `{}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{counted("guarded", &n)}, Hooks: []strands.Hooks{approval("guarded"), {
		AfterInvocation: func(_ context.Context, e *strands.AfterInvocation) error {
			if e.Result != nil && e.Result.StopReason == strands.StopInterrupt {
				e.Resume = new(respond(e.Result.Interrupts[0].ID, "yes"))
			}
			return nil
		},
	}}}).NewSession()
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.Text() != "ok" || n.Load() != 1 {
		t.Error(res, err, n.Load())
	}
}

func TestInterruptInsideAHostCall(t *testing.T) {
	// An outer tool stands for a REPL whose code calls a guarded function.
	var n atomic.Int32
	type parked struct{ call *strands.ToolCall }
	var park *parked
	outer := strands.NewTool("repl", "", func(ctx context.Context, _ none) (string, error) {
		c := &strands.ToolCall{Name: "guarded"}
		if park != nil { // made again: go on where the code stands
			a := strands.Answers(ctx)
			if len(a) != 1 || a[0].CallID != park.call.ID || a[0].Response != "yes" {
				t.Errorf("answers %s", show(a))
			}
			c = park.call
		} else if strands.Answers(ctx) != nil {
			t.Error("answers before a question")
		}
		res, err := strands.Invoke(ctx, counted("guarded", &n), c)
		if err != nil {
			park = &parked{c}
			return "", err
		}
		return "code saw " + res.Text(), nil
	})
	m := &script{turns: []turn{calls(call("1", "repl", `{}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{outer}, Hooks: []strands.Hooks{approval("guarded")}}).NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || len(res.Interrupts) != 1 || res.Interrupts[0].ParentID != "1" || res.Interrupts[0].CallID != park.call.ID {
		t.Fatal(show(res), err)
	}
	if _, err = strands.Collect(s.Run(t.Context(), respond(res.Interrupts[0].ID, "yes"))); err != nil {
		t.Fatal(err)
	}
	if r := s.Messages()[2].ToolResults()[0]; r.Text() != "code saw guarded 1" || n.Load() != 1 {
		t.Errorf("result %s", show(r))
	}
}

func TestAgentAsTool(t *testing.T) {
	inner := newAgent(t, strands.Config{Name: "helper", Description: "Helps.", Model: &script{turns: []turn{
		calls(call("x", "weather", `{"city":"Oslo"}`)), says("It is sunny."), {err: errors.New("tired")},
	}}, Tools: []strands.Tool{weather()}})
	tool := inner.AsTool()
	if spec := tool.Spec(); spec.Name != "helper" || spec.Description != "Helps." {
		t.Errorf("spec %s", show(spec))
	}
	m := &script{turns: []turn{calls(call("1", "helper", `{"input":"weather?"}`), call("2", "helper", `{"input":"again"}`), call("3", "helper", `{"input":" "}`)), says("done")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{tool}, Sequential: true}).NewSession()
	innerEvents := map[string]int{}
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Output != nil && e.Output.Inner != nil {
			innerEvents[e.Output.CallID]++
		}
	}
	if innerEvents["1"] != 7 { // 4 messages, start, end, result
		t.Errorf("inner events %v", innerEvents)
	}
	rs := s.Messages()[2].ToolResults()
	if rs[0].Text() != "It is sunny." || rs[1].Text() != "agent helper: strands: model call: tired" || !rs[2].IsError {
		t.Errorf("results %s", show(rs))
	}
}

func TestAnAgentAsToolAsksAPerson(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		var asked atomic.Int32
		store := strands.NewMemoryStore()
		innerModel := &script{turns: []turn{calls(call("c", "ask", `{}`)), calls(call("d", "ask", `{}`)), says("Asked twice.")}}
		outerModel := &script{turns: []turn{calls(call("1", "helper", `{"input":"ask them"}`)), says("done")}}
		agent := func() *strands.Agent {
			cfg := strands.Config{Name: "helper", Model: innerModel, Tools: []strands.Tool{asker(&asked)}}
			if elsewhere {
				cfg.Store = store
			}
			inner := newAgent(t, cfg)
			return newAgent(t, strands.Config{Model: outerModel, Store: store, Tools: []strands.Tool{inner.AsTool()}})
		}
		s := agent().NewSession()
		res, err := s.Ask(t.Context(), "go")
		for _, id := range []string{"1/tool:c:name", "1/tool:c:colour", "1/tool:d:name", "1/tool:d:colour"} {
			if err != nil || len(res.Interrupts) != 1 || res.Interrupts[0].ID != id {
				t.Fatalf("want %s: %v %s", id, err, show(res))
			}
			if elsewhere {
				if s, err = agent().Restore(t.Context(), s.ID()); err != nil {
					t.Fatal(err)
				}
			}
			res, err = strands.Collect(s.Run(t.Context(), respond(id, "blue")))
		}
		if err != nil || res.Text() != "done" || s.Messages()[2].ToolResults()[0].Text() != "Asked twice." {
			t.Error(show(res), err)
		}
		if len(innerModel.seen) != 3 || len(outerModel.seen) != 2 {
			t.Errorf("%d and %d model calls", len(innerModel.seen), len(outerModel.seen))
		}
	}
}

func TestPendingIsJSON(t *testing.T) {
	p := strands.Pending{Interrupts: []strands.Interrupt{{ID: "a", Name: "n", Reason: map[string]any{"x": 1.5}}}, Responses: []strands.InterruptResponse{{ID: "a", Response: []any{"y"}}}}
	var q strands.Pending
	if err := json.Unmarshal([]byte(show(p)), &q); err != nil || show(p) != show(q) {
		t.Error(err, show(q))
	}
}

// TestTwoGoOnWithOneInterrupt: of two that have the answer, perhaps in two
// processes, one runs the tool, and the other learns of it before it does too.
func TestTwoGoOnWithOneInterrupt(t *testing.T) {
	var asked atomic.Int32
	m := &script{turns: []turn{calls(call("c", "once", `{}`)), says("done")}}
	once := strands.NewTool("once", "", func(ctx context.Context, _ none) (string, error) {
		answer, err := strands.RequestInput(ctx, "sure", nil)
		if err == nil {
			asked.Add(1)
		}
		return fmt.Sprint(answer), err
	})
	a := newAgent(t, strands.Config{Model: m, Store: strands.NewMemoryStore(), Tools: []strands.Tool{once}})
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	other, err := a.Restore(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strands.Collect(s.Run(t.Context(), respond("tool:c:sure", "yes"))); err != nil {
		t.Fatal(err)
	}
	_, err = strands.Collect(other.Run(t.Context(), respond("tool:c:sure", "yes")))
	if !errors.Is(err, strands.ErrConflict) || strings.Contains(err.Error(), "\n") || asked.Load() != 1 {
		t.Errorf("the tool ran %d times: %v", asked.Load(), err)
	}
	_ = other.Close() // cannot be stored
}
