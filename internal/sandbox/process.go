// Package sandbox starts Python processes and confines them by the kernel. It
// knows nothing of snippets and frames: it hands out a Process in which a
// trusted bootstrap has run, that is confined and verified from outside, and
// in which the worker's entry has been called with the socket.
//
// # How
//
// Start runs the interpreter with a stub that reads the bootstrap (boot/*.py)
// from a socket. At LevelNamespaces the process is made in new user, mount,
// pid, ipc, uts and net namespaces and moves into a root that holds the
// interpreter, read-only, and nothing else. It executes the worker's modules,
// imports what is to be preloaded, and from then on does one thing: fork when
// asked. It never runs a model's code and never reads a byte from a session.
//
// A fork confines itself before it calls the worker's entry: own namespaces,
// a sized tmpfs, limits, another user, no capabilities, no_new_privs, Landlock,
// the system call filter. A step that fails ends it. The steps cannot be
// undone, and Fork looks at the result from outside before it hands it out.
//
// # What stays when this program is killed
//
// Nothing, as a rule: the zygote sees its socket end, kills its sessions and
// removes their folders and cgroups. When both are killed at once the kernel
// ends the sessions (the pid namespace, or the death signal), and their
// mounts with them; at LevelFiltered a folder strands-session-* and, with
// cgroups, an empty group strands-* stay until the next Start on the machine
// sweeps them.
package sandbox

import (
	"context"
	"net"
	"os"
	"time"
)

// Worker is the trusted Python code of a process: modules registered in
// sys.modules before anything else, and the function that is called, with the
// number of the socket's descriptor, once the process is confined. It returns
// when the socket ends.
type Worker struct {
	Modules []WorkerModule // in the order in which they are executed
	Entry   string         // "module:function"
}

// WorkerModule is one module of a Worker.
type WorkerModule struct{ Name, Source string }

// Python is an interpreter as a process is started with.
type Python struct {
	Exe     string   // the real binary, not a shim
	Roots   []string // folders and files the interpreter and its libraries must be able to read
	Path    []string // sys.path
	Prefix  string   // sys.prefix
	Version string   // "3.14.6"
}

// Process is one worker process. Its methods are safe for concurrent use.
type Process interface {
	// Conn is the host's end of the worker's socket: a *net.UnixConn where
	// there are Unix sockets.
	Conn() net.Conn
	// Output is the read end of the pipe behind descriptors 1 and 2: what C
	// code writes, and the trace of a crash. Whoever opened the process drains
	// it.
	Output() *os.File
	// Pid is the process as this program sees it.
	Pid() int
	// Dir is the session's folder on this machine's disk, with the folders
	// "work" and "tmp" in it; "" when they are /work and /tmp inside the
	// sandbox only.
	Dir() string
	// Report says what was verified.
	Report() Report
	// Interrupt sends SIGINT (or what takes its place).
	Interrupt() error
	// CPU is the processor time used so far.
	CPU() (time.Duration, error)
	// Close kills the process if it still runs, waits for it, closes Conn and
	// Output and removes Dir. A second call does nothing.
	Close() error
	// Wait waits for the end of the process, however it comes. When its warm
	// parent went first the error is ErrZygote.
	Wait(ctx context.Context) (Exit, error)
}

// Exit says how a process ended.
type Exit struct {
	Code   int           // exit status; -1 when a signal ended it, or nobody knows
	Signal string        // "SIGSEGV"; "" when it exited, or nobody knows: forks, before Linux 6.15, of an ordinary user
	Memory bool          // killed by the memory limit
	Time   bool          // killed by the limit of processor time
	CPU    time.Duration // processor time used; 0 when unknown
}

// Forker is an optional method set of a Process.
type Forker interface {
	// Fork makes a copy of the process as it stands, memory and open files and
	// all, with a socket, an output, limits and a cgroup of its own. The copy
	// is confined and verified like its origin; both see the same folders.
	//
	// ask makes the process fork: when it returns nil, the process has called
	// fork once and the copy's first call is setsid. No other fork succeeds,
	// before or after. ctx bounds the wait for the copy. The error is a
	// *ForkError when nothing was forked for a reason that can be told.
	Fork(ctx context.Context, ask func() error) (Process, error)
}

// ForkError says why a process was not forked. The process is as it was.
type ForkError struct {
	Reason string
	// Never: it cannot be forked at all, where and as it was opened.
	Never bool
}

// Error implements error.
func (e *ForkError) Error() string { return "sandbox: cannot fork: " + e.Reason }
