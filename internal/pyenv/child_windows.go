package pyenv

import (
	"os/exec"
	"strconv"
)

// contain makes the end of cmd's context kill it with all it started.
func contain(cmd *exec.Cmd) {
	cmd.Cancel = func() error {
		if exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run() == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
}
