package strands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// act runs the calls of the last message that have no result yet, and appends
// the results in the order of the calls. A Result means that the run ends.
func (r *run) act(calls []*ToolCall) (*Result, error) {
	ts, err := r.toolset()
	if err != nil {
		return nil, err
	}
	if r.s.goesOn() {
		if err := r.store(); err != nil {
			return nil, err
		}
	}
	r.finished = r.s.takePending(r)
	asked, err := r.runCalls(ts, calls)
	if err == nil {
		err = r.stopped()
	}
	if err != nil {
		return nil, err
	}
	if asked != nil {
		return r.interrupt(asked)
	}
	m := UserMessage(answers(calls, r.finished, "The tool returned nothing.")...)
	if err := r.add(r.ctx, m); err != nil {
		return nil, err
	}
	if res, err := r.outputOf(calls); res != nil || err != nil || !r.finish.Swap(false) {
		return res, err
	}
	return r.result(StopToolUse), nil
}

type ended struct {
	call *ToolCall
	res  *ToolResult
	err  error
}

// runCalls runs the calls without a result, several at once, and puts their
// results into r.finished.
func (r *run) runCalls(ts *toolset, calls []*ToolCall) (asked *InterruptError, err error) {
	cfg := &r.s.agent.cfg
	limit := cmp.Or(cfg.MaxParallel, 8)
	if cfg.Sequential {
		limit = 1
	}
	todo := slices.DeleteFunc(slices.Clone(calls), func(c *ToolCall) bool { return r.finished[c.ID] != nil })
	ends := make(chan ended, len(todo))
	ctx := r.workCtx()
	for running := 0; ; {
		hold := err != nil || r.ctx.Err() != nil || cfg.Sequential && asked != nil
		if running < limit && len(todo) > 0 && !hold {
			go func(c *ToolCall) {
				e := ended{call: c, res: errorResult(c.ID, "The tool ended its goroutine.")}
				defer func() { ends <- e }() // also after runtime.Goexit
				e.res, e.err = r.call(ctx, ts.find(c.Name), c, nil)
			}(todo[0])
			todo = todo[1:]
			running++
			continue
		}
		if running == 0 {
			return asked, err
		}
		e := <-ends
		running--
		question, isQuestion := errors.AsType[*InterruptError](e.err)
		switch {
		case e.err == nil:
			r.finished[e.call.ID] = stored(e.res)
		case isQuestion:
			asked = asked.with(question)
		case err == nil:
			err = e.err
			r.cancel(err) // the others' results are of no use any more
		}
	}
}

// stored is what the history keeps of a result.
func stored(res *ToolResult) *ToolResult {
	return &ToolResult{CallID: res.CallID, IsError: res.IsError, Parts: res.Parts}
}

// call makes one call with its hooks and events. The error is that of a run
// that is over, a fatal one, or an *InterruptError. to, when not nil, gets the
// results of a StreamTool.
func (r *run) call(ctx context.Context, t Tool, call *ToolCall, to *sink) (res *ToolResult, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case <-r.done:
		return nil, errOver
	default:
	}
	ctx, span := r.startTool(ctx, t, call)
	defer func() { r.s.agent.tel.endTool(span, call, res, err) }()
	sc := scope{run: r, call: copyCall(call), root: call}
	if outer := scopeFrom(ctx); outer != nil && outer.root != nil {
		sc.root = outer.root
	}
	if a, ok := t.(interface {
		adjusted(rawJSON) (rawJSON, error)
	}); ok {
		if input, err := a.adjusted(call.Input); err == nil { // a hook that decides by it must see what the tool will
			sc.call.Input = input
		}
	}
	c := &toolRun{run: r, ctx: ctx, sc: sc, hooks: r.hookList(), to: to, id: call.ID, start: time.Now()}
	for retries := 0; ; retries++ {
		res, again, err := c.attempt(t)
		if err != nil {
			if isFatal(err) {
				c.count(true)
				err = r.fail(fmt.Errorf("strands: tool %s: %w", call.Name, err))
			}
			return nil, err
		}
		again = again && (to == nil || !to.begun) // what was handed out stays
		if again && met(retries, r.limits.HookRetries) {
			res, again = errorResult(c.id, fmt.Sprintf("Given up after %d retries.", retries)), false
		}
		if again {
			continue
		}
		c.count(res.IsError)
		if c.started {
			end := &ToolEnd{Call: copyCall(c.sc.call), Result: copyResult(res), Duration: Duration(time.Since(c.start))}
			r.show(Event{ToolEnd: end})
		}
		return res, nil
	}
}

// toolRun is a call under way.
type toolRun struct {
	run     *run
	ctx     context.Context
	sc      scope
	hooks   []Hooks
	to      *sink
	id      string
	start   time.Time
	started bool // the caller was told
}

func (c *toolRun) count(failed bool) {
	took := time.Since(c.start)
	c.run.s.agent.tel.meters.CountTool(c.ctx, c.sc.call.Name, took, failed)
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if t := c.run.trace.last(); t != nil && len(t.Tools) < keptTraces {
		t.Tools = append(t.Tools, c.sc.call.Name)
	}
	u := c.run.tools[c.sc.call.Name]
	u.Calls++
	if failed {
		u.Errors++
	}
	u.Duration += Duration(took)
	c.run.tools[c.sc.call.Name] = u
}

// attempt is one bracket of BeforeToolCall and AfterToolCall.
func (c *toolRun) attempt(t Tool) (*ToolResult, bool, error) {
	hookScope := c.sc
	hookScope.hook = true
	hookCtx := withScope(c.ctx, hookScope)
	b := &BeforeToolCall{Session: c.run.s, Call: c.sc.call, Tool: t}
	err := before(hookCtx, c.hooks, "BeforeToolCall", b, func(h *Hooks) func(context.Context, *BeforeToolCall) error { return h.BeforeToolCall })
	if b.Call != nil { // it may have been replaced
		c.sc.call = b.Call
	}
	c.sc.call.ID = c.id
	res := (*ToolResult)(nil)
	if err == nil && b.Cancel != "" {
		res = errorResult(c.id, b.Cancel)
	}
	if err == nil {
		err = c.tell()
	}
	if err == nil && res == nil {
		res, err = c.execute(b.Tool)
	}
	if ended := c.ctx.Err() != nil && err != nil && !isFatal(err); ended {
		err = overError{context.Cause(c.ctx)}
	}
	a := &AfterToolCall{Session: c.run.s, Call: c.sc.call, Tool: b.Tool, Err: err, Cancelled: b.Cancel != ""}
	a.Result = c.toResult(res, err)
	if hookErr := after(hookCtx, c.hooks, "AfterToolCall", a, func(h *Hooks) func(context.Context, *AfterToolCall) error { return h.AfterToolCall }); hookErr != nil {
		if isFatal(hookErr) {
			return nil, false, hookErr
		}
		if err == nil {
			return errorResult(c.id, hookErr.Error()), false, nil
		}
	}
	if ends(err) {
		return nil, false, err
	}
	return c.toResult(a.Result, nil), a.Retry, nil
}

// overError is the end of the run, or of the call from which a call was made.
type overError struct{ error }

func (e overError) Unwrap() error { return e.error }

// ends says whether err is more than an error result.
func ends(err error) bool {
	if _, ok := errors.AsType[*InterruptError](err); ok {
		return true
	}
	_, over := errors.AsType[overError](err)
	return over || isFatal(err)
}

// tell emits the start, once.
func (c *toolRun) tell() error {
	if c.started {
		return nil
	}
	c.started = true
	if err := c.run.emit(c.ctx, Event{ToolStart: copyCall(c.sc.call)}); err != nil {
		return overError{err}
	}
	return nil
}

// toResult makes what the model reads: never nil, never empty.
func (c *toolRun) toResult(res *ToolResult, err error) *ToolResult {
	if err != nil {
		return errorResult(c.id, cmp.Or(err.Error(), "The tool failed."))
	}
	if res == nil {
		return errorResult(c.id, "The tool returned nothing.")
	}
	r := *res
	r.CallID = c.id
	r.Parts = slices.DeleteFunc(slices.Clone(r.Parts), func(p Part) bool { return checkPart(p, "") != nil })
	if len(r.Parts) == 0 {
		r.Parts = []Part{Text("(no output)")}
	}
	return &r
}

// execute runs the tool itself.
func (c *toolRun) execute(t Tool) (res *ToolResult, err error) {
	if problem := callProblem(c.sc.call); problem != "" {
		return nil, errors.New(problem)
	}
	if t == nil {
		return nil, c.unknown()
	}
	ctx := withScope(c.ctx, c.sc)
	timeout := c.run.s.agent.cfg.ToolTimeout
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
		defer func() {
			if err != nil && c.ctx.Err() == nil && ctx.Err() != nil && !ends(err) {
				err = fmt.Errorf("the tool was stopped after %v: %w", timeout, err)
			}
		}()
	}
	defer c.recovered(&err)
	if st, ok := t.(StreamTool); ok {
		return c.stream(ctx, st)
	}
	return t.Call(ctx, c.sc.call)
}

// recovered makes an error of a panic.
func (c *toolRun) recovered(err *error) {
	if p := recover(); p != nil {
		c.run.s.agent.log.ErrorContext(c.ctx, "a tool panicked", "tool", c.sc.call.Name, "panic", p, "stack", string(debug.Stack()))
		*err = fmt.Errorf("panic: %v", p)
	}
}

func (c *toolRun) unknown() error {
	text := "Unknown tool: " + c.sc.call.Name + "."
	if c.sc.call.ParentID == "" {
		if ts, err := c.run.toolset(); err == nil && len(ts.specs) > 0 {
			names := make([]string, len(ts.specs))
			for i, s := range ts.specs {
				names[i] = s.Name
			}
			text += " There are: " + strings.Join(names, ", ") + "."
		}
	}
	return errors.New(text)
}

// stream shows each result of a StreamTool but the last, which it returns.
func (c *toolRun) stream(ctx context.Context, t StreamTool) (*ToolResult, error) {
	var last *ToolResult
	for res, err := range t.Stream(ctx, c.sc.call) {
		if err != nil {
			return nil, err
		}
		if c.to != nil {
			last = c.toResult(res, nil)
			if !c.to.take(last) {
				return last, nil
			}
			continue
		}
		if last != nil {
			for _, p := range last.Parts {
				if err := c.run.emit(ctx, Event{Output: &ToolOutput{CallID: c.id, Part: &p}}); err != nil {
					return nil, err
				}
			}
		}
		last = res
	}
	if c.to != nil {
		c.to.ended = true
	}
	if last == nil {
		last = &ToolResult{}
	}
	return last, nil
}

// sink takes the results of a StreamTool as they come.
type sink struct {
	yield func(*ToolResult, error) bool
	begun bool
	ended bool // yield must not be called any more
}

func (s *sink) take(res *ToolResult) bool {
	s.begun, s.ended = true, true // it may panic
	s.ended = !s.yield(res, nil)
	return !s.ended
}

func copyCall(c *ToolCall) *ToolCall {
	d := *c
	d.Input = slices.Clone(c.Input)
	return &d
}

func copyResult(r *ToolResult) *ToolResult {
	d := *r
	d.Parts = cloneParts(r.Parts)
	return &d
}
