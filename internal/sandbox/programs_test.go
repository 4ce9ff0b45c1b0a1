//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrograms(t *testing.T) {
	z := start(t, Config{Processes: true})
	if got := z.Report().Processes; got != "contained" {
		t.Errorf("processes %q, want contained", got)
	}
	b := fork(t, z, SessionConfig{Limits: Limits{Threads: 10}})
	got := b.run(t, `
import subprocess, os
print(subprocess.run("echo $((6 * 7)) > f && cat f | tr 4 5; id -u; ls /bin/sh", shell=True, capture_output=True, text=True, check=True).stdout)`)
	if !strings.HasPrefix(got, "52\n1000\n") || !strings.Contains(got, "/bin/sh") {
		t.Errorf("the shell says %q", got)
	}
	if got := b.run(t, `
p = os.fork()
if p == 0:
    os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))`); got != "4\n" {
		t.Errorf("a fork ended with %q", got)
	}
	b.raises(t, `
ps = []
try:
    while True: ps.append(subprocess.Popen(["sleep", "100"]))
finally:
    for p in ps: p.kill(); p.wait()`, "Resource temporarily unavailable")
}

// TestProgramsEndWithTheSession starts one that does all to survive.
func TestProgramsEndWithTheSession(t *testing.T) {
	b := fork(t, start(t, Config{Processes: true}), SessionConfig{})
	mark := fmt.Sprintf("1%08d", os.Getpid())
	b.run(t, fmt.Sprintf(`
import subprocess
subprocess.run("(trap '' HUP TERM INT; setsid nohup sleep %s >/dev/null 2>&1 &) ; exit 0", shell=True, check=True)`, mark))
	running := func() int {
		n := 0
		found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range found {
			if data, err := os.ReadFile(f); err == nil && string(data) == "sleep\x00"+mark+"\x00" {
				n++
			}
		}
		return n
	}
	eventually(t, func() string {
		if running() != 1 {
			return "the program does not run"
		}
		return ""
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if running() != 0 {
		t.Error("the program outlives its session")
	}
}
