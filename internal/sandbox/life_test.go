//go:build linux

package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// helperVariable makes this test program play a part instead of testing.
const helperVariable = "SANDBOX_TEST_HELPER"

func TestMain(m *testing.M) {
	var err error
	switch part := os.Getenv(helperVariable); part {
	case "":
		os.Exit(m.Run())
	case "hold":
		err = hold()
	case "no-namespaces":
		err = withoutNamespaces()
	default:
		err = errors.New("unknown part " + part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// helper starts this program in a part.
func helper(t *testing.T, part string, attr *syscall.SysProcAttr, env ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	py, err := json.Marshal(python(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, helperVariable+"="+part, pythonVariable+"="+string(py))...)
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

// held is what a killed program must not leave.
type held struct {
	Pids    []int
	Folders []string
}

// hold opens sessions that are busy in several ways, says which, and waits to
// be killed.
func hold() error {
	py, err := testPython()
	if err != nil {
		return err
	}
	z, err := Start(context.Background(), Config{Python: py, Worker: testWorker, Level: Level(os.Getenv("LEVEL"))})
	if err != nil {
		return err
	}
	h := held{Pids: []int{z.Pid()}}
	for _, code := range []string{"import time; time.sleep(100)", "while True: pass", "open('f', 'w').write('x' * 100000)"} {
		p, err := z.Fork(context.Background(), SessionConfig{})
		if err != nil {
			return err
		}
		go io.Copy(io.Discard, p.Output())
		go ask(p.Conn(), code)
		h.Pids = append(h.Pids, p.Pid())
		if p.Dir() != "" {
			h.Folders = append(h.Folders, p.Dir())
		}
	}
	if z.level == LevelNamespaces {
		p, err := z.Fork(context.Background(), SessionConfig{})
		if err != nil {
			return err
		}
		f, err := forkWith(context.Background(), &box{Process: p}, forkCode)
		if err != nil {
			return err
		}
		keeper, err := pidOf(p.(*session).family.keeper)
		if err != nil {
			return err
		}
		h.Pids = append(h.Pids, p.Pid(), f.Pid(), keeper)
	}
	if z.folder != nil {
		h.Folders = append(h.Folders, z.folder.path)
	}
	h.Folders = append(h.Folders, z.groups.folders()...)
	if err := json.NewEncoder(os.Stdout).Encode(h); err != nil {
		return err
	}
	select {}
}

// TestKilledProgramLeavesNothing kills the program that has sessions open.
func TestKilledProgramLeavesNothing(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		for range 5 {
			cmd, out := helper(t, "hold", nil, "LEVEL="+string(level))
			var h held
			line, err := out.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(line, &h); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // at a random point
			cmd.Process.Kill()
			cmd.Wait()
			eventually(t, func() string {
				for _, pid := range h.Pids {
					if !gone(pid) {
						return fmt.Sprintf("process %d is left", pid)
					}
				}
				for _, f := range h.Folders {
					if _, err := os.Lstat(f); err == nil {
						return f + " is left"
					}
				}
				return ""
			})
		}
	})
}

// gone reports whether a process has ended, reaped by its parent or not.
func gone(pid int) bool {
	f, err := statFields(pid)
	return err != nil || f[0] == "Z" || f[0] == "X"
}

// eventually fails the test when what is wrong stays so.
func eventually(t *testing.T, wrong func() string) {
	t.Helper()
	var w string
	for range 6000 { // a minute
		if w = wrong(); w == "" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(w)
}

func TestKilledZygoteEndsItsSessions(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		busy, idle := fork(t, z, SessionConfig{}), fork(t, z, SessionConfig{})
		go ask(busy.Conn(), "while True: pass")
		if err := syscall.Kill(z.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for _, b := range []*box{busy, idle} {
			e, err := b.wait(t)
			if !errors.Is(err, ErrZygote) || e.Signal != "SIGKILL" {
				t.Errorf("Wait: %+v, %v; want ErrZygote", e, err)
			}
			if !gone(b.Pid()) {
				t.Errorf("%s is left", b)
			}
		}
		<-z.Done()
		if _, err := z.Fork(t.Context(), SessionConfig{}); !errors.Is(err, ErrZygote) {
			t.Errorf("Fork after the end: %v, want ErrZygote", err)
		}
	})
}

// TestKillsAtRandomPoints kills sessions while they open, work and close, and
// now and then their parent: whatever happens, every call returns.
func TestKillsAtRandomPoints(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		for range 4 {
			z := start(t, Config{Level: level, NoCgroup: true})
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 25 {
						p, err := z.Fork(t.Context(), SessionConfig{})
						if errors.Is(err, ErrZygote) {
							return
						}
						if err != nil {
							t.Errorf("Fork: %v", err)
							return
						}
						wg.Go(func() { io.Copy(io.Discard, p.Output()) })
						wg.Go(func() { ask(p.Conn(), "while True: pass") })
						time.Sleep(rand.N(3 * time.Millisecond))
						if rand.IntN(2) == 0 {
							syscall.Kill(p.Pid(), syscall.SIGKILL)
						}
						if err := p.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
						if _, err := p.Wait(t.Context()); err != nil && !errors.Is(err, ErrZygote) {
							t.Errorf("Wait: %v", err)
						}
					}
				})
			}
			time.Sleep(rand.N(100 * time.Millisecond))
			syscall.Kill(z.Pid(), syscall.SIGKILL)
			wg.Wait()
		}
	})
}

func TestExit(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		for _, c := range []struct {
			code string
			want Exit
		}{
			{"import os; os._exit(3)", Exit{Code: 3}},
			{"import os; os.close(3)", Exit{Code: 1}},
			{"import ctypes; ctypes.string_at(0)", Exit{Code: -1, Signal: "SIGSEGV"}},
		} {
			b := fork(t, z, SessionConfig{})
			ask(b.Conn(), c.code)
			e, err := b.wait(t)
			e.CPU = 0
			if err != nil || e != c.want {
				t.Errorf("%s: %+v, %v; want %+v", c.code, e, err, c.want)
			}
			b.Close()
			<-b.drained
			if c.want.Signal == "SIGSEGV" && !strings.Contains(b.written.String(), "Fatal Python error: Segmentation fault") {
				t.Errorf("no trace of the crash: %q", b.written)
			}
		}
		b := fork(t, z, SessionConfig{})
		ask(b.Conn(), "import os; os.abort()")
		if e, err := b.wait(t); err != nil || e.Signal == "" {
			t.Errorf("abort: %+v, %v", e, err)
		}
	})
}

func TestInterruptAndCPU(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		b := fork(t, start(t, Config{Level: level}), SessionConfig{})
		b.run(t, "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)")
		started := make(chan struct{})
		go func() {
			close(started)
			for { // until the loop has begun and is interrupted
				if c, err := b.CPU(); err != nil || c > 100*time.Millisecond {
					b.Interrupt()
					return
				}
			}
		}()
		<-started
		if a, err := ask(b.Conn(), "while True: pass"); err != nil || !strings.HasPrefix(a.Err, "KeyboardInterrupt") {
			t.Errorf("%+v, %v; want KeyboardInterrupt", a, err)
		}
		b.Close()
		if err := b.Interrupt(); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("Interrupt after Close: %v", err)
		}
	})
}

// TestNothingLeaks opens and closes many sessions from many goroutines.
func TestNothingLeaks(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		start(t, Config{Level: level}).Close() // what is made once is made
		before := resources(t)
		z, err := Start(t.Context(), Config{Python: python(t), Worker: testWorker, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 15 {
					p, err := z.Fork(t.Context(), SessionConfig{})
					if err != nil {
						t.Errorf("Fork: %v", err)
						return
					}
					if a, err := ask(p.Conn(), "open('f', 'w').write('x'); print(1)"); err != nil || a.Out != "1\n" {
						t.Errorf("%+v, %v", a, err)
					}
					if err := p.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if n, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", z.Pid())); err == nil && len(n) > 16 {
			t.Errorf("the zygote holds %d descriptors", len(n))
		}
		folders := z.groups.folders()
		if z.folder != nil {
			folders = append(folders, z.folder.path)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			if _, err := os.Lstat(f); err == nil {
				t.Errorf("%s is left", f)
			}
		}
		eventually(t, func() string {
			if after := resources(t); after != before {
				return fmt.Sprintf("before: %s, after: %s", before, after)
			}
			return ""
		})
	})
}

// resources counts what must not grow.
func resources(t *testing.T) string {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	children := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		var pid int
		fmt.Sscanf(path, "/proc/%d/stat", &pid)
		if f, err := statFields(pid); err == nil && f[1] == fmt.Sprint(os.Getpid()) {
			children++
		}
	}
	return fmt.Sprintf("%d descriptors, %d children, %d goroutines, %d mounts",
		len(fds), children, runtime.NumGoroutine(), strings.Count(string(mounts), "\n"))
}

// withoutNamespaces says what can be had where no user namespace can be made.
func withoutNamespaces() error {
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return err
	}
	py, err := testPython()
	if err != nil {
		return err
	}
	cfg := Config{Python: py, Worker: testWorker, Level: LevelNamespaces}
	_, demanded := Start(context.Background(), cfg)
	var le *LevelError
	if !errors.As(demanded, &le) {
		return fmt.Errorf("demanding namespaces: %w", demanded)
	}
	cfg.Level = ""
	z, err := Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	defer z.Close()
	p, err := z.Fork(context.Background(), SessionConfig{})
	if err != nil {
		return err
	}
	defer p.Close()
	a, err := ask(p.Conn(), "import os; print(os.getuid()); open('f', 'w'); open('/etc/passwd')")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"report": p.Report(), "error": demanded.Error(), "answer": a})
}

// TestFallsBackWithoutNamespaces runs in user namespaces that forbid further
// ones, as a container does.
func TestFallsBackWithoutNamespaces(t *testing.T) {
	needs(t, LevelFiltered)
	own := []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	cases := map[string]*syscall.SysProcAttr{
		"one id": {Cloneflags: syscall.CLONE_NEWUSER, UidMappings: own, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}},
	}
	if os.Getuid() == 0 {
		ids := []syscall.SysProcIDMap{{Size: 65536}}
		cases["a container's ids"] = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		}
	}
	for name, attr := range cases {
		t.Run(name, func(t *testing.T) {
			cmd, out := helper(t, "no-namespaces", attr)
			var got struct {
				Report Report
				Error  string
				Answer answer
			}
			if err := json.NewDecoder(out).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if got.Report.Level != LevelFiltered || !strings.HasPrefix(got.Answer.Err, "PermissionError") {
				t.Errorf("%s; %+v", got.Report, got.Answer)
			}
			reason := "level namespaces: user namespaces: clone: no space left on device"
			if !slices.Contains(got.Report.Missing, reason) || !strings.Contains(got.Error, reason) {
				t.Errorf("the reason %q is missing: %q; %s", reason, got.Report.Missing, got.Error)
			}
			wantThreads, ownUser := "shared", strings.TrimSpace(got.Answer.Out) != "0"
			if len(attr.UidMappings) == 1 && attr.UidMappings[0].Size > 1 {
				wantThreads = "own"
			}
			if got.Report.Threads != wantThreads || ownUser != (wantThreads == "own") {
				t.Errorf("threads %s, want %s; user %s", got.Report.Threads, wantThreads, got.Answer.Out)
			}
		})
	}
}
