package javascript

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"modernc.org/quickjs"
)

//go:embed prelude.js
var prelude string

const (
	evalAsync  = 1 << 7  // of QuickJS: top-level await; the value is a promise
	maxPrinted = 8 << 20 // bytes kept of each stream
	maxRead    = 100 << 20

	leftoverTime = 50 * time.Millisecond // for what an interrupted script has left to do
)

// engine is one JavaScript context. It belongs to one goroutine, but for
// interrupt.
type engine struct {
	vm      *quickjs.VM
	memory  uintptr
	began   time.Time
	cells   int
	streams [2]printed
	exit    *int

	mu          sync.Mutex
	interrupted bool
	wake        chan struct{}
}

// printed is what a script wrote to a stream: the head, and how much followed.
type printed struct {
	text strings.Builder
	cut  int
}

func (p *printed) write(s string) {
	if room := maxPrinted - p.text.Len(); len(s) > room {
		p.cut += len(s) - room
		s = strings.ToValidUTF8(s[:room], "")
	}
	p.text.WriteString(s)
}

func (p *printed) take() string {
	s := p.text.String()
	if p.cut > 0 {
		s += fmt.Sprintf("\n[... %d bytes left out ...]\n", p.cut)
	}
	*p = printed{}
	return s
}

func newEngine(memory int64) (*engine, error) {
	vm, err := quickjs.NewVM()
	if err != nil {
		return nil, err
	}
	e := &engine{vm: vm, memory: uintptr(memory), began: time.Now(), wake: make(chan struct{}, 1)}
	vm.SetMemoryLimit(e.memory)
	if err := e.install(); err != nil {
		return nil, errors.Join(err, vm.Close())
	}
	return e, nil
}

// install gives the prelude its functions, and runs it.
func (e *engine) install() error {
	names := ""
	for name, f := range e.host() {
		if err := e.vm.RegisterHostFunc("__host_"+name, f); err != nil {
			return err
		}
		names += name + ": globalThis.__host_" + name + ", "
	}
	_, err := e.vm.Eval("globalThis.__host = {"+names+"};"+
		"for (const k of Object.getOwnPropertyNames(globalThis)) if (k.startsWith('__host_')) delete globalThis[k];", quickjs.EvalGlobal)
	if err != nil {
		return err
	}
	_, err = e.vm.Eval(prelude, quickjs.EvalGlobal)
	return err
}

// interrupt stops the script that runs. It may be called at any time.
func (e *engine) interrupt() {
	e.mu.Lock()
	e.interrupted = true
	e.mu.Unlock()
	e.vm.Interrupt()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *engine) stopped() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.interrupted
}

// run evaluates a cell and waits until nothing is left to do: its promises are
// settled and no timer is set. What is wrong with the script is the string.
func (e *engine) run(source string, typed bool) string {
	e.cells++
	e.exit = nil
	e.mu.Lock()
	e.interrupted = false
	e.mu.Unlock()
	name := fmt.Sprintf("<cell %d>", e.cells)
	script, err := prepare(name, source, typed)
	if err != nil {
		return "Uncaught " + err.Error()
	}
	if _, err := e.vm.Eval("__cell.begin()", quickjs.EvalGlobal); err != nil {
		return e.words(err)
	}
	promise, err := e.vm.EvalValue(script, evalAsync)
	if err != nil {
		return e.words(err)
	}
	_, err = e.vm.CallValue("__cell.track", promise)
	promise.Free()
	if err != nil {
		return e.words(err)
	}
	return e.loop()
}

// loop runs jobs and timers to the end.
func (e *engine) loop() string {
	for {
		_, err := e.vm.ExecutePendingJobs()
		if _, js := errors.AsType[*quickjs.Error](err); js {
			return e.words(err)
		}
		if e.stopped() || e.exit != nil {
			return e.words(errors.New("interrupted"))
		}
		if err != nil {
			continue // it did a million jobs, and there are more
		}
		state, err := e.vm.Eval("__cell.state()", quickjs.EvalGlobal)
		if err != nil {
			return e.words(err)
		}
		if state == "failed" {
			text, err := e.vm.Eval("__cell.failure()", quickjs.EvalGlobal)
			if err != nil {
				return e.words(err)
			}
			return fmt.Sprint(text)
		}
		wait, err := e.vm.Eval("Number(__cell.next())", quickjs.EvalGlobal)
		if err != nil {
			return e.words(err)
		}
		ms := number(wait)
		if ms < 0 {
			if state == "running" {
				return "Uncaught Error: an await that nothing will ever settle"
			}
			return ""
		}
		e.sleep(time.Duration(ms * float64(time.Millisecond)))
		if _, err := e.vm.Eval("__cell.fire()", quickjs.EvalGlobal); err != nil {
			return e.words(err)
		}
	}
}

func (e *engine) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.wake:
	}
}

func number(v any) float64 {
	switch n := v.(type) {
	case int:
		return float64(n)
	case float64:
		return n
	}
	return -1
}

// words says what ended a script.
func (e *engine) words(err error) string {
	switch {
	case e.exit != nil:
		return ""
	case e.stopped():
		return "Uncaught Error: the script was interrupted"
	}
	if js, ok := errors.AsType[*quickjs.Error](err); ok {
		text := "Uncaught " + err.Error()
		for line := range strings.Lines(js.Stack) {
			if !strings.Contains(line, "<prelude>") {
				text += "\n" + strings.TrimRight(line, "\n")
			}
		}
		return text
	}
	return "Uncaught " + err.Error()
}

// usable says whether the context can go on. One that has used up its memory
// and holds on to it cannot even run a line, and one whose promises make ever
// more promises would do that in the next cell, too.
func (e *engine) usable() bool {
	if e.stopped() {
		_ = e.vm.SetEvalTimeout(leftoverTime)
		_, err := e.vm.ExecutePendingJobs()
		_ = e.vm.SetEvalTimeout(0)
		if err != nil {
			return false
		}
	}
	_, err := e.vm.Eval("(() => new Array(1000).fill(0).length)()", quickjs.EvalGlobal)
	return err == nil
}

// host are the functions that the prelude builds on. The files that they reach
// are those that the process can: it is confined, not they.
func (e *engine) host() map[string]quickjs.HostFunc {
	text := func(args []any, i int) string {
		if i < len(args) {
			s, _ := args[i].(string)
			return s
		}
		return ""
	}
	yes := func(args []any, i int) bool { return i < len(args) && args[i] == true }
	return map[string]quickjs.HostFunc{
		"print": func(args []any) (any, error) {
			if len(args) == 2 {
				e.streams[b2i(number(args[0]) == 2)].write(text(args, 1))
			}
			return nil, nil
		},
		"now":  func([]any) (any, error) { return float64(time.Since(e.began).Nanoseconds()) / 1e6, nil },
		"cwd":  func([]any) (any, error) { return os.Getwd() },
		"exit": func(args []any) (any, error) { return nil, e.quit(args) },
		"decode": func(args []any) (any, error) {
			b, err := base64.StdEncoding.DecodeString(text(args, 0))
			return strings.ToValidUTF8(string(b), "\uFFFD"), err
		},
		"read": func(args []any) (any, error) {
			b, err := readFile(text(args, 0))
			return base64.StdEncoding.EncodeToString(b), err
		},
		"write": func(args []any) (any, error) {
			b, err := base64.StdEncoding.DecodeString(text(args, 1))
			if err != nil {
				return nil, err
			}
			return nil, writeFile(text(args, 0), b, yes(args, 2))
		},
		"writeText": func(args []any) (any, error) {
			return nil, writeFile(text(args, 0), []byte(text(args, 1)), yes(args, 2))
		},
		"list": func(args []any) (any, error) { return list(text(args, 0)) },
		"stat": func(args []any) (any, error) { return stat(text(args, 0)) },
		"mkdir": func(args []any) (any, error) {
			if yes(args, 1) {
				return nil, os.MkdirAll(text(args, 0), 0o755)
			}
			return nil, os.Mkdir(text(args, 0), 0o755)
		},
		"remove": func(args []any) (any, error) {
			if yes(args, 1) {
				return nil, os.RemoveAll(text(args, 0))
			}
			return nil, os.Remove(text(args, 0))
		},
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quit ends the script as a process would end.
func (e *engine) quit(args []any) error {
	code := 0
	if len(args) > 0 {
		code = int(number(args[0]))
	}
	e.exit = &code
	e.vm.Interrupt()
	return errors.New("the script ends")
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRead {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, maxRead)
	}
	return os.ReadFile(name)
}

func writeFile(name string, data []byte, extend bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if extend {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func list(name string) (string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return "", err
	}
	type entry struct {
		Name      string `json:"name"`
		Directory bool   `json:"directory"`
	}
	out := []entry{}
	for _, e := range entries {
		out = append(out, entry{e.Name(), e.IsDir()})
	}
	b, err := json.Marshal(out)
	return string(b), err
}

func stat(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]any{
		"size": info.Size(), "mtime": info.ModTime().UnixMilli(), "file": info.Mode().IsRegular(), "directory": info.IsDir(),
	})
	return string(b), err
}
