//go:build unix

package pyenv_test

import "syscall"

func restrictUmask() { syscall.Umask(0o077) }
