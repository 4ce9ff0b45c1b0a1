//go:build unix && !linux

package python

import "syscall"

// dieWithHost has no counterpart here: a worker whose host was killed ends at
// its next look at the socket, which code that never returns puts off.
func dieWithHost(*syscall.SysProcAttr) {}
