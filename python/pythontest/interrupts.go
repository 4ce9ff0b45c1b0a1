package pythontest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/strandsgo/strands/python"
)

// timeLimited are the options of snippets that run into their limit.
var timeLimited = python.Options{Timeout: 500 * time.Millisecond, Libraries: []string{"*"}}

func (s *suite) interruptTests() map[string]func(*testing.T) {
	kept := func(code string) func(*testing.T) {
		return func(t *testing.T) {
			r := s.session(t, timeLimited)
			r.ok("x = 1")
			res := r.raises(code, "TimeoutError")
			if res.Duration < timeLimited.Timeout {
				t.Errorf("stopped after %v", res.Duration)
			}
			r.value("x", "1")
		}
	}
	tests := map[string]func(*testing.T){
		"loop":                 kept("while True: pass"),
		"sleep":                kept("import time\ntime.sleep(1000)"),
		"lock":                 kept("import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()"),
		"except Exception":     kept("while True:\n    try:\n        while True: pass\n    except Exception: pass"),
		"except BaseException": kept("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
		"looping finally":      kept("try:\n    while True: pass\nfinally:\n    while True: pass"),
		"await":                kept("import asyncio\nawait asyncio.sleep(1000)"),
		"output until then":    s.interruptOutputUntilThen,
		"ctx":                  s.interruptCtx,
		"break":                s.interruptBreak,
	}
	if s.cfg.Processes {
		tests["native code is killed"] = s.interruptNativeCodeIsKilled
		tests["threads that burn on"] = s.interruptThreadsThatBurnOn
	}
	return tests
}

func (s *suite) interruptOutputUntilThen(t *testing.T) {
	res := s.session(t, timeLimited).raises("print('begun')\nwhile True: pass", "TimeoutError")
	if res.Stdout != "begun\n" {
		t.Errorf("stdout %q", res.Stdout)
	}
	contains(t, "traceback", res.Err.Traceback, "<cell 1>", "line 2")
}

func (s *suite) interruptCtx(t *testing.T) {
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
}

func (s *suite) interruptBreak(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("x = 1")
	for range r.Exec(t.Context(), "print('begun')\nwhile True: pass") {
		break
	}
	r.value("x", "1")
}

func (s *suite) interruptNativeCodeIsKilled(t *testing.T) {
	r := s.session(t, timeLimited)
	r.ok("x = 1")
	began := time.Now()
	res := r.loses("sum(range(10**12))")
	if res.Err.Type != "TimeoutError" || time.Since(began) > time.Minute {
		t.Errorf("%v after %v", res.Err, time.Since(began))
	}
	contains(t, "the loss", res.Lost, "native code")
	r.raises("x", "NameError")
}

func (s *suite) interruptThreadsThatBurnOn(t *testing.T) {
	r := s.session(t, timeLimited)
	res := r.loses(`
import threading
def burn():
    while True: pass
threading.Thread(target=burn, daemon=True).start()
while True: pass`)
	contains(t, "the loss", res.Lost, "threads")
	r.value("1", "1")
}
