//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSession(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		b := fork(t, z, SessionConfig{})
		t.Log(b.Report())
		if got := b.Report().Level; got != level {
			t.Fatalf("level %q, want %q", got, level)
		}
		b.run(t, "x = 20")
		if got := b.run(t, "print(x + 1)"); got != "21\n" {
			t.Errorf("state is not kept: %q", got)
		}
		other := fork(t, z, SessionConfig{})
		if a, err := ask(other.Conn(), "x"); err != nil || !strings.HasPrefix(a.Err, "NameError") {
			t.Errorf("another session knows x: %+v, %v", a, err)
		}
	})
}

func TestProbe(t *testing.T) {
	r, err := Probe(t.Context(), python(t))
	if err != nil {
		t.Fatal(err)
	}
	want := start(t, Config{}).Report()
	if r.String() != want.String() || r.Level == LevelNone {
		t.Errorf("Probe: %s\nStart: %s", r, want)
	}
	gone := python(t)
	gone.Exe += "-gone"
	if r, err := Probe(t.Context(), gone); err == nil {
		t.Errorf("an interpreter that is not there: %s", r)
	}
}

func TestDemandsThatCannotBeMet(t *testing.T) {
	py := python(t)
	inTmp := py
	inTmp.Roots = append(slices.Clone(py.Roots), t.TempDir())
	whole := py
	whole.Roots = []string{"/"}
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no worker", Config{Python: py}, "Config.Python and Config.Worker are required"},
		{"no isolation", Config{Python: py, Worker: testWorker, Level: LevelNone}, "cannot be demanded"},
		{"programs at filtered", Config{Python: py, Worker: testWorker, Level: LevelFiltered, Processes: true}, "needs level namespaces"},
		{"hidden by the session's own folder", Config{Python: inTmp, Worker: testWorker, Level: LevelNamespaces}, "is a session's own"},
		{"everything", Config{Python: whole, Worker: testWorker}, "whole file system"},
		{"a worker that raises", Config{Python: py, Worker: Worker{Entry: "m:f", Modules: []WorkerModule{{"m", "import nothing_of_the_kind"}}}}, "nothing_of_the_kind"},
		{"a worker without its entry", Config{Python: py, Worker: Worker{Entry: "m:f", Modules: []WorkerModule{{"m", ""}}}}, "no attribute 'f'"},
	} {
		z, err := Start(t.Context(), c.cfg)
		if err == nil {
			z.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// shelf makes a folder of modules outside /tmp, which is a session's own.
func shelf(t *testing.T, modules map[string]string) Python {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "sandbox-modules-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, source := range modules {
		if err := os.WriteFile(filepath.Join(dir, name+".py"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	py := python(t)
	py.Path = append(slices.Clone(py.Path), dir)
	py.Roots = append(slices.Clone(py.Roots), dir)
	return py
}

func TestPreload(t *testing.T) {
	py := shelf(t, map[string]string{
		"fine":     "import tempfile, random\nopen(tempfile.mkstemp()[1], 'w').write('x')\nn = 1\n",
		"broken":   "import half\nraise RuntimeError('broken inside')",
		"half":     "",
		"threaded": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
	})
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Python: py, Level: level, Preload: []string{"broken", "fine", "threaded", "absent"}})
		got := strings.Join(z.Warnings(), "\n")
		for _, want := range []string{"broken is not preloaded: RuntimeError: broken inside", "threaded is not preloaded: it leaves threads", "absent is not preloaded: ModuleNotFoundError"} {
			if !strings.Contains(got, want) {
				t.Errorf("warnings %q, want %q", got, want)
			}
		}
		a, b := fork(t, z, SessionConfig{}), fork(t, z, SessionConfig{})
		if got := a.run(t, "import sys; print([m for m in ('fine', 'half', 'broken', 'threaded') if m in sys.modules])"); got != "['fine']\n" {
			t.Errorf("sessions have %s", got)
		}
		a.run(t, "import tempfile; tempfile.mkstemp()")
		draw := "import random; print(random.random())"
		if a.run(t, draw) == b.run(t, draw) {
			t.Error("two sessions draw the same random numbers")
		}
	})
}

// TestSweepsWhatKilledProgramsLeft makes what a program and a zygote killed at
// once leave behind.
func TestSweepsWhatKilledProgramsLeft(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "sandbox-sweep-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"strands-session-left", "strands-session-held", "other"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Join(path, "s-1", "work"), 0o755), os.WriteFile(filepath.Join(path, lockName), nil, 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	held, err := os.Open(filepath.Join(dir, "strands-session-held", lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	z := start(t, Config{Level: LevelFiltered, Dir: dir})
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "other"), filepath.Join(dir, "strands-session-held"), z.folder.path}
	slices.Sort(left)
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
	for _, group := range z.groups.folders() {
		dead := filepath.Join(filepath.Dir(group), cgroupPrefix()+"1-1-00000000") // process 1 began at another time
		if err := os.MkdirAll(filepath.Join(dead, "s1"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	again := start(t, Config{Level: LevelFiltered, Dir: dir})
	for _, group := range again.groups.folders() {
		if found, _ := filepath.Glob(filepath.Join(filepath.Dir(group), "strands-*-00000000")); len(found) > 0 {
			t.Errorf("cgroups of a dead program are left: %q", found)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Config{Python: python(t), Worker: testWorker, Level: LevelFiltered, Dir: dir}); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("a folder that sessions cannot enter: %v", err)
		}
	}
}

func TestBinds(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "sandbox-binds-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o777), os.WriteFile(filepath.Join(dir, "in"), []byte("input"), 0o666), os.Chmod(filepath.Join(dir, "in"), 0o666)); err != nil {
		t.Fatal(err)
	}
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		target, file := dir, filepath.Join(dir, "in")
		if level == LevelNamespaces {
			target, file = "/mnt/data/inputs", "/mnt/in"
		}
		b := fork(t, z, SessionConfig{Binds: []Bind{{dir, target}, {filepath.Join(dir, "in"), file}}})
		if got := b.run(t, fmt.Sprintf("print(open(%q).read(), open(%q).read())", target+"/in", file)); got != "input input\n" {
			t.Errorf("read %q", got)
		}
		for _, code := range []string{"open(%q, 'a')", "import os; os.remove(%q)", "open(%q + 'x', 'w')"} {
			if a, err := ask(b.Conn(), fmt.Sprintf(code, target+"/in")); err != nil || !strings.Contains(a.Err, "OSError") && !strings.Contains(a.Err, "PermissionError") {
				t.Errorf("%s: %+v, %v", code, a, err)
			}
		}
		other := fork(t, z, SessionConfig{})
		if a, err := ask(other.Conn(), fmt.Sprintf("open(%q)", target+"/in")); err != nil || a.Err == "" {
			t.Errorf("a session without the bind: %+v, %v", a, err)
		}
		for _, bad := range []Bind{{dir, "relative"}, {dir, "/etc"}, {dir, "/mnt/../etc"}, {"/var/tmp/not-there", "/mnt/x"}, {"/var/tmp/not-there", "/var/tmp/not-there"}} {
			if p, err := z.Fork(t.Context(), SessionConfig{Binds: []Bind{bad}}); err == nil {
				p.Close()
				t.Errorf("bind %v was taken", bad)
			}
		}
	})
}

func TestForkFailsInWords(t *testing.T) {
	z := start(t, Config{})
	_, err := z.Fork(t.Context(), SessionConfig{Limits: Limits{Memory: 1 << 20}})
	if err == nil || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("a memory limit below what the interpreter has: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := z.Fork(ctx, SessionConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Fork: %v", err)
	}
	fork(t, z, SessionConfig{}).run(t, "x = 1")
}

// TestSignalsStayInside: a process group spans pid namespaces, so each session
// must have its own, above all where all have one user.
func TestSignalsStayInside(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		hostile, neighbour := fork(t, z, SessionConfig{}), fork(t, z, SessionConfig{})
		for _, code := range []string{"import os; os.kill(0, 9)", "os.kill(-1, 9)", "os.killpg(0, 9)", "os.kill(os.getppid(), 9)"} {
			ask(hostile.Conn(), code)
		}
		neighbour.run(t, "x = 1")
		fork(t, z, SessionConfig{}).run(t, "x = 1")
	})
}

// TestEnvironmentIsFixed: nothing of the host's comes in.
func TestEnvironmentIsFixed(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
	levels(t, func(t *testing.T, level Level) {
		b := fork(t, start(t, Config{Level: level}), SessionConfig{})
		work, tmp := "/work", "/tmp"
		if d := b.Dir(); d != "" {
			work, tmp = d+"/work", d+"/tmp"
		}
		got := b.run(t, "import os; print(sorted(os.environ)); print(os.getcwd(), os.environ['HOME'], os.environ['TMPDIR'])")
		names := slices.Sorted(maps.Keys(environment("", "")))
		want := fmt.Sprintf("['%s']\n%s %s %s\n", strings.Join(names, "', '"), work, tmp, tmp)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// TestStartOpensTheFirstSession: what Start opened to try is what the first
// Fork returns, when it asks for the same.
func TestStartOpensTheFirstSession(t *testing.T) {
	limits := Limits{OpenFiles: 99}
	z := start(t, Config{First: limits})
	spare := z.spare
	b := fork(t, z, SessionConfig{Limits: limits})
	if b.Process != Process(spare) {
		t.Error("the session that Start opened is not used")
	}
	b.run(t, "x = 1")
	if other := fork(t, z, SessionConfig{Limits: limits}); other.Pid() == b.Pid() {
		t.Error("one session is given out twice")
	}
	for name, cfg := range map[string]SessionConfig{"other limits": {Limits: Limits{OpenFiles: 98}}, "too little memory to try": {Limits: Limits{Memory: 1 << 20}}} {
		z := start(t, Config{First: limits})
		spare := z.spare
		p, err := z.Fork(t.Context(), cfg)
		if err == nil {
			p.Close()
		}
		if !gone(spare.Pid()) {
			t.Errorf("%s: what nobody wants is left", name)
		}
	}
	dead := start(t, Config{First: limits})
	spare = dead.spare
	unix.PidfdSendSignal(spare.handle, unix.SIGKILL, nil, 0)
	<-spare.exited
	fork(t, dead, SessionConfig{Limits: limits}).run(t, "x = 1")
	start(t, Config{First: Limits{Memory: 1 << 20}}) // Fork says what is wrong
}
