package pyenv

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent keeps an installer from writing on after this program was
// killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// runContained runs cmd on a thread that lives as long as it does: the kernel
// sends the death signal when the thread that started the process ends.
func runContained(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
