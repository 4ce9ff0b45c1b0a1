package python

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strandsgo/strands"
)

// function is a tool as Python sees it. It marshals to the FN of the protocol.
type function struct {
	id      int
	tool    strands.Tool
	name    string
	doc     string
	returns string
	stream  bool
	params  []param
	renamed map[string]string // Python's argument names to the schema's; nil = all equal
}

type param struct {
	Name       string          `json:"name"`
	Annotation string          `json:"annotation"`
	Required   bool            `json:"required"`
	Default    json.RawMessage `json:"default"`
	doc        string
	bulk       bool // big data is passed as a ticket
}

// MarshalJSON implements json.Marshaler.
func (f function) MarshalJSON() ([]byte, error) {
	params := f.params
	if params == nil {
		params = []param{}
	}
	return json.Marshal(struct {
		ID      int     `json:"id"`
		Name    string  `json:"name"`
		Doc     string  `json:"doc"`
		Returns string  `json:"returns"`
		Stream  bool    `json:"stream"`
		Params  []param `json:"params"`
	}{f.id, f.name, f.doc, f.returns, f.stream, params})
}

const (
	maxDoc      = 8 << 10
	maxParamDoc = 1 << 10
)

// functionOf reads a tool's spec. The error names the tool.
func functionOf(t strands.Tool) (function, error) {
	f, err := describe(t.Spec())
	f.tool = t
	_, f.stream = t.(strands.StreamTool)
	if f.stream {
		f.returns = "Iterator[" + f.returns + "]"
	}
	return f, err
}

// describe makes a function of a spec, without a tool behind it.
func describe(spec strands.ToolSpec) (function, error) {
	f := function{name: functionName(spec.Name)}
	in, err := parseSchema(spec.InputSchema)
	if err != nil {
		return f, fmt.Errorf("input schema of %s: %w", spec.Name, err)
	}
	out, err := parseSchema(spec.OutputSchema)
	if err != nil {
		return f, fmt.Errorf("output schema of %s: %w", spec.Name, err)
	}
	taken := map[string]bool{}
	for _, p := range in.Properties {
		name := paramName(p.Name)
		for taken[name] {
			name += "_"
		}
		taken[name] = true
		if name != p.Name {
			if f.renamed == nil {
				f.renamed = map[string]string{}
			}
			f.renamed[name] = p.Name
		}
		required := slices.Contains(in.Required, p.Name)
		f.params = append(f.params, param{
			Name: name, Annotation: annotate(&p.schema, in), Required: required, Default: p.Default,
			doc: clip(p.Description, maxParamDoc), bulk: p.takesBulk(),
		})
	}
	// Python wants those without a default first.
	slices.SortStableFunc(f.params, func(a, b param) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	f.returns = annotate(out, out)
	if len(spec.OutputSchema) == 0 {
		f.returns = "Any"
	}
	f.doc = docstring(clip(spec.Description, maxDoc), f.params, out)
	return f, nil
}

// docstring is the description with the arguments and the shape of the result.
func docstring(text string, params []param, out *schema) string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(text))
	header := "\n\nArgs:"
	for _, p := range params {
		if p.doc != "" {
			fmt.Fprintf(&b, "%s\n    %s: %s", header, p.Name, indent(p.doc, "        "))
			header = ""
		}
	}
	if shape := shapeOf(out.deref(out), out, 0); shape != "" {
		b.WriteString("\n\nReturns:\n    " + shape)
	}
	return strings.TrimSpace(b.String())
}

// shapeOf lists the keys of an object, or of the objects of a list; "" for
// anything else.
func shapeOf(s, root *schema, depth int) string {
	s = s.deref(root)
	if s == nil || depth > 3 {
		return ""
	}
	if len(s.Properties) == 0 {
		if s.Items == nil {
			return ""
		}
		if inner := shapeOf(s.Items, root, depth+1); inner != "" {
			return "[" + inner + "]"
		}
		return ""
	}
	var keys []string
	for i, p := range s.Properties {
		if i == 40 {
			keys = append(keys, "…")
			break
		}
		kind := shapeOf(&p.schema, root, depth+1)
		if kind == "" {
			kind = annotate(&p.schema, root)
		}
		keys = append(keys, oneLine(p.Name)+": "+kind)
	}
	return "{" + strings.Join(keys, ", ") + "}"
}

// takesBulk says whether the argument called name in Python can be a ticket.
func (f *function) takesBulk(name string) bool {
	return slices.ContainsFunc(f.params, func(p param) bool { return p.Name == name && p.bulk })
}

// input turns Python's argument names back into the schema's.
func (f *function) input(args json.RawMessage) json.RawMessage {
	if f.renamed == nil {
		return args
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(args, &named); err != nil {
		return args // the tool says what is wrong with it
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(named)) {
		if i > 0 {
			b.WriteByte(',')
		}
		key := name
		if original, ok := f.renamed[name]; ok {
			key = original
		}
		quoted, _ := json.Marshal(key) // a string always marshals
		b.Write(quoted)
		b.WriteByte(':')
		b.Write(named[name])
	}
	b.WriteByte('}')
	return b.Bytes()
}

// clip bounds a text of a stranger and takes out what a terminal or a prompt
// could be confused by.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(clip(s, 200)), " ")
}

func indent(s, by string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+by)
}
