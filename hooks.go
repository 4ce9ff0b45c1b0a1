package strands

import (
	"context"
)

// Hooks are functions that a run calls at its turning points; nil ones are
// skipped. Several Hooks may be registered: Before and Added functions run in
// the order of registration, After functions in reverse, so that they nest
// like brackets. Whenever a Before function of an event ran, all After
// functions of that event run too, errors or not; those of hooks whose Before
// was not reached as well. Which hooks those are is decided when the event
// begins.
//
// Hooks run on the goroutine of what they observe: those of tool calls on
// several at once. They must be safe for concurrent use. An error that a hook
// returns ends the run (after the After functions), wrapped with the name of
// the event; in BeforeToolCall and AfterToolCall only one made by Fatal does,
// any other is an error result of that call. A panic is such an error. A
// BeforeToolCall function may also ask a person, see RequestInput.
//
// When the run was stopped, the ctx of AfterInvocation and AfterModelCall has
// some seconds left; that of AfterToolCall has ended.
type Hooks struct {
	BeforeInvocation func(context.Context, *BeforeInvocation) error
	AfterInvocation  func(context.Context, *AfterInvocation) error
	MessageAdded     func(context.Context, *MessageAdded) error
	BeforeModelCall  func(context.Context, *BeforeModelCall) error
	AfterModelCall   func(context.Context, *AfterModelCall) error
	BeforeToolCall   func(context.Context, *BeforeToolCall) error
	AfterToolCall    func(context.Context, *AfterToolCall) error
}

// BeforeInvocation comes at the start of a run, before its input is added.
type BeforeInvocation struct {
	Session  *Session
	Messages []Message // writable: what will be appended
}

// AfterInvocation comes at the end of a run.
type AfterInvocation struct {
	Session *Session
	Result  *Result // nil when Err is set and there was nothing
	Err     error
	Resume  *Input // writable: go on with this in the same run
}

// MessageAdded comes after a message was appended to the history.
type MessageAdded struct {
	Session *Session
	Message *Message // a copy
}

// BeforeModelCall comes before each attempt at a model call.
type BeforeModelCall struct {
	Session         *Session
	Request         *Request // writable; the history itself is changed through Session
	ProjectedTokens int      // estimate of the input; 0 when unknown
}

// AfterModelCall comes after each attempt at a model call. Exactly one of
// Reply and Err is set.
type AfterModelCall struct {
	Session *Session
	Attempt int // from 1
	Reply   *Reply
	Err     error
	Retry   bool // writable: drop this outcome and call again
}

// BeforeToolCall comes before each tool call, those from Python code included
// (Call.ParentID is set), and those of tools that do not exist (Tool is nil).
type BeforeToolCall struct {
	Session *Session
	Call    *ToolCall // writable, except ID; Input is as the tool will read it, when it is valid
	Tool    Tool      // writable: run this instead
	Cancel  string    // writable: do not run; this is the error result
}

// AfterToolCall comes after each tool call.
type AfterToolCall struct {
	Session   *Session
	Call      *ToolCall
	Tool      Tool
	Result    *ToolResult // writable; without effect when Err ends the run or is an *InterruptError
	Err       error       // what the tool or a BeforeToolCall hook returned, when it failed
	Cancelled bool        // by BeforeToolCall
	Retry     bool        // writable: drop this result and call again
}
