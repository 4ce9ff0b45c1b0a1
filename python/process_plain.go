package python

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/strandsgo/strands/internal/sandbox"
)

// bootstrap is all that the command line of a plain worker holds. The rest
// comes over the socket: the modules of the worker, which it registers and
// executes, and the entry to call. A worker that is told its parent ends with
// it: beside a foreign kernel nobody else would see to that.
const bootstrap = `
import sys
if sys.path[:1] == [""]:
    del sys.path[0]
def main():
    import json, os, types
    rfd, wfd = [int(a) for a in sys.argv[1:3]]
    if rfd == 0:
        rfd, wfd = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.close(null)
    def read(n):
        b = b""
        while len(b) < n:
            part = os.read(rfd, n - len(b))
            if not part:
                os._exit(0)
            b += part
        return b
    boot = json.loads(read(int.from_bytes(read(4), "little")))
    sys.path[:] = boot["path"]
    sys.argv[:] = [""]
    if parent := boot.get("parent"):
        try:
            import ctypes
            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        except (ImportError, OSError, AttributeError):
            pass
        if os.getppid() != parent:
            os._exit(0)
    try:
        import resource
    except ImportError:
        pass
    else:
        for name, value in boot["limits"].items():
            kind = getattr(resource, "RLIMIT_" + name, None)
            if kind is None:
                continue
            soft, hard = resource.getrlimit(kind)
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            try:
                resource.setrlimit(kind, (value, hard))
            except (OSError, ValueError):
                pass
    for m in boot["modules"]:
        mod = types.ModuleType(m["name"])
        mod.__file__ = "<" + m["name"] + ">"
        if any(o["name"].startswith(m["name"] + ".") for o in boot["modules"]):
            mod.__path__ = []
        sys.modules[m["name"]] = mod
        parent, _, leaf = m["name"].rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], leaf, mod)
        exec(compile(m["source"], mod.__file__, "exec", dont_inherit=True), mod.__dict__)
    module, _, name = boot["entry"].partition(":")
    entry = getattr(sys.modules[module], name)
    return entry(rfd) if rfd == wfd else entry(rfd, wfd)
main()
`

// plainProcess is an interpreter without confinement: what the Exec backend
// runs, on every system.
type plainProcess struct {
	cmd    *exec.Cmd
	conn   net.Conn
	output *os.File
	dir    string
	remove func() error // dir

	mu        sync.Mutex
	ended     bool          // its number may be another's; guarded by mu
	done      chan struct{} // closed when the process has been waited for
	exit      sandbox.Exit
	closeOnce sync.Once
	closeErr  error
}

// startPlain starts worker in the interpreter py. The process outlives ctx,
// which bounds the start only.
func startPlain(ctx context.Context, py sandbox.Python, worker sandbox.Worker, limits Limits) (_ sandbox.Process, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	boot, err := bootMessage(py, worker, limits)
	if err != nil {
		return nil, err
	}
	dir, remove, err := sandbox.MakeFolder()
	if err != nil {
		return nil, fmt.Errorf("making a session's folder: %w", err)
	}
	defer func() {
		if err != nil {
			_ = remove() // the error at hand says more
		}
	}()
	for _, sub := range []string{"work", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("making a session's folder: %w", err)
		}
	}
	p := &plainProcess{dir: dir, done: make(chan struct{})}
	// Not -I, for which PYTHONHASHSEED would have no effect; the environment is
	// ours, and bootstrap takes the working folder off the path. -u makes the
	// streams of C unbuffered too.
	p.cmd = exec.Command(py.Exe, "-s", "-S", "-B", "-u", "-X", "utf8", "-c", bootstrap)
	p.cmd.Dir = filepath.Join(dir, "work")
	p.cmd.Env = plainEnv(dir)
	p.remove = remove
	started := make(chan error)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", py.Exe, err)
	}
	if err = p.conn.SetWriteDeadline(time.Now().Add(writePatience)); err == nil {
		_, err = p.conn.Write(boot)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", py.Exe, err), p.Close())
	}
	return p, nil
}

func bootMessage(py sandbox.Python, worker sandbox.Worker, l Limits) ([]byte, error) {
	type module struct {
		Name   string `json:"name"`
		Source string `json:"source"`
	}
	boot := struct {
		Path    []string         `json:"path"`
		Modules []module         `json:"modules"`
		Entry   string           `json:"entry"`
		Limits  map[string]int64 `json:"limits"`
	}{Path: py.Path, Entry: worker.Entry, Limits: map[string]int64{}}
	for _, m := range worker.Modules {
		boot.Modules = append(boot.Modules, module(m))
	}
	for name, n := range map[string]int64{
		"AS": l.Memory, "CPU": int64((l.CPU + time.Second - 1) / time.Second), "NOFILE": int64(l.OpenFiles),
	} {
		if n > 0 {
			boot.Limits[name] = n
		}
	}
	body, err := json.Marshal(boot)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(body))))
	b.Write(body)
	return b.Bytes(), nil
}

// plainEnv is the whole environment of a worker: the program's own may hold
// secrets.
func plainEnv(dir string) []string {
	tmp := filepath.Join(dir, "tmp")
	env := []string{
		"HOME=" + tmp, "TMPDIR=" + tmp, "TEMP=" + tmp, "TMP=" + tmp, "MPLCONFIGDIR=" + tmp,
		"USER=session", "LOGNAME=session", "LANG=C.UTF-8", "TZ=" + os.Getenv("TZ"),
		"PYTHONHASHSEED=0", // sets print in the same order in every run
	}
	for _, name := range []string{"PATH", "SYSTEMROOT", "WINDIR"} { // what an interpreter itself cannot do without
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// live is the life of the process, on one thread: where the kernel ends a
// process with its parent, the parent is the thread that started it.
func (p *plainProcess) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.launch()
	started <- err
	if err != nil {
		return
	}
	defer close(p.done)
	p.wait()
	p.exit = exitOf(p.cmd.ProcessState)
}

func (p *plainProcess) Conn() net.Conn         { return p.conn }
func (p *plainProcess) Output() *os.File       { return p.output }
func (p *plainProcess) Pid() int               { return p.cmd.Process.Pid }
func (p *plainProcess) Dir() string            { return p.dir }
func (p *plainProcess) Report() sandbox.Report { return sandbox.Unconfined() }

func (p *plainProcess) Wait(ctx context.Context) (sandbox.Exit, error) {
	select {
	case <-p.done:
		return p.exit, nil
	case <-ctx.Done():
		return sandbox.Exit{}, ctx.Err()
	}
}

func (p *plainProcess) Close() error {
	p.closeOnce.Do(func() {
		p.kill()
		<-p.done
		p.closeErr = errors.Join(p.conn.Close(), p.output.Close(), p.remove())
	})
	return p.closeErr
}
