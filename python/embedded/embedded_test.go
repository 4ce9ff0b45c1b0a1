//go:build (linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64)

package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReleaseIsThatOfGoMod(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/kluctl/go-embed-python v0.0.0-" + release; !strings.Contains(string(mod), want+"\n") && !strings.Contains(string(mod), want+" ") {
		t.Errorf("go.mod does not require %q: set release to the version it requires", want)
	}
}

// The embedding module unpacks pip below the system's temp folder, where
// others may have prepared files: nothing of it may be used or left there.
func TestPipStaysOutOfTheTempFolder(t *testing.T) {
	temp, dir := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	path, err := Distribution().Pip(dir)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(path) != dir {
		t.Errorf("pip is in %s, want it below %s", path, dir)
	}
	if _, err := os.Stat(filepath.Join(path, "pip", "__main__.py")); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temp folder: %v, %v", left, err)
	}
}

func TestExtractGivesTheBinary(t *testing.T) {
	dir := t.TempDir()
	exe, err := Distribution().Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(exe); err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(exe, dir) {
		t.Errorf("%s: %v, %v", exe, info, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v; want the distribution only", left, err)
	}
}
