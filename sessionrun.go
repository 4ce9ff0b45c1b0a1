package strands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/strandsgo/strands/internal/schema"
)

func (s *Session) openCalls() []*ToolCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return openCalls(s.records)
}

func (s *Session) lastRole() Role {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		return ""
	}
	return s.records[len(s.records)-1].msg.Role
}

func (s *Session) addMessage(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.touched = true
	s.append(m)
}

func (s *Session) nextTurn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
}

// fits says whether the history is valid with msgs at its end.
func (s *Session) fits(msgs []Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return validate(append(messagesOf(s.records), msgs...))
}

// callIDs returns the ids of all tool calls in the history, when wanted.
func (s *Session) callIDs(wanted bool) map[string]bool {
	ids := map[string]bool{}
	if !wanted {
		return ids
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range s.records {
		for _, p := range rec.msg.Parts {
			if p.ToolCall != nil {
				ids[p.ToolCall.ID] = true
			}
		}
	}
	return ids
}

// unanswered returns the message that answers the calls of the last one, when
// nothing else will.
func (s *Session) unanswered(finished map[string]*ToolResult, missing string) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := openCalls(s.records)
	if len(calls) == 0 || s.pending != nil {
		return Message{}, false
	}
	return UserMessage(answers(calls, finished, missing)...), true
}

// goesOn says whether the session is interrupted, and has its state written
// again: who goes on with it too, elsewhere, meets ErrConflict before a tool
// runs twice.
func (s *Session) goesOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		s.changed()
	}
	return s.pending != nil
}

// takePending hands what the session waits with over to the run: the results
// that are there, and the answers.
func (s *Session) takePending(r *run) map[string]*ToolResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	finished := map[string]*ToolResult{}
	p := s.pending
	if p == nil {
		return finished
	}
	s.pending = nil
	s.changed()
	for i := range p.Results {
		finished[p.Results[i].CallID] = &p.Results[i]
	}
	said := map[string]any{}
	for _, list := range [][]InterruptResponse{p.Responses, r.in.Responses} {
		for _, a := range list {
			said[a.ID] = a.Response
		}
	}
	r.answered = nil
	for _, q := range p.Interrupts {
		if a, ok := said[q.ID]; ok {
			r.answered = append(r.answered, Answer{Interrupt: q, Response: a})
		}
	}
	return finished
}

// interrupt ends the run with questions.
func (r *run) interrupt(asked *InterruptError) (*Result, error) {
	p := new(Pending)
	for _, c := range r.s.openCalls() {
		if res := r.finished[c.ID]; res != nil {
			p.Results = append(p.Results, *res)
		}
	}
	for _, a := range r.answered {
		p.Interrupts = append(p.Interrupts, a.Interrupt)
		p.Responses = append(p.Responses, InterruptResponse{ID: a.ID, Response: a.Response})
	}
	p.Interrupts = append(p.Interrupts, asked.Interrupts...)
	r.s.mu.Lock()
	r.s.pending = p
	r.s.changed()
	r.s.mu.Unlock()
	for _, q := range asked.Interrupts {
		r.show(Event{Interrupt: new(q)})
	}
	return r.result(StopInterrupt), nil
}

// questions returns what the session asks and nobody answered.
func (s *Session) questions() []Interrupt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil {
		return nil
	}
	return s.pending.open()
}

// open returns the questions without an answer.
func (p *Pending) open() []Interrupt {
	return slices.DeleteFunc(slices.Clone(p.Interrupts), func(q Interrupt) bool {
		return slices.ContainsFunc(p.Responses, func(a InterruptResponse) bool { return a.ID == q.ID })
	})
}

// Abandon gives an interrupted run up: its calls that were not finished get
// error results, and the session takes new messages again. Nothing happens
// when the session is not interrupted.
func (s *Session) Abandon(ctx context.Context) error {
	r, err := s.claim(ctx, Input{}, nil)
	if err != nil {
		return err
	}
	defer r.end()
	calls := s.openCalls()
	if len(calls) == 0 {
		return nil
	}
	finished := s.takePending(r)
	return errors.Join(
		r.add(r.ctx, UserMessage(answers(calls, finished, "The question was not answered, the tool was not run to its end.")...)),
		r.store(),
	)
}

// direct makes one call for Session.Call and Session.Record.
func (r *run) direct(name string, input rawJSON, note *string) (*ToolResult, error) {
	defer r.end()
	if err := r.prepare(); err != nil {
		return nil, err
	}
	ts, err := r.toolset()
	if err != nil {
		return nil, err
	}
	t, name := ts.findSimilar(name)
	if t == nil {
		return nil, &InputError{Field: "name", Reason: fmt.Sprintf("there is no tool %q", name)}
	}
	c := &ToolCall{ID: newCallID(), Name: name, Input: input}
	res, err := r.call(r.ctx, t, c, nil)
	if r.fatal != nil {
		return nil, r.fatal
	}
	if stop := r.stopped(); err != nil && stop != nil {
		return nil, stop
	}
	if err != nil || note == nil {
		return res, err
	}
	c.Input = schema.Known(t.Spec().InputSchema, c.Input) // the rest may be no matter of the model's
	return res, r.record(c, res, *note)
}

// record adds a direct call to the history.
func (r *run) record(c *ToolCall, res *ToolResult, note string) error {
	ctx, cancel := r.grace()
	defer cancel()
	line := fmt.Sprintf("I called the tool %s directly with the input %s.", c.Name, c.Input)
	parts := []Part{Text(line)}
	if strings.TrimSpace(note) != "" {
		parts = []Part{Text(note), Text(line)}
	}
	msgs := []Message{
		UserMessage(parts...), AssistantMessage(Part{ToolCall: copyCall(c)}),
		UserMessage(Part{ToolResult: stored(copyResult(res))}), AssistantMessage(Text("The tool " + c.Name + " was called.")),
	}
	if calls := r.s.openCalls(); len(calls) > 0 {
		msgs = append([]Message{UserMessage(answers(calls, nil, "The tool call was interrupted.")...)}, msgs...)
	}
	if err := r.s.fits(msgs); err != nil {
		return err
	}
	var errs []error
	for _, m := range msgs { // all of them, else the history would not be valid
		errs = append(errs, r.add(ctx, m))
	}
	return errors.Join(append(errs, r.store())...)
}

// end releases a session that was claimed without ranging over a run.
func (r *run) end() {
	r.release()
	close(r.done)
}

// callPlain is Invoke outside of a run.
func callPlain(ctx context.Context, t Tool, c *ToolCall) (res *ToolResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			loggerOf(ctx).ErrorContext(ctx, "a tool panicked", "tool", c.Name, "panic", p, "stack", string(debug.Stack()))
		}
		switch {
		case err == nil && res != nil:
		case err == nil:
			res = errorResult(c.ID, "The tool returned nothing.")
		case ctx.Err() != nil:
			res, err = nil, context.Cause(ctx)
		case !ends(err):
			res, err = errorResult(c.ID, err.Error()), nil
		}
	}()
	if t == nil {
		return nil, fmt.Errorf("unknown tool: %s", c.Name)
	}
	return t.Call(ctx, c)
}

func loggerOf(ctx context.Context) *slog.Logger {
	if sc := scopeFrom(ctx); sc != nil {
		return sc.run.s.agent.log
	}
	return slog.Default()
}
