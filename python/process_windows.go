package python

import (
	"os"
	"syscall"
	"time"

	"github.com/strandsgo/strands/internal/sandbox"
)

var generateConsoleCtrlEvent = syscall.NewLazyDLL("kernel32.dll").NewProc("GenerateConsoleCtrlEvent")

// launch starts the command with frames over its standard input and output,
// which the bootstrap puts elsewhere, and the output pipe on standard error.
// The process group of its own is what Ctrl-Break can be sent to.
func (p *plainProcess) launch() error {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirIn.Close()
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		ourOut.Close()
		return err
	}
	defer theirOut.Close()
	out, in, err := os.Pipe()
	if err != nil {
		ourOut.Close()
		ourIn.Close()
		return err
	}
	defer in.Close()
	p.cmd.Args = append(p.cmd.Args, "0", "1")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirIn, theirOut, in
	p.cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	if err := p.cmd.Start(); err != nil {
		ourOut.Close()
		ourIn.Close()
		out.Close()
		return err
	}
	p.conn, p.output = newPipeConn(ourIn, ourOut, p.kill), out
	return nil
}

// Interrupt sends Ctrl-Break, which the worker takes for SIGINT: Ctrl-C cannot
// be sent to one process group.
func (p *plainProcess) Interrupt() error {
	ok, _, err := generateConsoleCtrlEvent.Call(syscall.CTRL_BREAK_EVENT, uintptr(p.cmd.Process.Pid))
	if ok == 0 {
		return os.NewSyscallError("GenerateConsoleCtrlEvent", err)
	}
	return nil
}

func (p *plainProcess) wait() { _ = p.cmd.Wait() } // what it says is in ProcessState

func (p *plainProcess) kill() { _ = p.cmd.Process.Kill() }

func (p *plainProcess) CPU() (time.Duration, error) {
	h, err := syscall.OpenProcess(syscall.PROCESS_QUERY_INFORMATION, false, uint32(p.cmd.Process.Pid))
	if err != nil {
		return 0, os.NewSyscallError("OpenProcess", err)
	}
	defer syscall.CloseHandle(h)
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return 0, os.NewSyscallError("GetProcessTimes", err)
	}
	return filetimeSpan(kernel) + filetimeSpan(user), nil
}

// filetimeSpan is a length of time, which counts 100 ns, not a date.
func filetimeSpan(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}

func exitOf(s *os.ProcessState) sandbox.Exit {
	code := s.ExitCode()
	if name, ok := exceptionNames[uint32(code)]; ok {
		return sandbox.Exit{Code: -1, Signal: name}
	}
	return sandbox.Exit{Code: code}
}

// exceptionNames are the exit codes of crashes, under the names of the signals
// that they would be elsewhere.
var exceptionNames = map[uint32]string{
	0xC0000005: "SIGSEGV", 0xC00000FD: "SIGSEGV", 0xC000001D: "SIGILL", 0xC0000094: "SIGFPE", 0xC0000409: "SIGABRT",
}
