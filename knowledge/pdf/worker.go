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
	"sync/atomic"
	"time"
)

const (
	workerMemory = 1 << 30          // bytes resident
	workerStall  = 10 * time.Second // without a page
	workerStart  = 30 * time.Second // until the first word: the module may have to be compiled
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
	if err := enc.Encode(word{Started: true}); err != nil {
		return err
	}
	o := Options{
		Password: j.Password, Title: j.Title, Resource: j.Resource, MaxLevels: j.MaxLevels, MaxChars: j.MaxChars,
		MaxPages: j.MaxPages, Workers: j.Workers, Memory: j.Memory, TypeNames: j.TypeNames,
		Progress: func(done, total int) { _ = enc.Encode(word{Done: done, Total: total}) }, // the last word tells
	}
	report, err := convert(ctx, j.Source, j.Dir, o)
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
	g.deadline.Store(time.Now().Add(workerStart).UnixNano())
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
		g.deadline.Store(time.Now().Add(stall).UnixNano())
		if w.Done > 0 {
			progress(w.Done, w.Total)
		}
		last = w
	}
	return last
}

// guard ends a worker that takes too much.
type guard struct {
	pid         int
	stop        func(reason string)
	deadline    atomic.Int64
	ended, gone chan struct{}
}

func (g *guard) watch() {
	defer close(g.gone)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.ended:
			return
		case now := <-tick.C:
			if resident(g.pid) > workerMemory {
				g.stop("reading it takes more than 1 GiB of memory")
				return
			}
			if now.UnixNano() > g.deadline.Load() {
				g.stop("reading one of its pages takes too long")
				return
			}
		}
	}
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
