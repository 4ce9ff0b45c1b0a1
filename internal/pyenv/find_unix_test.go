//go:build unix

package pyenv_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/strandsgo/strands/internal/pyenv"
)

// script writes an executable shell script and returns its path.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const answerOf38 = `echo '{"implementation":"cpython","version":"3.8.1","exe":"/usr/bin/python3.8","prefix":"/usr","path":["/usr/lib"]}'`

func TestShimIsResolved(t *testing.T) {
	real, err := manager(t).Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	shim := script(t, t.TempDir(), "python3", `exec "`+real.Exe+`" "$@"`)
	for _, m := range []pyenv.Manager{{Dir: t.TempDir(), Python: shim}, {Dir: t.TempDir()}} {
		if m.Python == "" {
			t.Setenv(pyenv.PythonVariable, shim)
		}
		in, err := m.Find(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if in.Exe != real.Exe || in.Prefix != real.Prefix {
			t.Errorf("found %s in %s, want %s in %s", in.Exe, in.Prefix, real.Exe, real.Prefix)
		}
	}
}

// What a shim runs may change while the shim does not.
func TestShimIsAskedEachTime(t *testing.T) {
	real, err := manager(t).Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	if err := os.Symlink(real.Exe, link); err != nil {
		t.Fatal(err)
	}
	m := &pyenv.Manager{Dir: t.TempDir(), Python: script(t, dir, "python3", `exec "`+link+`" "$@"`)}
	if _, err := m.Find(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(script(t, dir, "old", answerOf38), link); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Find(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "Python 3.8.1") {
		t.Errorf("error %v, want one about Python 3.8.1", err)
	}
}

func TestSearchSkipsWhatIsTooOld(t *testing.T) {
	real, err := manager(t).Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	old, broken, good := t.TempDir(), t.TempDir(), t.TempDir()
	script(t, old, "python3", answerOf38)
	script(t, broken, "python3", "echo no Python today >&2; exit 7")
	t.Setenv(pyenv.PythonVariable, "")
	t.Setenv("PATH", old+":"+broken)
	m := &pyenv.Manager{Dir: t.TempDir()}
	_, err = m.Find(t.Context(), nil)
	wantError(t, err, "is Python 3.8.1", "no Python today", pyenv.PythonVariable)

	if err := os.Symlink(real.Exe, filepath.Join(good, "python")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", old+":"+broken+":"+good)
	in, err := m.Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if in.Exe != real.Exe {
		t.Errorf("found %s, want %s", in.Exe, real.Exe)
	}
}

func TestChosenPythonThatDoesNotServe(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ body, want string }{
		"old":   {answerOf38, "is Python 3.8.1; 3.10 or newer is needed"},
		"pypy":  {strings.Replace(answerOf38, "cpython", "pypy", 1), "is pypy; CPython 3.10"},
		"mute":  {"exit 0", "is not a Python interpreter"},
		"fails": {"echo first >&2; echo last words >&2; exit 3", "last words"},
	} {
		m := &pyenv.Manager{Dir: dir, Python: script(t, dir, name, c.body)}
		_, err := m.Find(t.Context(), nil)
		wantError(t, err, c.want, filepath.Join(dir, name))
	}
	m := &pyenv.Manager{Dir: dir, Python: filepath.Join(dir, "missing")}
	_, err := m.Find(t.Context(), nil)
	wantError(t, err, "cannot be run", "missing")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error of more than one line: %q", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}

func TestCacheThatCannotBeUsed(t *testing.T) {
	t.Setenv(pyenv.PythonVariable, "")
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	anyone := filepath.Join(base, "anyone")
	if err := os.Mkdir(anyone, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(anyone, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir, why := range map[string]string{
		filepath.Join(file, "below"): "cannot be written",
		file:                         "cannot be written",
		anyone:                       "can be written by every user",
		"/proc/nothing/here":         "cannot be written",
	} {
		t.Setenv(pyenv.CacheVariable, dir)
		m := &pyenv.Manager{Embedded: manager(t).Embedded}
		_, err := m.Find(t.Context(), nil)
		wantError(t, err, why, dir, pyenv.CacheVariable)
	}
}

// What lies in a folder that everybody can write is not even read.
func TestCacheThatOthersCanWriteIsNotRead(t *testing.T) {
	m := manager(t)
	if err := os.Chmod(m.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(m.Dir, 0o755)
	_, err := m.Find(t.Context(), nil)
	wantError(t, err, "can be written by every user", pyenv.CacheVariable)
}

// uv is preferred to pip. This one shows what it is called with; what it says
// is not to be shown as it is.
func TestUvIsAskedFirst(t *testing.T) {
	m := manager(t)
	bin := t.TempDir()
	script(t, bin, "uv", `echo "$@" > "`+bin+`/args"
echo "Resolved 1 package from http://me:hunter2@127.0.0.1/simple"
echo "error: Failed to fetch: http://me:hunter2@127.0.0.1/simple/" >&2
exit 2`)
	t.Setenv("PATH", bin)
	var said strings.Builder
	_, err := m.Make(t.Context(), []string{"tiny >= 1"}, func(line string) { said.WriteString(line + "\n") })
	wantError(t, err, "installing tiny: uv failed (Failed to fetch", "UV_DEFAULT_INDEX")
	if !strings.Contains(said.String(), "resolved 1 package") || strings.Contains(said.String()+err.Error(), "hunter2") {
		t.Errorf("progress %q, error %q", said.String(), err)
	}
	args, err := os.ReadFile(filepath.Join(bin, "args"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pip install --python ", "--only-binary :all:", "--link-mode copy", " tiny>=1\n"} {
		if !strings.Contains(string(args), want) {
			t.Errorf("uv was called with %q, not with %q", args, want)
		}
	}
	if left := leftovers(t, m.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A Python that is chosen needs no cache.
func TestChosenPythonWithoutCache(t *testing.T) {
	real, err := manager(t).Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	anyone := t.TempDir()
	if err := os.Chmod(anyone, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/proc/nothing/here", anyone} {
		m := &pyenv.Manager{Dir: dir, Python: real.Exe}
		if in, err := m.Find(t.Context(), nil); err != nil || in.Exe != real.Exe {
			t.Errorf("%s: found %v, %v", dir, in, err)
		}
	}
	if left, err := os.ReadDir(anyone); err != nil || len(left) > 0 {
		t.Errorf("written where others can write: %v, %v", left, err)
	}
}

func TestReachable(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(filepath.Dir(base), 0o755); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(base, "home", "cache")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := pyenv.Reachable(inner); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(filepath.Join(base, "home"), 0o700); err != nil {
		t.Fatal(err)
	}
	wantError(t, pyenv.Reachable(inner), filepath.Join(base, "home"), "0700", pyenv.CacheVariable)
}

// Where there is no glibc the kernel finds the interpreter and not the loader
// that it names, and says of the interpreter that it does not exist.
func TestWithoutItsLoader(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the embedded interpreter names a loader on Linux only")
	}
	dist := copied(unpacked(t))
	extract := dist.Extract
	dist.Extract = func(dir string) (string, error) {
		exe, err := extract(dir)
		if err != nil {
			return "", err
		}
		real, err := filepath.EvalSymlinks(exe)
		if err != nil {
			return "", err
		}
		binary, err := os.ReadFile(real)
		if err != nil {
			return "", err
		}
		return exe, os.WriteFile(real, bytes.Replace(binary, []byte("/ld-linux"), []byte("/ld-other"), 1), 0o755)
	}
	m := &pyenv.Manager{Dir: t.TempDir(), Embedded: dist}
	_, err := m.Find(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "glibc") || !strings.Contains(err.Error(), pyenv.PythonVariable) {
		t.Errorf("%v does not say what is missing and what to do", err)
	}
}
