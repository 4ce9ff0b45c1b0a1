package table

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// kind is what the values of a column are.
type kind int

const (
	kindNone kind = iota // nothing but nulls so far
	kindBool
	kindInt
	kindUint // beyond int64
	kindFloat
	kindDecimal
	kindText
	kindBytes
	kindDate
	kindMoment  // of a clock on the wall
	kindInstant // with a zone
)

// hintOf reads what a database calls the type of a column. It guides what text
// and times of that column become; what the values are decides.
func hintOf(name string) kind {
	name, _, _ = strings.Cut(strings.ToUpper(name), "(")
	name = strings.TrimSpace(strings.TrimPrefix(name, "UNSIGNED "))
	switch name {
	case "BOOL", "BOOLEAN":
		return kindBool
	case "INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "MEDIUMINT", "INT2", "INT4", "INT8", "HUGEINT", "YEAR", "SERIAL", "BIGSERIAL":
		return kindInt
	case "FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "DOUBLE PRECISION", "REAL":
		return kindFloat
	case "DECIMAL", "NUMERIC", "NUMBER", "DEC":
		return kindDecimal
	case "DATE":
		return kindDate
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_TZ", "DATETIMEOFFSET":
		return kindInstant
	case "TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE", "DATETIME", "DATETIME2", "SMALLDATETIME":
		return kindMoment
	case "BYTEA", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BINARY", "VARBINARY", "IMAGE":
		return kindBytes
	}
	if strings.HasSuffix(name, "TEXT") || strings.Contains(name, "CHAR") || name == "JSON" || name == "JSONB" || name == "ENUM" || name == "SET" || name == "TIME" || name == "XML" {
		return kindText
	}
	return kindNone
}

// column collects the values of a column as they come. A value that does not
// fit what came before widens it.
type column struct {
	hint          kind
	kind          kind
	values        array.Builder // nil while there are only nulls
	nulls         int           // before the first value
	digits, scale int32         // of decimals, which are text until the end
}

func newColumn(hint kind) *column { return &column{hint: hint} }

// append takes a value as a driver gives it and returns its size.
func (c *column) append(v any) int64 {
	v, k := c.read(v)
	if k == kindNone {
		if c.values == nil {
			c.nulls++
		} else {
			c.values.AppendNull()
		}
		return 1
	}
	switch to := wider(c.kind, k); {
	case c.kind == kindNone:
		c.begin(k)
	case to != c.kind:
		c.widen(to)
	}
	if c.kind != k {
		v = as(v, c.kind)
	}
	return c.put(v)
}

func (c *column) begin(k kind) {
	c.kind = k
	c.values = array.NewBuilder(memory.DefaultAllocator, storedAs[k])
	c.values.AppendNulls(c.nulls)
}

// storedAs is how values are kept until finish.
var storedAs = map[kind]arrow.DataType{
	kindBool: arrow.FixedWidthTypes.Boolean, kindInt: arrow.PrimitiveTypes.Int64, kindUint: arrow.PrimitiveTypes.Uint64,
	kindFloat: arrow.PrimitiveTypes.Float64, kindDecimal: arrow.BinaryTypes.String, kindText: arrow.BinaryTypes.String,
	kindBytes: arrow.BinaryTypes.Binary, kindDate: arrow.FixedWidthTypes.Date32,
	kindMoment:  &arrow.TimestampType{Unit: arrow.Microsecond},
	kindInstant: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
}

// read says what v is, under the hint of the column.
func (c *column) read(v any) (any, kind) {
	switch v := v.(type) {
	case nil:
		return nil, kindNone
	case bool:
		return v, kindBool
	case int64:
		if c.hint == kindBool && (v == 0 || v == 1) { // SQLite and MySQL have no other
			return v == 1, kindBool
		}
		return v, kindInt
	case float64:
		return v, kindFloat
	case string:
		return c.readText(v)
	case []byte:
		if c.hint == kindBytes || c.hint == kindNone || !utf8.Valid(v) {
			return v, kindBytes
		}
		return c.readText(string(v))
	case time.Time:
		switch c.hint {
		case kindDate, kindMoment:
			return v, c.hint
		}
		return v, kindInstant
	case *big.Int:
		return v.String(), kindDecimal
	}
	return readOther(v)
}

// readText reads a number or a date that a driver gives as text, when that is
// what the column is declared to hold.
func (c *column) readText(s string) (any, kind) {
	switch c.hint {
	case kindInt:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, kindInt
		}
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			return n, kindUint
		}
	case kindFloat:
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f, kindFloat
		}
	case kindDecimal:
		if _, _, err := decimal.PrecScaleFromString(s); err == nil {
			return s, kindDecimal
		}
	case kindDate:
		if t, err := time.Parse(time.DateOnly, s); err == nil {
			return t, kindDate
		}
	case kindMoment, kindInstant:
		for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05", time.RFC3339} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, c.hint
			}
		}
	}
	return s, kindText
}

// readOther reads what drivers should not give, and some do.
func readOther(v any) (any, kind) {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil, kindNone
	}
	if s, ok := v.(fmt.Stringer); ok {
		if reflect.Indirect(rv).Type().Name() == "Decimal" {
			return s.String(), kindDecimal
		}
		return s.String(), kindText
	}
	switch {
	case rv.CanInt():
		return rv.Int(), kindInt
	case rv.CanUint():
		if u := rv.Uint(); u > math.MaxInt64 {
			return u, kindUint
		}
		return int64(rv.Uint()), kindInt
	case rv.CanFloat():
		return rv.Float(), kindFloat
	case rv.Kind() == reflect.String:
		return rv.String(), kindText
	case rv.Kind() == reflect.Array && rv.Len() == 16 && rv.Type().Elem().Kind() == reflect.Uint8: // a UUID
		b := make([]byte, 16)
		reflect.Copy(reflect.ValueOf(b), rv)
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), kindText
	}
	return jsonText(v), kindText
}

// wider is the kind that holds values of both.
func wider(a, b kind) kind {
	if a > b {
		a, b = b, a
	}
	switch {
	case a == b || a == kindNone:
		return b
	case a == kindInt && b == kindUint:
		return kindDecimal
	case (a == kindInt || a == kindUint) && (b == kindFloat || b == kindDecimal):
		return b
	case a == kindFloat && b == kindDecimal:
		return kindFloat
	case a == kindBool && b == kindInt:
		return kindInt
	case a == kindDate && b >= kindMoment, a == kindMoment && b == kindInstant:
		return b
	}
	return kindText
}

// as turns a value into one of a wider kind.
func as(v any, k kind) any {
	switch k {
	case kindInt:
		if b, ok := v.(bool); ok {
			if b {
				return int64(1)
			}
			return int64(0)
		}
	case kindFloat:
		switch v := v.(type) {
		case int64:
			return float64(v)
		case uint64:
			return float64(v)
		case string: // a decimal
			f, _ := strconv.ParseFloat(v, 64) // it was read as a number before
			return f
		}
	case kindDecimal, kindText:
		return textOf(v)
	}
	return v
}

// valid is s as JSON would have it: Arrow's text is UTF-8, and one byte that is
// not keeps Python from reading the table.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return valid(string(v))
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// widen rewrites what is there as values of kind k.
func (c *column) widen(k kind) {
	old := c.values.NewArray()
	was := c.kind
	c.kind, c.digits, c.scale = k, 0, 0
	c.values = array.NewBuilder(memory.DefaultAllocator, storedAs[k])
	c.values.Reserve(old.Len())
	for i := range old.Len() {
		if old.IsNull(i) {
			c.values.AppendNull()
			continue
		}
		c.put(as(stored(old, i, was), k))
	}
}

// stored is a value as read returned it.
func stored(a arrow.Array, i int, k kind) any {
	switch a := a.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Int64:
		return a.Value(i)
	case *array.Uint64:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.Binary:
		return a.Value(i)
	case *array.Date32:
		return a.Value(i).ToTime()
	case *array.Timestamp:
		return a.Value(i).ToTime(arrow.Microsecond)
	case *array.String:
		return a.Value(i)
	}
	return nil
}

// put stores a value of the column's kind and returns its size.
func (c *column) put(v any) int64 {
	switch b := c.values.(type) {
	case *array.BooleanBuilder:
		b.Append(v.(bool))
		return 1
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.Uint64Builder:
		b.Append(v.(uint64))
	case *array.Float64Builder:
		b.Append(v.(float64))
	case *array.Date32Builder:
		b.Append(arrow.Date32FromTime(wall(v.(time.Time))))
	case *array.TimestampBuilder:
		t := v.(time.Time)
		if c.kind == kindMoment {
			t = wall(t)
		}
		b.Append(arrow.Timestamp(t.UnixMicro()))
	case *array.BinaryBuilder:
		b.Append(v.([]byte))
		return int64(len(v.([]byte))) + 4
	case *array.StringBuilder:
		s := valid(v.(string))
		if c.kind == kindDecimal {
			if digits, scale, err := decimal.PrecScaleFromString(s); err == nil {
				c.scale, c.digits = max(c.scale, scale), max(c.digits, digits-scale)
			}
		}
		b.Append(s)
		return int64(len(s)) + 4
	}
	return 8
}

// wall is the time that a clock on the wall shows at t.
func wall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// finish returns the column. Decimals of more digits than Arrow has stay text.
func (c *column) finish() arrow.Array {
	if c.values == nil {
		return array.NewNull(c.nulls)
	}
	texts := c.values.NewArray()
	if c.kind != kindDecimal {
		return texts
	}
	typ, err := decimalType(c.digits, c.scale)
	if err != nil {
		return texts
	}
	b := array.NewBuilder(memory.DefaultAllocator, typ)
	b.Reserve(texts.Len())
	for i := range texts.Len() {
		if texts.IsNull(i) {
			b.AppendNull()
		} else {
			appendDecimal(b, texts.(*array.String).Value(i))
		}
	}
	return b.NewArray()
}
