package pythontest

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

func (s *suite) lifetimeTests() map[string]func(*testing.T) {
	tests := map[string]func(*testing.T){
		"nothing before the first iteration": s.lifetimeNothingBeforeTheFirstIteration,
		"one at a time":                      s.lifetimeOneAtATime,
		"closed":                             s.lifetimeClosed,
		"bad options":                        s.lifetimeBadOptions,
	}
	if s.cfg.Processes {
		tests["leaves nothing behind"] = s.lifetimeLeavesNothingBehind
	}
	return tests
}

func (s *suite) lifetimeNothingBeforeTheFirstIteration(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("x = 1")
	_ = r.Exec(t.Context(), "x = 2")
	r.value("x", "1")
}

func (s *suite) lifetimeOneAtATime(t *testing.T) {
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
}

func (s *suite) lifetimeClosed(t *testing.T) {
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
}

func (s *suite) lifetimeBadOptions(t *testing.T) {
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
}

func (s *suite) lifetimeLeavesNothingBehind(t *testing.T) {
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
