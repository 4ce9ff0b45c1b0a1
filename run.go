package strands

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Why a run's context was cancelled.
var (
	errCancelled = errors.New("strands: cancelled by Session.Cancel")
	errLeft      = errors.New("strands: the caller left the run")
	errOver      = errors.New("strands: the run is over")
)

// graceTime is what storing the history, and hooks that end something, may
// take after the run's context has ended.
const graceTime = 10 * time.Second

// run is one run. It works on a goroutine of its own, so that hooks and tools
// can emit events to the one that ranges.
type run struct {
	s      *Session
	ctx    context.Context
	cancel context.CancelCauseFunc
	caller context.Context // the one that was handed in
	start  time.Time

	events chan Event
	gone   chan struct{} // closed when nobody takes events any more
	leave  func()        // closes gone
	done   chan struct{} // closed when all work has ended

	in         Input // of this round
	round      int
	limits     Limits
	extra      []Tool // of providers and the input
	output     *outputTool
	merged     *toolset // s.tools and extra
	mergedFrom *toolset

	silent   bool  // nobody listens to the spans of this run
	cycle    cycle // the one that is open
	cycles   int
	attempts int  // at a valid structured output
	forced   bool // the structured output was asked for
	asked    bool // the model was called in this round
	answered []Answer
	finish   atomic.Bool            // asked for by a tool or hook
	finished map[string]*ToolResult // of the calls of the last message
	reply    Message                // the last of the model
	value    []byte                 // the structured output

	mu      sync.Mutex // guards what calls on several goroutines change
	usage   Usage
	models  map[string]Usage // usage by model
	latency Duration         // of the model calls
	trace   RunTrace
	tools   map[string]ToolUse
	fatal   error

	res *Result
	err error
}

// Run answers in. See the package comment, "The Run contract".
// Hooks and tools get contexts made of ctx: what a program knows about this run
// travels in ctx's values, typed, and is never shown to the model.
func (s *Session) Run(ctx context.Context, in Input) iter.Seq2[Event, error] {
	var used atomic.Bool
	return func(yield func(Event, error) bool) {
		if used.Swap(true) {
			yield(Event{}, &InputError{Field: "Run", Reason: "its sequence can be ranged over once; call Run again"})
			return
		}
		r, err := s.begin(ctx, in)
		if err != nil {
			yield(Event{}, err)
			return
		}
		r.deliver(yield)
	}
}

// begin takes the session for a run, or says what is wrong and changes nothing.
func (s *Session) begin(ctx context.Context, in Input) (*run, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	r, err := s.claim(ctx, in, func() error { return s.accepts(in) })
	if err != nil {
		return nil, err
	}
	r.events = make(chan Event)
	return r, nil
}

// claim makes the session busy, unless it is, or accepts objects. Without a
// channel for events nobody sees them.
func (s *Session) claim(ctx context.Context, in Input, accepts func() error) (*run, error) {
	l := s.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if l.running != nil {
		return nil, ErrConcurrentInvocation
	}
	if accepts != nil {
		s.mu.Lock()
		err := accepts()
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	r := &run{
		s: s, caller: ctx, start: time.Now(), in: in,
		gone: make(chan struct{}), done: make(chan struct{}), tools: map[string]ToolUse{},
	}
	r.leave = sync.OnceFunc(func() { close(r.gone) })
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.ctx = withScope(r.ctx, scope{run: r})
	l.running = r
	return r, nil
}

// accepts says whether in fits to what the session waits for.
func (s *Session) accepts(in Input) error {
	if s.pending == nil {
		if len(in.Responses) > 0 {
			return &InputError{Field: "Responses", Reason: "the session is not interrupted"}
		}
		if len(in.Parts)+len(in.Messages)+len(s.records) == 0 {
			return &InputError{Field: "Input", Reason: "there is no message and no history to go on from"}
		}
		return nil
	}
	if len(in.Parts)+len(in.Messages) > 0 {
		return &InputError{Field: "Input", Reason: "the session is interrupted: set Responses, or call Abandon first"}
	}
	for i, a := range in.Responses {
		if !slices.ContainsFunc(s.pending.Interrupts, func(q Interrupt) bool { return q.ID == a.ID }) {
			return &InputError{Field: fmt.Sprintf("Responses[%d].ID", i), Reason: fmt.Sprintf("nothing with the id %q was asked", a.ID)}
		}
	}
	return nil
}

// deliver runs the work and yields its events.
func (r *run) deliver(yield func(Event, error) bool) {
	go r.work()
	ended := false
	defer func() { // on break, panic and Goexit of the caller: cancel first, then join
		if !ended {
			r.stop(errLeft)
			<-r.done
		}
	}()
	for !ended {
		select {
		case e := <-r.events:
			if !yield(e, nil) {
				return
			}
		case <-r.done:
			ended = true
		}
	}
	if r.err != nil {
		yield(Event{}, r.err)
		return
	}
	yield(Event{Result: r.res}, nil)
}

// stop cancels the work and lets nobody wait for the caller.
func (r *run) stop(cause error) {
	r.cancel(cause)
	r.leave()
}

// work is the whole run. The session is free again before done is closed.
func (r *run) work() {
	defer close(r.done)
	defer r.release()
	defer r.traced()()
	defer func() {
		if p := recover(); p != nil {
			r.s.agent.log.ErrorContext(r.ctx, "the run panicked", "panic", p, "stack", string(debug.Stack()))
			r.res, r.err = nil, fmt.Errorf("strands: panic: %v", p)
		}
	}()
	r.res, r.err = r.rounds()
}

func (r *run) release() {
	r.stop(errOver)
	r.s.account(r)
	l := r.s.life
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = nil
}

// emit hands e to the caller. ctx may end the wait.
func (r *run) emit(ctx context.Context, e Event) error {
	select {
	case <-r.gone: // a select picks at random
		return errOver
	default:
	}
	if r.events == nil {
		return nil
	}
	select {
	case r.events <- e:
		return nil
	case <-r.gone:
		return errOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// show is emit for what belongs to the history: the caller sees it, when there
// is still one, although the run was cancelled.
func (r *run) show(e Event) { _ = r.emit(context.Background(), e) }

// stopped returns why the run must not go on; nil when it may.
func (r *run) stopped() error {
	if r.ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(r.ctx)
	switch err := r.caller.Err(); {
	case isFatal(cause), errors.Is(cause, errCancelled), errors.Is(cause, ErrClosed), errors.Is(cause, errLeft):
		return cause
	case err == nil || errors.Is(cause, err):
		return fmt.Errorf("strands: the run was stopped: %w", cause)
	default:
		return fmt.Errorf("strands: the run was stopped: %w: %w", err, cause)
	}
}

// fail ends the run with err, whatever the tools make of it.
func (r *run) fail(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fatal == nil {
		r.fatal = err
	}
	r.cancel(err)
	return err
}

// grace returns a context for what must be done although the run's context
// ends: it ends some time later.
func (r *run) grace() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	stop := context.AfterFunc(r.ctx, func() { time.AfterFunc(graceTime, cancel) })
	return ctx, func() {
		stop()
		cancel()
	}
}

// rounds runs the input, and then what AfterInvocation hooks ask for.
func (r *run) rounds() (*Result, error) {
	for round := 0; ; round++ {
		res, resume, err := r.invocation()
		if resume == nil || r.stopped() != nil {
			return res, err
		}
		if err := resume.check(); err != nil {
			return nil, fmt.Errorf("resume: %w", err)
		}
		r.s.mu.Lock()
		err = r.s.accepts(*resume)
		r.s.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("resume: %w", err)
		}
		if met(round, r.limits.Resumes) {
			return nil, &LimitError{Limit: "resumed rounds", Max: r.limits.Resumes, Result: r.result(StopLimit)}
		}
		r.in, r.round = *resume, round+1
	}
}

// invocation is one round: from BeforeInvocation to AfterInvocation.
func (r *run) invocation() (*Result, *Input, error) {
	hooks := r.hookList()
	b := &BeforeInvocation{Session: r.s, Messages: r.in.messages()}
	err := before(r.ctx, hooks, "BeforeInvocation", b, func(h *Hooks) func(context.Context, *BeforeInvocation) error { return h.BeforeInvocation })
	var res *Result
	if err == nil {
		res, err = r.answerTo(b.Messages)
	}
	res, err = r.settle(res, err)

	ctx, cancel := r.grace()
	defer cancel()
	a := &AfterInvocation{Session: r.s, Result: res, Err: err}
	if afterErr := after(ctx, hooks, "AfterInvocation", a, func(h *Hooks) func(context.Context, *AfterInvocation) error { return h.AfterInvocation }); afterErr != nil {
		res, err = nil, errors.Join(err, afterErr)
	}
	if manageErr := r.manage(ctx, true); manageErr != nil && err == nil {
		res, err = nil, manageErr
	}
	if res != nil {
		res.Usage = r.usage // with what the hooks and the manager used
	}
	if storeErr := r.s.store(ctx); storeErr != nil && !errors.Is(err, ErrConflict) {
		res, err = nil, errors.Join(err, storeErr)
	}
	return res, a.Resume, err
}

// settle leaves a valid history behind, however the round ended, and says what
// its outcome is.
func (r *run) settle(res *Result, err error) (*Result, error) {
	why := r.stopped()
	ctx, cancel := r.grace()
	defer cancel()
	missing := "The tool call did not finish: the run was stopped."
	if errors.Is(why, errCancelled) {
		missing = "The tool call was cancelled."
	}
	m, open := r.s.unanswered(r.finished, missing)
	if open {
		err = errors.Join(err, r.add(ctx, m))
	}
	if why == nil {
		return res, err
	}
	if errors.Is(why, errCancelled) && r.fatal == nil {
		if !open && r.s.lastRole() == User { // else the model would answer this question beside the next one
			r.reply = AssistantMessage(Text("Cancelled by user."))
			if err := r.add(ctx, r.reply); err != nil {
				return nil, err
			}
		}
		return r.result(StopCancelled), nil
	}
	if r.fatal != nil {
		return nil, r.fatal
	}
	return nil, why
}

// result makes the Result of what there is until now.
func (r *run) result(reason StopReason) *Result {
	questions := r.s.questions()
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &Result{
		StopReason: reason, Message: r.reply.Clone(), Usage: r.usage, Cycles: r.cycles,
		Duration: Duration(time.Since(r.start)), Output: r.value, Tools: maps.Clone(r.tools),
	}
	if reason == StopInterrupt {
		res.Interrupts = questions
	}
	return res
}
