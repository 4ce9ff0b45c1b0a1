package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Checker validates JSON objects against a schema.
type Checker struct {
	resolved *jsonschema.Resolved
	times    bool // a date-time becomes a time.Time, which wants all of it
}

// newChecker prepares s, which must describe an object.
func newChecker(s *jsonschema.Schema) (*Checker, error) {
	r, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		return nil, fmt.Errorf("the schema cannot be used: %w", err)
	}
	c := &Checker{resolved: r}
	if t := c.follow(s); t.Type != "object" {
		return nil, errors.New("the schema must have type object")
	}
	return c, nil
}

// ParseChecker prepares a schema given as JSON.
func ParseChecker(schema []byte) (*Checker, error) {
	s := new(jsonschema.Schema)
	if err := json.Unmarshal(schema, s); err != nil {
		return nil, fmt.Errorf("the schema is not a JSON schema: %w", err)
	}
	return newChecker(s)
}

// Check validates raw and returns it as the function behind should read it:
// null for an optional property counts as not given, defaults are filled in,
// 5.0 for an integer is 5, and so is a string that says so: "5", "0.5", "true"
// where no string is wanted; a date for a time.Time is its first moment, a time
// without a zone UTC. The error is for the model and names the property.
func (c *Checker) Check(raw json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("the input is not valid JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the input is not valid JSON: there is more after its end")
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the input must be a JSON object")
	}
	if c.adjust(c.resolved.Schema(), obj) {
		b, err := json.Marshal(obj)
		if err != nil {
			return nil, fmt.Errorf("the input is not valid JSON: %w", err)
		}
		raw = b
	}
	if err := c.resolved.Validate(plainNumbers(obj)); err != nil {
		return nil, readableError(err)
	}
	return raw, nil
}

// follow looks through references inside the schema.
func (c *Checker) follow(s *jsonschema.Schema) *jsonschema.Schema {
	root := c.resolved.Schema()
	for range 100 { // a reference may go in circles
		if s.Ref == "#" {
			return root
		}
		name, ok := strings.CutPrefix(s.Ref, "#/$defs/")
		if !ok || root.Defs[name] == nil {
			return s
		}
		s = root.Defs[name]
	}
	return s
}

// adjust changes v, a decoded JSON value, in place and says whether it did.
func (c *Checker) adjust(s *jsonschema.Schema, v any) bool {
	s = c.follow(s)
	changed := false
	switch v := v.(type) {
	case map[string]any:
		for name, p := range s.Properties {
			e, given := v[name]
			switch {
			case !given && p.Default != nil:
				var d any
				if json.Unmarshal(p.Default, &d) == nil {
					v[name], changed = d, true
				}
			case !given:
			case e == nil && !slices.Contains(s.Required, name) && !c.allowsNull(p):
				delete(v, name)
				changed = true
				if p.Default != nil {
					c.adjust(s, v)
				}
			default:
				if n, ok := c.coerced(p, e); ok {
					v[name], changed = n, true
				} else if c.adjust(p, e) {
					changed = true
				}
			}
		}
		if s.AdditionalProperties != nil && len(v) > len(s.Properties) || s.Properties == nil {
			changed = c.adjustRest(s, v) || changed
		}
	case []any:
		if s.Items == nil {
			break
		}
		for i, e := range v {
			if n, ok := c.coerced(s.Items, e); ok {
				v[i], changed = n, true
			} else if c.adjust(s.Items, e) {
				changed = true
			}
		}
	}
	return changed
}

func (c *Checker) adjustRest(s *jsonschema.Schema, v map[string]any) bool {
	if s.AdditionalProperties == nil {
		return false
	}
	changed := false
	for name, e := range v {
		if s.Properties[name] != nil {
			continue
		}
		if n, ok := c.coerced(s.AdditionalProperties, e); ok {
			v[name], changed = n, true
		} else if c.adjust(s.AdditionalProperties, e) {
			changed = true
		}
	}
	return changed
}

func (c *Checker) allowsNull(s *jsonschema.Schema) bool {
	s = c.follow(s)
	return s.Type == "null" || slices.Contains(s.Types, "null") || (s.Type == "" && s.Types == nil)
}

var integralFloat = regexp.MustCompile(`^-?[0-9]+\.0+$`)

var (
	numberText = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	boolTexts  = map[string]bool{
		"true": true, "t": true, "yes": true, "y": true, "on": true, "1": true,
		"false": false, "f": false, "no": false, "n": false, "off": false, "0": false,
	}
)

// coerced returns what v stands for when s wants no value of its type, as the
// Python SDK does: a number or a boolean in a string, an integer with a
// fraction of zero.
func (c *Checker) coerced(s *jsonschema.Schema, v any) (any, bool) {
	s = c.follow(s)
	wants := func(kind string) bool { return s.Type == kind || slices.Contains(s.Types, kind) }
	if text, ok := v.(string); ok && c.times && s.Format == "date-time" {
		return wholeTime(text)
	}
	if text, ok := v.(string); ok && !wants("string") {
		text = strings.TrimSpace(text)
		if b, ok := boolTexts[strings.ToLower(text)]; ok && wants("boolean") {
			return b, true
		}
		if !wants("integer") && !wants("number") || !numberText.MatchString(text) {
			return nil, false
		}
		n := plainNumber(text)
		if whole, ok := integer(n); ok && wants("integer") {
			return whole, true
		}
		return n, true // the schema says whether an integer would do
	}
	if n, ok := v.(json.Number); ok && wants("integer") && strings.ContainsAny(n.String(), ".eE") {
		return integer(n)
	}
	return nil, false
}

// plainNumber writes a number as JSON does.
func plainNumber(text string) json.Number {
	text = strings.TrimPrefix(text, "+")
	if json.Valid([]byte(text)) {
		return json.Number(text)
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range: not valid for any type
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}

// integer returns n without a fraction, when it is an integer.
func integer(n json.Number) (json.Number, bool) {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n, true
	}
	if integralFloat.MatchString(n.String()) {
		whole, _, _ := strings.Cut(n.String(), ".")
		return json.Number(whole), true
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return "", false
	}
	return json.Number(strconv.FormatFloat(f, 'f', 0, 64)), true
}

// Known returns the properties of input, a JSON object, that the schema names;
// all of them when it names none.
func Known(schema, input json.RawMessage) json.RawMessage {
	var s struct{ Properties map[string]json.RawMessage }
	var in map[string]json.RawMessage
	if json.Unmarshal(schema, &s) != nil || len(s.Properties) == 0 || json.Unmarshal(input, &in) != nil {
		return input
	}
	had := len(in)
	maps.DeleteFunc(in, func(name string, _ json.RawMessage) bool { return s.Properties[name] == nil })
	if len(in) == had {
		return input
	}
	known, err := json.Marshal(in)
	if err != nil {
		return input
	}
	return known
}

// plainNumbers replaces json.Number, which the validator takes for a string.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return u
		}
		f, _ := v.Float64() // out of range: ±Inf, which no integer type accepts
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	}
	return v
}

var (
	validating = regexp.MustCompile(`^validating (\S+): `)
	compared   = regexp.MustCompile(`^(-?\d+)/1 is (.*?)(?:\.0+)?$`) // 256/1 is greater than 255.000000
)

// readableError turns the validator's chain of schema pointers into the path
// of the property that is wrong.
func readableError(err error) error {
	msg, path, last := err.Error(), "", ""
	for {
		m := validating.FindStringSubmatch(msg)
		if m == nil {
			break
		}
		msg = msg[len(m[0]):]
		if m[1] == "root" {
			continue
		}
		if rest, ok := strings.CutPrefix(m[1], last); ok { // else it jumped through a reference
			path += propertyPath(rest, path != "")
		}
		last = m[1]
	}
	_, detail, ok := strings.Cut(msg, ": ") // the keyword says nothing to a model
	if !ok {
		detail = msg
	}
	detail = strings.Replace(detail, "missing properties: ", "missing ", 1)
	detail = strings.Replace(detail, "unexpected additional properties", "unexpected", 1)
	detail = strings.Replace(detail, "<invalid reflect.Value> has", "it has", 1)
	detail = compared.ReplaceAllString(detail, "$1 is $2")
	if path == "" {
		return errors.New("invalid input: " + detail)
	}
	return fmt.Errorf("invalid input: %s: %s", path, detail)
}

// propertyPath turns /properties/a/items/properties/b into a[].b.
func propertyPath(pointer string, inside bool) string {
	var b strings.Builder
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := 0; i < len(steps); i++ {
		switch steps[i] {
		case "properties":
			if i++; i < len(steps) {
				if inside || b.Len() > 0 {
					b.WriteByte('.')
				}
				b.WriteString(strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[i]))
			}
		case "$defs":
			i++
		case "items", "additionalProperties":
			b.WriteString("[]")
		}
	}
	return b.String()
}
