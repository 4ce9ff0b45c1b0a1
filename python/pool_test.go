//go:build linux

package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/strandsgo/strands"
)

func quietly() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pidOf is that of a session's process.
func pidOf(t *testing.T, s Session) int {
	t.Helper()
	l := s.(*session)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wire == nil {
		t.Fatal("the session has no process")
	}
	return l.wire.proc.Pid()
}

// waiting are the processes that are ready, of all kinds.
func (b *Sandboxed) waiting() (pids []int) {
	b.mu.Lock()
	p := b.pool
	b.mu.Unlock()
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kinds {
		for _, one := range k.ready {
			pids = append(pids, one.w.proc.Pid())
		}
	}
	return pids
}

func ended(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// until fails the test when what is wrong stays so.
func until(t *testing.T, wrong func() string) {
	t.Helper()
	var w string
	for range 12000 { // a minute
		if w = wrong(); w == "" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(w)
}

func TestPool(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Pool: 2, Logger: quietly()})
	if err := b.Prepare(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	ready := b.waiting()
	if len(ready) != 2 {
		t.Fatalf("%d sessions are ready, want 2", len(ready))
	}
	s, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if pid := pidOf(t, s); !slices.Contains(ready, pid) {
		t.Errorf("process %d was made anew; ready were %v", pid, ready)
	}
	if res := mustExec(t, s, "import random\nx = random.random()\nx"); res.Err != nil {
		t.Error(res.Err)
	}
	until(t, func() string {
		if n := len(b.waiting()); n != 2 {
			return "it was not replaced"
		}
		return ""
	})
	// What stays the same is that every session is its own.
	other, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if res := mustExec(t, other, "x"); res.Err == nil || res.Err.Type != "NameError" {
		t.Errorf("another session knows x: %+v", res)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready = b.waiting()
	if mustExec(t, s, "1"); !slices.Contains(ready, pidOf(t, s)) {
		t.Error("Reset makes a process anew")
	}

	// Other options are another kind.
	narrow, err := b.Open(t.Context(), Options{Limits: Limits{OpenFiles: 99}})
	if err != nil {
		t.Fatal(err)
	}
	if res := mustExec(t, narrow, "n = 0\ntry:\n    fs = []\n    while True: fs.append(open('/dev/null')); n += 1\nexcept OSError: fs = []\nn"); res.Err != nil || len(res.Value) != 2 {
		t.Errorf("%+v", res)
	}
	var pids []int
	until(t, func() string {
		if pids = b.waiting(); len(pids) != 4 {
			return "two kinds with two sessions each are not ready"
		}
		return ""
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if !ended(pid) {
			t.Errorf("process %d outlives Close", pid)
		}
	}
	if _, err := b.Open(t.Context(), Options{}); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("Open after Close: %v", err)
	}
}

// TestPoolSeparatesSeeds: sessions that were made in advance draw their own
// random numbers.
func TestPoolSeparatesSeeds(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Pool: 3, Logger: quietly()})
	if err := b.Prepare(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for range 3 {
		s, err := b.Open(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		drawn[mustExec(t, s, "import random; random.random()").Value] = true
	}
	if len(drawn) != 3 {
		t.Errorf("sessions draw the same: %v", drawn)
	}
}

// TestPoolReplacesTheDead kills ready sessions, then the warm process.
func TestPoolReplacesTheDead(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Pool: 2, Logger: quietly()})
	if err := b.Prepare(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	fresh := func(old []int) {
		t.Helper()
		until(t, func() string {
			now := b.waiting()
			if len(now) != 2 || slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(old, pid) }) {
				return "the dead are not replaced"
			}
			return ""
		})
	}
	old := b.waiting()
	for _, pid := range old {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	fresh(old)
	b.mu.Lock()
	for _, p := range b.parents {
		old = append(b.pool.kindPids(), p.zygote.Pid())
		syscall.Kill(p.zygote.Pid(), syscall.SIGKILL)
	}
	b.mu.Unlock()
	fresh(old)
	s, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, s, "1")
	// One that dies at the moment it is taken costs the caller nothing but time.
	until(t, func() string {
		if len(b.waiting()) != 2 {
			return "not refilled"
		}
		return ""
	})
	p, key := b.poolOf(s.(*session))
	w := p.take(key)
	syscall.Kill(w.proc.Pid(), syscall.SIGKILL)
	if _, err := w.proc.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	s2, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s2.(*session).mu.Lock()
	taken := s2.(*session).wire
	s2.(*session).wire = w
	s2.(*session).mu.Unlock()
	defer taken.close()
	if res := mustExec(t, s2, "7"); res.Value != "7" || res.StateLost {
		t.Errorf("%+v", res)
	}
}

func (p *pool) kindPids() (pids []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kinds {
		for _, one := range k.ready {
			pids = append(pids, one.w.proc.Pid())
		}
	}
	return pids
}

// TestPoolUnderLoad takes more than there is from many goroutines: everybody
// is served, and afterwards it is full again.
func TestPoolUnderLoad(t *testing.T) {
	before := runtime.NumGoroutine()
	b := &Sandboxed{Pool: 3, Logger: quietly()}
	if err := b.Prepare(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 12 {
				s, err := b.Open(t.Context(), Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if _, res, err := execAll(t.Context(), s, "6 * 7"); err != nil || res.Value != "42" {
					t.Errorf("%+v, %v", res, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	until(t, func() string {
		if len(b.waiting()) != 3 {
			return "the pool is not full again"
		}
		return ""
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, func() string {
		if n := runtime.NumGoroutine(); n > before {
			buf := make([]byte, 1<<16)
			return string(buf[:runtime.Stack(buf, true)])
		}
		return ""
	})
}

// TestPoolTriesAgain: what cannot be made now can be later, is said once, and
// Close does not wait for it.
func TestPoolTriesAgain(t *testing.T) {
	var log bytes.Buffer
	p := newPool(1, slog.New(slog.NewTextHandler(&log, nil)))
	var tries atomic.Int32
	works := errors.New("not yet")
	k := p.want("kind", func(ctx context.Context) (*wire, error) {
		if tries.Add(1) < 4 {
			return nil, works
		}
		<-ctx.Done() // hangs until Close
		return nil, context.Cause(ctx)
	})
	if err := p.wait(t.Context(), k); !errors.Is(err, works) {
		t.Errorf("wait: %v", err)
	}
	until(t, func() string {
		if tries.Load() < 4 {
			return "it was not tried again"
		}
		return ""
	})
	p.close()
	if n := strings.Count(log.String(), "could not be made"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if p.take("kind") != nil || p.want("kind", nil) != nil {
		t.Error("a closed pool gives")
	}
}

// TestPoolForgetsOldKinds: the number of kinds is bounded.
func TestPoolForgetsOldKinds(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Pool: 1, Logger: quietly()})
	var first []int
	for i := range poolKinds + 1 {
		if err := b.Prepare(t.Context(), Options{Limits: Limits{Files: 100 + i}}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b.waiting()
		}
	}
	until(t, func() string {
		if n := len(b.waiting()); n != poolKinds || !ended(first[0]) {
			return "the oldest kind is kept"
		}
		return ""
	})
}

// TestPoolOfBinds: what is made for one session is never kept ready.
func TestPoolOfBinds(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Pool: 1, Logger: quietly()})
	if _, err := b.Open(t.Context(), Options{Binds: []Bind{{Source: inputs(t)}}}); err != nil {
		t.Fatal(err)
	}
	if got := b.waiting(); len(got) > 0 || b.pool != nil {
		t.Errorf("ready: %v", got)
	}
}

// TestPoolKinds: whatever of the Options the process knows makes a kind.
func TestPoolKinds(t *testing.T) {
	b := &Sandboxed{Pool: 1}
	defer b.Close()
	keys := map[string]string{}
	for name, o := range map[string]Options{
		"none": {}, "libraries": {Libraries: []string{"os"}}, "requirements": {Requirements: []string{"six"}},
		"preload": {Preload: []string{"json"}}, "init": {InitializationCode: []string{"x = 1"}},
		"modules": {Modules: []Module{{Name: "m", Source: "x = 1"}}}, "output": {Limits: Limits{Output: 10}},
		"memory": {Limits: Limits{Memory: 1 << 30}}, "cpu": {Limits: Limits{CPU: time.Minute}}, "disk": {Limits: Limits{Disk: 1 << 20}},
		"files": {Limits: Limits{Files: 5}}, "open files": {Limits: Limits{OpenFiles: 50}}, "threads": {Limits: Limits{Threads: 5}},
		"figures": {NoFigures: true}, "functions": {Namespaces: []Namespace{{Functions: []strands.Tool{
			strands.NewTool("f", "", func(context.Context, struct{}) (int, error) { return 0, nil })}}}},
	} {
		s, err := newSession(o, true)
		if err != nil {
			t.Fatal(err)
		}
		_, key := b.poolOf(s)
		if !json.Valid([]byte(key)) {
			t.Errorf("%s: no key", name)
		}
		if other, ok := keys[key]; ok {
			t.Errorf("%s and %s are one kind", name, other)
		}
		keys[key] = name
	}
}

// TestPooledSessionsTakeBigData: what a session may hold is known to one that
// was made in advance too.
func TestPooledSessionsTakeBigData(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Pool: 1, Logger: quietly()})
	fetch := strands.NewTool("fetch", "", func(context.Context, struct{}) ([]byte, error) { return make([]byte, 5<<20), nil })
	o := Options{Namespaces: []Namespace{{Functions: []strands.Tool{fetch}}}}
	if err := b.Prepare(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ready := b.waiting()
	s, err := b.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if res := mustExec(t, s, "len(fetch())"); res.Value != "5242880" || !slices.Contains(ready, pidOf(t, s)) {
		t.Errorf("%+v", res)
	}
}

// BenchmarkPooledOpen is Open of a session that waited, and its first answer.
func BenchmarkPooledOpen(b *testing.B) {
	i := &Sandboxed{Pool: 8, Logger: quietly()}
	defer i.Close()
	o := Options{}
	if os.Getenv("POOL_BENCH_PANDAS") != "" {
		o = Options{Requirements: []string{"numpy", "pandas"}, Preload: []string{"numpy", "pandas"}}
	}
	if err := i.Prepare(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	var times []time.Duration
	for b.Loop() {
		b.StopTimer()
		for len(i.waiting()) < 8 {
			time.Sleep(time.Millisecond)
		}
		b.StartTimer()
		began := time.Now()
		s, err := i.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1000, "p99-µs")
}

// TestPrepareMeetsClose: a pool that was closed in between takes no kind.
func TestPrepareMeetsClose(t *testing.T) {
	p := newPool(1, quietly())
	p.close()
	k := p.want("kind", func(context.Context) (*wire, error) { return nil, errors.New("nobody asks") })
	if err := p.wait(t.Context(), k); !errors.Is(err, strands.ErrClosed) {
		t.Errorf("waiting for it: %v", err)
	}
}
