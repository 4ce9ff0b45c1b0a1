package strands

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/strandsgo/strands/internal/schema"
)

// OutputSpec asks for an answer as JSON. The model is offered a tool of that
// name to give it with; when it answers without, it is asked once more with
// nothing but that tool.
type OutputSpec struct {
	Name        string // of what is asked for; a valid tool name
	Description string
	Schema      []byte // JSON Schema of type object
}

// OutputOf describes the type T, a struct, by the rules of NewTool's input. It
// panics naming the field that has no schema.
func OutputOf[T any]() *OutputSpec {
	t := reflect.TypeFor[T]()
	_, raw, err := schemas.Input(t)
	if err != nil {
		panic(fmt.Sprintf("strands.OutputOf[%s]: %v", t, err))
	}
	return &OutputSpec{Name: nameOf(t), Schema: raw}
}

// A Runner answers: an *Agent, each time in a session of its own, or a *Session.
type Runner interface {
	Run(ctx context.Context, in Input) iter.Seq2[Event, error]
}

// AskFor asks for an answer of type T, a struct: see OutputOf.
func AskFor[T any](ctx context.Context, r Runner, prompt string) (T, error) {
	in := Prompt(prompt)
	in.Output = OutputOf[T]()
	res, err := Collect(r.Run(ctx, in))
	if err != nil {
		return *new(T), err
	}
	return decodeOutput[T](res)
}

// Extract asks for an answer of type T, a struct, from what the session holds,
// with a prompt that may be empty, and leaves the session as it is: no message is
// added, no tool runs. Without a prompt and a history it is an *InputError, and
// while tool calls wait for their results too. Hooks see a session of the same
// id; what it uses counts in the session's Metrics.
func Extract[T any](ctx context.Context, s *Session, prompt string) (T, error) {
	aside, err := s.aside()
	if err != nil {
		return *new(T), err
	}
	in := Input{Output: OutputOf[T]()}
	in.ToolChoice.Tool = in.Output.Name
	switch last := aside.lastRole(); {
	case prompt != "":
		in.Parts = []Part{Text(prompt)}
	case last == Assistant:
		in.Parts = []Part{Text(s.agent.cfg.promptFor(in.Output.Name))}
	}
	res, err := Collect(aside.Run(ctx, in))
	s.accountAside(aside.Metrics())
	if err = errors.Join(err, aside.Close()); err != nil {
		return *new(T), err
	}
	return decodeOutput[T](res)
}

func decodeOutput[T any](res *Result) (T, error) {
	var v T
	if res.Output == nil {
		return v, fmt.Errorf("strands: the run stopped (%s) before it had the answer", res.StopReason)
	}
	if err := json.Unmarshal(res.Output, &v); err != nil {
		return v, fmt.Errorf("strands: decode the answer: %w", err)
	}
	return v, nil
}

// aside makes a session that knows what s knows, has no tools and is not
// stored.
func (s *Session) aside() (*Session, error) {
	a := *s.agent
	a.tools, _ = newToolset() // of no tools there is nothing to refuse
	a.cfg.Store, a.cfg.Conversation, a.cfg.Providers, a.cfg.Messages, a.cfg.Output = nil, nil, nil, nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(openCalls(s.records)) > 0 {
		return nil, &InputError{Field: "Extract", Reason: "tool calls of the session wait for their results"}
	}
	t := a.newSession(s.id)
	t.records, t.system, t.hooks, t.values = slices.Clone(s.records), s.system, s.hooks, maps.Clone(s.values)
	return t, nil
}

func (cfg *Config) promptFor(tool string) string {
	return cmp.Or(cfg.OutputPrompt, fmt.Sprintf(outputPrompt, tool))
}

const outputPrompt = "Give your answer by calling the tool %s now, with the whole answer as its input."

// outputTool is how a model gives a structured answer.
type outputTool struct{ checkedTool }

func newOutputTool(o *OutputSpec) (*outputTool, error) {
	if err := checkToolName(o.Name); err != nil {
		return nil, &InputError{Field: "Output.Name", Reason: err.Error()}
	}
	c, err := schema.ParseChecker(o.Schema)
	if err != nil {
		return nil, &InputError{Field: "Output.Schema", Reason: err.Error()}
	}
	doc := "Gives the final answer. Call it last, once everything is known."
	if o.Description != "" {
		doc += " " + o.Description
	}
	return &outputTool{checkedTool{ToolSpec{Name: o.Name, Description: doc, InputSchema: o.Schema}, c}}, nil
}

func (t *outputTool) Call(ctx context.Context, call *ToolCall) (*ToolResult, error) {
	raw, err := t.input.Check(call.Input)
	if err != nil {
		return nil, err
	}
	if sc := scopeFrom(ctx); sc != nil {
		sc.run.setOutput(raw)
	}
	return &ToolResult{Parts: []Part{Text("The answer is valid.")}}, nil
}

func (r *run) setOutput(raw json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value = raw
}

// outputOf returns the result when one of calls gave the answer, and counts
// the tries that did not.
func (r *run) outputOf(calls []*ToolCall) (*Result, error) {
	if r.output == nil {
		return nil, nil
	}
	tried := false
	for _, c := range calls {
		if c.Name != r.output.spec.Name {
			continue
		}
		tried = true
		if r.finished[c.ID].IsError {
			continue
		}
		if r.value == nil { // it was given before the run was interrupted
			raw, err := r.output.input.Check(c.Input)
			if err != nil {
				continue
			}
			r.setOutput(raw)
		}
		return r.result(StopToolUse), nil
	}
	if tried {
		return nil, r.missedOutput()
	}
	return nil, nil
}

// wantOutput deals with an answer m without the call that was asked for.
func (r *run) wantOutput(m Message) (*Result, error) {
	if r.forced {
		// A provider that cannot force a tool may still have given the answer.
		if raw, err := r.output.input.Check(fencedJSON(m.Text())); err == nil && len(raw) > 2 {
			r.setOutput(raw)
			return r.result(StopEndTurn), nil
		}
		if err := r.missedOutput(); err != nil {
			return nil, err
		}
	}
	r.forced = true
	prompt := cmp.Or(r.in.OutputPrompt, r.s.agent.cfg.promptFor(r.output.spec.Name))
	return nil, r.add(r.ctx, UserMessage(Text(prompt)))
}

func (r *run) missedOutput() error {
	r.attempts++
	if met(r.attempts, r.limits.OutputAttempts) {
		return r.limit("attempts at a valid answer", r.limits.OutputAttempts)
	}
	return nil
}

// fencedJSON returns the JSON of a text that consists of it, perhaps inside a
// Markdown fence.
func fencedJSON(text string) json.RawMessage {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "```"); ok {
		rest = strings.TrimPrefix(rest, "json")
		text, _, _ = strings.Cut(rest, "```")
	}
	if text = strings.TrimSpace(text); text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

// partials puts the structured output together while it is written.
type partials struct {
	tool  string         // that gives it
	texts map[int][]byte // of its inputs, by block
	next  int            // how long a text must be to be looked at again
	shown string
}

// add returns what is new to see after d; nil when nothing is.
func (p *partials) add(d *Delta) json.RawMessage {
	c := d.ToolCall
	if c == nil || p.tool == "" {
		return nil
	}
	text, known := p.texts[d.Block]
	if !known && c.Name != p.tool {
		return nil
	}
	if !known {
		p.texts, p.next = map[int][]byte{}, 0
	}
	text = append(text, c.Input...)
	p.texts[d.Block] = text
	if len(text) < p.next {
		return nil
	}
	p.next = len(text) + len(text)/64 // each time would take the square of the length
	raw, ok := schema.Partial(string(text))
	if !ok || string(raw) == p.shown || string(raw) == "{}" {
		return nil
	}
	p.shown = string(raw)
	return raw
}
