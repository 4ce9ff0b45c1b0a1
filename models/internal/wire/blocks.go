package wire

import (
	"encoding/json"
	"slices"
	"strings"

	strands "github.com/strandsgo/strands"
)

// Blocks collects the parts of a reply from its deltas, in the order of their
// block numbers.
type Blocks struct {
	blocks []*block
	last   *block
}

type block struct {
	index int
	text  strings.Builder
	part  strands.Part // everything but the text that is still growing
}

func (b *Blocks) at(index int) *block {
	if b.last != nil && b.last.index == index {
		return b.last
	}
	i, ok := slices.BinarySearchFunc(b.blocks, index, func(e *block, i int) int { return e.index - i })
	if !ok {
		b.blocks = slices.Insert(b.blocks, i, &block{index: index})
	}
	b.last = b.blocks[i]
	return b.last
}

// Add takes a delta.
func (b *Blocks) Add(d *strands.Delta) {
	e := b.at(d.Block)
	switch {
	case d.Reasoning != nil:
		if e.part.Reasoning == nil {
			e.part.Reasoning = new(strands.Reasoning)
		}
		e.text.WriteString(d.Reasoning.Text)
		e.part.Reasoning.Signature += d.Reasoning.Signature
		e.part.Reasoning.Redacted = append(e.part.Reasoning.Redacted, d.Reasoning.Redacted...)
	case d.ToolCall != nil:
		if e.part.ToolCall == nil {
			e.part.ToolCall = new(strands.ToolCall)
		}
		c := e.part.ToolCall
		c.ID += d.ToolCall.ID
		c.Name += d.ToolCall.Name
		c.Signature += d.ToolCall.Signature
		e.text.WriteString(d.ToolCall.Input)
	case d.Citation != nil:
		if e.part.Cited == nil {
			e.part.Cited = new(strands.Cited)
		}
		e.part.Cited.Citations = append(e.part.Cited.Citations, *d.Citation)
	default:
		e.text.WriteString(d.Text)
	}
}

// Put takes a part that came whole.
func (b *Blocks) Put(index int, p strands.Part) { b.at(index).part = p }

// Parts returns the parts; empty ones are left out. The input of a tool call
// that is not a JSON object, broken by the model or cut off with it, is handed
// on as a JSON string of its text: the loop answers it with an error result.
func (b *Blocks) Parts() []strands.Part {
	parts := make([]strands.Part, 0, len(b.blocks))
	for _, e := range b.blocks {
		p := e.part
		switch {
		case p.Reasoning != nil:
			p.Reasoning.Text = e.text.String()
		case p.ToolCall != nil:
			p.ToolCall.Input = inputOf(e.text.String())
		case p.Cited != nil:
			p.Cited.Text = e.text.String()
		case p.Image == nil && p.Document == nil && p.Video == nil:
			if p.Text += e.text.String(); p.Text == "" {
				continue
			}
		}
		parts = append(parts, p)
	}
	return parts
}

func inputOf(text string) json.RawMessage {
	input := []byte(strings.TrimSpace(text))
	switch {
	case len(input) == 0:
		return json.RawMessage("{}")
	case input[0] == '{' && json.Valid(input):
		return input
	}
	broken, _ := json.Marshal(text) // strings always marshal
	return broken
}
