package codeagent

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/pydecl"
	"github.com/strandsgo/strands/python"
)

// claims are the names of snippets and who brought them.
type claims struct {
	by   map[string]claim
	errs []error
}

type claim struct {
	what   string // "a function of Toolkits[0]"
	field  string
	module string // that the name can be imported from; "" = none
}

func (c *claims) add(name string, by claim) {
	if before, taken := c.by[name]; taken {
		c.errs = append(c.errs, &strands.InputError{
			Field: by.field, Reason: fmt.Sprintf("%q is the name of %s and of %s; rename one", name, before.what, by.what)})
		return
	}
	c.by[name] = by
}

// checkNames finds names that two toolkits bring: all of them meet in one
// scope, that of the snippets.
func (p *plan) checkNames(toolkits []Toolkit) error {
	if err := python.CheckNamespaces(p.options.Namespaces); err != nil {
		return err
	}
	names, importable := &claims{by: map[string]claim{}}, &claims{by: map[string]claim{}}
	source := 0
	for i, t := range toolkits {
		where := fmt.Sprintf("Toolkits[%d]", i)
		if len(t.Functions)+len(t.Objects) > 0 {
			if t.Name != "" {
				importable.addModule(t.Name, claim{what: where, field: where + ".Name"})
			}
			for _, d := range stubNames(t.namespace()) {
				field := where + map[pydecl.Kind]string{pydecl.Func: ".Functions", pydecl.Class: ".Objects"}[d.Kind]
				what := map[pydecl.Kind]string{pydecl.Func: "a function of ", pydecl.Class: "an object of "}[d.Kind] + where
				names.add(d.Name, claim{what, field, t.Name})
			}
		}
		for range t.Modules {
			m := p.modules[source]
			source++
			importable.addModule(m.name, claim{what: "a module of " + where, field: where + ".Modules"})
			names.addPublic(m, where+".Modules")
		}
	}
	for i, t := range toolkits {
		names.initialization(t.InitializationCode, fmt.Sprintf("Toolkits[%d].InitializationCode", i))
	}
	return errors.Join(append(names.errs, importable.errs...)...)
}

// stubNames returns what ns declares under the names that Python sees.
func stubNames(ns python.Namespace) []pydecl.Decl { return pydecl.Parse(python.Stub(ns)).Decls }

// addPublic claims what a module puts into the snippets: its public names, and
// its own.
func (c *claims) addPublic(m *source, field string) {
	own := map[string]bool{}
	for _, d := range m.public() {
		if !own[d.Name] { // overloads share a name
			c.add(d.Name, claim{"something in the module " + m.name, field, m.name})
		}
		own[d.Name] = true
	}
	root, _, _ := strings.Cut(m.name, ".")
	by := claim{"the module " + root, field, root}
	if !own[root] && c.by[root].what != by.what { // "a.x" and "a.y" share a root
		c.add(root, by)
	}
}

// addModule claims a module name, which must not hide one of the standard
// library's.
func (c *claims) addModule(name string, by claim) {
	root, _, _ := strings.Cut(name, ".")
	if covered(root, python.HarmlessLibraries) || root == "sys" || root == "os" || root == "builtins" {
		c.errs = append(c.errs, &strands.InputError{
			Field: by.field, Reason: fmt.Sprintf("%q would hide Python's own module of that name; rename it", name)})
		return
	}
	c.add(name, by)
}

// initialization checks the names that initialization code binds against
// those of functions, objects and modules. Importing such a thing by its own
// name is fine, and so is binding the same name twice in such code.
func (c *claims) initialization(code, field string) {
	m := pydecl.Parse(code)
	clash := func(name, from string) {
		owner, taken := c.by[name]
		if taken && (from == "" || from != owner.module) {
			c.errs = append(c.errs, &strands.InputError{
				Field: field, Reason: fmt.Sprintf("it binds %q, the name of %s; rename one", name, owner.what)})
		}
	}
	for _, imp := range m.Imports {
		from := imp.Module
		if imp.Name == "" && strings.HasPrefix(from, imp.As+".") {
			from = imp.As // "import a.b" binds a
		}
		if imp.Depth == 0 && imp.As != "" {
			clash(imp.As, from)
		}
	}
	for _, d := range m.Decls {
		clash(d.Name, "")
	}
	for _, n := range m.Names {
		clash(n.Name, "")
	}
}

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	keywords   = strings.Fields(`False None True and as assert async await break class continue def del elif else except
		finally for from global if import in is lambda nonlocal not or pass raise return try while with yield`)
)

// isModuleName says whether s can be imported: identifiers between dots.
func isModuleName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !identifier.MatchString(part) || slices.Contains(keywords, part) {
			return false
		}
	}
	return true
}
