package python

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/jsonfields"
)

// encodeResult is a tool's result in the protocol's JSON: its attachments or
// the native value when there are any, else what the model would read. Big
// data goes into p; nil = nothing is big.
func encodeResult(res *strands.ToolResult, p *parcel) ([]byte, error) {
	switch {
	case len(res.Attachments) == 1:
		return encodeInto(attachment{res.Attachments[0]}, p)
	case len(res.Attachments) > 1:
		var all []attachment
		for _, a := range res.Attachments {
			all = append(all, attachment{a})
		}
		return encodeInto(all, p)
	case res.Value != nil:
		return encodeInto(res.Value, p)
	}
	var values []any
	texts := true
	for _, p := range res.Parts {
		v, text := partValue(p)
		texts = texts && text
		values = append(values, v)
	}
	switch {
	case len(values) == 0:
		return []byte("null"), nil
	case len(values) == 1:
		return encodeInto(values[0], p)
	case texts:
		return encodeInto(res.Text(), p)
	}
	return encodeInto(values, p)
}

func partValue(p strands.Part) (v any, text bool) {
	for _, m := range []*strands.Media{p.Image, p.Document, p.Video} {
		switch {
		case m == nil:
		case m.URI != "":
			return m.URI, false
		default:
			return m.Data, false
		}
	}
	switch {
	case p.JSON != nil:
		return p.JSON, false
	case p.Cited != nil:
		return p.Cited.Text, true
	}
	return p.Text, true
}

// encodeValue marshals v with the tags of docs/protocol.md: bytes, times and
// decimals stay what they are.
func encodeValue(v any) ([]byte, error) { return encodeInto(v, nil) }

func encodeInto(v any, p *parcel) ([]byte, error) {
	t := reflect.TypeOf(v)
	if t == nil {
		return []byte("null"), nil
	}
	if isPlain(t) {
		b, err := json.Marshal(v)
		if err != nil || !bytes.Contains(b, []byte(`{"$`)) {
			return b, err
		}
		return escapeTags(b)
	}
	e := encoder{parcel: p}
	err := e.value(reflect.ValueOf(v), 0)
	return e.Bytes(), err
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
	plainTypes    sync.Map // reflect.Type → bool
)

// isPlain says whether encoding/json says all there is to say about a type: no
// bytes, times, decimals, interfaces or floats in it. A float is none because
// it must not become an int in Python when it is a whole number.
func isPlain(t reflect.Type) bool {
	if known, ok := plainTypes.Load(t); ok {
		return known.(bool)
	}
	plainTypes.Store(t, false) // of a recursive type
	plain := false
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		plain = !special(t)
	case reflect.Pointer:
		plain = !special(t) && isPlain(t.Elem())
	case reflect.Slice:
		plain = !special(t) && t.Elem().Kind() != reflect.Uint8 && isPlain(t.Elem())
	case reflect.Array:
		plain = !special(t) && isPlain(t.Elem())
	case reflect.Map:
		plain = !special(t) && isPlain(t.Elem())
	case reflect.Struct:
		plain = !special(t)
		for i := 0; plain && i < t.NumField(); i++ {
			plain = isPlain(t.Field(i).Type)
		}
	}
	plainTypes.Store(t, plain)
	return plain
}

// special says whether the type has a form of its own.
func special(t reflect.Type) bool {
	return t == timeType || t == rawType || isDecimal(t) || t.Implements(marshalerType) || t.Implements(textType) || t.Implements(bulkType)
}

// isDecimal recognises decimal types of libraries by their name: they marshal
// to text or a number, and String is exact.
func isDecimal(t reflect.Type) bool {
	return t.Name() == "Decimal" && t.Implements(reflect.TypeFor[fmt.Stringer]())
}

// encoder writes a value as encoding/json would, but for the tags.
type encoder struct {
	bytes.Buffer
	parcel *parcel
}

func (e *encoder) tag(name, text string) {
	quoted, _ := json.Marshal(text) // a string always marshals
	fmt.Fprintf(e, `{"$%s":%s}`, name, quoted)
}

func (e *encoder) value(v reflect.Value, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	if !v.IsValid() {
		e.WriteString("null")
		return nil
	}
	t := v.Type()
	switch {
	case t == timeType:
		e.tag("datetime", v.Interface().(time.Time).Format(time.RFC3339Nano))
		return nil
	case t.Kind() == reflect.Pointer && (v.IsNil() || t.Elem() == timeType || isDecimal(t.Elem())):
		return e.value(v.Elem(), depth+1) // of nil that is no value, which is null
	case isDecimal(t) && t.Kind() != reflect.Pointer:
		e.tag("decimal", v.Interface().(fmt.Stringer).String())
		return nil
	case t == bytesType && !v.IsNil():
		return e.bytes(v.Bytes())
	case t.Kind() != reflect.Interface && t.Implements(bulkType):
		return e.bulk(v.Interface().(bulk), depth)
	case isPlain(t) || special(t):
		return e.plain(v)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return e.value(v.Elem(), depth+1)
	case reflect.Interface:
		if v.Elem().IsValid() && v.Elem().CanFloat() && !special(v.Elem().Type()) {
			return e.plain(v) // decoded JSON, where every number is a float
		}
		return e.value(v.Elem(), depth+1)
	case reflect.Float32, reflect.Float64:
		start := e.Len()
		err := e.plain(v)
		if !bytes.ContainsAny(e.Bytes()[start:], ".e") {
			e.WriteString(".0")
		}
		return err
	case reflect.Slice:
		if v.IsNil() {
			e.WriteString("null")
			return nil
		}
		if t.Elem().Kind() == reflect.Uint8 && !special(t.Elem()) {
			return e.bytes(v.Bytes())
		}
		return e.list(v, depth)
	case reflect.Array:
		return e.list(v, depth)
	case reflect.Map:
		return e.object(v, depth)
	case reflect.Struct:
		return e.structure(v, depth)
	}
	return e.plain(v)
}

// plain lets encoding/json do it.
func (e *encoder) plain(v reflect.Value) error {
	b, err := json.Marshal(v.Interface())
	if err == nil && bytes.Contains(b, []byte(`{"$`)) {
		b, err = escapeTags(b)
	}
	e.Write(b)
	return err
}

func (e *encoder) list(v reflect.Value, depth int) error {
	e.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			e.WriteByte(',')
		}
		if err := e.value(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	e.WriteByte(']')
	return nil
}

// object writes a map. Its keys are what encoding/json makes of them.
func (e *encoder) object(v reflect.Value, depth int) error {
	if v.IsNil() {
		e.WriteString("null")
		return nil
	}
	byName := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		name, err := keyName(k)
		if err != nil {
			return err
		}
		byName[name] = v.MapIndex(k)
	}
	var names []string
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	e.WriteByte('{')
	for i, n := range names {
		if i > 0 {
			e.WriteByte(',')
		}
		if err := e.field(n, byName[n], len(names) == 1, depth); err != nil {
			return err
		}
	}
	e.WriteByte('}')
	return nil
}

func keyName(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String && !k.Type().Implements(textType) {
		return k.String(), nil
	}
	if m, ok := k.Interface().(interface{ MarshalText() ([]byte, error) }); ok {
		b, err := m.MarshalText()
		return string(b), err
	}
	return fmt.Sprint(k.Interface()), nil
}

func (e *encoder) field(name string, v reflect.Value, only bool, depth int) error {
	if only && strings.HasPrefix(name, "$") {
		name = "$" + name
	}
	quoted, _ := json.Marshal(name) // a string always marshals
	e.Write(quoted)
	e.WriteByte(':')
	return e.value(v, depth+1)
}

// structure writes a struct by its json tags.
func (e *encoder) structure(v reflect.Value, depth int) error {
	type member struct {
		name  string
		value reflect.Value
	}
	var members []member
	for _, f := range jsonFields(v.Type()) {
		fv, err := v.FieldByIndexErr(f.index)
		if err != nil || f.omit(fv) {
			continue // err: inside a nil embedded pointer
		}
		members = append(members, member{f.name, fv})
	}
	e.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			e.WriteByte(',')
		}
		if err := e.field(m.name, m.value, len(members) == 1, depth); err != nil {
			return err
		}
	}
	e.WriteByte('}')
	return nil
}

type jsonField struct {
	name      string
	index     []int
	omitEmpty bool
	omitZero  bool
}

func (f jsonField) omit(v reflect.Value) bool {
	if f.omitZero && v.IsZero() {
		return true
	}
	if !f.omitEmpty {
		return false
	}
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// jsonFields lists the fields that encoding/json would write, in order.
func jsonFields(t reflect.Type) []jsonField {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]jsonField)
	}
	var fields []jsonField
	for _, f := range jsonfields.Of(t, func(t reflect.Type) bool { return t == timeType }) {
		fields = append(fields, jsonField{f.Name, f.Index, slices.Contains(f.Options, "omitempty"), slices.Contains(f.Options, "omitzero")})
	}
	fieldsOf.Store(t, fields)
	return fields
}

var fieldsOf sync.Map // of a reflect.Type: []jsonField

// escapeTags doubles the $ of objects that look like tags.
func escapeTags(b []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(escaped(v))
}

func escaped(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = escaped(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, m := range v {
			if len(v) == 1 && strings.HasPrefix(k, "$") {
				k = "$" + k
			}
			out[k] = escaped(m)
		}
		return out
	}
	return v
}
