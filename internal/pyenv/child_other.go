//go:build !linux

package pyenv

import "os/exec"

func runContained(cmd *exec.Cmd) error { return cmd.Run() }
