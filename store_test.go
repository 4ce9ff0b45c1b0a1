package strands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/strandsgo/strands"
)

// neverOrphaned is a store that checks after each Append that the log, if the
// process died now, ends with no tool call that nothing answers.
type neverOrphaned struct {
	strands.Store
	t *testing.T
}

func (n neverOrphaned) Append(ctx context.Context, id string, after int64, entries ...strands.Entry) error {
	if err := n.Store.Append(ctx, id, after, entries...); err != nil {
		return err
	}
	log, err := n.Load(ctx, id)
	if err != nil {
		return err
	}
	var msgs []strands.Message
	var state strands.SessionState
	for _, e := range log {
		if e.Message != nil {
			msgs = append(msgs, *e.Message)
		}
		if e.State != nil {
			state = *e.State
		}
	}
	msgs = append(state.Summary, msgs[state.Dropped:]...)
	if err := strands.Validate(msgs); err != nil && state.Pending == nil {
		n.t.Errorf("the log after %d entries: %v", len(log), err)
	}
	return nil
}

func TestStoreAndRestore(t *testing.T) {
	store := neverOrphaned{strands.NewMemoryStore(), t}
	m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("sunny"), {err: errors.New("down")}, says("back")}}
	a := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, Store: store, Values: map[string]any{"a": 1},
		Messages: []strands.Message{strands.UserMessage(strands.Text("Hello.")), strands.AssistantMessage(strands.Text("Hi!"))}})
	s, err := a.NewSessionID("trip.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Restore(t.Context(), "trip.1"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("a session that did nothing was stored: %v", err)
	}

	s, _ = a.NewSessionID("trip.1")
	if _, err := s.Ask(t.Context(), "weather?"); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("b", []string{"x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), "and now?"); err == nil { // the prompt is kept all the same
		t.Fatal("no error")
	}
	if err := s.Set("a", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // stores the value
		t.Fatal(err)
	}

	r, err := a.Restore(t.Context(), "trip.1")
	if err != nil {
		t.Fatal(err)
	}
	if show(r.Messages()) != show(s.Messages()) || len(r.Messages()) != 7 {
		t.Errorf("restored %s", show(r.Messages()))
	}
	var b []string
	if ok, err := r.Get("b", &b); !ok || err != nil || b[0] != "x" {
		t.Error(ok, err, b)
	}
	if ok, _ := r.Get("a", new(int)); ok {
		t.Error("a deleted value is back")
	}
	if res, err := strands.Collect(r.Run(t.Context(), strands.Input{})); err != nil || res.Text() != "back" {
		t.Error(res, err)
	}
}

func TestConflictIsSeenBeforeTheModelIsAsked(t *testing.T) {
	store := strands.NewMemoryStore()
	m := &script{turns: []turn{says("one"), says("two")}}
	a := newAgent(t, strands.Config{Model: m, Store: store})
	s, _ := a.NewSessionID("x")
	if _, err := s.Ask(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	other, err := a.Restore(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Ask(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), "c"); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("error %v", err)
	}
	again, _ := a.NewSessionID("x")
	if _, err := again.Ask(t.Context(), "d"); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if len(m.seen) != 2 {
		t.Errorf("%d model calls", len(m.seen))
	}
	for _, s := range []*strands.Session{s, again} {
		valid(t, s)
		if err := s.Close(); !errors.Is(err, strands.ErrConflict) {
			t.Errorf("Close hides that not everything is stored: %v", err)
		}
	}
}

func TestRedactionReachesTheStore(t *testing.T) {
	store := strands.NewMemoryStore()
	refused := turn{msg: strands.AssistantMessage(strands.Text("I cannot.")), stop: strands.StopGuardrail, redact: "[redacted]"}
	a := newAgent(t, strands.Config{Model: &script{turns: []turn{refused}}, Store: store})
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "secret"); err != nil {
		t.Fatal(err)
	}
	log, err := store.Load(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if text := show(log); slices.ContainsFunc(log, func(e strands.Entry) bool { return e.Message != nil && e.Message.Text() == "secret" }) || len(log) != 3 {
		t.Errorf("log %s", text)
	}
	r, err := a.Restore(t.Context(), s.ID())
	if err != nil || r.Messages()[0].Text() != "[redacted]" || len(r.Messages()) != 2 {
		t.Error(err, show(r.Messages()))
	}
}

func TestRestoreRepairs(t *testing.T) {
	user, assistant := strands.UserMessage, strands.AssistantMessage
	res := func(id string) strands.Part {
		return strands.Part{ToolResult: &strands.ToolResult{CallID: id, Parts: []strands.Part{strands.Text("r" + id)}}}
	}
	text := strands.Text
	for name, c := range map[string]struct {
		log  []strands.Message
		want string
	}{
		"fine":               {[]strands.Message{user(text("q")), assistant(call("1", "t", `{}`)), user(res("1"))}, "q / [1] / 1=r1"},
		"result first":       {[]strands.Message{user(res("0")), assistant(text("a")), user(text("q")), assistant(text("b"))}, "q / b"},
		"assistant first":    {[]strands.Message{assistant(text("a")), user(text("q"))}, "q"},
		"no results":         {[]strands.Message{user(text("q")), assistant(call("1", "t", `{}`), call("2", "t", `{}`)), user(text("and?"))}, "q / [1] [2] / 1! 2! and?"},
		"some results":       {[]strands.Message{user(text("q")), assistant(call("1", "t", `{}`), call("2", "t", `{}`)), user(res("2"), res("7"))}, "q / [1] [2] / 1! 2=r2"},
		"wrong order":        {[]strands.Message{user(text("q")), assistant(call("1", "t", `{}`), call("2", "t", `{}`)), user(text("x"), res("2"), res("1"))}, "q / [1] [2] / 1=r1 2=r2 x"},
		"assistant after":    {[]strands.Message{user(text("q")), assistant(call("1", "t", `{}`)), assistant(text("a"))}, "q / [1] / 1! / a"},
		"stray result":       {[]strands.Message{user(text("q")), assistant(text("a")), user(res("9")), assistant(text("b"))}, "q / a / b"},
		"empty parts":        {[]strands.Message{user(text("q")), assistant(text(" "), text("a")), {Role: strands.Assistant}}, "q / a"},
		"open calls at last": {[]strands.Message{user(text("q")), assistant(call("1", "t", `{}`))}, "q / [1] / 1! next"},
	} {
		store := strands.NewMemoryStore()
		var entries []strands.Entry
		for _, m := range c.log {
			entries = append(entries, strands.Entry{Message: &m})
		}
		if err := store.Append(t.Context(), "x", 0, entries...); err != nil {
			t.Fatal(err)
		}
		m := &script{turns: []turn{says("ok")}}
		s, err := newAgent(t, strands.Config{Model: m, Store: store}).Restore(t.Context(), "x")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := c.want
		if name == "open calls at last" {
			want = "q / [1]"
		}
		if got := outline(s.Messages()); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if _, err := s.Ask(t.Context(), "next"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		valid(t, s)
		if err := strands.Validate(m.seen[0].Messages); err != nil {
			t.Errorf("%s: request: %v", name, err)
		}
	}
}

// outline writes a history on one line.
func outline(msgs []strands.Message) string {
	out := ""
	for i, m := range msgs {
		if i > 0 {
			out += " / "
		}
		for j, p := range m.Parts {
			if j > 0 {
				out += " "
			}
			switch {
			case p.ToolCall != nil:
				out += "[" + p.ToolCall.ID + "]"
			case p.ToolResult != nil && p.ToolResult.IsError:
				out += p.ToolResult.CallID + "!"
			case p.ToolResult != nil:
				out += p.ToolResult.CallID + "=" + p.ToolResult.Text()
			default:
				out += p.Text
			}
		}
	}
	return out
}

// TestRestoreRefusesOtherRoles: a log that is not a conversation's is named,
// not mended into one.
func TestRestoreRefusesOtherRoles(t *testing.T) {
	store := strands.NewMemoryStore()
	if err := store.Append(t.Context(), "s", 0, strands.Entry{Message: new(strands.UserMessage(strands.Text("q")))},
		strands.Entry{Message: &strands.Message{Role: "system", Parts: []strands.Part{strands.Text("obey")}}}); err != nil {
		t.Fatal(err)
	}
	_, err := newAgent(t, strands.Config{Model: echo{}, Store: store}).Restore(t.Context(), "s")
	if e, ok := errors.AsType[*strands.InputError](err); !ok || e.Field != "entry 2" {
		t.Error(err)
	}
}

func TestOpenCallsAreRunWhenNothingIsSaid(t *testing.T) {
	m := &script{turns: []turn{says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, Messages: []strands.Message{
		strands.UserMessage(strands.Text("q")), strands.AssistantMessage(call("1", "weather", `{"city":"Oslo"}`)),
	}}).NewSession()
	if _, err := strands.Collect(s.Run(t.Context(), strands.Input{})); err != nil {
		t.Fatal(err)
	}
	if got := outline(s.Messages()); got != "q / [1] / 1=sunny in Oslo / ok" || len(m.seen) != 1 {
		t.Error(got)
	}
}

// tail keeps the last n messages.
type tail struct {
	n      int
	stuck  bool
	reduce int
}

func (k *tail) Manage(_ context.Context, c *strands.Conversation) error {
	if c.Ended && len(c.Messages) > k.n {
		c.Messages = c.Messages[len(c.Messages)-k.n:]
	}
	return nil
}

func (k *tail) Reduce(_ context.Context, c *strands.Conversation, cause error) error {
	k.reduce++
	if !k.stuck && len(c.Messages) > 2 {
		summary := strands.UserMessage(strands.Text("so far"))
		c.Messages = append([]strands.Message{summary}, c.Messages[2:]...)
		c.Usage = strands.Usage{Input: 1000}
	}
	return nil
}

func TestConversationManager(t *testing.T) {
	overflow := turn{err: &strands.ModelError{Kind: strands.ModelOverflow, Provider: "script"}}
	store := strands.NewMemoryStore()
	k := &tail{n: 4}
	m := &script{turns: []turn{says("a1"), says("a2"), overflow, overflow, says("a3")}}
	a := newAgent(t, strands.Config{Model: m, Store: store, Conversation: k})
	s := a.NewSession()
	for i, want := range []string{"question 1 / a1", "question 1 / a1 / question 2 / a2", "so far / a2 / question 3 / a3"} {
		res, err := s.Ask(t.Context(), fmt.Sprint("question ", i+1))
		if err != nil {
			t.Fatal(err)
		}
		if got := outline(s.Messages()); got != want {
			t.Errorf("history %s, want %s", got, want)
		}
		if i == 2 && (res.Usage.Input != 2010 || k.reduce != 2) {
			t.Errorf("usage %+v after %d reductions", res.Usage, k.reduce)
		}
		valid(t, s)
		r, err := a.Restore(t.Context(), s.ID())
		if err != nil || outline(r.Messages()) != want {
			t.Errorf("restored %s: %v", outline(r.Messages()), err)
		}
	}
}

func TestRecoveryFromOverflowIsBounded(t *testing.T) {
	overflow := turn{err: &strands.ModelError{Kind: strands.ModelOverflow, Provider: "script"}}
	many := slices.Repeat([]turn{overflow}, 20)
	var old []strands.Message
	for i := range 20 {
		old = append(old, strands.UserMessage(strands.Text(fmt.Sprint("question ", i))), strands.AssistantMessage(strands.Text("answer")))
	}
	for name, c := range map[string]struct {
		k     strands.ConversationManager
		calls int
	}{
		"none":        {nil, 1},
		"no progress": {&tail{n: 100, stuck: true}, 1},
		"progress":    {&tail{n: 100}, 4},
	} {
		m := &script{turns: many}
		s := newAgent(t, strands.Config{Model: m, Conversation: c.k, Messages: old}).NewSession()
		_, err := s.Ask(t.Context(), "go")
		me, ok := errors.AsType[*strands.ModelError](err)
		if !ok || me.Kind != strands.ModelOverflow || len(m.seen) != c.calls {
			t.Errorf("%s: %v after %d calls", name, err, len(m.seen))
		}
		if le, ok := errors.AsType[*strands.LimitError](err); ok != (name == "progress") || ok && (le.Max != 3 || le.Result == nil) {
			t.Errorf("%s: %v is a limit: %v", name, err, ok)
		}
		valid(t, s)
	}
}

func TestSetMessages(t *testing.T) {
	s := newAgent(t, strands.Config{Model: &script{}, Messages: []strands.Message{strands.UserMessage(strands.Text("q"))}}).NewSession()
	for name, msgs := range map[string][]strands.Message{
		"assistant first": {strands.AssistantMessage(strands.Text("a"))},
		"open calls":      {strands.UserMessage(strands.Text("q")), strands.AssistantMessage(call("1", "t", `{}`))},
		"stray result":    {strands.UserMessage(strands.Part{ToolResult: &strands.ToolResult{CallID: "1", Parts: []strands.Part{strands.Text("x")}}})},
	} {
		if err := s.SetMessages(msgs); err == nil || outline(s.Messages()) != "q" {
			t.Errorf("%s was taken", name)
		}
	}
	if err := s.SetMessages(nil); err != nil || len(s.Messages()) != 0 {
		t.Error(err)
	}
	if _, err := strands.Collect(s.Run(t.Context(), strands.Input{})); err == nil {
		t.Error("a run without any message")
	}
}

func TestMemoryStore(t *testing.T) {
	ctx, store := t.Context(), strands.NewMemoryStore()
	msg := strands.UserMessage(strands.Text("a"))
	if err := store.Append(ctx, "a", 0, strands.Entry{Message: &msg}, strands.Entry{Message: &msg}); err != nil {
		t.Fatal(err)
	}
	msg.Parts[0].Text = "changed" // the store has its own copy
	for _, after := range []int64{0, 1, 3} {
		if err := store.Append(ctx, "a", after, strands.Entry{Message: &msg}); !errors.Is(err, strands.ErrConflict) {
			t.Errorf("after %d: %v", after, err)
		}
	}
	log, err := store.Load(ctx, "a")
	if err != nil || len(log) != 2 || log[1].Seq != 2 || log[0].Message.Text() != "a" {
		t.Error(show(log), err)
	}
	for _, id := range []string{"", ".a", "a/b", "../a", "ä"} {
		if _, ok := errors.AsType[*strands.InputError](store.Append(ctx, id, 0)); !ok {
			t.Errorf("the id %q was taken", id)
		}
	}
	var ids []string
	for id, err := range store.List(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.Equal(ids, []string{"a"}) {
		t.Error(ids)
	}
	if err := store.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if err := store.Delete(ctx, "a"); !errors.Is(err, strands.ErrNotFound) {
		t.Error(err)
	}
}
