package python

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

func echo(p *fakePeer, id frame.RunID, code string) {
	p.send(frame.Stdout, id, code)
	p.send(frame.Done, id, doneOK)
}

func TestARunIsHandedOver(t *testing.T) {
	s := openFake(t, Options{}, serve(echo))
	outs, res, err := execAll(t.Context(), s, "hello")
	if err != nil || len(outs) != 1 || outs[0].Stdout != "hello" || res.Stdout != "hello" || res.Err != nil {
		t.Fatalf("%+v %+v %v", outs, res, err)
	}
}

// What a hostile worker sends never reaches a later run: the session loses its
// state and says so.
func TestViolationsLoseTheState(t *testing.T) {
	call := func(call, fn uint32, args string) string {
		b := binary.LittleEndian.AppendUint32(nil, call)
		return string(binary.LittleEndian.AppendUint32(b, fn)) + args
	}
	attacks := map[string]func(p *fakePeer, id frame.RunID){
		"another run id":        func(p *fakePeer, id frame.RunID) { p.send(frame.Done, frame.RunID{1}, doneOK) },
		"frame of another kind": func(p *fakePeer, id frame.RunID) { p.send(frame.Listing, id, "[]") },
		"ready again":           func(p *fakePeer, id frame.RunID) { p.raw(frame.Ready, []byte("{}")) },
		"type of the host":      func(p *fakePeer, id frame.RunID) { p.send(frame.Reply, id, "x") },
		"forged length":         func(p *fakePeer, id frame.RunID) { p.conn.Write([]byte{0xff, 0xff, 0xff, 0xff, 'd'}) },
		"too long":              func(p *fakePeer, id frame.RunID) { p.send(frame.Stdout, id, strings.Repeat("x", 64<<10+1)) },
		"no UTF-8":              func(p *fakePeer, id frame.RunID) { p.send(frame.Stdout, id, "\xff\xfe") },
		"no PNG":                func(p *fakePeer, id frame.RunID) { p.send(frame.Picture, id, "GIF89a") },
		"done is no JSON":       func(p *fakePeer, id frame.RunID) { p.send(frame.Done, id, "{") },
		"done nests too deep":   func(p *fakePeer, id frame.RunID) { p.send(frame.Done, id, strings.Repeat("[", 100)) },
		"file outside":          func(p *fakePeer, id frame.RunID) { p.send(frame.Written, id, `{"name":"../x","mime":"","size":1}`) },
		"file of no size":       func(p *fakePeer, id frame.RunID) { p.send(frame.Written, id, `{"name":"x","mime":"","size":-1}`) },
		"no such function":      func(p *fakePeer, id frame.RunID) { p.send(frame.Call, id, call(1, 7, "{}")) },
		"arguments no JSON":     func(p *fakePeer, id frame.RunID) { p.send(frame.Call, id, call(1, 0, "{")) },
		"short call":            func(p *fakePeer, id frame.RunID) { p.send(frame.Call, id, "abc") },
		"call id twice": func(p *fakePeer, id frame.RunID) {
			p.send(frame.Call, id, call(1, 0, "{}"))
			p.send(frame.Call, id, call(1, 0, "{}"))
		},
		"half a frame and the end": func(p *fakePeer, id frame.RunID) {
			p.conn.Write([]byte{50, 0, 0, 0, 'o'})
			p.conn.Close()
		},
	}
	wait := strands.NewTool("wait", "Waits.", func(ctx context.Context, in struct{}) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			o := Options{Namespaces: []Namespace{{Functions: []strands.Tool{wait}}}}
			s := openFake(t, o, serve(func(p *fakePeer, id frame.RunID, code string) {
				if code == "attack" {
					attack(p, id)
					p.read() // until the host has closed
					return
				}
				echo(p, id, code)
			}))
			if res := mustExec(t, s, "before"); res.StateLost {
				t.Fatal("lost before the attack")
			}
			res := mustExec(t, s, "attack")
			if !res.StateLost || res.Err == nil || res.Err.Type != "InterpreterLost" {
				t.Fatalf("the attack passed: %+v", res)
			}
			if res := mustExec(t, s, "after"); res.Stdout != "after" || res.StateLost || res.Err != nil {
				t.Fatalf("the next snippet: %+v", res)
			}
		})
	}
}

// Frames between two requests must not become the next run's.
func TestNothingMayComeBetweenRequests(t *testing.T) {
	sent := make(chan struct{}, 1)
	s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, code string) {
		echo(p, id, code)
		if code == "attack" {
			p.send(frame.Stdout, id, "late")
			p.send(frame.Done, id, doneOK)
			sent <- struct{}{}
		}
	}))
	mustExec(t, s, "attack")
	<-sent
	res := mustExec(t, s, "next")
	if res.Stdout != "next" || !res.StateLost || !strings.Contains(res.Lost, "protocol") {
		t.Fatalf("%+v", res)
	}
	if res := mustExec(t, s, "third"); res.StateLost {
		t.Fatalf("the loss was told twice: %+v", res)
	}
}

func TestAWorkerThatDiesBetweenRequests(t *testing.T) {
	s := openFake(t, Options{}, func(p *fakePeer) {
		p.read()
		p.raw(frame.Ready, []byte(`{"version":1}`))
		_, id, code, err := p.read()
		if err == nil {
			echo(p, id, string(code))
		}
	}, func(p *fakeProcess) { p.exit.Code = 3 })
	mustExec(t, s, "one")
	<-s.wire.proc.(*fakeProcess).gone
	res := mustExec(t, s, "two")
	if res.Stdout != "two" || !res.StateLost || !strings.Contains(res.Lost, "exit 3") {
		t.Fatalf("%+v", res)
	}
}

func TestInterruptInSteps(t *testing.T) {
	tests := []struct {
		name string
		obey int // the interrupt that is obeyed; 0 = none
		lost bool
		kill time.Duration
	}{{"first", 1, false, time.Minute}, {"second", 2, false, time.Minute}, {"third", 3, false, 6 * time.Second}, {"never", 0, true, 40 * time.Millisecond}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := openFake(t, Options{Timeout: 10 * time.Millisecond}, serve(func(p *fakePeer, id frame.RunID, code string) {
				if code != "loop" {
					echo(p, id, code)
					return
				}
				for i := 1; i <= tt.obey; i++ {
					p.interrupted()
				}
				if tt.obey == 0 {
					p.read()
					return
				}
				p.send(frame.Done, id, `{"error":{"type":"KeyboardInterrupt","message":"","traceback":"tb","stage":"run"},"interrupted":true}`)
			}))
			s.timings.kill = tt.kill
			res := mustExec(t, s, "loop")
			if res.Err == nil || res.Err.Type != "TimeoutError" || res.StateLost != tt.lost {
				t.Fatalf("%+v %+v", res, res.Err)
			}
			s.opts.Timeout = time.Minute
			if res := mustExec(t, s, "next"); res.Stdout != "next" || res.StateLost {
				t.Fatalf("next: %+v", res)
			}
		})
	}
}

// Threads that burn on after an interrupt cost the state.
func TestBusyAfterAnInterrupt(t *testing.T) {
	burnt := time.Duration(0)
	s := openFake(t, Options{Timeout: 5 * time.Millisecond}, serve(func(p *fakePeer, id frame.RunID, code string) {
		p.interrupted()
		p.send(frame.Done, id, doneOK)
	}), func(p *fakeProcess) {
		p.cpu = func() time.Duration { burnt += time.Second; return burnt }
	})
	s.timings.kill = time.Minute
	if res := mustExec(t, s, "loop"); !res.StateLost || !strings.Contains(res.Lost, "threads") {
		t.Fatalf("%+v", res)
	}
}

func TestLeavingTheLoopAndTheEndOfCtx(t *testing.T) {
	s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, code string) {
		if code != "loop" {
			echo(p, id, code)
			return
		}
		p.send(frame.Stdout, id, "begun")
		p.interrupted()
		p.send(frame.Done, id, doneOK)
	}))
	for range s.Exec(t.Context(), "loop") {
		break
	}
	if res := mustExec(t, s, "one"); res.Stdout != "one" || res.StateLost {
		t.Fatalf("after break: %+v", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.Exec(ctx, "loop") {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("err = %v, want that of ctx", last)
	}
	if res := mustExec(t, s, "two"); res.Stdout != "two" || res.StateLost {
		t.Fatalf("after ctx: %+v", res)
	}
	if _, _, err := execAll(ctx, s, "x"); !errors.Is(err, context.Canceled) {
		t.Fatalf("with an ended ctx: %v", err)
	}
}

// A state lost by an interrupt whose result nobody saw is told with the next.
func TestALossThatNobodySawIsToldLater(t *testing.T) {
	s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, code string) {
		if code != "loop" {
			echo(p, id, code)
			return
		}
		p.send(frame.Stdout, id, "begun")
		p.read()
	}))
	for range s.Exec(t.Context(), "loop") {
		break
	}
	res := mustExec(t, s, "next")
	if res.Stdout != "next" || !res.StateLost || !strings.Contains(res.Lost, "before this snippet") {
		t.Fatalf("%+v", res)
	}
}

func TestBusyClosedTwice(t *testing.T) {
	s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, code string) {
		p.send(frame.Stdout, id, "begun")
		p.interrupted()
		p.send(frame.Done, id, doneOK)
	}))
	var inner, last error
	for _, err := range s.Exec(t.Context(), "loop") {
		if err == nil {
			_, _, inner = execAll(t.Context(), s, "second")
			if err := s.Reset(t.Context()); !errors.Is(err, ErrBusy) {
				t.Errorf("Reset: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		last = err
	}
	if !errors.Is(inner, ErrBusy) {
		t.Errorf("a second snippet at once: %v", inner)
	}
	if !errors.Is(last, strands.ErrClosed) {
		t.Errorf("a snippet whose session is closed: %v", last)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, _, err := execAll(t.Context(), s, "x"); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A worker that ignores its output limit is held to the host's.
func TestHostCapsOutput(t *testing.T) {
	s := openFake(t, Options{Limits: Limits{Output: 1000}}, serve(func(p *fakePeer, id frame.RunID, code string) {
		for i := range 100 {
			p.send(frame.Stdout, id, fmt.Sprintf("%04d", i)+strings.Repeat("é", 498))
		}
		p.send(frame.Done, id, doneOK)
	}))
	outs, res, err := execAll(t.Context(), s, "flood")
	if err != nil {
		t.Fatal(err)
	}
	streamed := ""
	for _, o := range outs {
		streamed += o.Stdout
	}
	if len(res.Stdout) > 3000 || !strings.HasPrefix(res.Stdout, "0000") || !strings.Contains(res.Stdout, "bytes left out") {
		t.Fatalf("%d bytes kept: %.60q", len(res.Stdout), res.Stdout)
	}
	if streamed != res.Stdout {
		t.Fatal("what was streamed is not what the result says")
	}
}

// A consumer that takes its time does not cost the snippet its own.
func TestASlowConsumerStopsTheClock(t *testing.T) {
	// A machine that stands still takes the snippet's time: then one that has
	// more is tried.
	for limit := time.Second; ; limit *= 4 {
		err := consumeSlowly(t, limit)
		if err == nil {
			return
		}
		if limit > time.Minute {
			t.Fatal(err)
		}
	}
}

func consumeSlowly(t *testing.T, limit time.Duration) error {
	s := openFake(t, Options{Timeout: limit, Limits: Limits{Output: -1}}, serve(
		func(p *fakePeer, id frame.RunID, code string) {
			for range 40 {
				p.send(frame.Stdout, id, strings.Repeat("x", 60<<10))
			}
			p.send(frame.Done, id, doneOK)
		}))
	slept := false
	for o, err := range s.Exec(t.Context(), "flood") {
		if err != nil {
			t.Fatal(err)
		}
		if !slept {
			slept = true
			time.Sleep(limit * 3 / 2) // it is the time itself that is tested
		}
		if o.Result != nil && (o.Result.Err != nil || len(o.Result.Stdout) != 40*60<<10) {
			return fmt.Errorf("%w, %d bytes", o.Result.Err, len(o.Result.Stdout))
		}
	}
	return nil
}

// What C code writes is shown while the snippet runs, though no frame comes.
func TestStrayOutputComesAtOnce(t *testing.T) {
	seen := make(chan struct{})
	s := openFake(t, Options{Limits: Limits{Output: -1}}, serve(func(p *fakePeer, id frame.RunID, code string) {
		for range 3 { // more than the queue holds
			fmt.Fprint(p.output, strings.Repeat("C", 1<<20))
		}
		<-seen
		p.send(frame.Done, id, doneOK)
	}))
	shown := ""
	var res *Result
	for o, err := range s.Exec(t.Context(), "x") {
		if err != nil {
			t.Fatal(err)
		}
		shown += o.Stderr
		if len(shown) == 3<<20 && o.Stderr != "" {
			close(seen)
		}
		res = o.Result
	}
	if res.Stderr != shown || len(shown) != 3<<20 {
		t.Fatalf("%d bytes shown, %d in the result", len(shown), len(res.Stderr))
	}
}
