package python

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands"
)

// HarmlessLibraries are the import patterns that every guarded session allows:
// the part of the standard library that computes and cannot reach anything.
var HarmlessLibraries = []string{
	"__future__", "abc", "array", "base64", "binascii", "bisect", "calendar", "cmath", "collections.*", "colorsys",
	"contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools",
	"graphlib", "hashlib", "heapq", "html.*", "io", "itertools", "json.*", "keyword", "locale", "math", "numbers", "operator",
	"pprint", "queue", "random", "re", "statistics", "string.*", "struct", "textwrap", "threading", "time", "traceback",
	"types", "typing", "unicodedata", "uuid", "warnings", "zlib", "zoneinfo",
	"asyncio.*", "concurrent.futures", "secrets", "timeit",
}

const (
	defaultOutput = 64 << 10
	spoolLimit    = 16 << 20
	noLimit       = 1 << 40 // stands for "none" in the configuration
)

// configuration is what a worker is told first.
type configuration struct {
	Version     int             `json:"version"`
	Guard       bool            `json:"guard"`
	Libraries   []string        `json:"libraries"`
	Figures     bool            `json:"figures"`
	OutputLimit int             `json:"output_limit"`
	ValueLimit  int             `json:"value_limit"`
	SpoolLimit  int             `json:"spool_limit"`
	FileLimit   int64           `json:"file_limit"` // of one that is handed out; 0 = none
	WorkDir     string          `json:"workdir"`
	Init        []string        `json:"init"`
	Modules     []moduleConfig  `json:"modules"`
	Namespaces  []namespaceJSON `json:"namespaces"`
	Fixed       *fixedJSON      `json:"fixed,omitempty"`
}

type fixedJSON struct {
	Seed uint64  `json:"seed"`
	Time float64 `json:"time"` // seconds since the epoch
}

type moduleConfig struct {
	Name    string `json:"name"`
	Source  string `json:"source"`
	Package bool   `json:"package"`
}

type namespaceJSON struct {
	Module    string       `json:"module"`
	Doc       string       `json:"doc"`
	Functions []function   `json:"functions"`
	Objects   []objectJSON `json:"objects"`
}

type objectJSON struct {
	Name    string     `json:"name"`
	Doc     string     `json:"doc"`
	Methods []function `json:"methods"`
}

func (c configuration) message(workdir string) ([]byte, error) {
	c.WorkDir = workdir
	return json.Marshal(c)
}

// withDefaults replaces the zeros of o.
func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	l := &o.Limits
	if l.Memory == 0 {
		l.Memory = 4 << 30
	}
	if l.CPU == 0 {
		l.CPU = time.Hour
	}
	if l.Disk == 0 {
		l.Disk = 256 << 20
	}
	set(&l.Files, 4096)
	set(&l.OpenFiles, 256)
	set(&l.Threads, 64)
	set(&l.Output, defaultOutput)
	set(&l.HostCalls, 10_000)
	set(&l.InFlight, 16)
	return o
}

// newSession checks o and prepares a session of it; nothing is started.
func newSession(o Options, guard bool) (*session, error) {
	o = o.withDefaults()
	if err := CheckNamespaces(o.Namespaces); err != nil {
		return nil, err
	}
	for _, p := range o.Libraries {
		if p != "*" && !isModuleName(strings.TrimSuffix(p, ".*")) {
			return nil, &strands.InputError{Field: "Libraries", Reason: fmt.Sprintf(
				`%q is no import pattern; write "pandas", "pandas.*" or "*"`, p)}
		}
	}
	for _, in := range o.Inputs {
		if err := checkName(in.Name); err != nil || in.Open == nil {
			return nil, &strands.InputError{Field: "Inputs", Reason: fmt.Sprintf("%q is no relative file name with slashes, or cannot be opened", in.Name)}
		}
	}
	modules, err := moduleConfigs(o.Modules)
	if err != nil {
		return nil, err
	}
	s := &session{opts: o, timings: defaultTimings}
	output := o.Limits.Output
	if output < 0 {
		output = noLimit
	}
	s.config = configuration{
		Version: protocolVersion, Guard: guard, Figures: !o.NoFigures,
		Libraries:   slices.Concat(HarmlessLibraries, o.Libraries),
		OutputLimit: output, ValueLimit: min(output, 1<<20), SpoolLimit: spoolLimit, FileLimit: max(0, o.Limits.Disk),
		Init: append([]string{}, o.InitializationCode...), Modules: modules, Namespaces: []namespaceJSON{},
	}
	if f := o.Fixed; f != nil {
		s.config.Fixed = &fixedJSON{f.Seed, float64(f.Time.UnixMicro()) / 1e6}
	}
	for _, ns := range o.Namespaces {
		n, err := s.register(ns)
		if err != nil {
			return nil, err
		}
		s.config.Namespaces = append(s.config.Namespaces, n)
	}
	return s, nil
}

// register gives the functions of a namespace their ids.
func (s *session) register(ns Namespace) (namespaceJSON, error) {
	n := namespaceJSON{Module: ns.Module, Doc: clip(ns.Doc, maxDoc), Functions: []function{}, Objects: []objectJSON{}}
	add := func(t strands.Tool) (function, error) {
		f, err := functionOf(t)
		f.id = len(s.table)
		s.table = append(s.table, f)
		return f, err
	}
	for _, t := range ns.Functions {
		f, err := add(t)
		if err != nil {
			return n, fmt.Errorf("python: %w", err)
		}
		n.Functions = append(n.Functions, f)
	}
	for _, o := range ns.Objects {
		oj := objectJSON{Name: o.Name, Doc: clip(o.Doc, maxDoc), Methods: []function{}}
		for _, t := range o.Methods {
			f, err := add(t)
			if err != nil {
				return n, fmt.Errorf("python: object %s: %w", o.Name, err)
			}
			oj.Methods = append(oj.Methods, f)
		}
		n.Objects = append(n.Objects, oj)
	}
	return n, nil
}

// CheckNamespaces says which names are no Python names, or are taken twice:
// all of them are in one scope, that of the snippets.
func CheckNamespaces(namespaces []Namespace) error {
	taken := map[string]string{}
	var errs []error
	bad := func(reason string) { errs = append(errs, &strands.InputError{Field: "Namespaces", Reason: reason}) }
	claim := func(name, who string) {
		if before, ok := taken[name]; ok {
			bad(fmt.Sprintf("%q is the name of %s and of %s; rename one", name, before, who))
			return
		}
		taken[name] = who
	}
	for _, ns := range namespaces {
		where := "no module"
		if ns.Module != "" {
			where = "module " + ns.Module
			if !isModuleName(ns.Module) {
				bad(fmt.Sprintf("%q cannot be imported in Python; use letters, digits, _ and dots", ns.Module))
			}
		}
		for _, t := range ns.Functions {
			claim(functionName(t.Spec().Name), "a function of "+where)
		}
		for _, o := range ns.Objects {
			if !isIdentifier(o.Name) {
				bad(fmt.Sprintf("the object name %q is no Python name", o.Name))
			}
			claim(o.Name, "an object of "+where)
			methods := map[string]bool{}
			for _, t := range o.Methods {
				name := functionName(t.Spec().Name)
				if methods[name] {
					bad(fmt.Sprintf("%s has two methods %q; rename one", o.Name, name))
				}
				methods[name] = true
			}
		}
	}
	return errors.Join(errs...)
}

// moduleConfigs lists the modules with those in their folders.
func moduleConfigs(modules []Module) ([]moduleConfig, error) {
	out := []moduleConfig{}
	seen := map[string]bool{}
	add := func(c moduleConfig) error {
		switch {
		case !isModuleName(c.Name):
			return &strands.InputError{Field: "Modules", Reason: fmt.Sprintf("%q cannot be imported in Python", c.Name)}
		case seen[c.Name]:
			return &strands.InputError{Field: "Modules", Reason: fmt.Sprintf("there are two modules %q", c.Name)}
		}
		seen[c.Name] = true
		out = append(out, c)
		return nil
	}
	for _, m := range modules {
		if m.Files == nil {
			if err := add(moduleConfig{Name: m.Name, Source: m.Source}); err != nil {
				return nil, err
			}
			continue
		}
		files, err := packageFiles(m)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if err := add(f); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// packageFiles reads the Python sources of a package's folder. Other files in
// it are left alone.
func packageFiles(m Module) ([]moduleConfig, error) {
	out := []moduleConfig{{Name: m.Name, Source: m.Source, Package: true}}
	err := fs.WalkDir(m.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".py" {
			return err
		}
		b, err := fs.ReadFile(m.Files, p)
		if err != nil {
			return err
		}
		name := m.Name + "." + strings.ReplaceAll(strings.TrimSuffix(p, ".py"), "/", ".")
		parent, init := strings.CutSuffix(name, ".__init__")
		switch {
		case init && parent == m.Name:
			if m.Source == "" {
				out[0].Source = string(b)
			}
		default:
			out = append(out, moduleConfig{Name: parent, Source: string(b), Package: init})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("python: reading module %s: %w", m.Name, err)
	}
	return out, nil
}
