package strandstest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	strands "github.com/strandsgo/strands"
)

// stateRig is a store with states under test, and a second way to its medium.
type stateRig struct {
	t            *testing.T
	store, again strands.StateStore
}

func (r stateRig) save(id, name, state string) {
	r.t.Helper()
	if err := r.store.SaveState(r.t.Context(), id, name, json.RawMessage(state)); err != nil {
		r.t.Fatalf("save %s of %s: %v", name, id, err)
	}
}

// is fails when the state is not this one; "" = there must be none.
func (r stateRig) is(id, name, want string) {
	r.t.Helper()
	got, err := r.again.LoadState(r.t.Context(), id, name)
	if want == "" {
		if !errors.Is(err, strands.ErrNotFound) {
			r.t.Errorf("state %s of %s: %s, %v; want none", name, id, got, err)
		}
		return
	}
	if err != nil {
		r.t.Fatalf("load %s of %s: %v", name, id, err)
	}
	var g, w any
	if json.Unmarshal(got, &g) != nil || json.Unmarshal([]byte(want), &w) != nil || jsonOf(g) != jsonOf(w) {
		r.t.Errorf("state %s of %s is %s, want %s", name, id, got, want)
	}
}

func (r stateRig) testStates(t *testing.T) {
	r.is("s", "graph", "")
	r.save("s", "graph", `{"type":"graph","next":["a","b"],"text":"é 🦫 <&> \u0000"}`)
	r.save("s", "swarm", `[1.50,null]`)
	r.save("other", "graph", `{}`)
	r.is("s", "graph", `{"type":"graph","next":["a","b"],"text":"é 🦫 <&> \u0000"}`)
	r.is("s", "swarm", `[1.50,null]`)
	r.save("s", "graph", `{"next":[]}`)
	r.is("s", "graph", `{"next":[]}`)
	if _, err := r.store.Load(t.Context(), "s"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("a state made a log: %v", err)
	}
	if err := r.store.Append(t.Context(), "s", 0, said("a")); err != nil {
		t.Fatal(err)
	}
	r.is("s", "graph", `{"next":[]}`)
	for range 2 { // a second time there is nothing to remove
		if err := r.store.SaveState(t.Context(), "s", "graph", nil); err != nil {
			t.Fatal(err)
		}
		r.is("s", "graph", "")
	}
	r.is("s", "swarm", `[1.5,null]`)
	r.is("other", "graph", `{}`)
}

func (r stateRig) testNames(t *testing.T) {
	ctx := t.Context()
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "a b", "é"} {
		_, load := r.store.LoadState(ctx, "s", bad)
		_, session := r.store.LoadState(ctx, bad, "n")
		for what, err := range map[string]error{"load": load, "load, session": session, "save": r.store.SaveState(ctx, "s", bad, json.RawMessage("{}")),
			"scope": r.store.Scope("a/"+bad).Append(ctx, "s", 0, said("x"))} {
			if _, ok := errors.AsType[*strands.InputError](err); !ok {
				t.Errorf("%s of %q: %v", what, bad, err)
			}
		}
	}
	if err := r.store.SaveState(ctx, "s", "n", json.RawMessage(`{"cut`)); err == nil {
		t.Error("a state that is not JSON was taken")
	} else if _, ok := errors.AsType[*strands.InputError](err); !ok {
		t.Error(err)
	}
	r.is("s", "n", "")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := r.store.SaveState(ended, "s", "n", json.RawMessage("1")); !errors.Is(err, context.Canceled) {
		t.Errorf("save after the end of the context: %v", err)
	}
}

// texts returns the messages of a log.
func texts(t *testing.T, s strands.Store, id string) []string {
	t.Helper()
	log, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range log {
		if e.Message != nil {
			all = append(all, e.Message.Text())
		}
	}
	return all
}

func (r stateRig) testScopes(t *testing.T) {
	ctx := t.Context()
	writer, critic := r.store.Scope("writer"), r.store.Scope("critic.2")
	for i, step := range []struct {
		store strands.Store
		after int64
		text  string
	}{{r.store, 0, "plan"}, {writer, 0, "draft"}, {critic, 0, "no"}, {writer, 1, "better"}, {r.store, 1, "done"}} {
		if err := step.store.Append(ctx, "s", step.after, said(step.text)); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	if err := writer.Append(ctx, "s", 1, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("a stale append to a scope: %v", err)
	}
	if err := writer.Append(ctx, "t", 0, said("alone")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		store strands.Store
		want  []string
	}{"": {r.again, []string{"plan", "done"}}, "default": {r.again.Scope("default"), []string{"plan", "done"}},
		"writer": {r.again.Scope("writer"), []string{"draft", "better"}}, "critic": {r.again.Scope("critic.2"), []string{"no"}}} {
		if got := texts(t, c.store, "s"); !slices.Equal(got, c.want) {
			t.Errorf("the log of %q is %q, want %q", name, got, c.want)
		}
	}
	if _, err := r.again.Scope("nobody").Load(ctx, "s"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("an agent without a log: %v", err)
	}
	var ids []string
	for id, err := range r.again.Scope("critic.2").List(ctx) {
		if ids = append(ids, id); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(ids, []string{"s"}) {
		t.Errorf("the sessions of a scope are %v", ids)
	}
}

func (r stateRig) testDelete(t *testing.T) {
	ctx := t.Context()
	for _, id := range []string{"s", "s_1"} {
		if err := errors.Join(r.store.Append(ctx, id, 0, said("a")), r.store.Scope("writer").Append(ctx, id, 0, said("b"))); err != nil {
			t.Fatal(err)
		}
		r.save(id, "graph", `{}`)
	}
	r.save("only", "graph", `{}`)
	for _, id := range []string{"s", "only"} {
		if err := r.store.Delete(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	r.is("s", "graph", "")
	r.is("only", "graph", "")
	if _, err := r.again.Scope("writer").Load(ctx, "s"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("the log of another agent: %v", err)
	}
	r.is("s_1", "graph", `{}`)
	if got := texts(t, r.again.Scope("writer"), "s_1"); !slices.Equal(got, []string{"b"}) {
		t.Errorf("another session lost something: %q", got)
	}
}
