package pydecl

import (
	"slices"
	"strings"
)

type parser struct {
	lines  []line
	next   int
	module *Module
}

// scope collects what a module, class or function body declares.
type scope struct {
	depth      int // of the functions and classes around it
	doc        string
	decls      []Decl
	names      []Name
	all        [][]token // statements about __all__: the name, "=" or "+=", the value
	decorators []string  // of the declaration that comes next
	begun      bool      // a statement was seen, so a string is no docstring
}

// block reads the lines indented by more than indent as a scope of their own.
func (p *parser) block(indent, depth int) *scope {
	s := &scope{depth: depth}
	p.into(s, indent, false)
	return s
}

// into reads the lines indented by more than indent into s. Conditional is
// what may not run, or not alone: the branches of an if or try.
func (p *parser) into(s *scope, indent int, conditional bool) {
	for p.next < len(p.lines) && p.lines[p.next].indent > indent {
		l := p.lines[p.next]
		p.next++
		p.statement(s, l, conditional)
		s.begun = true
	}
}

func (p *parser) statement(s *scope, l line, conditional bool) {
	toks := l.toks
	if toks[0].text == "@" {
		s.decorators = append(s.decorators, render(toks[1:], false))
		return
	}
	async := false
	if toks[0].text == "async" && len(toks) > 1 {
		async, toks = true, toks[1:]
	}
	switch {
	case isDeclaration(toks):
		p.declaration(s, l, toks, async, conditional)
	case isHeader(toks):
		p.compound(s, l, toks)
	default:
		p.simple(s, toks)
	}
	s.decorators = nil
}

func isDeclaration(toks []token) bool {
	return len(toks) > 2 && (toks[0].text == "def" || toks[0].text == "class") && toks[1].kind == nameToken
}

// declaration reads a def or class statement and its body.
func (p *parser) declaration(s *scope, l line, toks []token, async, conditional bool) {
	colon := headerEnd(toks)
	d := Decl{
		Kind: Func, Name: toks[1].text, Async: async, Line: toks[0].line,
		Decorators: s.decorators, Signature: render(toks[2:colon], true),
	}
	var body *scope
	if rest := toks[min(colon+1, len(toks)):]; len(rest) > 0 {
		body = &scope{depth: s.depth + 1}
		p.simple(body, rest)
	} else {
		body = p.block(l.indent, s.depth+1)
	}
	d.Doc = body.doc
	if toks[0].text == "class" {
		d.Kind, d.Decls, d.Names = Class, body.decls, body.names
	}
	s.add(d, conditional)
}

// add keeps one declaration of a name: the overloads when there are some, else
// the last, but the first of those that depend on a condition.
func (s *scope) add(d Decl, conditional bool) {
	accessor := slices.ContainsFunc(d.Decorators, func(text string) bool {
		return text == d.Name+".setter" || text == d.Name+".deleter" || text == d.Name+".getter"
	})
	i := slices.IndexFunc(s.decls, func(e Decl) bool { return e.Name == d.Name })
	switch {
	case i < 0 || d.Has("overload"):
		s.decls = append(s.decls, d)
	case accessor || conditional || s.decls[i].Has("overload"):
	default:
		s.decls = append(slices.Delete(s.decls, i, i+1), d)
	}
}

var headers = []string{"if", "elif", "else", "try", "except", "finally", "for", "while", "with"}

func isHeader(toks []token) bool {
	if slices.Contains(headers, toks[0].text) {
		return true
	}
	soft := toks[0].text == "match" || toks[0].text == "case"
	return soft && len(toks) > 2 && toks[len(toks)-1].text == ":"
}

// compound reads a statement with a block that belongs to the scope around it.
func (p *parser) compound(s *scope, l line, toks []token) {
	target := s
	if neverRuns(toks) {
		target = &scope{depth: s.depth + 1}
	}
	target.begun = true
	if rest := toks[min(headerEnd(toks)+1, len(toks)):]; len(rest) > 0 {
		p.simple(target, rest)
		return
	}
	p.into(target, l.indent, true)
}

// neverRuns recognises what a module that is imported leaves out.
func neverRuns(toks []token) bool {
	if toks[0].text != "if" || len(toks) < 3 {
		return false
	}
	condition := toks[1:headerEnd(toks)]
	n := len(condition)
	flag := n == 1 || n == 3 && condition[1].text == "."
	return flag && condition[n-1].text == "TYPE_CHECKING" || n > 0 && condition[0].text == "__name__"
}

// headerEnd returns the index of the colon that ends a header, or the length.
func headerEnd(toks []token) int {
	for i, t := range toks[1:] {
		if t.text == ":" && t.depth == 0 {
			return i + 1
		}
	}
	return len(toks)
}

// simple reads statements without a block, separated by semicolons.
func (p *parser) simple(s *scope, toks []token) {
	for len(toks) > 0 {
		end := slices.IndexFunc(toks, func(t token) bool { return t.text == ";" && t.depth == 0 })
		if end < 0 {
			end = len(toks)
		}
		if stmt := toks[:end]; len(stmt) > 0 {
			p.simpleStatement(s, stmt)
		}
		s.begun = true
		toks = toks[min(end+1, len(toks)):]
	}
}

func (p *parser) simpleStatement(s *scope, toks []token) {
	switch {
	case toks[0].kind == stringToken && !s.begun:
		s.doc = docstring(toks)
	case toks[0].text == "import":
		p.imports(toks[1:], Import{Line: toks[0].line, Depth: s.depth})
	case toks[0].text == "from":
		p.importFrom(s.depth, toks)
	case len(toks) < 2:
	case toks[0].text == "__all__":
		s.aboutAll(toks)
	case toks[0].text == "type" && toks[1].kind == nameToken:
		s.names = append(s.names, Name{Name: toks[1].text, Line: toks[0].line})
	default:
		s.assignment(toks)
	}
}

func (s *scope) aboutAll(toks []token) {
	switch op := toks[1].text; {
	case op == "=" || op == "+=":
		s.all = append(s.all, toks)
	case op == "." && len(toks) > 3 && (toks[2].text == "append" || toks[2].text == "extend"):
		s.all = append(s.all, append([]token{toks[0], {text: "+="}}, toks[3:]...))
	}
}

// assignment notes the names that a statement binds: a = b = 1, a, b = 1, 2,
// a: int = 1 and a: int.
func (s *scope) assignment(toks []token) {
	if toks[0].kind == nameToken && toks[1].text == ":" {
		n := Name{Name: toks[0].text, Line: toks[0].line}
		value := slices.IndexFunc(toks, func(t token) bool { return t.text == "=" && t.depth == 0 })
		if value < 0 {
			value = len(toks)
		}
		n.Annotation = render(toks[2:max(value, 2)], false)
		n.Value = render(toks[min(value+1, len(toks)):], false)
		s.names = append(s.names, n)
		return
	}
	var targets []token
	for len(toks) > 0 {
		i := slices.IndexFunc(toks, func(t token) bool { return t.text == "=" && t.depth == 0 })
		if i < 0 || !isTarget(toks[:i]) {
			break
		}
		targets = append(targets, toks[:i]...)
		toks = toks[i+1:]
	}
	value := render(toks, false)
	for _, t := range targets {
		if t.kind == nameToken {
			s.names = append(s.names, Name{Name: t.text, Value: value, Line: t.line})
		}
	}
}

// isTarget says whether toks are names only, perhaps in brackets. "x[0]" and
// "x.y" bind no name.
func isTarget(toks []token) bool {
	for i, t := range toks {
		afterName := i > 0 && toks[i-1].kind == nameToken
		switch {
		case t.kind == nameToken && !afterName:
		case t.text == "," || t.text == "*" || t.text == ")" || t.text == "]":
		case (t.text == "(" || t.text == "[") && !afterName:
		default:
			return false
		}
	}
	return len(toks) > 0
}

// imports reads "a.b as c, d".
func (p *parser) imports(toks []token, proto Import) {
	for len(toks) > 0 {
		imp := proto
		imp.Module, toks = dotted(toks)
		imp.As, _, _ = strings.Cut(imp.Module, ".")
		if len(toks) > 1 && toks[0].text == "as" {
			imp.As, toks = toks[1].text, toks[2:]
		}
		if imp.Module != "" {
			p.module.Imports = append(p.module.Imports, imp)
		}
		if len(toks) == 0 || toks[0].text != "," {
			return
		}
		toks = toks[1:]
	}
}

// importFrom reads "from ..a.b import c as d, e".
func (p *parser) importFrom(depth int, toks []token) {
	imp := Import{Line: toks[0].line, Depth: depth}
	for toks = toks[1:]; len(toks) > 0 && (toks[0].text == "." || toks[0].text == "..."); toks = toks[1:] {
		imp.Level += len(toks[0].text)
	}
	if len(toks) > 0 && toks[0].text != "import" {
		imp.Module, toks = dotted(toks)
	}
	if len(toks) == 0 || toks[0].text != "import" {
		return
	}
	for toks = toks[1:]; len(toks) > 0; toks = toks[1:] {
		t := toks[0]
		switch {
		case t.text == "*":
			imp.Name, imp.As = "*", ""
		case t.kind != nameToken:
			continue
		default:
			imp.Name, imp.As = t.text, t.text
			if len(toks) > 2 && toks[1].text == "as" {
				imp.As, toks = toks[2].text, toks[2:]
			}
		}
		p.module.Imports = append(p.module.Imports, imp)
	}
}

// dotted takes "a.b.c" from the front of toks.
func dotted(toks []token) (string, []token) {
	var b strings.Builder
	for i, t := range toks {
		if (t.kind == nameToken) != (i%2 == 0) || i%2 == 1 && t.text != "." {
			return b.String(), toks[i:]
		}
		b.WriteString(t.text)
	}
	return b.String(), nil
}

var oneLine = strings.NewReplacer("\\\n", "", "\n", `\n`)

// render writes toks as source on one line. Of a header it leaves out the
// comma before the parenthesis that ends the parameters.
func render(toks []token, header bool) string {
	var b strings.Builder
	for i, t := range toks {
		if header && t.text == "," && t.depth == 1 && i+1 < len(toks) && toks[i+1].text == ")" {
			continue
		}
		opened := i > 0 && (toks[i-1].text == "(" || toks[i-1].text == "[" || toks[i-1].text == "{")
		closing := t.text == ")" || t.text == "]" || t.text == "}"
		if i > 0 && t.space && !opened && !closing {
			b.WriteByte(' ')
		}
		b.WriteString(oneLine.Replace(t.text))
	}
	return b.String()
}
