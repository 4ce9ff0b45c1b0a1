package strands_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
)

// sleeper is a tool that takes an hour, unless it is stopped.
func sleeper(live *atomic.Int32) strands.Tool {
	return strands.NewTool("sleep", "Sleeps.", func(ctx context.Context, _ none) (string, error) {
		live.Add(1)
		defer live.Add(-1)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Hour):
			return "late", nil
		}
	})
}

func sleepCalls(n int) turn {
	var parts []strands.Part
	for i := range n {
		parts = append(parts, call(fmt.Sprint("s", i), "sleep", `{}`))
	}
	return calls(parts...)
}

func TestNothingHappensBeforeTheLoop(t *testing.T) {
	m := &script{turns: []turn{says("hi")}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	run := s.Run(t.Context(), strands.Prompt("hello"))
	if len(m.seen) != 0 || len(s.Messages()) != 0 {
		t.Fatal("Run alone did something")
	}
	// Nor is the session taken: another run goes first.
	if _, err := s.Ask(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	m.turns = append(m.turns, says("again"))
	if _, err := strands.Collect(run); err != nil {
		t.Fatal(err)
	}
	_, err := strands.Collect(run)
	if _, ok := errors.AsType[*strands.InputError](err); !ok {
		t.Errorf("ranging twice gave %v", err)
	}
}

func goroutine() string {
	buf := make([]byte, 64)
	id, _, _ := bytes.Cut(buf[:runtime.Stack(buf, false)], []byte("["))
	return string(id)
}

func TestEventsComeOnTheCallersGoroutine(t *testing.T) {
	me := goroutine()
	elsewhere := func(what string) {
		if goroutine() == me {
			t.Errorf("%s runs on the caller's goroutine", what)
		}
	}
	tool := strands.NewTool("shout", "", func(ctx context.Context, _ none) (string, error) {
		elsewhere("a tool")
		if err := strands.Emit(ctx, strands.Event{Result: &strands.Result{}}); err == nil {
			t.Error("a tool could end the run")
		}
		return "ok", strands.Emit(ctx, strands.Event{Output: &strands.ToolOutput{Progress: "half"}})
	})
	m := &script{turns: []turn{calls(call("1", "shout", `{}`), call("2", "shout", `{}`)), says("done")}}
	a := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{tool}, Hooks: []strands.Hooks{{
		BeforeModelCall: func(ctx context.Context, e *strands.BeforeModelCall) error {
			elsewhere("a hook")
			return strands.Emit(ctx, strands.Event{Output: &strands.ToolOutput{Progress: "thinking"}})
		},
	}}})
	var kinds []string
	for e, err := range a.NewSession().Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if goroutine() != me {
			t.Fatal("an event came on another goroutine")
		}
		switch {
		case e.Output != nil:
			kinds = append(kinds, e.Output.CallID+e.Output.Progress)
		case e.Result != nil:
			kinds = append(kinds, "result")
		}
	}
	slices.Sort(kinds)
	if want := []string{"1half", "2half", "result", "thinking", "thinking"}; !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func TestAnErrorIsLast(t *testing.T) {
	boom := errors.New("boom")
	m := &script{turns: []turn{{err: boom}}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	events, errs := 0, 0
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if errs > 0 {
			t.Error("something came after the error")
		}
		if err != nil {
			errs++
			if !errors.Is(err, boom) || e != (strands.Event{}) {
				t.Errorf("got %v with event %v", err, e)
			}
			continue
		}
		events++
	}
	if events != 1 || errs != 1 { // the prompt's Message
		t.Errorf("%d events and %d errors", events, errs)
	}
	valid(t, s)
	// The session can be used again: the two prompts arrive as one message.
	m.turns = append(m.turns, says("ok"))
	if _, err := s.Ask(t.Context(), "again"); err != nil {
		t.Fatal(err)
	}
	if got := m.seen[1].Messages; len(got) != 1 || len(got[0].Parts) != 2 {
		t.Errorf("request %s", show(got))
	}
}

// stopping are the ways to stop a run from inside its loop, each at the n-th
// event.
var stopping = map[string]func(t *testing.T, s *strands.Session, at int){
	"break": func(t *testing.T, s *strands.Session, at int) {
		n := 0
		for range s.Run(t.Context(), strands.Prompt("go")) {
			if n++; n == at {
				break
			}
		}
	},
	"panic": func(t *testing.T, s *strands.Session, at int) {
		defer func() {
			if recover() != "mine" {
				t.Error("the panic was lost")
			}
		}()
		n := 0
		for range s.Run(t.Context(), strands.Prompt("go")) {
			if n++; n == at {
				panic("mine")
			}
		}
	},
	"ctx": func(t *testing.T, s *strands.Session, at int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		var last error
		for _, err := range s.Run(ctx, strands.Prompt("go")) {
			last = err
			if n++; n == at {
				cancel()
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("error %v", last)
		}
	},
	"deadline": func(t *testing.T, s *strands.Session, at int) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := strands.Collect(s.Run(ctx, strands.Prompt("go"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	},
	"Cancel": func(t *testing.T, s *strands.Session, at int) {
		n := 0
		var res *strands.Result
		for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
			if err != nil {
				t.Error(err)
			}
			if n++; n == at {
				s.Cancel()
				s.Cancel()
			}
			res = e.Result
		}
		if res == nil || res.StopReason != strands.StopCancelled {
			t.Errorf("result %s", show(res))
		}
	},
	"Close": func(t *testing.T, s *strands.Session, at int) {
		n := 0
		var last error
		for _, err := range s.Run(t.Context(), strands.Prompt("go")) {
			last = err
			if n++; n == at {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		if !errors.Is(last, strands.ErrClosed) {
			t.Errorf("error %v", last)
		}
	},
}

func TestStoppingJoinsEverything(t *testing.T) {
	for name, stop := range stopping {
		for at := 1; at <= 6; at++ { // prompt, delta, reply, three tool starts
			t.Run(fmt.Sprint(name, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var live atomic.Int32
					sleeps := sleepCalls(3)
					sleeps.deltas = []strands.Delta{{Text: "hm"}}
					m := &script{turns: []turn{sleeps, says("ok")}}
					a, err := strands.New(strands.Config{Model: m, Tools: []strands.Tool{sleeper(&live)}})
					if err != nil {
						t.Fatal(err)
					}
					s := a.NewSession()
					start := time.Now()
					stop(t, s, at)
					if live.Load() != 0 {
						t.Errorf("%d tools still run", live.Load())
					}
					if took := time.Since(start); took > time.Minute {
						t.Errorf("stopping took %v", took)
					}
					valid(t, s)
					if name == "Close" {
						return
					}
					m.seen, m.turns = nil, []turn{says("fine")}
					if res, err := s.Ask(t.Context(), "again"); err != nil || res.Text() != "fine" {
						t.Errorf("afterwards: %v %v", res, err)
					}
				})
			})
		}
	}
}

func TestStoppedByAnotherGoroutine(t *testing.T) {
	// The caller is inside its own loop body, or waits for events: Cancel and
	// Close of another goroutine work in both.
	synctest.Test(t, func(t *testing.T) {
		var live atomic.Int32
		a, err := strands.New(strands.Config{Model: &script{turns: []turn{sleepCalls(2)}}, Tools: []strands.Tool{sleeper(&live)}})
		if err != nil {
			t.Fatal(err)
		}
		s := a.NewSession()
		go func() {
			time.Sleep(time.Second)
			s.Cancel()
		}()
		res, err := s.Ask(t.Context(), "go")
		if err != nil || res.StopReason != strands.StopCancelled {
			t.Fatal(res, err)
		}
		if msgs := s.Messages(); len(msgs) != 3 || msgs[2].ToolResults()[1].Text() != "The tool call was cancelled." {
			t.Errorf("history %s", show(msgs))
		}
		valid(t, s)
	})
}

func TestCancelWhileTheModelWrites(t *testing.T) {
	m := &script{turns: []turn{{
		deltas: []strands.Delta{{Text: "half an ans"}},
		do:     func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	}}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	for e := range s.Run(t.Context(), strands.Prompt("go")) {
		if e.Delta != nil {
			s.Cancel()
		}
	}
	msgs := s.Messages()
	if len(msgs) != 2 || msgs[1].Text() != "Cancelled by user." {
		t.Errorf("history %s", show(msgs))
	}
	valid(t, s)
	s.Cancel() // no run: nothing happens
	m.turns = append(m.turns, says("ok"))
	if res, err := s.Ask(t.Context(), "again"); err != nil || res.StopReason != strands.StopEndTurn {
		t.Error(res, err)
	}
}

func TestSecondRunFailsAtOnce(t *testing.T) {
	m := &script{turns: []turn{says("one")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}}).NewSession()
	for range s.Run(t.Context(), strands.Prompt("go")) {
		if len(s.Messages()) == 2 {
			break
		}
		if _, err := s.Ask(t.Context(), "me too"); !errors.Is(err, strands.ErrConcurrentInvocation) {
			t.Fatalf("second run: %v", err)
		}
		if _, err := s.Call(t.Context(), "weather", map[string]string{"city": "Rome"}); !errors.Is(err, strands.ErrConcurrentInvocation) {
			t.Fatalf("Call: %v", err)
		}
	}
	if len(m.seen) != 1 {
		t.Errorf("the model was called %d times", len(m.seen))
	}
}

func TestTheSessionIsFreeWhenTheResultComes(t *testing.T) {
	m := &script{turns: []turn{says("one"), says("two")}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	inner := ""
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Result != nil {
			res, err := s.Ask(t.Context(), "next")
			if err != nil {
				t.Fatal(err)
			}
			inner = res.Text()
		}
	}
	if inner != "two" {
		t.Errorf("got %q", inner)
	}
}

func TestEmitAndInvokeFailWhenTheRunIsOver(t *testing.T) {
	var kept context.Context
	tool := strands.NewTool("keep", "", func(ctx context.Context, _ none) (string, error) {
		kept = context.WithoutCancel(ctx)
		return "ok", nil
	})
	m := &script{turns: []turn{calls(call("1", "keep", `{}`)), says("done")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{tool}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	if err := strands.Emit(kept, strands.Event{Output: &strands.ToolOutput{Stdout: "late"}}); err == nil {
		t.Error("Emit after the run succeeded")
	}
	if _, err := strands.Invoke(kept, weather(), &strands.ToolCall{Name: "weather"}); err == nil {
		t.Error("Invoke after the run succeeded")
	}
}

type closer func() error

func (c closer) Close() error { return c() }

func TestClose(t *testing.T) {
	var order []string
	boom := errors.New("boom")
	a, err := strands.New(strands.Config{Model: &script{}, Providers: []strands.ToolProvider{provider{close: func() error {
		order = append(order, "provider")
		return boom
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	s := a.NewSession()
	for _, key := range []string{"first", "second"} {
		if _, err := strands.Attach(t.Context(), s, key, func(context.Context) (io.Closer, error) {
			return closer(func() error { order = append(order, key); return fmt.Errorf("%s: %w", key, boom) }), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); !errors.Is(err, boom) {
		t.Errorf("Close: %v", err)
	}
	if want := []string{"second", "first", "provider"}; !slices.Equal(order, want) {
		t.Errorf("closed %v, want %v", order, want)
	}
	if err := errors.Join(a.Close(), s.Close()); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := s.Ask(t.Context(), "hi"); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("a run after Close: %v", err)
	}
	if _, err := a.NewSession().Ask(t.Context(), "hi"); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("a new session after Close: %v", err)
	}
}

type provider struct {
	tools []strands.Tool
	err   error
	close func() error
}

func (p provider) Tools(context.Context) ([]strands.Tool, error) { return p.tools, p.err }
func (p provider) Close() error {
	if p.close == nil {
		return nil
	}
	return p.close()
}

func TestADroppedAgentClosesItsProviders(t *testing.T) {
	closed := make(chan struct{})
	func() {
		a, err := strands.New(strands.Config{Model: &script{turns: []turn{says("hi")}}, Providers: []strands.ToolProvider{provider{close: func() error {
			close(closed)
			return nil
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.NewSession().Ask(t.Context(), "hello"); err != nil {
			t.Fatal(err)
		}
	}()
	collected(t, closed)
}

// collected waits until the garbage collector has had done closed.
func collected(t *testing.T, closed <-chan struct{}) {
	t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		runtime.GC()
		select {
		case <-closed:
			return
		case <-timeout:
			t.Fatal("it was not collected")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestADroppedSessionIsClosed(t *testing.T) {
	a := newAgent(t, strands.Config{Model: &script{turns: []turn{says("hi")}}})
	closed := make(chan struct{})
	func() {
		s := a.NewSession()
		if _, err := s.Ask(t.Context(), "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := strands.Attach(t.Context(), s, "repl", func(context.Context) (io.Closer, error) {
			return closer(func() error { close(closed); return nil }), nil
		}); err != nil {
			t.Fatal(err)
		}
	}()
	collected(t, closed)
}
