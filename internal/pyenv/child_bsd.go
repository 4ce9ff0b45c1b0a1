//go:build unix && !linux

package pyenv

import "syscall"

// dieWithParent has no counterpart here: an installer that outlives a killed
// program fills a temporary folder that the next one removes.
func dieWithParent(*syscall.SysProcAttr) {}
