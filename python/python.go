// Package python is a persistent Python REPL for programs and agents: real
// CPython in a process of its own, confined by the kernel, in which the
// program's capabilities are importable functions.
//
// An Interpreter is a backend (Sandboxed, Exec, or a remote one). It opens
// Sessions; a Session runs snippets one at a time and keeps their state.
// NewTool makes the python_repl tool of them that an agent uses.
package python

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/strandsgo/strands"
)

// An Interpreter is a backend that opens sessions. It is safe for concurrent
// use. Close ends its sessions and frees what it holds; Open fails with
// strands.ErrClosed after it.
type Interpreter interface {
	Open(ctx context.Context, o Options) (Session, error)
	Close() error
}

// A Session is one REPL. It runs one snippet at a time: a second Exec fails
// with ErrBusy. What a snippet defines lasts until Reset, until the state is
// lost (Result.StateLost), or until Close.
//
// Exec runs code in the module __main__ and yields what it shows as it comes,
// then exactly one Output with a Result, which is last. What the code does
// wrong, and what becomes of the interpreter by it, is data in the Result; an
// error means that the session could not do its work (ctx ended, closed, no
// interpreter) and is last. Nothing happens before the first iteration; when
// the consumer stops, or ctx ends, the snippet is interrupted as by a timeout.
// After a lost state the next Exec begins with a fresh one by itself.
//
// Reset drops the state. It is lazy: errors of making the fresh one are
// reported by the next Exec. Close interrupts a running snippet, ends the
// interpreter and removes its files; a second call does nothing.
type Session interface {
	Exec(ctx context.Context, code string) iter.Seq2[Output, error]
	Reset(ctx context.Context) error
	Close() error
}

// Filer is an optional method set of a Session: the files of its output
// folder. Names are relative with slashes; a name that leaves the folder is
// an error. It must not be called while a snippet runs. A WriteFile that is
// stopped leaves the file cut short.
type Filer interface {
	Files(ctx context.Context) ([]strands.File, error)
	ReadFile(ctx context.Context, name string) (io.ReadCloser, error)
	WriteFile(ctx context.Context, name string, data io.Reader) error
}

// Options say what a session offers and allows. The zero value is a bare
// interpreter with the harmless part of the standard library.
type Options struct {
	// Libraries are the import patterns allowed beside HarmlessLibraries:
	// "pandas" is exactly that module, "pandas.*" it and all below, "*"
	// everything. It guides the model; it is no security boundary. Exec
	// ignores it.
	Libraries []string
	// Requirements are what pip would install: "pandas>=2". They come from
	// the program, never from a model.
	Requirements []string
	// Preload are modules to import before sessions are forked, so that they
	// cost a session nothing. A hint.
	Preload []string

	// Inputs are files that each fresh state begins with.
	Inputs []Input

	InitializationCode []string // run in order before the first snippet of each fresh state; it may import anything
	Namespaces         []Namespace
	Modules            []Module

	// Binds are files and folders of this machine that the session may read, at
	// the paths that Bind.Target tells. A backend that cannot give them refuses
	// to open the session.
	Binds []Bind

	// Undo keeps the state from before the last snippet, so that Undoer.Undo
	// can bring it back. Each snippet costs some milliseconds more, and memory
	// for what it changes. It needs a Forker; a snippet before which the state
	// could not be kept says so in its Result.Warnings.
	Undo bool
	// Atomic is Undo, called by itself after each snippet that raises, is
	// interrupted, or ends the interpreter: no half-done state is left.
	// Result.Undone then says what could not be undone.
	Atomic bool

	Timeout time.Duration // of a snippet; 0 = 180 s; negative = none
	Limits  Limits
	// NoFigures leaves matplotlib figures alone; otherwise every figure open
	// at the end of a snippet is captured as PNG and closed.
	NoFigures bool
	// Fixed makes code see the same clock and draw the same random numbers in
	// every run. nil = the true ones.
	Fixed *Fixed
	// Progress is told what long preparations are doing, on the goroutine of
	// Open or Exec. nil = nobody is.
	Progress func(string)
}

// Fixed is a clock and random numbers for runs that can be repeated: in each
// fresh state of a session time begins at Time and moves on a millisecond
// whenever it is looked at, and the generators of random, numpy, secrets and
// uuid4 begin with Seed. It is a help for honest code, not a secret kept.
// time.monotonic stays true.
type Fixed struct {
	Seed uint64
	Time time.Time
}

// Input is a file of the program's that is written into the working directory
// before any code runs there.
type Input struct {
	Name string // relative with slashes
	Open func(context.Context) (io.ReadCloser, error)
}

// Limits bound a session. Zero means the default, negative none where that
// is possible.
type Limits struct {
	Memory    int64         // bytes of address space; 4 GiB
	CPU       time.Duration // of the whole session; 1 h
	Disk      int64         // bytes of the session's folders together; 256 MiB
	Files     int           // in the session's folders; 4096
	OpenFiles int           // descriptors; 256
	Threads   int           // 64
	Output    int           // bytes kept of stdout, and of stderr, of a snippet: half from the head, half from the tail; 64 KiB
	HostCalls int           // per snippet; 10,000
	InFlight  int           // host calls at once; 16
}

// Namespace is a group of Go functions offered to Python. Without a Module
// they are just names in every snippet; with one they can be imported from it
// too.
type Namespace struct {
	Module    string // "" or an importable name
	Doc       string
	Functions []strands.Tool
	Objects   []Object
}

// Object is a Go value whose methods are offered as those of one Python
// object.
type Object struct {
	Name    string
	Doc     string
	Methods []strands.Tool // named as the methods shall be called
}

// Module is Python source made importable in a session, and imported into
// __main__ with the names it defines (those of __all__, else the public
// classes and functions).
type Module struct {
	Name   string // dotted name; a package is its __init__.py and more entries of Files
	Source string
	Files  fs.FS // beside Source: a package's folder, when not nil
}

// Output is one thing a snippet shows. Exactly one field is set.
type Output struct {
	Stdout   string
	Stderr   string
	Value    string         // of the last expression
	Image    *strands.Media // PNG of a figure
	File     *strands.File  // written to the output folder
	Progress string         // of a preparation before the snippet
	Result   *Result
}

// Result is the outcome of a snippet. It marshals to the form that
// "codeagent exec --json" prints.
type Result struct {
	Stdout   string          // capped, see Limits.Output; the cut is marked in the text
	Stderr   string          // capped likewise
	Value    string          // repr of the last expression; "" when there was none or it was None
	Err      *Exception      // nil = it ran to its end
	Images   []strands.Media // in the order of the figures
	Files    []strands.File  // written to the output folder by this snippet
	Duration time.Duration   // without the time Go functions took

	// StateLost: everything defined before is gone. When Lost begins with
	// "before this snippet", a fresh state was made before it ran, and what it
	// defined itself is there.
	StateLost bool
	Lost      string // why, for the model: "the interpreter crashed: SIGSEGV", …
	// FullOutput names a file of the session with the text that the cap cut
	// away; "" when nothing was cut.
	FullOutput string
	// Undone is set when the state is that from before the snippet
	// (Options.Atomic); StateLost is false then.
	Undone    *Undone
	HostCalls int      // answered
	Warnings  []string // threads left behind, descriptors closed, …
}

// Exception is a Python exception.
type Exception struct {
	Type      string `json:"type"` // "ZeroDivisionError", "TimeoutError", …
	Message   string `json:"message"`
	Traceback string `json:"traceback"` // of the model's frames: "<cell 3>", line 2
}

// Error implements error.
func (e *Exception) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Type + ": " + e.Message
}
