package pyenv

import "syscall"

// dieWithParent keeps an installer from writing on after this program was
// killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
