package sandbox

import (
	"fmt"
	"strings"
)

// Level is how strongly a process is confined. The zero value demands
// nothing: the strongest level of the machine, and at least LevelFiltered.
type Level string

// The levels, strongest first.
const (
	LevelNamespaces Level = "namespaces" // own namespaces and root, and all of LevelFiltered
	LevelFiltered   Level = "filtered"   // Landlock, seccomp, rlimits, a uid of its own when root
	LevelNone       Level = "none"       // a plain process
)

// Report is what was verified about a process, one word for each resource.
type Report struct {
	Level Level

	FilesRead    string // "listed": only the interpreter, binds and the session's own | "all" that the user may
	FilesWrite   string // "session": only the session's own folders | "all"
	FileMetadata string // "hidden" | "visible": that a path of the host exists can be found out
	Network      string // "none" | "open"
	UnixSockets  string // "none" | "open"
	Processes    string // "none": can start none | "contained": they die with the session | "open"
	Threads      string // "own": a limit for this session | "shared": with other sessions | "unlimited"
	Signals      string // "own": reach this session only | "open"
	Memory       string // "cgroup": and rlimit | "rlimit" | "none"
	CPU          string // "rlimit" | "none"
	Disk         string // "quota" | "per-file" | "none"
	Kernel       string // "allowlist" of system calls | "none"
	ProcFS       string // "own" | "none": nothing of /proc can be read | "host"
	Landlock     int    // ABI in force; 0 = none

	// Missing says why what is stronger was not to be had, a reason a line:
	// "user namespaces: clone: operation not permitted".
	Missing []string
}

// Unconfined is the report of a plain process.
func Unconfined(missing ...string) Report {
	return Report{
		Level: LevelNone, FilesRead: "all", FilesWrite: "all", FileMetadata: "visible", Network: "open",
		UnixSockets: "open", Processes: "open", Threads: "unlimited", Signals: "open", Memory: "none", CPU: "none",
		Disk: "none", Kernel: "none", ProcFS: "host", Missing: missing,
	}
}

// String is the report on one line.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (read %s, write %s, metadata %s, network %s, unix sockets %s, processes %s, threads %s, signals %s, "+
		"memory %s, cpu %s, disk %s, kernel %s, proc %s, landlock %d)", r.Level, r.FilesRead, r.FilesWrite, r.FileMetadata,
		r.Network, r.UnixSockets, r.Processes, r.Threads, r.Signals, r.Memory, r.CPU, r.Disk, r.Kernel, r.ProcFS, r.Landlock)
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "; missing: %s", strings.Join(r.Missing, "; "))
	}
	return b.String()
}

// LevelError says why a demanded level, or any at all, is not to be had here.
type LevelError struct {
	Level   Level // the demanded one
	Missing []string
}

func (e *LevelError) Error() string {
	return fmt.Sprintf("sandbox: isolation level %q is not available here: %s", e.Level, strings.Join(e.Missing, "; "))
}
