//go:build linux

package worker_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python/embedded"
)

// TestPython runs the worker's own tests, tests/test_*.py, in the embedded
// CPython and in the one of this machine when there is another.
func TestPython(t *testing.T) {
	for name, exe := range interpreters(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob("tests/test_*.py")
			if err != nil || len(files) == 0 {
				t.Fatalf("no tests: %v", err)
			}
			for _, file := range files {
				module := strings.TrimSuffix(filepath.Base(file), ".py")
				t.Run(module, func(t *testing.T) {
					t.Parallel()
					unittest(t, exe, module)
				})
			}
		})
	}
}

var ran = regexp.MustCompile(`(?m)^Ran [1-9]\d* tests? in`)

func unittest(t *testing.T, exe, module string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-B", "-m", "unittest", module)
	cmd.Dir = "tests"
	cmd.Env = append(os.Environ(), "PYTHONFAULTHANDLER=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers with it
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%s -m unittest %s: %v\n%s", exe, module, err, text)
	}
	if !ran.MatchString(text) || strings.Contains(text, "skipped=") {
		t.Errorf("not every test of %s ran:\n%s", module, text)
	}
}

// interpreters finds what to test with: name -> executable.
func interpreters(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	m := pyenv.Manager{Embedded: embedded.Distribution()}
	in, err := m.Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found["embedded "+in.Version] = in.Exe
	// What is on PATH may be a shim, and may be too old: ask it.
	const ask = "import json, sys; print(json.dumps([sys.executable, '%d.%d.%d' % sys.version_info[:3], sys.version_info >= (3, 10)]))"
	out, err := exec.CommandContext(t.Context(), "python3", "-I", "-c", ask).Output()
	if err != nil {
		t.Logf("no other python3 on this machine: %v", err)
		return found
	}
	var exe, version string
	var serves bool
	if err := json.Unmarshal(out, &[]any{&exe, &version, &serves}); err != nil {
		t.Fatalf("python3 says %s: %v", out, err)
	}
	if serves && version != in.Version {
		found["system "+version] = exe
	}
	return found
}
