//go:build unix

package python

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/strandsgo/strands/internal/sandbox"
)

// launch starts the command with a socket on descriptor 3 and the output pipe
// on 1 and 2. It is the leader of a process group, so that Ctrl-C at the
// terminal does not reach it and what it started can be killed with it.
func (p *plainProcess) launch() error {
	conn, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	out, in, err := os.Pipe()
	if err != nil {
		conn.Close()
		return err
	}
	defer in.Close()
	p.conn, p.output = conn, out
	p.cmd.Args = append(p.cmd.Args, "3", "3")
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithHost(p.cmd.SysProcAttr)
	if err := p.cmd.Start(); err != nil {
		conn.Close()
		out.Close()
		return err
	}
	return nil
}

// socketPair returns both ends of a stream socket, the first in the poller.
func socketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "session"), os.NewFile(uintptr(fds[1]), "worker")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

func (p *plainProcess) Interrupt() error { return p.cmd.Process.Signal(syscall.SIGINT) }

func (p *plainProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = p.cmd.Process.Kill()
		p.killGroup()
	}
}

// killGroup ends what the process started, too. The lock is held.
func (p *plainProcess) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

func (p *plainProcess) CPU() (time.Duration, error) {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	if runtime.GOOS != "linux" {
		out, err := exec.Command("ps", "-o", "time=", "-p", pid).Output()
		if err != nil {
			return 0, err
		}
		return psTime(strings.TrimSpace(string(out))), nil
	}
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:]) // the name may hold anything
	if len(f) < 13 {
		return 0, os.ErrInvalid
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	const tick = time.Second / 100
	return time.Duration(user+system) * tick, nil
}

// psTime reads what ps prints: [[days-]hours:]minutes:seconds.
func psTime(s string) time.Duration {
	days, clock, ok := strings.Cut(s, "-")
	if !ok {
		days, clock = "0", s
	}
	seconds := 0.0
	for part := range strings.SplitSeq(clock, ":") {
		v, _ := strconv.ParseFloat(part, 64)
		seconds = seconds*60 + v
	}
	d, _ := strconv.ParseFloat(days, 64)
	return time.Duration((d*24*3600 + seconds) * float64(time.Second))
}

func exitOf(s *os.ProcessState) sandbox.Exit {
	w, ok := s.Sys().(syscall.WaitStatus)
	if !ok || !w.Signaled() {
		return sandbox.Exit{Code: s.ExitCode()}
	}
	name, ok := signalNames[w.Signal()]
	if !ok {
		name = "signal " + strconv.Itoa(int(w.Signal()))
	}
	return sandbox.Exit{Code: -1, Signal: name}
}

var signalNames = map[syscall.Signal]string{
	syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE", syscall.SIGHUP: "SIGHUP",
	syscall.SIGILL: "SIGILL", syscall.SIGINT: "SIGINT", syscall.SIGKILL: "SIGKILL", syscall.SIGPIPE: "SIGPIPE",
	syscall.SIGQUIT: "SIGQUIT", syscall.SIGSEGV: "SIGSEGV", syscall.SIGSYS: "SIGSYS", syscall.SIGTERM: "SIGTERM",
	syscall.SIGTRAP: "SIGTRAP", syscall.SIGXCPU: "SIGXCPU", syscall.SIGXFSZ: "SIGXFSZ", syscall.SIGALRM: "SIGALRM",
}
