package pydecl

import (
	"slices"
	"strings"
)

// Public returns the declarations that "from module import *" brings: those
// named in __all__, else those whose names do not begin with an underscore.
func (m *Module) Public() []Decl {
	return slices.Collect(func(yield func(Decl) bool) {
		for _, d := range m.Decls {
			if m.IsPublic(d.Name) && !yield(d) {
				return
			}
		}
	})
}

// IsPublic says whether "from module import *" brings name, when the module
// has it.
func (m *Module) IsPublic(name string) bool {
	if m.HasAll {
		return slices.Contains(m.All, name)
	}
	return !strings.HasPrefix(name, "_")
}

// Stub writes decls as Python source without bodies: signatures, docstrings,
// the public methods and attributes of classes, and the decorators that change
// how a thing is used. It ends with a newline unless it is empty.
func Stub(decls []Decl) string {
	var b strings.Builder
	for i, d := range decls {
		if i > 0 {
			b.WriteByte('\n')
		}
		d.stub(&b, "")
	}
	return b.String()
}

func (d *Decl) stub(b *strings.Builder, indent string) {
	for _, dec := range d.Decorators {
		if changesUse(dec) {
			b.WriteString(indent + "@" + dec + "\n")
		}
	}
	keyword := "def "
	switch {
	case d.Kind == Class:
		keyword = "class "
	case d.Async:
		keyword = "async def "
	}
	b.WriteString(indent + keyword + d.Name + d.Signature + ":")
	inner := indent + "    "
	names, methods := d.members()
	if d.Doc == "" && len(names)+len(methods) == 0 {
		b.WriteString(" ...\n")
		return
	}
	b.WriteByte('\n')
	if d.Doc != "" {
		b.WriteString(Docstring(d.Doc, inner))
	}
	for _, n := range names {
		b.WriteString(inner + n.stub() + "\n")
	}
	for i, m := range methods {
		if i > 0 || d.Doc != "" || len(names) > 0 {
			b.WriteByte('\n')
		}
		m.stub(b, inner)
	}
}

// members returns what a user of a class sees: attributes that are annotated,
// the members of an enumeration, public methods and nested classes.
func (d *Decl) members() ([]Name, []Decl) {
	if d.Kind != Class {
		return nil, nil
	}
	enum := strings.Contains(d.Signature, "Enum") || strings.Contains(d.Signature, "Flag")
	var names []Name
	for _, n := range d.Names {
		if !strings.HasPrefix(n.Name, "_") && (n.Annotation != "" || enum) {
			names = append(names, n)
		}
	}
	var methods []Decl
	for _, m := range d.Decls {
		if !strings.HasPrefix(m.Name, "_") || slices.Contains(usefulDunders, m.Name) {
			methods = append(methods, m)
		}
	}
	return names, methods
}

// The special methods that tell how to use an object.
var usefulDunders = []string{"__init__", "__call__", "__getitem__", "__iter__", "__len__", "__contains__"}

func changesUse(decorator string) bool {
	name, _, _ := strings.Cut(decorator, "(")
	name = name[strings.LastIndexByte(name, '.')+1:]
	switch name {
	case "property", "cached_property", "classmethod", "staticmethod", "dataclass", "overload",
		"contextmanager", "asynccontextmanager", "deprecated":
		return true
	}
	return false
}

// maxValue is how much of an attribute's value is shown.
const maxValue = 60

func (n Name) stub() string {
	s := n.Name
	if n.Annotation != "" {
		s += ": " + n.Annotation
	}
	switch {
	case n.Value == "":
	case len(n.Value) > maxValue:
		s += " = ..."
	default:
		s += " = " + n.Value
	}
	return s
}

// Docstring writes text as a docstring, each line behind indent.
func Docstring(text, indent string) string {
	text = strings.ReplaceAll(text, `\`, `\\`)
	text = strings.ReplaceAll(text, `"""`, `\"""`)
	if strings.HasSuffix(text, `"`) && !strings.Contains(text, "\n") {
		text = text[:len(text)-1] + `\"`
	}
	lines := strings.Split(text, "\n")
	var b strings.Builder
	b.WriteString(indent + `"""` + lines[0])
	for _, l := range lines[1:] {
		b.WriteByte('\n')
		if l != "" {
			b.WriteString(indent + l)
		}
	}
	if len(lines) > 1 {
		b.WriteString("\n" + indent)
	}
	b.WriteString("\"\"\"\n")
	return b.String()
}
