package python_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/pythonsdk"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

func calls(tool, input string) strandstest.Turn {
	return strandstest.Turn{Calls: []strandstest.Call{{Name: tool, Input: json.RawMessage(input)}}}
}

// toolAgent is an agent with the tools of d and one of the program's own.
func toolAgent(t *testing.T, d *python.Directory, turns ...strandstest.Turn) *strands.Agent {
	t.Helper()
	double := strands.NewTool("double-it", "Doubles.", func(_ context.Context, in struct {
		N int `json:"n"`
	}) (int, error) {
		return 2 * in.N, nil
	})
	a, err := strands.New(strands.Config{
		Model: &strandstest.Script{Turns: turns}, Tools: []strands.Tool{double}, Providers: []strands.ToolProvider{d}, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Agent.Close: %v", err)
		}
	})
	return a
}

func TestDirectoryAgent(t *testing.T) {
	d := &python.Directory{Logger: quiet(), Path: folder(t, map[string]string{"a.py": `
from strands import tool, ToolContext
from strands.types.tools import ToolUse

@tool
def state(agent):
    n = (agent.state.get("n") or 0) + 1
    agent.state.set("n", n)
    return [n, agent.name, [m["role"] for m in agent.messages], agent.messages[0]["content"][0]["text"]]

@tool
def nested(n: int, agent=None):
    return agent.tool.double_it(n=n)["content"][0]

@tool(context=True)
def approve(what: str, tool_context: ToolContext) -> str:
    try:
        answer = tool_context.interrupt("approval", reason={"what": what})
    except ValueError:
        answer = "never"
    return f"{what}: {answer}"

@tool
def within(agent): return agent.tool.state()

@tool
def missing(agent): return agent.model

@tool
def prints():
    print("hello")
    return "printed"
`})}
	a := toolAgent(t, d, calls("state", `{}`), calls("nested", `{"n":4}`), calls("within", `{}`), calls("missing", `{}`), calls("prints", `{}`),
		calls("approve", `{"what":"launch"}`), done)
	var seen []string
	s := a.NewSession()
	remove := s.AddHooks(strands.Hooks{BeforeToolCall: func(_ context.Context, b *strands.BeforeToolCall) error {
		seen = append(seen, b.Call.Name)
		return nil
	}})
	defer remove()
	var printed strings.Builder
	var question *strands.Interrupt
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Output != nil:
			printed.WriteString(e.Output.Stdout)
		case e.Interrupt != nil:
			question = e.Interrupt
		}
	}
	if printed.String() != "hello\n" {
		t.Errorf("printed: %q", printed.String())
	}
	if question == nil || question.Name != "approval" || !reflect.DeepEqual(question.Reason, map[string]any{"what": "launch"}) {
		t.Fatalf("the question: %+v", question)
	}
	if _, err := strands.Collect(s.Run(t.Context(), strands.Input{Responses: []strands.InterruptResponse{{ID: question.ID, Response: "yes"}}})); err != nil {
		t.Fatal(err)
	}
	got := answersOf(s)
	want := []string{
		`[1, "agent", ["user", "assistant"], "go"]`, `{"json": 8}`, `Error: RuntimeError - the agent has no tool "state" that can be called from here`,
		"Error: AttributeError - the agent of a Go program offers name, state, messages and tool, not model", "printed", "launch: yes",
	}
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Errorf("answer %d is %q, want %q", i+1, got[i], w)
		}
	}
	if text := strings.Join(seen, " "); text != "state nested double-it within missing prints approve approve" {
		t.Errorf("what hooks saw: %s", text)
	}
}

// A hook of the agent must not see how the session talks with the program.
func TestDirectoryInTheREPL(t *testing.T) {
	d := directory(t, &python.Directory{Path: folder(t, map[string]string{"a.py": addTool + `
@tool
def rows(n: int) -> list:
    return [{"i": i} for i in range(n)]

@tool
def ticks(n: int):
    for i in range(n):
        yield {"i": i}
`})})
	tools, err := d.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := agentOf(t, python.ToolConfig{Options: python.Options{Namespaces: []python.Namespace{{Functions: tools}}}},
		code("sum(r['i'] for r in rows(5)) + add(1, b=2)"), code("[t['i'] for t in ticks(3)]"), code("add('x')"), done)
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	got := answersOf(s)
	if got[0] != "VALUE:\n13" || got[1] != "VALUE:\n[0, 1, 2]" || !strings.Contains(got[2], "unable to parse string as an integer") {
		t.Errorf("answers: %q", got)
	}
}

// Files change while many sessions look, call and are cancelled. Every answer
// is that of some version, and in the end it is that of the last.
func TestDirectoryRaces(t *testing.T) {
	version := func(n int) string {
		return strings.Replace(addTool, "a + b", strconv.Itoa(n), 1)
	}
	dir := folder(t, map[string]string{"a.py": version(0), "b.py": strings.ReplaceAll(addTool, "add", "other")})
	d := directory(t, &python.Directory{Path: dir})
	toolsOf(t, d)
	const last = 30
	var wg sync.WaitGroup
	stop, looked := make(chan struct{}), make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case looked <- struct{}{}:
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i*40)*time.Millisecond)
				tools, err := d.Tools(ctx)
				for _, tool := range tools {
					res, callErr := tool.Call(ctx, &strands.ToolCall{ID: "x", Input: json.RawMessage(`{"a":1}`)})
					if callErr == nil && res.IsError {
						t.Errorf("an error result: %s", res.Text())
					}
					if callErr != nil && ctx.Err() == nil {
						t.Errorf("a call: %v", callErr)
					}
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("looking: %v", err)
				}
				cancel()
			}
		})
	}
	for n := 1; n <= last; n++ {
		text := version(n)
		put(t, dir, "a.py", text[:len(text)/2]) // as an editor leaves it for a moment
		<-looked
		put(t, dir, "a.py", text)
		<-looked
	}
	close(stop)
	wg.Wait()
	if got := callTool(t, toolsOf(t, d)["add"], `{"a":1}`).Text(); got != strconv.Itoa(last) || d.Err() != nil {
		t.Errorf("in the end: %s, %v", got, d.Err())
	}
}

// The specs are those that the Python SDK itself makes of the files.
func TestDirectorySpecs(t *testing.T) {
	sdk := pythonsdk.Need(t)
	files, err := filepath.Glob("testdata/tools/*.py")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	out, err := sdk.Command(t.Context(), nil, append([]string{"testdata/specs.py"}, files...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	type spec struct {
		Description string `json:"description"`
		Input       any    `json:"input"`
	}
	var theirs map[string]map[string]spec
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	d := directory(t, &python.Directory{Path: "testdata/tools"})
	ours := toolsOf(t, d)
	n := 0
	for file, tools := range theirs {
		for name, want := range tools {
			n++
			if ours[name] == nil {
				t.Errorf("%s: there is no %s", file, name)
				continue
			}
			s := ours[name].Spec()
			got := spec{Description: s.Description}
			if err := json.Unmarshal(s.InputSchema, &got.Input); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				a, _ := json.Marshal(got)
				b, _ := json.Marshal(want)
				t.Errorf("%s of %s is\n%s\nThe SDK makes\n%s", name, file, a, b)
			}
		}
	}
	if n != len(ours) || n < 30 {
		t.Errorf("%d tools of the SDK, %d of ours", n, len(ours))
	}
}

// A file that imports pydantic is served by pydantic, as in the SDK.
func TestDirectoryPydantic(t *testing.T) {
	d := directory(t, &python.Directory{Requirements: []string{"pydantic>=2"}, Path: folder(t, map[string]string{"p.py": `
from pydantic import BaseModel, Field
from strands import tool

class Item(BaseModel):
    name: str
    price: float = Field(default=1, gt=0)

@tool
def total(items: list[Item], limit: int = Field(default=5, le=10)) -> dict:
    """Sum up.

    Args:
        items: What was bought.
    """
    return {"sum": sum(i["price"] for i in items), "limit": limit}
`})})
	tools, err := d.Tools(t.Context())
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") == "" {
		t.Skipf("pydantic cannot be installed: %v", err)
	}
	if err != nil || d.Err() != nil || len(tools) != 1 {
		t.Fatalf("%v, %v, %v", tools, err, d.Err())
	}
	if s := string(tools[0].Spec().InputSchema); !strings.Contains(s, `"maximum": 10`) || !strings.Contains(s, `"exclusiveMinimum": 0`) {
		t.Errorf("schema: %s", s)
	}
	if got := callTool(t, tools[0], `{"items":[{"name":"a","price":"2.5"},{"name":"b"}]}`).Text(); got != `{"sum": 3.5, "limit": 5}` {
		t.Errorf("got %s", got)
	}
	if res := callTool(t, tools[0], `{"items":[],"limit":11}`); !res.IsError || !strings.Contains(res.Text(), "less than or equal to 10") {
		t.Errorf("got %s", res.Text())
	}
}
