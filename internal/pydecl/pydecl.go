// Package pydecl reads what a Python source declares: its functions, classes,
// imports and names, with signatures and docstrings. It never runs Python and
// never fails: of a text that is not Python it finds what looks like
// declarations. Names, signatures and docstrings are what CPython's own ast
// module finds; see the comparison in the tests of package codeagent.
package pydecl

import (
	"slices"
	"strings"
)

// Module is what a source declares at its top level, blocks such as if and try
// included.
type Module struct {
	Doc     string   // its docstring, cleaned as inspect.cleandoc does
	Decls   []Decl   // functions and classes, each name once except overloads
	Imports []Import // at any depth
	Names   []Name   // bound by assignments
	All     []string // the literal value of __all__
	HasAll  bool     // there is one, and it is literal
}

// Kind says what a Decl declares.
type Kind int

// The kinds of a Decl.
const (
	Func Kind = iota
	Class
)

// Decl is one def or class statement.
type Decl struct {
	Kind       Kind
	Name       string
	Async      bool
	Decorators []string // without "@", on one line each
	Signature  string   // what stands between the name and the colon, on one line
	Doc        string
	Decls      []Decl // of a class: methods and classes in it
	Names      []Name // of a class: its attributes
	Line       int    // of the def or class keyword, from 1
}

// Name is a name bound by an assignment.
type Name struct {
	Name       string
	Annotation string // "" = none
	Value      string // source text; "" = none
	Line       int
}

// Import is one module or name brought in by an import statement.
type Import struct {
	Module string // "os.path"; "" in "from . import x"
	Level  int    // dots before Module
	Name   string // after from … import; "*" for all; "" in "import x"
	As     string // the name it binds; "" for a star
	Depth  int    // 0 = at the top level, conditional blocks included
	Line   int
}

// Decl returns the first declaration of that name, or nil.
func (m *Module) Decl(name string) *Decl {
	for i := range m.Decls {
		if m.Decls[i].Name == name {
			return &m.Decls[i]
		}
	}
	return nil
}

// Has says whether d carries the decorator, written bare, dotted or called:
// "dataclass" is also @dataclasses.dataclass(frozen=True).
func (d *Decl) Has(decorator string) bool {
	return slices.ContainsFunc(d.Decorators, func(s string) bool {
		s, _, _ = strings.Cut(s, "(")
		return s == decorator || strings.HasSuffix(s, "."+decorator)
	})
}

// Parse reads src.
func Parse(src string) *Module {
	m := &Module{}
	p := parser{lines: logicalLines(src), module: m}
	b := p.block(-1, 0)
	m.Doc, m.Decls, m.Names = b.doc, b.decls, b.names
	m.readAll(b.all)
	return m
}

// readAll takes the literal forms of __all__: lists and tuples of strings,
// assigned, added with + and +=, or appended. Anything else makes it unknown.
func (m *Module) readAll(statements [][]token) {
	for _, toks := range statements {
		names, ok := literalNames(toks[2:])
		if !ok {
			m.All, m.HasAll = nil, false
			return
		}
		if toks[1].text == "=" {
			m.All = nil
		}
		m.All, m.HasAll = append(m.All, names...), true
	}
}

func literalNames(toks []token) ([]string, bool) {
	var names []string
	for _, t := range toks {
		switch {
		case t.kind == stringToken:
			s, ok := t.literal()
			if !ok {
				return nil, false
			}
			names = append(names, s)
		case !strings.Contains("[](),+", t.text):
			return nil, false
		}
	}
	return names, true
}
