package python

import (
	"context"
	"errors"
	"fmt"

	"github.com/strandsgo/strands"
)

// Trial is what Try made: the outcomes of candidate snippets, each run from
// the same state. The session itself has run none of them. Keep one, or
// Close the trial.
type Trial struct {
	Results []*Result // one for each candidate, in order

	s     *session
	forks []*session
}

// Try runs each candidate in a fork of s, one after the other. What they
// define is theirs alone; what they do besides (files, calls of Go functions)
// is done, see their Results and Trial.Keep. s must be a session of this package
// that can be forked, else the error is a *ForkError.
//
// A candidate that raises, or crashes its interpreter, has that in its Result.
// An error of Try itself, such as the end of ctx, leaves nothing open.
func Try(ctx context.Context, s Session, candidates ...string) (_ *Trial, err error) {
	own, ok := s.(*session)
	if !ok {
		return nil, &ForkError{Never: true, Reason: fmt.Sprintf("a %T cannot; use a session of the Sandboxed backend", s)}
	}
	t := &Trial{s: own}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	for _, code := range candidates {
		f, err := own.Fork(ctx)
		if err != nil {
			return nil, err
		}
		fork := f.(*session)
		t.forks = append(t.forks, fork)
		fork.opts.Atomic, fork.opts.Undo = false, false // the fork itself is what is dropped
		res, err := resultOf(ctx, fork, code)
		if err != nil {
			return nil, err
		}
		t.Results = append(t.Results, res)
	}
	return t, nil
}

func resultOf(ctx context.Context, s Session, code string) (*Result, error) {
	for o, err := range s.Exec(ctx, code) {
		if err != nil {
			return nil, err
		}
		if o.Result != nil {
			return o.Result, nil
		}
	}
	return nil, errors.New("python: the snippet ended without a result")
}

// Keep makes the state after candidate i that of the session, in place of what
// the session holds now, and closes the trial. The session goes on as it was
// when there is an error.
func (t *Trial) Keep(ctx context.Context, i int) error {
	if i < 0 || i >= len(t.forks) {
		return &strands.InputError{Field: "i", Reason: fmt.Sprintf("there is no candidate %d: %d are open", i, len(t.forks))}
	}
	if err := t.s.take(ctx, t.forks[i]); err != nil {
		return err
	}
	return t.Close()
}

// Close drops all candidates that were not kept. A second call does nothing.
func (t *Trial) Close() error {
	var errs []error
	for _, f := range t.forks {
		errs = append(errs, f.Close())
	}
	t.forks = nil
	return errors.Join(errs...)
}

// take makes the worker of fork its own, and ends its own one.
func (s *session) take(ctx context.Context, fork *session) error {
	for _, held := range []*session{s, fork} {
		if err := held.acquire(ctx); err != nil {
			return err
		}
		defer held.release()
	}
	if s.isParked() || fork.isParked() {
		return ErrBusy
	}
	fork.mu.Lock()
	w, lost := fork.wire, fork.lost
	fork.wire = nil
	fork.mu.Unlock()
	if w == nil {
		return &ForkError{Reason: "the candidate's state is lost; keep another one"}
	}
	s.dropCheckpoint()
	s.mu.Lock()
	old, closed := s.wire, s.closed
	if !closed {
		s.wire, s.lost = w, lost
	}
	s.mu.Unlock()
	if closed {
		return errors.Join(strands.ErrClosed, w.close())
	}
	if old != nil {
		return old.close()
	}
	return nil
}
