//go:build unix

package python

import "syscall"

// canPark says whether a process can be stopped and continued here.
const canPark = true

func stopProcess(pid int) error     { return syscall.Kill(pid, syscall.SIGSTOP) }
func continueProcess(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }
