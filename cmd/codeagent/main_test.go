package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// binary is the program under test, built once as a user would.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "codeagent-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "codeagent")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// call is one use of the program.
type call struct {
	dir   string   // "" = a new one
	env   []string // added
	stdin string
	args  []string
}

// reply is what it answered.
type reply struct {
	code           int
	stdout, stderr string
	dir            string
}

// command prepares the program as a stranger would run it: no keys, no colour
// settings, a folder of its own.
func (c *call) command(t *testing.T) *exec.Cmd {
	t.Helper()
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	cmd := exec.CommandContext(t.Context(), binary, c.args...)
	cmd.Dir = c.dir
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasSuffix(name, "_API_KEY") && !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "OLLAMA_") &&
			!strings.HasPrefix(name, "OPENAI_") && name != "NO_COLOR" && name != "STRANDS_MODEL" {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

func (c call) run(t *testing.T) reply {
	t.Helper()
	cmd := c.command(t)
	cmd.Stdin = strings.NewReader(c.stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return reply{cmd.ProcessState.ExitCode(), out.String(), errOut.String(), c.dir}
}

func codeagent(t *testing.T, args ...string) reply {
	t.Helper()
	return call{args: args}.run(t)
}

func (r reply) check(t *testing.T, code int, stdout string) {
	t.Helper()
	if r.code != code || r.stdout != stdout {
		t.Errorf("exit code %d, stdout %q; want %d, %q; stderr:\n%s", r.code, r.stdout, code, stdout, r.stderr)
	}
}

func TestExec(t *testing.T) {
	t.Run("stdout", func(t *testing.T) {
		codeagent(t, "exec", "-c", "print(2**10)").check(t, 0, "1024\n")
	})
	t.Run("value", func(t *testing.T) {
		codeagent(t, "exec", "-c", "print('x', end='\\n')\n[1, 'a']").check(t, 0, "x\n[1, 'a']\n")
	})
	t.Run("file", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "prog.py"), []byte("\ufeffimport math\nprint(math.pi)\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		call{dir: dir, args: []string{"exec", "prog.py"}}.run(t).check(t, 0, "3.141592653589793\n")
	})
	t.Run("stdin", func(t *testing.T) {
		call{stdin: "print('in')", args: []string{"exec", "-"}}.run(t).check(t, 0, "in\n")
	})
	t.Run("raised", func(t *testing.T) {
		r := codeagent(t, "exec", "-c", "print('before')\n1/0")
		r.check(t, 1, "before\n")
		if !strings.Contains(r.stderr, "line 2") || !strings.HasSuffix(r.stderr, "ZeroDivisionError: division by zero\n") {
			t.Errorf("stderr %q", r.stderr)
		}
	})
	t.Run("limit", func(t *testing.T) {
		r := codeagent(t, "exec", "--memory", "300M", "-c", "x = bytearray(1 << 30)")
		r.check(t, 1, "")
		if !strings.HasSuffix(r.stderr, "MemoryError: the session may use 300 MiB of memory\n") {
			t.Errorf("stderr %q", r.stderr)
		}
	})
	t.Run("guard", func(t *testing.T) {
		r := codeagent(t, "exec", "-c", "import os")
		if r.code != 1 || !strings.Contains(r.stderr, "ImportError") {
			t.Errorf("%+v", r)
		}
		codeagent(t, "exec", "--allow", "os", "-c", "import os; print(os.sep)").check(t, 0, "/\n")
	})
	t.Run("timeout", func(t *testing.T) {
		r := codeagent(t, "exec", "--timeout", "300ms", "-c", "while True: pass")
		if r.code != 1 || !strings.Contains(r.stderr, "TimeoutError") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("state lost", func(t *testing.T) {
		r := codeagent(t, "exec", "--allow", "ctypes", "-c", "import ctypes; ctypes.string_at(0)")
		if r.code != 3 || !strings.Contains(r.stderr, "SIGSEGV") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("files", func(t *testing.T) {
		r := codeagent(t, "exec", "-c", "with open('a.csv', 'w') as f: f.write('x,y')")
		data, err := os.ReadFile(filepath.Join(r.dir, "a.csv"))
		if r.code != 0 || err != nil || string(data) != "x,y" || !strings.Contains(r.stderr, "file: a.csv") {
			t.Errorf("%q, %v, %+v", data, err, r)
		}
	})
	t.Run("unconfined", func(t *testing.T) {
		r := codeagent(t, "exec", "--interpreter", "exec", "-c", "import os; print(os.getcwd() != '')")
		r.check(t, 0, "True\n")
		if !strings.Contains(r.stderr, "not confined") {
			t.Errorf("nobody was warned: %q", r.stderr)
		}
		codeagent(t, "exec", "--isolation", "none", "-c", "print(1)").check(t, 0, "1\n")
	})
}

// TestExecStreams: output arrives while the code still runs.
func TestExecStreams(t *testing.T) {
	c := call{args: []string{"exec", "--timeout", "60s", "-c",
		"import time\nprint('first', flush=True)\nwhile True: time.sleep(0.01)"}}
	cmd := c.command(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "first\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the program had ended already")
	}
}

type outcome struct {
	Stdout, Stderr, Value string
	Error                 *struct{ Type, Message, Traceback string }
	Images                []struct{ MIME, Path string }
	StateLost             bool    `json:"state_lost"`
	DurationMS            float64 `json:"duration_ms"`
}

func TestExecJSON(t *testing.T) {
	r := codeagent(t, "exec", "--json", "-c", "print('a<b')\n6*7")
	var o outcome
	if err := json.Unmarshal([]byte(r.stdout), &o); err != nil || strings.Count(r.stdout, "\n") != 1 {
		t.Fatalf("%q: %v", r.stdout, err)
	}
	if r.code != 0 || o.Stdout != "a<b\n" || o.Value != "42" || o.Error != nil || o.StateLost || o.DurationMS <= 0 {
		t.Errorf("%+v", o)
	}
	for _, key := range []string{"stdout", "stderr", "value", "error", "images", "state_lost", "duration_ms"} {
		if !strings.Contains(r.stdout, `"`+key+`":`) {
			t.Errorf("%s is missing in %s", key, r.stdout)
		}
	}
	if !strings.Contains(r.stdout, `"error":null`) || !strings.Contains(r.stdout, `"images":[]`) {
		t.Errorf("%s", r.stdout)
	}

	r = codeagent(t, "exec", "--json", "-c", "def f():\n    raise ValueError('bad')\nf()")
	o = outcome{}
	if err := json.Unmarshal([]byte(r.stdout), &o); err != nil {
		t.Fatalf("%q: %v", r.stdout, err)
	}
	if r.code != 1 || o.Error == nil || o.Error.Type != "ValueError" || o.Error.Message != "bad" || !strings.Contains(o.Error.Traceback, "line 2") {
		t.Errorf("exit code %d, %s", r.code, r.stdout)
	}
}

func TestExecSession(t *testing.T) {
	r := call{args: []string{"exec", "--session"}, stdin: `{"code": "x = 20"}
{"code": "x + 1"}

not json
{"cod": "x"}
{"code": "1/0"}
{"reset": true}
{"code": "x"}
{"code": "x = 1"} {"code": "x = 2"}
`}.run(t)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if r.code != 0 || len(lines) != 8 {
		t.Fatalf("exit code %d, %d answers:\n%s\n%s", r.code, len(lines), r.stdout, r.stderr)
	}
	want := []string{`"error":null`, `"value":"21"`, "RequestError", "RequestError", "ZeroDivisionError", `{"reset":true}`, "NameError", "more follows"}
	for i, w := range want {
		if !strings.Contains(lines[i], w) {
			t.Errorf("answer %d: %s, want %s", i+1, lines[i], w)
		}
	}
}

// TestExecSessionFileNotHandedOut: it is told, and the session goes on.
func TestExecSessionFileNotHandedOut(t *testing.T) {
	got := session(t, []string{"--isolation", "none"},
		`{"code": "x = 6\nwith open('sparse', 'wb') as f: f.truncate(257 << 20)"}`, `{"code": "x * 7"}`)
	if !strings.Contains(got[0], "fetching sparse from the session") || !strings.Contains(got[1], `"value":"42"`) {
		t.Errorf("%q", got)
	}
}

// TestExecSessionLongLine: what cannot be read is the end, with the reason.
func TestExecSessionLongLine(t *testing.T) {
	r := call{args: []string{"exec", "--session"}, stdin: "{\"code\": \"1\"}\n" + strings.Repeat(" ", 17<<20) + "\n"}.run(t)
	if r.code != 2 || !strings.Contains(r.stdout, `"value":"1"`) || !strings.Contains(r.stderr, "more than 16 MiB") {
		t.Errorf("exit code %d, %s\n%s", r.code, r.stdout, r.stderr)
	}
}

// TestExecSessionAnswersAtOnce: a program can wait for each answer before it
// asks the next question.
func TestExecSessionAnswersAtOnce(t *testing.T) {
	c := call{args: []string{"exec", "--session"}}
	cmd := c.command(t)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	for i := range 3 {
		if _, err := fmt.Fprintf(in, "{\"code\": \"%d * 2\"}\n", i); err != nil {
			t.Fatal(err)
		}
		if !sc.Scan() || !strings.Contains(sc.Text(), fmt.Sprintf(`"value":"%d"`, i*2)) {
			t.Errorf("answer %d: %s", i, sc.Text())
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"binary.py":   "\x00\x01",
		"latin.py":    "x = '\xe9'",
		"notes.txt":   "Dear diary, today",
		"broken.yaml": "turns:\n  - text: a\n  - txt: b\n",
		"file":        "",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string // in the one line of standard error
	}{
		{nil, "say what to do: demo"},
		{[]string{"exce"}, `unknown command "exce": did you mean exec?`},
		{[]string{"exec"}, "nothing to run: give -c CODE"},
		{[]string{"exec", "--flag"}, "unknown flag: --flag (codeagent exec --help"},
		{[]string{"exec", "-c", "1", "prog.py"}, "either -c CODE or a FILE"},
		{[]string{"exec", "a", "b"}, "takes one FILE"},
		{[]string{"exec", "missing.py"}, "missing.py"},
		{[]string{"exec", "."}, "cannot read the code"},
		{[]string{"exec", "binary.py"}, "binary.py is no Python"},
		{[]string{"exec", "latin.py"}, "latin.py is no Python: it is not a text in UTF-8"},
		{[]string{"exec", "notes.txt"}, "notes.txt is no Python: "},
		{[]string{"exec", "--session", "-c", "1"}, "--session reads its code from standard input"},
		{[]string{"exec", "--toolkit", "dat", "-c", "1"}, `unknown toolkit "dat": choose data or viz`},
		{[]string{"exec", "--allow", "os..path", "-c", "1"}, `--allow "os..path" means nothing`},
		{[]string{"exec", "--allow", "", "-c", "1"}, "means nothing"},
		{[]string{"exec", "--allow", "os", "--interpreter", "exec", "-c", "1"}, "--allow has no effect"},
		{[]string{"exec", "--require", "=2", "-c", "1"}, "names no package"},
		{[]string{"exec", "--interpreter", "docker", "-c", "1"}, "choose sandboxed, exec or agentcore"},
		{[]string{"exec", "--isolation", "chroot", "-c", "1"}, "choose namespaces, filtered or none"},
		{[]string{"exec", "--isolation", "none", "--interpreter", "sandboxed", "-c", "1"}, "contradict"},
		{[]string{"exec", "--memory", "lots", "-c", "1"}, "give a size like 512M"},
		{[]string{"exec", "--timeout", "-1s", "-c", "1"}, "give a duration like 30s"},
		{[]string{"exec", "--timeout", "soon", "-c", "1"}, "--timeout"},
		{[]string{"run"}, "ask something"},
		{[]string{"run", "--model", "scripted:broken.yaml", "q"}, "broken.yaml:3: unknown field txt"},
		{[]string{"run", "--model", "scripted:nowhere.yaml", "q"}, "nowhere.yaml"},
		{[]string{"run", "--model", "nobody/nothing", "q"}, "nobody"},
		{[]string{"run", "--max-turns", "0", "--model", "scripted:broken.yaml", "q"}, "--max-turns 0"},
		{[]string{"run", "q"}, "demo"},
		{[]string{"chat", "hello"}, `takes no arguments, but got "hello"`},
		{[]string{"demo", "--toolkit", "data"}, "unknown flag: --toolkit"},
	} {
		r := call{dir: dir, args: c.args}.run(t)
		line, rest, _ := strings.Cut(r.stderr, "\n")
		if r.code != 2 || rest != "" || r.stdout != "" || !strings.HasPrefix(line, "codeagent: ") || !strings.Contains(line, c.want) {
			t.Errorf("codeagent %q: exit code %d, stdout %q, stderr %q; want 2 and one line with %q", c.args, r.code, r.stdout, r.stderr, c.want)
		}
	}
}

// TestUnwritableCache names the variable that moves the cache.
func TestUnwritableCache(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := call{env: []string{"STRANDS_CACHE=" + filepath.Join(file, "cache")}, args: []string{"exec", "-c", "1"}}.run(t)
	if r.code != 2 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "STRANDS_CACHE") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	if r := codeagent(t, "version"); r.code != 0 || !strings.HasPrefix(r.stdout, "codeagent ") {
		t.Errorf("%+v", r)
	}
	if r := codeagent(t, "completion", "bash"); r.code != 0 || !strings.Contains(r.stdout, "__start_codeagent") {
		t.Errorf("completion: exit code %d", r.code)
	}
	if r := codeagent(t, "__complete", "exec", "--isolation", ""); !strings.Contains(r.stdout, "namespaces") {
		t.Errorf("%+v", r)
	}
}

// growth is what the article of the demo's question found.
var growth = []string{
	"100.0 %", "37.5 %", "40.0 %",
	"20.0 -20.8 47.4 14.3 12.5 11.1", "6.2 5.9 5.6 5.3 5.0 4.8", "-10.0 22.2 -13.6 26.3 8.3 7.7",
}

func checkDemo(t *testing.T, r reply) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	words := r.stdout[strings.LastIndex(r.stdout, "| product |"):]
	for _, want := range growth {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not in the answer:\n%s", want, words)
		}
	}
	if !strings.Contains(r.stdout, "scripted") || !strings.Contains(r.stdout, "The Python is real") {
		t.Errorf("it does not say what is real:\n%s", r.stdout)
	}
}

func TestDemo(t *testing.T) {
	r := codeagent(t, "demo", "--out", "charts")
	checkDemo(t, r)
	m := regexp.MustCompile(`(?m)^The chart is (.+)$`).FindStringSubmatch(r.stdout)
	if m == nil {
		t.Fatalf("no chart:\n%s\n%s", r.stdout, r.stderr)
	}
	f, err := os.Open(filepath.Join(r.dir, m[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() < 800 || b.Dy() < 300 {
		t.Errorf("the chart is %v", b)
	}
	colours := map[any]bool{}
	for x := range img.Bounds().Dx() {
		colours[img.At(x, img.Bounds().Dy()/2)] = true
	}
	if len(colours) < 4 {
		t.Errorf("the chart has %d colours in its middle line", len(colours))
	}
}

// TestDemoWithoutIndex: growth rates, no chart, and why, on a machine without
// packages.
func TestDemoWithoutIndex(t *testing.T) {
	// A cache of its own, without packages. Not below /tmp, which a session
	// has for itself.
	base := ""
	if runtime.GOOS != "windows" {
		base = "/var/tmp"
	}
	cache, err := os.MkdirTemp(base, "codeagent-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(cache); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	r := call{env: []string{"PIP_NO_INDEX=1", "UV_NO_INDEX=1", "STRANDS_CACHE=" + cache}, args: []string{"demo"}}.run(t)
	checkDemo(t, r)
	if !strings.Contains(r.stdout, "There is no chart: ") || strings.Contains(r.stdout, "The chart is") {
		t.Errorf("it does not say why there is no chart:\n%s", r.stdout)
	}
	if m, _ := filepath.Glob(filepath.Join(r.dir, "*.png")); len(m) > 0 {
		t.Errorf("there are charts: %v", m)
	}
}

const script = `turns:
  - text: I will compute it.
    python: print(2 ** 10)
  - text: "It is {{ stdout 1 }}."
  - text: Sleeping.
    python: |
      import time
      print("asleep")
      time.sleep(1000)
  - text: Bye.
`

func TestRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "s.yaml"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call{dir: dir, args: []string{"run", "--model", "scripted:s.yaml", "What", "is 2 ** 10?"}}.run(t)
	r.check(t, 0, "I will compute it.\n\n    >>> print(2 ** 10)\n    1024\n\nIt is 1024.\n")

	r = call{dir: dir, args: []string{"run", "--json", "--model", "scripted:s.yaml", "-"}, stdin: "What is 2 ** 10?"}.run(t)
	var last, text string
	for line := range strings.Lines(r.stdout) {
		var e map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(e) != 1 {
			t.Fatalf("%q: %v", line, err)
		}
		for kind := range e {
			last = kind
		}
		text = line
	}
	if r.code != 0 || last != "result" || !strings.Contains(text, "It is 1024.") {
		t.Errorf("exit code %d, last line %s\n%s", r.code, text, r.stderr)
	}

	r = call{dir: dir, args: []string{"run", "--max-turns", "1", "--model", "scripted:s.yaml", "q"}}.run(t)
	if r.code != 1 || !strings.Contains(r.stderr, "limit of 1 turns") {
		t.Errorf("%+v", r)
	}
}

func TestChat(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "s.yaml"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	c := call{dir: dir, args: []string{"chat", "--model", "scripted:s.yaml"}, stdin: "What is 2 ** 10?\n/exit\nnever asked\n"}
	c.run(t).check(t, 0, "I will compute it.\n\n    >>> print(2 ** 10)\n    1024\n\nIt is 1024.\n")
}

// soon is when a test gives up that waits for what must come. What a test
// interrupts would take longer.
const soon = 2 * time.Minute
