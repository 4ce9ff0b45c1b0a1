package pdf

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	workerMemory = 1 << 30         // bytes resident
	workerStall  = 8 * time.Second // of processor time without a page
	workerStart  = time.Minute     // likewise, until the first word and after the last page
	workerSleep  = 5 * time.Minute // by the clock, without a word
)

// job is what a worker is told on standard input.
type job struct {
	Source, Dir, Password string
	Title, Resource       string
	MaxLevels, MaxChars   int
	MaxPages, Workers     int
	Memory                int64
	TypeNames             map[int]string
}

// word is a line that a worker writes.
type word struct {
	Started     bool    `json:",omitempty"`
	Done, Total int     `json:",omitempty"`
	Report      *Report `json:",omitempty"`
	Reason      string  `json:",omitempty"` // of an Error
	Failure     string  `json:",omitempty"` // any other
}

// Worker does what a conversion with Options.Worker asks for on in, and
// answers on out. A program that calls it does nothing else.
func Worker(ctx context.Context, in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	debug.SetMemoryLimit(workerMemory * 3 / 4)
	enc := json.NewEncoder(out)
	e, err := newEngine(j.Workers, j.Memory) // the first time, it compiles the module: no page is to blame for that
	if err != nil {
		return enc.Encode(word{Failure: err.Error()})
	}
	if err := enc.Encode(word{Started: true}); err != nil {
		return errors.Join(err, e.close())
	}
	o := Options{
		Password: j.Password, Title: j.Title, Resource: j.Resource, MaxLevels: j.MaxLevels, MaxChars: j.MaxChars,
		MaxPages: j.MaxPages, Workers: j.Workers, Memory: j.Memory, TypeNames: j.TypeNames,
		Progress: func(done, total int) { _ = enc.Encode(word{Done: done, Total: total}) }, // the last word tells
	}
	report, err := convert(ctx, e, j.Source, j.Dir, o)
	last := word{Report: report}
	if e, ok := errors.AsType[*Error](err); ok {
		last.Reason = e.Reason
	} else if err != nil {
		last.Failure = err.Error()
	}
	return enc.Encode(last)
}

// runWorker has a process convert src to files in dir.
func runWorker(ctx context.Context, src, dir string, o Options) (*Report, error) {
	in, err := json.Marshal(job{
		src, dir, o.Password, o.Title, o.Resource, o.MaxLevels, o.MaxChars, o.MaxPages, o.Workers, o.Memory, o.TypeNames,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, o.Worker[0], o.Worker[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the worker: %w", err)
	}
	g := &guard{pid: cmd.Process.Pid, stop: func(reason string) { cancel(&Error{File: src, Reason: reason}) }, ended: make(chan struct{}), gone: make(chan struct{})}
	g.allow(workerStart)
	go g.watch()
	last := listen(out, g, o.Progress)
	waitErr := cmd.Wait()
	close(g.ended)
	<-g.gone
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case last.Reason != "":
		return nil, &Error{File: src, Reason: last.Reason}
	case last.Failure != "":
		return nil, errors.New(last.Failure)
	case last.Report == nil:
		return nil, &Error{File: src, Reason: "the process that converted it died", Err: cmp.Or(waitErr, io.ErrUnexpectedEOF)}
	}
	return last.Report, nil
}

// listen reads what a worker says until its end and returns the last word.
func listen(out io.Reader, g *guard, progress func(done, total int)) word {
	var last word
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var w word
		if json.Unmarshal(lines.Bytes(), &w) != nil {
			continue
		}
		stall := workerStall
		if w.Done > 0 && w.Done == w.Total {
			stall = workerStart // for carving and writing
		}
		g.allow(stall)
		if w.Done > 0 {
			progress(w.Done, w.Total)
		}
		last = w
	}
	if err := lines.Err(); err != nil {
		last = word{Failure: "reading what the worker says: " + err.Error()}
		_, _ = io.Copy(io.Discard, out) // else it would wait for a reader, and we for it
	}
	return last
}

// guard ends a worker that takes too much. A machine that is busy with other
// things makes nobody late: processor time counts, and the clock only for a
// worker that sleeps, and where the system does not tell.
type guard struct {
	pid         int
	stop        func(reason string)
	ended, gone chan struct{}

	mu    sync.Mutex
	since time.Time     // of the last word
	used  time.Duration // processor time at the first look after it; negative = not looked yet
	stall time.Duration // allowed since
}

// allow gives the worker that much from now on.
func (g *guard) allow(stall time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since, g.used, g.stall = time.Now(), -1, stall
}

func (g *guard) late() bool {
	used, known := processorTime(g.pid)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used < 0 {
		g.used = used
	}
	waited := time.Since(g.since)
	return waited > workerSleep || waited > g.stall && (!known || used-g.used > g.stall)
}

func (g *guard) watch() {
	defer close(g.gone)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.ended:
			return
		case <-tick.C:
			if resident(g.pid) > workerMemory {
				g.stop("reading it takes more than 1 GiB of memory")
				return
			}
			if g.late() {
				g.stop("reading one of its pages takes too long")
				return
			}
		}
	}
}

// clockTick is the unit of times in /proc, the same on all systems that Go
// runs on.
const clockTick = 10 * time.Millisecond

// processorTime returns what a process has used, where the system tells it.
func processorTime(pid int) (used time.Duration, known bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	_, after, _ := strings.Cut(string(b), ") ") // the name may hold blanks
	f := strings.Fields(after)
	if len(f) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * clockTick, err1 == nil && err2 == nil
}

// resident returns the memory of a process where the system tells it.
func resident(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
