package table

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// packed is what a worker sends: buffers, a description, its size.
func packed(data []byte, header string) []byte {
	b := append(append([]byte{}, data...), header...)
	return binary.LittleEndian.AppendUint64(b, uint64(len(header)))
}

func loadBytes(b []byte) (Table, error) { return load(bytes.Clone(b)) }

const honest = `{"rows":2,"columns":[
	{"name":"n","type":"int64","length":2,"buffers":[[0,1],[8,16]]},
	{"name":"s","type":"utf8","length":2,"buffers":[null,[24,12],[40,3]]},
	{"name":"l","type":"list","length":2,"buffers":[null,[24,12]],"children":[{"name":"item","type":"uint8","length":3,"buffers":[null,[40,3]]}]},
	{"name":"d","type":"decimal128","precision":5,"scale":2,"length":2,"buffers":[null,[48,32]]},
	{"name":"t","type":"timestamp","unit":"us","zone":"UTC","length":2,"buffers":[null,[8,16]]},
	{"name":"m","type":"map","length":2,"buffers":[null,[24,12]],"children":[{"name":"entries","type":"struct","length":3,"buffers":[null],"children":[
		{"name":"key","type":"uint8","length":3,"buffers":[null,[40,3]]},{"name":"value","type":"null","length":3,"buffers":[null]}]}]},
	{"name":"x","type":"null","length":2,"buffers":[null]}]}`

func buffers() []byte {
	b := make([]byte, 80)
	b[0] = 1
	b[8], b[16] = 7, 9
	binary.LittleEndian.PutUint32(b[28:], 1)
	binary.LittleEndian.PutUint32(b[32:], 3)
	copy(b[40:], "abc")
	b[48], b[64] = 110, 5
	return b
}

func TestLoad(t *testing.T) {
	tb, err := loadBytes(packed(buffers(), honest))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for r := range tb.Rows() {
		rows = append(rows, fmt.Sprint(r))
	}
	want := "[7 a [97] 1.10 1970-01-01 00:00:00.000007 +0000 UTC map[97:<nil>] <nil>]|[<nil> bc [98 99] 0.05 1970-01-01 00:00:00.000009 +0000 UTC map[98:<nil> 99:<nil>] <nil>]"
	if got := strings.Join(rows, "|"); got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
}

// TestLoadRefuses: no number of the description is believed.
func TestLoadRefuses(t *testing.T) {
	column := func(c string) string { return `{"rows":2,"columns":[` + c + `]}` }
	for name, tt := range map[string]struct{ header, want string }{
		"no JSON":          {"{", "description"},
		"rows of nothing":  {`{"rows":5,"columns":[]}`, "5 rows"},
		"negative":         {`{"rows":-1,"columns":[]}`, "-1 rows"},
		"other length":     {column(`{"type":"null","length":3}`), "3 values in 2 rows"},
		"endless nulls":    {`{"rows":1000000000000,"columns":[{"type":"null","length":1000000000000}]}`, "1000000000000 values"},
		"negative length":  {column(`{"type":"int64","length":-1}`), "-1 values"},
		"no buffer":        {column(`{"type":"int64","length":2,"buffers":[null]}`), "too short"},
		"short buffer":     {column(`{"type":"int64","length":2,"buffers":[null,[0,15]]}`), "too short"},
		"short validity":   {column(`{"type":"int8","length":2,"buffers":[[0,0],[0,2]]}`), "too short"},
		"outside":          {column(`{"type":"int64","length":2,"buffers":[null,[72,16]]}`), "outside"},
		"before":           {column(`{"type":"int64","length":2,"buffers":[null,[-8,16]]}`), "outside"},
		"overflow":         {column(`{"type":"int64","length":2,"buffers":[null,[8,9223372036854775807]]}`), "outside"},
		"not aligned":      {column(`{"type":"int64","length":2,"buffers":[null,[4,16]]}`), "aligned"},
		"offset beyond":    {column(`{"type":"utf8","length":2,"buffers":[null,[24,12],[40,2]]}`), "offset"},
		"offset backwards": {column(`{"type":"utf8","length":2,"buffers":[null,[28,12],[40,40]]}`), "aligned"},
		"wide offsets":     {column(`{"type":"large_utf8","length":2,"buffers":[null,[40,24],[0,80]]}`), "offset"},
		"list beyond":      {column(`{"type":"list","length":2,"buffers":[null,[24,12]],"children":[{"type":"uint8","length":2,"buffers":[null,[40,2]]}]}`), "offset"},
		"list of nothing":  {column(`{"type":"list","length":2,"buffers":[null,[24,12]]}`), "of 0 columns"},
		"uneven struct":    {column(`{"type":"struct","length":2,"buffers":[null],"children":[{"type":"null","length":1}]}`), "different lengths"},
		"map of numbers":   {column(`{"type":"map","length":2,"buffers":[null,[24,12]],"children":[{"type":"uint8","length":3,"buffers":[null,[40,3]]}]}`), "keys and values"},
		"huge precision":   {column(`{"type":"decimal128","precision":5,"scale":2000000000,"length":2,"buffers":[null,[48,32]]}`), "decimal128"},
		"unit":             {column(`{"type":"timestamp","unit":"years","length":2,"buffers":[null,[8,16]]}`), "timestamp"},
		"unknown type":     {column(`{"type":"union","length":2}`), "union"},
		"too deep":         {column(strings.Repeat(`{"type":"struct","length":2,"children":[`, 20) + strings.Repeat(`]}`, 20)), "too deep"},
	} {
		if _, err := loadBytes(packed(buffers(), tt.header)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for _, b := range [][]byte{nil, []byte("short"), packed(nil, ""), bytes.Repeat([]byte{255}, 100)} {
		if _, err := loadBytes(b); err == nil {
			t.Errorf("%q was taken for a table", b)
		}
	}
}

// FuzzLoad: what a worker sends may be anything. Reading it, and all that can
// be done with what was read, ends in a value or an error.
func FuzzLoad(f *testing.F) {
	f.Add(buffers(), honest)
	f.Add([]byte{}, `{"rows":1,"columns":[{"type":"null","length":1}]}`)
	f.Fuzz(func(t *testing.T, data []byte, header string) {
		tb, err := loadBytes(packed(data, header))
		if err != nil || tb.Len() > 1<<20 {
			return
		}
		if _, err := json.Marshal(tb); err != nil {
			t.Fatal(err)
		}
		for range tb.Rows() {
		}
		if _, err := tb.WriteTo(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	})
}
