package python

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/sandbox"
)

// ErrBusy: the session is running a snippet. One session runs one at a time.
var ErrBusy = errors.New("python: the session is running a snippet")

const (
	protocolVersion = 1
	defaultTimeout  = 180 * time.Second
	maxSource       = 16 << 20
)

// session is the host's side of a REPL. Its worker processes come and go; it
// owns the one that is there, and what is known about the state in it.
type session struct {
	launch  func(ctx context.Context, progress func(string)) (sandbox.Process, error)
	pooled  func() *wire // a worker that is ready; nil when there is none
	opts    Options      // with defaults
	table   []function
	config  configuration
	forget  func(*session) // the backend's list of sessions
	timings timings
	forks   forks
	before  before // of the last snippet

	mu     sync.Mutex
	busy   bool
	closed bool
	wire   *wire  // nil = the next request starts one
	run    *run   // the snippet under way
	parked *run   // the snippet that waits for a person; then run is nil
	lost   string // a loss of state that no result has told of
}

// timings are the steps of an interrupt.
type timings struct {
	again time.Duration // from the first signal to the second
	kill  time.Duration // from the second to the end, with a third half way
	watch time.Duration // how long the processor time is watched afterwards
	looks int           // meanwhile
}

var defaultTimings = timings{again: 500 * time.Millisecond, kill: time.Second, watch: 200 * time.Millisecond, looks: 10}

// Exec implements Session.
func (s *session) Exec(ctx context.Context, code string) iter.Seq2[Output, error] {
	return func(yield func(Output, error) bool) {
		if err := s.acquire(ctx); err != nil {
			yield(Output{}, err)
			return
		}
		defer s.release()
		if len(code) > maxSource {
			yield(Output{}, fmt.Errorf("python: a snippet of %d bytes; at most %d can be run", len(code), maxSource))
			return
		}
		r, err := s.begin(ctx, code, yield)
		if r != nil && s.deliver(yield, r, true) {
			if r, err = s.begin(ctx, code, yield); r != nil {
				s.deliver(yield, r, false)
			}
		}
		if r == nil && !errors.Is(err, errConsumerGone) {
			yield(Output{}, err)
		}
	}
}

// deliver drives r and yields its end. It is true when r is to be run again,
// which retry allows: it never began, because its session on another machine
// was gone.
func (s *session) deliver(yield func(Output, error) bool, r *run, retry bool) (again bool) {
	res, err := r.drive(yield)
	if t, remote := r.w.proc.(*tunnel); remote && retry && err == nil && res.StateLost {
		if why, unbegun := t.why(); unbegun {
			s.noteLoss(why)
			return true
		}
	}
	switch {
	case errors.Is(err, errConsumerGone):
	case err != nil:
		yield(Output{}, err)
	default:
		yield(Output{Result: res}, nil)
	}
	return false
}

// errConsumerGone: the one who ranged has left.
var errConsumerGone = errors.New("python: the consumer stopped")

// begin brings a worker and starts the snippet on it.
func (s *session) begin(ctx context.Context, code string, yield func(Output, error) bool) (*run, error) {
	gone := false
	progress := func(text string) {
		if s.opts.Progress != nil {
			s.opts.Progress(text)
		}
		if !gone {
			gone = !yield(Output{Progress: text}, nil)
		}
	}
	s.unpark("the code before was waiting for a person and has been given up")
	for range 2 {
		w, err := s.ready(ctx, progress)
		if gone {
			return nil, errConsumerGone
		}
		if err != nil {
			return nil, err
		}
		fresh := !w.used
		var r *run
		if err = s.checkpoint(ctx, w); err == nil {
			r, err = s.start(ctx, w, code)
		}
		if err == nil {
			return r, nil
		}
		if errors.Is(err, strands.ErrClosed) {
			return nil, err
		}
		// The worker died, or broke the rules, while nothing ran in it. What
		// was in it is gone, but this snippet has not begun.
		why := s.bury(w, err)
		if !fresh {
			s.noteLoss(why)
		}
	}
	return nil, errors.New("python: the Python worker ends as soon as it is started")
}

// ready returns the session's worker, starting one when there is none.
func (s *session) ready(ctx context.Context, progress func(string)) (*wire, error) {
	s.mu.Lock()
	w := s.wire
	s.mu.Unlock()
	if w != nil {
		return w, nil
	}
	if s.pooled != nil {
		w = s.pooled()
	}
	if w == nil {
		var err error
		if w, err = s.fresh(ctx, progress); err != nil {
			return nil, err
		}
	}
	if err := w.putInputs(ctx, s.opts.Inputs); err != nil {
		return nil, errors.Join(err, w.close())
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.wire = w
	}
	s.mu.Unlock()
	if closed {
		return nil, errors.Join(strands.ErrClosed, w.close())
	}
	return w, nil
}

// fresh starts a worker.
func (s *session) fresh(ctx context.Context, progress func(string)) (*wire, error) {
	proc, err := s.launch(ctx, progress)
	if err != nil {
		return nil, err
	}
	config, err := s.config.message(workDir(proc))
	if err != nil {
		return nil, errors.Join(err, proc.Close())
	}
	return connect(ctx, proc, config, s.opts.Limits.Memory)
}

// workDir is the output folder as the worker sees it.
func workDir(p sandbox.Process) string {
	if t, ok := p.(*tunnel); ok {
		return t.work
	}
	if p.Dir() == "" {
		return "/work"
	}
	return filepath.Join(p.Dir(), "work")
}

// bury ends a worker that is of no use any more and says what became of it.
func (s *session) bury(w *wire, err error) string {
	words := w.lossWords(err, s.opts.Limits)
	s.drop(w)
	return words
}

// drop ends the worker w; the next request starts another.
func (s *session) drop(w *wire) error {
	s.mu.Lock()
	if s.wire == w {
		s.wire = nil
	}
	s.mu.Unlock()
	return w.close()
}

func (s *session) noteLoss(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = why
}

// takeLoss returns a loss that has not been told yet.
func (s *session) takeLoss() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.lost
	s.lost = ""
	return why
}

func (s *session) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return strands.ErrClosed
	case s.busy:
		return ErrBusy
	}
	s.busy = true
	return nil
}

func (s *session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
}

// Reset implements Session. The old worker ends now; the fresh one is started
// by the next request.
func (s *session) Reset(ctx context.Context) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	s.unpark("")
	s.mu.Lock()
	w := s.wire
	s.lost = ""
	s.mu.Unlock()
	s.dropCheckpoint()
	if w == nil || !w.used {
		return nil
	}
	if err := s.drop(w); err != nil {
		return fmt.Errorf("python: ending the old state: %w", err)
	}
	return nil
}

// Close implements Session. It does not wait for the one who ranges over a
// snippet: that may be its own caller.
func (s *session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	w, r := s.wire, s.run
	s.wire = nil
	s.takeParked() // its worker ends below
	s.mu.Unlock()
	if s.forget != nil {
		s.forget(s)
	}
	if r != nil {
		r.abort(strands.ErrClosed)
	}
	s.dropCheckpoint()
	err := s.closeForks()
	if w != nil {
		err = errors.Join(err, w.close())
	}
	if err != nil {
		return fmt.Errorf("python: ending the interpreter: %w", err)
	}
	return nil
}

// start sends the snippet. A worker that is slow to take it keeps nobody from
// closing the session.
func (s *session) start(ctx context.Context, w *wire, code string) (*run, error) {
	r := newRun(ctx, s, w, newRunID())
	err := s.setRun(r)
	if err == nil {
		w.stray.attach(r.takeStray)
		err = w.requestAs(r.id, frame.Exec, []byte(code))
	}
	if err == nil {
		w.used = true
		return r, nil
	}
	r.giveUp(err)
	return nil, cmp.Or(s.setRun(nil), err)
}

// setRun notes what is under way.
func (s *session) setRun(r *run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = r
	if s.closed {
		s.run = nil
		return strands.ErrClosed
	}
	return nil
}
