package strands

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// answerTo appends msgs to the history and goes on until the model has
// answered.
func (r *run) answerTo(msgs []Message) (res *Result, err error) {
	defer func() { r.closeCycle(err) }()
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.addInput(msgs); err != nil {
		return nil, err
	}
	for {
		if err := r.stopped(); err != nil {
			return nil, err
		}
		if calls := r.s.openCalls(); len(calls) > 0 {
			r.openCycle()
			res, err := r.act(calls)
			if res != nil || err != nil {
				return res, err
			}
			continue
		}
		r.closeCycle(nil)
		if err := r.store(); err != nil {
			return nil, err
		}
		if err := r.checkLimits(); err != nil {
			return nil, err
		}
		if err := r.manage(r.ctx, false); err != nil {
			return nil, err
		}
		r.openCycle()
		reply, err := r.think()
		if err != nil {
			return nil, err
		}
		res, err := r.take(reply)
		if res != nil || err != nil {
			return res, err
		}
	}
}

// prepare makes what this round overrides and adds.
func (r *run) prepare() error {
	cfg := &r.s.agent.cfg
	r.limits = r.in.Limits.or(cfg.Limits).or(defaultLimits)
	r.asked, r.forced, r.attempts = false, false, 0
	var extra []Tool
	for _, p := range cfg.Providers {
		tools, err := p.Tools(r.ctx)
		if err != nil {
			return fmt.Errorf("strands: tools of a provider: %w", err)
		}
		extra = append(extra, tools...)
	}
	extra = append(extra, r.in.Tools...)
	spec := r.in.Output
	if spec == nil {
		spec = cfg.Output
	}
	r.output, r.value = nil, nil
	if spec != nil {
		t, err := newOutputTool(spec)
		if err != nil {
			return err
		}
		r.output = t
		extra = append(extra, t)
	}
	r.mu.Lock()
	r.extra, r.merged = extra, nil
	r.mu.Unlock()
	_, err := r.toolset()
	return err
}

// toolset returns the tools of this moment.
func (r *run) toolset() (*toolset, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.s
	s.mu.Lock()
	base, hidden := s.tools, s.hidden
	s.mu.Unlock()
	if r.merged != nil && r.mergedFrom == base && len(hidden) == 0 {
		return r.merged, nil
	}
	var extra []Tool
	for _, t := range r.extra {
		if !hidden[t.Spec().Name] {
			extra = append(extra, t)
		}
	}
	merged, err := base.with(extra...)
	if err != nil {
		return nil, err
	}
	r.merged, r.mergedFrom = merged, base
	return merged, nil
}

// addInput appends msgs, after results for calls that were left open when msgs
// do not bring them.
func (r *run) addInput(msgs []Message) error {
	if calls := r.s.openCalls(); len(calls) > 0 && len(msgs) > 0 && checkAnswers(msgs[0], calls) != nil {
		if err := r.add(r.ctx, UserMessage(answers(calls, nil, "The tool call was interrupted.")...)); err != nil {
			return err
		}
	}
	if len(msgs) > 0 {
		if err := r.s.fits(msgs); err != nil {
			return err
		}
	}
	if r.round == 0 && slices.ContainsFunc(msgs, func(m Message) bool { return m.Role == User }) {
		r.s.nextTurn()
	}
	for _, m := range msgs {
		if err := r.add(r.ctx, m); err != nil {
			return err
		}
	}
	if r.s.lastRole() == "" {
		return &InputError{Field: "Messages", Reason: "a BeforeInvocation hook left none"}
	}
	return nil
}

// add appends m to the history, and tells the hooks and the caller.
func (r *run) add(ctx context.Context, m Message) error {
	r.s.addMessage(m)
	var err error
	if hooks := r.hookList(); len(hooks) > 0 {
		e := &MessageAdded{Session: r.s, Message: new(m.Clone())}
		err = before(ctx, hooks, "MessageAdded", e, func(h *Hooks) func(context.Context, *MessageAdded) error { return h.MessageAdded })
	}
	r.show(Event{Message: new(m.Clone())})
	return err
}

// store writes what is new in the history. It is not cut short when the run is
// stopped: whether an Append that was has written anything is not known.
func (r *run) store() error {
	ctx, cancel := r.grace()
	defer cancel()
	return r.s.store(ctx)
}

func (r *run) checkLimits() error {
	l := r.limits
	r.mu.Lock()
	usage := r.usage
	r.mu.Unlock()
	switch {
	case met(r.cycles, l.Turns):
		return r.limit("turns", l.Turns)
	case met(usage.Total(), l.TotalTokens):
		return r.limit("total tokens", l.TotalTokens)
	case met(usage.Output, l.OutputTokens):
		return r.limit("output tokens", l.OutputTokens)
	}
	return nil
}

func (r *run) limit(what string, max int) error {
	return &LimitError{Limit: what, Max: max, Result: r.result(StopLimit)}
}

// take appends the reply, and returns the result when it is the end.
func (r *run) take(reply *Reply) (*Result, error) {
	if reply.RedactInput != "" {
		r.s.redact(reply.RedactInput)
	}
	m := r.s.clean(reply)
	r.reply = m
	if err := r.add(r.ctx, m); err != nil {
		return nil, err
	}
	if reply.StopReason == StopMaxTokens {
		return nil, &LimitError{Limit: "max tokens of a reply", Result: r.result(StopMaxTokens)}
	}
	if len(m.ToolCalls()) > 0 || reply.StopReason == StopPause {
		return nil, nil
	}
	if r.output != nil && (reply.StopReason == StopEndTurn || reply.StopReason == StopToolUse) {
		return r.wantOutput(m)
	}
	return r.result(reply.StopReason), nil
}

// clean makes the reply's message one that a provider accepts again: blank
// texts go, calls get ids and names that are valid, and calls that must not
// run become text.
func (s *Session) clean(reply *Reply) Message {
	m := reply.Message
	m.Role = Assistant
	runs := !slices.Contains([]StopReason{StopMaxTokens, StopContentFiltered, StopGuardrail, StopRefusal}, reply.StopReason)
	taken := s.callIDs(len(m.ToolCalls()) > 0)
	var parts []Part
	for _, p := range m.Parts {
		if c := p.ToolCall; c != nil && !runs {
			parts = append(parts, Text(incomplete(c, reply.StopReason)))
			continue
		} else if c != nil {
			parts = append(parts, Part{ToolCall: cleanCall(c, taken)})
			continue
		}
		if checkPart(p, Assistant) == nil {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		parts = []Part{Text("[blank text]")}
	}
	m.Parts = parts
	switch {
	case len(m.ToolCalls()) > 0:
		reply.StopReason = StopToolUse
	case reply.StopReason == "" || reply.StopReason == StopToolUse:
		reply.StopReason = StopEndTurn
	}
	if m.Metadata != nil {
		m.Metadata.StopReason = reply.StopReason
	}
	return m
}

func incomplete(c *ToolCall, why StopReason) string {
	name := c.Name
	if name == "" {
		name = "<unknown>"
	}
	if why == StopMaxTokens {
		return fmt.Sprintf("The call of the tool %s was incomplete because the limit of output tokens was reached. It was not run.", name)
	}
	return fmt.Sprintf("The call of the tool %s was not run because the answer was stopped (%s).", name, why)
}

// cleanCall copies c. An input that is no JSON object is kept as a string of
// its text under a key that says so; an error result will answer it.
func cleanCall(c *ToolCall, taken map[string]bool) *ToolCall {
	c = clonePtr(c)
	if c.ID == "" || taken[c.ID] {
		c.ID = newCallID()
	}
	taken[c.ID] = true
	if checkToolName(c.Name) != nil {
		c.Name = "INVALID_TOOL_NAME"
	}
	switch {
	case isObject(c.Input):
	case len(strings.TrimSpace(string(c.Input))) == 0:
		c.Input = json.RawMessage("{}")
	default:
		c.Input, _ = json.Marshal(map[string]string{brokenInput: brokenText(c.Input)}) // strings always marshal
	}
	return c
}

// brokenInput is the only key of the input of a call whose input was no JSON
// object.
const brokenInput = "_invalid_json"

// brokenText returns what the model wrote: the Accumulator hands it on as a
// JSON string.
func brokenText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	return text
}

// callProblem says why the model's call cannot be run; "" when it can.
func callProblem(c *ToolCall) string {
	if c.Name == "INVALID_TOOL_NAME" {
		return "The tool name is invalid: it must be 1 to 64 of a-z A-Z 0-9 _ -."
	}
	if !bytes.Contains(c.Input, []byte(brokenInput)) {
		return ""
	}
	var broken map[string]string
	if err := json.Unmarshal(c.Input, &broken); err != nil || len(broken) != 1 {
		return ""
	}
	text, ok := broken[brokenInput]
	if !ok {
		return ""
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Sprintf("The tool was not run: its input is not valid JSON: %v", err)
	}
	return "The tool was not run: its input must be a JSON object."
}

var errNoReply = errors.New("the stream ended without a reply")
