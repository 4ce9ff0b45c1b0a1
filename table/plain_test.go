package table

import (
	"math"
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
)

type inner struct {
	Before bool
	Deep   int16
}

type Shared struct {
	inner
	Also uint8
}

type Far struct{ Away float64 }

type narrow struct {
	Shared
	*Far
	I   int
	I8  int8
	I32 int32
	U16 uint16
	U64 uint64
	F32 float32
	F64 float64
	P   *int64
}

// TestNumbersAreThoseOfReflection: a column that is copied has the values of one
// that is built value by value.
func TestNumbersAreThoseOfReflection(t *testing.T) {
	five := int64(5)
	rows := []narrow{
		{Shared{inner{true, -7}, 200}, &Far{1.5}, -1, -128, math.MinInt32, 65535, math.MaxUint64, 0.5, math.Inf(1), &five},
		{},
		{Shared{inner{false, 300}, 1}, nil, 1 << 40, 127, 9, 1, 1, -2, -3.25, nil},
	}
	pointers := make([]*narrow, len(rows))
	for i := range rows {
		pointers[i] = &rows[i]
	}
	fast, err := FromStructs(rows)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := FromStructs(pointers)
	if err != nil {
		t.Fatal(err)
	}
	if !fast.Schema().Equal(slow.Schema()) {
		t.Fatalf("schema\n%v\nwant\n%v", fast.Schema(), slow.Schema())
	}
	copied := 0
	for i, f := range fast.Schema().Fields() {
		a, b := fast.records[0].Column(i), slow.records[0].Column(i)
		if !array.Equal(a, b) {
			t.Errorf("%s is %v, want %v", f.Name, a, b)
		}
		if a.Data().Buffers()[0] == nil {
			copied++
		}
	}
	if want := 9; copied != want { // Deep, Also, I, I8, I32, U16, U64, F32, F64
		t.Errorf("%d columns were copied, want %d: %v", copied, want, fast.Columns())
	}
	none, err := FromStructs([]narrow{})
	if err != nil || none.Len() != 0 || !reflect.DeepEqual(none.Columns(), fast.Columns()) {
		t.Errorf("of no rows: %v, %v", none.Columns(), err)
	}
}
