package python

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strandsgo/strands/internal/frame"
)

// Undoer is an optional method set of a Session that was opened with
// Options.Undo.
type Undoer interface {
	// Undo drops what the last snippet did to the state: variables, modules,
	// everything in the interpreter's memory is as it was before, also when
	// the snippet crashed the interpreter. What else the snippet did is done;
	// Undone lists it.
	//
	// One snippet can be undone; the next must run before there is something
	// to undo again. The error is a *ForkError when there is nothing to go
	// back to; the state is as it was then.
	Undo(ctx context.Context) (*Undone, error)
}

// Undone is what a snippet did that could not be undone with it.
type Undone struct {
	FilesChanged []string       `json:"files_changed,omitempty"` // in the output folder, written or new; at most 500
	FilesRemoved []string       `json:"files_removed,omitempty"` // from there
	Calls        map[string]int `json:"calls,omitempty"`         // of Go functions, by name, and how often
	Sent         []string       `json:"sent,omitempty"`          // files that were handed out already
	Pictures     int            `json:"pictures,omitempty"`      // likewise
	Threads      []string       `json:"threads,omitempty"`       // of libraries, which went with the undone state
}

const toldFiles = 20

// String says it in words, for the model.
func (u *Undone) String() string {
	var b strings.Builder
	b.WriteString("The snippet was rolled back: variables and modules are as they were before it.")
	var left []string
	add := func(what string, names []string) {
		if len(names) > toldFiles {
			names = append(slices.Clone(names[:toldFiles]), fmt.Sprintf("… (%d in all)", len(names)))
		}
		if len(names) > 0 {
			left = append(left, what+" "+strings.Join(names, ", "))
		}
	}
	add("files changed:", u.FilesChanged)
	add("files removed:", u.FilesRemoved)
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(u.Calls)) {
		calls = append(calls, fmt.Sprintf("%s (%d)", name, u.Calls[name]))
	}
	add("calls made:", calls)
	add("files handed out:", u.Sent)
	if u.Pictures > 0 {
		left = append(left, fmt.Sprintf("%d pictures shown", u.Pictures))
	}
	if len(left) > 0 {
		fmt.Fprintf(&b, " Not undone: %s.", strings.Join(left, "; "))
	}
	if len(u.Threads) > 0 {
		fmt.Fprintf(&b, " Libraries lost threads (%s): one that hangs now needs a fresh session.", strings.Join(u.Threads, ", "))
	}
	return b.String()
}

// before is the state from before the last snippet, and what is known of that.
// The one who runs a snippet has it; its worker is guarded by the session's mu.
type before struct {
	worker *wire // nil = there is none
	why    error // the reason
	calls  map[string]int
	sent   []string
	shown  int
}

// missing says why there is no worker to go back to.
func (b *before) missing() error {
	if b.why == nil {
		return &ForkError{undo: true, Reason: "none has run since the last one was undone, or the state was reset"}
	}
	e, ok := errors.AsType[*ForkError](b.why)
	if !ok {
		return fmt.Errorf("python: cannot undo the snippet: %w", b.why)
	}
	told := *e
	told.undo = true
	return &told
}

// checkpoint keeps the state in w, if that is wanted. A snippet that cannot be
// undone is told so; the error is that of a worker that broke off.
func (s *session) checkpoint(ctx context.Context, w *wire) error {
	if !s.opts.Undo && !s.opts.Atomic {
		return nil
	}
	s.dropCheckpoint()
	copied, err := w.fork(ctx, s.opts.Limits.Memory)
	s.mu.Lock()
	closed := s.closed
	s.before = before{why: err}
	if !closed {
		s.before.worker = copied
	}
	s.mu.Unlock()
	if closed && copied != nil {
		_ = copied.close()
	}
	if _, told := errors.AsType[*ForkError](err); told {
		return nil
	}
	return err
}

// dropCheckpoint ends the worker that keeps the state.
func (s *session) dropCheckpoint() {
	s.mu.Lock()
	w := s.before.worker
	s.before.worker, s.before.why = nil, nil
	s.mu.Unlock()
	if w != nil {
		_ = w.close()
	}
}

// Undo implements Undoer.
func (s *session) Undo(ctx context.Context) (*Undone, error) {
	if !s.opts.Undo && !s.opts.Atomic {
		return nil, &ForkError{undo: true, Never: true, Reason: "the state from before it is not kept: open the session with Options.Undo"}
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	if s.isParked() {
		return nil, ErrBusy
	}
	return s.goBack(ctx)
}

// goBack puts the kept worker in the place of the present one.
func (s *session) goBack(ctx context.Context) (*Undone, error) {
	s.mu.Lock()
	b := s.before
	s.before = before{}
	s.mu.Unlock()
	if b.worker == nil {
		return nil, b.missing()
	}
	u := &Undone{Calls: b.calls, Sent: b.sent, Pictures: b.shown, Threads: b.worker.missing}
	if err := b.worker.news(ctx, u); err != nil {
		return nil, fmt.Errorf("python: the state from before the snippet is gone: %w", errors.Join(err, b.worker.close()))
	}
	s.mu.Lock()
	old, closed := s.wire, s.closed
	if !closed {
		s.wire, s.lost = b.worker, ""
	}
	s.mu.Unlock()
	if closed {
		old = b.worker
	}
	if old != nil {
		_ = old.close()
	}
	return u, nil
}

// news asks a worker that was set aside what became of the output folder. The
// end of ctx does not stop it: the state that is gone back to would be lost.
func (w *wire) news(ctx context.Context, u *Undone) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forkPatience)
	defer cancel()
	id, err := w.request(frame.News)
	if err != nil {
		return err
	}
	f, err := w.answer(ctx, id, frame.WhileTelling)
	if err != nil {
		return err
	}
	var told struct {
		Changed []string `json:"changed"`
		Removed []string `json:"removed"`
	}
	if err := parseJSON(f.Body, &told); err != nil {
		return err
	}
	for _, name := range slices.Concat(told.Changed, told.Removed) {
		if err := checkName(name); err != nil {
			return frame.Violationf("a file named %.80q", name)
		}
	}
	u.FilesChanged, u.FilesRemoved = told.Changed, told.Removed
	return nil
}

// rollBack notes what the snippet r did and, with Options.Atomic, undoes one
// that failed. It is true when the state is that from before.
func (s *session) rollBack(r *run, stopped, lost bool) bool {
	if !s.opts.Undo && !s.opts.Atomic {
		return false
	}
	s.mu.Lock()
	b := &s.before
	b.calls, b.sent, b.shown = r.calls.counts(), nil, len(r.res.Images)
	for _, f := range r.res.Files {
		b.sent = append(b.sent, f.Name)
	}
	why := b.why
	s.mu.Unlock()
	failed := stopped || r.res.Err != nil
	if why != nil {
		note := "this snippet cannot be undone: "
		if failed && s.opts.Atomic {
			note = "what this snippet has done is not rolled back: "
		}
		if e, ok := errors.AsType[*ForkError](why); ok {
			why = errors.New(e.Reason)
		}
		r.warn(note + why.Error())
		return false
	}
	if !failed || !s.opts.Atomic {
		return false
	}
	u, err := s.goBack(r.outer)
	if err != nil {
		r.warn("what this snippet has done is not rolled back: " + err.Error())
		return false
	}
	r.res.Undone = u
	if lost {
		r.res.StateLost, r.res.Lost = false, ""
	}
	r.warn(u.String())
	return true
}

// counts are the calls made, by name.
func (c *calls) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byName)
}
