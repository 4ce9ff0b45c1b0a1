package pythontest

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

func (s *suite) interruptTests() map[string]func(*testing.T) {
	limit := 500 * time.Millisecond
	o := python.Options{Timeout: limit, Libraries: []string{"*"}}
	kept := func(code string) func(*testing.T) {
		return func(t *testing.T) {
			r := s.session(t, o)
			r.ok("x = 1")
			res := r.raises(code, "TimeoutError")
			if res.Duration < limit {
				t.Errorf("stopped after %v", res.Duration)
			}
			r.value("x", "1")
		}
	}
	tests := map[string]func(*testing.T){
		"loop":                 kept("while True: pass"),
		"sleep":                kept("import time\ntime.sleep(60)"),
		"lock":                 kept("import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()"),
		"except Exception":     kept("while True:\n    try:\n        while True: pass\n    except Exception: pass"),
		"except BaseException": kept("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
		"looping finally":      kept("try:\n    while True: pass\nfinally:\n    while True: pass"),
		"await":                kept("import asyncio\nawait asyncio.sleep(60)"),
		"output until then": func(t *testing.T) {
			res := s.session(t, o).raises("print('begun')\nwhile True: pass", "TimeoutError")
			if res.Stdout != "begun\n" {
				t.Errorf("stdout %q", res.Stdout)
			}
			contains(t, "traceback", res.Err.Traceback, "<cell 1>", "line 2")
		},
		"ctx": func(t *testing.T) {
			r := s.session(t, python.Options{})
			r.ok("x = 1")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var last error
			for o, err := range r.Exec(ctx, "print('begun')\nwhile True: pass") {
				if o.Stdout != "" {
					cancel()
				}
				last = err
			}
			if !errors.Is(last, context.Canceled) {
				t.Fatalf("err = %v", last)
			}
			r.value("x", "1")
		},
		"break": func(t *testing.T) {
			r := s.session(t, python.Options{})
			r.ok("x = 1")
			for range r.Exec(t.Context(), "print('begun')\nwhile True: pass") {
				break
			}
			r.value("x", "1")
		},
	}
	if s.cfg.Processes {
		tests["native code is killed"] = func(t *testing.T) {
			r := s.session(t, o)
			r.ok("x = 1")
			began := time.Now()
			res := r.loses("sum(range(10**12))")
			if res.Err.Type != "TimeoutError" || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %v", res.Err, time.Since(began))
			}
			contains(t, "the loss", res.Lost, "native code")
			r.raises("x", "NameError")
		}
		tests["threads that burn on"] = func(t *testing.T) {
			r := s.session(t, o)
			res := r.loses(`
import threading
def burn():
    while True: pass
threading.Thread(target=burn, daemon=True).start()
while True: pass`)
			contains(t, "the loss", res.Lost, "threads")
			r.value("1", "1")
		}
	}
	return tests
}

func (s *suite) fileTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"written, listed, read": func(t *testing.T) {
			r := s.session(t, python.Options{})
			res := r.ok("import io\nio.open('a.csv', 'w').write('x,y\\n1,2\\n')\nNone")
			want := strands.File{Name: "a.csv", MIME: "text/csv", Size: 8}
			if len(res.Files) != 1 || res.Files[0] != want {
				t.Fatalf("%+v, want %+v", res.Files, want)
			}
			if res := r.ok("1"); len(res.Files) != 0 {
				t.Errorf("told again: %+v", res.Files)
			}
			f := r.filer()
			list, err := f.Files(t.Context())
			if err != nil || len(list) != 1 || list[0] != want {
				t.Errorf("Files: %+v %v", list, err)
			}
			if got := r.read("a.csv"); got != "x,y\n1,2\n" {
				t.Errorf("read %q", got)
			}
		},
		"handed in": func(t *testing.T) {
			r := s.session(t, python.Options{})
			big := strings.Repeat("0123456789", 300_000)
			if err := r.filer().WriteFile(t.Context(), "in/big.txt", strings.NewReader(big)); err != nil {
				t.Fatal(err)
			}
			if err := r.filer().WriteFile(t.Context(), "empty", strings.NewReader("")); err != nil {
				t.Fatal(err)
			}
			r.value("import io\nlen(io.open('in/big.txt').read()), len(io.open('empty').read())", "(3000000, 0)")
			if got := r.read("in/big.txt"); got != big {
				t.Errorf("%d bytes came back", len(got))
			}
		},
		"names that lead out": func(t *testing.T) {
			r := s.session(t, python.Options{})
			r.ok("1")
			for _, name := range []string{"../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "a\x00b"} {
				if _, err := r.filer().ReadFile(t.Context(), name); err == nil {
					t.Errorf("%q was read", name)
				}
				if err := r.filer().WriteFile(t.Context(), name, strings.NewReader("x")); err == nil {
					t.Errorf("%q was written", name)
				}
			}
			if _, err := r.filer().ReadFile(t.Context(), "none"); err == nil {
				t.Error("a missing file was read")
			}
			r.value("1", "1")
		},
		"reading that fails": func(t *testing.T) {
			r := s.session(t, python.Options{})
			r.ok("x = 1")
			bad := errors.New("the source is broken")
			err := r.filer().WriteFile(t.Context(), "half", io.MultiReader(strings.NewReader("abc"), failingReader{bad}))
			if !errors.Is(err, bad) {
				t.Errorf("err = %v", err)
			}
			r.value("x", "1")
		},
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func (r *repl) filer() python.Filer {
	r.t.Helper()
	f, ok := r.Session.(python.Filer)
	if !ok {
		r.t.Fatal("the session is no python.Filer")
	}
	return f
}

func (r *repl) read(name string) string {
	r.t.Helper()
	f, err := r.filer().ReadFile(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func (s *suite) lifetimeTests() map[string]func(*testing.T) {
	tests := map[string]func(*testing.T){
		"nothing before the first iteration": func(t *testing.T) {
			r := s.session(t, python.Options{})
			r.ok("x = 1")
			_ = r.Exec(t.Context(), "x = 2")
			r.value("x", "1")
		},
		"one at a time": func(t *testing.T) {
			gate := newGate()
			r := s.session(t, python.Options{Namespaces: gate.namespaces()})
			for o, err := range r.Exec(t.Context(), "print('in')\npass_gate()") {
				if err != nil {
					t.Fatal(err)
				}
				if o.Stdout == "" {
					continue
				}
				if _, err := r.try("1"); !errors.Is(err, python.ErrBusy) {
					t.Errorf("a second snippet: %v", err)
				}
				if err := r.Reset(t.Context()); !errors.Is(err, python.ErrBusy) {
					t.Errorf("Reset: %v", err)
				}
				gate.open()
			}
		},
		"closed": func(t *testing.T) {
			i := s.open(t)
			r := s.sessionOf(t, i, python.Options{})
			for range 2 {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.try("1"); !errors.Is(err, strands.ErrClosed) {
				t.Errorf("Exec: %v", err)
			}
			for range 2 {
				if err := i.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := i.Open(t.Context(), python.Options{}); !errors.Is(err, strands.ErrClosed) {
				t.Errorf("Open: %v", err)
			}
		},
		"bad options": func(t *testing.T) {
			i := s.open(t)
			t.Cleanup(func() { i.Close() })
			for what, o := range map[string]python.Options{
				"pattern": {Libraries: []string{"pan das"}},
				"module":  {Modules: []python.Module{{Name: "not a name"}}},
				"clash":   {Namespaces: append(newGate().namespaces(), newGate().namespaces()...)},
			} {
				if _, err := i.Open(t.Context(), o); err == nil {
					t.Errorf("%s: no error", what)
				}
			}
		},
	}
	if s.cfg.Processes {
		tests["leaves nothing behind"] = func(t *testing.T) {
			i := s.open(t)
			t.Cleanup(func() { i.Close() })
			cycle := func() {
				r := s.sessionOf(t, i, python.Options{Timeout: 200 * time.Millisecond, Libraries: []string{"*"}})
				r.ok("print('x')")
				r.raises("while True: pass", "TimeoutError")
				r.loses("import os\nos._exit(1)")
				r.ok("1")
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			cycle() // what is kept on purpose is there now
			goroutines, fds := runtime.NumGoroutine(), descriptors()
			for range 3 {
				cycle()
			}
			if n := settles(runtime.NumGoroutine, goroutines); n > goroutines {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines became %d\n%s", goroutines, n, buf[:runtime.Stack(buf, true)])
			}
			if n := settles(descriptors, fds); n > fds {
				t.Errorf("%d descriptors became %d", fds, n)
			}
		}
	}
	return tests
}
