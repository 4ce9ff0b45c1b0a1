package codeagent

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/strandsgo/strands/internal/pydecl"
	"github.com/strandsgo/strands/python"
)

// ModulesOf makes modules of the Python sources directly in fsys: of "roi.py"
// the module roi, of a folder with an "__init__.py" a package; folders without
// Python sources are left alone. It takes an embed.FS (embed folders with
// "all:", or Go leaves out the files that begin with an underscore), fs.Sub of
// one, or os.DirFS.
func ModulesOf(fsys fs.FS) ([]python.Module, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("looking for Python modules: %w", err)
	}
	var modules []python.Module
	for _, e := range entries {
		m, err := moduleOf(fsys, e)
		if err != nil {
			return nil, fmt.Errorf("reading the Python module %s: %w", e.Name(), err)
		}
		if m.Name != "" {
			modules = append(modules, m)
		}
	}
	if len(modules) == 0 {
		return nil, errors.New("there are no Python modules in this folder: put NAME.py or NAME/__init__.py into it")
	}
	return modules, nil
}

// moduleOf returns the module that e is, or none.
func moduleOf(fsys fs.FS, e fs.DirEntry) (python.Module, error) {
	if !e.IsDir() {
		name, isSource := strings.CutSuffix(e.Name(), ".py")
		if !isSource {
			return python.Module{}, nil
		}
		b, err := fs.ReadFile(fsys, e.Name())
		return python.Module{Name: name, Source: string(b)}, err
	}
	sub, err := fs.Sub(fsys, e.Name())
	if err != nil {
		return python.Module{}, err
	}
	sources, err := fs.Glob(sub, "*.py")
	switch {
	case err != nil || len(sources) == 0:
		return python.Module{}, err
	case !slices.Contains(sources, "__init__.py"):
		return python.Module{}, errors.New("the folder has no __init__.py; add one, and embed the folder with the all: prefix")
	}
	return python.Module{Name: e.Name(), Files: sub}, nil
}

// source is a module as New sees it: read, not run.
type source struct {
	name  string
	files fs.FS // of the package; nil = a module without
	decl  *pydecl.Module
}

// readModule reads m. The error is that of m.Files.
func readModule(m python.Module) (*source, error) {
	text := m.Source
	if text == "" && m.Files != nil {
		b, err := fs.ReadFile(m.Files, "__init__.py")
		if err != nil {
			return nil, fmt.Errorf("reading the package %s: %w", m.Name, err)
		}
		text = string(b)
	}
	return &source{m.Name, m.Files, pydecl.Parse(text)}, nil
}

// public returns what the module puts into the snippets: its own functions and
// classes, and those it passes on from modules of its package.
func (s *source) public() []pydecl.Decl { return s.exports(s.decl, "", nil) }

// exports returns the public declarations of m, which lies in folder dir of
// the package. Seen are the files being read, against circles.
func (s *source) exports(m *pydecl.Module, dir string, seen []string) []pydecl.Decl {
	decls := m.Public()
	for _, imp := range m.Imports {
		if imp.Depth > 0 || !m.HasAll || imp.Name != "*" && !m.IsPublic(imp.As) {
			continue
		}
		from, fromDir, file := s.resolve(imp, dir)
		if from == nil || slices.Contains(seen, file) {
			continue
		}
		offered := s.exports(from, fromDir, append(seen, file))
		if imp.Name != "*" {
			offered = renamed(append(offered, from.Decls...), imp.Name, imp.As)
		}
		for _, d := range offered {
			if m.IsPublic(d.Name) && !slices.ContainsFunc(decls, func(e pydecl.Decl) bool { return e.Name == d.Name }) {
				decls = append(decls, d)
			}
		}
	}
	return decls
}

// renamed returns the first of decls called name, under the name as.
func renamed(decls []pydecl.Decl, name, as string) []pydecl.Decl {
	i := slices.IndexFunc(decls, func(d pydecl.Decl) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	d := decls[i]
	d.Name = as
	return []pydecl.Decl{d}
}

// resolve finds the file of the package that imp imports from, when it is one.
func (s *source) resolve(imp pydecl.Import, dir string) (m *pydecl.Module, in, file string) {
	if s.files == nil {
		return nil, "", ""
	}
	rel := imp.Module
	switch {
	case imp.Level > 0:
		for range imp.Level - 1 {
			if dir == "" {
				return nil, "", ""
			}
			dir = strings.TrimPrefix(path.Dir("/"+dir), "/")
		}
	case imp.Module == s.name:
		rel, dir = "", ""
	case strings.HasPrefix(imp.Module, s.name+"."):
		rel, dir = imp.Module[len(s.name)+1:], ""
	default:
		return nil, "", ""
	}
	base := path.Join(dir, strings.ReplaceAll(rel, ".", "/"))
	for _, c := range []struct{ file, in string }{{base + ".py", path.Dir(base)}, {path.Join(base, "__init__.py"), base}} {
		if b, err := fs.ReadFile(s.files, c.file); err == nil {
			return pydecl.Parse(string(b)), strings.TrimPrefix(c.in, "."), c.file
		}
	}
	return nil, "", ""
}

// stub documents the module: its docstring and its public declarations.
func (s *source) stub() string {
	var b strings.Builder
	if s.decl.Doc != "" {
		b.WriteString(pydecl.Docstring(s.decl.Doc, "") + "\n")
	}
	b.WriteString(pydecl.Stub(s.public()))
	return strings.TrimRight(b.String(), "\n")
}
