package pythontest

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands/python"
)

func (s *suite) stateTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"kept":                                s.stateKept,
		"reset":                               s.stateReset,
		"two sessions do not see each other":  s.stateTwoSessionsDoNotSeeEachOther,
		"initialization once per fresh state": s.stateInitializationOncePerFreshState,
		"initialization errors are reported each time": s.stateInitializationErrorsAreReportedEachTime,
		"modules":         s.stateModules,
		"a real __main__": s.stateARealMain,
		"top-level await": s.stateTopLevelAwait,
	}
}

func (s *suite) stateKept(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("x = 40\ndef f(n):\n    return n + 2\nimport math")
	r.value("f(x)", "42")
	r.raises("y = 7\n1/0", "ZeroDivisionError")
	r.value("y, math.floor(2.5)", "(7, 2)")
}

func (s *suite) stateReset(t *testing.T) {
	r := s.session(t, python.Options{InitializationCode: []string{"base = 5"}})
	r.ok("base = 6; x = 1")
	if err := r.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.raises("x", "NameError")
	r.value("base", "5")
}

func (s *suite) stateTwoSessionsDoNotSeeEachOther(t *testing.T) {
	i := s.open(t)
	t.Cleanup(func() { i.Close() })
	a, b := s.sessionOf(t, i, python.Options{}), s.sessionOf(t, i, python.Options{})
	a.ok("secret = 1\nopen('a.txt', 'w').write('a')")
	b.raises("secret", "NameError")
	b.value("import io\ntry:\n    io.open('a.txt'); found = True\nexcept FileNotFoundError:\n    found = False\nfound", "False")
}

func (s *suite) stateInitializationOncePerFreshState(t *testing.T) {
	r := s.session(t, python.Options{InitializationCode: []string{"n = 0", "n += 1\nprint('init', n)"}})
	if res := r.ok("n += 10"); res.Stdout != "init 1\n" {
		t.Errorf("first: %q", res.Stdout)
	}
	if res := r.ok("n"); res.Stdout != "" || res.Value != "11" {
		t.Errorf("second: %q %q", res.Stdout, res.Value)
	}
}

func (s *suite) stateInitializationErrorsAreReportedEachTime(t *testing.T) {
	r := s.session(t, python.Options{InitializationCode: []string{"ok = 1", "1/0"}})
	for range 2 {
		res := r.raises("print('not run')", "ZeroDivisionError")
		contains(t, "message", res.Err.Message, "initialization")
		if res.Stdout != "" {
			t.Errorf("the snippet ran all the same: %q", res.Stdout)
		}
	}
}

func (s *suite) stateModules(t *testing.T) {
	r := s.session(t, python.Options{Modules: []python.Module{
		{Name: "greet", Source: "__all__ = ['hello']\ndef hello(n):\n    return 'hello ' + n\nhidden = 1\n"},
		{Name: "fin", Files: fstest.MapFS{
			"__init__.py": {Data: []byte("from fin.roi import roi\n__all__ = ['roi']\n")},
			"roi.py":      {Data: []byte("def roi(a, b):\n    return (b - a) / a * 100\n")},
		}},
	}})
	r.value("hello('you')", "'hello you'")
	r.raises("hidden", "NameError")
	r.value("import greet\ngreet.hidden", "1")
	r.value("from fin.roi import roi\nroi(1000, 1250)", "25.0")
}

func (s *suite) stateARealMain(t *testing.T) {
	r := s.session(t, python.Options{Libraries: []string{"pickle"}})
	r.value(`
import pickle, dataclasses
@dataclasses.dataclass
class P:
    x: int
pickle.loads(pickle.dumps(P(3))).x, __name__`, "(3, '__main__')")
}

func (s *suite) stateTopLevelAwait(t *testing.T) {
	r := s.session(t, python.Options{})
	r.value("import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nx = await f()\nx + await f()", "10")
}

func (s *suite) outputTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"streams":                  s.outputStreams,
		"come while the code runs": s.outputComeWhileTheCodeRuns,
		"value":                    s.outputValue,
		"capped head and tail":     s.outputCappedHeadAndTail,
		"a flood":                  s.outputAFlood,
		"any text":                 s.outputAnyText,
		"figures":                  s.outputFigures,
	}
}

func (s *suite) outputStreams(t *testing.T) {
	r := s.session(t, python.Options{Libraries: []string{"sys"}})
	res := r.ok("import sys\nprint('out ü')\nprint('err', file=sys.stderr)")
	if res.Stdout != "out ü\n" || res.Stderr != "err\n" || res.Value != "" {
		t.Fatalf("%+v", res)
	}
}

func (s *suite) outputComeWhileTheCodeRuns(t *testing.T) {
	gate := newGate()
	r := s.session(t, python.Options{Namespaces: gate.namespaces()})
	order := ""
	for o, err := range r.Exec(t.Context(), "print('before')\npass_gate()\nprint('after')") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Stdout, "before") {
			order += "before "
			gate.open()
		}
		if strings.Contains(o.Stdout, "after") {
			order += "after"
		}
	}
	if order != "before after" {
		t.Fatalf("%q", order)
	}
}

func (s *suite) outputValue(t *testing.T) {
	r := s.session(t, python.Options{})
	r.value("'a' + 'b'", "'ab'")
	r.value("None", "")
	r.value("x = 1", "")
	r.value("", "")
	r.value("[i for i in range(3)]", "[0, 1, 2]")
}

func (s *suite) outputCappedHeadAndTail(t *testing.T) {
	r := s.session(t, python.Options{Limits: python.Limits{Output: 2000}})
	res := r.ok("for i in range(10_000): print(f'{i:06d}')")
	if len(res.Stdout) > 3000 || !strings.HasPrefix(res.Stdout, "000000\n") || !strings.HasSuffix(res.Stdout, "009999\n") {
		t.Fatalf("%d bytes: %.40q … %.40q", len(res.Stdout), res.Stdout, res.Stdout[max(0, len(res.Stdout)-40):])
	}
	if res.FullOutput == "" {
		t.Fatal("no file with the whole text")
	}
	r.value("import io\nlen(io.open("+quote(res.FullOutput)+").read())", "70000")
}

func (s *suite) outputAFlood(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("kept = 1")
	res := r.ok("line = 'x' * 99\nfor i in range(200_000): print(line)")
	if len(res.Stdout) > 70<<10 {
		t.Fatalf("%d bytes kept", len(res.Stdout))
	}
	r.value("kept", "1")
}

func (s *suite) outputAnyText(t *testing.T) {
	r := s.session(t, python.Options{})
	res := r.ok(`print('\ud800 \x00 é 漢 🐍')`)
	contains(t, "stdout", res.Stdout, "é 漢 🐍", "\x00")
	r.value("1", "1")
}

func (s *suite) outputFigures(t *testing.T) {
	if s.cfg.Figures == nil {
		t.Skip("no requirements that bring matplotlib")
	}
	r := s.session(t, python.Options{Requirements: s.cfg.Figures, Libraries: []string{"matplotlib.*"}})
	res := r.ok("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.figure()\nplt.plot([2, 1])\nNone")
	if len(res.Images) != 2 || res.Images[0].MIME != "image/png" || !strings.HasPrefix(string(res.Images[0].Data), "\x89PNG") {
		t.Fatalf("%d pictures", len(res.Images))
	}
	if res := r.ok("1"); len(res.Images) != 0 {
		t.Fatal("the figures were not closed")
	}
	if res := r.raises("plt.plot([1, 2])\n1/0", "ZeroDivisionError"); len(res.Images) != 1 {
		t.Fatalf("%d pictures of code that raised", len(res.Images))
	}
}

func (s *suite) errorTests() map[string]func(*testing.T) {
	tests := map[string]func(*testing.T){
		"traceback":                s.errorTraceback,
		"syntax":                   s.errorSyntax,
		"sys.exit is an exception": s.errorSysExitIsAnException,
		"input has an end":         s.errorInputHasAnEnd,
		"recursion":                s.errorRecursion,
	}
	if s.cfg.Processes {
		tests["a crash names its signal"] = s.errorACrashNamesItsSignal
		tests["os._exit"] = s.errorOsExit
		tests["memory"] = s.errorMemory
	}
	if s.cfg.Guard {
		tests["guard"] = s.errorGuard
	}
	return tests
}

func (s *suite) errorTraceback(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("def f(x):\n    return 1 / x")
	res := r.raises("a = 1\nf(0)", "ZeroDivisionError")
	contains(t, "traceback", res.Err.Traceback, `"<cell 2>", line 2`, `"<cell 1>", line 2`, "return 1 / x", "ZeroDivisionError")
	contains(t, "message", res.Err.Message, "division")
}

func (s *suite) errorSyntax(t *testing.T) {
	r := s.session(t, python.Options{})
	res := r.raises("x = 1\ny = = 2", "SyntaxError")
	contains(t, "traceback", res.Err.Traceback, "<cell 1>", "line 2")
}

func (s *suite) errorSysExitIsAnException(t *testing.T) {
	r := s.session(t, python.Options{Libraries: []string{"sys"}})
	r.ok("x = 1")
	r.raises("import sys\nsys.exit(3)", "SystemExit")
	r.value("x", "1")
}

func (s *suite) errorInputHasAnEnd(t *testing.T) {
	s.session(t, python.Options{}).raises("input()", "EOFError")
}

func (s *suite) errorRecursion(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("x = 1")
	r.raises("def f(): f()\nf()", "RecursionError")
	r.value("x", "1")
}

func (s *suite) errorACrashNamesItsSignal(t *testing.T) {
	r := s.session(t, python.Options{Libraries: []string{"*"}})
	r.ok("x = 1")
	res := r.loses("import ctypes\nprint('last words', flush=True)\nctypes.string_at(0)")
	contains(t, "the loss", res.Lost, "SIGSEGV")
	contains(t, "the trace", res.Err.Traceback, "Fatal Python error", "<cell 2>")
	contains(t, "stdout", res.Stdout, "last words")
	r.raises("x", "NameError")
}

func (s *suite) errorOsExit(t *testing.T) {
	r := s.session(t, python.Options{Libraries: []string{"*"}, InitializationCode: []string{"base = 2"}})
	contains(t, "the loss", r.loses("import os\nos._exit(3)").Lost, "exit 3")
	r.value("base", "2")
}

func (s *suite) errorMemory(t *testing.T) {
	r := s.session(t, python.Options{Limits: python.Limits{Memory: 1 << 30}})
	r.ok("x = 1")
	r.raises("b = bytearray(2 << 30)", "MemoryError")
	r.value("x", "1")
}

func (s *suite) errorGuard(t *testing.T) {
	r := s.session(t, python.Options{Libraries: []string{"xml.*"}, InitializationCode: []string{"import subprocess"}})
	r.ok("import json, math\nfrom collections import abc\nimport xml.dom.minidom")
	res := r.raises("import socket\nimport urllib.request", "ImportError")
	contains(t, "message", res.Err.Message, "socket", "urllib.request")
	r.value("subprocess.__name__", "'subprocess'")
	r.value("from datetime import datetime\ndatetime.strptime('2026', '%Y').year", "2026")
}

func quote(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
