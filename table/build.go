package table

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// appendField appends the field that n describes of the struct in v.
func (n *node) appendField(b array.Builder, v reflect.Value) {
	if v = n.through(v); v.IsValid() {
		if f, err := v.FieldByIndexErr(n.index); err == nil { // err: inside a nil embedded pointer
			n.append(b, f)
			return
		}
	}
	b.AppendNull()
}

// append appends v, or null for what is nil.
func (n *node) append(b array.Builder, v reflect.Value) {
	if v = n.through(v); !v.IsValid() {
		b.AppendNull()
		return
	}
	switch n.form {
	case formTime:
		n.appendTime(b.(*array.TimestampBuilder), v.Interface().(time.Time))
	case formDuration:
		b.(*array.DurationBuilder).Append(arrow.Duration(v.Int()))
	case formDecimal:
		appendDecimal(b, decimalText(v))
	case formText:
		n.appendText(b.(*array.StringBuilder), v)
	case formJSON:
		n.appendJSON(b.(*array.StringBuilder), v)
	case formBytes:
		if v.IsNil() {
			b.AppendNull()
			return
		}
		b.(*array.BinaryBuilder).Append(v.Bytes())
	case formNull:
		if !v.Field(1).Bool() {
			b.AppendNull()
			return
		}
		n.children[0].append(b, v.Field(0))
	case formStruct:
		s := b.(*array.StructBuilder)
		s.Append(true)
		for i, c := range n.children {
			c.appendField(s.FieldBuilder(i), v)
		}
	case formList:
		n.appendList(b.(*array.ListBuilder), v)
	case formMap:
		n.appendMap(b.(*array.MapBuilder), v)
	default:
		appendPlain(b, v)
	}
}

func (n *node) appendList(b *array.ListBuilder, v reflect.Value) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		b.AppendNull()
		return
	}
	b.Append(true)
	for i := range v.Len() {
		n.children[0].append(b.ValueBuilder(), v.Index(i))
	}
}

func (n *node) appendMap(b *array.MapBuilder, v reflect.Value) {
	if v.IsNil() {
		b.AppendNull()
		return
	}
	b.Append(true)
	for k, e := range v.Seq2() {
		n.children[0].append(b.KeyBuilder(), k)
		n.children[1].append(b.ItemBuilder(), e)
	}
	if b.KeyBuilder().NullN() > 0 { // which Arrow panics at
		n.note(errors.New("a map has a key that is nil"))
	}
}

func (n *node) appendTime(b *array.TimestampBuilder, t time.Time) {
	if b.Type().(*arrow.TimestampType).Unit == arrow.Nanosecond {
		b.Append(arrow.Timestamp(t.UnixNano()))
		return
	}
	if !time.UnixMicro(t.UnixMicro()).Equal(t.Truncate(time.Microsecond)) {
		n.note(fmt.Errorf("the year %d is beyond what a column of times holds", t.Year()))
	}
	b.Append(arrow.Timestamp(t.UnixMicro()))
}

func (n *node) appendText(b *array.StringBuilder, v reflect.Value) {
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		m = p.Interface().(encoding.TextMarshaler)
	}
	text, err := m.MarshalText()
	n.note(err)
	b.Append(valid(string(text)))
}

// appendJSON writes a string as it is and anything else as JSON.
func (n *node) appendJSON(b *array.StringBuilder, v reflect.Value) {
	if (v.Kind() == reflect.Interface || v.Kind() == reflect.Slice) && v.IsNil() {
		b.AppendNull()
		return
	}
	if s, ok := v.Interface().(string); ok {
		b.Append(valid(s))
		return
	}
	text, err := json.Marshal(v.Interface())
	n.note(err)
	b.Append(string(text))
}

// note keeps the first error of a column.
func (n *node) note(err error) {
	if n.err == nil {
		n.err = err
	}
}

// failed is the first error of the column and what is inside it.
func (n *node) failed() error {
	for _, c := range n.children {
		n.note(c.failed())
	}
	return n.err
}

func appendPlain(b array.Builder, v reflect.Value) {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.Bool())
	case *array.StringBuilder:
		b.Append(valid(v.String()))
	case *array.Int64Builder:
		b.Append(v.Int())
	case *array.Int32Builder:
		b.Append(int32(v.Int()))
	case *array.Int16Builder:
		b.Append(int16(v.Int()))
	case *array.Int8Builder:
		b.Append(int8(v.Int()))
	case *array.Uint64Builder:
		b.Append(v.Uint())
	case *array.Uint32Builder:
		b.Append(uint32(v.Uint()))
	case *array.Uint16Builder:
		b.Append(uint16(v.Uint()))
	case *array.Uint8Builder:
		b.Append(uint8(v.Uint()))
	case *array.Float64Builder:
		b.Append(v.Float())
	case *array.Float32Builder:
		b.Append(float32(v.Float()))
	default:
		b.AppendNull()
	}
}
