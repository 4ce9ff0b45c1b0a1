package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/sandbox"
)

// TestSoak opens, uses and closes 2,000 sessions from 8 goroutines. Nothing
// may grow: processes, descriptors, mounts, goroutines, cgroups, memory of this
// program and of the warm process.
func TestSoak(t *testing.T) {
	total := map[Level]int{LevelNamespaces: 1600, LevelFiltered: 400}
	if slow {
		total = map[Level]int{LevelNamespaces: 160, LevelFiltered: 80}
	}
	double := strands.NewTool("double", "", func(_ context.Context, in struct {
		N int `json:"n"`
	}) (int, error) {
		return 2 * in.N, nil
	})
	options := Options{Namespaces: []Namespace{{Functions: []strands.Tool{double}}}}
	for level, n := range total {
		t.Run(string(level), func(t *testing.T) {
			before := census(t)
			b := &Sandboxed{Level: level, Pool: 2, Logger: quietly()}
			soak(t, b, options, n/10) // what is made once is made
			early := footprint(t, b)
			soak(t, b, options, n-n/10)
			if late := footprint(t, b); late.host > early.host+4<<20 || late.zygote > early.zygote+2<<20 || late.files > early.files+4 {
				t.Errorf("after %d sessions %+v, after %d %+v", n/10, early, n, late)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			until(t, func() string {
				if after := census(t); after != before {
					return fmt.Sprintf("before: %s; after: %s", before, after)
				}
				return ""
			})
		})
	}
}

func soak(t *testing.T, b *Sandboxed, o Options, n int) {
	t.Helper()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for range 8 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				s, err := b.Open(t.Context(), o)
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				_, res, err := execAll(t.Context(), s, "open('f', 'w').write('x' * 10000)\nx = [double(21)] * 1000\nprint(x[7])")
				if err != nil || res.Stdout != "42\n" || len(res.Files) != 1 {
					t.Errorf("%+v, %v", res, err)
				}
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// weights are what may not grow while a backend works.
type weights struct {
	host, zygote uint64 // bytes
	files        int    // descriptors of the warm process
}

// footprint weighs a backend at rest, with its pool full.
func footprint(t *testing.T, b *Sandboxed) (w weights) {
	t.Helper()
	until(t, func() string {
		if n := len(b.waiting()); n < b.Pool {
			return fmt.Sprintf("%d of %d sessions are ready", n, b.Pool)
		}
		return ""
	})
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.host = m.HeapAlloc
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.parents {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.zygote.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var kb uint64
			if n, _ := fmt.Sscanf(line, "Private_Dirty: %d kB", &kb); n == 1 {
				w.zygote += kb << 10
			}
		}
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.zygote.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		w.files += len(fds)
	}
	return w
}

// census counts what a closed backend may not leave.
func census(t *testing.T) string {
	t.Helper()
	runtime.GC()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d descriptors, %d processes, %d goroutines, %d mounts, %d cgroups, %d folders", len(fds),
		len(descendants(os.Getpid())), runtime.NumGoroutine(), bytes.Count(mounts, []byte("\n")),
		len(cgroupsOf(t, os.Getpid())), len(foldersIn(t, os.TempDir())))
}

// descendants are the processes below one, by what /proc says of parents.
func descendants(root int) (pids []int) {
	children := map[int][]int{}
	found, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range found {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var pid, parent int
		var state string
		fmt.Sscan(string(data), &pid)
		fmt.Sscan(string(data[bytes.LastIndexByte(data, ')')+1:]), &state, &parent)
		children[parent] = append(children[parent], pid)
	}
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		pids = append(pids, children[todo[0]]...)
		todo = append(todo, children[todo[0]]...)
	}
	return pids
}

// cgroupsOf are the groups that a host made.
func cgroupsOf(t *testing.T, host int) (dirs []string) {
	t.Helper()
	mark := fmt.Sprintf("-%d-", host)
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "strands-") && strings.Contains(d.Name(), mark) {
			dirs = append(dirs, path)
		}
		return nil // what cannot be read is not ours
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// foldersIn are the folders of sessions that this user holds locked, or held.
func foldersIn(t *testing.T, dir string) (own []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "strands-session-*"))
	if err != nil {
		t.Fatal(err)
	}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && slices.Contains(found, filepath.Dir(to)) {
			own = append(own, to)
		}
	}
	return own
}

// TestKillsAtRandomPoints kills workers, ready ones and the warm process while
// sessions open, work and close: every call returns, nothing but the loss is
// told, and the backend works on.
func TestKillsAtRandomPoints(t *testing.T) {
	kills := 180
	if slow {
		kills = 40
	}
	before := census(t)
	b := &Sandboxed{Pool: 2, Logger: quietly()}
	if err := b.Prepare(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := survive(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := 0; i < kills; {
		pids := descendants(os.Getpid())
		if len(pids) == 0 {
			continue
		}
		// The warm process is the first: one in six.
		victim := pids[0]
		if rand.IntN(6) > 0 {
			victim = pids[rand.IntN(len(pids))]
		}
		if syscall.Kill(victim, syscall.SIGKILL) == nil {
			i++
		}
		time.Sleep(rand.N(30 * time.Millisecond))
	}
	close(done)
	wg.Wait()
	s, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatalf("the backend does not work any more: %v", err)
	}
	if res := mustExec(t, s, "6 * 7"); res.Value != "42" {
		t.Errorf("%+v", res)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	until(t, func() string {
		if after := census(t); after != before {
			return fmt.Sprintf("before: %s; after: %s", before, after)
		}
		return ""
	})
}

// survive uses a session whose processes may be killed at any moment.
func survive(ctx context.Context, b *Sandboxed) error {
	s, err := b.Open(ctx, Options{})
	if errors.Is(err, sandbox.ErrZygote) {
		return nil // killed twice while it opened
	}
	if err != nil && !strings.Contains(err.Error(), "ended") && !strings.Contains(err.Error(), "did not get ready") {
		return fmt.Errorf("Open: %w", err)
	}
	if err != nil {
		return nil
	}
	for i := range 3 {
		_, res, err := execAll(ctx, s, fmt.Sprintf("print(%d * 7)", i))
		switch {
		case err != nil && !errors.Is(err, sandbox.ErrZygote) && !strings.Contains(err.Error(), "as soon as it is started") &&
			!strings.Contains(err.Error(), "ended") && !strings.Contains(err.Error(), "did not get ready"):
			return fmt.Errorf("Exec: %w", err)
		case err != nil:
		case res.StateLost && (res.Lost == "" || res.Err != nil && res.Err.Type != "InterpreterLost"):
			return fmt.Errorf("a loss in other words: %+v", res)
		case res.Err == nil && res.Stdout != fmt.Sprintf("%d\n", i*7):
			return fmt.Errorf("a wrong answer: %+v", res)
		}
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("Close: %w", err)
	}
	return nil
}

// TestHostKilledAtRandomPoints kills the program itself, from its first moment
// on, twenty times.
func TestHostKilledAtRandomPoints(t *testing.T) {
	kills := 20
	if slow {
		kills = 6
	}
	for i := range kills {
		tmp := t.TempDir()
		if err := os.Chmod(tmp, 0o711); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), hostVariable+"="+[]string{"pool", "filtered"}[i%2], "TMPDIR="+tmp)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%4 == 0 { // at work
			if err := json.NewDecoder(out).Decode(new(held)); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(rand.N(250 * time.Millisecond))
		host := cmd.Process.Pid
		left := descendants(host)
		cmd.Process.Kill()
		cmd.Wait()
		until(t, func() string {
			for _, pid := range left {
				if !gone(pid) {
					return fmt.Sprintf("process %d is left", pid)
				}
			}
			if dirs := cgroupsOf(t, host); len(dirs) > 0 {
				return fmt.Sprintf("left: %s", dirs)
			}
			if found, _ := filepath.Glob(filepath.Join(tmp, "*")); len(found) > 0 {
				return fmt.Sprintf("left: %s", found)
			}
			return ""
		})
	}
}
