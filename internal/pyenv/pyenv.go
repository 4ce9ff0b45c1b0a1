// Package pyenv finds a Python interpreter and makes environments with the
// packages a program requires.
package pyenv

import "context"

// Interpreter is a CPython that was found and asked what it is.
type Interpreter struct {
	Exe     string   // the real binary, never a shim
	Version string   // "3.14.6"
	Prefix  string   // of the environment
	Base    string   // of the installation it stands on
	Path    []string // sys.path with site-packages, without the current folder
	Roots   []string // folders and files that must be readable to run it: prefixes, stdlib, shared libraries
	Hash    string   // changes when the interpreter does
}

// Distribution is a CPython that a program carries inside itself.
type Distribution struct {
	Name string // "cpython-3.14.6-20260610"; part of the folder's name
	// Extract writes the distribution below dir and returns its python binary.
	Extract func(dir string) (exe string, err error)
	// Pip writes the pip package below dir and returns the folder to put on
	// sys.path; nil when there is none.
	Pip func(dir string) (path string, err error)
}

// Manager finds interpreters and makes environments below one cache folder.
// It is safe for concurrent use, and several programs may share the folder.
type Manager struct {
	Dir      string        // "" = $STRANDS_CACHE, else a folder that a confined session can read
	Python   string        // an interpreter to use; "" = $STRANDS_PYTHON, else Embedded, else PATH
	Embedded *Distribution // nil = none
}

// Find returns the interpreter without packages. progress is told what takes
// long; nil = nobody is.
func (m *Manager) Find(ctx context.Context, progress func(string)) (*Interpreter, error) {
	f, err := m.find(ctx, teller(progress))
	if err != nil {
		return nil, err
	}
	return &f.Interpreter, nil
}

// teller makes progress safe to call.
func teller(progress func(string)) func(string) {
	if progress == nil {
		return func(string) {}
	}
	return progress
}

// Make returns an interpreter that can import requirements, making its
// environment the first time.
func (m *Manager) Make(ctx context.Context, requirements []string, progress func(string)) (*Interpreter, error) {
	reqs, err := parseRequirements(requirements)
	if err != nil {
		return nil, err
	}
	tell := teller(progress)
	f, err := m.find(ctx, tell)
	if err != nil {
		return nil, err
	}
	if len(reqs) > 0 {
		if f, err = m.environment(ctx, f, reqs, tell); err != nil {
			return nil, err
		}
	}
	return &f.Interpreter, nil
}
