package strandstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
)

// StoreSuite says how a store is put to the test by TestStore.
type StoreSuite struct {
	// New makes an empty store. It is called once per scenario.
	New func(t *testing.T) strands.Store
	// Again opens the medium of a store that New made once more, as another
	// process would. nil = the medium is not shared.
	Again func(t *testing.T, s strands.Store) strands.Store
	// Raw returns all that is on the medium, so that the suite can see that
	// something is gone from it. nil = it cannot be read.
	Raw func(t *testing.T, s strands.Store) []byte
}

// TestStore is the conformance suite of strands.Store, and of
// strands.StateStore when the store is one.
func TestStore(t *testing.T, s StoreSuite) {
	if s.Again == nil {
		s.Again = func(_ *testing.T, store strands.Store) strands.Store { return store }
	}
	for name, f := range map[string]func(storeRig, *testing.T){
		"order":        storeRig.testOrder,
		"kinds":        storeRig.testKinds,
		"missing":      storeRig.testMissing,
		"conflicts":    storeRig.testConflicts,
		"all or none":  storeRig.testAllOrNone,
		"ids":          storeRig.testIDs,
		"redaction":    storeRig.testRedaction,
		"old state":    storeRig.testOldState,
		"own copies":   storeRig.testOwnCopies,
		"list, delete": storeRig.testListDelete,
		"concurrency":  storeRig.testConcurrency,
		"cancelled":    storeRig.testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			store := s.New(t)
			f(storeRig{t: t, suite: s, store: store, again: s.Again(t, store)}, t)
		})
	}
	for name, f := range map[string]func(stateRig, *testing.T){
		"states":               stateRig.testStates,
		"names of states":      stateRig.testNames,
		"scopes":               stateRig.testScopes,
		"one session, deleted": stateRig.testDelete,
	} {
		t.Run(name, func(t *testing.T) {
			store, ok := s.New(t).(strands.StateStore)
			if !ok {
				t.Skip("the store keeps no states: it is no strands.StateStore")
			}
			f(stateRig{t, store, s.Again(t, store).(strands.StateStore)}, t)
		})
	}
}

// storeRig is a store under test, and a second way to its medium.
type storeRig struct {
	t            *testing.T
	suite        StoreSuite
	store, again strands.Store
}

func (r storeRig) append(id string, after int64, entries ...strands.Entry) {
	r.t.Helper()
	if err := r.store.Append(r.t.Context(), id, after, entries...); err != nil {
		r.t.Fatalf("append to %s after %d: %v", id, after, err)
	}
}

// load returns the log by the second way, after it saw that it has no gaps.
func (r storeRig) load(id string) []strands.Entry {
	r.t.Helper()
	log, err := r.again.Load(r.t.Context(), id)
	if err != nil {
		r.t.Fatalf("load %s: %v", id, err)
	}
	for i, e := range log {
		if e.Seq != int64(i)+1 {
			r.t.Fatalf("entry %d has number %d", i+1, e.Seq)
		}
	}
	return log
}

// same fails when the log is not these entries; their numbers do not count.
func (r storeRig) same(id string, want ...strands.Entry) {
	r.t.Helper()
	got := r.load(id)
	if len(got) != len(want) {
		r.t.Fatalf("%s has %d entries, want %d", id, len(got), len(want))
	}
	for i, w := range want {
		w.Seq = got[i].Seq
		if w.State != nil && jsonOf(w.State) == "{}" {
			w.Time = got[i].Time // nobody needs to know when an old state was written
		}
		if !got[i].Time.Equal(w.Time) {
			r.t.Errorf("entry %d of %s is of %v, want %v", w.Seq, id, got[i].Time, w.Time)
		}
		got[i].Time = w.Time
		if jsonOf(got[i]) != jsonOf(w) {
			r.t.Errorf("entry %d of %s is\n%s, want\n%s", w.Seq, id, jsonOf(got[i]), jsonOf(w))
		}
	}
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var storeTime = time.Date(2025, 3, 4, 5, 6, 7, 890123000, time.UTC)

func said(text string) strands.Entry {
	return strands.Entry{Time: storeTime, Message: new(strands.UserMessage(strands.Text(text)))}
}

func stateOf(s strands.SessionState) strands.Entry {
	return strands.Entry{Time: storeTime, State: &s}
}

func (r storeRig) testOrder(*testing.T) {
	var want []strands.Entry
	for i := range 23 { // more than nine: an order by name would show
		e := said(fmt.Sprint("message ", i))
		if i%5 == 4 {
			e = stateOf(strands.SessionState{})
		}
		r.append("s", int64(i), e)
		want = append(want, e)
	}
	r.append("s", 23, said("a"), said("b"), stateOf(strands.SessionState{Dropped: 1}))
	r.same("s", append(want, said("a"), said("b"), stateOf(strands.SessionState{Dropped: 1}))...)
	r.append("s", 26)
	if n := len(r.load("s")); n != 26 {
		r.t.Errorf("an append of nothing left %d entries", n)
	}
}

func (r storeRig) testKinds(t *testing.T) {
	for i, m := range everyMessage() {
		id := fmt.Sprint("kind-", i)
		e := strands.Entry{Time: storeTime, Message: &m}
		r.append(id, 0, e)
		r.same(id, e)
	}
	var all []strands.Entry
	for _, m := range everyMessage() {
		all = append(all, strands.Entry{Time: storeTime, Message: &m})
	}
	all = append(all, stateOf(fullState()))
	r.append("all", 0, all...)
	r.same("all", all...)
	for _, e := range r.load("all") {
		if e.Message == nil {
			continue
		}
		for _, p := range e.Message.Parts {
			if p.Image != nil && p.Image.Data != nil && !bytes.Equal(p.Image.Data, everyByte()) {
				t.Errorf("the image's bytes are %x", p.Image.Data)
			}
		}
	}
}

func (r storeRig) testMissing(t *testing.T) {
	if _, err := r.store.Load(t.Context(), "none"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("load of a missing one: %v", err)
	}
	if err := r.store.Delete(t.Context(), "none"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("delete of a missing one: %v", err)
	}
	if err := r.store.Append(t.Context(), "none", 1, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("append to a missing one, not from its start: %v", err)
	}
	if _, err := r.again.Load(t.Context(), "none"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("it is there after a refused append: %v", err)
	}
	for id, err := range r.store.List(t.Context()) {
		t.Errorf("an empty store lists %q, %v", id, err)
	}
}

func (r storeRig) testConflicts(t *testing.T) {
	r.append("s", 0, said("a"), said("b"))
	for _, after := range []int64{-1, 0, 1, 3} {
		if err := r.store.Append(t.Context(), "s", after, said("x")); !errors.Is(err, strands.ErrConflict) {
			t.Errorf("append after %d of 2: %v", after, err)
		}
	}
	r.same("s", said("a"), said("b"))
	if err := r.again.Append(t.Context(), "s", 2, said("c")); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Append(t.Context(), "s", 2, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("append after another writer: %v", err)
	}
	r.append("s", 3, said("d"))
	r.same("s", said("a"), said("b"), said("c"), said("d"))
}

func (r storeRig) testAllOrNone(t *testing.T) {
	unwritable := said("x")
	unwritable.Message.Metadata = &strands.Metadata{Custom: map[string]any{"f": func() {}}}
	r.append("s", 0, said("a"))
	// A store that keeps Go values may take it; then it must take all of it.
	if err := r.store.Append(t.Context(), "s", 1, said("b"), unwritable, said("c")); err != nil {
		r.same("s", said("a"))
		r.append("s", 1, said("d"))
		r.same("s", said("a"), said("d"))
	} else if n := len(r.load("s")); n != 4 {
		t.Errorf("%d entries of 4", n)
	}
	if err := r.store.Append(t.Context(), "new", 0, said("b"), unwritable); err != nil {
		if _, err := r.again.Load(t.Context(), "new"); !errors.Is(err, strands.ErrNotFound) {
			t.Errorf("a refused append made a session: %v", err)
		}
	}
}

func (r storeRig) testIDs(t *testing.T) {
	good := []string{"a", "0", "-x", "_", "a.b", "A-Z_9.", strings.Repeat("x", 128)}
	for _, id := range good {
		r.append(id, 0, said(id))
		r.same(id, said(id))
	}
	for _, id := range []string{"", ".", "..", ".a", "a/b", `a\b`, "a b", "a\n", "é", "a\x00", "../a", strings.Repeat("x", 129)} {
		ctx := t.Context()
		_, load := r.store.Load(ctx, id)
		for what, err := range map[string]error{"load": load, "append": r.store.Append(ctx, id, 0, said("x")), "delete": r.store.Delete(ctx, id)} {
			if _, ok := errors.AsType[*strands.InputError](err); !ok {
				t.Errorf("%s of id %q: %v", what, id, err)
			}
		}
	}
	if n := len(r.list()); n != len(good) {
		t.Errorf("%d sessions of %d", n, len(good))
	}
}

func (r storeRig) testRedaction(t *testing.T) {
	const secret = "4929-1111-2222-3333"
	call := strands.AssistantMessage(strands.Part{ToolCall: &strands.ToolCall{ID: "1", ParentID: "p", Name: "n", Input: json.RawMessage(`{"card":"` + secret + `"}`)}})
	r.append("s", 0, said("before"), said(secret), strands.Entry{Time: storeTime, Message: &call},
		stateOf(strands.SessionState{Summary: []strands.Message{strands.UserMessage(strands.Text(secret))}}))
	r.append("s", 4, said("after"))
	if r.suite.Raw != nil && !bytes.Contains(r.suite.Raw(t, r.store), []byte(secret)) {
		t.Fatal("Raw does not show what is on the medium")
	}
	clean := func(seq int64) strands.Entry {
		return strands.Entry{Time: storeTime, Redaction: &strands.Redaction{Seq: seq, Message: strands.UserMessage(strands.Text("[gone]"))}}
	}
	r.append("s", 5, clean(2), clean(3), stateOf(strands.SessionState{}))
	gone := said("[gone]")
	want := []strands.Entry{said("before"), gone, gone, stateOf(strands.SessionState{}), said("after"), clean(2), clean(3), stateOf(strands.SessionState{})}
	r.same("s", want...)
	if log := jsonOf(r.load("s")); strings.Contains(log, secret) {
		t.Errorf("the original is still there: %s", log)
	}
	if r.suite.Raw != nil && bytes.Contains(r.suite.Raw(t, r.store), []byte(secret)) {
		t.Error("the original is still on the medium")
	}
	r.append("s", 8, clean(77), clean(4)) // names no message: only noted
	r.same("s", append(want, clean(77), clean(4))...)

	r.append("t", 0, said(secret), clean(1)) // of its own append
	r.same("t", gone, clean(1))
	if r.suite.Raw != nil && bytes.Contains(r.suite.Raw(t, r.store), []byte(secret)) {
		t.Error("the original of the same append is on the medium")
	}
}

func (r storeRig) testOldState(*testing.T) {
	empty := stateOf(strands.SessionState{})
	value := func(v string) strands.Entry {
		return stateOf(strands.SessionState{Values: map[string]json.RawMessage{"v": json.RawMessage(v)}})
	}
	r.append("s", 0, value("1"), said("a"))
	r.same("s", value("1"), said("a"))
	r.append("s", 2, value("2"), said("b"), value("3"))
	r.same("s", empty, said("a"), empty, said("b"), value("3"))
}

func (r storeRig) testOwnCopies(t *testing.T) {
	img := &strands.Media{MIME: "image/png", Data: []byte{1, 2, 3}}
	m := strands.UserMessage(strands.Part{Image: img})
	r.append("s", 0, strands.Entry{Time: storeTime, Message: &m})
	img.Data[0] = 9
	log := r.load("s")
	if got := log[0].Message.Parts[0].Image.Data[0]; got != 1 {
		t.Error("the store shares memory with the writer")
	}
	log[0].Message.Parts[0].Image.Data[0] = 9
	if got := r.load("s")[0].Message.Parts[0].Image.Data[0]; got != 1 {
		t.Error("the store shares memory with a reader")
	}
}

func (r storeRig) list() []string {
	r.t.Helper()
	var ids []string
	for id, err := range r.again.List(r.t.Context()) {
		if err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (r storeRig) testListDelete(t *testing.T) {
	for _, id := range []string{"b", "c", "a"} {
		r.append(id, 0, said(id))
	}
	if ids := r.list(); !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("listed %v", ids)
	}
	for range r.store.List(t.Context()) {
		break // must not block what follows
	}
	if err := r.store.Delete(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if ids := r.list(); !slices.Equal(ids, []string{"a", "c"}) {
		t.Errorf("listed %v", ids)
	}
	if _, err := r.again.Load(t.Context(), "b"); !errors.Is(err, strands.ErrNotFound) {
		t.Errorf("load of a deleted one: %v", err)
	}
	if err := r.store.Append(t.Context(), "b", 1, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("append to a deleted one: %v", err)
	}
	r.append("b", 0, said("new"))
	r.same("b", said("new"))
}

// testConcurrency has several writers of one log: whoever meets a conflict
// loads and tries again, so that nothing is lost and nothing is there twice.
func (r storeRig) testConcurrency(t *testing.T) {
	const writers, each = 4, 6
	var wg sync.WaitGroup
	for w := range writers {
		store := r.store
		if w%2 == 1 {
			store = r.again
		}
		wg.Go(func() {
			for i := range each {
				if err := appendAnyhow(t.Context(), store, "s", said(fmt.Sprintf("%d/%d", w, i)), said(fmt.Sprintf("%d/%d more", w, i))); err != nil {
					t.Error(err)
					return
				}
				own := fmt.Sprint("own-", w)
				if err := store.Append(t.Context(), own, int64(i), said(own)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	log := r.load("s")
	if len(log) != 2*writers*each {
		t.Fatalf("%d entries of %d", len(log), 2*writers*each)
	}
	next := make([]int, writers)
	for i := 0; i < len(log); i += 2 {
		var w, n int
		if _, err := fmt.Sscanf(log[i].Message.Text(), "%d/%d", &w, &n); err != nil || n != next[w] {
			t.Fatalf("entry %d is %q", i+1, log[i].Message.Text())
		}
		next[w]++
		if want := log[i].Message.Text() + " more"; log[i+1].Message.Text() != want {
			t.Errorf("entry %d is %q, want %q", i+2, log[i+1].Message.Text(), want)
		}
	}
	if n := len(r.list()); n != writers+1 {
		t.Errorf("%d sessions", n)
	}
}

func appendAnyhow(ctx context.Context, store strands.Store, id string, entries ...strands.Entry) error {
	for tries := 1; ; tries++ {
		log, err := store.Load(ctx, id)
		if err != nil && !errors.Is(err, strands.ErrNotFound) {
			return err
		}
		if err := store.Append(ctx, id, int64(len(log)), entries...); !errors.Is(err, strands.ErrConflict) {
			return err
		}
		time.Sleep(rand.N(time.Duration(tries) * 5 * time.Millisecond)) // makes way for the others
	}
}

func (r storeRig) testCancelled(t *testing.T) {
	r.append("s", 0, said("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, load := r.store.Load(ctx, "s")
	for what, err := range map[string]error{"load": load, "append": r.store.Append(ctx, "s", 1, said("b")), "delete": r.store.Delete(ctx, "s")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, err := range r.store.List(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("list: %v", err)
		}
	}
	r.same("s", said("a"))
}
