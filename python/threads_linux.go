package python

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// States of a thread, as /proc has them.
const (
	running = "R"  // or wants to: on a busy machine one that burns may get no time to speak of
	waiting = "D"  // for the disk
	dead    = "ZX" // and nobody has heard of it yet
)

// hasThread says whether a thread of the process is in one of the states. One
// that is not there at all is dead.
func hasThread(pid int, states string) bool {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return strings.Contains(states, dead)
	}
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/stat")
		if i := bytes.LastIndexByte(b, ')'); err == nil && i >= 0 && len(b) > i+2 && strings.IndexByte(states, b[i+2]) >= 0 {
			return true
		}
	}
	return false
}
