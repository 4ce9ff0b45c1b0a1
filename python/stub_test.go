package python

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
)

func TestSignature(t *testing.T) {
	type point struct {
		X float64 `json:"x"`
		Y float64 `json:"y"`
	}
	roi := strands.NewTool("calculate_roi", "Return on investment as a percentage.",
		func(context.Context, struct {
			Investment float64 `json:"investment"`
			Returns    float64 `json:"returns"`
		}) (float64, error) {
			return 0, nil
		})
	all := strands.NewTool("fetchRows", "Rows.",
		func(context.Context, struct {
			Table string         `json:"table" jsonschema:"the table's name"`
			IDs   []int          `json:"ids"`
			Kind  string         `json:"kind" enum:"a,b"`
			Since time.Time      `json:"since"`
			Blob  []byte         `json:"blob,omitempty"`
			Extra map[string]int `json:"extra,omitempty"`
			Class *string        `json:"class"`
		}) ([]point, error) {
			return nil, nil
		})
	stream := strands.NewTool("count", "", func(context.Context, struct{}) (iter.Seq[int], error) { return nil, nil })
	tests := []struct {
		tool strands.Tool
		want string
	}{
		{roi, `def calculate_roi(investment: float, returns: float) -> float:
    """Return on investment as a percentage."""`},
		{all, `def fetch_rows(table: str, ids: list[int], kind: Literal['a', 'b'], since: datetime, blob: bytes | None = None, extra: dict[str, int] | None = None, class_: str | None = None) -> list[dict]:
    """Rows.

    Args:
        table: the table's name

    Returns:
        [{x: float, y: float}]
    """`},
		{stream, "def count() -> Iterator[int]:\n    ..."},
	}
	for _, tt := range tests {
		if got := Stub(Namespace{Functions: []strands.Tool{tt.tool}}); got != tt.want {
			t.Errorf("got\n%s\nwant\n%s", got, tt.want)
		}
	}
	if got := Signature(roi.Spec()); got != tests[0].want {
		t.Errorf("Signature:\n%s", got)
	}
}

// Schemas of strangers become data: no annotation, name or docstring of them
// can end the text it stands in.
func TestSchemasOfStrangers(t *testing.T) {
	tests := []struct{ schema, want string }{
		{`{"properties":{"a":{"enum":["x'); import os #","y"]}},"required":["a"]}`, `(a: Literal['x\'); import os #', 'y']) -> Any`},
		{`{"properties":{"a b; import os":{"type":"string"}},"required":["a b; import os"]}`, "(a_b__import_os: str) -> Any"},
		{`{"properties":{"1st":{"type":"integer"},"lambda":{"type":"boolean"}},"required":["1st","lambda"]}`, "(_1st: int, lambda_: bool) -> Any"},
		{`{"properties":{"userId":{},"user_id":{}},"required":["userId","user_id"]}`, "(user_id: Any, user_id_: Any) -> Any"},
		{`{"properties":{"a":{"type":"weird\n"}},"required":["a"]}`, "(a: Any) -> Any"},
		{`{"properties":{"a":{"$ref":"#/$defs/A"}},"required":["a"],"$defs":{"A":{"type":"array","items":{"$ref":"#/$defs/A"}}}}`,
			"(a: list[list[list[Any]]]) -> Any"},
		{`{"properties":{"a":{"$ref":"http://evil/x"}},"required":["a"]}`, "(a: Any) -> Any"},
		{`{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"},{"type":"integer"}]}},"required":["a"]}`, "(a: str | int | None) -> Any"},
		{`{"properties":{"a":{"type":["string","null"]}}}`, "(a: str | None = None) -> Any"},
		{`{"properties":{"a":{"type":"string","default":"x'y"},"b":{"type":"integer","default":3}}}`, `(a: str = 'x\'y', b: int = 3) -> Any`},
		{`{"properties":{"opt":{"type":"string"},"req":{"type":"string"}},"required":["req"]}`, "(req: str, opt: str | None = None) -> Any"},
		{`{"properties":{"a":true,"b":{"const":"k"}},"required":["a","b"]}`, "(a: Any, b: Literal['k']) -> Any"},
		{`{"properties":[1]}`, "() -> "},
		{`{"properties":{"a":` + strings.Repeat(`{"items":`, 80) + "{}" + strings.Repeat("}", 80) + `}}`, "() -> "},
	}
	for _, tt := range tests {
		got := Signature(strands.ToolSpec{Name: "f", InputSchema: json.RawMessage(tt.schema)})
		if !strings.HasPrefix(got, "def f"+tt.want) {
			t.Errorf("%.200s\ngot  %s\nwant %s", tt.schema, got, "def f"+tt.want)
		}
	}
	doc := Signature(strands.ToolSpec{Name: "print", Description: "x\"\"\"\nimport os\x1b[2J\\", InputSchema: json.RawMessage(`{}`)})
	want := "def print_() -> Any:\n    \"\"\"x\\\"\\\"\\\"\n    import os[2J\\\\\n    \"\"\""
	if doc != want {
		t.Errorf("docstring\n%q\nwant\n%q", doc, want)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add("getX", "doc", `{"properties":{"a":{"type":"string","enum":["a"]}},"required":["a"]}`)
	f.Add("", `"""`, `{"properties":{"":{"$ref":"#/$defs/x"}}}`)
	f.Fuzz(func(t *testing.T, name, doc, schema string) {
		got := Signature(strands.ToolSpec{Name: name, Description: doc, InputSchema: json.RawMessage(schema)})
		if first, _, _ := strings.Cut(got, "\n"); !strings.HasPrefix(first, "def ") || !strings.HasSuffix(first, ":") {
			t.Fatalf("%q", got)
		}
		if n := strings.Count(strings.NewReplacer(`\\`, "", `\"`, "").Replace(got), `"""`); n != 0 && n != 2 {
			t.Fatalf("%d times three quotes in %q", n, got)
		}
	})
}

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{
		"calculate_roi": "calculate_roi", "getUserID": "get_user_id", "HTTPServer": "http_server", "a-b.c": "a_b_c",
		"": "_", "9x": "_9x", "größe": "gr__e", "x2Y": "x2_y",
	} {
		if got := snake(in); got != want {
			t.Errorf("snake(%q) = %q, want %q", in, got, want)
		}
	}
}

type shop struct{ sold int }

func (s *shop) SellItem(_ context.Context, in struct {
	N int `json:"n"`
}) (int, error) {
	if in.N == 0 {
		return 0, errors.New("nothing to sell")
	}
	s.sold += in.N
	return s.sold, nil
}
func (s *shop) Sold() int                     { return s.sold }
func (s *shop) Clear()                        { s.sold = 0 }
func (s *shop) Check(_ context.Context) error { return errors.New("closed") }

func TestObjectOf(t *testing.T) {
	o := ObjectOf("shop", "A shop.", new(shop), map[string]string{"SellItem": "Sells n."})
	call := map[string]strands.Tool{}
	for _, m := range o.Methods {
		call[m.Spec().Name] = m
	}
	do := func(name, input string) (string, error) {
		res, err := call[name].Call(t.Context(), &strands.ToolCall{Name: name, Input: json.RawMessage(input)})
		if err != nil {
			return "", err
		}
		b, err := encodeResult(res, nil)
		return string(b), err
	}
	for _, step := range []struct{ name, in, want, err string }{
		{"sell_item", `{"n":2}`, "2", ""}, {"sell_item", `{"n":3}`, "5", ""}, {"sold", `{}`, "5", ""},
		{"clear", `{}`, "null", ""}, {"sold", `{}`, "0", ""}, {"check", `{}`, "", "closed"},
		{"sell_item", `{"n":0}`, "", "nothing to sell"}, {"sell_item", `{"n":"x"}`, "", "invalid"},
	} {
		got, err := do(step.name, step.in)
		if got != step.want || (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("%s(%s) = %s, %v; want %s, %s", step.name, step.in, got, err, step.want, step.err)
		}
	}
	want := "class shop:  # an object: call shop.method(...)\n    \"\"\"A shop.\"\"\"\n\n    def check(self) -> Any:\n        ...\n\n" +
		"    def clear(self) -> Any:\n        ...\n\n    def sell_item(self, n: int) -> int:\n        \"\"\"Sells n.\"\"\"\n\n    def sold(self) -> int:\n        ..."
	if got := Stub(Namespace{Objects: []Object{o}}); got != want {
		t.Errorf("stub\n%s\nwant\n%s", got, want)
	}
}

type odd struct{}

func (odd) Two(_, _ int) {}

func TestObjectOfPanics(t *testing.T) {
	for what, f := range map[string]func(){
		"Two":      func() { ObjectOf("o", "", odd{}, nil) },
		"not name": func() { ObjectOf("not name", "", new(shop), nil) },
		"Missing":  func() { ObjectOf("o", "", new(shop), map[string]string{"Missing": ""}) },
		"nil":      func() { ObjectOf("o", "", nil, nil) },
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, what) {
					t.Errorf("panic %q does not name %q", p, what)
				}
			}()
			f()
		})
	}
}

func TestCheckNamespaces(t *testing.T) {
	f := func(name string) strands.Tool {
		return strands.NewTool(name, "", func(context.Context, struct{}) (string, error) { return "", nil })
	}
	tests := map[string]struct {
		ns   []Namespace
		want string
	}{
		"fine":               {[]Namespace{{Module: "a.b", Functions: []strands.Tool{f("x"), f("y")}}}, ""},
		"twice":              {[]Namespace{{Functions: []strands.Tool{f("x")}}, {Module: "m", Functions: []strands.Tool{f("x")}}}, `"x"`},
		"twice once in case": {[]Namespace{{Functions: []strands.Tool{f("getX"), f("get_x")}}}, `"get_x"`},
		"object":             {[]Namespace{{Functions: []strands.Tool{f("x")}, Objects: []Object{{Name: "x"}}}}, `"x"`},
		"object name":        {[]Namespace{{Objects: []Object{{Name: "no name"}}}}, `"no name"`},
		"module":             {[]Namespace{{Module: "a..b"}}, `"a..b"`},
		"keyword":            {[]Namespace{{Module: "import"}}, `"import"`},
		"methods":            {[]Namespace{{Objects: []Object{{Name: "o", Methods: []strands.Tool{f("a"), f("a")}}}}}, `"a"`},
	}
	for name, tt := range tests {
		err := CheckNamespaces(tt.ns)
		_, typed := errors.AsType[*strands.InputError](err)
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !typed) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}
