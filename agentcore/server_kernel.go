package agentcore

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/strandsgo/strands/python"
)

// kernel is what runs the code of a session: Python, and below it the shell
// and JavaScript. One call uses it at a time.
type kernel struct {
	python   python.Session
	settings *kernelSettings
	turn     chan struct{} // holds the turn while nobody has it
	tasks    int           // started; guarded by the turn

	mu      sync.Mutex
	waiting int
}

// kernelSettings are the same for all sessions of a server.
type kernelSettings struct {
	interpreter python.Interpreter
	options     python.Options
	programs    bool     // the sessions can start programs
	javascript  []string // the worker command; nil = none
	keepSpace   bool
	transfer    *semaphore.Weighted // bytes of files in memory
	maxTransfer int64
}

//go:embed codeinterpreter.py
var sessionModule string

const moduleName = "_codeinterpreter"

// sessionOptions are o with what a code interpreter promises.
func sessionOptions(o python.Options) python.Options {
	if o.Libraries == nil {
		o.Libraries = []string{"*"}
	}
	if o.Timeout == 0 {
		o.Timeout = -1 // the session's own end is one
	}
	if o.Limits.Output == 0 {
		o.Limits.Output = 4 << 20 // a few pictures as base64; boto3 takes 24 MiB at once
	}
	if o.Limits.Disk == 0 {
		o.Limits.Disk = 1 << 30 // a few files of the size that can be sent
	}
	// What the session's module imports would cost each session's first call.
	o.Preload = append(o.Preload[:len(o.Preload):len(o.Preload)], "json", "select", "shutil", "subprocess", "tempfile")
	o.Modules = append(o.Modules[:len(o.Modules):len(o.Modules)], python.Module{Name: moduleName, Source: sessionModule})
	return o
}

func openKernel(ctx context.Context, settings *kernelSettings) (*kernel, error) {
	p, err := settings.interpreter.Open(ctx, settings.options)
	if err != nil {
		return nil, err
	}
	k := &kernel{python: p, settings: settings, turn: make(chan struct{}, 1)}
	k.turn <- struct{}{}
	return k, nil
}

// enter counts a caller in before it waits for its turn.
func (k *kernel) enter(most int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting > most { // one of them has the turn
		return throttled("%d calls wait for this session already", most)
	}
	k.waiting++
	return nil
}

func (k *kernel) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
}

// take waits for the turn.
func (k *kernel) take(ctx context.Context) error {
	select {
	case <-k.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (k *kernel) give() { k.turn <- struct{}{} }

func (k *kernel) close() error { return k.python.Close() }

// exec runs Python. The interpreter's end is an error, because what the
// session was told before is gone.
func (k *kernel) exec(ctx context.Context, code string) (*python.Result, error) {
	for o, err := range k.python.Exec(ctx, code) {
		if err != nil {
			return nil, err
		}
		if o.Result == nil {
			continue
		}
		if o.Result.StateLost && !lostBefore(o.Result) {
			return nil, unexpected("%s; the session goes on, but its variables and files are gone", o.Result.Lost)
		}
		return o.Result, nil
	}
	return nil, errors.New("the interpreter gave no result")
}

// lostBefore says that the state was lost before a snippet, which ran all the
// same, in a fresh one.
func lostBefore(r *python.Result) bool { return strings.HasPrefix(r.Lost, "before this snippet") }

// call runs a function of the session's module.
func (k *kernel) call(ctx context.Context, function string, args ...any) (*python.Result, error) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = literal(a)
	}
	return k.exec(ctx, "import "+moduleName+" as _\n_."+function+"("+strings.Join(words, ", ")+")")
}

// ask runs a function of the session's module that prints JSON. What it says
// failed is the text.
func (k *kernel) ask(ctx context.Context, v any, function string, args ...any) (failed string, err error) {
	res, err := k.call(ctx, function, args...)
	if err != nil {
		return "", err
	}
	if res.Err != nil {
		if res.Err.Type == "SystemExit" {
			return strings.TrimSpace(res.Stderr), nil
		}
		return res.Err.Error(), nil
	}
	if err := json.Unmarshal([]byte(res.Stdout), v); err != nil {
		// Only the session's own code can have done that.
		return "the session's own tools are damaged; start another session", nil
	}
	return "", nil
}

// literal is a string, a list of them or a bool as Python source.
func literal(v any) string {
	switch v {
	case true:
		return "True"
	case false:
		return "False"
	}
	// A JSON string is a Python string, but for an escaped slash, which
	// nobody writes.
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("agentcore: %T as an argument: %v", v, err))
	}
	return string(b)
}

// exitCode is the status that a program ending by err would have.
func exitCode(err *python.Exception) int {
	if err.Type != "SystemExit" {
		return 1
	}
	switch n, parseErr := strconv.ParseInt(err.Message, 10, 64); {
	case err.Message == "" || err.Message == "None":
		return 0
	case parseErr != nil || n < math.MinInt32 || n > math.MaxInt32:
		return 1
	default:
		return int(n)
	}
}
