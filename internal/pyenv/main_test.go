package pyenv_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python/embedded"
)

// childVariable makes the test binary a program that finds or makes an
// environment: its value is the JSON of a childTask.
const childVariable = "PYENV_TEST_CHILD"

// childTask is what a child process does. It prints the interpreter as JSON.
type childTask struct {
	Cache        string
	Requirements []string // none = Find
	From         string   // what unpacked returns
	Hang         bool     // print "unpacked" instead of returning from Extract
	OpenToMe     bool     // work under umask 077
}

var shared struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		if err := runChild(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func runChild(text string) error {
	var task childTask
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return err
	}
	if task.OpenToMe {
		restrictUmask()
	}
	dist := embedded.Distribution()
	if task.From != "" {
		dist = copied(task.From)
	}
	if task.Hang {
		extract := dist.Extract
		dist.Extract = func(dir string) (string, error) {
			if _, err := extract(dir); err != nil {
				return "", err
			}
			fmt.Println("unpacked")
			_, _ = io.ReadAll(os.Stdin)
			return "", io.ErrUnexpectedEOF
		}
	}
	m := &pyenv.Manager{Dir: task.Cache, Embedded: dist}
	in, err := m.Make(context.Background(), task.Requirements, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(in)
}

func child(t *testing.T, task childTask) *exec.Cmd {
	t.Helper()
	data, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(data))
	return cmd
}

// sharedCache returns a cache folder in which the embedded Python is unpacked
// already: once for all tests of the binary.
func sharedCache(t *testing.T) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "pyenv-test-"); shared.err != nil {
			return
		}
		m := &pyenv.Manager{Dir: shared.dir, Embedded: embedded.Distribution()}
		_, shared.err = m.Find(context.Background(), nil)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.dir
}

// unpacked returns the folder of the embedded Python in the shared cache.
func unpacked(t *testing.T) string {
	t.Helper()
	in, err := manager(t).Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return in.Prefix
}

// copied is the distribution in the folder from: unpacking it is copying, in a
// tenth of the time (a hundredth under the race detector).
func copied(from string) *pyenv.Distribution {
	return &pyenv.Distribution{Name: "copy", Extract: func(dir string) (string, error) {
		home := filepath.Join(dir, "cpython")
		exe := filepath.Join(home, "bin", "python3")
		if runtime.GOOS == "windows" {
			exe = filepath.Join(home, "python.exe")
		}
		return exe, os.CopyFS(home, os.DirFS(from))
	}}
}

// manager works on the shared cache with the embedded Python.
func manager(t *testing.T) *pyenv.Manager {
	t.Helper()
	return &pyenv.Manager{Dir: sharedCache(t), Embedded: embedded.Distribution()}
}

// offline cuts pip off from every index and every setting of this machine,
// but for the wheels of the folder links.
func offline(t *testing.T, links string) {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // no uv
	for _, name := range []string{"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	t.Setenv("PIP_NO_CACHE_DIR", "1")
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", links)
}

// wheel writes a pure Python wheel into dir and returns its path. The module
// has a VERSION; the package brings a script.
func wheel(t *testing.T, dir, name, version string, requires ...string) string {
	t.Helper()
	path := filepath.Join(dir, name+"-"+version+"-py3-none-any.whl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info := name + "-" + version + ".dist-info/"
	metadata := "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\nProvides-Extra: more\n"
	for _, r := range requires {
		metadata += "Requires-Dist: " + r + "\n"
	}
	w := zip.NewWriter(file)
	var record strings.Builder
	for _, f := range [][2]string{
		{name + "/__init__.py", "VERSION = '" + version + "'\n\n\ndef main():\n    print(VERSION)\n"},
		{name + "/template.py", "this is {{no}} Python\n"},
		{info + "METADATA", metadata},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "entry_points.txt", "[console_scripts]\n" + name + " = " + name + ":main\n"},
	} {
		part, err := w.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, f[1]); err != nil {
			t.Fatal(err)
		}
		record.WriteString(f[0] + ",,\n")
	}
	part, err := w.Create(info + "RECORD")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, record.String()+info+"RECORD,,\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// run starts the interpreter as a worker is started and returns what code
// prints.
func run(t *testing.T, in *pyenv.Interpreter, code string) string {
	t.Helper()
	path, err := json.Marshal(in.Path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), in.Exe, "-I", "-S", "-B", "-c", "import sys; sys.path[:] = "+string(path)+"\n"+code)
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// leftovers returns the temporary folders below a cache.
func leftovers(t *testing.T, cache string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, "*", "*.tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
