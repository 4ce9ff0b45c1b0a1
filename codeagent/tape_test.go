package codeagent_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// taped is an agent whose snippets look at the clock, draw numbers and call a
// Go function; calls counts those.
func taped(t testing.TB, tape *strandstest.Tape, model strands.Model, doc string, calls *atomic.Int64) *strands.Agent {
	t.Helper()
	price := strands.NewTool("price", "The price of a thing."+doc, func(_ context.Context, in struct {
		Thing string `json:"thing"`
	}) (float64, error) {
		calls.Add(1)
		return float64(len(in.Thing)) + 0.5, nil
	})
	agent, err := codeagent.New(codeagent.Config{
		Model: tape.Model(model), Hooks: []strands.Hooks{tape.Hooks()}, Interpreter: shared(), KeepState: true,
		Fixed:    &python.Fixed{Seed: tape.Seed(), Time: tape.Time()},
		Toolkits: []codeagent.Toolkit{{Functions: []strands.Tool{price}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	return agent
}

const unsteady = `import asyncio, datetime, random, uuid
print(datetime.datetime.now(), random.random(), uuid.uuid4(), {"a", "b", "c"}, object())
print(await asyncio.gather(*(price.aio(thing=t) for t in ("tea", "soup", "bread", "tea"))))`

func recordTaped(t testing.TB, turns int) (string, *strands.Session) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.tape")
	tape, err := strandstest.Record(path)
	if err != nil {
		t.Fatal(err)
	}
	s := new(strandstest.Script)
	for range turns - 1 {
		s.Turns = append(s.Turns, strandstest.Turn{Python: unsteady})
	}
	s.Turns = append(s.Turns, strandstest.Turn{Text: "It was {{ stdout -1 }}"})
	var calls atomic.Int64
	session := taped(t, tape, s, "", &calls).NewSession()
	t.Cleanup(func() { session.Close() })
	if _, err := session.Ask(t.Context(), "Look."); err != nil {
		t.Fatal(err)
	}
	if err := tape.Close(); err != nil {
		t.Fatal(err)
	}
	if want := int64(4 * (turns - 1)); calls.Load() != want {
		t.Fatalf("the function was called %d times, not %d", calls.Load(), want)
	}
	return path, session
}

// TestReplayWithPython: a run whose snippets look at the clock and draw
// numbers is played again, character by character, without the model and the
// functions.
func TestReplayWithPython(t *testing.T) {
	path, was := recordTaped(t, 4)
	var calls atomic.Int64
	is := taped(t, strandstest.Replay(t, path), nil, "", &calls).NewSession()
	defer is.Close()
	res, err := is.Ask(t.Context(), "Look.")
	if err != nil {
		t.Fatal(err)
	}
	first, again := results(was), results(is)
	for i := range first {
		want := strings.ReplaceAll(first[i].Text(), "0x", "") // addresses are the machine's
		if got := strings.ReplaceAll(again[i].Text(), "0x", ""); len(got) != len(want) || got[:80] != want[:80] {
			t.Errorf("snippet %d printed\n%s\nand then\n%s", i, want, got)
		}
	}
	if calls.Load() != 0 || !strings.Contains(res.String(), "[3.5, 4.5, 5.5, 3.5]") {
		t.Errorf("%d functions were called, the answer is %q", calls.Load(), res)
	}
}

func TestReplayNoticesAChangedFunction(t *testing.T) {
	path, _ := recordTaped(t, 2)
	tape, err := strandstest.LoadTape(path)
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	s := taped(t, tape, nil, " In euros.", &calls).NewSession()
	defer s.Close()
	_, err = s.Ask(t.Context(), "Look.")
	if !errors.Is(err, strandstest.ErrDiffers) || !strings.Contains(fmt.Sprint(err), "In euros.") {
		t.Errorf("the error is %v", err)
	}
}

// BenchmarkReplay plays a run of 20 turns; the goal is 1 s.
func BenchmarkReplay(b *testing.B) {
	path, _ := recordTaped(b, 20)
	for b.Loop() {
		tape, err := strandstest.LoadTape(path)
		if err != nil {
			b.Fatal(err)
		}
		var calls atomic.Int64
		s := taped(b, tape, nil, "", &calls).NewSession()
		if _, err := s.Ask(b.Context(), "Look."); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
