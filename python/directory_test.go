package python_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// folder writes files, by their names, and returns where.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, dir, name, text)
	}
	return dir
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func directory(t *testing.T, d *python.Directory) *python.Directory {
	t.Helper()
	if d.Logger == nil {
		d.Logger = quiet()
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Directory.Close: %v", err)
		}
	})
	return d
}

func toolsOf(t *testing.T, d *python.Directory) map[string]strands.Tool {
	t.Helper()
	tools, err := d.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]strands.Tool{}
	for _, tool := range tools {
		byName[tool.Spec().Name] = tool
	}
	return byName
}

func callTool(t *testing.T, tool strands.Tool, input string) *strands.ToolResult {
	t.Helper()
	if tool == nil {
		t.Fatal("there is no such tool")
	}
	res, err := tool.Call(t.Context(), &strands.ToolCall{ID: "c1", Name: tool.Spec().Name, Input: json.RawMessage(input)})
	if err != nil {
		t.Fatalf("%s: %v", tool.Spec().Name, err)
	}
	return res
}

const addTool = `
from strands import tool

@tool
def add(a: int, b: int = 1) -> int:
    """Add.

    Args:
        a: The first.
    """
    return a + b
`

func TestDirectoryCalls(t *testing.T) {
	d := directory(t, &python.Directory{Path: "testdata/tools"})
	tools := toolsOf(t, d)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tool, input, want string }{
		{"greet", `{"name":"Ann","count":"2","loud":true}`, "HELLO ANN HELLO ANN"},
		{"greet", `{}`, "Error: Validation failed for input parameters: 1 validation error for GreetTool\nname\n  Field required"},
		{"greet", `{"name":5,"count":"x"}`, "Error: Validation failed for input parameters: 2 validation errors for GreetTool\n" +
			"name\n  Input should be a valid string\ncount\n  Input should be a valid integer, unable to parse string as an integer"},
		{"bare", `{"a":{"x":[1,2.5,null]}}`, `[{"x": [1, 2.5, null]}, 2]`},
		{"nothing", `{"unknown":1}`, "null"},
		{"renamed-tool", `{"x":4}`, "8"},
		{"weather", `{"city":"Paris"}`, "Paris: sunny"},
		{"postponed", `{"a":1,"b":"x"}`, "1 x None"},
		{"with_context", `{"a":1}`, "c1"},
		{"with_other_name", `{}`, "with_other_name"},
		{"put", `{"item":"a"}`, "a"},
		{"put", `{"item":"b"}`, "a, b"},
		{"slow", `{"a":3}`, "3"},
		{"counting", `{"n":3}`, "2"},
		{"enums", `{"color":"red","level":2,"only":"one"}`, "(<Color.RED: 'red'>, <Level.HIGH: 2>, <Only.ONE: 'one'>, <Color.GREEN: 'green'>, None)"},
		{"enums", `{"color":"blue","level":2,"only":"one"}`, "Error: Validation failed for input parameters: 1 validation error for EnumsTool\ncolor\n  Input should be 'red' or 'green'"},
		{"moments", `{"a":"2026-01-02T03:04:05Z","b":"2026-01-02","c":"03:04:05","d":"12345678123456781234567812345678","e":"/x","f":"ab"}`,
			"(datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), datetime.date(2026, 1, 2), datetime.time(3, 4, 5), UUID('12345678-1234-5678-1234-567812345678'), PosixPath('/x'), b'ab')"},
		{"nested", `{"point":{"x":"1"},"address":{"number":3,"more":1},"points":[{"x":1,"color":"green"}],"tree":{"value":1,"children":[{"value":2,"children":[]}]}}`,
			"({'x': 1, 'y': 0, 'tags': [], 'color': <Color.RED: 'red'>}, {'number': 3}, [{'x': 1, 'y': 0, 'tags': [], 'color': <Color.GREEN: 'green'>}], {'value': 1, 'children': [{'value': 2, 'children': []}]}, None)"},
		{"nested", `{"point":{"x":1},"address":{},"points":[],"tree":{"value":1,"children":[{"value":"q"}]}}`,
			"Error: Validation failed for input parameters: 2 validation errors for NestedTool\ntree.children.0.value\n  Input should be a valid integer, unable to parse string as an integer\ntree.children.0.children\n  Field required"},
	} {
		res := callTool(t, tools[c.tool], c.input)
		got := res.Text()
		if c.tool == "weather" {
			if len(res.Parts) != 2 || string(res.Parts[1].JSON) != `{"temp": 20.5}` {
				t.Errorf("weather: %+v", res.Parts)
			}
			got = res.Parts[0].Text
		}
		if got != c.want || res.IsError != strings.HasPrefix(c.want, "Error") {
			t.Errorf("%s(%s) = %q (error %v)\nwant %q", c.tool, c.input, got, res.IsError, c.want)
		}
	}
	stream, ok := tools["counting"].(strands.StreamTool)
	if !ok {
		t.Fatal("a generator is no StreamTool")
	}
	var items []string
	for res, err := range strands.InvokeStream(t.Context(), stream, &strands.ToolCall{Input: json.RawMessage(`{"n":3}`)}) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, res.Text())
	}
	if strings.Join(items, " ") != "0 1 2" {
		t.Errorf("items: %v", items)
	}
	for range strands.InvokeStream(t.Context(), stream, &strands.ToolCall{Input: json.RawMessage(`{"n":1000000}`)}) {
		break // and the call ends
	}
	if got := callTool(t, tools["renamed-tool"], `{"x":1}`).Text(); got != "2" {
		t.Errorf("after a stream that was left: %s", got)
	}
}

func TestDirectoryResults(t *testing.T) {
	d := directory(t, &python.Directory{Path: folder(t, map[string]string{"r.py": `
from strands import tool
import sys, os

@tool
def picture() -> dict:
    return {"status": "success", "content": [{"text": "see"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}},
        {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"%PDF"}}}, {"odd": 1}]}

@tool
def refused() -> dict:
    return {"status": "error", "content": [{"text": "no"}]}

@tool
def value_error(): raise ValueError("bad value")

@tool
def key_error(): return {}["k"]

@tool
def leaves(): sys.exit(3)

@tool
def dies(): os._exit(3)

@tool
def strange(): return object

@tool
def loops():
    while True:
        pass

@tool
def prints():
    print("out"); print("err", file=sys.stderr)
    return {"n": 1}

@tool
def network():
    import socket
    return socket.create_connection(("192.0.2.1", 80), 2)

@tool
def environment():
    return [sorted(k for k in os.environ if "SECRET" in k), os.path.exists("/etc/passwd"), os.path.exists(__file__)]

seen = []

@tool
def count():
    seen.append(1)
    return len(seen)

@tool
def big():
    return "x" * (20 << 20)

@tool
def sync_generator(n: int):
    for i in range(n):
        yield {"i": i}
`}), Timeout: 6 * time.Second}) // which one tool uses up, and no other on a busy machine
	t.Setenv("MY_SECRET", "hunter2")
	tools := toolsOf(t, d)
	for _, c := range []struct{ tool, want string }{
		{"refused", "no"},
		{"value_error", "Error: bad value"},
		{"key_error", "Error: KeyError - 'k'"},
		{"leaves", "Error: SystemExit - 3"},
		{"network", "Error: "},
		{"big", "Error: the result cannot be handed over"},
	} {
		res := callTool(t, tools[c.tool], `{}`)
		if !res.IsError || !strings.HasPrefix(res.Text(), c.want) {
			t.Errorf("%s: %q, error %v; want %q", c.tool, res.Text(), res.IsError, c.want)
		}
	}
	p := callTool(t, tools["picture"], `{}`)
	if len(p.Parts) != 4 || p.Parts[1].Image == nil || string(p.Parts[1].Image.Data) != "\x89PNG" || p.Parts[1].Image.MIME != "image/png" ||
		p.Parts[2].Document == nil || p.Parts[2].Document.MIME != "application/pdf" || p.Parts[3].Text != `{"odd":1}` {
		t.Errorf("picture: %+v", p.Parts)
	}
	if got := callTool(t, tools["environment"], `{}`).Text(); got != "[[], false, false]" {
		t.Errorf("what a tool sees of the host: %s", got)
	}
	if got := callTool(t, tools["strange"], `{}`).Text(); got != "<class 'object'>" {
		t.Errorf("strange: %s", got)
	}
	if v, ok := callTool(t, tools["prints"], `{}`).Value.(json.RawMessage); !ok || string(v) != `{"n": 1}` {
		t.Errorf("the value for Python: %s", v)
	}
	if got := callTool(t, tools["sync_generator"], `{"n":3}`).Text(); got != `{"i": 2}` {
		t.Errorf("sync_generator: %s", got)
	}
	if a, b := callTool(t, tools["count"], `{}`).Text(), callTool(t, tools["count"], `{}`).Text(); a != "1" || b != "2" {
		t.Errorf("what a module keeps: %s, %s", a, b)
	}
	if _, err := tools["loops"].Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{}`)}); err == nil || !strings.Contains(err.Error(), "Timeout") {
		t.Errorf("loops: %v", err)
	}
	if got := callTool(t, tools["count"], `{}`).Text(); got != "3" {
		t.Errorf("after a timeout: %s", got)
	}
	if _, err := tools["dies"].Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{}`)}); err == nil || !strings.Contains(err.Error(), "ended the interpreter") {
		t.Errorf("dies: %v", err)
	}
	if got := callTool(t, tools["count"], `{}`).Text(); got != "1" {
		t.Errorf("after a lost state: %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := tools["loops"].Call(ctx, &strands.ToolCall{Input: json.RawMessage(`{}`)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call whose context ends: %v", err)
	}
}

func TestDirectoryReload(t *testing.T) {
	dir := folder(t, map[string]string{"a.py": addTool})
	d := directory(t, &python.Directory{Path: dir})
	add := toolsOf(t, d)["add"]
	if got := callTool(t, add, `{"a":1}`).Text(); got != "2" {
		t.Fatalf("got %s", got)
	}

	// Changed: the tool that was handed out runs the new code.
	put(t, dir, "a.py", strings.Replace(addTool, "a + b", "a - b", 1))
	if got := callTool(t, add, `{"a":1}`).Text(); got != "0" {
		t.Errorf("after an edit: %s", got)
	}
	// Broken: the version before stays, also in a new interpreter.
	put(t, dir, "a.py", addTool+"\ndef x(:\n")
	tools := toolsOf(t, d)
	var le *python.LoadError
	if err := d.Err(); !errors.As(err, &le) || !le.Kept || !strings.Contains(le.Reason, "SyntaxError") || !strings.Contains(le.Reason, "a.py\", line") {
		t.Errorf("the error of a broken edit: %v", err)
	}
	if got := callTool(t, tools["add"], `{"a":1}`).Text(); got != "0" {
		t.Errorf("after a broken edit: %s", got)
	}
	// It raises, or never ends, when it is imported.
	put(t, dir, "a.py", addTool+"\nraise RuntimeError('not today')\n")
	toolsOf(t, d)
	if err := d.Err(); !errors.As(err, &le) || !strings.Contains(le.Reason, "not today") || !strings.Contains(le.Traceback, "a.py\", line 13") {
		t.Errorf("the error of an import that raises: %v, %q", err, le.Traceback)
	}
	// Mended, with another signature.
	put(t, dir, "a.py", strings.Replace(addTool, "b: int = 1", "b: int = 1, c: int = 5", 1))
	tools = toolsOf(t, d)
	if err := d.Err(); err != nil || !strings.Contains(string(tools["add"].Spec().InputSchema), `"c"`) {
		t.Errorf("after mending it: %v, %s", err, tools["add"].Spec().InputSchema)
	}
	// Appeared, gone, and back.
	put(t, dir, "b.py", strings.ReplaceAll(addTool, "add", "plus"))
	if tools = toolsOf(t, d); len(tools) != 2 || callTool(t, tools["plus"], `{"a":1}`).Text() != "2" {
		t.Errorf("a new file: %v", tools)
	}
	plus := tools["plus"]
	if err := os.Remove(filepath.Join(dir, "b.py")); err != nil {
		t.Fatal(err)
	}
	if got := callTool(t, plus, `{"a":1}`).Text(); got != "2" {
		t.Errorf("a run that was offered it: %s", got)
	}
	if tools = toolsOf(t, d); len(tools) != 1 {
		t.Errorf("a file that is gone: %v", tools)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if tools = toolsOf(t, d); len(tools) != 0 {
		t.Errorf("a folder that is gone: %v", tools)
	}
}

func TestDirectoryLoopAtImport(t *testing.T) {
	// On a machine that stands still the other file is not imported in time
	// either: then more time is given.
	for limit := time.Second; ; limit *= 4 {
		err := loopAtImport(t, limit)
		if err == nil {
			return
		}
		if limit > time.Minute {
			t.Fatal(err)
		}
	}
}

func loopAtImport(t *testing.T, limit time.Duration) error {
	dir := folder(t, map[string]string{"a.py": addTool, "z.py": "while True: pass\n"})
	d := directory(t, &python.Directory{Path: dir, LoadTimeout: limit})
	tools := toolsOf(t, d)
	if len(tools) != 1 || d.Err() == nil || !strings.Contains(d.Err().Error(), fmt.Sprintf("not imported within %v", limit)) {
		return fmt.Errorf("%v, %w", tools, d.Err())
	}
	begin := time.Now()
	toolsOf(t, d) // it is not tried again until it changes
	if took := time.Since(begin); took >= limit {
		return fmt.Errorf("a second look took %v", took)
	}
	if got := callTool(t, tools["add"], `{"a":1}`).Text(); got != "2" {
		t.Errorf("got %s", got)
	}
	return nil
}

func TestDirectoryNames(t *testing.T) {
	d := directory(t, &python.Directory{Path: folder(t, map[string]string{
		"a.py":        addTool,
		"b.py":        addTool + strings.ReplaceAll(addTool, "add", "only_b"),
		"c.py":        "from a import add\nfrom _help import twice\n" + strings.Replace(strings.ReplaceAll(addTool, "add", "c_add"), "a + b", "twice(a)", 1),
		"d.py":        "from strands import tool\n@tool(name='not a name')\ndef f(): pass\n",
		"e.py":        "x = 1\n",
		"f.py":        "TOOL_SPEC = {'name': 'f', 'description': '', 'inputSchema': {}}\n",
		"g.py":        "from strands import tool\nclass T: pass\n@tool\ndef g(t: T): pass\n",
		"my-tool.py":  strings.ReplaceAll(addTool, "add", "dashed"),
		"json.py":     "import json\nfrom strands import tool\n@tool\ndef js(): return json.dumps([1])\n",
		"_help.py":    "def twice(n): return 2 * n\n",
		"__init__.py": "raise RuntimeError('not looked at')\n",
		"notes.txt":   "not Python",
	})})
	tools := toolsOf(t, d)
	if len(tools) != 5 {
		t.Errorf("tools: %v", tools)
	}
	errs := d.Err().Error()
	for _, want := range []string{"b.py: the name \"add\" is taken by", "not a name", "e.py: AttributeError: there is no function with @tool", "but no function f", "the type T needs pydantic"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q is missing in\n%s", want, errs)
		}
	}
	if strings.Contains(errs, "c.py") {
		t.Errorf("a tool that was imported is taken for a second one: %s", errs)
	}
	if got := callTool(t, tools["c_add"], `{"a":4}`).Text(); got != "8" {
		t.Errorf("with a helper: %s", got)
	}
	if got := callTool(t, tools["js"], `{}`).Text(); got != "[1]" {
		t.Errorf("a file named like a library: %s", got)
	}
}

// What a file imports from beside it is a part of it.
func TestDirectoryHelpers(t *testing.T) {
	user := "from strands import tool\nimport _h\nimport pkg.deep\n@tool\ndef %s(): return [_h.X, pkg.deep.Y, _h.calls()]\n"
	dir := folder(t, map[string]string{
		"a.py": strings.Replace(user, "%s", "a", 1), "b.py": strings.Replace(user, "%s", "b", 1),
		"_h.py": "X = 1\nn = 0\ndef calls():\n    global n\n    n += 1\n    return n\n", "pkg/deep.py": "Y = 'y'\n",
	})
	d := directory(t, &python.Directory{Path: dir})
	tools := toolsOf(t, d)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if a, b := callTool(t, tools["a"], `{}`).Text(), callTool(t, tools["b"], `{}`).Text(); a != `[1, "y", 1]` || b != `[1, "y", 2]` {
		t.Errorf("a module that is shared: %s, %s", a, b)
	}
	put(t, dir, "_h.py", "X = 2\ndef calls(): return 0\n")
	if got := callTool(t, tools["a"], `{}`).Text(); got != `[2, "y", 0]` {
		t.Errorf("after the helper was changed: %s", got)
	}
	put(t, dir, "_h.py", "X = (\n")
	tools = toolsOf(t, d)
	if d.Err() == nil {
		t.Error("a broken helper is no error")
	}
	if got := callTool(t, tools["b"], `{}`).Text(); got != `[2, "y", 0]` && got != `[1, "y", 3]` {
		t.Errorf("after the helper was broken: %s", got)
	}
	put(t, dir, "pkg/deep.py", "Y = 'z'\n")
	put(t, dir, "_h.py", "X = 3\ndef calls(): return 0\n")
	tools = toolsOf(t, d)
	if got := callTool(t, tools["b"], `{}`).Text(); d.Err() != nil || got != `[3, "z", 0]` {
		t.Errorf("after it was mended: %s, %v", got, d.Err())
	}
}

func TestDirectoryLoad(t *testing.T) {
	root := folder(t, map[string]string{
		"one.py": addTool, "pkg/mod.py": strings.ReplaceAll(addTool, "add", "first") + strings.ReplaceAll(addTool, "add", "second"),
		"pkg/other.py": "from . import mod\nfrom strands import tool\n@tool\ndef third(): return mod.first(1, 2)\n",
	})
	d := directory(t, &python.Directory{Root: root, Load: []string{"one.py", "pkg.mod:second", "pkg.other"}})
	tools := toolsOf(t, d)
	if len(tools) != 3 || tools["first"] != nil {
		t.Fatalf("tools: %v", tools)
	}
	if got := callTool(t, tools["third"], `{}`).Text(); got != "3" {
		t.Errorf("got %s", got)
	}
	put(t, root, "pkg/mod.py", strings.ReplaceAll(strings.ReplaceAll(addTool, "add", "first")+strings.ReplaceAll(addTool, "add", "second"), "a + b", "a * 10"))
	if got := callTool(t, tools["second"], `{"a":2}`).Text(); got != "20" {
		t.Errorf("after an edit: %s", got)
	}
	for _, c := range []struct {
		load string
		want string
	}{{"pkg.mod:nope", "no function nope"}, {"pkg.nope", "No module named"}, {"nope.py", "no such file"}, {"a b", "neither a file nor a module"}} {
		d := directory(t, &python.Directory{Root: root, Load: []string{c.load}})
		if _, err := d.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.load, err)
		}
	}
	missing := directory(t, &python.Directory{Path: filepath.Join(root, "nope")})
	if _, err := missing.Tools(t.Context()); err == nil {
		t.Error("a folder that is not there is no mistake")
	}
	t.Chdir(t.TempDir())
	if tools := toolsOf(t, directory(t, new(python.Directory))); len(tools) != 0 {
		t.Errorf("without ./tools: %v", tools)
	}
}
