package strands

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Event is one thing that happened in a run. Exactly one field is set. What it
// points to is the receiver's: the run does not touch it afterwards.
type Event struct {
	Delta     *Delta      `json:"delta,omitempty"`     // the model is writing
	Partial   *Partial    `json:"partial,omitempty"`   // the structured output as far as it is written
	ToolStart *ToolCall   `json:"toolStart,omitempty"` // a tool begins; ParentID is set for a call made by Python code
	Output    *ToolOutput `json:"output,omitempty"`    // a running tool shows something
	ToolEnd   *ToolEnd    `json:"toolEnd,omitempty"`   // a tool has ended
	Message   *Message    `json:"message,omitempty"`   // appended to the history
	Retry     *Retry      `json:"retry,omitempty"`     // the model call will be repeated
	Interrupt *Interrupt  `json:"interrupt,omitempty"` // a person is asked
	Result    *Result     `json:"result,omitempty"`    // the end, always last
}

// Partial is a structured output that is being written: a JSON object, not
// checked, whose last string may be cut. Each replaces the one before; there
// are fewer of them the longer it gets.
type Partial struct {
	JSON json.RawMessage `json:"json"`
}

// ToolOutput is something a running tool shows before its result: the REPL's
// streams, values and pictures as they come. Exactly one field beside CallID
// is set.
type ToolOutput struct {
	CallID   string `json:"callId"`
	Stdout   string `json:"stdout,omitempty"`
	Stderr   string `json:"stderr,omitempty"`
	Value    string `json:"value,omitempty"`    // a snippet's last expression, as Python shows it
	Image    *Media `json:"image,omitempty"`    // a picture
	File     *File  `json:"file,omitempty"`     // a file written
	Progress string `json:"progress,omitempty"` // long work: what is being done
	Part     *Part  `json:"part,omitempty"`     // from a StreamTool
	Inner    *Event `json:"inner,omitempty"`    // from an agent used as a tool
}

// File is a file that code wrote. It lives in the tool's own place; whoever
// made it can read it out.
type File struct {
	Name string `json:"name"` // relative to the output folder, slashes
	MIME string `json:"mime"`
	Size int64  `json:"size"` // bytes
}

// ToolEnd is the end of a tool call.
type ToolEnd struct {
	Call     *ToolCall   `json:"call"`
	Result   *ToolResult `json:"result"`
	Duration Duration    `json:"duration"`
}

// Retry is a model call that failed and will be repeated after Delay.
type Retry struct {
	Attempt int      `json:"attempt"` // of the call that failed, from 1
	Delay   Duration `json:"delay"`
	Reason  string   `json:"reason"`
}

// Interrupt is a question to a person, asked by a hook or a tool. The run ends
// with StopInterrupt; Session.Run with an InterruptResponse goes on with it.
type Interrupt struct {
	ID       string `json:"id"` // the same for the same question of the same call
	Name     string `json:"name"`
	Reason   any    `json:"reason,omitempty"`
	CallID   string `json:"callId,omitempty"`
	ParentID string `json:"parentId,omitempty"` // the model's call under which that call was made; "" when it is the model's
}

// InterruptResponse answers an Interrupt.
type InterruptResponse struct {
	ID       string `json:"id"`
	Response any    `json:"response"`
}

// Result is the outcome of a run.
type Result struct {
	StopReason StopReason  `json:"stopReason"`
	Message    Message     `json:"message"` // the last one of the model
	Usage      Usage       `json:"usage"`   // of this run, every attempt counted
	Cycles     int         `json:"cycles"`  // model calls that were answered
	Duration   Duration    `json:"duration"`
	Interrupts []Interrupt `json:"interrupts,omitempty"`
	Artifacts  []Artifact  `json:"artifacts,omitempty"` // hooks add them in AfterInvocation

	// Tools counts the calls of this run by the tools' names, those made by
	// other tools included.
	Tools map[string]ToolUse `json:"tools,omitempty"`

	// Output is the structured output that was asked for, valid against its
	// schema; nil when none was. AskFor decodes it.
	Output json.RawMessage `json:"output,omitempty"`
}

// ToolUse counts the calls of a tool.
type ToolUse struct {
	Calls    int      `json:"calls"`
	Errors   int      `json:"errors,omitempty"` // of Calls
	Duration Duration `json:"duration"`         // of all together
}

// Text is what the model said at the end.
func (r *Result) Text() string { return r.Message.Text() }

// String is what a program prints: the questions of an interrupted run, else
// the structured output, else the text.
func (r *Result) String() string {
	if len(r.Interrupts) > 0 {
		var b strings.Builder
		for _, q := range r.Interrupts {
			fmt.Fprintf(&b, "waiting for an answer to %s (%s)", q.Name, q.ID)
			if q.Reason != nil {
				fmt.Fprintf(&b, ": %v", q.Reason)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	if r.Output != nil {
		return string(r.Output)
	}
	return r.Text()
}

// Artifact is a picture or file that a run left behind.
type Artifact struct {
	Name    string    `json:"name"`
	MIME    string    `json:"mime"`
	Size    int64     `json:"size"`
	Figure  int       `json:"figure,omitempty"` // number of the picture in the run, from 1
	Path    string    `json:"path,omitempty"`   // where it lies on this machine
	Key     string    `json:"key,omitempty"`    // where it lies in a store
	URL     string    `json:"url,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // of URL
}
