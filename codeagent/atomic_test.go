package codeagent_test

import (
	"testing"

	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// TestAtomic: the model is told that code which raised has left nothing, and
// what it has left all the same.
func TestAtomic(t *testing.T) {
	backend := &python.Sandboxed{}
	t.Cleanup(func() { backend.Close() })
	if is, err := backend.Isolation(t.Context()); err != nil {
		t.Fatal(err)
	} else if is.Forks != "asked" {
		t.Skipf("sessions cannot be forked here: %s", is)
	}
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Python: "rows = [1]"},
		{Python: "rows.append(2); open('half.csv', 'w').write('1'); calculate_roi(1, 2); rows.append(1 / 0)"},
		{Python: "rows"}, {Text: "done"},
	}}
	s := newAgent(t, codeagent.Config{
		Model: model, Atomic: true, Interpreter: backend, Toolkits: []codeagent.Toolkit{finance(t)},
	}).NewSession()
	defer s.Close()
	if _, err := s.Ask(t.Context(), "count"); err != nil {
		t.Fatal(err)
	}
	got := results(s)
	for _, text := range []string{"ZeroDivisionError", "rolled back", "Not undone", "half.csv", "calculate_roi (1)"} {
		wantText(t, got[1], true, text)
	}
	wantText(t, got[2], false, "VALUE:\n[1]")
}
