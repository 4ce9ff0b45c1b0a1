package python

import (
	"bytes"
	"fmt"
	"os"
)

// runnable says whether a thread of the process runs or wants to: on a busy
// machine one that burns may get no time to speak of.
func runnable(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/stat")
		if i := bytes.LastIndexByte(b, ')'); err == nil && i >= 0 && bytes.HasPrefix(b[i:], []byte(") R")) {
			return true
		}
	}
	return false
}
