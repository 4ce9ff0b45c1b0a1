package openai

import (
	"cmp"
	"encoding/json"

	"github.com/openai/openai-go/v3/packages/respjson"
	strands "github.com/strandsgo/strands"
)

// What compatible servers add to the deltas of Chat Completions: reasoning,
// for which there are three fields, and citations.

// readExtra reads the fields that the SDK does not know.
func (r *chatReader) readExtra(extra map[string]respjson.Field) error {
	if raw, ok := extra["reasoning_details"]; ok {
		var details []map[string]any
		if json.Unmarshal([]byte(raw.Raw()), &details) == nil && len(details) > 0 {
			// The plain field beside it says the same once more.
			return r.readDetails(details)
		}
	}
	for _, name := range [...]string{"reasoning_content", "reasoning"} {
		var s string
		if f, ok := extra[name]; ok && json.Unmarshal([]byte(f.Raw()), &s) == nil && s != "" {
			return r.w.Send(&strands.Delta{Block: r.open(reasoning), Reasoning: &strands.Reasoning{Text: s}})
		}
	}
	return nil
}

// A detail is one block of reasoning of a server that forwards other
// providers' (OpenRouter, LiteLLM). What it consists of, apart from its text,
// comes in pieces and has to go back unchanged.
type detail struct {
	block  int
	fields map[string]any
}

// textOf are the fields of a detail that hold what people may read, by type.
var textOf = map[string]string{"reasoning.text": "text", "reasoning.summary": "summary"}

func (r *chatReader) readDetails(details []map[string]any) error {
	for i, d := range details {
		index, ok := d["index"].(float64)
		if !ok {
			index = float64(i)
		}
		known := r.details[index]
		if known == nil {
			r.kind = none // a block of its own
			known = &detail{block: r.open(reasoning), fields: map[string]any{}}
			r.details[index] = known
			r.thoughts = append(r.thoughts, known)
		}
		field := textOf[cmp.Or(stringOf(d["type"]), stringOf(known.fields["type"]))]
		text := stringOf(d[field])
		delete(d, field)
		for k, v := range d {
			if v != nil {
				known.fields[k] = v
			}
		}
		if text == "" {
			continue
		}
		if err := r.w.Send(&strands.Delta{Block: known.block, Reasoning: &strands.Reasoning{Text: text}}); err != nil {
			return err
		}
	}
	return nil
}

func stringOf(v any) string {
	s, _ := v.(string)
	return s
}

// closeDetails hands on what the blocks of reasoning have beside their text:
// all of it is the block's signature, or a redacted block.
func (r *chatReader) closeDetails() error {
	for _, d := range r.thoughts {
		raw, err := json.Marshal(d.fields)
		if err != nil {
			return err
		}
		t := strands.Reasoning{Redacted: raw}
		if textOf[stringOf(d.fields["type"])] != "" {
			t = strands.Reasoning{Signature: string(raw)}
		}
		if err := r.w.Send(&strands.Delta{Block: d.block, Reasoning: &t}); err != nil {
			return err
		}
	}
	return nil
}

// asDetail undoes closeDetails; false when the reasoning did not come as a
// detail, but from another server or provider.
func asDetail(t *strands.Reasoning) (map[string]any, bool) {
	raw := t.Redacted
	if raw == nil {
		raw = []byte(t.Signature)
	}
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil || stringOf(fields["type"]) == "" {
		return nil, false
	}
	if field := textOf[stringOf(fields["type"])]; field != "" {
		fields[field] = t.Text
	}
	return fields, true
}

// readAnnotations reads the sources of the text so far.
func (r *chatReader) readAnnotations(extra map[string]respjson.Field) error {
	raw, ok := extra["annotations"]
	if !ok {
		return nil
	}
	var annotations []struct {
		Type string `json:"type"`
		URL  struct {
			URL     string `json:"url"`
			Title   string `json:"title"`
			Content string `json:"content"`
		} `json:"url_citation"`
	}
	if json.Unmarshal([]byte(raw.Raw()), &annotations) != nil {
		return nil // some server's own idea of annotations
	}
	for _, a := range annotations {
		if a.Type != "url_citation" {
			continue
		}
		c := strands.Citation{Kind: "web", Title: a.URL.Title, URL: a.URL.URL}
		if a.URL.Content != "" {
			c.Quotes = []string{a.URL.Content}
		}
		if err := r.w.Send(&strands.Delta{Block: r.open(text), Citation: &c}); err != nil {
			return err
		}
	}
	return nil
}
