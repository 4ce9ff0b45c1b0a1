package pydecl

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestDeclarations(t *testing.T) {
	for _, tc := range []struct{ name, src, want string }{
		{"one line", `def f(x): return x`, `def f(x): ...`},
		{"signature over lines", "def f(a: int,  # first\n      b: dict[str,\n        int] = {'x': 1},\n) -> list[\n    str\n]:\n  pass",
			`def f(a: int, b: dict[str, int] = {'x': 1}) -> list[str]: ...`},
		{"continued line", "def f(a, \\\n   b): pass", `def f(a, b): ...`},
		{"tuple default keeps its comma", `def f(a=(1,), *, b: tuple[()] = ()): pass`, `def f(a=(1,), *, b: tuple[()] = ()): ...`},
		{"colon in default", `def f(g=lambda x: x, h={1: 2}[1], s="a:b"): pass`, `def f(g=lambda x: x, h={1: 2}[1], s="a:b"): ...`},
		{"type parameters", `def f[T: (int, str)](x: T) -> T: pass`, `def f[T: (int, str)](x: T) -> T: ...`},
		{"async", `async def f(): pass`, `async def f(): ...`},
		{"private", "def _f(): pass\nclass _C: pass", ``},
		{"not code", "x = 'def f(): pass'\n# def g(): pass\ny = '''\ndef h(): pass\n'''", ``},
		{"string prefixes", "x = rb'\\'; y = f'{a[\"def\"]}'\ndef f(): pass", `def f(): ...`},
		{"f-string in f-string", "x = f'{f\"{'}'}\"}{y:{w}}}}' # '\ndef f(): pass", `def f(): ...`},
		{"f-string format with quotes", "x = f\"{y:'>{w}}\"\ndef f(): pass", `def f(): ...`},
		{"f-string with braces", "x = rf'\\{{a}}' f'\\N{DIGIT ONE}{{'\ndef f(): pass", `def f(): ...`},
		{"f-string with a regular expression", "x = rf'\\{{([^}}\"{y}]'\ndef f(): pass", `def f(): ...`},
		{"nested function", "def f():\n  def g(): pass\n  class C: pass\ndef h(): pass", "def f(): ...\n\ndef h(): ..."},
		{"conditional", "try:\n  from a import f\nexcept ImportError:\n  def f(): pass\nif x:\n  def g(a): pass\nelse:\n  def g(b): pass",
			"def f(): ...\n\ndef g(a): ..."},
		{"redefined", "def f(a): pass\ndef g(): pass\ndef f(b): pass", "def g(): ...\n\ndef f(b): ..."},
		{"main and type checking", "if __name__ == '__main__':\n  def f(): pass\nif TYPE_CHECKING:\n  def g(): pass\nif not TYPE_CHECKING:\n  def h(): pass",
			`def h(): ...`},
		{"overload", "@overload\ndef f(a: int): ...\n@typing.overload\ndef f(a: str): ...\ndef f(a): pass",
			"@overload\ndef f(a: int): ...\n\n@typing.overload\ndef f(a: str): ..."},
		{"all", "__all__ = ['_f', \"C\"]\n__all__ += ('g',)\ndef _f(): pass\ndef g(): pass\ndef h(): pass", "def _f(): ...\n\ndef g(): ..."},
		{"all extended", "__all__ = []\n__all__.extend(['f'])\n__all__.append('g')\ndef f(): pass\ndef g(): pass\ndef h(): pass", "def f(): ...\n\ndef g(): ..."},
		{"all computed", "__all__ = list(names)\ndef f(): pass\ndef _g(): pass", "def f(): ..."},
		{"carriage returns, mark and tabs", "\ufeffif x:\r\n\tdef f(): pass\r\n        def g(): pass\r\n", "def f(): ...\n\ndef g(): ..."},
		{"semicolons", "import a; x = 1; class_ = 2\ndef f(): pass; y = 1", "def f(): ..."},
		{"soft keywords", "match = 1\nmatch x:\n  case 1:\n    def f(): pass\ntype X = int\ncase: int = 3", "def f(): ..."},
		{"unclosed string", "x = 'abc\ndef f(): pass", "def f(): ..."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.TrimSuffix(Stub(Parse(tc.src).Public()), "\n"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestClass(t *testing.T) {
	src := `
@dataclasses.dataclass(frozen=True)
@register
class Order(Base, metaclass=Meta):
    '''An order.

        Indented.
    Not.
    '''
    id: int
    items: list[str] = field(default_factory=list)
    _secret: str = ""
    LIMIT = 5
    a, b = 1, 2

    class Line:
        "A line."

    def __init__(self, id: int) -> None:
        self.id: int = id
    def __repr__(self): return ""
    @property
    def total(self) -> Decimal:
        "Sum of the \"lines\""
    @total.setter
    def total(self, v): pass
    @classmethod
    async def load(cls, /, path: str): r'''From C:\new.'''
    def _private(self): pass
class Color(enum.Enum):
    RED, GREEN = "red", "green"
    BLUE = 3
`
	want := `@dataclasses.dataclass(frozen=True)
class Order(Base, metaclass=Meta):
    """An order.

        Indented.
    Not.
    """
    id: int
    items: list[str] = field(default_factory=list)

    class Line:
        """A line."""

    def __init__(self, id: int) -> None: ...

    @property
    def total(self) -> Decimal:
        """Sum of the "lines\""""

    @classmethod
    async def load(cls, /, path: str):
        """From C:\\new."""

class Color(enum.Enum):
    RED = "red", "green"
    GREEN = "red", "green"
    BLUE = 3
`
	if got := Stub(Parse(src).Public()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDocstrings(t *testing.T) {
	for src, want := range map[string]string{
		`"plain"`:                    "plain",
		`'a' "b"`:                    "ab",
		"'''\n\n  a\n    b\n\n  '''": "a\n  b",
		`"\x41\u00e9\101\n\q\
z"`: "AéA\n\\qz",
		`r"\n"`:                      `\n`,
		`f"no"`:                      "",
		`b"no"`:                      "",
		`"no" + x`:                   "",
		"# comment\n\n'''yes'''":     "yes",
		"x = 1\n'no'":                "",
		"'first'; 'second'":          "first",
		"import a\n'no'":             "",
		"'''a\n\tb\n\t  c'''":        "a\nb\n  c",
		"if x: pass\n'no'":           "",
		`u'\U0001F600\N{DIGIT ONE}'`: "😀\\N{DIGIT ONE}",
		"@decorated\ndef f(): 'no'":  "",
		"(x)\n'''no'''":              "",
		"'unclosed":                  "unclosed",
	} {
		if got := Parse(src).Doc; got != want {
			t.Errorf("%q: got %q, want %q", src, got, want)
		}
	}
}

func TestImportsAndNames(t *testing.T) {
	src := `
import os.path, numpy as np
from . import sibling
from ...pkg.mod import (a as b,
    c,)
from json import *
if True:
    import csv
def f():
    import zlib
x = y = 1
(p, [q, *r]) = z
typed: int
o.attr = item[0] = 2
w == 3
`
	m := Parse(src)
	var got []string
	for _, i := range m.Imports {
		got = append(got, strings.Join([]string{strings.Repeat(".", i.Level) + i.Module, i.Name, i.As, strings.Repeat(">", i.Depth)}, " "))
	}
	want := []string{"os.path  os ", "numpy  np ", ". sibling sibling ", "...pkg.mod a b ", "...pkg.mod c c ", "json *  ", "csv  csv ", "zlib  zlib >"}
	if !slices.Equal(got, want) {
		t.Errorf("imports: got %q, want %q", got, want)
	}
	var names []string
	for _, n := range m.Names {
		names = append(names, n.Name)
	}
	if want := []string{"x", "y", "p", "q", "r", "typed"}; !slices.Equal(names, want) {
		t.Errorf("names: got %q, want %q", names, want)
	}
}

// FuzzParse: whatever the text, Parse ends, and what it found has the form it
// promises and survives being written as a stub.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"@d\nclass A(B):\n  '''x'''\n  y: int = 1\n  async def f(self, *, a=f'{x!r:>{w}}') -> int: ...",
		"def f(a: 'x' = '''\n''', b=rb'\\''): '''\\n\"\"\"'''",
		"__all__ = ['a'] + ['b']\nfrom .x import (a, b as c)\nimport a.b as c",
		"if TYPE_CHECKING: pass\nelif x:\n\tdef f(): pass\nmatch x:\n case 1: y = 2",
		"f'{{{x:{y}}}}' t'{a[\"b\"]}' \\\n x", "((([[[{{{'''", "def f(\n", "@\nclass\ndef 1():", "x = \\",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		m := Parse(src)
		checkDecls(t, m.Decls)
		stub := Stub(m.Public())
		again := Parse(stub)
		if a, b := signatures(m.Public()), signatures(again.Decls); wellFormed(m.Public()) && !reflect.DeepEqual(a, b) {
			t.Errorf("the stub\n%s\ndeclares %q, not %q", stub, b, a)
		}
	})
}

func checkDecls(t *testing.T, decls []Decl) {
	for _, d := range decls {
		if strings.ContainsFunc(d.Name, func(r rune) bool { return r != '_' && r < 128 && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) || d.Name == "" {
			t.Errorf("name %q", d.Name)
		}
		if strings.Contains(d.Signature+strings.Join(d.Decorators, ""), "\n") {
			t.Errorf("more than one line: %q %q", d.Signature, d.Decorators)
		}
		if d.Line < 1 {
			t.Errorf("line %d", d.Line)
		}
		checkDecls(t, d.Decls)
	}
}

// wellFormed says whether the text of all signatures is balanced, as that of
// a program is.
func wellFormed(decls []Decl) bool {
	return !slices.ContainsFunc(decls, func(d Decl) bool {
		lx := &lexer{src: d.Signature, line: 1}
		toks := lx.logicalLine()
		strange := strings.ContainsAny(d.Signature, "\\'\"#") || lx.depth != 0 || headerEnd(append([]token{{}}, toks...)) <= len(toks)
		bare := d.Kind == Class && d.Signature == ""
		return strange || !bare && !strings.HasPrefix(d.Signature, "(") && !strings.HasPrefix(d.Signature, "[")
	})
}

func signatures(decls []Decl) []string {
	var s []string
	for _, d := range decls {
		s = append(s, d.Name+d.Signature)
	}
	return s
}
