package strands

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// An Accumulator builds a reply's message of its deltas, for providers that
// stream. The zero value is ready. It is not safe for concurrent use.
type Accumulator struct {
	blocks map[int]*block
}

// block is a part of the reply that is being written.
type block struct {
	index     int
	text      strings.Builder
	citations []Citation
	reasoning strings.Builder
	signature strings.Builder
	redacted  [][]byte
	call      *ToolCall
	input     strings.Builder
}

// Add applies d. Fragments belong together by their Block, in whatever order
// the blocks come.
func (a *Accumulator) Add(d *Delta) {
	b := a.blocks[d.Block]
	if b == nil {
		if a.blocks == nil {
			a.blocks = map[int]*block{}
		}
		b = &block{index: d.Block}
		a.blocks[d.Block] = b
	}
	b.text.WriteString(d.Text)
	if d.Citation != nil {
		b.citations = append(b.citations, *d.Citation)
	}
	if r := d.Reasoning; r != nil {
		b.reasoning.WriteString(r.Text)
		b.signature.WriteString(r.Signature)
		if len(r.Redacted) > 0 {
			b.redacted = append(b.redacted, r.Redacted)
		}
	}
	if c := d.ToolCall; c != nil {
		if b.call == nil {
			b.call = new(ToolCall)
		}
		b.call.ID = cmp.Or(b.call.ID, c.ID)
		b.call.Name = cmp.Or(b.call.Name, c.Name)
		b.call.Signature += c.Signature
		b.input.WriteString(c.Input)
	}
}

// Message returns what was added until now: the parts in the order of their
// block indexes, blank ones left out. The input of a tool call that wrote none
// is {}. One that is no JSON object, nor the text of one, is kept as a JSON string of what was
// written: the loop answers such a call with an error result that says what is
// wrong, and never runs the tool.
func (a *Accumulator) Message() Message {
	m := Message{Role: Assistant}
	blocks := make([]*block, 0, len(a.blocks))
	for _, b := range a.blocks {
		blocks = append(blocks, b)
	}
	slices.SortFunc(blocks, func(a, b *block) int { return cmp.Compare(a.index, b.index) })
	for _, b := range blocks {
		m.Parts = append(m.Parts, b.parts()...)
	}
	return m
}

// parts is one part, unless the provider mixes kinds in one block.
func (b *block) parts() []Part {
	var parts []Part
	if b.reasoning.Len() > 0 || b.signature.Len() > 0 {
		parts = append(parts, Part{Reasoning: &Reasoning{Text: b.reasoning.String(), Signature: b.signature.String()}})
	}
	for _, r := range b.redacted {
		parts = append(parts, Part{Reasoning: &Reasoning{Redacted: slices.Clone(r)}})
	}
	if text := b.text.String(); strings.TrimSpace(text) != "" {
		if len(b.citations) > 0 {
			parts = append(parts, Part{Cited: &Cited{Text: text, Citations: slices.Clone(b.citations)}})
		} else {
			parts = append(parts, Text(text))
		}
	}
	if b.call != nil {
		c := *b.call
		c.Input = callInput(b.input.String())
		parts = append(parts, Part{ToolCall: &c})
	}
	return parts
}

func callInput(text string) json.RawMessage {
	var inner string
	switch raw := json.RawMessage(text); {
	case strings.TrimSpace(text) == "", strings.TrimSpace(text) == "null":
		return json.RawMessage("{}")
	case isObject(raw):
		return raw
	case json.Unmarshal(raw, &inner) == nil && isObject(json.RawMessage(inner)):
		return json.RawMessage(inner) // some servers write JSON in JSON
	}
	quoted, _ := json.Marshal(text) // strings always marshal
	return quoted
}
