package table

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/strandsgo/strands/internal/jsonfields"
)

// FromStructs makes a table of rows, which may be pointers; a nil one has
// nulls only. Columns are the fields, in order, named as encoding/json names
// them; the fields of embedded structs are columns too. Nil pointers and the
// invalid values of package sql's Null types are null.
//
// Times become instants in their zone when all of a column have the same, else
// in UTC, to the microsecond when one is so far away that 64 bits do not hold
// its nanoseconds, as the zero Time is; a type named Decimal that has a String method, *big.Int and *big.Rat
// stay exact; structs, slices and maps are nested; what marshals to text is
// text. A decimal that is no number is null. The error names a field that has no
// column form, or a value that cannot be written.
func FromStructs[T any](rows []T) (Table, error) {
	t := reflect.TypeFor[T]()
	n, err := nodeOf(t, t.String(), 0)
	if err != nil {
		return Table{}, fmt.Errorf("table: %w", err)
	}
	switch {
	case n.form == formStruct:
	case n.typ.Kind() == reflect.Struct:
		return Table{}, fmt.Errorf("table: %s is one value by its methods, perhaps those of an embedded field, and has no columns; name that field", t)
	default:
		return Table{}, fmt.Errorf("table: %s is no struct", t)
	}
	values := reflect.ValueOf(rows)
	if n.varies {
		for i := range values.Len() {
			n.look(values.Index(i))
		}
	}
	fields := make([]arrow.Field, len(n.children))
	columns := make([]arrow.Array, len(n.children))
	for i, c := range n.children {
		typ, err := c.arrowType()
		if err != nil {
			return Table{}, fmt.Errorf("table: column %s: %w", c.name, err)
		}
		fields[i] = arrow.Field{Name: c.name, Type: typ, Nullable: true}
		if columns[i] = c.numbers(t, unsafe.Pointer(unsafe.SliceData(rows)), len(rows), typ); columns[i] != nil {
			continue
		}
		b := array.NewBuilder(memory.DefaultAllocator, typ)
		b.Reserve(len(rows))
		for r := range values.Len() {
			c.appendField(b, values.Index(r))
		}
		if err := c.failed(); err != nil {
			return Table{}, fmt.Errorf("table: column %s: %w", c.name, err)
		}
		columns[i] = b.NewArray()
	}
	schema := arrow.NewSchema(fields, nil)
	return Table{schema: schema, records: []arrow.RecordBatch{array.NewRecordBatch(schema, columns, int64(len(rows)))}}, nil
}

// form is how a Go type is written in a column.
type form int

const (
	formPlain form = iota // by its kind
	formTime
	formDuration
	formDecimal
	formText // by MarshalText
	formJSON // any JSON value, as its text
	formBytes
	formNull // a struct of package sql: the value is its first field
	formStruct
	formList
	formMap
)

// node describes a type, and what was seen of its values.
type node struct {
	name     string
	index    []int // of a field
	typ      reflect.Type
	pointers int // to go through before typ
	form     form
	varies   bool // its Arrow type depends on the values, or that of a child
	children []*node

	seen          bool
	zone          string // of all times; "UTC" when they differ
	nanos         bool   // some have more than microseconds
	far           bool   // some are beyond what 64 bits of nanoseconds hold
	digits, scale int32  // of decimals: before and after the point
	err           error  // of a value that could not be written
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType     = reflect.TypeFor[json.Marshaler]()
	stringerType = reflect.TypeFor[fmt.Stringer]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)

const deepest = 16 // levels of nested types

// nodeOf describes t; path names it in errors.
func nodeOf(t reflect.Type, path string, depth int) (*node, error) {
	n := &node{}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		n.pointers++
	}
	n.typ = t
	if depth > deepest {
		return nil, fmt.Errorf("%s is nested too deep, or recursive", path)
	}
	pointer := reflect.PointerTo(t)
	switch {
	case t == timeType:
		n.form, n.varies = formTime, true
	case t == durationType:
		n.form = formDuration
	case t == rawType, t.Kind() == reflect.Interface:
		n.form = formJSON
	case t == reflect.TypeFor[big.Int](), t == reflect.TypeFor[big.Rat](), t.Name() == "Decimal" && (t.Implements(stringerType) || pointer.Implements(stringerType)):
		n.form, n.varies = formDecimal, true
	case t.PkgPath() == "database/sql" && strings.HasPrefix(t.Name(), "Null"):
		n.form = formNull
		c, err := nodeOf(t.Field(0).Type, path, depth+1)
		if err != nil {
			return nil, err
		}
		n.children, n.varies = []*node{c}, c.varies
	case t.Implements(textType) || pointer.Implements(textType):
		n.form = formText
	case t.Implements(jsonType) || pointer.Implements(jsonType):
		n.form = formJSON
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		n.form = formBytes
	default:
		return n, n.ofKind(path, depth)
	}
	return n, nil
}

func (n *node) ofKind(path string, depth int) error {
	t := n.typ
	var inside []reflect.Type
	switch t.Kind() {
	case reflect.Struct:
		n.form = formStruct
		for _, f := range jsonfields.Of(t, func(t reflect.Type) bool { return t == timeType }) {
			c, err := nodeOf(f.Type, path+"."+f.Name, depth+1)
			if err != nil {
				return err
			}
			c.name, c.index = f.Name, f.Index
			n.add(c)
		}
	case reflect.Slice, reflect.Array:
		n.form, inside = formList, []reflect.Type{t.Elem()}
	case reflect.Map:
		n.form, inside = formMap, []reflect.Type{t.Key(), t.Elem()}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%s: a %s cannot be a column; leave it out with the tag `json:\"-\"`", path, t)
	}
	for _, t := range inside {
		c, err := nodeOf(t, path+"[]", depth+1)
		if err != nil {
			return err
		}
		n.add(c)
	}
	return nil
}

func (n *node) add(c *node) {
	n.children = append(n.children, c)
	n.varies = n.varies || c.varies
}

// through follows pointers; the result is invalid when one is nil.
func (n *node) through(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

// look notes what the Arrow type must be able to hold.
func (n *node) look(v reflect.Value) {
	if v = n.through(v); !n.varies || !v.IsValid() {
		return
	}
	switch n.form {
	case formTime:
		n.lookTime(v.Interface().(time.Time))
	case formDecimal:
		if digits, scale, err := decimal.PrecScaleFromString(decimalText(v)); err == nil {
			n.scale, n.digits = max(n.scale, scale), max(n.digits, digits-scale)
		}
	case formStruct:
		for _, c := range n.children {
			if f, err := v.FieldByIndexErr(c.index); err == nil {
				c.look(f)
			}
		}
	case formNull:
		if v.Field(1).Bool() {
			n.children[0].look(v.Field(0))
		}
	case formList:
		for i := range v.Len() {
			n.children[0].look(v.Index(i))
		}
	case formMap:
		for k, e := range v.Seq2() {
			n.children[0].look(k)
			n.children[1].look(e)
		}
	}
}

func (n *node) lookTime(t time.Time) {
	zone := t.Location().String()
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" || zone == "" {
		zone = "UTC" // a zone that only this program knows
	}
	if n.seen && n.zone != zone {
		zone = "UTC"
	}
	n.nanos = n.nanos || t.Nanosecond()%1000 != 0
	n.far = n.far || t.Year() <= 1678 || t.Year() >= 2262
	n.seen, n.zone = true, zone
}

// arrowType is the type of the column; look must have seen the values.
func (n *node) arrowType() (arrow.DataType, error) {
	switch n.form {
	case formTime:
		zone := n.zone
		if zone == "" {
			zone = "UTC"
		}
		unit := arrow.Microsecond
		if n.nanos && !n.far {
			unit = arrow.Nanosecond
		}
		return &arrow.TimestampType{Unit: unit, TimeZone: zone}, nil
	case formDuration:
		return arrow.FixedWidthTypes.Duration_ns, nil
	case formDecimal:
		return decimalType(n.digits, n.scale)
	case formText, formJSON:
		return arrow.BinaryTypes.String, nil
	case formBytes:
		return arrow.BinaryTypes.Binary, nil
	case formNull:
		return n.children[0].arrowType()
	case formStruct:
		var fields []arrow.Field
		for _, c := range n.children {
			typ, err := c.arrowType()
			if err != nil {
				return nil, err
			}
			fields = append(fields, arrow.Field{Name: c.name, Type: typ, Nullable: true})
		}
		return arrow.StructOf(fields...), nil
	case formList:
		typ, err := n.children[0].arrowType()
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(typ), nil
	case formMap:
		key, err := n.children[0].arrowType()
		if err != nil {
			return nil, err
		}
		item, err := n.children[1].arrowType()
		if err != nil {
			return nil, err
		}
		return arrow.MapOf(key, item), nil
	}
	return plainType(n.typ.Kind())
}

var plainTypes = map[reflect.Kind]arrow.DataType{
	reflect.Bool: arrow.FixedWidthTypes.Boolean, reflect.String: arrow.BinaryTypes.String,
	reflect.Int: arrow.PrimitiveTypes.Int64, reflect.Int8: arrow.PrimitiveTypes.Int8, reflect.Int16: arrow.PrimitiveTypes.Int16,
	reflect.Int32: arrow.PrimitiveTypes.Int32, reflect.Int64: arrow.PrimitiveTypes.Int64,
	reflect.Uint: arrow.PrimitiveTypes.Uint64, reflect.Uint8: arrow.PrimitiveTypes.Uint8, reflect.Uint16: arrow.PrimitiveTypes.Uint16,
	reflect.Uint32: arrow.PrimitiveTypes.Uint32, reflect.Uint64: arrow.PrimitiveTypes.Uint64, reflect.Uintptr: arrow.PrimitiveTypes.Uint64,
	reflect.Float32: arrow.PrimitiveTypes.Float32, reflect.Float64: arrow.PrimitiveTypes.Float64,
}

func plainType(k reflect.Kind) (arrow.DataType, error) {
	if t := plainTypes[k]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("a %s cannot be a column", k)
}

// decimalType holds so many digits before and after the point.
func decimalType(digits, scale int32) (arrow.DataType, error) {
	precision := max(digits+scale, 1)
	switch {
	case precision <= 38:
		return &arrow.Decimal128Type{Precision: 38, Scale: scale}, nil
	case precision <= 76:
		return &arrow.Decimal256Type{Precision: 76, Scale: scale}, nil
	}
	return nil, fmt.Errorf("decimals of %d digits; Arrow has 76", precision)
}

// decimalText is the exact text of a decimal.
func decimalText(v reflect.Value) string {
	if v.CanAddr() {
		v = v.Addr()
	} else {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		v = p
	}
	if r, ok := v.Interface().(*big.Rat); ok {
		n, exact := r.FloatPrec()
		if !exact {
			n = 38 // a third has no end
		}
		return r.FloatString(min(n, 38))
	}
	return v.Interface().(fmt.Stringer).String()
}

// appendDecimal writes text, which look has seen, as a decimal of the column.
func appendDecimal(b array.Builder, text string) {
	switch b := b.(type) {
	case *array.Decimal128Builder:
		if n, err := decimal128.FromString(text, 38, b.Type().(*arrow.Decimal128Type).Scale); err == nil {
			b.Append(n)
			return
		}
	case *array.Decimal256Builder:
		if n, err := decimal256.FromString(text, 76, b.Type().(*arrow.Decimal256Type).Scale); err == nil {
			b.Append(n)
			return
		}
	}
	b.AppendNull() // not a number
}
