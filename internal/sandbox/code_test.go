//go:build linux

package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCompiledCodeIsKept: a second start takes the code from the file, and a
// damaged one is made anew.
func TestCompiledCodeIsKept(t *testing.T) {
	dir := t.TempDir()
	works := func() {
		t.Helper()
		b := fork(t, start(t, Config{CodeDir: dir}), SessionConfig{})
		if got := b.run(t, "print(6*7)"); got != "42\n" {
			t.Errorf("got %q", got)
		}
	}
	works()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	before, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	works()
	if after, err := os.Stat(files[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("the code was compiled again: %v", err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, good[:len(good)/2], append(good[:4:4], "nonsense"...), []byte("another interpreter's")} {
		if err := os.WriteFile(files[0], damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		works()
		if mended, err := os.ReadFile(files[0]); err != nil || len(mended) != len(good) {
			t.Errorf("a file of %d bytes was left at %d: %v", len(damaged), len(mended), err)
		}
	}
	works()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	works() // it only saves time
}
