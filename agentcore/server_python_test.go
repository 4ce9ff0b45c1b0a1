package agentcore_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python/embedded"
)

// pythonWith runs a Python program with packages installed, and returns what
// it prints.
func pythonWith(t *testing.T, requirements, env []string, script string) []byte {
	t.Helper()
	m := pyenv.Manager{Embedded: embedded.Distribution()}
	py, err := m.Make(t.Context(), requirements, func(s string) { t.Log(s) })
	if err != nil {
		unavailable(t, strings.Join(requirements, " "), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, py.Exe, "-B", filepath.Join("testdata", "clients", script))
	cmd.Env = append(append(os.Environ(), "PYTHONPATH="+strings.Join(py.Path, string(os.PathListSeparator)), "AWS_EC2_METADATA_DISABLED=true"), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out
}

// Cases 56 and 57: programs written on AWS's own Python SDK need an endpoint,
// and nothing else.
func TestProgramsOfThePythonSDK(t *testing.T) {
	t.Parallel()
	server := newTestServer(t, agentcore.ServerConfig{Options: analysis})
	env := []string{"BEDROCK_AGENTCORE_DP_ENDPOINT=" + server.URL, "AWS_ACCESS_KEY_ID=" + server.key.ID, "AWS_SECRET_ACCESS_KEY=" + server.key.Secret}
	var got struct {
		Figures, Files  []string
		Text            string
		Binary, Cleared bool
	}
	if err := json.Unmarshal(pythonWith(t, []string{"bedrock-agentcore==1.25.0"}, env, "agent.py"), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Figures) != 1 || got.Figures[0] != "iVBORw0KGgo" || got.Text != "x,y\n1,2\n" || !got.Binary || !got.Cleared ||
		strings.Join(got.Files, " ") != "b.bin data" {
		t.Errorf("%+v", got)
	}
	if n := server.sessions(); n != 0 {
		t.Errorf("%d sessions are left open", n)
	}
}

var ranTests = regexp.MustCompile(`(?m)^Ran [1-9]\d* tests? in`)

// TestSessionModule runs the tests of the Python that sessions import, in the
// embedded CPython and in the one on PATH.
func TestSessionModule(t *testing.T) {
	t.Parallel()
	m := pyenv.Manager{Embedded: embedded.Distribution()}
	py, err := m.Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, exe := range map[string]string{"embedded": py.Exe, "path": "python3"} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(exe); err != nil {
				t.Skip("there is no other Python on this machine")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, exe, "-B", filepath.Join("testdata", "test_codeinterpreter.py")).CombinedOutput()
			if err != nil || !ranTests.Match(out) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
