package strands

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
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

// AskFor asks for an answer of type T.
func AskFor[T any](ctx context.Context, s *Session, prompt string) (T, error) {
	var v T
	in := Prompt(prompt)
	in.Output = OutputOf[T]()
	res, err := Collect(s.Run(ctx, in))
	if err != nil {
		return v, err
	}
	if res.Output == nil {
		return v, fmt.Errorf("strands: the run stopped (%s) before it had the answer", res.StopReason)
	}
	if err := json.Unmarshal(res.Output, &v); err != nil {
		return v, fmt.Errorf("strands: decode the answer: %w", err)
	}
	return v, nil
}

const outputPrompt = "Give your answer by calling the tool %s now, with the whole answer as its input."

// outputTool is how a model gives a structured answer.
type outputTool struct {
	spec  ToolSpec
	input *schema.Checker
}

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
	return &outputTool{spec: ToolSpec{Name: o.Name, Description: doc, InputSchema: o.Schema}, input: c}, nil
}

func (t *outputTool) Spec() ToolSpec { return t.spec }

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
	prompt := r.in.OutputPrompt
	if prompt == "" {
		prompt = r.s.agent.cfg.OutputPrompt
	}
	if prompt == "" {
		prompt = fmt.Sprintf(outputPrompt, r.output.spec.Name)
	}
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
