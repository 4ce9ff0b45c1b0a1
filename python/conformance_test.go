package python_test

import (
	"errors"
	"os"
	"testing"

	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
	"github.com/strandsgo/strands/python/pythontest"
)

func TestExec(t *testing.T) {
	pythontest.Test(t, func(*testing.T) python.Interpreter {
		return &python.Exec{Logger: quiet()}
	}, pythontest.Config{Processes: true})
}

func TestSandboxed(t *testing.T) {
	pythontest.Test(t, func(*testing.T) python.Interpreter {
		return &python.Sandboxed{Logger: quiet()}
	}, pythontest.Config{Processes: true, Guard: true, Figures: figures(t), Forks: forks(t)})
}

// forks says whether this machine's sessions can be forked.
func forks(t *testing.T) bool {
	b := &python.Sandboxed{Logger: quiet()}
	defer b.Close()
	is, err := b.Isolation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return is.Forks == "asked"
}

// figures are requirements for pictures; none on a developer's machine without
// a package index.
func figures(t *testing.T) []string {
	needs := []string{"matplotlib>=3.8"}
	i := &python.Exec{Logger: quiet()}
	defer i.Close()
	_, err := i.Open(t.Context(), python.Options{Requirements: needs})
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Logf("figures are not tested: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return needs
}
