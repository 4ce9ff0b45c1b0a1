package codeagent_test

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

//go:embed all:testdata/modules
var moduleFiles embed.FS

func testModules(t *testing.T) []python.Module {
	t.Helper()
	dir, err := fs.Sub(moduleFiles, "testdata/modules")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := codeagent.ModulesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

// shared is the interpreter of most tests, so that Python starts once.
var shared = sync.OnceValue(func() *python.Sandboxed { return &python.Sandboxed{Logger: slog.New(slog.DiscardHandler)} })

func TestMain(m *testing.M) {
	code := m.Run()
	shared().Close()
	os.Exit(code)
}

func newAgent(t *testing.T, cfg codeagent.Config) *strands.Agent {
	t.Helper()
	if cfg.Interpreter == nil {
		cfg.Interpreter = shared()
	}
	agent, err := codeagent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agent.Close(); err != nil {
			t.Error(err)
		}
	})
	return agent
}

// script makes a model that runs each of code and then says done.
func script(code ...string) *strandstest.Script {
	s := &strandstest.Script{}
	for _, c := range code {
		s.Turns = append(s.Turns, strandstest.Turn{Python: c})
	}
	s.Turns = append(s.Turns, strandstest.Turn{Text: "done"})
	return s
}

// snippets runs each of code in one turn and returns what the model reads.
func snippets(t *testing.T, cfg codeagent.Config, code ...string) []*strands.ToolResult {
	t.Helper()
	cfg.Model = script(code...)
	s := newAgent(t, cfg).NewSession()
	defer s.Close()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	return results(s)
}

func results(s *strands.Session) []*strands.ToolResult {
	var all []*strands.ToolResult
	for _, m := range s.Messages() {
		all = append(all, m.ToolResults()...)
	}
	return all
}

func wantText(t *testing.T, r *strands.ToolResult, isError bool, parts ...string) {
	t.Helper()
	if r.IsError != isError {
		t.Errorf("error: %v, want %v", r.IsError, isError)
	}
	for _, p := range parts {
		if !strings.Contains(r.Text(), p) {
			t.Errorf("got\n%s\nwithout %q", r.Text(), p)
		}
	}
}

func roiTool() strands.Tool {
	return strands.NewTool("calculate_roi", "Return on investment as a percentage.", func(ctx context.Context, in roi) (float64, error) {
		if in.Investment == 0 {
			return 0, errors.New("nothing was invested")
		}
		return calculateROI(ctx, in)
	})
}

type handbook struct{ pages map[string]string }

type pageInput struct {
	Name string `json:"name"`
}

func (h handbook) Read(in pageInput) (string, error) {
	if text, ok := h.pages[in.Name]; ok {
		return text, nil
	}
	return "", errors.New("there is no page " + in.Name)
}

func finance(t *testing.T) codeagent.Toolkit {
	return codeagent.Toolkit{
		Name:      "finance",
		Functions: []strands.Tool{roiTool()},
		Objects:   []python.Object{python.ObjectOf("docs", "The handbook.", handbook{map[string]string{"intro": "Welcome."}}, nil)},
		Modules:   testModules(t),
	}
}

func TestState(t *testing.T) {
	for _, keep := range []bool{false, true} {
		model := &strandstest.Script{Turns: []strandstest.Turn{
			{Python: "x = 41"}, {Python: "x += 1; open('x', 'w').close(); print(x)"}, {Text: "first"},
			{Python: "print(x)"}, {Python: "os.listdir()"}, {Text: "second"},
		}}
		kits := []codeagent.Toolkit{{InitializationCode: "import os"}}
		s := newAgent(t, codeagent.Config{Model: model, KeepState: keep, Toolkits: kits}).NewSession()
		for _, q := range []string{"one", "two"} {
			if _, err := s.Ask(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		got := results(s)
		wantText(t, got[0], false, "Code executed successfully")
		wantText(t, got[1], false, "42")
		if keep {
			wantText(t, got[2], false, "42")
			wantText(t, got[3], false, "['x']")
		} else {
			wantText(t, got[2], true, "NameError")
			wantText(t, got[3], false, "[]")
		}
		says := "until the user's next message"
		if prompt := model.Requests()[0].System[0].Text; strings.Contains(prompt, says) == keep {
			t.Errorf("KeepState %v, but the prompt says otherwise", keep)
		}
		s.Close()
	}
}

// TestPromptIsTrue: what the prompt promises, the REPL does.
func TestPromptIsTrue(t *testing.T) {
	got := snippets(t, codeagent.Config{Toolkits: []codeagent.Toolkit{finance(t)}},
		"calculate_roi(investment=1000, returns=1250)",
		"from finance import calculate_roi as f; f(1000, 1500)",
		"docs.read(name='intro')",
		"from roi import annualised as g; (round(annualised(10, days=365), 6), g is annualised, Position('X', 2.0).value(3))",
		"[o.total for o in [Order(1, 2.5)]], load_orders.__name__",
		"import shop, roi; shop.Order is Order",
		"open('report.csv', 'w').write('id,total\\n1,2.5\\n'); print(load_orders('report.csv'))",
		"import inspect; print(inspect.signature(calculate_roi), inspect.signature(docs.read))",
		"help(calculate_roi)",
		"import asyncio; await asyncio.gather(calculate_roi.aio(1, 2), calculate_roi.aio(investment=1, returns=4))",
		"import os; sorted(os.listdir())",
	)
	wantText(t, got[0], false, "25")
	wantText(t, got[1], false, "50")
	wantText(t, got[2], false, "Welcome.")
	wantText(t, got[3], false, "(10.0, True, 6.0)")
	wantText(t, got[4], false, "[2.5]")
	wantText(t, got[5], false, "True")
	wantText(t, got[6], false, "[Order(id=1, total=2.5)]", "report.csv")
	wantText(t, got[8], false, "Return on investment as a percentage.")
	wantText(t, got[9], false, "[100.0, 300.0]")
	wantText(t, got[10], true, "these imports are not allowed")
}

func TestHostErrorsAreExceptions(t *testing.T) {
	got := snippets(t, codeagent.Config{Toolkits: []codeagent.Toolkit{finance(t)}}, `
try:
    calculate_roi(investment=0, returns=1)
except Exception as e:
    print("caught:", e)
`, "docs.read('missing')", "calculate_roi(1)")
	wantText(t, got[0], false, "caught: nothing was invested")
	wantText(t, got[1], true, "there is no page missing", "<cell")
	wantText(t, got[2], true, "TypeError")
}

func TestImports(t *testing.T) {
	kits := []codeagent.Toolkit{{InitializationCode: "import xml.dom as d\nfrom os import path"}}
	got := snippets(t, codeagent.Config{Toolkits: kits},
		"d.__name__, path.join('a', 'b')",
		"import xml.dom; from os import path",
		"import socket",
		"import subprocess, json",
	)
	wantText(t, got[0], false, "xml.dom", "a/b")
	wantText(t, got[1], false)
	wantText(t, got[2], true, "socket", "Allowed")
	wantText(t, got[3], true, "subprocess")
}

// TestBrokenPython: New does not run Python, so the first snippet tells.
func TestBrokenPython(t *testing.T) {
	for name, kit := range map[string]codeagent.Toolkit{
		"module":         {Modules: []python.Module{{Name: "broken", Source: "def f(:\n"}}},
		"package":        {Modules: []python.Module{{Name: "broken", Files: fstest.MapFS{"__init__.py": {Data: []byte("from . import missing")}}}}},
		"initialization": {InitializationCode: "undefined_name"},
	} {
		t.Run(name, func(t *testing.T) {
			got := snippets(t, codeagent.Config{Toolkits: []codeagent.Toolkit{kit}}, "print('not reached')")
			wantText(t, got[0], true)
			if strings.Contains(got[0].Text(), "not reached\n") {
				t.Errorf("the snippet ran: %s", got[0].Text())
			}
			t.Log(got[0].Text())
		})
	}
}

func TestHooksSeeHostCalls(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	hooks := strands.Hooks{
		BeforeToolCall: func(_ context.Context, e *strands.BeforeToolCall) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, e.Call.Name)
			if e.Call.ParentID != "" && strings.Contains(string(e.Call.Input), "666") {
				e.Cancel = "not that one"
			}
			return nil
		},
	}
	got := snippets(t, codeagent.Config{Hooks: []strands.Hooks{hooks}, Toolkits: []codeagent.Toolkit{finance(t)}},
		"calculate_roi(1, 2)", "calculate_roi(666, 2)")
	if want := []string{"python_repl", "calculate_roi", "python_repl", "calculate_roi"}; !slices.Equal(seen, want) {
		t.Errorf("hooks saw %q, want %q", seen, want)
	}
	wantText(t, got[0], false, "100")
	wantText(t, got[1], true, "not that one")
}

func TestStructuredOutput(t *testing.T) {
	type answer struct {
		Percent float64 `json:"percent"`
	}
	spec := strands.OutputOf[answer]()
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Python: "calculate_roi(1000, 1250)"},
		{Calls: []strandstest.Call{{Name: spec.Name, Input: answer{25}}}},
	}}
	s := newAgent(t, codeagent.Config{Model: model, Toolkits: []codeagent.Toolkit{finance(t)}}).NewSession()
	defer s.Close()
	got, err := strands.AskFor[answer](t.Context(), s, "What is the ROI?")
	if err != nil || got.Percent != 25 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestStoredSession(t *testing.T) {
	store := strands.NewMemoryStore()
	model := &strandstest.Script{Turns: []strandstest.Turn{{Python: "6 * 7"}, {Text: "It is {{ value 1 }}."}, {Text: "As I said: {{ value 1 }}."}}}
	cfg := codeagent.Config{Model: model, Store: store}
	s := newAgent(t, cfg).NewSession()
	if _, err := s.Ask(t.Context(), "6 times 7?"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	again, err := newAgent(t, cfg).Restore(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	res, err := again.Ask(t.Context(), "What was it?")
	if err != nil || res.Text() != "As I said: 42." {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestAgentAsFunction(t *testing.T) {
	inner := newAgent(t, codeagent.Config{Name: "analyst", Model: &strandstest.Script{Turns: []strandstest.Turn{
		{Python: "sum(range(10))"}, {Text: "{{ value 1 }}"},
	}}})
	got := snippets(t, codeagent.Config{Toolkits: []codeagent.Toolkit{{Functions: []strands.Tool{inner.AsTool()}}}},
		"int(analyst(input='Add up 0 to 9.')) + 1")
	wantText(t, got[0], false, "46")
}

func TestFencedModel(t *testing.T) {
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Text: "Let me compute.\n```python\nx = 20\nx + 1\n```\nIt is 99."},
		{Text: "It is 21."},
	}}
	agent := newAgent(t, codeagent.Config{Model: codeagent.Fenced(model)})
	s := agent.NewSession()
	defer s.Close()
	res, err := s.Ask(t.Context(), "20 + 1?")
	if err != nil || res.Text() != "It is 21." {
		t.Fatalf("got %v, %v", res, err)
	}
	wantText(t, results(s)[0], false, "21")
	last := model.Requests()[1]
	if len(last.Tools) != 0 || !strings.Contains(last.Messages[2].Text(), "21") {
		t.Errorf("the model was asked %+v", last)
	}
}

func TestLabels(t *testing.T) {
	got := snippets(t, codeagent.Config{Labels: python.Labels{Stdout: "printed", Empty: "nothing to see"}}, "print(1)", "x = 1")
	wantText(t, got[0], false, "printed\n1")
	wantText(t, got[1], false, "nothing to see")
}

func TestFiles(t *testing.T) {
	s := newAgent(t, codeagent.Config{Model: script("open('out.txt', 'w').write('hello')")}).NewSession()
	defer s.Close()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	repl, err := codeagent.REPL(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := repl.(python.Filer).ReadFile(t.Context(), "out.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "hello" {
		t.Errorf("got %q, %v", b, err)
	}
	plain, err := strands.New(strands.Config{Model: script()})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	other := plain.NewSession()
	defer other.Close()
	if _, err := codeagent.REPL(t.Context(), other); err == nil {
		t.Error("a session without a REPL has one")
	}
}

// counting notes whether an interpreter was closed.
type counting struct {
	python.Interpreter
	closed int
}

func (c *counting) Close() error { c.closed++; return nil }

func TestWhoClosesTheInterpreter(t *testing.T) {
	given := &counting{Interpreter: shared()}
	agent, err := codeagent.New(codeagent.Config{Model: script(), Interpreter: given})
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Close(); err != nil || given.closed != 0 {
		t.Errorf("the caller's interpreter was closed %d times (%v)", given.closed, err)
	}
	before := children(t)
	own, err := codeagent.New(codeagent.Config{Model: script("1 + 1"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := own.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	wantText(t, results(s)[0], false, "2")
	repl, err := codeagent.REPL(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if n := children(t); n <= before {
		t.Errorf("%d processes before, %d with an interpreter", before, n)
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
	if n := children(t); n != before {
		t.Errorf("%d processes before, %d after Close", before, n)
	}
	for _, err := range repl.Exec(t.Context(), "1") {
		if !errors.Is(err, strands.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// children counts the processes that this one has started.
func children(t *testing.T) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range stats {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			n++
		}
	}
	return n
}

func TestToolsBesideTheREPL(t *testing.T) {
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Calls: []strandstest.Call{{Name: "calculate_roi", Input: json.RawMessage(`{"investment":1,"returns":3}`)}}},
		{Text: "{{ result 1 }}"},
	}}
	agent := newAgent(t, codeagent.Config{Model: model, Tools: []strands.Tool{roiTool()}})
	res, err := agent.Ask(t.Context(), "?")
	if err != nil || res.Text() != "200" {
		t.Errorf("got %v, %v", res, err)
	}
	var names []string
	for _, spec := range model.Requests()[0].Tools {
		names = append(names, spec.Name)
	}
	if !slices.Equal(names, []string{"python_repl", "calculate_roi"}) {
		t.Errorf("offered %q", names)
	}
}
