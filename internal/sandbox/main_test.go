//go:build linux

package sandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cpython "github.com/kluctl/go-embed-python/python"
	"golang.org/x/sys/unix"

	"github.com/strandsgo/strands/internal/pyenv"
)

// pythonVariable hands the interpreter to a copy of this test program that
// runs as another user and cannot make one.
const pythonVariable = "SANDBOX_TEST_PYTHON"

var testPython = sync.OnceValues(func() (Python, error) {
	var py Python
	if text := os.Getenv(pythonVariable); text != "" {
		return py, json.Unmarshal([]byte(text), &py)
	}
	release, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/kluctl/go-embed-python").Output()
	if err != nil {
		return py, err
	}
	// The name under which python/embedded unpacks it, so that it is unpacked once.
	name := "cpython-" + strings.TrimPrefix(strings.TrimSpace(string(release)), "v0.0.0-")
	m := pyenv.Manager{Embedded: &pyenv.Distribution{Name: name, Extract: func(dir string) (string, error) {
		ep, err := cpython.NewEmbeddedPythonWithTmpDir(filepath.Join(dir, "cpython"), false)
		if err != nil {
			return "", err
		}
		if err := os.Remove(ep.GetExtractedPath() + ".lock"); err != nil {
			return "", err
		}
		return ep.GetExePath()
	}}}
	in, err := m.Find(context.Background(), nil)
	if err != nil {
		return py, err
	}
	return Python{Exe: in.Exe, Roots: in.Roots, Path: in.Path, Prefix: in.Prefix, Version: in.Version}, nil
})

// testWorker runs what it is sent in one namespace and answers with what was
// printed and raised.
var testWorker = Worker{Entry: "testworker:run", Modules: []WorkerModule{{Name: "testworker", Source: `
import io, json, os, sys

def read(fd, n):
    data = b""
    while len(data) < n:
        part = os.read(fd, n - len(data))
        if not part:
            raise EOFError
        data += part
    return data

def run(fd):
    names = {"__name__": "__main__"}
    while True:
        try:
            code = read(fd, int.from_bytes(read(fd, 4), "little")).decode()
        except EOFError:
            return
        old, sys.stdout = sys.stdout, io.StringIO()
        error = ""
        try:
            exec(compile(code, "<cell>", "exec"), names)
        except BaseException as e:
            error = f"{type(e).__name__}: {e}"
        out, sys.stdout = sys.stdout.getvalue(), old
        body = json.dumps({"out": out, "err": error}).encode()
        body = len(body).to_bytes(4, "little") + body
        while body:
            body = body[os.write(fd, body):]
`}}}

// answer is what the test worker says.
type answer struct {
	Out string `json:"out"`
	Err string `json:"err"`
}

// ask runs code in a process.
func ask(conn net.Conn, code string) (answer, error) {
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	if _, err := conn.Write(lengthPrefixed([]byte(code))); err != nil {
		return answer{}, err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return answer{}, err
	}
	return readJSON[answer](conn, binary.LittleEndian.Uint32(head[:]), 1<<20)
}

func python(t testing.TB) Python {
	t.Helper()
	py, err := testPython()
	if err != nil {
		t.Fatalf("making an interpreter: %v", err)
	}
	return py
}

func start(t testing.TB, cfg Config) *Zygote {
	t.Helper()
	needs(t, cfg.Level)
	if cfg.Python.Exe == "" {
		cfg.Python = python(t)
	}
	if cfg.Worker.Entry == "" {
		cfg.Worker = testWorker
	}
	z, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := z.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return z
}

// box is a session and what it wrote to its standard streams.
type box struct {
	Process
	written *tail
	drained chan struct{}
}

func fork(t testing.TB, z *Zygote, cfg SessionConfig) *box {
	t.Helper()
	p, err := z.Fork(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Fork: %v", err)
	}
	b := &box{Process: p, written: &tail{}, drained: make(chan struct{})}
	go func() {
		defer close(b.drained)
		io.Copy(b.written, p.Output())
	}()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		<-b.drained
	})
	return b
}

// run fails the test when the code raises or the session ends.
func (b *box) run(t testing.TB, code string) string {
	t.Helper()
	a, err := ask(b.Conn(), code)
	if err != nil {
		t.Fatalf("running %q: %v; the session wrote: %s", code, err, b.written)
	}
	if a.Err != "" {
		t.Fatalf("running %q: %s", code, a.Err)
	}
	return a.Out
}

func (b *box) wait(t testing.TB) (Exit, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	e, err := b.Wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("the session does not end")
	}
	return e, err
}

func levels(t *testing.T, f func(t *testing.T, level Level)) {
	for _, level := range []Level{LevelNamespaces, LevelFiltered} {
		t.Run(string(level), func(t *testing.T) {
			needs(t, level)
			f(t, level)
		})
	}
}

// needs skips a test of a level that this kernel cannot have. That the level is
// refused there is what Start answers itself.
func needs(t testing.TB, level Level) {
	t.Helper()
	if level == LevelFiltered && landlock() < minLandlock {
		t.Skipf("level %s needs Landlock %d, which Linux has since 6.7; this kernel has %d", level, minLandlock, landlock())
	}
}

// landlock is the version that the kernel has; 0 = none.
func landlock() int {
	version, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != 0 {
		return 0
	}
	return int(version)
}

func (b *box) String() string { return fmt.Sprintf("session %d", b.Pid()) }
