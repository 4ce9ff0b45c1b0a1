package python_test

import (
	"log/slog"
	"testing"

	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
	"github.com/strandsgo/strands/python/pythontest"
)

func TestExec(t *testing.T) {
	pythontest.Test(t, func(*testing.T) python.Interpreter {
		return &python.Exec{Logger: slog.New(slog.DiscardHandler)}
	}, pythontest.Config{Processes: true})
}

func TestSandboxed(t *testing.T) {
	pythontest.Test(t, func(*testing.T) python.Interpreter {
		return &python.Sandboxed{Logger: slog.New(slog.DiscardHandler)}
	}, pythontest.Config{Processes: true, Guard: true})
}
