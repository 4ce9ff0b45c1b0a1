package python

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithHost ends the process with the thread that starts it.
func dieWithHost(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// wait ends what the process started before its number is given up: afterwards
// a stranger's group may have it.
func (p *plainProcess) wait() {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	if err != nil { // a filter of this machine, say: the number is given up a moment too early
		_ = p.cmd.Wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killGroup()
	p.ended = true
	_ = p.cmd.Wait() // what it says is in ProcessState
}
