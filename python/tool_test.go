package python_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// agentOf makes an agent whose model runs the given snippets, each in a turn
// of its own, and says "done".
func agentOf(t *testing.T, c python.ToolConfig, turns ...strandstest.Turn) (*strands.Agent, strands.Tool) {
	t.Helper()
	if c.Interpreter == nil {
		i := &python.Sandboxed{Logger: quiet()}
		t.Cleanup(func() { i.Close() })
		c.Interpreter = i
	}
	tool := python.NewTool(c)
	a, err := strands.New(strands.Config{Model: &strandstest.Script{Turns: turns}, Tools: []strands.Tool{tool}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Agent.Close: %v", err)
		}
	})
	return a, tool
}

func code(s string) strandstest.Turn { return strandstest.Turn{Python: s} }

var done = strandstest.Turn{Text: "done"}

// answersOf returns the texts of the tool results of a session.
func answersOf(s *strands.Session) []string {
	var texts []string
	for _, m := range s.Messages() {
		for _, r := range m.ToolResults() {
			texts = append(texts, r.Text())
		}
	}
	return texts
}

func TestToolAnswers(t *testing.T) {
	a, _ := agentOf(t, python.ToolConfig{Options: python.Options{Libraries: []string{"sys", "os"}}},
		code("x = 20"),
		code("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx + 1"),
		code("1/0"),
		code("open('a.csv', 'w').write('1,2')\nNone"),
		code("import os\nos._exit(4)"),
		code("x"),
		done)
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	got := answersOf(s)
	want := []string{
		"Code executed successfully",
		"STDOUT:\nout\n\nSTDERR:\nerr\n\nVALUE:\n21",
		"ERROR:\nTraceback (most recent call last):\n  File \"<cell 3>\", line 1, in <module>\n    1/0\n    ~^~\nZeroDivisionError: division by zero",
		"FILES:\na.csv (text/csv, 3 bytes)",
		"ERROR:\nInterpreterLost: the code ended the interpreter (exit 4)\n\nSTATE LOST:\nthe code ended the interpreter (exit 4). Everything defined before is gone; define again what you need.",
	}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("answer %d\n%s\nwant\n%s", i+1, got[i], w)
		}
	}
	if !strings.Contains(got[5], "NameError") {
		t.Errorf("after the loss: %s", got[5])
	}
}

func TestToolLabelsAndEvents(t *testing.T) {
	a, tool := agentOf(t, python.ToolConfig{
		Name: "python_repl", Labels: python.Labels{Stdout: "Printed:", Empty: "Nothing to see"},
	}, code("print('a')"), code("y = 1"), done)
	s := a.NewSession()
	shown, id := "", ""
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Output != nil && e.Output.Stdout != "" {
			shown += e.Output.Stdout
			id = e.Output.CallID
		}
	}
	if got := answersOf(s); got[0] != "Printed:\na" || got[1] != "Nothing to see" {
		t.Errorf("%q", got)
	}
	if shown != "a\n" || id == "" {
		t.Errorf("events of %q: %q", id, shown)
	}
	r, err := python.Attached(t.Context(), s, tool)
	if err != nil {
		t.Fatal(err)
	}
	if iso, ok := python.IsolationOf(r); !ok || iso.Level == python.LevelNone {
		t.Errorf("isolation %v %v", iso, ok)
	}
	runtime.KeepAlive(s)
}

// The state is reset when a new user message has come, and only then.
func TestToolResetsWithTheTurn(t *testing.T) {
	for _, keep := range []bool{false, true} {
		a, _ := agentOf(t, python.ToolConfig{KeepState: keep},
			code("x = 1"), code("x + 1"), done, code("'x' in globals()"), done)
		s := a.NewSession()
		for range 2 {
			if _, err := s.Ask(t.Context(), "go"); err != nil {
				t.Fatal(err)
			}
		}
		got := answersOf(s)
		want := "VALUE:\nFalse"
		if keep {
			want = "VALUE:\nTrue"
		}
		if got[1] != "VALUE:\n2" || got[2] != want {
			t.Errorf("KeepState %v: %q", keep, got)
		}
	}
}

func TestToolInput(t *testing.T) {
	tool := python.NewTool(python.ToolConfig{Interpreter: &python.Exec{Logger: quiet()}})
	for _, in := range []string{`{}`, `{"code":1}`, `[]`} {
		if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(in)}); err == nil {
			t.Errorf("%s was taken", in)
		}
	}
	// Outside of a session the call has a REPL of its own.
	res, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{"code":"6*7"}`)})
	if err != nil || res.Text() != "VALUE:\n42" {
		t.Errorf("%v %v", res, err)
	}
}

func approve(t *testing.T, calls *int) strands.Tool {
	return strands.NewTool("transfer", "Moves money.", func(ctx context.Context, in struct {
		Amount int `json:"amount"`
	}) (string, error) {
		*calls++
		answer, err := strands.RequestInput(ctx, "approve", map[string]any{"amount": in.Amount})
		if err != nil {
			return "", err
		}
		if answer != "yes" {
			return "", errors.New("refused")
		}
		return "moved", nil
	})
}

// A host call asks a person: the snippet waits where it is, across the end of
// the run, and goes on with the answer.
func TestASnippetWaitsForAPerson(t *testing.T) {
	for _, answer := range []string{"yes", "no"} {
		t.Run(answer, func(t *testing.T) {
			calls := 0
			o := python.Options{Namespaces: []python.Namespace{{Functions: []strands.Tool{approve(t, &calls)}}}}
			a, _ := agentOf(t, python.ToolConfig{Options: o, KeepState: true},
				code("print('before')\nn = 1\ntry:\n    r = transfer(5)\nexcept Exception as e:\n    r = str(e)\nn += 1\nprint('after')\nr"),
				code("n"), done)
			s := a.NewSession()
			res, err := s.Ask(t.Context(), "go")
			if err != nil || res.StopReason != strands.StopInterrupt || len(res.Interrupts) != 1 {
				t.Fatalf("%+v %v", res, err)
			}
			res, err = strands.Collect(s.Run(t.Context(), strands.Input{
				Responses: []strands.InterruptResponse{{ID: res.Interrupts[0].ID, Response: answer}},
			}))
			if err != nil || res.Text() != "done" {
				t.Fatalf("%+v %v", res, err)
			}
			want := map[string]string{"yes": "'moved'", "no": "'refused'"}[answer]
			got := answersOf(s)
			if got[0] != "STDOUT:\nbefore\nafter\n\nVALUE:\n"+want || got[1] != "VALUE:\n2" {
				t.Errorf("%q", got)
			}
			if calls != 2 {
				t.Errorf("the function ran %d times, want 2", calls)
			}
		})
	}
}

// Several calls ask at once; one that does not ask ends first.
func TestSeveralQuestionsAtOnce(t *testing.T) {
	calls := 0
	fine := strands.NewTool("fine", "", func(context.Context, struct{}) (int, error) { return 7, nil })
	o := python.Options{
		Limits:     python.Limits{InFlight: 1},
		Namespaces: []python.Namespace{{Functions: []strands.Tool{approve(t, &calls), fine}}},
	}
	a, _ := agentOf(t, python.ToolConfig{Options: o},
		code("import asyncio\nawait asyncio.gather(transfer.aio(1), fine.aio(), fine.aio())"), done)
	s := a.NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || len(res.Interrupts) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	if _, err = strands.Collect(s.Run(t.Context(), strands.Input{
		Responses: []strands.InterruptResponse{{ID: res.Interrupts[0].ID, Response: "yes"}},
	})); err != nil {
		t.Fatal(err)
	}
	if got := answersOf(s); got[0] != "VALUE:\n['moved', 7, 7]" {
		t.Errorf("%q", got)
	}
}

// A new message instead of an answer: the snippet that waits is given up.
func TestASnippetThatWaitsIsGivenUp(t *testing.T) {
	calls := 0
	o := python.Options{Namespaces: []python.Namespace{{Functions: []strands.Tool{approve(t, &calls)}}}}
	a, tool := agentOf(t, python.ToolConfig{Options: o, KeepState: true}, code("n = 1\ntransfer(5)"), done)
	s := a.NewSession()
	if res, err := s.Ask(t.Context(), "go"); err != nil || res.StopReason != strands.StopInterrupt {
		t.Fatalf("%+v %v", res, err)
	}
	r, err := python.Attached(t.Context(), s, tool)
	if err != nil {
		t.Fatal(err)
	}
	var last *python.Result
	for out, err := range r.Exec(t.Context(), "'n' in globals()") {
		if err != nil {
			t.Fatal(err)
		}
		last = out.Result
	}
	if last.Value != "False" || !last.StateLost || !strings.Contains(last.Lost, "waiting for a person") {
		t.Errorf("%+v", last)
	}
	runtime.KeepAlive(s) // the REPL ends with it
}

func TestResultJSON(t *testing.T) {
	b, err := json.Marshal(python.Result{
		Stdout: "o", Err: &python.Exception{Type: "E", Message: "m", Traceback: "t"}, StateLost: true,
		Images: []strands.Media{{MIME: "image/png", URI: "/tmp/1.png"}}, Duration: 1500000,
	})
	want := `{"stdout":"o","stderr":"","value":"","error":{"type":"E","message":"m","traceback":"t"},` +
		`"images":[{"mime":"image/png","path":"/tmp/1.png"}],"state_lost":true,"duration_ms":1.5}`
	if err != nil || string(b) != want {
		t.Errorf("%s %v\nwant\n%s", b, err, want)
	}
	if b, _ := json.Marshal(&python.Result{}); !strings.Contains(string(b), `"error":null,"images":[]`) {
		t.Errorf("%s", b)
	}
}
