package agentcore

import (
	"bytes"
	"os"
	"strconv"
)

// freeMemory is how many bytes can still be used without anything being
// killed; false where that cannot be found out.
func freeMemory() (int64, bool) {
	status, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	free, ok := int64(0), false
	for line := range bytes.Lines(status) {
		if rest, found := bytes.CutPrefix(line, []byte("MemAvailable:")); found {
			n, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			free, ok = n<<10, err == nil
		}
	}
	// A container has less than the machine.
	limit, used := cgroupBytes("memory.max"), cgroupBytes("memory.current")
	if limit >= 0 && used >= 0 {
		left := max(0, limit-used+reclaimable())
		if !ok || left < free {
			free, ok = left, true
		}
	}
	return free, ok
}

// cgroupBytes reads a figure of the control group that is this container's
// root; -1 when there is none.
func cgroupBytes(name string) int64 {
	text, err := os.ReadFile("/sys/fs/cgroup/" + name)
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return -1 // "max"
	}
	return n
}

// reclaimable is what of the control group's memory is the cache of files that
// nobody uses.
func reclaimable() int64 {
	text, err := os.ReadFile("/sys/fs/cgroup/memory.stat")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("inactive_file ")); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
			return n
		}
	}
	return 0
}
