// Package schema makes JSON schemas of Go types, and checks and adjusts input
// by them.
package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// inferer makes a JSON schema of a Go type. jsonschema-go's own inference
// refuses recursive types, describes []byte as an array of integers and names
// no field in its errors, so the schema is inferred here and only resolved and
// checked there.
type inferer struct {
	own    Types
	output bool                    // of results: what is nil is null
	active map[reflect.Type]bool   // types being described
	names  map[reflect.Type]string // recursive types, by their name in $defs
	defs   map[string]*jsonschema.Schema
}

// Types says how types look in JSON whose methods do not tell.
type Types map[reflect.Type]*jsonschema.Schema

// Input describes the struct t as the input of a function, and returns what
// checks it. Its fields are the properties, in order.
func (own Types) Input(t reflect.Type) (*Checker, json.RawMessage, error) {
	if t.Kind() != reflect.Struct {
		return nil, nil, fmt.Errorf("%s must be a struct", t)
	}
	s, err := own.infer(t, false)
	if err != nil {
		return nil, nil, err
	}
	c, err := newChecker(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", t, err)
	}
	c.times = true
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", t, err)
	}
	return c, raw, nil
}

// Output describes t as the result of a function.
func (own Types) Output(t reflect.Type) (json.RawMessage, error) {
	s, err := own.infer(t, true)
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map: // a nil one at the top is written as empty
		if len(s.Types) == 2 {
			s.Type, s.Types = s.Types[0], nil
		}
	case reflect.Pointer:
		s = nullable(s)
	}
	return json.Marshal(s)
}

// Special says whether the JSON form of t is not that of its kind.
func (own Types) Special(t reflect.Type) bool { return own.wellKnown(t) != nil }

func (own Types) infer(t reflect.Type, output bool) (*jsonschema.Schema, error) {
	in := inferer{
		own:    own,
		output: output,
		active: map[reflect.Type]bool{},
		names:  map[reflect.Type]string{},
		defs:   map[string]*jsonschema.Schema{},
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s, err := in.of(t, t.String())
	if err != nil {
		return nil, err
	}
	if len(in.defs) > 0 {
		if name, ok := in.names[t]; ok { // the type itself recurs: it must still be an object at the top
			s = in.defs[name].CloneSchemas()
		}
		s.Defs = in.defs
	}
	return s, nil
}

var (
	typeTime       = reflect.TypeFor[time.Time]()
	typeSpan       = reflect.TypeFor[time.Duration]()
	typeNumber     = reflect.TypeFor[json.Number]()
	typeRaw        = reflect.TypeFor[json.RawMessage]()
	typeBigInt     = reflect.TypeFor[big.Int]()
	typeBigFloat   = reflect.TypeFor[big.Float]()
	typeBigRat     = reflect.TypeFor[big.Rat]()
	typeText       = reflect.TypeFor[encoding.TextMarshaler]()
	typeMarshaler  = reflect.TypeFor[json.Marshaler]()
	anyDescription = "any JSON value"
)

// of describes t; path names it in errors.
func (in *inferer) of(t reflect.Type, path string) (*jsonschema.Schema, error) {
	if t.Kind() == reflect.Pointer {
		s, err := in.of(t.Elem(), path)
		if err == nil && in.output {
			s = nullable(s)
		}
		return s, err
	}
	if s := in.own.wellKnown(t); s != nil {
		return s, nil
	}
	if t.Name() == "" || t.PkgPath() == "" {
		return in.ofKind(t, path)
	}
	if in.active[t] {
		if in.names[t] == "" {
			in.names[t] = in.defName(t)
		}
		return &jsonschema.Schema{Ref: "#/$defs/" + in.names[t]}, nil
	}
	in.active[t] = true
	defer delete(in.active, t)
	s, err := in.ofKind(t, path)
	if err != nil {
		return nil, err
	}
	if name := in.names[t]; name != "" {
		in.defs[name] = s
		s = &jsonschema.Schema{Ref: "#/$defs/" + name}
	}
	return s, nil
}

// defName is the name of t in $defs, without the brackets of a generic type.
func (in *inferer) defName(t reflect.Type) string {
	base := strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, t.Name())
	name := base
	for i := 2; ; i++ {
		taken := false
		for _, other := range in.names {
			taken = taken || other == name
		}
		if !taken {
			return name
		}
		name = base + strconv.Itoa(i)
	}
}

// Describer is a type that says itself how it looks in JSON. The zero value is
// asked.
type Describer interface{ JSONSchema() json.RawMessage }

// wellKnown describes the types whose JSON form is not that of their kind;
// nil for all others.
func (own Types) wellKnown(t reflect.Type) *jsonschema.Schema {
	if s := own[t]; s != nil {
		return s.CloneSchemas()
	}
	if d, ok := reflect.Zero(t).Interface().(Describer); ok && t.Kind() != reflect.Pointer {
		s := new(jsonschema.Schema)
		if json.Unmarshal(d.JSONSchema(), s) == nil {
			return s
		}
	}
	p := reflect.PointerTo(t)
	switch {
	case t == typeTime:
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case t == typeSpan:
		return &jsonschema.Schema{Type: "integer", Description: "nanoseconds"}
	case t == typeNumber: // encoding/json writes it as a number and reads both
		return &jsonschema.Schema{Types: []string{"number", "string"}, Format: "decimal"}
	case t == typeBigInt:
		return &jsonschema.Schema{Type: "integer"}
	case t == typeRaw:
		return &jsonschema.Schema{Description: anyDescription}
	case t.Implements(typeText) || p.Implements(typeText):
		s := &jsonschema.Schema{Type: "string"}
		if t == typeBigFloat || t == typeBigRat || t.Name() == "Decimal" {
			s.Format = "decimal"
		}
		return s
	case t.Implements(typeMarshaler) || p.Implements(typeMarshaler):
		return &jsonschema.Schema{Description: anyDescription}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return &jsonschema.Schema{Type: "string", ContentEncoding: "base64"}
	}
	return nil
}

func (in *inferer) ofKind(t reflect.Type, path string) (*jsonschema.Schema, error) {
	switch t.Kind() {
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}, nil
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}, nil
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return ofInteger(t), nil
	case reflect.Interface:
		return &jsonschema.Schema{Description: anyDescription}, nil
	case reflect.Slice, reflect.Array:
		items, err := in.of(t.Elem(), path+"[]")
		if err != nil {
			return nil, err
		}
		s := &jsonschema.Schema{Type: "array", Items: items}
		if t.Kind() == reflect.Array {
			s.MinItems, s.MaxItems = new(t.Len()), new(t.Len())
		} else if in.output {
			s = nullable(s)
		}
		return s, nil
	case reflect.Map:
		if k := t.Key().Kind(); k != reflect.String && (k < reflect.Int || k > reflect.Uint64) && !t.Key().Implements(typeText) {
			return nil, fmt.Errorf("%s: JSON has no maps with keys of type %s", path, t.Key())
		}
		values, err := in.of(t.Elem(), path+"[]")
		if err != nil {
			return nil, err
		}
		s := &jsonschema.Schema{Type: "object", AdditionalProperties: values}
		if in.output {
			s = nullable(s)
		}
		return s, nil
	case reflect.Struct:
		return in.ofStruct(t, path)
	}
	return nil, fmt.Errorf("%s: a %s has no JSON form", path, t)
}

func ofInteger(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "integer"}
	bits := t.Bits()
	switch {
	case t.Kind() >= reflect.Uint:
		s.Minimum = new(0.0)
		if bits < 64 {
			s.Maximum = new(math.Exp2(float64(bits)) - 1)
		}
	case bits < 64:
		s.Minimum, s.Maximum = new(-math.Exp2(float64(bits-1))), new(math.Exp2(float64(bits-1))-1)
	}
	return s
}

// nullable adds null to the types of s.
func nullable(s *jsonschema.Schema) *jsonschema.Schema {
	switch {
	case s.Ref != "":
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, {Type: "null"}}}
	case s.Type != "":
		s.Types, s.Type = []string{s.Type, "null"}, ""
	case s.Types != nil && !slices.Contains(s.Types, "null"):
		s.Types = append(slices.Clone(s.Types), "null")
	}
	return s
}

func (in *inferer) ofStruct(t reflect.Type, path string) (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	if !in.output {
		s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
	}
	for _, f := range in.own.jsonFields(t) {
		fieldPath := path + "." + f.Name
		p, err := in.of(f.Type, fieldPath)
		if err != nil {
			return nil, err
		}
		if f.quoted {
			p = &jsonschema.Schema{Type: "string"}
		}
		switch d := f.Tag.Get("jsonschema"); {
		case d != "" && (p.Type == "integer" || p.Type == "number") && p.Description != "": // a number's unit stays said
			p.Description = d + " (" + p.Description + ")"
		case d != "":
			p.Description = d
		}
		if err := enumAndDefault(p, f.Tag); err != nil {
			return nil, fmt.Errorf("%s: %w", fieldPath, err)
		}
		s.Properties[f.json] = p
		s.PropertyOrder = append(s.PropertyOrder, f.json)
		if !f.optional && p.Default == nil {
			s.Required = append(s.Required, f.json)
		}
	}
	return s, nil
}

// enumAndDefault applies the tags enum:"a,b" and default:"a".
func enumAndDefault(s *jsonschema.Schema, tag reflect.StructTag) error {
	if list, ok := tag.Lookup("enum"); ok {
		of := s
		if s.Items != nil {
			of = s.Items
		}
		for _, text := range strings.Split(list, ",") {
			b, err := tagValue(of, strings.TrimSpace(text))
			if err != nil {
				return fmt.Errorf("enum: %w", err)
			}
			var v any
			if err := json.Unmarshal(b, &v); err != nil {
				return fmt.Errorf("enum: %w", err)
			}
			of.Enum = append(of.Enum, v)
		}
	}
	if text, ok := tag.Lookup("default"); ok {
		b, err := tagValue(s, text)
		if err != nil {
			return fmt.Errorf("default: %w", err)
		}
		s.Default = b
	}
	return nil
}

// tagValue reads a tag as JSON; a string stands for itself.
func tagValue(s *jsonschema.Schema, text string) (json.RawMessage, error) {
	if s.Type == "string" {
		return json.Marshal(text)
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("%q is not JSON", text)
	}
	return json.RawMessage(text), nil
}

// jsonField is a struct field as encoding/json sees it.
type jsonField struct {
	reflect.StructField
	json     string
	optional bool // omitempty, omitzero, or a pointer
	quoted   bool // the ",string" option
	depth    int  // of embedding
}

// jsonFields returns the fields of t in order, those of embedded structs in
// their place. Of two with one name the shallower wins.
func (own Types) jsonFields(t reflect.Type) []jsonField {
	var fields []jsonField
	add := func(f jsonField) {
		i := slices.IndexFunc(fields, func(g jsonField) bool { return g.json == f.json })
		switch {
		case i < 0:
			fields = append(fields, f)
		case f.depth < fields[i].depth:
			fields[i] = f
		}
	}
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type, depth int, optional bool)
	walk = func(t reflect.Type, depth int, optional bool) {
		if seen[t] {
			return
		}
		seen[t] = true
		for f := range t.Fields() {
			tag := f.Tag.Get("json")
			if tag == "-" {
				continue
			}
			name, options, _ := strings.Cut(tag, ",")
			elem, pointer := f.Type, f.Type.Kind() == reflect.Pointer
			if pointer {
				elem = elem.Elem()
			}
			if f.Anonymous && name == "" && elem.Kind() == reflect.Struct && own.wellKnown(elem) == nil {
				walk(elem, depth+1, optional || pointer)
				continue
			}
			if !f.IsExported() {
				continue
			}
			if name == "" {
				name = f.Name
			}
			opts := strings.Split(options, ",")
			add(jsonField{
				StructField: f, json: name, depth: depth,
				optional: optional || pointer || slices.Contains(opts, "omitempty") || slices.Contains(opts, "omitzero"),
				quoted:   slices.Contains(opts, "string"),
			})
		}
	}
	walk(t, 0, false)
	return fields
}
