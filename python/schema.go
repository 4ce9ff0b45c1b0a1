package python

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// schema is the part of JSON Schema that a Python signature can say. It may
// come from a stranger (an MCP server): everything in it is data, bounded, and
// what is not understood is "any".
type schema struct {
	Ref         string            `json:"$ref"`
	Type        typeNames         `json:"type"`
	Format      string            `json:"format"`
	Encoding    string            `json:"contentEncoding"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Const       json.RawMessage   `json:"const"`
	Default     json.RawMessage   `json:"default"`
	Items       *schema           `json:"items"`
	Properties  properties        `json:"properties"`
	Additional  *schema           `json:"additionalProperties"`
	Required    []string          `json:"required"`
	AnyOf       []*schema         `json:"anyOf"`
	OneOf       []*schema         `json:"oneOf"`
	AllOf       []*schema         `json:"allOf"`
	Defs        map[string]schema `json:"$defs"`
	Definitions map[string]schema `json:"definitions"`
}

// typeNames is "string" or ["string", "null"].
type typeNames []string

func (t *typeNames) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(typeNames, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// properties keeps the order of a JSON object: it is that of positional
// arguments.
type properties []property

type property struct {
	Name string
	schema
}

func (p *properties) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("properties are not an object")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		var v schema
		if err := d.Decode(&v); err != nil {
			return err
		}
		*p = append(*p, property{t.(string), v})
	}
	return nil
}

// UnmarshalJSON takes true and false, which are schemas too, for {}.
func (s *schema) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '{' {
		*s = schema{}
		if string(b) == "true" || string(b) == "false" {
			return nil
		}
		return fmt.Errorf("a schema must be an object")
	}
	type plain schema
	return json.Unmarshal(b, (*plain)(s))
}

func parseSchema(raw json.RawMessage) (*schema, error) {
	s := new(schema)
	if len(raw) == 0 {
		return s, nil
	}
	if !nestingOK(raw) {
		return nil, fmt.Errorf("nested too deep")
	}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, err
	}
	return s, nil
}

const (
	maxUnion    = 8   // members of a union that are written out
	maxLiteral  = 24  // values of an enumeration likewise
	maxLiteralN = 64  // bytes of one
	maxDepth    = 5   // of nested annotations
	maxAnnotate = 400 // bytes of one
)

// annotate returns the Python annotation of s. root resolves references.
func annotate(s, root *schema) string {
	a := annotation(s, root, 0)
	if len(a) > maxAnnotate {
		return "Any"
	}
	return a
}

func annotation(s, root *schema, depth int) string {
	if depth > maxDepth || s == nil {
		return "Any"
	}
	if s.Ref != "" {
		return annotation(root.resolve(s.Ref), root, depth+1)
	}
	values := s.Enum
	if s.Const != nil {
		values = []json.RawMessage{s.Const}
	}
	if l := literal(values); l != "" {
		return l
	}
	members := append(append([]*schema{}, s.AnyOf...), s.OneOf...)
	if len(s.AllOf) == 1 {
		members = append(members, s.AllOf[0])
	}
	if len(members) > 0 {
		var names []string
		for _, m := range members {
			names = append(names, annotation(m, root, depth+1))
		}
		return union(names)
	}
	if len(s.Type) == 0 && len(s.Properties) > 0 {
		return "dict"
	}
	if s.Format == dataFrame || s.takesBulk() {
		return s.bulkAnnotation()
	}
	var names []string
	for _, t := range s.Type {
		names = append(names, typeAnnotation(t, s, root, depth))
	}
	return union(names)
}

const dataFrame = "dataframe" // the format of a table

// takesBulk says whether the type is one that reads big data by a ticket: it
// must allow an object, which a ticket is.
func (s *schema) takesBulk() bool {
	return slices.Contains(s.Type, "object") && (s.Format == dataFrame || s.Encoding == "base64")
}

func (s *schema) bulkAnnotation() string {
	name := "bytes"
	if s.Format == dataFrame {
		name = "DataFrame"
	}
	if slices.Contains(s.Type, "null") {
		name += " | None"
	}
	return name
}

func typeAnnotation(t string, s, root *schema, depth int) string {
	switch t {
	case "integer":
		return "int"
	case "number":
		return "float"
	case "boolean":
		return "bool"
	case "null":
		return "None"
	case "array":
		if s.Items == nil {
			return "list"
		}
		return "list[" + annotation(s.Items, root, depth+1) + "]"
	case "object":
		if s.Additional != nil && len(s.Properties) == 0 && len(s.Additional.Type)+len(s.Additional.Ref) > 0 {
			return "dict[str, " + annotation(s.Additional, root, depth+1) + "]"
		}
		return "dict"
	case "string":
		return stringAnnotation(s)
	}
	return "Any"
}

func stringAnnotation(s *schema) string {
	switch {
	case s.Encoding == "base64" || s.Format == "byte" || s.Format == "binary":
		return "bytes"
	case s.Format == "date-time":
		return "datetime"
	case s.Format == "date":
		return "date"
	case s.Format == "decimal":
		return "Decimal"
	}
	return "str"
}

// union joins annotations as A | B | None.
func union(names []string) string {
	var out []string
	none := false
	for _, n := range names {
		switch {
		case n == "Any":
			return "Any"
		case n == "None":
			none = true
		case !slices.Contains(out, n):
			out = append(out, n)
		}
	}
	if none {
		out = append(out, "None")
	}
	if len(out) == 0 || len(out) > maxUnion {
		return "Any"
	}
	return strings.Join(out, " | ")
}

// literal is Literal['a', 'b'], or "" when the values cannot be written so.
func literal(values []json.RawMessage) string {
	if len(values) == 0 || len(values) > maxLiteral {
		return ""
	}
	var out []string
	null := false
	for _, raw := range values {
		var v any
		if len(raw) > maxLiteralN || json.Unmarshal(raw, &v) != nil {
			return ""
		}
		switch v := v.(type) {
		case nil:
			null = true
		case string:
			out = append(out, pyString(v))
		case bool:
			out = append(out, pyBool(v))
		case float64:
			if v != float64(int64(v)) {
				return ""
			}
			out = append(out, fmt.Sprintf("%d", int64(v)))
		default:
			return ""
		}
	}
	switch {
	case len(out) == 0:
		return "None"
	case null:
		return "Literal[" + strings.Join(out, ", ") + "] | None"
	}
	return "Literal[" + strings.Join(out, ", ") + "]"
}

// resolve follows a reference inside the schema; nil when it leads nowhere.
func (s *schema) resolve(ref string) *schema {
	for prefix, defs := range map[string]map[string]schema{"#/$defs/": s.Defs, "#/definitions/": s.Definitions} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
			if d, ok := defs[name]; ok {
				return &d
			}
		}
	}
	return nil
}

// deref returns s or what it refers to.
func (s *schema) deref(root *schema) *schema {
	for range maxDepth {
		if s == nil || s.Ref == "" {
			return s
		}
		s = root.resolve(s.Ref)
	}
	return nil
}

func pyBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// pyString is a Python string literal in ASCII.
func pyString(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x7f || r > 0xa0 && r < 0x2000:
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// pyValue is a JSON value as a Python literal; "..." when it is long.
func pyValue(raw json.RawMessage) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if len(raw) > 2*maxLiteralN || d.Decode(&v) != nil {
		return "..."
	}
	return pyAny(v)
}

func pyAny(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return pyBool(v)
	case json.Number:
		return v.String()
	case string:
		return pyString(v)
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, pyAny(e))
		}
		return "[" + strings.Join(out, ", ") + "]"
	case map[string]any:
		if len(v) == 0 {
			return "{}"
		}
	}
	return "..."
}
