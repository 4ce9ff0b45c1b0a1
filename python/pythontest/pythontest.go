// Package pythontest is the conformance suite of python.Interpreter: what every
// backend must do, local or remote.
package pythontest

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/python"
)

// Config says what a backend can be asked for. The zero value asks for what
// every backend must have.
type Config struct {
	// Guard: imports outside of the allowed libraries are refused.
	Guard bool
	// Processes: a session is a process of this machine, so crashes name
	// their signal, and descriptors and goroutines are counted.
	Processes bool
	// Forks: sessions can be forked. Otherwise those that are Forkers must say
	// why not.
	Forks bool
	// Figures are requirements that bring matplotlib, and nothing that is
	// tested is available without. nil = figures are not tested.
	Figures []string
	// Patience is how long one snippet may take; 0 = 5 min.
	Patience time.Duration
}

// Test runs the suite. open returns an interpreter for one test, which closes
// it.
func Test(t *testing.T, open func(t *testing.T) python.Interpreter, c Config) {
	if c.Patience == 0 {
		c.Patience = 5 * time.Minute
	}
	s := &suite{open: open, cfg: c}
	groups := []struct {
		name  string
		tests map[string]func(*testing.T)
	}{
		{"State", s.stateTests()},
		{"Output", s.outputTests()},
		{"Errors", s.errorTests()},
		{"Interrupts", s.interruptTests()},
		{"HostCalls", s.hostCallTests()},
		{"Files", s.fileTests()},
		{"Lifetime", s.lifetimeTests()},
		{"Forks", s.forkTests()},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for name, f := range g.tests {
				t.Run(name, f)
			}
		})
	}
}

type suite struct {
	open func(*testing.T) python.Interpreter
	cfg  Config
}

// session opens a session that ends with the test.
func (s *suite) session(t *testing.T, o python.Options) *repl {
	t.Helper()
	i := s.open(t)
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Errorf("Interpreter.Close: %v", err)
		}
	})
	return s.sessionOf(t, i, o)
}

func (s *suite) sessionOf(t *testing.T, i python.Interpreter, o python.Options) *repl {
	t.Helper()
	sess, err := i.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := sess.Close(); err != nil {
			t.Errorf("Session.Close: %v", err)
		}
	})
	return &repl{Session: sess, t: t, patience: s.cfg.Patience, brief: o.Timeout > 0 && o.Timeout < time.Second}
}

// repl is a session with the ways in which the tests use it.
type repl struct {
	python.Session
	t        *testing.T
	patience time.Duration
	brief    bool // Timeout is so short that a machine that stands still reaches it
}

// run runs code to its Result and checks the contract of Exec on the way.
func (r *repl) run(code string) *python.Result {
	r.t.Helper()
	res, err := r.try(code)
	if err != nil {
		r.t.Fatalf("Exec(%q): %v", code, err)
	}
	return res
}

// quick runs code that takes next to no time and may be run again.
func (r *repl) quick(code string) *python.Result {
	r.t.Helper()
	res := r.run(code)
	for n := 0; r.brief && n < 20 && res.Err != nil && res.Err.Type == "TimeoutError" && !res.StateLost; n++ {
		res = r.run(code)
	}
	return res
}

func (r *repl) try(code string) (*python.Result, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), r.patience)
	defer cancel()
	var res *python.Result
	var streamed [2]strings.Builder
	for o, err := range r.Exec(ctx, code) {
		if err != nil {
			return nil, err
		}
		if res != nil {
			r.t.Fatalf("Exec(%q) goes on after its Result", code)
		}
		streamed[0].WriteString(o.Stdout)
		streamed[1].WriteString(o.Stderr)
		res = o.Result
	}
	if res == nil {
		r.t.Fatalf("Exec(%q) has no Result", code)
	}
	if out := streamed[0].String(); out != res.Stdout {
		r.t.Fatalf("Exec(%q) streamed %.200q and says %.200q", code, out, res.Stdout)
	}
	if out := streamed[1].String(); out != res.Stderr {
		r.t.Fatalf("Exec(%q) streamed %.200q and says %.200q on stderr", code, out, res.Stderr)
	}
	return res, nil
}

// ok runs code that must run to its end, and returns the Result.
func (r *repl) ok(code string) *python.Result {
	r.t.Helper()
	res := r.quick(code)
	if res.Err != nil || res.StateLost {
		r.t.Fatalf("%s\nraised %v (state lost: %v %s)\n%s", code, res.Err, res.StateLost, res.Lost, traceback(res))
	}
	return res
}

// value runs code whose last expression must have that repr.
func (r *repl) value(code, want string) {
	r.t.Helper()
	if res := r.ok(code); res.Value != want {
		r.t.Fatalf("%s\nhas the value %q, want %q", code, res.Value, want)
	}
}

// raises runs code that must raise an exception of that type, state kept, and
// returns the Result.
func (r *repl) raises(code, kind string) *python.Result {
	r.t.Helper()
	res := r.run(code)
	if res.Err == nil || res.Err.Type != kind || res.StateLost {
		r.t.Fatalf("%s\nended with %v (state lost: %v %s), want %s\n%s", code, res.Err, res.StateLost, res.Lost, kind, traceback(res))
	}
	return res
}

// loses runs code that costs the state.
func (r *repl) loses(code string) *python.Result {
	r.t.Helper()
	res := r.quick(code)
	if !res.StateLost || res.Lost == "" || res.Err == nil {
		r.t.Fatalf("%s\nkept the state: %v", code, res.Err)
	}
	return res
}

func traceback(res *python.Result) string {
	if res.Err == nil {
		return ""
	}
	return res.Err.Traceback
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%.2000s", what, p, text)
		}
	}
}

// descriptors counts those of this process; -1 where they cannot be counted.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

// settles waits until count returns at most want.
func settles(count func() int, want int) int {
	n := count()
	for range 6000 { // a minute
		if n <= want {
			break
		}
		runtime.Gosched()
		time.Sleep(10 * time.Millisecond) // the runtime's own work has no signal
		n = count()
	}
	return n
}
