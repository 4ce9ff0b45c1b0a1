package codeagent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/strandstest"
)

// grid is a native result as package table makes them.
type grid int

func (g grid) Columns() []string { return []string{"n", "square"} }
func (g grid) Len() int          { return int(g) }
func (g grid) Rows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for i := range int(g) {
			if !yield([]any{i, i * i}) {
				return
			}
		}
	}
}

func (g grid) MarshalJSON() ([]byte, error) {
	first := slices.Collect(g.Rows())
	return json.Marshal(map[string]any{"row_count": int(g), "rows": first[:min(len(first), 3)]})
}

type sizeInput struct {
	Size int `json:"size"`
}

func twinKit() codeagent.Toolkit {
	return codeagent.Toolkit{
		Libraries: []string{"pandas.*"}, InitializationCode: "import pandas as pd", UsageInstructions: "Sizes are small.",
		Functions: []strands.Tool{
			strands.NewTool("lines", "Makes lines.", func(_ context.Context, in sizeInput) (string, error) {
				var b strings.Builder
				for i := range in.Size {
					fmt.Fprintf(&b, "line %d has the square %d\n", i+1, (i+1)*(i+1))
				}
				return b.String(), nil
			}),
			strands.NewTool("squares", "Makes a list.", func(_ context.Context, in sizeInput) ([]grid, error) {
				return slices.Repeat([]grid{1}, in.Size), nil
			}),
			strands.NewTool("table", "Makes a table.", func(_ context.Context, in sizeInput) (grid, error) { return grid(in.Size), nil }),
		},
	}
}

// twinResults runs calls in the twin, one a turn.
func twinResults(t *testing.T, calls ...strandstest.Call) ([]*strands.ToolResult, strands.Request) {
	t.Helper()
	s := new(strandstest.Script)
	for _, c := range calls {
		s.Turns = append(s.Turns, strandstest.Turn{Calls: []strandstest.Call{c}})
	}
	s.Turns = append(s.Turns, strandstest.Turn{Text: "done"})
	agent := newAgent(t, codeagent.Config{Model: s, SystemPrompt: "You count.", ToolCalls: true, Toolkits: []codeagent.Toolkit{twinKit(), {
		Objects: finance(t).Objects,
	}}})
	session := agent.NewSession()
	defer session.Close()
	if _, err := session.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	return results(session), s.Requests()[0]
}

func TestTwin(t *testing.T) {
	got, req := twinResults(t,
		strandstest.Call{Name: "docs_read", Input: map[string]string{"name": "intro"}},
		strandstest.Call{Name: "lines", Input: sizeInput{3}},
		strandstest.Call{Name: "table", Input: sizeInput{2}},
	)
	wantText(t, got[0], false, "Welcome.")
	wantText(t, got[1], false, "line 3 has the square 9")
	wantText(t, got[2], false, `[1,1]`)
	for _, r := range got[1:] {
		if strings.Contains(r.Text(), "result_") {
			t.Errorf("a small result got a handle:\n%s", r.Text())
		}
	}
	var names []string
	for _, s := range req.Tools {
		names = append(names, s.Name)
	}
	if want := []string{"lines", "squares", "table", "docs_read", "read_result", "search_result"}; !slices.Equal(names, want) {
		t.Errorf("the tools are %v, want %v", names, want)
	}
	prompt := req.System[0].Text
	for _, word := range []string{"You count.", "side by side", "Sizes are small."} {
		if !strings.Contains(prompt, word) {
			t.Errorf("no %q in the prompt:\n%s", word, prompt)
		}
	}
	for _, word := range []string{"Python", "pandas"} {
		if strings.Contains(prompt, word) {
			t.Errorf("%q in the prompt:\n%s", word, prompt)
		}
	}
}

func TestTwinHandles(t *testing.T) {
	got, _ := twinResults(t,
		strandstest.Call{Name: "lines", Input: sizeInput{1000}},
		strandstest.Call{Name: "read_result", Input: map[string]any{"handle": "result_1", "from": 500, "count": 2}},
		strandstest.Call{Name: "search_result", Input: map[string]any{"handle": "result_1", "pattern": "square 250000$"}},
		strandstest.Call{Name: "table", Input: sizeInput{100}},
		strandstest.Call{Name: "read_result", Input: map[string]any{"handle": "result_2", "from": 100}},
		strandstest.Call{Name: "squares", Input: sizeInput{1000}},
		strandstest.Call{Name: "read_result", Input: map[string]any{"handle": "result_3", "from": 1000}},
		strandstest.Call{Name: "read_result", Input: map[string]any{"handle": "result_9"}},
		strandstest.Call{Name: "search_result", Input: map[string]any{"handle": "result_1", "pattern": "("}},
		strandstest.Call{Name: "search_result", Input: map[string]any{"handle": "result_1", "pattern": "zebra"}},
	)
	if n := len(got[0].Text()); n > 3000 {
		t.Errorf("a large result takes %d characters", n)
	}
	wantText(t, got[0], false, "line 1 has", "[1000 lines; all of them are kept as result_1")
	if want := "500: line 500 has the square 250000\n501: line 501 has the square 251001\n[more follow from 502 of 1000 lines]"; got[1].Text() != want {
		t.Errorf("read_result shows\n%s", got[1].Text())
	}
	wantText(t, got[2], false, "500: line 500 has the square 250000")
	wantText(t, got[3], false, `[2,4]`, "[100 rows; all of them are kept as result_2")
	wantText(t, got[4], false, "100: [99,9801]")
	wantText(t, got[5], false, "[1000 lines; all of them are kept as result_3")
	wantText(t, got[6], false, "1000: {")
	wantText(t, got[7], true, `there is no "result_9"; the newest is result_3`)
	wantText(t, got[8], true, "missing closing )")
	wantText(t, got[9], false, "None of the 1000 lines.")
}

func TestTwinWithModules(t *testing.T) {
	_, err := codeagent.New(codeagent.Config{Model: &strandstest.Script{}, ToolCalls: true, Toolkits: []codeagent.Toolkit{{Modules: testModules(t)}}})
	if e, ok := errors.AsType[*strands.InputError](err); !ok || e.Field != "Toolkits[0].Modules" {
		t.Errorf("the error is %v", err)
	}
}
