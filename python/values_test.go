package python

import (
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/strandsgo/strands"
)

// Decimal is recognised by its name, as those of libraries are.
type Decimal struct{ text string }

func (d Decimal) String() string               { return d.text }
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.text), nil }

type inner struct {
	A int       `json:"a,omitempty"`
	B *int      `json:"b"`
	T time.Time `json:"t,omitzero"`
}

type outer struct {
	inner
	Name   string `json:"name"`
	Hidden string `json:"-"`
	Data   []byte
	Any    any `json:"any"`
	Ptr    *inner
}

func TestEncodeValue(t *testing.T) {
	when := time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC)
	tests := []struct {
		v    any
		want string
	}{
		{nil, "null"}, {1, "1"}, {25.0, "25.0"}, {2.5, "2.5"}, {1e300, "1e+300"}, {float32(3), "3.0"},
		{[]float64{1, 2.5}, "[1.0,2.5]"},
		{map[string]any{"n": 5.0, "l": []any{1.0}}, `{"l":[1],"n":5}`}, // decoded JSON
		{"é\n", `"é\n"`}, {[]byte{0, 255}, `{"$bytes":"AP8="}`}, {when, `{"$datetime":"2026-11-21T01:02:03Z"}`},
		{Decimal{"1.10"}, `{"$decimal":"1.10"}`}, {&Decimal{"1.10"}, `{"$decimal":"1.10"}`}, {[]Decimal{{"2"}}, `[{"$decimal":"2"}]`},
		{map[string]string{"$x": "y"}, `{"$$x":"y"}`}, {map[string]string{"$x": "y", "z": ""}, `{"$x":"y","z":""}`},
		{map[string]any{"a": map[string]any{"$bytes": "zz"}}, `{"a":{"$$bytes":"zz"}}`},
		{json.RawMessage(`{"a":[1,{"$date":"x"}]}`), `{"a":[1,{"$$date":"x"}]}`},
		{map[int][]byte{7: {1}}, `{"7":{"$bytes":"AQ=="}}`},
		{big.NewInt(7), "7"}, {[]string(nil), "null"}, {(*inner)(nil), "null"},
		{outer{inner: inner{T: when}, Name: "n", Hidden: "h", Data: []byte("x"), Any: []byte("y")},
			`{"b":null,"t":{"$datetime":"2026-11-21T01:02:03Z"},"name":"n","Data":{"$bytes":"eA=="},"any":{"$bytes":"eQ=="},"Ptr":null}`},
	}
	for _, tt := range tests {
		got, err := encodeValue(tt.v)
		if err != nil || string(got) != tt.want {
			t.Errorf("%#v\ngot  %s %v\nwant %s", tt.v, got, err, tt.want)
		}
	}
	type loop struct {
		Next *loop
		Data []byte
	}
	l := &loop{}
	l.Next = l
	if _, err := encodeValue(l); err == nil {
		t.Error("an endless value was encoded")
	}
	if _, err := encodeValue(make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}

func TestEncodeResult(t *testing.T) {
	png := &strands.Media{MIME: "image/png", Data: []byte{1}}
	tests := []struct {
		res  strands.ToolResult
		want string
	}{
		{strands.ToolResult{Value: 2.0, Parts: []strands.Part{strands.Text("two")}}, "2.0"},
		{strands.ToolResult{Parts: []strands.Part{strands.Text("two")}}, `"two"`},
		{strands.ToolResult{Parts: []strands.Part{strands.Text("a"), strands.Text("b")}}, `"a\nb"`},
		{strands.ToolResult{Parts: []strands.Part{{JSON: []byte(`{"a":1}`)}}}, `{"a":1}`},
		{strands.ToolResult{Parts: []strands.Part{strands.Text("a"), {Image: png}}}, `["a",{"$bytes":"AQ=="}]`},
		{strands.ToolResult{}, "null"},
	}
	for _, tt := range tests {
		if got, err := encodeResult(&tt.res, nil); err != nil || string(got) != tt.want {
			t.Errorf("%+v: %s %v, want %s", tt.res, got, err, tt.want)
		}
	}
}

func TestEncodePointers(t *testing.T) {
	when := time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC)
	v := struct {
		At  *time.Time
		Nil *time.Time
		Dec *Decimal
	}{&when, nil, &Decimal{"1.0"}}
	want := `{"At":{"$datetime":"2026-11-21T01:02:03Z"},"Nil":null,"Dec":{"$decimal":"1.0"}}`
	if got, err := encodeValue(v); err != nil || string(got) != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
}
