package strands

import (
	"context"
	"crypto/rand"
)

// scope is what a run puts into the context of its tools and hooks.
type scope struct {
	run  *run
	call *ToolCall // the running call; nil in hooks of the run itself
	root *ToolCall // the model's call under which call runs
	hook bool      // a hook of call is running, not its tool
}

func newCallID() string { return "call_" + rand.Text() }

type scopeKey struct{}

func scopeFrom(ctx context.Context) *scope {
	sc, _ := ctx.Value(scopeKey{}).(*scope)
	return sc
}

func withScope(ctx context.Context, sc scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, &sc)
}

// Invoke makes a call from inside a tool: the same hooks, limits, events and
// traces see it as those of the model. c.ParentID is set to the running call
// when it is empty, c.ID to a new one. Outside a run it just calls t. A nil t
// is a tool that does not exist, unless a hook provides one.
//
// The error is that of a run that is over, one made by Fatal, or an
// *InterruptError; everything else is in the result. A tool that gets an
// error returns it unchanged.
func Invoke(ctx context.Context, t Tool, c *ToolCall) (*ToolResult, error) {
	sc := scopeFrom(ctx)
	if sc == nil {
		return callPlain(ctx, t, c)
	}
	if c.ParentID == "" && sc.call != nil {
		c.ParentID = sc.call.ID
	}
	if c.ID == "" {
		c.ID = newCallID()
	}
	return sc.run.call(ctx, t, c)
}

// Emit sends e to the one who ranges over the run, on that goroutine, and
// waits until it was taken. ToolOutput.CallID is set to the running call when
// it is empty. It fails once the run is over. Outside a run it does nothing.
func Emit(ctx context.Context, e Event) error {
	sc := scopeFrom(ctx)
	if sc == nil {
		return nil
	}
	if e.Result != nil || e.Message != nil {
		return &InputError{Field: "Event", Reason: "Message and Result are the run's own"}
	}
	if e.Output != nil && e.Output.CallID == "" && sc.call != nil {
		out := *e.Output
		out.CallID = sc.call.ID
		e.Output = &out
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return sc.run.emit(ctx, e)
}

// SessionFrom returns the session on whose behalf a tool or hook runs; nil
// outside.
func SessionFrom(ctx context.Context) *Session {
	if sc := scopeFrom(ctx); sc != nil {
		return sc.run.s
	}
	return nil
}

// CallFrom returns the tool call that is running; nil outside.
func CallFrom(ctx context.Context) *ToolCall {
	if sc := scopeFrom(ctx); sc != nil {
		return sc.call
	}
	return nil
}
