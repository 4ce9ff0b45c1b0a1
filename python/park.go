package python

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/strandsgo/strands"
)

// parkedFor is how long a snippet waits for a person before it is given up.
const parkedFor = time.Hour

var errParked = errors.New("the snippet waits for a person")

// park stops the snippet where it is, because a host call asks a person: a
// Python stack cannot be stored. When the other calls have ended the process
// is stopped, then the reader. It does not wait.
func (r *run) park() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.stop != nil {
		return
	}
	r.steps.Go(func() {
		select {
		case <-r.calls.idle:
		case <-r.over: // the code did not wait for the call
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stop != nil || !r.reading() {
			return
		}
		r.parking = true
		_ = stopProcess(r.w.proc.Pid()) // one that runs on only waits for its call
		_ = r.w.proc.Conn().SetReadDeadline(past)
	})
}

func (r *run) reading() bool {
	select {
	case <-r.over:
		return false
	default:
		return true
	}
}

// isParked says whether the reader has ended for the sake of parking, and not
// because of what it read.
func (r *run) isParked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parking && r.stop == nil && r.done == nil && errors.Is(r.readErr, os.ErrDeadlineExceeded)
}

// parked hands the run over to its session and returns the question; nil when
// the run has come to an end.
func (r *run) parked() error {
	if !r.isParked() {
		return nil
	}
	r.steps.Wait()
	r.calls.wg.Wait()
	r.clock.park()
	r.cancel(errParked)
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = nil
	if s.closed {
		return strands.ErrClosed
	}
	s.parked = r
	r.expiry = time.AfterFunc(parkedFor, func() {
		if s.acquire(context.Background()) == nil { // else somebody is about to resume or to unpark it
			defer s.release()
			s.unpark("the code before waited for a person for too long")
		}
	})
	return r.calls.question
}

// takeParked returns the snippet that waits, which waits no more; nil when none
// does. The lock is held.
func (s *session) takeParked() *run {
	r := s.parked
	s.parked = nil
	if r != nil {
		r.expiry.Stop() // it may be parked again, for as long
	}
	return r
}

// unpark gives up the snippet that waits, if there is one, and its state.
func (s *session) unpark(why string) {
	s.mu.Lock()
	r := s.takeParked()
	if r != nil && why != "" {
		s.lost = why
	}
	s.mu.Unlock()
	if r != nil {
		r.cancel(errors.New(why))
		_ = s.drop(r.w)
	}
}

func (s *session) isParked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parked != nil
}

// resume goes on with the snippet that waited for a person. It is false when
// there is none.
func (s *session) resume(ctx context.Context) (iter.Seq2[Output, error], bool) {
	if s.acquire(ctx) != nil {
		return nil, false
	}
	s.mu.Lock()
	r := s.takeParked()
	if r == nil || s.closed {
		s.busy = false
		s.mu.Unlock()
		return nil, false
	}
	s.run = r
	s.mu.Unlock()
	return func(yield func(Output, error) bool) {
		defer s.release()
		r.reopen(ctx)
		s.deliver(yield, r, false)
	}, true
}

// reopen undoes park, under another ctx.
func (r *run) reopen(ctx context.Context) {
	inner, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	r.outer, r.cancel = ctx, cancel
	r.queue, r.over = newQueue(), make(chan struct{})
	r.parking, r.readErr = false, nil
	r.mu.Unlock()
	r.text.Lock()
	r.alone, r.kicked = pollable, false
	r.text.Unlock()
	_ = r.w.proc.Conn().SetReadDeadline(time.Time{})
	r.clock.unpark()
	_ = continueProcess(r.w.proc.Pid()) // one that is gone is noticed by the reader
	r.calls.resume(inner)
}
