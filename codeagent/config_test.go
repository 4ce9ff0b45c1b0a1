package codeagent

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// TestConfigCarriesAll: codeagent.Config has every field of strands.Config,
// of the same type, and hands it on. When this fails add the new field to
// Config and to Config.strands.
func TestConfigCarriesAll(t *testing.T) {
	var cfg Config
	from, to := reflect.TypeFor[Config](), reflect.TypeFor[strands.Config]()
	for i := range to.NumField() {
		want := to.Field(i)
		got, ok := from.FieldByName(want.Name)
		if !ok || got.Type != want.Type {
			t.Errorf("Config has no field %s %v", want.Name, want.Type)
			continue
		}
		fill(reflect.ValueOf(&cfg).Elem().FieldByIndex(got.Index))
	}
	carried := reflect.ValueOf(cfg.strands())
	for i := range to.NumField() {
		if carried.Field(i).IsZero() {
			t.Errorf("the field %s is dropped", to.Field(i).Name)
		}
	}
}

// fill makes v something else than zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Interface:
		for _, candidate := range []any{&strandstest.Script{}, strands.NewMemoryStore(), noConversation{}} {
			if reflect.TypeOf(candidate).Implements(v.Type()) {
				v.Set(reflect.ValueOf(candidate))
			}
		}
	}
}

type noConversation struct{}

func (noConversation) Manage(context.Context, *strands.Conversation) error        { return nil }
func (noConversation) Reduce(context.Context, *strands.Conversation, error) error { return nil }

func tool(name string) strands.Tool {
	return strands.NewTool(name, "", func(context.Context, struct{}) (string, error) { return "", nil })
}

func TestMistakes(t *testing.T) {
	function := func(kit, name string) Toolkit { return Toolkit{Name: kit, Functions: []strands.Tool{tool(name)}} }
	module := func(name, source string) Toolkit {
		return Toolkit{Modules: []python.Module{{Name: name, Source: source}}}
	}
	initialization := func(code string) Toolkit { return Toolkit{InitializationCode: code} }
	for _, tc := range []struct {
		name     string
		toolkits []Toolkit
		field    string
		says     string
	}{
		{"empty", []Toolkit{DataAnalysis, {}}, "Toolkits[1]", "empty"},
		{"only a name", []Toolkit{{Name: "x"}}, "Toolkits[0]", "empty"},
		{"pattern", []Toolkit{{Libraries: []string{"pandas", "num py"}}}, "Toolkits[0].Libraries", `"num py" is no import pattern`},
		{"pattern with a star inside", []Toolkit{{Libraries: []string{"a.*.b"}}}, "Toolkits[0].Libraries", `"a.*.b"`},
		{"pip option", []Toolkit{{Requirements: []string{"--index-url=x"}}}, "Toolkits[0].Requirements", "no requirement"},
		{"preload", []Toolkit{{Preload: []string{"a-b"}}}, "Toolkits[0].Preload", `"a-b" is no module name`},
		{"name", []Toolkit{function("my finance", "f")}, "Toolkits[0].Name", `"my finance" cannot be imported`},
		{"keyword", []Toolkit{function("class", "f")}, "Toolkits[0].Name", `"class" cannot be imported`},
		{"hides the standard library", []Toolkit{function("json", "f")}, "Toolkits[0].Name", `"json" would hide`},
		{"module name", []Toolkit{module("a..b", "")}, "Toolkits[0].Modules", `"a..b" cannot be imported`},
		{"module hides", []Toolkit{module("collections", "")}, "Toolkits[0].Modules", "would hide"},
		{"no package", []Toolkit{{Modules: []python.Module{{Name: "p", Files: fstest.MapFS{}}}}}, "Toolkits[0].Modules", "__init__.py"},
		{"nil function", []Toolkit{{Functions: []strands.Tool{nil}}}, "Toolkits[0].Functions[0]", "nil"},
		{"nil method", []Toolkit{{Objects: []python.Object{{Name: "o", Methods: []strands.Tool{nil}}}}}, "Toolkits[0].Objects", `"o"`},
		{"two functions", []Toolkit{function("a", "load"), function("b", "load")}, "Namespaces", `"load" is the name of a function of module a and of a function of module b`},
		{"same Python name", []Toolkit{function("", "load-all"), function("", "loadAll")}, "Namespaces", `"load_all"`},
		{"two toolkits of a name", []Toolkit{function("a", "f"), function("a", "g")}, "Toolkits[1].Name", `"a" is the name of`},
		{"function and module's function", []Toolkit{function("", "load"), module("m", "def load(): pass")}, "Toolkits[1].Modules", `"load" is the name of a function of Toolkits[0] and of something in the module m`},
		{"function and module", []Toolkit{function("", "m"), module("m", "x = 1")}, "Toolkits[1].Modules", `"m"`},
		{"two modules", []Toolkit{module("m", "def f(): pass"), module("n", "class f: pass")}, "Toolkits[1].Modules", `"f"`},
		{"one module twice", []Toolkit{module("m", "x = 1"), module("m", "x = 1")}, "Toolkits[1].Modules", `"m"`},
		{"toolkit and module", []Toolkit{function("m", "f"), module("m", "")}, "Toolkits[1].Modules", `"m"`},
		{"function and bound name", []Toolkit{DataAnalysis, function("", "np")}, "Toolkits[0].InitializationCode", `it binds "np", the name of a function of Toolkits[1]`},
		{"module and bound name", []Toolkit{module("m", "def f(): pass"), initialization("from other import f")}, "Toolkits[1].InitializationCode", `"f"`},
		{"assigned", []Toolkit{function("", "f"), initialization("f = 1")}, "Toolkits[1].InitializationCode", `"f"`},
		{"defined", []Toolkit{function("", "f"), initialization("def f(): pass")}, "Toolkits[1].InitializationCode", `"f"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(Config{Model: &strandstest.Script{}, Toolkits: tc.toolkits})
			input, ok := errors.AsType[*strands.InputError](err)
			if !ok {
				t.Fatalf("got %v, want an InputError", err)
			}
			if input.Field != tc.field || !strings.Contains(input.Reason, tc.says) {
				t.Errorf("got %q: %q, want %q: …%s…", input.Field, input.Reason, tc.field, tc.says)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestNoMistakes(t *testing.T) {
	for name, toolkits := range map[string][]Toolkit{
		"both ready-made":           {DataAnalysis, Visualization},
		"twice the same":            {DataAnalysis, DataAnalysis},
		"imports what it defines":   {{Name: "fin", Functions: []strands.Tool{tool("f")}, InitializationCode: "from fin import f"}},
		"imports its module":        {{Modules: []python.Module{{Name: "a.m", Source: "def m(): pass"}, {Name: "a.n", Source: "x = 1"}}, InitializationCode: "import a\nfrom a.m import m\nimport a.n"}},
		"overloads":                 {{Modules: []python.Module{{Name: "m", Source: "@overload\ndef f(a: int): ...\n@overload\ndef f(a: str): ...\ndef f(a): ..."}}}},
		"only instructions":         {{UsageInstructions: "Be brief."}},
		"a builtin's name is moved": {{Functions: []strands.Tool{tool("list")}}},
	} {
		agent, err := New(Config{Model: &strandstest.Script{}, Toolkits: toolkits})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := agent.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	cfg := Config{Toolkits: []Toolkit{DataAnalysis, Visualization, {
		Name: "fin", Functions: []strands.Tool{tool("f")}, Requirements: []string{"pandas", "rich"},
		InitializationCode: "\nimport rich.table as rt\nfrom yaml import load, nodes\nimport math, numpy.linalg\n",
		Modules:            []python.Module{{Name: "shop", Files: fstest.MapFS{"__init__.py": {}}}},
	}}}
	p, err := planOf(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ got, want []string }{
		"libraries": {p.options.Libraries, []string{"numpy.*", "pandas.*", "scipy.*", "matplotlib.*", "seaborn.*",
			"fin", "shop", "shop.*", "rich.table", "yaml", "yaml.load", "yaml.nodes"}},
		"shown":        {p.imports, []string{"numpy.*", "pandas.*", "scipy.*", "matplotlib.*", "seaborn.*", "rich.table", "yaml"}},
		"requirements": {p.options.Requirements, []string{"numpy", "pandas", "scipy", "pyarrow", "matplotlib", "seaborn", "rich"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: got %q, want %q", what, c.got, c.want)
		}
	}
	if n := len(p.options.InitializationCode); n != 3 {
		t.Errorf("%d pieces of initialization code", n)
	}
}

func TestSystem(t *testing.T) {
	instructions, err := Instructions(Config{})
	if err != nil {
		t.Fatal(err)
	}
	cache := strands.Part{CachePoint: &strands.CachePoint{}}
	for name, tc := range map[string]struct {
		cfg  Config
		want []strands.Part
	}{
		"none":          {Config{}, []strands.Part{strands.Text(instructions)}},
		"text":          {Config{SystemPrompt: "Hi."}, []strands.Part{strands.Text("Hi.\n\n" + instructions)}},
		"parts":         {Config{System: []strands.Part{strands.Text("Hi.")}}, []strands.Part{strands.Text("Hi."), strands.Text(instructions)}},
		"cached to end": {Config{System: []strands.Part{strands.Text("Hi."), cache}}, []strands.Part{strands.Text("Hi."), strands.Text(instructions), cache}},
	} {
		t.Run(name, func(t *testing.T) {
			model := &strandstest.Script{Turns: []strandstest.Turn{{Text: "done"}}}
			tc.cfg.Model = model
			agent, err := New(tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer agent.Close()
			if _, err := agent.Ask(t.Context(), "hello"); err != nil {
				t.Fatal(err)
			}
			if got := model.Requests()[0].System; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestModulesOf(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("x = 1")}
	modules, err := ModulesOf(fstest.MapFS{"a.py": file, "b/__init__.py": file, "b/c.py": file, "data/x.csv": file, "README.md": file})
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) != 2 || modules[0].Name != "a" || modules[0].Source != "x = 1" || modules[1].Name != "b" || modules[1].Files == nil {
		t.Errorf("got %+v", modules)
	}
	for says, fsys := range map[string]fs.FS{
		"no Python modules": fstest.MapFS{"README.md": file},
		"all: prefix":       fstest.MapFS{"b/c.py": file},
	} {
		if _, err := ModulesOf(fsys); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want …%s…", err, says)
		}
	}
}

func TestPackageExports(t *testing.T) {
	files := fstest.MapFS{
		"__init__.py":      {Data: []byte("__all__ = ['a', 'B', 'd', 'e', 'f', 'missing']\nfrom .one import *\nfrom .sub.two import _b as B\nfrom pkg.sub import d\nfrom .circle import e\nfrom os import missing\ndef f(): pass")},
		"one.py":           {Data: []byte("__all__ = ['a', 'not_passed_on']\ndef a(): pass\ndef not_passed_on(): pass\ndef c(): pass")},
		"sub/__init__.py":  {Data: []byte("__all__ = ['d']\nfrom .two import d")},
		"sub/two.py":       {Data: []byte("def _b(): pass\ndef d(): pass")},
		"circle.py":        {Data: []byte("__all__ = ['e']\nfrom . import *\nfrom .circle import *\ndef e(): pass")},
		"sub/deeper/x.txt": {},
	}
	s, err := readModule(python.Module{Name: "pkg", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range s.public() {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	if want := []string{"B", "a", "d", "e", "f"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
