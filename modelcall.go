package strands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// think makes one model call, repeated as hooks, the retry policy and the
// conversation manager want.
func (r *run) think() (*Reply, error) {
	failures, wished, recoveries := 0, 0, 0
	for attempt := 1; ; attempt++ {
		reply, again, err := r.attempt(attempt)
		if stop := r.stopped(); stop != nil {
			return nil, stop
		}
		switch {
		case errors.Is(err, errNotModel):
			return nil, err
		case again:
			if met(wished, r.limits.HookRetries) {
				return nil, r.limit("retries asked for by hooks", r.limits.HookRetries)
			}
			wished++
			continue
		case err == nil:
			return reply, nil
		}
		if recovered, recErr := r.recover(err, &recoveries); recErr != nil {
			return nil, recErr
		} else if recovered {
			if err := r.checkLimits(); err != nil {
				return nil, err
			}
			continue
		}
		failures++
		if !r.policy().retries(err, failures) {
			return nil, fmt.Errorf("strands: model call: %w", err)
		}
		if err := r.wait(attempt, failures, err); err != nil {
			return nil, err
		}
	}
}

// errNotModel marks what ends the run and is no matter of the retry policy.
var errNotModel = errors.New("not the model's error")

type notModelError struct{ error }

func (e notModelError) Unwrap() error   { return e.error }
func (e notModelError) Is(t error) bool { return t == errNotModel }

// attempt is one bracket of BeforeModelCall and AfterModelCall.
func (r *run) attempt(n int) (*Reply, bool, error) {
	req, err := r.request()
	if err != nil {
		return nil, false, notModelError{err}
	}
	hooks := r.hookList()
	b := &BeforeModelCall{Session: r.s, Request: req}
	if len(hooks) > 0 {
		b.ProjectedTokens = r.s.projectedTokens(req)
	}
	hookErr := before(r.workCtx(), hooks, "BeforeModelCall", b, func(h *Hooks) func(context.Context, *BeforeModelCall) error { return h.BeforeModelCall })
	var reply *Reply
	if err = hookErr; err == nil {
		reply, err = r.generate(b.Request)
	}
	if reply != nil {
		r.answeredBy(reply)
	}
	ctx, cancel := r.grace()
	defer cancel()
	a := &AfterModelCall{Session: r.s, Attempt: n, Reply: reply, Err: err}
	afterErr := after(ctx, hooks, "AfterModelCall", a, func(h *Hooks) func(context.Context, *AfterModelCall) error { return h.AfterModelCall })
	if e := errors.Join(hookErr, afterErr); e != nil {
		return nil, false, notModelError{e}
	}
	return reply, a.Retry, err
}

// answeredBy counts a model call.
func (r *run) answeredBy(reply *Reply) {
	r.cycles++
	r.addUsage(cmp.Or(reply.Model, Describe(r.model()).ID), reply.Usage)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency += reply.Message.Metadata.Latency
	if t := r.trace.last(); t != nil {
		t.Usage = t.Usage.Add(reply.Usage)
		t.Latency += reply.Message.Metadata.Latency
	}
}

// request says what the model is asked.
func (r *run) request() (*Request, error) {
	ts, err := r.toolset()
	if err != nil {
		return nil, err
	}
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	req := &Request{System: s.system, Messages: forModel(s.records), Tools: ts.specs}
	if r.in.System != nil {
		req.System = r.in.System
	}
	switch {
	case r.forced:
		req.Tools = []ToolSpec{r.output.Spec()}
		req.ToolChoice = ToolChoice{Tool: r.output.spec.Name}
	case !r.asked: // every time would never let the model answer
		req.ToolChoice = r.in.ToolChoice
	}
	return req, nil
}

func (r *run) model() Model {
	if r.in.Model != nil {
		return r.in.Model
	}
	return r.s.agent.cfg.Model
}

// generate is the model call itself. A model that panics has failed.
func (r *run) generate(req *Request) (reply *Reply, err error) {
	model := r.chat()
	var partial partials
	if r.output != nil {
		partial.tool = r.output.spec.Name
	}
	defer func() {
		if p := recover(); p != nil {
			r.s.agent.log.ErrorContext(r.ctx, "the model panicked", "panic", p, "stack", string(debug.Stack()))
			reply, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	r.asked = true
	for c, err := range model.Generate(r.workCtx(), req) {
		switch {
		case err != nil:
			return nil, err
		case reply != nil:
			return nil, brokenStream(model, "the stream went on after the reply")
		case c.Reply != nil:
			reply = new(*c.Reply)
		case c.Delta != nil:
			if err := r.showDelta(c.Delta, &partial); err != nil {
				return nil, err
			}
		}
	}
	if reply == nil {
		return nil, brokenStream(model, errNoReply.Error())
	}
	md := Metadata{Model: reply.Model, StopReason: reply.StopReason, Usage: reply.Usage, Latency: Duration(time.Since(model.start)), FirstToken: Duration(model.first)}
	if given := reply.Message.Metadata; given != nil {
		md.Custom = given.Custom
	}
	reply.Message.Metadata = &md
	return reply, nil
}

func (r *run) showDelta(d *Delta, p *partials) error {
	partial := p.add(d) // d is the receiver's once it is shown
	if err := r.emit(r.ctx, Event{Delta: d}); err != nil || partial == nil {
		return err
	}
	return r.emit(r.ctx, Event{Partial: &Partial{JSON: partial}})
}

func brokenStream(m Model, what string) error {
	info := Describe(m)
	return &ModelError{Kind: ModelTransient, Provider: info.Provider, Model: info.ID, Message: what}
}

func (r *run) chat() *chat { return &chat{Model: r.model(), run: r, own: r.in.Model == nil} }

func (r *run) policy() RetryPolicy { return r.s.agent.cfg.Retry }

// retries says whether the call may be repeated after so many failures.
func (p RetryPolicy) retries(err error, failures int) bool {
	if failures >= cmp.Or(p.Attempts, 6) {
		return false
	}
	if p.Retry != nil {
		return p.Retry(err)
	}
	me, ok := errors.AsType[*ModelError](err)
	return ok && me.Temporary()
}

// delay is the time to wait after so many failures, the last of which is err.
func (p RetryPolicy) delay(err error, failures int) time.Duration {
	longest := cmp.Or(p.MaxDelay, 240*time.Second)
	d := min(cmp.Or(p.Delay, 4*time.Second), longest)
	for range failures - 1 {
		d = min(2*d, longest)
	}
	if p.Jitter && d > 0 {
		d = rand.N(d)
	}
	if me, ok := errors.AsType[*ModelError](err); ok {
		d = max(d, min(me.RetryAfter, longest))
	}
	return d
}

// wait tells the caller and sleeps, unless the run is stopped.
func (r *run) wait(attempt, failures int, err error) error {
	d := r.policy().delay(err, failures)
	if err := r.emit(r.ctx, Event{Retry: &Retry{Attempt: attempt, Delay: Duration(d), Reason: err.Error()}}); err != nil {
		if stop := r.stopped(); stop != nil {
			return stop
		}
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		return r.stopped()
	}
}
