package strands_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/strandsgo/strands"
)

// TestInputForms: what each form of input adds to the history.
func TestInputForms(t *testing.T) {
	said := strands.AssistantMessage(strands.Text("I said"))
	for name, c := range map[string]struct {
		in   strands.Input
		want string
	}{
		"a prompt":                      {strands.Prompt("p"), "old / older / p / ok"},
		"parts":                         {strands.Input{Parts: []strands.Part{strands.Text("a"), strands.Text("b")}}, "old / older / a b / ok"},
		"messages, one an assistant's":  {strands.Input{Messages: []strands.Message{strands.UserMessage(strands.Text("q")), said}}, "old / older / q / I said / ok"},
		"nothing":                       {strands.Input{}, "old / older / ok"},
		"a list of no messages":         {strands.Input{Messages: []strands.Message{}}, "old / older / ok"},
		"a list of no parts":            {strands.Input{Parts: []strands.Part{}}, "old / older / ok"},
		"a message of its own metadata": {strands.Input{Messages: []strands.Message{{Role: strands.User, Parts: []strands.Part{strands.Text("m")}, Metadata: &strands.Metadata{Custom: map[string]any{"k": "v"}}}}}, "old / older / m / ok"},
	} {
		m := &script{turns: []turn{says("ok")}}
		s := newAgent(t, strands.Config{Model: m, Messages: []strands.Message{strands.UserMessage(strands.Text("old")), strands.AssistantMessage(strands.Text("older"))}}).NewSession()
		if _, err := strands.Collect(s.Run(t.Context(), c.in)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := outline(s.Messages()); got != c.want || len(m.seen) != 1 {
			t.Errorf("%s: history %s after %d model calls, want %s", name, got, len(m.seen), c.want)
		}
		valid(t, s)
	}
}

// TestStateMistakes: what cannot be kept is refused, and nothing is lost.
func TestStateMistakes(t *testing.T) {
	s := newAgent(t, strands.Config{Model: echo{}, Values: map[string]any{"k": []int{1}}}).NewSession()
	for key, value := range map[string]any{"": 1, " ": 1, "c": make(chan int), "f": func() {}} {
		err := s.Set(key, value)
		if _, ok := errors.AsType[*strands.InputError](err); !ok {
			t.Errorf("Set(%q, %T): %v", key, value, err)
		}
	}
	var list []int
	if ok, err := s.Get("k", &list); !ok || err != nil || !slices.Equal(list, []int{1}) || len(s.Values()) != 1 {
		t.Errorf("%v, %v, values %v", list, err, s.Values())
	}
	var wrong string
	if ok, err := s.Get("k", &wrong); !ok || err == nil {
		t.Error("a list was decoded into a string")
	}
	if err := s.Set("k", nil); err != nil || len(s.Values()) != 0 {
		t.Errorf("delete: %v, %v", err, s.Values())
	}
	if err := s.Set("missing", nil); err != nil {
		t.Error(err)
	}
}

// TestTheLastHookDecides: of two hooks that write to a field the one that runs
// last wins, which for After functions is the first registered.
func TestTheLastHookDecides(t *testing.T) {
	says := func(retry bool) strands.Hooks {
		return strands.Hooks{AfterModelCall: func(_ context.Context, e *strands.AfterModelCall) error {
			e.Retry = retry && e.Attempt == 1
			return nil
		}}
	}
	for want, first := range map[int]bool{2: true, 1: false} {
		m := &script{turns: []turn{{msg: strands.AssistantMessage(strands.Text("a"))}, {msg: strands.AssistantMessage(strands.Text("b"))}}}
		if _, err := newAgent(t, strands.Config{Model: m, Hooks: []strands.Hooks{says(first), says(!first)}}).Ask(t.Context(), "go"); err != nil || len(m.seen) != want {
			t.Errorf("%d calls, want %d, %v", len(m.seen), want, err)
		}
	}
}

// TestCancelWithoutARun: it does nothing, then and later; twice is as once.
func TestCancelWithoutARun(t *testing.T) {
	m := &script{}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	m.turns = []turn{{do: func(context.Context) error { s.Cancel(); s.Cancel(); return nil }, msg: strands.AssistantMessage(strands.Text("lost"))}, says("ok")}
	s.Cancel()
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.StopReason != strands.StopCancelled {
		t.Error(res, err)
	}
	s.Cancel()
	if res, err := s.Ask(t.Context(), "again"); err != nil || res.Text() != "ok" {
		t.Error(res, err)
	}
	if got := outline(s.Messages()); got != "go / Cancelled by user. / again / ok" {
		t.Error(got)
	}
	valid(t, s)
}

// counting is a store that counts what it writes.
type counting struct {
	strands.Store
	appends, states int
	fail            error
}

func (c *counting) Append(ctx context.Context, id string, after int64, entries ...strands.Entry) error {
	if c.fail != nil {
		return c.fail
	}
	c.appends++
	for _, e := range entries {
		if e.State != nil {
			c.states++
		}
	}
	return c.Store.Append(ctx, id, after, entries...)
}

// TestOnlyWhatChangedIsStored: a state is written when something of it
// changed, and again when the first write has failed.
func TestOnlyWhatChangedIsStored(t *testing.T) {
	store := &counting{Store: strands.NewMemoryStore()}
	a := newAgent(t, strands.Config{Model: &script{turns: slices.Repeat([]turn{says("ok")}, 9)}, Store: store})
	s := a.NewSession()
	ask := func() error { _, err := s.Ask(t.Context(), "go"); return err }
	if err := ask(); err != nil || store.states != 0 {
		t.Fatalf("%d states, %v", store.states, err)
	}
	if err := s.Set("k", 1); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ask(), ask()); err != nil || store.states != 1 {
		t.Errorf("%d states, %v", store.states, err)
	}
	was := store.appends
	if err := s.Close(); err != nil || store.appends != was {
		t.Errorf("closing wrote %d times, %v", store.appends-was, err)
	}
	s, err := a.Restore(t.Context(), s.ID())
	if err != nil || s.Set("k", 2) != nil {
		t.Fatal(err)
	}
	store.fail = errors.New("disk full")
	if err := ask(); !errors.Is(err, store.fail) {
		t.Errorf("a failed write: %v", err)
	}
	store.fail = nil
	if err := ask(); err != nil || store.states != 2 {
		t.Errorf("%d states, %v", store.states, err)
	}
	again, err := a.Restore(t.Context(), s.ID())
	var k int
	if err != nil || outline(again.Messages()) != outline(s.Messages()) {
		t.Errorf("restored %s, want %s, %v", outline(again.Messages()), outline(s.Messages()), err)
	} else if _, err := again.Get("k", &k); err != nil || k != 2 {
		t.Errorf("k is %d, %v", k, err)
	}
}

// TestValuesOfTheAgentOutliveARestore: what the agent, or a plugin that is
// newer than the session, gives is there, unless the session has another value
// or has deleted it.
func TestValuesOfTheAgentOutliveARestore(t *testing.T) {
	store := strands.NewMemoryStore()
	agent := func(values map[string]any) *strands.Agent {
		return newAgent(t, strands.Config{Model: echo{}, Store: store, Values: values})
	}
	a := agent(map[string]any{"kept": 1, "changed": 1, "deleted": 1})
	s := a.NewSession()
	read := func(s *strands.Session) string {
		b, err := json.Marshal(s.Values())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	again, err := a.Restore(t.Context(), s.ID()) // no state was stored
	if err != nil || read(again) != `{"changed":1,"deleted":1,"kept":1}` {
		t.Errorf("%s, %v", read(again), err)
	}
	if err := errors.Join(s.Set("changed", 2), s.Set("deleted", nil), s.Set("own", 3), s.Set("own", nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), "go on"); err != nil {
		t.Fatal(err)
	}
	again, err = agent(map[string]any{"kept": 1, "changed": 1, "deleted": 1, "newer": 9}).Restore(t.Context(), s.ID())
	if err != nil || read(again) != `{"changed":2,"kept":1,"newer":9}` {
		t.Errorf("%s, %v", read(again), err)
	}
	var n int
	if ok, err := again.Get("deleted", &n); ok || err != nil {
		t.Errorf("a deleted value is %d, %v", n, err)
	}
}

func TestToolNames(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, "a-b_C9": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false, "a b": false, "a.b": false, "é": false} {
		_, err := strands.NewRawTool(strands.ToolSpec{Name: name, InputSchema: []byte(`{"type":"object"}`)}, nil)
		if _, isInput := errors.AsType[*strands.InputError](err); (err == nil) != ok || err != nil && !isInput {
			t.Errorf("%q: %v", name, err)
		}
	}
	mk := func(name string) strands.Tool { return (&strandsTool{name: name}).tool(t) }
	if _, err := strands.New(strands.Config{Model: echo{}, Tools: []strands.Tool{mk("get-it"), mk("get_it")}}); err == nil || !strings.Contains(err.Error(), "too similar") {
		t.Errorf("similar names: %v", err)
	}
}

// TestComposedSchemas: a schema may be put together of others.
func TestComposedSchemas(t *testing.T) {
	tool, err := strands.NewRawTool(strands.ToolSpec{Name: "t", InputSchema: []byte(`{"type":"object","$defs":{"id":{"oneOf":[{"type":"integer"},{"type":"null"}]}},
		"properties":{"id":{"$ref":"#/$defs/id"},"when":{"anyOf":[{"type":"string"},{"type":"number"}]},"not":{"not":{"type":"string"}},"all":{"allOf":[{"type":"integer"},{"minimum":3}]}}}`)},
		func(_ context.Context, c *strands.ToolCall) (*strands.ToolResult, error) {
			return &strands.ToolResult{Parts: []strands.Part{strands.Text(string(c.Input))}}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	for input, ok := range map[string]bool{`{"id":1,"when":"now","not":2,"all":3}`: true, `{"when":5}`: true, `{"id":"x"}`: false, `{"when":true}`: false, `{"not":"s"}`: false, `{"all":2}`: false} {
		if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: []byte(input)}); (err == nil) != ok {
			t.Errorf("%s: %v", input, err)
		}
	}
}

// TestToolsAreReplacedAtRunTime: a tool takes another away and puts a better
// one in its place; the next model call sees it.
func TestToolsAreReplacedAtRunTime(t *testing.T) {
	var old, better atomic.Int32
	m := &script{turns: []turn{calls(call("1", "improve", `{}`)), calls(call("2", "work", `{}`)), says("ok")}}
	improve := strands.NewTool("improve", "", func(ctx context.Context, _ none) (string, error) {
		s := strands.SessionFrom(ctx)
		if !s.RemoveTool("work") || s.RemoveTool("work") {
			return "", errors.New("it was not removed once")
		}
		return "done", s.AddTools(counted("work", &better))
	})
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{counted("work", &old), improve}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil || old.Load() != 0 || better.Load() != 1 || len(m.seen[1].Tools) != 2 {
		t.Errorf("old %d, better %d, %v", old.Load(), better.Load(), err)
	}
	if err := s.AddTools(weather(), counted("work", &better)); err == nil || s.Tool("weather") != nil {
		t.Errorf("a name that is taken: %v", err)
	}
}

// TestTwoTypesOnOneSession: questions for different types do not disturb each
// other.
func TestTwoTypesOnOneSession(t *testing.T) {
	m := &script{turns: []turn{calls(call("1", "city", `{"name":"Oslo","people":"700000"}`)), calls(call("2", "forecast", `{"city":"Oslo","high":21}`)), says("plain")}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	c, err := strands.AskFor[city](t.Context(), s, "city?")
	if err != nil || c.Name != "Oslo" {
		t.Fatal(c, err)
	}
	f, err := strands.AskFor[forecast](t.Context(), s, "forecast?")
	if err != nil || f.High != 21 {
		t.Fatal(f, err)
	}
	res, err := s.Ask(t.Context(), "and now?")
	if err != nil || res.Output != nil || res.Text() != "plain" || len(m.seen[2].Tools) != 0 || len(m.seen[1].Tools) != 1 {
		t.Error(show(res), err)
	}
	valid(t, s)
}

// TestClosingProviders: all are closed although one fails, and only once.
func TestClosingProviders(t *testing.T) {
	boom := errors.New("boom")
	var closed []string
	mk := func(name string, err error) strands.ToolProvider {
		return closing{func() error { closed = append(closed, name); return err }}
	}
	a, err := strands.New(strands.Config{Model: echo{}, Providers: []strands.ToolProvider{mk("a", nil), mk("b", boom), mk("c", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); !errors.Is(err, boom) || strings.Join(closed, "") != "cba" {
		t.Errorf("%v, closed %v", err, closed)
	}
	if err := a.Close(); err != nil || len(closed) != 3 {
		t.Errorf("a second time: %v, %v", err, closed)
	}
}

type closing struct{ close func() error }

func (c closing) Tools(context.Context) ([]strands.Tool, error) { return nil, nil }
func (c closing) Close() error                                  { return c.close() }

// TestUsageThatIsMissing: a model that counts nothing counts as zero.
func TestUsageThatIsMissing(t *testing.T) {
	s := newAgent(t, strands.Config{Model: &script{turns: []turn{{msg: strands.AssistantMessage(strands.Text("ok")), stop: strands.StopEndTurn}}}}).NewSession()
	res, err := s.Ask(t.Context(), "go")
	m := s.Metrics()
	if err != nil || res.Usage != (strands.Usage{}) || m.Cycles != 1 || m.ContextTokens() != 0 || m.Usage.Total() != 0 {
		t.Error(show(m), err)
	}
	empty := new(strands.Metrics)
	if empty.ContextTokens() != 0 || !strings.Contains(empty.Summary(nil), "runs 0, cycles 0") {
		t.Error(empty.Summary(nil))
	}
}
