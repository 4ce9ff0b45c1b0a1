package command

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded" // so that nothing has to be installed
)

// backend makes the interpreter the flags ask for.
func (f *pythonFlags) backend(errOut io.Writer) python.Interpreter {
	logger := slogTo(errOut)
	switch f.interpreter.value {
	case "exec":
		return &python.Exec{Logger: logger}
	case "agentcore":
		return f.remote.backend(logger)
	}
	return &python.Sandboxed{
		Level: python.Level(f.isolation.level), Require: f.isolation.demand, Processes: f.processes, Logger: logger,
	}
}

func slogTo(errOut io.Writer) *slog.Logger { return slog.New(warnings{errOut}) }

// saving is an interpreter whose sessions save the files that code wrote, so
// that an agent's user gets them too.
type saving struct {
	python.Interpreter
	folder *show.Folder
	errOut io.Writer
}

// Open implements python.Interpreter.
func (i saving) Open(ctx context.Context, o python.Options) (python.Session, error) {
	s, err := i.Interpreter.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &savingSession{s, i}, nil
}

// Unguarded tells what the prompt may promise.
func (i saving) Unguarded() bool {
	switch backend := i.Interpreter.(type) {
	case *python.Exec:
		return true
	case interface{ Unguarded() bool }:
		return backend.Unguarded()
	}
	return false
}

type savingSession struct {
	python.Session
	to saving
}

// Exec implements python.Session. Files can be read only when the snippet is
// over, so what is said of them is held back until then.
func (s *savingSession) Exec(ctx context.Context, code string) iter.Seq2[python.Output, error] {
	return func(yield func(python.Output, error) bool) {
		var res *python.Result
		for o, err := range s.Session.Exec(ctx, code) {
			switch {
			case err == nil && o.Result != nil:
				res = o.Result
			case err == nil && o.File != nil:
			case !yield(o, err):
				return
			}
		}
		if res == nil {
			return
		}
		for _, f := range res.Files {
			s.save(ctx, f.Name)
			if !yield(python.Output{File: &f}, nil) {
				return
			}
		}
		yield(python.Output{Result: res}, nil)
	}
}

// save is not the code's business, so an error goes to the user only.
func (s *savingSession) save(ctx context.Context, name string) {
	filer, ok := s.Session.(python.Filer)
	if !ok {
		return
	}
	if _, err := saveFile(ctx, filer, s.to.folder, name); err != nil {
		fmt.Fprintln(s.to.errOut, "codeagent: warning:", oneLine(err))
	}
}
