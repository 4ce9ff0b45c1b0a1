package strands

import (
	"context"
	"fmt"
	"slices"
)

// InterruptError says that a call waits for a person. RequestInput makes it,
// Invoke passes it on. A hook or tool returns it unchanged (wrapping is fine):
// then the run ends with StopInterrupt, and when it goes on the same call,
// under the same ID, is made again.
type InterruptError struct {
	Interrupts []Interrupt
}

// Error implements error.
func (e *InterruptError) Error() string {
	if len(e.Interrupts) == 1 {
		return fmt.Sprintf("strands: waiting for a person: %s", e.Interrupts[0].Name)
	}
	return fmt.Sprintf("strands: waiting for a person: %d questions", len(e.Interrupts))
}

// with returns an error with the questions of both; e may be nil.
func (e *InterruptError) with(more *InterruptError) *InterruptError {
	all := new(InterruptError)
	if e != nil {
		all.Interrupts = slices.Clone(e.Interrupts)
	}
	for _, q := range more.Interrupts {
		if !slices.ContainsFunc(all.Interrupts, func(p Interrupt) bool { return p.ID == q.ID }) {
			all.Interrupts = append(all.Interrupts, q)
		}
	}
	return all
}

// RequestInput asks a person, in a tool or a BeforeToolCall hook. The first
// time it returns an *InterruptError, which the caller returns: the run ends
// and shows the question, of that name and with that reason (a JSON value).
// When the run goes on with the answer, the call is made again from its hooks
// on, and RequestInput returns the answer. What comes before it is done twice
// and must bear that; other calls of the run are not repeated.
//
// The question's id is made of the call and the name, so that it is the same
// in another process too. Two questions of one call need two names.
func RequestInput(ctx context.Context, name string, reason any) (any, error) {
	sc := scopeFrom(ctx)
	if sc == nil || sc.call == nil {
		return nil, &InputError{Field: "RequestInput", Reason: "call it from a tool or a BeforeToolCall hook of a run"}
	}
	q := Interrupt{ID: "tool:" + sc.call.ID + ":" + name, Name: name, Reason: reason, CallID: sc.call.ID}
	if sc.hook {
		q.ID = "hook:" + sc.call.ID + ":" + name
	}
	if sc.root != nil && sc.root.ID != sc.call.ID {
		q.ParentID = sc.root.ID
	}
	if a, ok := sc.run.answer(q.ID); ok {
		return a, nil
	}
	return nil, &InterruptError{Interrupts: []Interrupt{q}}
}

// Answer is a question with what the person said.
type Answer struct {
	Interrupt
	Response any `json:"response"`
}

// Answers returns the answered questions of the running call and of the calls
// it made: not nil means that the call was interrupted and is now made again,
// perhaps in another process. A tool whose calls are made by code that cannot
// be repeated uses it to go on, or to say what was lost.
func Answers(ctx context.Context) []Answer {
	sc := scopeFrom(ctx)
	if sc == nil || sc.call == nil {
		return nil
	}
	var found []Answer
	for _, a := range sc.run.answered {
		if a.CallID == sc.call.ID || a.ParentID == sc.call.ID {
			found = append(found, a)
		}
	}
	return found
}

func (r *run) answer(id string) (any, bool) {
	for _, a := range r.answered {
		if a.ID == id {
			return a.Response, true
		}
	}
	return nil, false
}
