package strandstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
)

// outcome is all that a call yielded.
type outcome struct {
	deltas []*strands.Delta
	reply  *strands.Reply
	err    error
}

// generate makes a call and holds the model to its contract.
func (r *rig) generate(ctx context.Context, req *strands.Request) outcome {
	r.t.Helper()
	var o outcome
	before := cloneRequest(req)
	over := false
	for c, err := range r.model.Generate(ctx, req) {
		switch {
		case over:
			r.t.Error("the sequence went on after its reply or its error")
		case err != nil:
			o.err, over = err, true
			if c != (strands.Chunk{}) {
				r.t.Error("a chunk came together with an error")
			}
		case c.Reply != nil && c.Delta == nil:
			o.reply, over = c.Reply, true
		case c.Delta != nil && c.Reply == nil:
			o.deltas = append(o.deltas, c.Delta)
		default:
			r.t.Error("a chunk has not exactly one of Delta and Reply")
		}
	}
	if !over {
		r.t.Error("the sequence ended without a reply and without an error")
	}
	if !reflect.DeepEqual(before, req) {
		r.t.Error("the model changed its request")
	}
	if o.reply != nil {
		o.check(r.t)
	}
	return o
}

func cloneRequest(req *strands.Request) *strands.Request {
	c := *req
	c.System = strands.Message{Parts: req.System}.Clone().Parts
	c.Messages = slices.Clone(req.Messages)
	for i, m := range c.Messages {
		c.Messages[i] = m.Clone()
	}
	c.Tools = slices.Clone(req.Tools)
	for i, t := range c.Tools {
		c.Tools[i].InputSchema = bytes.Clone(t.InputSchema)
		c.Tools[i].OutputSchema = bytes.Clone(t.OutputSchema)
	}
	return &c
}

// check compares a reply with its deltas and with what may be in one.
func (o outcome) check(t *testing.T) {
	t.Helper()
	if o.reply.Message.Role != strands.Assistant {
		t.Errorf("the reply has the role %q", o.reply.Message.Role)
	}
	if _, err := json.Marshal(o.reply); err != nil {
		t.Errorf("the reply cannot be stored: %v", err)
	}
	got, want := written(o.deltas), digest(o.reply.Message.Parts)
	if got != want {
		t.Errorf("the deltas do not add up to the reply:\ndeltas %s\nreply  %s", got, want)
	}
}

// digest is what of the parts comes in deltas, all of a kind joined: how a
// text is cut into blocks is the provider's affair.
func digest(parts []strands.Part) string {
	var d joined
	for _, p := range parts {
		switch {
		case p.Reasoning != nil:
			d.reasoning(p.Reasoning)
		case p.ToolCall != nil:
			d.calls.WriteString("\n" + p.ToolCall.ID + " " + p.ToolCall.Name + " " + p.ToolCall.Signature + " " + inputText(p.ToolCall.Input))
		case p.Cited != nil:
			d.text.WriteString(p.Cited.Text)
			for _, c := range p.Cited.Citations {
				d.citation(c)
			}
		default:
			d.text.WriteString(p.Text)
		}
	}
	return d.String()
}

// inputText undoes what is done to an input that is no JSON object.
func inputText(input json.RawMessage) string {
	var broken string
	if json.Unmarshal(input, &broken) == nil {
		return strings.TrimSpace(broken)
	}
	return string(input)
}

func written(deltas []*strands.Delta) string {
	var d joined
	type call struct{ id, name, signature, input string }
	calls := map[int]*call{}
	var order []int
	for _, e := range deltas {
		switch {
		case e.Reasoning != nil:
			d.reasoning(e.Reasoning)
		case e.Citation != nil:
			d.citation(*e.Citation)
		case e.ToolCall != nil:
			c := calls[e.Block]
			if c == nil {
				c = new(call)
				calls[e.Block] = c
				order = append(order, e.Block)
			}
			c.id += e.ToolCall.ID
			c.name += e.ToolCall.Name
			c.signature += e.ToolCall.Signature
			c.input += e.ToolCall.Input
		default:
			d.text.WriteString(e.Text)
		}
	}
	slices.Sort(order)
	for _, b := range order {
		c := calls[b]
		if c.input = strings.TrimSpace(c.input); c.input == "" {
			c.input = "{}"
		}
		d.calls.WriteString("\n" + c.id + " " + c.name + " " + c.signature + " " + c.input)
	}
	return d.String()
}

type joined struct{ text, thought, sealed, calls, cited strings.Builder }

func (d *joined) reasoning(r *strands.Reasoning) {
	d.thought.WriteString(r.Text)
	d.sealed.WriteString(r.Signature)
	d.sealed.Write(r.Redacted)
}

func (d *joined) citation(c strands.Citation) {
	b, _ := json.Marshal(c) // plain fields always marshal
	d.cited.Write(b)
}

func (d *joined) String() string {
	return "text " + d.text.String() + "\nreasoning " + d.thought.String() + "\nsealed " + d.sealed.String() +
		"\ncalls" + d.calls.String() + "\ncitations " + d.cited.String()
}

// modelError is the error as it must be.
func (o outcome) modelError(t *testing.T, kind strands.ModelErrorKind) *strands.ModelError {
	t.Helper()
	me, ok := errors.AsType[*strands.ModelError](o.err)
	switch {
	case o.err == nil:
		t.Fatalf("no error, but the reply %+v", o.reply)
	case !ok:
		t.Fatalf("the error is a %T and not a *ModelError: %v", o.err, o.err)
	case me.Kind != kind:
		t.Errorf("the error is of kind %q, want %q: %v", me.Kind, kind, me)
	case me.Provider == "":
		t.Error("the error does not name its provider")
	}
	if strings.Contains(o.err.Error(), "\n") {
		t.Errorf("the error is more than a line: %q", o.err)
	}
	return me
}

// mustReply is the reply of a call that has to succeed.
func (o outcome) mustReply(t *testing.T) *strands.Reply {
	t.Helper()
	if o.err != nil {
		t.Fatalf("the call failed: %v", o.err)
	}
	if o.reply == nil {
		t.Fatal("no reply")
	}
	return o.reply
}

// sameParts compares parts as JSON; inputs of tool calls by their meaning.
func sameParts(t *testing.T, got, want []strands.Part) {
	t.Helper()
	if g, w := asJSON(t, got), asJSON(t, want); g != w {
		t.Errorf("the parts of the reply are\n%s\nwant\n%s", g, w)
	}
}

func asJSON(t *testing.T, parts []strands.Part) string {
	t.Helper()
	parts = append([]strands.Part{}, strands.Message{Parts: parts}.Clone().Parts...)
	for _, p := range parts {
		if p.ToolCall != nil {
			var v any
			if err := json.Unmarshal(p.ToolCall.Input, &v); err != nil {
				t.Fatalf("the input of a tool call is not JSON: %s", p.ToolCall.Input)
			}
			p.ToolCall.Input, _ = json.Marshal(v)
		}
	}
	b, err := json.MarshalIndent(parts, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
