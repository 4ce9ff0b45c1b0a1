package python

import "syscall"

// dieWithHost ends the process with the thread that starts it.
func dieWithHost(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
