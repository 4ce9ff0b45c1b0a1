// Package suite has the tasks that bench/twin measures with: questions about
// generated data, and about a catalogue of functions. The right answers are
// computed by the generators, and never by what an agent does.
package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/strandsgo/strands/codeagent"
)

// Suite is a list of tasks, by what they are about.
type Suite struct {
	Name    string
	Sets    []*Set
	Skipped []Skipped

	closers []func() error
}

// Skipped is a set, or a task, that cannot be run here.
type Skipped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Set is what some tasks are about: databases and files, or functions.
type Set struct {
	Name     string
	Tasks    []Task
	Toolkits []codeagent.Toolkit // for both arms; safe for concurrent use

	closers []func() error
}

// Task is a question with one right answer.
type Task struct {
	ID       string // unique in the suite: "shop/revenue"
	Set      string
	Question string
	// Check says whether an answer is right, and why not. An error means that
	// it could not be checked.
	Check func(ctx context.Context, answer string) (ok bool, why string, err error)
}

// OnClose adds something to be done by Close.
func (s *Set) OnClose(f func() error) { s.closers = append(s.closers, f) }

// OnClose adds something to be done by Close, after the sets are closed.
func (s *Suite) OnClose(f func() error) { s.closers = append(s.closers, f) }

// Tasks are those of all sets, in order.
func (s *Suite) Tasks() []Task {
	var all []Task
	for _, set := range s.Sets {
		all = append(all, set.Tasks...)
	}
	return all
}

// Set finds the set of a task; nil when it is of another suite.
func (s *Suite) Set(name string) *Set {
	for _, set := range s.Sets {
		if set.Name == name {
			return set
		}
	}
	return nil
}

// Close closes the stores.
func (s *Suite) Close() error {
	var errs []error
	for _, set := range s.Sets {
		for _, f := range set.closers {
			errs = append(errs, f())
		}
		set.closers = nil
	}
	for _, f := range s.closers {
		errs = append(errs, f())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Options say how to make a suite.
type Options struct {
	Seed uint64 // of the generators
	// Scale is the size of the tables: 1 = a million rows in the largest of
	// each dataset.
	Scale float64
	Dir   string // where the stores are written; it must exist
	// Postgres is the address of a server in which databases may be made, for
	// the tables that are in SQLite otherwise. "" = none.
	Postgres string
	// Functions is how large the catalogue is; 0 = 500.
	Functions int
	// Want chooses tasks; nil = all. Of datasets without any, nothing is
	// written.
	Want func(id string) bool
}

// Open makes one of our own suites, "data" or "catalogue".
func Open(ctx context.Context, name string, o Options) (*Suite, error) {
	switch name {
	case "data":
		return openData(ctx, o)
	case "catalogue":
		return openCatalogue(o)
	}
	return nil, fmt.Errorf("there is no suite %q; take data, catalogue or a folder", name)
}

// Keep leaves out the tasks that keep is false for.
func (s *Suite) Keep(keep func(Task) bool) {
	for _, set := range s.Sets {
		set.Tasks = slices.DeleteFunc(set.Tasks, func(t Task) bool { return !keep(t) })
	}
}
