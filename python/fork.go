package python

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/sandbox"
)

// Forker is an optional method set of a Session that can be copied while it
// lives.
type Forker interface {
	// Fork opens a session with the same state: what one of them defines from
	// then on, the other does not see. It takes milliseconds, whatever the
	// state holds, and copies memory only when one of the two writes to it.
	//
	// A fork is an ordinary session with limits of its own. It ends with its
	// Close, or with that of the session it comes from; a snippet that crashes
	// one leaves the other alone. Both draw the same random numbers from then
	// on (module random, and numpy's), and both have the same output folder
	// and the same files open.
	//
	// The error is a *ForkError when this session cannot be forked, or not
	// now; the session is as it was.
	Fork(ctx context.Context) (Session, error)
}

// ForkError says why a session was not forked, or an effect not undone.
type ForkError struct {
	Reason  string   // in words, with what to do
	Threads []string // that run, by name: a fork would not have them
	Tasks   []string // of asyncio, likewise
	Never   bool     // this session can never be forked

	undo  bool // it is about undoing
	again bool // the processes of forks that ended may still be counted
}

// Error implements error.
func (e *ForkError) Error() string {
	if e.undo {
		return "python: cannot undo the snippet: " + e.Reason
	}
	return "python: cannot fork the session: " + e.Reason
}

// forkPatience is how long a worker may take to fork.
const forkPatience = 10 * time.Second

// forkAgain is how long a fork is tried again that the limit of processes
// refuses.
const forkAgain = 2 * time.Second

// Fork implements Forker.
func (s *session) Fork(ctx context.Context) (Session, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	if s.isParked() {
		return nil, ErrBusy
	}
	w, err := s.ready(ctx, func(string) {})
	if err != nil {
		return nil, err
	}
	copied, err := s.copy(ctx, w)
	if err != nil {
		return nil, err
	}
	return s.adopt(copied)
}

// copy forks the worker w. One that breaks off in the middle is buried.
func (s *session) copy(ctx context.Context, w *wire) (*wire, error) {
	copied, err := w.fork(ctx, s.opts.Limits.Memory)
	if err == nil {
		return copied, nil
	}
	if _, kept := errors.AsType[*ForkError](err); !kept {
		used := w.used
		why := s.bury(w, err)
		if used {
			s.noteLoss(why)
		}
		err = fmt.Errorf("python: forking the session: %w (%s)", err, why)
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return nil, err
}

// adopt makes a session of a copied worker. It belongs to the first session of
// the family.
func (s *session) adopt(w *wire) (*session, error) {
	first := s
	if s.forks.of != nil {
		first = s.forks.of
	}
	f := &session{
		launch: s.launch, pooled: s.pooled, opts: s.opts, table: s.table, config: s.config, timings: s.timings, wire: w,
	}
	f.forks.of = first
	f.forget = func(f *session) {
		first.mu.Lock()
		defer first.mu.Unlock()
		delete(first.forks.open, f)
	}
	first.mu.Lock()
	closed := first.closed
	if !closed {
		if first.forks.open == nil {
			first.forks.open = map[*session]bool{}
		}
		first.forks.open[f] = true
	}
	first.mu.Unlock()
	if closed {
		return nil, errors.Join(strands.ErrClosed, w.close())
	}
	return f, nil
}

// forks is what a session knows of its forks.
type forks struct {
	of   *session          // the first session of the family; nil = this is it
	open map[*session]bool // of the first session; guarded by its mu
}

// closeForks ends the forks of a session that is being closed.
func (s *session) closeForks() error {
	s.mu.Lock()
	open := s.forks.open
	s.forks.open = nil
	s.mu.Unlock()
	var errs []error
	for f := range open {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// forkReply is what a worker says to a request to fork.
type forkReply struct {
	Refused *struct {
		Threads []string `json:"threads"`
		Tasks   []string `json:"tasks"`
		Message string   `json:"message"`
		Again   bool     `json:"again"` // it may do better in a moment
	} `json:"refused"`
	Idle []string `json:"idle"` // names of threads of libraries
}

// fork copies the worker. It is not of use any more after an error other than
// a *ForkError. The keeper of a session leaves forks that ended in the count of
// its processes for a moment, for the host to see how they did: so a fork that
// the limit refuses is tried again.
func (w *wire) fork(ctx context.Context, memory int64) (*wire, error) {
	began := time.Now()
	for {
		if ctx.Err() != nil {
			return nil, &ForkError{Reason: context.Cause(ctx).Error()}
		}
		copied, err := w.tryFork(ctx, memory)
		if e, ok := errors.AsType[*ForkError](err); !ok || !e.again || time.Since(began) > forkAgain {
			return copied, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(forkAgain / 50):
		}
	}
}

func (w *wire) tryFork(ctx context.Context, memory int64) (*wire, error) {
	forker, ok := w.proc.(sandbox.Forker)
	if !ok {
		return nil, &ForkError{Never: true, Reason: "only sessions of the Sandboxed backend at level " +
			string(sandbox.LevelNamespaces) + " can be copied; open it with that backend"}
	}
	// The end of ctx does not stop a fork in the middle: that would cost the
	// state, and it takes milliseconds.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forkPatience)
	defer cancel()
	var reply forkReply
	asked := false
	proc, err := forker.Fork(ctx, func() (err error) {
		asked = true
		reply, err = w.askFork(ctx)
		return err
	})
	if e, ok := errors.AsType[*sandbox.ForkError](err); ok {
		return nil, &ForkError{Reason: e.Reason, Never: e.Never}
	}
	if err != nil && !asked {
		return nil, &ForkError{Reason: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	copied, err := connect(ctx, proc, nil, memory)
	if err != nil {
		return nil, &ForkError{Reason: oneLine(clip(err.Error(), maxParamDoc))}
	}
	copied.used = w.used
	copied.missing = reply.Idle
	return copied, nil
}

// askFork makes the worker fork.
func (w *wire) askFork(ctx context.Context) (reply forkReply, err error) {
	id, err := w.request(frame.Fork)
	if err != nil {
		return reply, err
	}
	f, err := w.answer(ctx, id, frame.WhileForking)
	if err != nil {
		return reply, err
	}
	if err := parseJSON(f.Body, &reply); err != nil {
		return reply, err
	}
	if r := reply.Refused; r != nil {
		e := refusal(r.Threads, r.Tasks, r.Message)
		e.again = r.Again
		return reply, e
	}
	return reply, nil
}

// answer waits for the one frame that answers a request.
func (w *wire) answer(ctx context.Context, id frame.RunID, allowed string) (frame.Frame, error) {
	conn := w.proc.Conn()
	_ = conn.SetReadDeadline(time.Now().Add(forkPatience))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(past) })
	f, err := w.next(id, allowed)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	_ = conn.SetReadDeadline(time.Time{})
	return f, err
}

// refusal words what a worker says of itself. The names are the model's.
func refusal(threads, tasks []string, message string) *ForkError {
	e := &ForkError{Threads: lines(threads), Tasks: lines(tasks), Reason: oneLine(clip(message, maxParamDoc))}
	switch {
	case len(e.Tasks) > 0:
		e.Reason = fmt.Sprintf("%d asyncio tasks are pending (%s): await or cancel them first", len(e.Tasks), strings.Join(e.Tasks, ", "))
	case len(e.Threads) > 0 && message != "":
		e.Reason = fmt.Sprintf("%d threads of libraries are at work (%s): wait for them", len(e.Threads), strings.Join(e.Threads, ", "))
	case len(e.Threads) > 0:
		e.Reason = fmt.Sprintf("%d threads are running (%s): end or join them first", len(e.Threads), strings.Join(e.Threads, ", "))
	}
	return e
}

// lines makes names fit for one line.
func lines(names []string) []string {
	var short []string
	for _, name := range names[:min(len(names), 20)] {
		short = append(short, oneLine(clip(name, 100)))
	}
	return short
}
