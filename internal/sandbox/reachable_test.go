//go:build linux

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInterpreterInAClosedHome: where sessions see the host's paths, one that
// their user cannot get to is refused in words before anything starts. In a
// root of their own it works.
func TestInterpreterInAClosedHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("sessions of an ordinary user run as that user, who can enter his home")
	}
	home, err := os.MkdirTemp("/var/tmp", "sandbox-home-*") // mode 0700
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	site := filepath.Join(home, "env", "site-packages")
	if err := errors.Join(os.MkdirAll(site, 0o755), os.WriteFile(filepath.Join(site, "mine.py"), []byte("x = 7"), 0o644)); err != nil {
		t.Fatal(err)
	}
	py := python(t)
	py.Path = append(slices.Clone(py.Path), site)
	py.Roots = append(slices.Clone(py.Roots), filepath.Dir(site))
	b := fork(t, start(t, Config{Python: py, Level: LevelNamespaces}), SessionConfig{})
	if got := b.run(t, "import mine; print(mine.x)"); got != "7\n" {
		t.Errorf("at %s: %q", LevelNamespaces, got)
	}
	needs(t, LevelFiltered)
	_, err = Start(t.Context(), Config{Python: py, Worker: testWorker, Level: LevelFiltered})
	if _, ok := errors.AsType[*LevelError](err); !ok {
		t.Fatalf("at %s: %v", LevelFiltered, err)
	}
	for _, want := range []string{home, "0700", "STRANDS_PYTHON", "STRANDS_CACHE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q misses %q", err, want)
		}
	}
}
