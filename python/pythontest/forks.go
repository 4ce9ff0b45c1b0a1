package pythontest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

func (s *suite) forkTests() map[string]func(*testing.T) {
	if !s.cfg.Forks {
		return map[string]func(*testing.T){"refused": s.forkRefused}
	}
	return map[string]func(*testing.T){
		"has the state":                  s.forkHasTheState,
		"is independent both ways":       s.forkIsIndependent,
		"of a fork":                      s.forkOfAFork,
		"at once":                        s.forkManyAtOnce,
		"calls functions":                s.forkCallsFunctions,
		"goes on when its origin dies":   s.forkOutlivesItsOrigin,
		"ends with the session":          s.forkEndsWithTheSession,
		"refused while threads run":      s.forkRefusedWhileThreadsRun,
		"refused while tasks are due":    s.forkRefusedWhileTasksArePending,
		"draws the same numbers":         s.forkDrawsTheSameNumbers,
		"awaits":                         s.forkAwaits,
		"try keeps one":                  s.forkTry,
		"try of a crash":                 s.forkTryOfACrash,
		"undo":                           s.forkUndo,
		"undo of a crash":                s.forkUndoOfACrash,
		"undo lists what is done":        s.forkUndoLists,
		"undo that is impossible":        s.forkUndoImpossible,
		"atomic":                         s.forkAtomic,
		"atomic after an interrupt":      s.forkAtomicInterrupted,
		"atomic when it cannot be":       s.forkAtomicImpossible,
		"atomic in the first snippet":    s.forkAtomicFirst,
		"reset and close with a fork on": s.forkResetAndClose,
	}
}

// free opens a session that may import everything.
func (s *suite) free(t *testing.T, o python.Options) *repl {
	t.Helper()
	o.Libraries = []string{"*"}
	return s.session(t, o)
}

// fork opens a fork that ends with the test.
func (r *repl) fork() *repl {
	r.t.Helper()
	f, ok := r.Session.(python.Forker)
	if !ok {
		r.t.Fatalf("%T is no Forker", r.Session)
	}
	sess, err := f.Fork(r.t.Context())
	if err != nil {
		r.t.Fatalf("Fork: %v", err)
	}
	r.t.Cleanup(func() {
		if err := sess.Close(); err != nil {
			r.t.Errorf("Close of a fork: %v", err)
		}
	})
	return &repl{Session: sess, t: r.t, patience: r.patience}
}

// refused checks that there is no fork, and that the session goes on.
func (r *repl) refused(words ...string) *python.ForkError {
	r.t.Helper()
	r.ok("kept = 5")
	f, err := r.Session.(python.Forker).Fork(r.t.Context())
	if err == nil {
		f.Close()
		r.t.Fatal("Fork: no error")
	}
	e, ok := errors.AsType[*python.ForkError](err)
	if !ok {
		r.t.Fatalf("Fork: %v, want a *ForkError", err)
	}
	contains(r.t, "the refusal", err.Error(), words...)
	r.value("kept", "5")
	return e
}

func (r *repl) undo() *python.Undone {
	r.t.Helper()
	u, err := r.Session.(python.Undoer).Undo(r.t.Context())
	if err != nil {
		r.t.Fatalf("Undo: %v", err)
	}
	return u
}

func (s *suite) forkRefused(t *testing.T) {
	r := s.free(t, python.Options{Undo: true})
	if _, ok := r.Session.(python.Forker); !ok {
		return // the type says it
	}
	if e := r.refused(); !e.Never || e.Reason == "" {
		t.Errorf("%+v: it must say that and why it is never possible", e)
	}
	res := r.ok("x = 1")
	contains(t, "warnings", strings.Join(res.Warnings, "\n"), "cannot be undone")
	if _, err := r.Session.(python.Undoer).Undo(t.Context()); err == nil {
		t.Error("Undo without forks: no error")
	}
	r.value("x", "1")
}

func (s *suite) forkHasTheState(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("import collections\nclass C:\n    n = 3\nc = C()\nd = collections.deque([1])\nf = open('kept.txt', 'w')\nf.write('a')")
	f := r.fork()
	f.value("c.n + d[0]", "4")
	f.ok("f.write('b'); f.flush()")
	f.value("open('kept.txt').read()", "'ab'")
	res := f.raises("1/0", "ZeroDivisionError")
	contains(t, "traceback", res.Err.Traceback, "1/0")
}

func (s *suite) forkIsIndependent(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x, l = 1, []")
	f := r.fork()
	r.ok("x = 2; l.append('origin')")
	f.value("x, l", "(1, [])")
	f.ok("x = 3; l.append('fork'); import json; json.marked = True")
	r.value("x, l", "(2, ['origin'])")
	r.value("import json\nhasattr(json, 'marked')", "False")
	f.loses("import os; os._exit(3)")
	r.value("x", "2")
	f.raises("x", "NameError") // it goes on with a fresh state, as every session does
	r.value("x", "2")
}

func (s *suite) forkOfAFork(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x = [0]")
	line := []*repl{r}
	for i := range 3 {
		f := line[i].fork()
		f.ok(fmt.Sprintf("x.append(%d)", i+1))
		line = append(line, f)
	}
	for i, want := range []string{"[0]", "[0, 1]", "[0, 1, 2]", "[0, 1, 2, 3]"} {
		line[i].value("x", want)
	}
	if err := line[1].Close(); err != nil {
		t.Fatal(err)
	}
	line[2].value("x", "[0, 1, 2]")
	line[3].value("x", "[0, 1, 2, 3]")
}

func (s *suite) forkManyAtOnce(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x = 1")
	type outcome struct {
		f   python.Session
		err error
	}
	const n = 4
	done := make(chan outcome, n)
	for range n {
		go func() {
			f, err := r.Session.(python.Forker).Fork(t.Context())
			done <- outcome{f, err}
		}()
	}
	forked := 0
	for range n {
		o := <-done
		switch {
		case o.err == nil:
			forked++
			f := &repl{Session: o.f, t: t, patience: r.patience}
			f.value("x", "1")
			if err := o.f.Close(); err != nil {
				t.Error(err)
			}
		case !errors.Is(o.err, python.ErrBusy):
			t.Errorf("a fork during a fork: %v, want ErrBusy", o.err)
		}
	}
	if forked == 0 {
		t.Error("none was forked")
	}
	r.value("x", "1")
}

func saver(calls *[]string) []python.Namespace {
	return []python.Namespace{{Functions: []strands.Tool{
		strands.NewTool("save", "Saves.", func(_ context.Context, in struct {
			Name string `json:"name"`
		}) (int, error) {
			*calls = append(*calls, in.Name)
			return len(*calls), nil
		}),
	}}}
}

func (s *suite) forkCallsFunctions(t *testing.T) {
	var calls []string
	r := s.free(t, python.Options{Namespaces: saver(&calls)})
	r.value("save('origin')", "1")
	f := r.fork()
	f.value("save('fork')", "2")
	r.value("save('origin again')", "3")
	if got := strings.Join(calls, ","); got != "origin,fork,origin again" {
		t.Errorf("calls: %s", got)
	}
}

func (s *suite) forkOutlivesItsOrigin(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x = 4")
	f := r.fork()
	r.loses("import os; os._exit(1)")
	f.value("x", "4")
	g := f.fork()
	g.value("x", "4")
	r.raises("x", "NameError")
}

func (s *suite) forkEndsWithTheSession(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x = 1")
	f := r.fork().fork()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.try("x"); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("a fork of a closed session: %v, want ErrClosed", err)
	}
}

func (s *suite) forkRefusedWhileThreadsRun(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("import threading\nstop = threading.Event()\nt = threading.Thread(target=stop.wait, name='waiter-7')\nt.start()")
	if e := r.refused("waiter-7", "join"); len(e.Threads) != 1 || e.Threads[0] != "waiter-7" || e.Never {
		t.Errorf("%+v", e)
	}
	r.ok("stop.set(); t.join()")
	r.fork().value("kept", "5")
	// Threads that idle in a pool which nobody can join.
	r.ok("import asyncio\nn = await asyncio.to_thread(lambda: 3)")
	r.fork().value("n", "3")
	r.value("await asyncio.to_thread(lambda: 4)", "4")
}

func (s *suite) forkRefusedWhileTasksArePending(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("import asyncio\nasync def later():\n    await asyncio.sleep(3600)\nasync def begin():\n    return asyncio.create_task(later(), name='due')\nt = await begin()")
	if e := r.refused("due", "later", "await or cancel"); len(e.Tasks) != 1 {
		t.Errorf("%+v", e)
	}
	r.ok("t.cancel(); await asyncio.sleep(0)")
	r.fork().value("kept", "5")
}

func (s *suite) forkDrawsTheSameNumbers(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("import random, uuid, os")
	f := r.fork()
	draw := "[random.random(), random.randrange(10**9)]"
	f.value(draw, r.ok(draw).Value)
	if fresh := "os.urandom(8)"; f.ok(fresh).Value == r.ok(fresh).Value {
		t.Error("the system's random bytes are the same")
	}
}

func (s *suite) forkAwaits(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("import asyncio\nlock = asyncio.Lock()\nq = asyncio.Queue()\nasync def put():\n    await asyncio.sleep(0.01); await q.put(1)\nasync def both():\n    t = asyncio.create_task(put()); r = await q.get(); await t; return r\nawait both()")
	f := r.fork()
	for range 2 { // both use the loop that they had in common
		f.value("await both()", "1")
		r.value("await both()", "1")
		f.value("await asyncio.to_thread(lambda: 2)", "2")
		r.value("await asyncio.to_thread(lambda: 3)", "3")
	}
}

func (s *suite) forkTry(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x = 1")
	trial, err := python.Try(t.Context(), r.Session, "x += 1; x", "x += 10; x", "1/0")
	if err != nil {
		t.Fatal(err)
	}
	if got := trial.Results; len(got) != 3 || got[0].Value != "2" || got[1].Value != "11" || got[2].Err == nil {
		t.Fatalf("%+v", got)
	}
	r.value("x", "1")
	if err := trial.Keep(t.Context(), 3); err == nil {
		t.Error("a candidate that does not exist was kept")
	}
	if err := trial.Keep(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.value("x", "11")
	if err := trial.Keep(t.Context(), 0); err == nil {
		t.Error("a second one was kept")
	}
	r.value("x", "11")
	if err := trial.Close(); err != nil {
		t.Error(err)
	}
	r.fork().value("x", "11")
}

func (s *suite) forkTryOfACrash(t *testing.T) {
	r := s.free(t, python.Options{})
	r.ok("x = 1")
	trial, err := python.Try(t.Context(), r.Session, "import os; os._exit(3)", "x = 2")
	if err != nil {
		t.Fatal(err)
	}
	if !trial.Results[0].StateLost || trial.Results[1].StateLost {
		t.Errorf("%+v %+v", trial.Results[0], trial.Results[1])
	}
	if err := trial.Keep(t.Context(), 0); err == nil {
		t.Error("a lost state was kept")
	}
	r.value("x", "1")
	if err := trial.Close(); err != nil {
		t.Error(err)
	}
	r.value("x", "1")
}

func (s *suite) forkUndo(t *testing.T) {
	r := s.free(t, python.Options{Undo: true})
	r.ok("x = [1]")
	r.ok("x.append(2); y = 1")
	r.undo()
	r.value("x, 'y' in globals()", "([1], False)")
	r.undo() // of the look
	if _, err := r.Session.(python.Undoer).Undo(t.Context()); err == nil {
		t.Error("a second snippet was undone")
	}
	for i := range 5 {
		r.ok(fmt.Sprintf("x.append(%d)", i))
		r.ok("x.clear()")
		r.undo()
	}
	r.value("x", "[1, 0, 1, 2, 3, 4]")
}

func (s *suite) forkUndoOfACrash(t *testing.T) {
	r := s.free(t, python.Options{Undo: true})
	r.ok("x = [1]")
	r.loses("x.append(2)\nimport os; os._exit(3)")
	r.undo()
	r.value("x", "[1]")
	r.ok("x.append(3)")
	r.undo()
	r.value("x", "[1]")
}

func (s *suite) forkUndoLists(t *testing.T) {
	var calls []string
	r := s.free(t, python.Options{Undo: true, Namespaces: saver(&calls)})
	r.ok("open('old.txt', 'w').write('1'); open('gone.txt', 'w').write('1'); open('same.txt', 'w').write('1')")
	r.ok("import os\nopen('new.txt', 'w').write('2'); open('old.txt', 'w').write('22'); os.remove('gone.txt'); save('a'); save('b')")
	u := r.undo()
	if fmt.Sprint(u.FilesChanged, u.FilesRemoved, u.Calls) != "[new.txt old.txt] [gone.txt] map[save:2]" {
		t.Errorf("%+v", u)
	}
	contains(t, "the text", u.String(), "rolled back", "new.txt", "old.txt", "gone.txt", "save (2)", "Not undone")
	if res := r.ok("1"); len(res.Files) > 0 {
		t.Errorf("files of the undone snippet are handed out again: %v", res.Files)
	}
	r.value("open('new.txt').read()", "'2'")
}

func (s *suite) forkUndoImpossible(t *testing.T) {
	r := s.free(t, python.Options{Undo: true})
	r.ok("import threading\nstop = threading.Event()\nt = threading.Thread(target=stop.wait, name='waiter-8')\nt.start()")
	res := r.ok("x = 1")
	contains(t, "warnings", strings.Join(res.Warnings, "\n"), "cannot be undone", "waiter-8")
	_, err := r.Session.(python.Undoer).Undo(t.Context())
	if e, ok := errors.AsType[*python.ForkError](err); !ok || len(e.Threads) != 1 {
		t.Errorf("Undo: %v", err)
	}
	r.value("stop.set(); t.join(); x", "1")
	plain := s.free(t, python.Options{})
	plain.ok("x = 1")
	if _, err := plain.Session.(python.Undoer).Undo(t.Context()); err == nil {
		t.Error("Undo without Options.Undo: no error")
	}
}

func (s *suite) forkAtomic(t *testing.T) {
	var calls []string
	r := s.free(t, python.Options{Atomic: true, Namespaces: saver(&calls)})
	r.ok("x = [1]")
	res := r.raises("x.append(2); y = 1; save('row'); open('f.txt', 'w').write('1')\n1/0", "ZeroDivisionError")
	if res.Undone == nil || fmt.Sprint(res.Undone.FilesChanged, res.Undone.Calls) != "[f.txt] map[save:1]" {
		t.Fatalf("%+v", res.Undone)
	}
	contains(t, "warnings", strings.Join(res.Warnings, "\n"), "rolled back", "f.txt", "save (1)")
	r.value("x, 'y' in globals()", "([1], False)")
	r.ok("x.append(3)")
	r.raises("x.append(4); x = y", "NameError")
	res = r.run("x.append(5)\nimport os; os._exit(1)")
	if res.Err == nil || res.StateLost || res.Undone == nil {
		t.Fatalf("a crash: %+v", res)
	}
	res = r.ok("x")
	if res.Value != "[1, 3]" || res.Undone != nil {
		t.Errorf("x is %s; %+v", res.Value, res.Undone)
	}
}

func (s *suite) forkAtomicInterrupted(t *testing.T) {
	r := s.free(t, python.Options{Atomic: true})
	r.ok("x = [1]")
	ctx, cancel := context.WithCancel(t.Context())
	for o, err := range r.Exec(ctx, "x.append(2)\nprint('in')\nwhile True: pass") {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if o.Stdout != "" {
			cancel()
		}
	}
	cancel()
	r.value("x", "[1]")
}

func (s *suite) forkAtomicImpossible(t *testing.T) {
	r := s.free(t, python.Options{Atomic: true})
	r.ok("import threading\nstop = threading.Event()\nt = threading.Thread(target=stop.wait, name='waiter-9')\nt.start()")
	res := r.raises("x = 1; 1/0", "ZeroDivisionError")
	contains(t, "warnings", strings.Join(res.Warnings, "\n"), "not rolled back", "waiter-9")
	r.value("stop.set(); t.join(); x", "1")
}

func (s *suite) forkAtomicFirst(t *testing.T) {
	r := s.free(t, python.Options{Atomic: true, InitializationCode: []string{"z = 9"}})
	r.raises("z = 1; 1/0", "ZeroDivisionError")
	r.value("z", "9")
}

func (s *suite) forkResetAndClose(t *testing.T) {
	r := s.free(t, python.Options{Undo: true})
	r.ok("x = 1")
	f := r.fork()
	r.ok("x = 2")
	if err := r.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.raises("x", "NameError")
	f.value("x", "1")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.ok("x = 3")
	r.undo()
	r.raises("x", "NameError")
}
