package strands

import (
	"context"
	"crypto/rand"
	"iter"
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
	sc.adopt(c)
	return sc.run.call(ctx, t, c, nil)
}

// InvokeStream is Invoke for a tool whose results are wanted as they come. The
// sequence is lazy. What the tool did wrong is its last result, with IsError.
// BeforeToolCall hooks run before the first result and AfterToolCall hooks
// after the last; these can neither change nor repeat what was yielded.
func InvokeStream(ctx context.Context, t StreamTool, c *ToolCall) iter.Seq2[*ToolResult, error] {
	return func(yield func(*ToolResult, error) bool) {
		to := &sink{yield: yield}
		var res *ToolResult
		var err error
		if sc := scopeFrom(ctx); sc != nil {
			sc.adopt(c)
			res, err = sc.run.call(ctx, t, c, to)
		} else {
			res, err = callPlain(ctx, streamed{t, to}, c)
		}
		if !to.ended {
			yield(res, err)
		}
	}
}

// streamed is a StreamTool outside of a run, that hands its results out.
type streamed struct {
	StreamTool
	to *sink
}

func (s streamed) Call(ctx context.Context, c *ToolCall) (*ToolResult, error) {
	last := &ToolResult{CallID: c.ID}
	for res, err := range s.Stream(ctx, c) {
		if err != nil {
			return nil, err
		}
		if last = res; !s.to.take(res) {
			break
		}
	}
	s.to.ended = true
	return last, nil
}

// adopt makes c a call of the running one.
func (sc *scope) adopt(c *ToolCall) {
	if c.ParentID == "" && sc.call != nil {
		c.ParentID = sc.call.ID
	}
	if c.ID == "" {
		c.ID = newCallID()
	}
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

// Finish ends the run once the tool calls of this reply have their results,
// with StopToolUse: the model is not asked again. Outside a run it does
// nothing.
func Finish(ctx context.Context) {
	if sc := scopeFrom(ctx); sc != nil {
		sc.run.finish.Store(true)
	}
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
