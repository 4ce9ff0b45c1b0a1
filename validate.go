package strands

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Validate says whether a provider would accept messages as a conversation:
// the first is the user's, every part has exactly one field and is not empty,
// tool calls are in assistant messages under ids of their own, with a valid
// name and a JSON object as input, and each is answered by exactly one result
// in the next message, in the order of the calls and before anything else
// there. Several messages of one role may follow each other: a request joins
// them. The error is an *InputError that names the message.
func Validate(messages []Message) error {
	if err := validate(messages); err != nil {
		return err
	}
	if n := len(messages); n > 0 && len(messages[n-1].ToolCalls()) > 0 {
		return &InputError{Field: fmt.Sprintf("message %d", n-1), Reason: "its tool calls have no results"}
	}
	return nil
}

// validate is Validate, except that the last message's calls may be open.
func validate(messages []Message) error {
	ids := map[string]bool{}
	var open []*ToolCall
	for i, m := range messages {
		fail := func(err error) error {
			return &InputError{Field: fmt.Sprintf("message %d", i), Reason: err.Error()}
		}
		if err := checkMessage(m); err != nil {
			return fail(err)
		}
		if i == 0 && m.Role != User {
			return fail(errors.New("the first message must be the user's"))
		}
		if err := checkAnswers(m, open); err != nil {
			return fail(err)
		}
		open = m.ToolCalls()
		for _, c := range open {
			if ids[c.ID] {
				return fail(fmt.Errorf("there is another tool call %q", c.ID))
			}
			ids[c.ID] = true
		}
	}
	return nil
}

// checkAnswers says whether m begins with the results of open and has no
// others.
func checkAnswers(m Message, open []*ToolCall) error {
	for i, p := range m.Parts {
		switch {
		case i < len(open):
			if p.ToolResult == nil || p.ToolResult.CallID != open[i].ID {
				return fmt.Errorf("part %d must be the result of tool call %q", i, open[i].ID)
			}
		case p.ToolResult != nil:
			return fmt.Errorf("part %d answers no tool call of the message before", i)
		}
	}
	if len(m.Parts) < len(open) {
		return fmt.Errorf("the result of tool call %q is missing", open[len(m.Parts)].ID)
	}
	return nil
}

func checkMessage(m Message) error {
	if m.Role != User && m.Role != Assistant {
		return fmt.Errorf("the role %q must be %q or %q", m.Role, User, Assistant)
	}
	if len(m.Parts) == 0 {
		return errors.New("it has no parts")
	}
	for i, p := range m.Parts {
		if err := checkPart(p, m.Role); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	return nil
}

// checkPart looks at one part of a message of that role; "" stands for the
// inside of a tool result.
func checkPart(p Part, role Role) error {
	switch fields := p.fields(); {
	case fields == 0:
		return errors.New("it is empty")
	case fields > 1:
		return errors.New("it has more than one field")
	}
	switch {
	case p.ToolCall != nil:
		c := p.ToolCall
		if role != Assistant {
			return errors.New("only an assistant's message has tool calls")
		}
		if c.ID == "" {
			return errors.New("the tool call has no id")
		}
		if err := checkToolName(c.Name); err != nil {
			return err
		}
		if !isObject(c.Input) {
			return fmt.Errorf("the input of tool call %q is not a JSON object", c.ID)
		}
	case p.ToolResult != nil:
		if role != User {
			return errors.New("only a user's message has tool results")
		}
		if len(p.ToolResult.Parts) == 0 {
			return fmt.Errorf("the result of tool call %q is empty", p.ToolResult.CallID)
		}
		for _, q := range p.ToolResult.Parts {
			if err := checkPart(q, ""); err != nil {
				return fmt.Errorf("the result of tool call %q: %w", p.ToolResult.CallID, err)
			}
		}
	case p.Reasoning != nil:
		if r := p.Reasoning; role != Assistant || r.Text == "" && r.Signature == "" && len(r.Redacted) == 0 {
			return errors.New("reasoning must not be empty, and only an assistant's message has it")
		}
	case p.Cited != nil:
		if strings.TrimSpace(p.Cited.Text) == "" {
			return errors.New("the cited text is blank")
		}
	case p.JSON != nil:
		if role != "" || !json.Valid(p.JSON) {
			return errors.New("JSON must be valid and inside a tool result")
		}
	case p.Image != nil || p.Document != nil || p.Video != nil:
		for _, m := range []*Media{p.Image, p.Document, p.Video} {
			if m != nil && (len(m.Data) == 0) == (m.URI == "") {
				return errors.New("exactly one of Data and URI must be set")
			}
		}
	}
	return nil
}

// fields counts what is set in p. Blank text counts as nothing: no provider
// takes it.
func (p Part) fields() int {
	n := 0
	for _, set := range []bool{
		strings.TrimSpace(p.Text) != "", p.Reasoning != nil, p.Image != nil, p.Document != nil, p.Video != nil,
		p.ToolCall != nil, p.ToolResult != nil, len(p.JSON) > 0, p.Cited != nil, p.Guard != nil, p.CachePoint != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

// results makes the parts that answer calls, in their order. What is not in
// finished gets an error result with the text missing.
func answers(calls []*ToolCall, finished map[string]*ToolResult, missing string) []Part {
	parts := make([]Part, len(calls))
	for i, c := range calls {
		r := finished[c.ID]
		if r == nil {
			r = errorResult(c.ID, missing)
		}
		parts[i] = Part{ToolResult: r}
	}
	return parts
}

func errorResult(callID, text string) *ToolResult {
	return &ToolResult{CallID: callID, IsError: true, Parts: []Part{Text(text)}}
}

// repair returns messages with every tool call answered, except those of the
// last message, and without results that answer nothing, empty parts, and what
// comes before the first message of the user.
func repair(messages []record) []record {
	const interrupted = "The tool call was interrupted."
	var out []record
	var open []*ToolCall
	for i, rec := range messages {
		m := rec.msg
		given := map[string]*ToolResult{}
		for _, r := range m.ToolResults() {
			if given[r.CallID] == nil {
				given[r.CallID] = r
			}
		}
		rest := slices.DeleteFunc(slices.Clone(m.Parts), func(p Part) bool {
			return p.ToolResult != nil || checkPart(p, m.Role) != nil
		})
		if len(open) > 0 && m.Role != User {
			out = append(out, record{msg: UserMessage(answers(open, nil, interrupted)...)})
			open = nil
		}
		if len(open) > 0 {
			rest = append(answers(open, given, interrupted), rest...)
		}
		open = nil
		if len(rest) == 0 || len(out) == 0 && m.Role != User {
			continue
		}
		if !slices.EqualFunc(rest, m.Parts, samePart) {
			rec.msg.Parts = rest
		}
		out = append(out, rec)
		if open = rec.msg.ToolCalls(); i == len(messages)-1 {
			break
		}
	}
	return out
}

func samePart(a, b Part) bool {
	if a.ToolResult != nil || b.ToolResult != nil {
		return a.ToolResult == b.ToolResult
	}
	return a.ToolCall == b.ToolCall && a.Text == b.Text
}
