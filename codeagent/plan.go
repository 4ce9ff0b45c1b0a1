package codeagent

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/pydecl"
	"github.com/strandsgo/strands/python"
)

// plan is what a Config comes to: the options of its REPL sessions, and what
// the model is told about them.
type plan struct {
	options      python.Options
	instructions string

	init    []string // initialization code, as the prompt shows it
	imports []string // patterns the toolkits allow, as the prompt shows them
	modules []*source

	docs      string     // of all that is offered, as Python declarations
	catalogue *catalogue // instead of docs, when they are too long; else nil
}

func planOf(cfg *Config) (*plan, error) {
	p := &plan{options: python.Options{Timeout: cfg.Timeout, Limits: cfg.PythonLimits, Fixed: cfg.Fixed, Binds: cfg.Binds, Inputs: cfg.Inputs}}
	p.options.Atomic = cfg.Atomic
	var errs []error
	for i := range cfg.Toolkits {
		errs = append(errs, p.add(&cfg.Toolkits[i], fmt.Sprintf("Toolkits[%d]", i))...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := p.checkNames(cfg.Toolkits); err != nil {
		return nil, err
	}
	if err := p.disclose(cfg); err != nil {
		return nil, err
	}
	p.instructions = p.prompt(cfg)
	return p, nil
}

// add merges t into p. The errors are mistakes in t, which is called where.
func (p *plan) add(t *Toolkit, where string) []error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &strands.InputError{Field: where + field, Reason: fmt.Sprintf(format, args...)})
	}
	if t.err != nil {
		bad("", "%v", t.err)
		return errs
	}
	if t.empty() {
		bad("", "the toolkit is empty; give it libraries, code, functions, modules or instructions")
	}
	if t.Name != "" && !isModuleName(t.Name) {
		bad(".Name", "%q cannot be imported in Python; use letters, digits, _ and dots", t.Name)
	}
	for _, l := range t.Libraries {
		if l != "*" && !isModuleName(strings.TrimSuffix(l, ".*")) {
			bad(".Libraries", `%q is no import pattern; write "pandas", "pandas.*" or "*"`, l)
		}
	}
	for _, r := range t.Requirements {
		if r = strings.TrimSpace(r); r == "" || r[0] == '-' || strings.ContainsAny(r, "\r\n") {
			bad(".Requirements", `%q is no requirement; write one per entry, as "pandas>=2"`, r)
		}
	}
	for _, m := range t.Preload {
		if !isModuleName(m) {
			bad(".Preload", "%q is no module name", m)
		}
	}
	for i, f := range t.Functions {
		if f == nil {
			bad(fmt.Sprintf(".Functions[%d]", i), "the tool is nil")
		}
	}
	for _, o := range t.Objects {
		if slices.Contains(o.Methods, nil) {
			bad(".Objects", "the object %q has a method that is nil", o.Name)
		}
	}
	p.addModules(t, bad)
	if len(errs) == 0 {
		p.merge(t)
	}
	return errs
}

func (p *plan) addModules(t *Toolkit, bad func(field, format string, args ...any)) {
	for _, m := range t.Modules {
		switch s, err := readModule(m); {
		case !isModuleName(m.Name):
			bad(".Modules", "%q cannot be imported in Python; use letters, digits, _ and dots", m.Name)
		case err != nil:
			bad(".Modules", "%v", err)
		default:
			p.modules = append(p.modules, s)
		}
	}
}

// merge puts what t says into the options.
func (p *plan) merge(t *Toolkit) {
	o := &p.options
	for _, l := range t.Libraries {
		p.allow(l, l)
	}
	o.Requirements = appendNew(o.Requirements, t.Requirements...)
	o.Preload = appendNew(o.Preload, t.Preload...)
	if len(t.Functions)+len(t.Objects) > 0 {
		o.Namespaces = append(o.Namespaces, t.namespace())
		if t.Name != "" {
			p.allow(t.Name, "")
		}
	}
	o.Modules = append(o.Modules, t.Modules...)
	for _, m := range t.Modules {
		p.allow(m.Name, "")
		if m.Files != nil {
			p.allow(m.Name+".*", "")
		}
	}
	if code := strings.Trim(t.InitializationCode, "\n"); strings.TrimSpace(code) != "" {
		o.InitializationCode = append(o.InitializationCode, code)
		p.init = append(p.init, code)
		for _, imp := range pydecl.Parse(code).Imports {
			if imp.Level == 0 {
				p.allow(imp.Module, imp.Module)
			}
			if imp.Level == 0 && imp.Name != "" && imp.Name != "*" {
				p.allow(imp.Module+"."+imp.Name, "") // it may be a module
			}
		}
	}
}

// allow lets the model import what pattern says. Shown is what the prompt says
// of it; "" = nothing, because it says so elsewhere.
func (p *plan) allow(pattern, shown string) {
	if covered(pattern, python.HarmlessLibraries) || covered(pattern, p.options.Libraries) {
		return
	}
	p.options.Libraries = append(p.options.Libraries, pattern)
	if shown != "" {
		p.imports = append(p.imports, shown)
	}
}

// covered says whether patterns allow all that pattern does.
func covered(pattern string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(q string) bool {
		root, all := strings.CutSuffix(q, ".*")
		name := strings.TrimSuffix(pattern, ".*")
		return q == "*" || q == pattern || all && (name == root || strings.HasPrefix(name, root+"."))
	})
}

func appendNew(list []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// behind returns the system prompt of cfg with instructions behind it, as a
// text or as parts, whichever cfg has.
func behind(cfg *Config, instructions string) (string, []strands.Part) {
	if len(cfg.System) == 0 {
		if cfg.SystemPrompt == "" {
			return instructions, nil
		}
		return cfg.SystemPrompt + "\n\n" + instructions, nil
	}
	at := len(cfg.System)
	if cfg.System[at-1].CachePoint != nil {
		at--
	}
	return cfg.SystemPrompt, slices.Insert(slices.Clone(cfg.System), at, strands.Text(instructions))
}
