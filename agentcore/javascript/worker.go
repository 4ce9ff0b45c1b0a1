// Package javascript is the worker process that runs the JavaScript and
// TypeScript of code interpreter sessions: QuickJS in Go, with types stripped
// by esbuild. A program that serves code interpreters names a command that
// calls Serve; the server starts it inside the sandbox of each session that
// needs it.
package javascript

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
)

// Request is one cell to run.
type Request struct {
	Code   string `json:"code"`
	Typed  bool   `json:"typed"`  // TypeScript
	Memory int64  `json:"memory"` // bytes that scripts may use; the first request's counts; 0 = 256 MiB
}

// Reply is what became of a cell.
type Reply struct {
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	ExitCode int    `json:"exitCode"`
	Lost     bool   `json:"lost"` // the state was dropped: it filled the memory, or could not be stopped
}

const (
	defaultMemory = 256 << 20
	maxRequest    = 64 << 20
)

// Serve runs the requests that come on in, one line of JSON each, in one
// context whose state lasts, and answers each by a line on out. SIGINT stops the
// script that runs and keeps the state. It returns when in ends.
func Serve(in io.Reader, out io.Writer) error {
	// The kernel's limit of address space ends the process; before that the
	// collector should have tried.
	debug.SetGCPercent(50)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxRequest)
	w := &worker{answers: json.NewEncoder(out)}
	w.answers.SetEscapeHTML(false)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer close(signals)
	defer signal.Stop(signals)
	go func() {
		for range signals {
			w.interrupt()
		}
	}()
	for lines.Scan() {
		if err := w.answer(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

type worker struct {
	answers *json.Encoder
	memory  int64

	mu     sync.Mutex // guards engine for interrupt
	engine *engine
}

// interrupt stops the script that runs, if one does.
func (w *worker) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.engine != nil {
		w.engine.interrupt()
	}
}

func (w *worker) replace(e *engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.engine = e
}

func (w *worker) answer(line []byte) error {
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("javascript: a request: %w", err)
	}
	if w.memory == 0 {
		w.memory = r.Memory
	}
	if w.memory <= 0 {
		w.memory = defaultMemory
	}
	if w.engine == nil {
		e, err := newEngine(w.memory)
		if err != nil {
			return fmt.Errorf("javascript: a new context: %w", err)
		}
		w.replace(e)
	}
	return w.answers.Encode(w.run(r))
}

func (w *worker) run(r Request) Reply {
	e := w.engine
	problem := e.run(r.Code, r.Typed)
	reply := Reply{Stdout: e.streams[0].take(), Stderr: e.streams[1].take()}
	switch {
	case e.exit != nil:
		reply.ExitCode = *e.exit
	case problem != "":
		reply.Stderr += problem + "\n"
		reply.ExitCode = 1
	}
	if !e.usable() {
		w.replace(nil)
		_ = e.vm.Close()
		reply.Lost = true
		reply.Stderr += "JavaScript begins anew: the variables and functions of earlier scripts are gone.\n"
		reply.ExitCode = max(reply.ExitCode, 1)
		debug.FreeOSMemory()
	}
	return reply
}
