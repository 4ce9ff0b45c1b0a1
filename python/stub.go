package python

import (
	"fmt"
	"strings"

	"github.com/strandsgo/strands"
)

// Signature is the tool of spec as Python declares it: the def line with its
// annotations, and the docstring below it. A schema that cannot be read gives
// a signature without arguments.
func Signature(spec strands.ToolSpec) string {
	f, _ := describe(spec)
	return f.stub("", false, "def ")
}

// Stub is the text of a Python stub that declares everything in ns: functions
// with their docstrings, objects as classes with their methods. It is text for
// a model to read; nothing runs it.
func Stub(ns Namespace) string {
	var parts []string
	for _, t := range ns.Functions {
		f, _ := functionOf(t) // a bad schema is an error of Open; here it has no arguments
		parts = append(parts, f.stub("", false, "def "))
	}
	for _, o := range ns.Objects {
		parts = append(parts, objectStub(o))
	}
	return strings.Join(parts, "\n\n")
}

func objectStub(o Object) string {
	var b strings.Builder
	fmt.Fprintf(&b, "class %s:  # an object: call %s.method(...)\n", oneLine(o.Name), oneLine(o.Name))
	if doc := clip(strings.TrimSpace(o.Doc), maxDoc); doc != "" {
		b.WriteString(quoteDoc(doc, "    ") + "\n\n")
	}
	for i, t := range o.Methods {
		if i > 0 {
			b.WriteString("\n\n")
		}
		f, _ := functionOf(t)
		b.WriteString(f.stub("    ", true, "def "))
	}
	if len(o.Methods) == 0 {
		b.WriteString("    ...")
	}
	return b.String()
}

// stub writes the declaration with every line indented by margin.
func (f function) stub(margin string, method bool, def string) string {
	var args []string
	if method {
		args = append(args, "self")
	}
	for _, p := range f.params {
		arg := p.Name + ": " + p.Annotation
		switch {
		case p.Required:
		case len(p.Default) > 0:
			arg += " = " + pyValue(p.Default)
		default:
			if !strings.HasSuffix(arg, "None") && !strings.HasSuffix(arg, "Any") {
				arg += " | None"
			}
			arg += " = None"
		}
		args = append(args, arg)
	}
	line := fmt.Sprintf("%s%s%s(%s) -> %s:", margin, def, f.name, strings.Join(args, ", "), f.returns)
	inner := margin + "    "
	if f.doc == "" {
		return line + "\n" + inner + "..."
	}
	return line + "\n" + quoteDoc(f.doc, inner)
}

// quoteDoc makes a docstring of any text.
func quoteDoc(doc, margin string) string {
	doc = strings.ReplaceAll(doc, `\`, `\\`)
	doc = strings.ReplaceAll(doc, `"""`, `\"\"\"`)
	if strings.HasSuffix(doc, `"`) {
		doc = doc[:len(doc)-1] + `\"`
	}
	if !strings.Contains(doc, "\n") {
		return margin + `"""` + doc + `"""`
	}
	var b strings.Builder
	b.WriteString(margin + `"""`)
	for i, line := range strings.Split(doc, "\n") {
		if i > 0 && line != "" {
			b.WriteString(margin)
		}
		b.WriteString(strings.TrimRight(line, " \t") + "\n")
	}
	b.WriteString(margin + `"""`)
	return b.String()
}
