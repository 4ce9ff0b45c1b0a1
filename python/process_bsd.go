//go:build unix && !linux

package python

import "syscall"

// dieWithHost has no counterpart here: a worker whose host was killed ends at
// its next look at the socket, which code that never returns puts off.
func dieWithHost(*syscall.SysProcAttr) {}

// wait ends what the process started as soon as it has ended, when its number
// is as good as certainly nobody else's.
func (p *plainProcess) wait() {
	_ = p.cmd.Wait() // what it says is in ProcessState
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killGroup()
	p.ended = true
}
