package pyenv_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python/embedded"
)

func TestEmbeddedPythonRuns(t *testing.T) {
	in, err := manager(t).Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// What C extensions of the standard library need is there, and everything is
	// compiled under its final name.
	got := run(t, in, `
import ctypes, decimal, hashlib, importlib.util, json, lzma, os, sqlite3, ssl, sys, venv, zlib
assert os.path.exists(json.__cached__ if hasattr(json, "__cached__") else importlib.util.cache_from_source(json.__file__))
assert json.dumps.__code__.co_filename == json.__file__, json.dumps.__code__.co_filename
print(sys.version.split()[0], sys.prefix, sqlite3.connect(":memory:").execute("select 6*7").fetchone()[0])`)
	if want := in.Version + " " + in.Prefix + " 42"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.HasPrefix(in.Version, "3.14.") || in.Prefix != in.Base || in.Hash == "" {
		t.Errorf("interpreter: %+v", in)
	}
	if info, err := os.Lstat(in.Exe); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%s is not the binary itself (%v)", in.Exe, err)
	}
	for _, path := range append([]string{in.Exe}, in.Path...) {
		if !slices.ContainsFunc(in.Roots, func(root string) bool {
			return path == root || strings.HasPrefix(path, root+string(filepath.Separator))
		}) {
			t.Errorf("%s is below none of the roots %v", path, in.Roots)
		}
	}
}

// How fast that is says BenchmarkFind.
func TestEmbeddedIsUnpackedOnce(t *testing.T) {
	m := manager(t)
	m.Embedded.Extract = func(string) (string, error) { t.Error("unpacked again"); return "", os.ErrInvalid }
	if _, err := m.Find(t.Context(), func(line string) { t.Error("progress: " + line) }); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkFind is the share of Find in the start of every program.
func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	m := &pyenv.Manager{Dir: dir, Embedded: embedded.Distribution()}
	if _, err := m.Find(b.Context(), nil); err != nil { // unpacks
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Find(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// Four at once in a fresh folder: one unpacks, the others wait for it.
func TestOneUnpacksOthersWait(t *testing.T) {
	var times atomic.Int32
	from, dir := unpacked(t), t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			dist := copied(from)
			extract := dist.Extract
			dist.Extract = func(dir string) (string, error) { times.Add(1); return extract(dir) }
			m := &pyenv.Manager{Dir: dir, Embedded: dist}
			if in, err := m.Find(t.Context(), nil); err != nil {
				t.Error(err)
			} else if _, err := os.Stat(in.Exe); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := times.Load(); n != 1 {
		t.Errorf("unpacked %d times", n)
	}
}

// A program killed while it unpacks leaves nothing that looks complete, and
// the next one cleans up. The next one here works under umask 077, which must
// not keep a session of another user id out.
func TestKilledWhileUnpacking(t *testing.T) {
	from, dir := unpacked(t), t.TempDir()
	killed := child(t, childTask{Cache: dir, From: from, Hang: true})
	out, err := killed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := killed.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "unpacked\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	if len(leftovers(t, dir)) == 0 {
		t.Fatal("the child was not in the middle of unpacking")
	}

	text, err := child(t, childTask{Cache: dir, From: from, OpenToMe: true}).Output()
	if err != nil {
		t.Fatal(err)
	}
	var in pyenv.Interpreter
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	if got := run(t, &in, "print(2**10)"); got != "1024" {
		t.Errorf("got %q", got)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if runtime.GOOS != "windows" {
		closed(t, filepath.Join(dir, "python"))
	}
}

// closed reports what other users could not read below dir.
func closed(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink != 0 || strings.HasSuffix(path, ".lock") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o004 == 0 || d.IsDir() && mode&0o001 == 0 || mode&0o022 != 0 {
			t.Errorf("%s has mode %04o", path, mode)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
