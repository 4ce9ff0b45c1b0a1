package strands_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
)

type node struct {
	Name     string  `json:"name"`
	Children []*node `json:"children,omitempty"`
}

type paging struct {
	Limit int `json:"limit" default:"10" jsonschema:"how many"`
}

type everything struct {
	Zebra  string            `json:"zebra" jsonschema:"comes first" enum:"grevy, plains"`
	Data   []byte            `json:"data"`
	When   time.Time         `json:"when"`
	Price  json.Number       `json:"price"`
	Ratio  *big.Rat          `json:"ratio"`
	Count  int8              `json:"count"`
	Big    uint64            `json:"big,omitempty"`
	Tree   node              `json:"tree"`
	Labels map[string]string `json:"labels,omitzero"`
	paging
	Any    any    `json:"any,omitempty"`
	Apple  *bool  `json:"apple"`
	Hidden string `json:"-"`
	Plain  float64
}

func TestSchemaOfEverything(t *testing.T) {
	tool := strands.NewTool("all", "", func(context.Context, everything) (string, error) { return "", nil })
	const want = `{
 "type": "object",
 "properties": {
  "zebra": {"type": "string", "description": "comes first", "enum": ["grevy", "plains"]},
  "data": {"type": "string", "contentEncoding": "base64"},
  "when": {"type": "string", "format": "date-time"},
  "price": {"type": ["number", "string"], "format": "decimal"},
  "ratio": {"type": "string", "format": "decimal"},
  "count": {"type": "integer", "minimum": -128, "maximum": 127},
  "big": {"type": "integer", "minimum": 0},
  "tree": {"$ref": "#/$defs/node"},
  "labels": {"type": "object", "additionalProperties": {"type": "string"}},
  "limit": {"type": "integer", "description": "how many", "default": 10},
  "any": {"description": "any JSON value"},
  "apple": {"type": "boolean"},
  "Plain": {"type": "number"}
 },
 "$defs": {
  "node": {
   "type": "object",
   "properties": {
    "name": {"type": "string"},
    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}
   },
   "required": ["name"],
   "additionalProperties": false
  }
 },
 "required": ["zebra", "data", "when", "price", "count", "tree", "Plain"],
 "additionalProperties": false
}`
	got := string(tool.Spec().InputSchema)
	sameJSON(t, got, want)
	// The order of the properties is that of the struct.
	last := -1
	for _, name := range []string{"zebra", "data", "when", "price", "ratio", "count", "big", "tree", "labels", "limit", "any", "apple", "Plain"} {
		i := strings.Index(got, `"`+name+`":`)
		if i < last {
			t.Errorf("%s is out of order in %s", name, got)
		}
		last = i
	}
}

func sameJSON(t testing.TB, got, want string) {
	t.Helper()
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", show(g), show(w))
	}
}

const validInput = `"zebra":"grevy","data":"aGk=","when":"2025-01-02T03:04:05Z","price":1.50,"count":3,"tree":{"name":"a","children":[{"name":"b"}]},"Plain":1`

func TestInputReachesTheFunction(t *testing.T) {
	var got everything
	tool := strands.NewTool("all", "", func(_ context.Context, in everything) (string, error) { got = in; return "ok", nil })
	for name, c := range map[string]struct {
		more  string
		check func() bool
	}{
		"as it is": {``, func() bool {
			return string(got.Data) == "hi" && got.Price == "1.50" && got.Tree.Children[0].Name == "b"
		}},
		"a default":        {``, func() bool { return got.Limit == 10 }},
		"not the default":  {`,"limit":3`, func() bool { return got.Limit == 3 }},
		"null as default":  {`,"limit":null`, func() bool { return got.Limit == 10 }},
		"null for nothing": {`,"apple":null,"labels":null,"big":null`, func() bool { return got.Apple == nil && got.Labels == nil }},
		"5.0 for 5":        {`,"big":5.0`, func() bool { return got.Big == 5 && got.Price == "1.50" }},
		"5e1 for 50":       {`,"big":5e1`, func() bool { return got.Big == 50 }},
		"a big integer":    {`,"big":18446744073709551615`, func() bool { return got.Big == 1<<64-1 }},
		"a date":           {`,"when":"2025-01-02"`, func() bool { return got.When.Equal(time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC)) }},
		"no zone":          {`,"when":"2025-01-02 03:04:05.5"`, func() bool { return got.When.Equal(time.Date(2025, 1, 2, 3, 4, 5, 5e8, time.UTC)) }},
		"spaced":           {`,"when":"2025-01-02 03:04:05+02:00"`, func() bool { return got.When.Equal(time.Date(2025, 1, 2, 1, 4, 5, 0, time.UTC)) }},
		"a decimal":        {`,"ratio":"1/3"`, func() bool { return got.Ratio.Cmp(big.NewRat(1, 3)) == 0 }},
	} {
		got = everything{}
		_, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{` + validInput + c.more + `}`)})
		if err != nil || !c.check() {
			t.Errorf("%s: %v, got %+v", name, err, got)
		}
	}
}

// TestInputIsCoerced: a model that writes a number or a boolean as a string is
// understood, where no string is wanted.
func TestInputIsCoerced(t *testing.T) {
	type args struct {
		N    int                `json:"n,omitempty"`
		X    float64            `json:"x,omitempty"`
		B    bool               `json:"b,omitempty"`
		S    string             `json:"s,omitempty"`
		List []int              `json:"list,omitempty"`
		Map  map[string]float64 `json:"map,omitempty"`
		Dec  json.Number        `json:"dec,omitempty"`
	}
	var got args
	tool := strands.NewTool("t", "", func(_ context.Context, in args) (string, error) { got = in; return "ok", nil })
	for input, want := range map[string]args{
		`{"n":"5"}`:                         {N: 5},
		`{"n":" -12 "}`:                     {N: -12},
		`{"n":"+3.0"}`:                      {N: 3},
		`{"x":"0.5"}`:                       {X: .5},
		`{"x":"-1e3"}`:                      {X: -1000},
		`{"x":".5"}`:                        {X: .5},
		`{"b":"True"}`:                      {B: true},
		`{"b":"no"}`:                        {B: false},
		`{"s":"5"}`:                         {S: "5"},
		`{"list":["1",2,"3"]}`:              {List: []int{1, 2, 3}},
		`{"map":{"a":"1.5"}}`:               {Map: map[string]float64{"a": 1.5}},
		`{"dec":"1.50"}`:                    {Dec: "1.50"},
		`{"n":"12345678901"}`:               {N: 12345678901},
		`{"n":"9007199254740993"}`:          {N: 9007199254740993}, // beyond what a float holds
		`{"list":["1"],"n":"2","b":"true"}`: {List: []int{1}, N: 2, B: true},
	} {
		got = args{}
		if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(input)}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", input, got, err)
		}
	}
	for _, input := range []string{`{"n":"5.5"}`, `{"n":"x"}`, `{"n":""}`, `{"n":"0x10"}`, `{"x":"NaN"}`, `{"x":"inf"}`, `{"x":"+.1e999"}`, `{"b":"maybe"}`, `{"s":5}`, `{"n":true}`, `{"list":"1"}`} {
		if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(input)}); err == nil {
			t.Errorf("%s was taken", input)
		}
	}
}

// TestSpansSayTheirUnit: a number of a Go duration means nothing without it.
func TestSpansSayTheirUnit(t *testing.T) {
	type input struct {
		Wait  time.Duration    `json:"wait" jsonschema:"how long"`
		Plain *time.Duration   `json:"plain"`
		Sec   strands.Duration `json:"sec" jsonschema:"how long"`
	}
	tool := strands.NewTool("wait", "", func(context.Context, input) (string, error) { return "", nil })
	if got := string(tool.Spec().InputSchema); strings.Count(got, `"description":"how long (nanoseconds)"`) != 1 ||
		strings.Count(got, `"description":"nanoseconds"`) != 1 || strings.Count(got, `"description":"how long (seconds)"`) != 1 {
		t.Error(got)
	}
}

func TestInvalidInputNamesTheProperty(t *testing.T) {
	ran := false
	tool := strands.NewTool("all", "", func(_ context.Context, in everything) (string, error) { ran = true; return "ok", nil })
	for name, c := range map[string]struct{ input, want string }{
		"wrong type":      {strings.Replace(validInput, `"count":3`, `"count":"x"`, 1), `invalid input: count: x has type "string", want "integer"`},
		"out of range":    {strings.Replace(validInput, `"count":3`, `"count":300`, 1), `invalid input: count: 300 is greater than 127`},
		"null":            {strings.Replace(validInput, `"count":3`, `"count":null`, 1), `invalid input: count: it has type "null", want "integer"`},
		"deep":            {strings.Replace(validInput, `{"name":"b"}`, `{"name":7}`, 1), `invalid input: tree.children[].name: 7 has type "integer", want "string"`},
		"missing":         {strings.Replace(validInput, `"zebra":"grevy",`, ``, 1), `invalid input: missing ["zebra"]`},
		"deep missing":    {strings.Replace(validInput, `{"name":"b"}`, `{}`, 1), `invalid input: tree.children[]: missing ["name"]`},
		"unknown":         {validInput + `,"lion":1`, `invalid input: unexpected ["lion"]`},
		"not in the enum": {strings.Replace(validInput, `grevy`, `horse`, 1), `invalid input: zebra: horse does not equal any of: [grevy plains]`},
		"a fraction":      {strings.Replace(validInput, `"count":3`, `"count":3.5`, 1), `invalid input: count: 3.5 has type "number", want "integer"`},
		"too big":         {validInput + `,"big":18446744073709551616`, `invalid input: big`},
		"huge exponent":   {validInput + `,"big":1e999999999`, `invalid input: big`},
		"bad base64":      {strings.Replace(validInput, `aGk=`, `!`, 1), `invalid input: data: illegal base64`},
		"no time":         {strings.Replace(validInput, `2025-01-02T`, `next week`, 1), `invalid input: when: "next week03:04:05Z" is no time; write it like 20`},
		"no day":          {strings.Replace(validInput, `2025-01-02T`, `2025-02-30T`, 1), `invalid input: when: "2025-02-30T03:04:05Z" is no time; write it like 20`},
	} {
		_, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{` + c.input + `}`)})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s…", name, err, c.want)
		}
	}
	for _, input := range []string{`[]`, `"x"`, `{"a":`, `{} {}`, `null`} {
		if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(input)}); err == nil {
			t.Errorf("input %s was taken", input)
		}
	}
	if ran {
		t.Error("the function ran")
	}
}

func TestResultsOfTools(t *testing.T) {
	type point struct {
		X int `json:"x"`
	}
	value := 7
	for name, c := range map[string]struct {
		tool         strands.Tool
		want, schema string
		value        any
	}{
		"string": {strands.NewTool("t", "", func(context.Context, none) (string, error) { return "hi", nil }), `[{"text":"hi"}]`, `{"type":"string"}`, "hi"},
		"struct": {strands.NewTool("t", "", func(context.Context, none) (point, error) { return point{1}, nil }), `[{"json":{"x":1}}]`,
			`{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}`, point{1}},
		"parts": {strands.NewTool("t", "", func(context.Context, none) ([]strands.Part, error) { return []strands.Part{strands.Text("a")}, nil }), `[{"text":"a"}]`, ``, nil},
		"result": {strands.NewTool("t", "", func(context.Context, none) (*strands.ToolResult, error) {
			return &strands.ToolResult{Parts: []strands.Part{strands.Text("r")}}, nil
		}), `[{"text":"r"}]`, ``, nil},
		"nil slice":  {strands.NewTool("t", "", func(context.Context, none) ([]int, error) { return nil, nil }), `[{"json":[]}]`, `{"type":"array","items":{"type":"integer"}}`, []int(nil)},
		"nil map":    {strands.NewTool("t", "", func(context.Context, none) (map[string]int, error) { return nil, nil }), `[{"json":{}}]`, `{"type":"object","additionalProperties":{"type":"integer"}}`, map[string]int(nil)},
		"pointer":    {strands.NewTool("t", "", func(context.Context, none) (*int, error) { return &value, nil }), `[{"json":7}]`, `{"type":["integer","null"]}`, &value},
		"any":        {strands.NewTool("t", "", func(context.Context, none) (any, error) { return nil, nil }), `[{"json":null}]`, ``, nil},
		"bytes":      {strands.NewTool("t", "", func(context.Context, none) ([]byte, error) { return []byte("hi"), nil }), `[{"json":"aGk="}]`, `{"type":"string","contentEncoding":"base64"}`, []byte("hi")},
		"nested nil": {strands.NewTool("t", "", func(context.Context, none) ([][]int, error) { return [][]int{nil}, nil }), `[{"json":[null]}]`, `{"type":"array","items":{"type":["array","null"],"items":{"type":"integer"}}}`, [][]int{nil}},
	} {
		res, err := c.tool.Call(t.Context(), &strands.ToolCall{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameJSON(t, show(res.Parts), c.want)
		if got := string(c.tool.Spec().OutputSchema); c.schema != "" || got != "" {
			sameJSON(t, got, c.schema)
		}
		if !reflect.DeepEqual(res.Value, c.value) {
			t.Errorf("%s: value %#v, want %#v", name, res.Value, c.value)
		}
	}
}

func TestStreamTools(t *testing.T) {
	boom := errors.New("boom")
	plain := strands.NewTool("count", "", func(context.Context, none) (iter.Seq[int], error) {
		return func(yield func(int) bool) {
			for i := 1; i <= 3 && yield(i); i++ {
			}
		}, nil
	})
	failing := strands.NewTool("fail", "", func(context.Context, none) (iter.Seq2[string, error], error) {
		return func(yield func(string, error) bool) {
			if yield("a", nil) {
				yield("", boom)
			}
		}, nil
	})
	collect := func(tool strands.Tool) (texts []string, err error) {
		st, ok := tool.(strands.StreamTool)
		if !ok {
			t.Fatalf("%T is no StreamTool", tool)
		}
		for res, e := range st.Stream(t.Context(), &strands.ToolCall{}) {
			if err = e; e == nil {
				texts = append(texts, res.Text())
			}
		}
		return texts, err
	}
	if got, err := collect(plain); err != nil || strings.Join(got, "") != "123" {
		t.Error(got, err)
	}
	if got, err := collect(failing); !errors.Is(err, boom) || strings.Join(got, "") != "a" {
		t.Error(got, err)
	}
	sameJSON(t, string(plain.Spec().OutputSchema), `{"type":"integer"}`)
	if _, ok := strands.Tool(weather()).(strands.StreamTool); ok {
		t.Error("a plain tool is a StreamTool")
	}

	// As a JSON tool: all but the last are events.
	m := &script{turns: []turn{calls(call("1", "count", `{}`), call("2", "fail", `{}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Sequential: true, Tools: []strands.Tool{plain, failing}}).NewSession()
	var shown []string
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Output != nil {
			shown = append(shown, e.Output.CallID+":"+string(e.Output.Part.JSON)+e.Output.Part.Text)
		}
	}
	if got := strings.Join(shown, " "); got != "1:1 1:2" {
		t.Errorf("shown %s", got)
	}
	rs := s.Messages()[2].ToolResults()
	if rs[0].Text() != "3" || !rs[1].IsError || rs[1].Text() != "boom" {
		t.Errorf("results %s", show(rs))
	}
}

func TestNewToolPanicsNamingTheField(t *testing.T) {
	type inner struct{ Ch chan int }
	type bad struct {
		Deep []inner `json:"deep"`
	}
	type badDefault struct {
		N int `json:"n" default:"ten"`
	}
	type wrongDefault struct {
		N int `json:"n" default:"\"ten\""`
	}
	for want, f := range map[string]func(){
		"bad.Deep[].Ch: a chan int has no JSON form": func() { strands.NewTool("t", "", func(context.Context, bad) (string, error) { return "", nil }) },
		"badDefault.N: default":                      func() { strands.NewTool("t", "", func(context.Context, badDefault) (string, error) { return "", nil }) },
		"wrongDefault": func() {
			strands.NewTool("t", "", func(context.Context, wrongDefault) (string, error) { return "", nil })
		},
		"must be a struct":      func() { strands.NewTool("t", "", func(context.Context, string) (string, error) { return "", nil }) },
		"output":                func() { strands.NewTool("t", "", func(context.Context, none) (func(), error) { return nil, nil }) },
		"the tool name \"a b\"": func() { strands.NewTool("a b", "", func(context.Context, none) (string, error) { return "", nil }) },
		"OutputOf":              func() { strands.OutputOf[bad]() },
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, want) {
					t.Errorf("panic %q, want %q", msg, want)
				}
			}()
			f()
		}()
	}
}

func TestRawTool(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"},"deep":{"type":"object","properties":{"m":{"type":"integer"}}}},"required":["n"]}`)
	var got json.RawMessage
	tool, err := strands.NewRawTool(strands.ToolSpec{Name: "raw", InputSchema: schema}, func(_ context.Context, c *strands.ToolCall) (*strands.ToolResult, error) {
		got = c.Input
		return &strands.ToolResult{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(tool.Spec().InputSchema) != string(schema) {
		t.Error("the schema was changed")
	}
	if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{"n":2.0,"deep":{"m":1.0}}`)}); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, string(got), `{"n":2,"deep":{"m":1}}`)
	if _, err := tool.Call(t.Context(), &strands.ToolCall{Input: json.RawMessage(`{"n":"two"}`)}); err == nil {
		t.Error("a word was taken for an integer")
	}
	for name, spec := range map[string]strands.ToolSpec{
		"name":       {Name: "", InputSchema: schema},
		"no object":  {Name: "x", InputSchema: json.RawMessage(`{"type":"string"}`)},
		"no schema":  {Name: "x"},
		"broken":     {Name: "x", InputSchema: json.RawMessage(`{`)},
		"broken ref": {Name: "x", InputSchema: json.RawMessage(`{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`)},
	} {
		_, err := strands.NewRawTool(spec, nil)
		if _, ok := errors.AsType[*strands.InputError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
