// Package pythonsdk runs the Python SDK of Strands in an environment of its
// own, to compare with and to take turns with.
package pythonsdk

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python/embedded"
)

// Version is that of strands-agents on the package index.
const Version = "1.62.0"

// SDK is an interpreter that can import strands.
type SDK struct{ python *pyenv.Interpreter }

// Install makes the environment in the cache folder, the first time. progress
// is told what takes long; nil = nobody is.
func Install(ctx context.Context, progress func(string)) (*SDK, error) {
	m := &pyenv.Manager{Embedded: embedded.Distribution()}
	python, err := m.Make(ctx, []string{"strands-agents==" + Version}, progress)
	if err != nil {
		return nil, err
	}
	return &SDK{python}, nil
}

// Command runs Python with these arguments and an environment without the
// credentials and settings of the caller; env is added.
func (s *SDK) Command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.python.Exe, append([]string{"-B"}, args...)...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "PYTHONPATH=" + strings.Join(s.python.Path, string(os.PathListSeparator)),
		"AWS_EC2_METADATA_DISABLED=true", "OTEL_SDK_DISABLED=true",
	}, env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// Need is Install for a test, which it skips when the SDK cannot be installed;
// where CI is set it fails.
func Need(t testing.TB) *SDK {
	t.Helper()
	s, err := Install(t.Context(), nil)
	if err == nil {
		return s
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("the Python SDK cannot be installed: %v", err)
	}
	t.Skipf("the Python SDK cannot be installed: %v", err)
	return nil
}
