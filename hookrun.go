package strands

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
)

// hookList returns the hooks that apply now, first registered first. A caller
// takes one list for a Before and its After, so that they stay a pair when
// hooks come and go in between.
func (r *run) hookList() []Hooks {
	s := r.s
	s.mu.Lock()
	own := s.hooks
	s.mu.Unlock()
	base, more := s.agent.cfg.Hooks, r.in.Hooks
	if len(own)+len(more) == 0 {
		return base
	}
	all := slices.Clone(base)
	for _, h := range own {
		all = append(all, *h)
	}
	return append(all, more...)
}

// before runs the functions that pick finds in order until one fails. One that
// asks a person does not keep the others from asking too.
func before[E any](ctx context.Context, hooks []Hooks, name string, e *E, pick func(*Hooks) func(context.Context, *E) error) error {
	var asked *InterruptError
	for i := range hooks {
		f := pick(&hooks[i])
		if f == nil {
			continue
		}
		err := guarded(ctx, name, f, e)
		if ie, ok := errors.AsType[*InterruptError](err); ok {
			asked = asked.with(ie)
			continue
		}
		if err != nil {
			return err
		}
	}
	if asked != nil {
		return asked
	}
	return nil
}

// after runs all functions that pick finds in reverse order.
func after[E any](ctx context.Context, hooks []Hooks, name string, e *E, pick func(*Hooks) func(context.Context, *E) error) error {
	var errs []error
	for i := range slices.Backward(hooks) {
		if f := pick(&hooks[i]); f != nil {
			errs = append(errs, guarded(ctx, name, f, e))
		}
	}
	return errors.Join(errs...)
}

// guarded calls f. Its error is wrapped with the event's name, a panic is an
// error.
func guarded[E any](ctx context.Context, name string, f func(context.Context, *E) error, e *E) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if sc := scopeFrom(ctx); sc != nil {
				sc.run.s.agent.log.ErrorContext(ctx, "a hook panicked", "event", name, "panic", p, "stack", string(debug.Stack()))
			}
			err = fmt.Errorf("hook %s: panic: %v", name, p)
		}
	}()
	if err := f(ctx, e); err != nil {
		return fmt.Errorf("hook %s: %w", name, err)
	}
	return nil
}
