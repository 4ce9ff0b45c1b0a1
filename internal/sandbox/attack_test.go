//go:build linux

package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// attack is code that prints ESCAPED when it gets at what it must not, or
// UNSUPPORTED when this kernel does not have what it tries.
type attack struct {
	name string
	code string
	// effect tells success that is seen on the host only.
	effect func(w *world) bool
	root   bool // takes root's rights to begin with
	amd64  bool // machine code
	allow  bool // allowed where programs may be started
	family bool // a fork may do it to its own session, and to nobody else
}

// world is what there is to attack.
type world struct {
	t      *testing.T // that w lives as long as
	dir    string     // open to everybody
	secret string     // a file that everybody may read
	target string     // a file that everybody may write
	token  string     // in the secret, and in the victim's memory
	victim *exec.Cmd
	buffer uint64 // address of the token in the victim
	tcp    net.Listener
	udp    net.PacketConn
	path   net.Listener // Unix socket with a path
	name   net.Listener // abstract Unix socket
	dgram  net.PacketConn
	leaked int      // a descriptor of the secret that is not closed on exec
	extra  *os.File // the same for the plain process
}

// prelude is what every attack may use.
const prelude = `
import ctypes, os, socket, struct, sys, threading, time, errno, signal, mmap, fcntl
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    r = libc.syscall(ctypes.c_long(N[name]), *words)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return r
def unsupported(*codes):
    import contextlib
    @contextlib.contextmanager
    def guard():
        try:
            yield
        except OSError as e:
            if e.errno not in codes or CONFINED: raise
            print("UNSUPPORTED")
    return guard()
def escaped(): print("ESCAPED")
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, token: fmt.Sprintf("token-%d", time.Now().UnixNano())}
	var err error
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	w.dir, err = os.MkdirTemp("", "sandbox-world-*")
	check(err)
	t.Cleanup(func() { os.RemoveAll(w.dir) })
	check(os.Chmod(w.dir, 0o777))
	w.secret, w.target = filepath.Join(w.dir, "secret"), filepath.Join(w.dir, "target")
	check(os.WriteFile(w.secret, []byte(w.token), 0o644))
	w.reset(t)
	w.leaked, err = unix.Open(w.secret, unix.O_RDONLY, 0) // not close-on-exec, on purpose
	check(err)
	w.extra = os.NewFile(uintptr(w.leaked), "leaked")
	t.Cleanup(func() { w.extra.Close() })
	t.Setenv("SANDBOX_TEST_SECRET", w.token)

	w.tcp, err = net.Listen("tcp", "127.0.0.1:0")
	check(err)
	t.Cleanup(func() { w.tcp.Close() })
	w.udp, err = net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	t.Cleanup(func() { w.udp.Close() })
	w.path, err = net.Listen("unix", filepath.Join(w.dir, "socket"))
	check(err)
	check(os.Chmod(filepath.Join(w.dir, "socket"), 0o777))
	t.Cleanup(func() { w.path.Close() })
	w.name, err = net.Listen("unix", "@"+w.token)
	check(err)
	t.Cleanup(func() { w.name.Close() })
	w.dgram, err = net.ListenPacket("unixgram", "@"+w.token+"-dgram")
	check(err)
	t.Cleanup(func() { w.dgram.Close() })
	w.newVictim()
	return w
}

// reset brings back what attacks may have changed.
func (w *world) reset(t *testing.T) {
	t.Helper()
	for _, path := range []string{w.target, w.target + "-gone"} {
		os.RemoveAll(path)
		if err := os.WriteFile(path, []byte("untouched"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(1000, 0), time.Unix(1000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	os.RemoveAll(filepath.Join(w.dir, "made"))
	if w.victim != nil && !w.alive() {
		w.newVictim()
	}
}

// newVictim starts a process of the same user, which holds the token.
func (w *world) newVictim() {
	t := w.t
	cmd := exec.Command(python(t).Exe, "-I", "-S", "-c", `
import ctypes, sys
b = ctypes.create_string_buffer(sys.argv[1].encode())
print(ctypes.addressof(b), flush=True)
sys.stdin.read()
`, w.token)
	cmd.Env = []string{"SECRET=" + w.token}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := fmt.Fscan(out, &w.buffer); err != nil {
		t.Fatalf("the victim: %v", err)
	}
	w.victim = cmd
}

func (w *world) alive() bool { return !gone(w.victim.Process.Pid) }

// source is an attack's code with the facts before it.
func (w *world) source(a attack, confined bool, neighbour Process) string {
	facts := map[string]any{
		"DIR": w.dir, "SECRET": w.secret, "TARGET": w.target, "TOKEN": w.token, "VICTIM": w.victim.Process.Pid,
		"BUFFER": w.buffer, "HOST": os.Getpid(), "TCP": w.tcp.Addr().(*net.TCPAddr).Port,
		"UDP": w.udp.LocalAddr().(*net.UDPAddr).Port, "NEIGHBOUR": neighbour.Pid(), "FOLDER": neighbour.Dir(),
		"N": archFor(runtime.GOARCH).nr,
	}
	text, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	b := "False"
	if confined {
		b = "True"
	}
	return fmt.Sprintf("import json; globals().update(json.loads(%q)); CONFINED = %s\n%s\n%s\nprint('end')", text, b, prelude, a.code)
}

// changed reports whether the target file is not what reset made it.
func (w *world) changed() bool {
	for _, path := range []string{w.target, w.target + "-gone"} {
		data, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil || string(data) != "untouched" || info.Mode().Perm() != 0o666 || info.ModTime().Unix() != 1000 {
			return true
		}
		if n, err := unix.Listxattr(path, make([]byte, 100)); err != nil || n > 0 {
			return true
		}
	}
	_, err := os.Lstat(filepath.Join(w.dir, "made"))
	return err == nil
}

// received reports whether a datagram came; each is read once.
func received(c net.PacketConn) bool {
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, _, err := c.ReadFrom(make([]byte, 10))
	return err == nil && n > 0
}

// plain runs code in an unconfined process with the same worker.
func (w *world) plain(t *testing.T, code string) string {
	t.Helper()
	conn, theirs, err := socketPair("plain")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer theirs.Close()
	var written strings.Builder
	cmd := exec.Command(python(t).Exe, "-I", "-S", "-B", "-c", testWorker.Modules[0].Source+"\nrun(3)")
	cmd.Dir = t.TempDir()
	cmd.ExtraFiles = []*os.File{theirs, w.extra}
	cmd.Stdout, cmd.Stderr = &written, &written
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	a, err := ask(conn, code)
	conn.Close()
	cmd.Process.Kill()
	cmd.Wait()
	return fmt.Sprintf("%s %s %v %s", a.Out, a.Err, err, written.String())
}

func TestAttacks(t *testing.T) {
	w := newWorld(t)
	zygotes := map[Level]*Zygote{LevelNamespaces: start(t, Config{Level: LevelNamespaces})}
	if landlock() >= minLandlock {
		zygotes[LevelFiltered] = start(t, Config{Level: LevelFiltered})
	}
	programs := start(t, Config{Processes: true})
	neighbours := map[Level]*box{}
	for level, z := range zygotes {
		neighbours[level] = fork(t, z, SessionConfig{})
		neighbours[level].run(t, `open("private", "w").write("neighbour's")`)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if a.root && os.Geteuid() != 0 || a.amd64 && runtime.GOARCH != "amd64" {
				t.Skip("not an attack for this user or machine")
			}
			out := w.plain(t, w.source(a, false, cmp.Or(neighbours[LevelFiltered], neighbours[LevelNamespaces])))
			succeeded := strings.Contains(out, "ESCAPED") && (a.effect == nil || a.effect(w))
			if !succeeded && landlock() < minLandlock {
				t.Skipf("on a kernel without level %s this attack does not work unconfined, so it would prove nothing: %s", LevelFiltered, out)
			}
			if !succeeded && !strings.Contains(out, "UNSUPPORTED") {
				t.Fatalf("the attack does not work unconfined, so it proves nothing: %s", out)
			}
			w.reset(t)
			levels(t, func(t *testing.T, level Level) {
				w.confined(t, a, fork(t, zygotes[level], SessionConfig{}), neighbours[level])
			})
			if !a.allow {
				t.Run("programs", func(t *testing.T) {
					w.confined(t, a, fork(t, programs, SessionConfig{}), neighbours[LevelNamespaces])
				})
			}
			t.Run("fork", func(t *testing.T) { w.inFork(t, a, zygotes[LevelNamespaces], neighbours[LevelNamespaces]) })
		})
	}
	for _, n := range neighbours {
		if got := n.run(t, `print(open("private").read())`); got != "neighbour's\n" {
			t.Errorf("the neighbour was touched: %q", got)
		}
	}
}

// inFork runs an attack in a fork; the session that it comes from is a
// neighbour too.
func (w *world) inFork(t *testing.T, a attack, z *Zygote, neighbour *box) {
	t.Helper()
	origin := fork(t, z, SessionConfig{})
	origin.run(t, "x = 1")
	if a.family {
		if _, err := ask(liveFork(t, origin).Conn(), w.source(a, true, neighbour)); err != nil {
			t.Fatal(err)
		}
		return
	}
	w.confined(t, a, liveFork(t, origin), neighbour)
	if got := origin.run(t, "print(x)"); got != "1\n" {
		t.Errorf("the origin of the fork was touched: %q", got)
	}
}

func (w *world) confined(t *testing.T, a attack, b *box, neighbour *box) {
	t.Helper()
	got, err := ask(b.Conn(), w.source(a, true, neighbour))
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		t.Logf("session: %v", err)
	}
	b.Close()
	<-b.drained
	if a.effect != nil && a.effect(w) {
		t.Error("the attack had its effect")
	}
	if a.effect == nil && strings.Contains(got.Out+b.written.String(), "ESCAPED") {
		t.Error("the attack escaped")
	}
	if w.changed() || !w.alive() {
		t.Error("the attack changed files or the victim")
	}
	if got.Out == "" && got.Err == "" && err == nil {
		t.Error("the attack neither failed nor said anything")
	}
	t.Logf("%s %s %v", got.Out, got.Err, err)
	w.reset(t)
}

// TestAsOrdinaryUser runs the tests of confinement again in a process that
// has no rights at all.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the tests run as an ordinary user already")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "sandbox-user-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "sandbox.test")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(exe, 0o755); err != nil {
		t.Fatal(err)
	}
	py, err := json.Marshal(python(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.v", "-test.run", "^("+strings.Join(ordinaryTests, "|")+")$")
	cmd.Dir = dir
	cmd.Env = []string{pythonVariable + "=" + string(py), "TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Setsid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
	for _, name := range ordinaryTests {
		if !strings.Contains(string(out), "--- PASS: "+name+" ") {
			t.Errorf("%s did not run and pass as an ordinary user", name)
		}
	}
}

// TestDescriptorsOnTheirWay: a session that sends itself descriptors and takes
// none keeps no other from being opened or copied.
func TestDescriptorsOnTheirWay(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	hostile := fork(t, z, SessionConfig{})
	sent := hostile.run(t, `
import array, socket
pairs, sent = [], 0
try:
    while sent < 100_000:
        pairs.append(socket.socketpair())
        for _ in range(4):
            fds = array.array("i", [pairs[0][0].fileno()] * 253)
            pairs[-1][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            sent += 253
except OSError: pass
print(sent)`)
	if n, err := strconv.Atoi(strings.TrimSpace(sent)); err != nil || n <= 256 {
		t.Fatalf("%q descriptors are on their way, which proves nothing", sent)
	}
	for range 3 { // one of them is opened before there is a spare keeper
		b := fork(t, z, SessionConfig{})
		if got := b.run(t, "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"); got != "(256, 256)\n" {
			t.Errorf("descriptors are limited to %q", got)
		}
	}
}

// ordinaryTests are those that mean something else for an ordinary user.
var ordinaryTests = []string{"TestUntoldEnd", "TestDescriptorsOnTheirWay",
	"TestSession", "TestAttacks", "TestLimitsKeepState", "TestThreadLimitsAreOfOneSession", "TestCPULimitEndsTheSession",
	"TestSignalsStayInside", "TestReport", "TestBinds", "TestPreload", "TestEnvironmentIsFixed", "TestInterruptAndCPU", "TestExit", "TestNothingLeaks",
	"TestKilledZygoteEndsItsSessions", "TestKilledProgramLeavesNothing", "TestLiveFork", "TestUninvitedForks",
	"TestForksThatAreNotAsOrdered", "TestForkDies", "TestForkLimits", "TestListenerIsOutOfReach", "TestKeeperIsOutOfReach", "TestFallsBackWithoutNamespaces",
}
