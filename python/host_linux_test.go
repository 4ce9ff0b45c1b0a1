package python

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// hostVariable makes this test program a host that waits to be killed.
const hostVariable = "PYTHON_TEST_HOST"

func TestMain(m *testing.M) {
	if os.Getenv(hostVariable) != "" {
		if err := holdOpen(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// held is what a killed host must not leave.
type held struct {
	Pids    []int
	Folders []string
}

// holdOpen opens sessions of a backend that are busy, says which, and waits.
func holdOpen() error {
	var i Interpreter = &Exec{Logger: quietly()}
	if part := os.Getenv(hostVariable); part != "exec" {
		b := &Sandboxed{Pool: 2, Logger: quietly()}
		if part == "filtered" {
			b.Level = LevelFiltered
		}
		if err := b.Prepare(context.Background(), Options{}); err != nil {
			return err
		}
		i = b
	}
	var h held
	for range 2 {
		s, err := i.Open(context.Background(), Options{})
		if err != nil {
			return err
		}
		l := s.(*session)
		h.Pids = append(h.Pids, l.wire.proc.Pid())
		if dir := l.wire.proc.Dir(); dir != "" {
			h.Folders = append(h.Folders, dir)
		}
		go func() {
			for range s.Exec(context.Background(), "import sys\nwhile True: pass") {
			}
		}()
	}
	if b, ok := i.(*Sandboxed); ok {
		h.Pids = append(h.Pids, b.waiting()...)
		for _, p := range b.parents {
			h.Pids = append(h.Pids, p.zygote.Pid())
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(h); err != nil {
		return err
	}
	select {}
}

// TestKilledHost kills the program while its sessions loop.
func TestKilledHost(t *testing.T) {
	for _, backend := range []string{"exec", "pool", "filtered"} {
		t.Run(backend, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), hostVariable+"="+backend)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadBytes('\n')
			var h held
			if err == nil {
				err = json.Unmarshal(line, &h)
			}
			if err != nil || len(h.Pids) < 2 {
				t.Errorf("%+v, %v", h, err)
			}
			cmd.Process.Kill()
			cmd.Wait()
			until(t, func() string {
				for _, pid := range h.Pids {
					if !gone(pid) {
						return fmt.Sprintf("process %d outlives its host", pid)
					}
				}
				return ""
			})
		})
	}
}

// gone reports whether a process has ended, reaped or not.
func gone(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	return len(f) > 0 && (f[0] == "Z" || f[0] == "X")
}

// TestWhatCPrints comes with the snippet that printed it.
func TestWhatCPrints(t *testing.T) {
	for _, i := range []Interpreter{&Sandboxed{Level: LevelNamespaces, Logger: quietly()}, &Sandboxed{Level: LevelFiltered, Logger: quietly()}, &Exec{Logger: quietly()}} {
		s, err := i.Open(t.Context(), Options{Libraries: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		res := mustExec(t, s, `import ctypes; n = ctypes.CDLL(None).printf(b"from C %d", 7)`)
		if res.Stderr != "from C 7" {
			t.Errorf("%T: stdout %q, stderr %q", i, res.Stdout, res.Stderr)
		}
		if res := mustExec(t, s, "print('next')"); res.Stdout != "next\n" || res.Stderr != "" {
			t.Errorf("%T: stdout %q, stderr %q", i, res.Stdout, res.Stderr)
		}
	}
}
