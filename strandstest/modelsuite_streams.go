package strandstest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
)

// long is an answer with a bit of everything.
func (s *ModelSuite) long() Answer {
	parts := []strands.Part{
		strands.Text(strings.Repeat(poem, 40)),
		callPart("call_1", "python_repl", `{"code":"`+strings.Repeat(`print(\"é\")\n`, 50)+`"}`),
		callPart("call_2", "now", `{}`),
	}
	if s.has(Reasoning) {
		parts = append([]strands.Part{{Reasoning: &strands.Reasoning{Text: strings.Repeat("hm, 考え ", 30)}}}, parts...)
	}
	return answer(parts...)
}

// brief is an answer of few parts.
func brief() Answer {
	return answer(strands.Text("One, two, three."), callPart("call_1", "python_repl", `{"code":"2 ** 10"}`))
}

func (s *ModelSuite) testStreams(t *testing.T) {
	s.scenario(t, "split at every byte", func(t *testing.T, r *rig) {
		a := s.long()
		r.play(script{wire: s.Play(a), frames: -1, bytes: true})
		s.sameReply(t, r.generate(t.Context(), withTools()).mustReply(t), a)
	})
	s.testCuts(t, "half stream", endCleanly)
	s.testCuts(t, "disconnect", hangUp)
	s.testStall(t)
	s.scenario(t, "broken frame", func(t *testing.T, r *rig) {
		w := s.Play(brief())
		for i := range w.Frames {
			broken := w
			broken.Frames = append(append([][]byte{}, w.Frames[:i]...), s.Broken)
			r.play(whole(broken))
			s.completeOrError(r, r.generate(t.Context(), withTools()), brief(), i)
		}
	})
	s.testCancel(t)
}

// testCuts ends the stream at every frame and inside every frame. The reply is
// complete, because only what the protocol says after it was lost, or there is
// an error.
func (s *ModelSuite) testCuts(t *testing.T, name string, how ending) {
	s.scenario(t, name, func(t *testing.T, r *rig) {
		a := brief()
		w := s.Play(a)
		for i, f := range w.Frames {
			for _, tail := range []int{0, len(f) / 2, len(f) - 1} {
				r.play(script{wire: w, frames: i, tail: tail, after: how})
				s.completeOrError(r, r.generate(t.Context(), withTools()), a, i)
			}
		}
		r.expectQuiet()
	})
}

func (s *ModelSuite) completeOrError(r *rig, o outcome, a Answer, frame int) {
	r.t.Helper()
	if o.err != nil {
		o.modelError(r.t, strands.ModelTransient)
		return
	}
	if frame == 0 {
		r.t.Error("there is a reply, although nothing was said")
	}
	s.sameReply(r.t, o.mustReply(r.t), a)
}

func (s *ModelSuite) testStall(t *testing.T) {
	s.scenario(t, "stall", func(t *testing.T, r *rig) {
		w := s.Play(brief())
		for i := range max(len(w.Frames)-1, 1) {
			r.play(script{wire: w, frames: i, after: fallSilent})
			start := time.Now()
			o := r.generate(t.Context(), withTools())
			waited := time.Since(start)
			if o.err == nil { // all was said, and the provider did not wait for the end of the connection
				s.completeOrError(r, o, brief(), i)
				continue
			}
			me := o.modelError(t, strands.ModelTransient)
			if !me.Temporary() {
				t.Error("a stall is not temporary")
			}
			if waited < rigIdle || waited > rigIdle+time.Second {
				t.Errorf("a silent server was left after %s; the idle timeout is %s", waited, rigIdle)
			}
			r.expectQuiet()
		}
	})
	s.scenario(t, "a slow consumer is no stall", func(t *testing.T, r *rig) {
		r.play(whole(s.Play(brief())))
		for c, err := range r.model.Generate(t.Context(), withTools()) {
			if err != nil {
				t.Fatalf("after a pause: %v", err)
			}
			if c.Delta != nil {
				time.Sleep(2 * rigIdle)
			}
		}
	})
}

func (s *ModelSuite) testCancel(t *testing.T) {
	s.scenario(t, "cancel", func(t *testing.T, r *rig) {
		w := s.Play(brief())
		for i := range max(len(w.Frames)-1, 1) {
			r.play(script{wire: w, frames: i, after: fallSilent})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			o := r.generate(ctx, withTools())
			cancel()
			if o.err == nil {
				s.completeOrError(r, o, brief(), i)
				continue
			}
			if !errors.Is(o.err, context.DeadlineExceeded) {
				t.Errorf("the error does not say that the context ended: %v", o.err)
			}
			if waited := time.Since(start); waited > 2*time.Second {
				t.Errorf("the call ended %s after it was cancelled", waited-time.Second)
			}
			r.expectQuiet()
		}
	})
	s.scenario(t, "break", func(t *testing.T, r *rig) {
		w := s.Play(brief())
		for i := 1; i < len(w.Frames); i++ {
			r.play(script{wire: w, frames: i, after: fallSilent})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			for range r.model.Generate(ctx, withTools()) {
				break
			}
			cancel()
			r.expectQuiet()
		}
	})
	s.scenario(t, "panic in the loop", func(t *testing.T, r *rig) {
		r.play(whole(s.Play(brief())))
		func() {
			defer func() { recover() }()
			for range r.model.Generate(t.Context(), withTools()) {
				panic("the consumer's")
			}
		}()
		r.expectQuiet()
	})
}

func (s *ModelSuite) testContract(t *testing.T) {
	s.scenario(t, "lazy", func(t *testing.T, r *rig) {
		r.play(whole(s.Play(brief())))
		seq := r.model.Generate(t.Context(), withTools())
		r.expectQuiet()
		if n := len(r.arrived()); n != 0 {
			t.Fatalf("%d requests were sent before the first iteration", n)
		}
		for range seq {
			break
		}
		if n := len(r.arrived()); n != 1 {
			t.Errorf("%d requests were sent by the first iteration", n)
		}
	})
	s.scenario(t, "cancelled before", func(t *testing.T, r *rig) {
		r.play(whole(s.Play(brief())))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if o := r.generate(ctx, hello()); !errors.Is(o.err, context.Canceled) {
			t.Errorf("a context that had ended gave %v", o.err)
		}
	})
	s.testConcurrent(t)
	s.scenario(t, "describe", func(t *testing.T, r *rig) {
		if info := strands.Describe(r.model); info.Provider == "" || info.ID == "" {
			t.Errorf("the model describes itself as %+v", info)
		}
	})
	s.scenario(t, "byte-stable", func(t *testing.T, r *rig) {
		r.play(whole(s.Play(brief())))
		for range 3 {
			r.generate(t.Context(), withTools()).mustReply(t)
		}
		sent := r.arrived()
		for _, other := range sent[1:] {
			if !reflect.DeepEqual(sent[0], other) {
				t.Errorf("the same request was sent in two ways, which no prompt cache forgives:\n%s\n%s", sent[0].Body, other.Body)
			}
		}
	})
}

func (s *ModelSuite) testConcurrent(t *testing.T) {
	s.scenario(t, "concurrent", func(t *testing.T, r *rig) {
		a := s.long()
		r.play(whole(s.Play(a)))
		req := withTools()
		replies := make([]*strands.Reply, 8)
		var wg sync.WaitGroup
		for i := range replies {
			wg.Go(func() {
				for c, err := range r.model.Generate(t.Context(), req) {
					if err != nil {
						t.Error(err)
					}
					replies[i] = c.Reply
				}
			})
		}
		wg.Wait()
		for _, reply := range replies {
			if reply == nil {
				t.Fatal("a call among several at once gave no reply")
			}
			s.sameReply(t, reply, a)
		}
	})
}
