//go:build linux

package sandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forkCode is what a worker does when it is asked to fork. The child goes on
// in the same loop, with another socket.
const forkCode = "import os\nwhile True:\n    try: os.waitpid(-1, os.WNOHANG)\n    except ChildProcessError: break\n    else: break\nif os.fork() == 0: os.setsid()"

// tryFork forks a session by running code in it.
func tryFork(t testing.TB, b *box, code string) (Process, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return forkWith(ctx, b, code)
}

func forkWith(ctx context.Context, b *box, code string) (Process, error) {
	return b.Process.(Forker).Fork(ctx, func() error {
		a, err := ask(b.Conn(), code)
		if err == nil && a.Err != "" {
			err = errors.New(a.Err)
		}
		return err
	})
}

// liveFork forks a session, and takes the child's answer to the code.
func liveFork(t testing.TB, b *box) *box {
	t.Helper()
	p, err := tryFork(t, b, forkCode)
	if err != nil {
		t.Fatalf("Fork: %v; the session wrote %s", err, b.written)
	}
	child := &box{Process: p, written: &tail{}, drained: make(chan struct{})}
	go func() {
		defer close(child.drained)
		io.Copy(child.written, p.Output())
	}()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		<-child.drained
	})
	var head [4]byte
	if _, err := io.ReadFull(p.Conn(), head[:]); err != nil {
		t.Fatalf("the child does not answer: %v", err)
	}
	if a, err := readJSON[answer](p.Conn(), binary.LittleEndian.Uint32(head[:]), 1<<20); err != nil || a.Err != "" {
		t.Fatalf("the child: %+v, %v", a, err)
	}
	return child
}

func TestLiveFork(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	b := fork(t, z, SessionConfig{})
	b.run(t, "x = [1]")
	c := liveFork(t, b)
	d := liveFork(t, c) // of a fork
	for i, f := range []*box{b, c, d} {
		f.run(t, "x.append("+string(rune('7'+i))+")")
	}
	for i, f := range []*box{b, c, d} {
		if got, want := f.run(t, "print(x)"), "[1, "+string(rune('7'+i))+"]\n"; got != want {
			t.Errorf("process %d: %q, want %q", i, got, want)
		}
	}
	if got := c.Report().String(); got != b.Report().String() {
		t.Errorf("the fork is not what its origin is:\n%s\n%s", got, b.Report())
	}
}

// TestUninvitedForks: nothing but what Fork orders is let through, whoever
// asks. The attacks of TestAttacks show that these calls work unconfined.
func TestUninvitedForks(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	b := fork(t, z, SessionConfig{})
	b.run(t, fmt.Sprintf("N = %s\n%s", numbers(t), prelude))
	for name, code := range map[string]string{
		"fork":                     "os.fork()",
		"setsid":                   "os.setsid()",
		"from threads":             "failed = []\nthreading.excepthook = lambda a: failed.append(a.exc_value)\nts = [threading.Thread(target=os.fork) for _ in range(8)]\nfor t in ts: t.start()\nfor t in ts: t.join()\nassert len(failed) == 8, failed\nraise failed[0]",
		"bomb":                     "for i in range(1000):\n    try: os.fork()\n    except PermissionError: last = i\nassert last == 999\nos.fork()",
		"with the parent's memory": "call('clone', 0x100 | 17, 0, 0, 0, 0)",
		"vfork":                    "call('clone', 0x4000 | 0x100 | 17, 0, 0, 0, 0)",
		"as a sibling":             "call('clone', 0x8000 | 17, 0, 0, 0, 0)",
	} {
		t.Run(name, func(t *testing.T) {
			if a, err := ask(b.Conn(), code); err != nil || !strings.HasPrefix(a.Err, "PermissionError") {
				t.Errorf("%+v, %v; want PermissionError", a, err)
			}
			if n := inNamespace(t, b); n != 2 {
				t.Errorf("%d processes, want the keeper and the session", n)
			}
		})
	}
	liveFork(t, b).run(t, "assert os.getpid() != 1")
}

// numbers are those of system calls, as Python reads them.
func numbers(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(archFor(runtime.GOARCH).nr)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// inNamespace counts the living processes of a session.
func inNamespace(t *testing.T, b *box) int {
	t.Helper()
	keeper, err := pidOf(b.Process.(*session).family.keeper)
	if err != nil {
		t.Fatal(err)
	}
	ns, n := namespaceOf(keeper, "pid"), 0
	entries, err := os.ReadDir("/proc")
	if err != nil || ns == "" {
		t.Fatalf("%q %v", ns, err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && namespaceOf(pid, "pid") == ns && !gone(pid) {
			n++
		}
	}
	return n
}

// TestForksThatAreNotAsOrdered: a session that is asked to fork does something
// else with the order. Whatever it made is killed, and nothing is let through
// afterwards.
func TestForksThatAreNotAsOrdered(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	for name, c := range map[string]struct {
		code string
		want string
	}{
		"none":                      {"pass", "deadline exceeded"},
		"a child that says nothing": {"if os.fork() == 0: time.sleep(100)", "deadline exceeded"},
		"a child that ends":         {"if os.fork() == 0: os._exit(0)", "deadline exceeded"},
		"the session itself":        {"p = os.fork()\nif p == 0: time.sleep(100)\nos.setsid()", "PermissionError"},
		"two":                       {"if os.fork() == 0: os.setsid()\nelse: os.fork()", "PermissionError"},
		"a fork of the child":       {"if os.fork() == 0:\n    try: os.fork()\n    except PermissionError: time.sleep(100)\n    os.setsid()", "deadline exceeded"},
		"a child with a thread":     {"if os.fork() == 0:\n    t = threading.Thread(target=time.sleep, args=(100,)); t.start()\n    try: os.setsid()\n    finally: os._exit(1)", "Threads"},
		"from a thread":             {"e = []\ndef f():\n    try: os.fork()\n    except PermissionError as x: e.append(x)\nt = threading.Thread(target=f); t.start(); t.join(); raise e[0]", "PermissionError"},
		"a thread of the child":     {"if os.fork() == 0:\n    def f():\n        try: os.setsid()\n        finally: time.sleep(100)\n    t = threading.Thread(target=f); t.start(); time.sleep(100)", "of"},
		"with the parent's memory":  {"call('clone', 0x100 | 17, 0, 0, 0, 0)", "PermissionError"},
		"with the parent's files":   {"call('clone', 0x400 | 17, 0, 0, 0, 0)", "PermissionError"},
		"as a sibling":              {"call('clone', 0x8000 | 17, 0, 0, 0, 0)", "PermissionError"},
		"in a namespace":            {"call('clone', 0x10000000 | 17, 0, 0, 0, 0)", "PermissionError"},
		"the session ends":          {"os.fork(); os._exit(1)", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fork(t, z, SessionConfig{})
			b.run(t, fmt.Sprintf("N = %s\n%s\nx = 1", numbers(t), prelude))
			patience := time.Minute
			if c.want == "deadline exceeded" || c.want == "of" { // it is the end of ctx that is waited for
				patience = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p, err := forkWith(ctx, b, c.code)
			if err == nil {
				p.Close()
				t.Fatal("there is a fork")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if strings.Contains(c.code, "_exit(1)") {
				return
			}
			if n := inNamespace(t, b); n != 2 {
				t.Errorf("%d processes are left, want the keeper and the session", n)
			}
			// Nothing of the order is left either.
			if a, err := ask(b.Conn(), "os.fork()"); err != nil || !strings.HasPrefix(a.Err, "PermissionError") {
				t.Errorf("afterwards: %+v, %v", a, err)
			}
			b.run(t, "assert x == 1")
		})
	}
}

func TestForksAreBounded(t *testing.T) {
	b := fork(t, start(t, Config{Level: LevelNamespaces}), SessionConfig{})
	last := b
	var forks []*box
	for range maxForks {
		last = liveFork(t, last)
		forks = append(forks, last)
	}
	_, err := tryFork(t, b, forkCode)
	if e, ok := errors.AsType[*ForkError](err); !ok || e.Never || !strings.Contains(e.Reason, "16 forks") {
		t.Errorf("one more: %v", err)
	}
	if n := inNamespace(t, b); n != maxForks+2 {
		t.Errorf("%d processes, want %d", n, maxForks+2)
	}
	for i, f := range forks { // from one end and the other
		if i%2 == 0 {
			f.Close()
		}
	}
	for i, f := range forks {
		if i%2 == 1 {
			f.run(t, "import os; assert os.getpid() > 1")
		}
	}
	liveFork(t, forks[1])
	b.Close()
	forks[1].run(t, "1") // Close of one process ends that one
}

// TestForkDies says how, whether its origin lives or not.
func TestForkDies(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	for _, orphan := range []bool{false, true} {
		for _, c := range []struct {
			code string
			want Exit
		}{
			{"import os; os._exit(3)", Exit{Code: 3}},
			{"import ctypes; ctypes.string_at(0)", Exit{Code: -1, Signal: "SIGSEGV"}},
			{"import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Exit{Code: -1, Signal: "SIGKILL"}},
		} {
			b := fork(t, z, SessionConfig{})
			f := liveFork(t, b)
			sibling := liveFork(t, b)
			if orphan {
				b.Close()
			}
			ask(f.Conn(), c.code)
			e, err := f.wait(t)
			e.CPU = 0
			if err != nil || e != c.want && !isUntold(e, f) {
				t.Errorf("%s (orphan: %v): %+v, %v; want %+v", c.code, orphan, e, err, c.want)
			}
			sibling.run(t, "x = 1")
			if !orphan {
				b.run(t, "x = 1")
				liveFork(t, b).run(t, "x = 1") // the zombie is no obstacle
			}
		}
	}
}

// isUntold: there are kernels that do not tell an ordinary user how a fork
// ended. Then that, and nothing else, is what is said.
func isUntold(e Exit, f *box) bool {
	self := f.Process.(*session).z.self
	e.CPU = 0
	return self.uid != 0 && !self.remembers && e == Exit{Code: -1}
}

// TestUntoldEnd: what the file of a dead process says of its end is not taken
// for it when it is not meant for this program.
func TestUntoldEnd(t *testing.T) {
	py := python(t)
	cmd := exec.Command(py.Exe, "-I", "-S", "-c", "import ctypes, os; ctypes.CDLL(None).prctl(4, 0); os._exit(3)")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // not before: a zombie is what is looked at
	handle, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(handle)
	if !waitHandle(handle, time.Minute) {
		t.Fatal("it does not end")
	}
	status, _, err := exitOfZombie(cmd.Process.Pid)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return
	}
	if err != nil || status.ExitStatus() != 3 {
		t.Errorf("%d, %v; want 3, or not permitted", status.ExitStatus(), err)
	}
}

// TestForkLimits: a fork has limits of its own, but not another budget of
// processor time.
func TestForkLimits(t *testing.T) {
	const budget = 5 * time.Minute
	z := start(t, Config{Level: LevelNamespaces})
	b := fork(t, z, SessionConfig{Limits: Limits{Memory: 512 << 20, CPU: budget, OpenFiles: 40}})
	b.run(t, "import time, resource\nwhile time.process_time() < 1.1: pass\nx = bytearray(300 << 20)")
	left := func() int { // in seconds, as the kernel counts
		used, err := b.CPU()
		if err != nil || used < time.Second {
			t.Fatalf("%v of processor time used, %v", used, err)
		}
		return int(math.Ceil((budget - used).Seconds()))
	}
	most := left()
	f := liveFork(t, b)
	least := left()
	f.raises(t, "y = bytearray(300 << 20)", "MemoryError")
	f.run(t, "del x; y = bytearray(300 << 20)")
	var files, seconds int
	got := f.run(t, "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_CPU)[1])")
	if _, err := fmt.Sscan(got, &files, &seconds); err != nil || files != 40 || seconds < least || seconds > most {
		t.Errorf("limits: %s, want 40 and %d to %d", got, least, most)
	}
	b.run(t, "assert len(x) == 300 << 20")
}

// TestForkHasItsOwnCgroup and so its own end: that of one is not the other's.
func TestForkHasItsOwnCgroup(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	if z.Report().Memory != "cgroup" {
		t.Skipf("no writable cgroup here: %s", z.Report())
	}
	b := fork(t, z, SessionConfig{})
	f := liveFork(t, b)
	of := func(b *box) string {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", b.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if of(f) == of(b) || !strings.Contains(of(f), fmt.Sprintf("/s%d\n", f.Process.(*session).id)) {
		t.Errorf("the fork is in %s, its origin in %s", of(f), of(b))
	}
}

// TestListenerIsOutOfReach: a session has no descriptor of its filter, and of
// its origin's socket and output.
func TestListenerIsOutOfReach(t *testing.T) {
	b := fork(t, start(t, Config{Level: LevelNamespaces}), SessionConfig{})
	const list = `
import os
def look():
    names = {}
    for fd in range(256):
        try: os.fstat(fd)
        except OSError: continue
        name = os.readlink(f"/proc/self/fd/{fd}")
        if name != "/dev/urandom": names[fd] = name # CPython keeps it open where it was built without getrandom
    return names
print(look())`
	f := liveFork(t, b)
	for _, p := range []*box{b, f} {
		got := p.run(t, list)
		if strings.Contains(got, "seccomp") || strings.Contains(got, "anon_inode") || strings.Contains(got, "4:") {
			t.Errorf("descriptors: %s", got)
		}
	}
	if b.run(t, "print(look()[3], look()[1])") == f.run(t, "print(look()[3], look()[1])") {
		t.Error("the fork has its origin's socket")
	}
	// What one writes past its socket comes from its own output.
	f.run(t, "os.write(1, b'of the fork')")
	b.run(t, "os.write(2, b'of the origin')")
	f.Close()
	b.Close()
	<-f.drained
	<-b.drained
	if f.written.String() != "of the fork" || b.written.String() != "of the origin" {
		t.Errorf("outputs %q and %q", f.written, b.written)
	}
}

// TestKeeperIsOutOfReach: the first process can neither be ended nor looked
// into by its session. The same is first done to the session itself.
func TestKeeperIsOutOfReach(t *testing.T) {
	b := fork(t, start(t, Config{Level: LevelNamespaces}), SessionConfig{})
	keeper, err := pidOf(b.Process.(*session).family.keeper)
	if err != nil {
		t.Fatal(err)
	}
	f := liveFork(t, b)
	b.run(t, fmt.Sprintf("N = %s\n%s", numbers(t), prelude))
	if got := b.run(t, "print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[0])"); got != "1\n" {
		t.Fatalf("the keeper is not seen, so this proves nothing: %s", got)
	}
	for _, what := range []string{"environ", "mem", "maps", "fd/0", "root/etc", "cwd/etc", "ns/pid"} {
		a, err := ask(b.Conn(), fmt.Sprintf("print(os.open('/proc/1/%s', os.O_RDONLY))", what))
		if err != nil || a.Err == "" {
			t.Errorf("/proc/1/%s: %+v, %v", what, a, err)
		}
	}
	for _, code := range []string{
		"for s in range(1, 65):\n    try: os.kill(1, s)\n    except (OSError, ValueError): pass",
		"call('tgkill', 1, 1, 9)", "call('ptrace', 16, 1, 0, 0)", "call('process_vm_readv', 1, 0, 0, 0, 0, 0)", "call('pidfd_open', 1, 0)",
		"call('prlimit64', 1, 0, struct.pack('QQ', 1, 1), 0)",
	} {
		ask(b.Conn(), code)
	}
	if gone(keeper) {
		t.Error("the session has ended its keeper")
	}
	f.run(t, "x = 1")
	// A fork is not protected from its own session, but that is all there is.
	ask(b.Conn(), "os.kill(-1, 9)")
	if e, err := f.wait(t); err != nil || e.Signal != "SIGKILL" && !isUntold(e, f) {
		t.Errorf("%+v, %v", e, err)
	}
	if gone(keeper) {
		t.Error("the keeper went with the forks")
	}
	liveFork(t, b).run(t, "x = 1")
}

// TestKeeperGoesWithItsSession in whatever order the processes end.
func TestKeeperGoesWithItsSession(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		b := fork(t, z, SessionConfig{})
		all := []*box{b, liveFork(t, b), nil}
		all[2] = liveFork(t, all[1])
		keeper, err := pidOf(b.Process.(*session).family.keeper)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range order {
			if gone(keeper) {
				t.Fatalf("the keeper went before process %d of %v", i, order)
			}
			if i < 2 { // killed, by somebody else
				if err := unix.Kill(all[at].Pid(), unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
				all[at].wait(t)
			}
			all[at].Close()
		}
		if !gone(keeper) {
			t.Errorf("the keeper stays after %v", order)
		}
	}
}

func TestKilledZygoteEndsForks(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	b := fork(t, z, SessionConfig{})
	f := liveFork(t, b)
	if err := unix.Kill(z.Pid(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*box{f, b} {
		if e, err := p.wait(t); !errors.Is(err, ErrZygote) || e.Signal != "SIGKILL" {
			t.Errorf("Wait: %+v, %v; want ErrZygote", e, err)
		}
	}
	if _, err := tryFork(t, b, forkCode); err == nil {
		t.Error("a fork of a dead session")
	}
}

func TestNoForksBelowNamespaces(t *testing.T) {
	for _, cfg := range []Config{{Processes: true}, {Level: LevelFiltered}} {
		b := fork(t, start(t, cfg), SessionConfig{})
		_, err := tryFork(t, b, forkCode)
		if e, ok := errors.AsType[*ForkError](err); !ok || !e.Never || e.Reason == "" {
			t.Errorf("%+v: %v", cfg, err)
		}
		if b.Report().Forks != "none" {
			t.Errorf("%+v: %s", cfg, b.Report())
		}
		b.run(t, "x = 1")
	}
}

// TestForksLeaveNothing forks and closes many, from several goroutines.
func TestForksLeaveNothing(t *testing.T) {
	start(t, Config{Level: LevelNamespaces}).Close()
	before := resources(t)
	z, err := Start(t.Context(), Config{Python: python(t), Worker: testWorker, Level: LevelNamespaces})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				p, err := z.Fork(t.Context(), SessionConfig{})
				if err != nil {
					t.Errorf("Fork: %v", err)
					return
				}
				for range 5 {
					f, err := forkWith(t.Context(), &box{Process: p}, forkCode)
					if err != nil {
						t.Errorf("fork of a session: %v", err)
						break
					}
					if err := f.Close(); err != nil {
						t.Error(err)
					}
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	folders := z.groups.folders()
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if _, err := os.Lstat(f); err == nil {
			t.Errorf("%s is left", f)
		}
	}
	eventually(t, func() string {
		if after := resources(t); after != before {
			return fmt.Sprintf("before: %s, after: %s", before, after)
		}
		return ""
	})
}
