//go:build linux

package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// raises runs code that must raise, with the state kept.
func (b *box) raises(t *testing.T, code, want string) {
	t.Helper()
	b.run(t, "kept = 7")
	a, err := ask(b.Conn(), code)
	if err != nil {
		e, werr := b.wait(t)
		t.Fatalf("the session ended: %v; %+v %v; it wrote: %s", err, e, werr, b.written)
	}
	if !strings.Contains(a.Err, want) {
		t.Errorf("got %q, want %s", a.Err, want)
	}
	if got := b.run(t, "print(kept)"); got != "7\n" {
		t.Errorf("the state is not kept: %q", got)
	}
}

func TestLimitsKeepState(t *testing.T) {
	const mib = 1 << 20
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		own := z.Report().Threads == "own"
		b := fork(t, z, SessionConfig{Limits: Limits{Memory: 512 * mib, Disk: 4 * mib, Files: 50, OpenFiles: 40, Threads: 12}})
		t.Run("memory", func(t *testing.T) { b.raises(t, "x = bytearray(1 << 30)", "MemoryError") })
		t.Run("disk", func(t *testing.T) {
			want := "No space left"
			if level == LevelFiltered {
				want = "File too large"
			}
			b.raises(t, "open('big', 'wb').write(bytes(5 << 20))", want)
			b.run(t, "import os; os.remove('big')")
		})
		t.Run("descriptors", func(t *testing.T) {
			b.raises(t, "fs = []\nwhile True: fs.append(os.open('/dev/null', os.O_RDONLY))", "Too many open files")
			b.run(t, "for f in fs: os.close(f)")
		})
		t.Run("threads", func(t *testing.T) {
			if !own {
				t.Log("shared with the user's other processes: bounded by memory only")
				return
			}
			b.raises(t, `
import threading
stop = threading.Event()
try:
    for i in range(100): threading.Thread(target=stop.wait).start()
finally: stop.set(); n = i`, "can't start new thread")
			if got := b.run(t, "print(n)"); got != "11\n" {
				t.Errorf("%s threads beside the first, want 11", strings.TrimSpace(got))
			}
		})
		if level == LevelFiltered {
			return
		}
		t.Run("both folders share the quota", func(t *testing.T) {
			b.raises(t, "open('/tmp/a', 'wb').write(bytes(3 << 20)); open('/work/b', 'wb').write(bytes(3 << 20))", "No space left")
			b.run(t, "os.remove('/tmp/a'); os.remove('/work/b')")
		})
		t.Run("files", func(t *testing.T) {
			b.raises(t, "for i in range(100): open(f'/work/f{i}', 'w')", "No space left")
		})
	})
}

func TestThreadLimitsAreOfOneSession(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	code := "import threading, time\nfor i in range(6): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
	for range 8 {
		fork(t, z, SessionConfig{Limits: Limits{Threads: 8}}).run(t, code)
	}
}

func TestCPULimitEndsTheSession(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		b := fork(t, start(t, Config{Level: level}), SessionConfig{Limits: Limits{CPU: time.Second}})
		if _, err := ask(b.Conn(), "while True: pass"); err == nil {
			t.Error("the loop ended")
		}
		e, err := b.wait(t)
		if err != nil || e.Signal != "SIGKILL" || !e.Time || e.Memory || e.Code != -1 {
			t.Errorf("Exit %+v, %v", e, err)
		}
		if e.CPU < 750*time.Millisecond || e.CPU > 3*time.Second {
			t.Errorf("%v of processor time, want about 1 s", e.CPU)
		}
	})
}

// TestCgroupCountsWhatAddressSpaceDoesNot fills the address space, the tmpfs
// and pipes, each below its own limit.
func TestCgroupCountsWhatAddressSpaceDoesNot(t *testing.T) {
	z := start(t, Config{})
	if z.Report().Memory != "cgroup" {
		if len(z.Report().Missing) == 0 {
			t.Error("no cgroup and no reason")
		}
		t.Skipf("no writable cgroup here: %s", z.Report())
	}
	b := fork(t, z, SessionConfig{Limits: Limits{Memory: 200 << 20, Disk: 32 << 20, OpenFiles: 2048}})
	_, err := ask(b.Conn(), `
import os, mmap
page, pipes, maps = bytes(65536), [], []
chunk = memoryview(bytes(1 << 20))
file = open("/tmp/a", "wb", buffering=0)
for i in range(31): file.write(chunk)
try:
    while True:
        m = mmap.mmap(-1, 1 << 20)
        m.write(chunk)
        maps.append(m)
except (OSError, MemoryError): pass
while True:
    r, w = os.pipe()
    os.set_blocking(w, False)
    os.write(w, page)
`)
	if err == nil {
		t.Fatal("the session goes on")
	}
	if e, err := b.wait(t); err != nil || e.Signal != "SIGKILL" || !e.Memory || e.Time {
		t.Errorf("Exit %+v, %v", e, err)
	}
}

func TestReport(t *testing.T) {
	want := map[Level]Report{
		LevelNamespaces: {
			Level: LevelNamespaces, FilesRead: "listed", FilesWrite: "session", FileMetadata: "hidden", Network: "none",
			UnixSockets: "none", Processes: "none", Forks: "asked", Threads: "own", Signals: "own", CPU: "rlimit", Disk: "quota",
			Kernel: "allowlist", ProcFS: "own",
		},
		LevelFiltered: {
			Level: LevelFiltered, FilesRead: "listed", FilesWrite: "session", FileMetadata: "visible", Network: "none",
			UnixSockets: "none", Processes: "none", Forks: "none", Signals: "own", CPU: "rlimit", Disk: "per-file",
			Kernel: "allowlist", ProcFS: "none",
		},
	}
	levels(t, func(t *testing.T, level Level) {
		got := start(t, Config{Level: level}).Report()
		if got.Landlock != landlock() || !slices.Contains([]string{"cgroup", "rlimit"}, got.Memory) {
			t.Errorf("landlock %d, memory %q", got.Landlock, got.Memory)
		}
		if level == LevelFiltered {
			if got.Threads != "own" && got.Threads != "shared" {
				t.Errorf("threads %q", got.Threads)
			}
			got.Threads = ""
		}
		if got.Memory == "rlimit" && len(got.Missing) == 0 {
			t.Error("memory is rlimit and no reason is given")
		}
		got.Memory, got.Landlock, got.Missing = "", 0, nil
		if got.String() != want[level].String() {
			t.Errorf("got  %s\nwant %s", got, want[level])
		}
	})
	t.Run("no limits", func(t *testing.T) {
		b := fork(t, start(t, Config{}), SessionConfig{Limits: Limits{Memory: -1, CPU: -1, Disk: -1, Threads: -1, Files: -1}})
		r := b.Report()
		if r.Memory != "none" || r.CPU != "none" || r.Disk != "none" || r.Threads != "unlimited" {
			t.Errorf("got %s", r)
		}
		b.run(t, "x = bytearray(1 << 20); open('f', 'wb').write(x)")
	})
}
