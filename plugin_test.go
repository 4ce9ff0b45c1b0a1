package strands_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
)

func TestPlugins(t *testing.T) {
	var order []string
	noting := func(name string) strands.Plugin {
		return strands.Plugin{
			Name: name,
			Init: func(cfg *strands.Config) error {
				order = append(order, "init "+name)
				cfg.Values["by"] = name
				cfg.SystemPrompt += name + " "
				return nil
			},
			Hooks: []strands.Hooks{{
				BeforeInvocation: func(context.Context, *strands.BeforeInvocation) error {
					order = append(order, "before "+name)
					return nil
				},
				AfterInvocation: func(context.Context, *strands.AfterInvocation) error {
					order = append(order, "after "+name)
					return nil
				},
			}},
		}
	}
	second := noting("second")
	second.Tools = []strands.Tool{weather()}
	given := map[string]any{"mine": 1}
	m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("ok")}}
	a := newAgent(t, strands.Config{Model: m, Plugins: []strands.Plugin{noting("first"), second}, Values: given})
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, ", "), "init first, init second, before first, before second, after second, after first"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if s.Messages()[2].ToolResults()[0].Text() != "sunny in Oslo" || s.System()[0].Text != "first second " {
		t.Errorf("history %s, system %s", show(s.Messages()), show(s.System()))
	}
	if string(s.Values()["by"]) != `"second"` || len(given) != 1 {
		t.Errorf("values %s, given %v", show(s.Values()), given)
	}
}

func TestPluginsThatAreRefused(t *testing.T) {
	boom := errors.New("boom")
	for _, plugins := range [][]strands.Plugin{
		{{Name: "a"}, {Name: "a"}},
		{{}},
		{{Name: "a", Tools: []strands.Tool{weather(), weather()}}},
		{{Name: "a", Init: func(*strands.Config) error { return boom }}},
	} {
		_, err := strands.New(strands.Config{Model: echo{}, Plugins: plugins})
		if _, ok := errors.AsType[*strands.InputError](err); !ok && !errors.Is(err, boom) {
			t.Errorf("%d plugins: %v", len(plugins), err)
		}
	}
}

func TestRecordedCalls(t *testing.T) {
	tool, err := strands.NewRawTool(strands.ToolSpec{Name: "look-up", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(_ context.Context, c *strands.ToolCall) (*strands.ToolResult, error) {
			return &strands.ToolResult{Parts: []strands.Part{strands.Text("found " + string(c.Input))}}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, strands.Config{Model: &script{turns: []turn{says("ok")}}, Tools: []strands.Tool{tool}, Store: strands.NewMemoryStore()})
	s := a.NewSession()
	added := 0
	s.AddHooks(strands.Hooks{MessageAdded: func(context.Context, *strands.MessageAdded) error { added++; return nil }})

	if res, err := s.Call(t.Context(), "look_up", nil); err != nil || res.Text() != "found {}" || len(s.Messages()) != 0 {
		t.Errorf("not recorded: %v, %v, %s", res, err, show(s.Messages()))
	}
	res, err := s.Record(t.Context(), "look_up", map[string]int{"id": 7}, "For the report.")
	if err != nil {
		t.Fatal(err)
	}
	res.Parts[0].Text = "changed by the caller"
	msgs := s.Messages()
	if len(msgs) != 4 || added != 4 || !strings.HasPrefix(msgs[0].Text(), "For the report.") || !strings.Contains(msgs[0].Text(), `{"id":7}`) ||
		msgs[1].ToolCalls()[0].Name != "look-up" || msgs[2].ToolResults()[0].Text() != `found {"id":7}` || msgs[3].Role != strands.Assistant {
		t.Errorf("%d added, history %s", added, show(msgs))
	}
	valid(t, s)
	if again, err := a.Restore(t.Context(), s.ID()); err != nil || len(again.Messages()) != 4 {
		t.Fatalf("what was recorded is not stored: %v", err)
	}
	if _, err := s.Ask(t.Context(), "go on"); err != nil {
		t.Fatal(err)
	}
	again, err := a.Restore(t.Context(), s.ID())
	if err != nil || len(again.Messages()) != 6 {
		t.Fatalf("restored %v, %v", again, err)
	}
	for _, input := range []any{make(chan int), "text"} {
		if res, err := s.Record(t.Context(), "look_up", input, ""); err == nil && !res.IsError {
			t.Errorf("input %T: %v", input, show(res))
		}
	}
	if _, err := s.Record(t.Context(), "lookup", nil, ""); err == nil {
		t.Error("a tool that does not exist was called")
	}
	valid(t, s)
}

// TestRecordedInputIsThatOfTheSchema: what the tool's schema does not name
// reaches the tool, and not the history.
func TestRecordedInputIsThatOfTheSchema(t *testing.T) {
	var got string
	tool, err := strands.NewRawTool(strands.ToolSpec{Name: "pay", InputSchema: json.RawMessage(`{"type":"object","properties":{"sum":{"type":"number"}}}`)},
		func(_ context.Context, c *strands.ToolCall) (*strands.ToolResult, error) {
			got = string(c.Input)
			return &strands.ToolResult{Parts: []strands.Part{strands.Text("paid")}}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	s := newAgent(t, strands.Config{Model: echo{}, Tools: []strands.Tool{tool}}).NewSession()
	if _, err := s.Record(t.Context(), "pay", map[string]any{"sum": 5, "card": "4929"}, ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, "4929") || strings.Contains(show(s.Messages()), "4929") || string(s.Messages()[1].ToolCalls()[0].Input) != `{"sum":5}` {
		t.Errorf("the tool got %s, the history is %s", got, show(s.Messages()))
	}
	valid(t, s)
}

func TestACallDuringARunIsRefused(t *testing.T) {
	var inner error
	a := newAgent(t, strands.Config{
		Model: &script{turns: []turn{calls(call("1", "nest", `{}`)), says("ok")}},
		Tools: []strands.Tool{weather(), strands.NewTool("nest", "", func(ctx context.Context, _ none) (string, error) {
			_, inner = strands.SessionFrom(ctx).Record(ctx, "weather", cityArgs{City: "Oslo"}, "")
			return "ok", nil
		})},
	})
	if _, err := a.Ask(t.Context(), "go"); err != nil || !errors.Is(inner, strands.ErrConcurrentInvocation) {
		t.Errorf("%v, %v", err, inner)
	}
}

func TestCallsOfAnInterruptedSession(t *testing.T) {
	ask := strands.NewTool("ask", "", func(ctx context.Context, _ none) (string, error) {
		_, err := strands.RequestInput(ctx, "sure", nil)
		return "", err
	})
	a := newAgent(t, strands.Config{Model: &script{turns: []turn{calls(call("1", "ask", `{}`))}}, Tools: []strands.Tool{ask, weather()}})
	s := a.NewSession()
	_, err := s.Record(t.Context(), "ask", nil, "")
	if _, ok := errors.AsType[*strands.InterruptError](err); !ok || len(s.Messages()) != 0 {
		t.Errorf("a question of a direct call: %v, history %s", err, show(s.Messages()))
	}
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.StopReason != strands.StopInterrupt || !strings.Contains(res.String(), "sure") {
		t.Fatalf("%v, %v", res, err)
	}
	for _, try := range []func() error{
		func() error { _, err := s.Call(t.Context(), "weather", cityArgs{}); return err },
		func() error { _, err := strands.Extract[city](t.Context(), s, "which?"); return err },
	} {
		if _, ok := errors.AsType[*strands.InputError](try()); !ok {
			t.Error("the interrupted session did something else")
		}
	}
}

func TestFinishEndsTheRunAfterTheBatch(t *testing.T) {
	ran := 0
	last := strands.NewTool("last", "", func(ctx context.Context, _ none) (string, error) {
		strands.Finish(ctx)
		ran++
		return "done", nil
	})
	m := &script{turns: []turn{calls(call("1", "last", `{}`), call("2", "weather", `{"city":"Oslo"}`)), says("still here")}}
	a := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{last, weather()}, Sequential: true})
	s := a.NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || res.StopReason != strands.StopToolUse || ran != 1 || len(m.seen) != 1 {
		t.Fatalf("%s, %v", show(res), err)
	}
	if msgs := s.Messages(); len(msgs) != 3 || len(msgs[2].ToolResults()) != 2 {
		t.Errorf("history %s", show(msgs))
	}
	valid(t, s)
	if res, err := s.Ask(t.Context(), "go on"); err != nil || res.Text() != "still here" {
		t.Errorf("%v, %v", res, err)
	}
}

// TestFinishEndsOneRound: a round that a hook asks for goes on as usual.
func TestFinishEndsOneRound(t *testing.T) {
	last := strands.NewTool("last", "", func(ctx context.Context, _ none) (string, error) {
		strands.Finish(ctx)
		return "done", nil
	})
	rounds := 0
	again := strands.Hooks{AfterInvocation: func(_ context.Context, e *strands.AfterInvocation) error {
		if rounds++; rounds == 1 {
			in := strands.Prompt("and now the weather")
			e.Resume = &in
		}
		return nil
	}}
	m := &script{turns: []turn{calls(call("1", "last", `{}`)), calls(call("2", "weather", `{"city":"Oslo"}`)), says("sunny")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{last, weather()}, Hooks: []strands.Hooks{again}}).NewSession()
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.Text() != "sunny" || rounds != 2 {
		t.Errorf("%v, %v after %d rounds", res, err, rounds)
	}
	valid(t, s)
}

type brokenCloser struct{}

var errClosing = errors.New("closing failed")

func (brokenCloser) Close() error { return errClosing }

// TestRunOfAnAgentClosesItsSession: also when the caller leaves; what goes
// wrong is the run's error.
func TestRunOfAnAgentClosesItsSession(t *testing.T) {
	var s *strands.Session
	attach := strands.NewTool("attach", "", func(ctx context.Context, _ none) (string, error) {
		s = strands.SessionFrom(ctx)
		_, err := strands.Attach(ctx, s, "key", func(context.Context) (brokenCloser, error) { return brokenCloser{}, nil })
		return "ok", err
	})
	turns := []turn{calls(call("1", "attach", `{}`)), says("ok")}
	a := newAgent(t, strands.Config{Model: &script{turns: append(slices.Clone(turns), turns...)}, Tools: []strands.Tool{attach}})
	if res, err := a.Ask(t.Context(), "go"); !errors.Is(err, errClosing) {
		t.Errorf("%v, %v", res, err)
	}
	for e := range a.Run(t.Context(), strands.Prompt("go")) {
		if e.ToolEnd != nil {
			break
		}
	}
	if _, err := s.Ask(t.Context(), "go"); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("the session is open: %v", err)
	}
}

// TestInvocationState: what a program knows about a run travels in its
// context, typed, to tools, hooks and the tools that they call.
func TestInvocationState(t *testing.T) {
	type tenant string
	type key struct{}
	var seen []string
	note := func(ctx context.Context) {
		v, _ := ctx.Value(key{}).(tenant)
		seen = append(seen, string(v))
	}
	inner := strands.NewTool("inner", "", func(ctx context.Context, _ none) (string, error) { note(ctx); return "", nil })
	a := newAgent(t, strands.Config{
		Model: &script{turns: []turn{calls(call("1", "nest", `{}`)), says("ok"), says("ok")}},
		Tools: []strands.Tool{strands.NewTool("nest", "", func(ctx context.Context, _ none) (string, error) {
			note(ctx)
			_, err := strands.Invoke(ctx, inner, &strands.ToolCall{Name: "inner", Input: []byte(`{}`)})
			return "", err
		})},
		Hooks: []strands.Hooks{{BeforeInvocation: func(ctx context.Context, _ *strands.BeforeInvocation) error { note(ctx); return nil }}},
	})
	s := a.NewSession()
	for _, who := range []tenant{"acme", "globex"} { // nothing of the first run is left in the second
		if _, err := s.Ask(context.WithValue(t.Context(), key{}, who), "go"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"acme", "acme", "acme", "globex"}; !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

func TestViewsAreCopies(t *testing.T) {
	nested := map[string]any{"list": []int{1}}
	a := newAgent(t, strands.Config{Model: echo{}, SystemPrompt: "Be brief.", Values: map[string]any{"n": nested}, Tools: []strands.Tool{weather()}})
	nested["list"] = []int{2}
	s := a.NewSession()
	s.System()[0].Text = "changed"
	delete(s.Values(), "n")
	s.Tools()[0].Name = "changed"
	var got struct{ List []int }
	if ok, err := s.Get("n", &got); !ok || err != nil || got.List[0] != 1 {
		t.Errorf("value %v, %v, %v", got, ok, err)
	}
	got.List[0] = 3
	if s.System()[0].Text != "Be brief." || s.Tools()[0].Name != "weather" || string(s.Values()["n"]) != `{"list":[1]}` {
		t.Errorf("%s %s %s", show(s.System()), show(s.Tools()), show(s.Values()))
	}
}
