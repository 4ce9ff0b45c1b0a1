package table

import (
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Decimal is an exact decimal number as text.
type Decimal string

// String implements fmt.Stringer.
func (d Decimal) String() string { return string(d) }

// MarshalText implements encoding.TextMarshaler.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d), nil }

// valueAt is the value in row i as a Go value.
func valueAt(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Int8:
		return int64(a.Value(i))
	case *array.Int16:
		return int64(a.Value(i))
	case *array.Int32:
		return int64(a.Value(i))
	case *array.Int64:
		return a.Value(i)
	case *array.Uint8:
		return int64(a.Value(i))
	case *array.Uint16:
		return int64(a.Value(i))
	case *array.Uint32:
		return int64(a.Value(i))
	case *array.Uint64:
		return a.Value(i)
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	case array.StringLike:
		return a.Value(i)
	case interface{ Value(int) []byte }:
		return a.Value(i)
	case *array.Date32:
		return a.Value(i).ToTime()
	case *array.Date64:
		return a.Value(i).ToTime()
	case *array.Timestamp:
		return instant(a, i)
	case *array.Duration:
		return time.Duration(a.Value(i)) * a.DataType().(*arrow.DurationType).Unit.Multiplier()
	case *array.Decimal128:
		return decimalOf(a.Value(i).BigInt(), a.DataType())
	case *array.Decimal256:
		return decimalOf(a.Value(i).BigInt(), a.DataType())
	case *array.Dictionary:
		return valueAt(a.Dictionary(), a.GetValueIndex(i))
	case *array.Map:
		return mapAt(a, i)
	case array.ListLike:
		start, end := a.ValueOffsets(i)
		list := make([]any, 0, end-start)
		for j := start; j < end; j++ {
			list = append(list, valueAt(a.ListValues(), int(j)))
		}
		return list
	case *array.Struct:
		fields := map[string]any{}
		for j, f := range a.DataType().(*arrow.StructType).Fields() {
			fields[f.Name] = valueAt(a.Field(j), i)
		}
		return fields
	}
	return asJSON(a, i)
}

// decimalOf writes all digits after the point: 1.10 is not 1.1.
func decimalOf(n *big.Int, t arrow.DataType) Decimal {
	scale := int(t.(arrow.DecimalType).GetScale())
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		if missing := scale + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	} else {
		digits += strings.Repeat("0", -scale)
	}
	if n.Sign() < 0 {
		digits = "-" + digits
	}
	return Decimal(digits)
}

func instant(a *array.Timestamp, i int) time.Time {
	typ := a.DataType().(*arrow.TimestampType)
	t := a.Value(i).ToTime(typ.Unit)
	if zone, err := typ.GetZone(); err == nil && zone != nil {
		return t.In(zone)
	}
	return t
}

func mapAt(a *array.Map, i int) any {
	start, end := a.ValueOffsets(i)
	out := map[string]any{}
	for j := int(start); j < int(end); j++ {
		out[textOf(valueAt(a.Keys(), j))] = valueAt(a.Items(), j)
	}
	return out
}

// asJSON is the value of a type that has no Go type of its own here.
func asJSON(a arrow.Array, i int) any {
	b, err := json.Marshal(a.GetOneForMarshal(i))
	if err != nil {
		return a.ValueStr(i)
	}
	var v any
	if json.Unmarshal(b, &v) != nil {
		return a.ValueStr(i)
	}
	return v
}
