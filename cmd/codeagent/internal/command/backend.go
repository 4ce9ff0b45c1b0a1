package command

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
)

// backend makes the interpreter the flags ask for.
func (f *pythonFlags) backend(errOut io.Writer) python.Interpreter {
	if f.interpreter.value == "exec" {
		return &python.Exec{Logger: slog.New(warnings{errOut})}
	}
	return noSandbox{}
}

// noSandbox refuses: nothing runs unconfined that was not asked to.
type noSandbox struct{}

func (noSandbox) Open(context.Context, python.Options) (python.Session, error) {
	return nil, errors.New("there is no sandbox in this build yet; --interpreter exec runs the code unconfined")
}
func (noSandbox) Close() error { return nil }

func findModel(context.Context, string) (strands.Model, error) { return nil, noModel(nil) }

func saveSessionFiles(context.Context, *strands.Session, show.Folder, io.Writer) error { return nil }
