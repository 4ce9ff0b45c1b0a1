package sandbox

import (
	"fmt"
	"slices"
	"strconv"
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
// As a demand (see Unmet) its empty fields ask for nothing.
type Report struct {
	Level Level

	FilesRead    string // "listed": only the interpreter, binds and the session's own | "all" that the user may
	FilesWrite   string // "session": only the session's own folders | "all"
	FileMetadata string // "hidden" | "visible": that a path of the host exists can be found out
	Network      string // "none" | "open"
	UnixSockets  string // "none" | "open"
	Processes    string // "none": can start none | "contained": they die with the session | "open"
	Forks        string // "asked": of a session by this program, and by nobody else | "none"
	Threads      string // "own": a limit for this session | "shared": with other sessions | "unlimited"
	Signals      string // "own": reach this session only | "open"
	Memory       string // "cgroup": and rlimit | "rlimit" | "none"
	CPU          string // "rlimit" | "none"
	Disk         string // "quota" | "per-file" | "none"
	Kernel       string // "allowlist" of system calls | "none"
	ProcFS       string // "none": nothing of /proc can be read | "own" | "host"
	Landlock     int    // ABI in force; 0 = none

	// Missing says why what is stronger was not to be had, a reason a line:
	// "user namespaces: clone: operation not permitted".
	Missing []string
}

// Word is one resource of a Report.
type Word struct {
	Name  string // "files_read"
	Value string // "listed"
	Why   string // it is not stronger; "" when it is as strong as can be
}

// resource is what can be said of one field of a Report.
type resource struct {
	name   string
	values []string // strongest first; nil = a number
	field  func(*Report) *string
	topic  string // with which the reasons in Missing begin
}

var vocabulary = []resource{
	{"level", []string{"namespaces", "filtered", "none"}, func(r *Report) *string { return (*string)(&r.Level) }, "level "},
	{"files_read", []string{"listed", "all"}, func(r *Report) *string { return &r.FilesRead }, ""},
	{"files_write", []string{"session", "all"}, func(r *Report) *string { return &r.FilesWrite }, ""},
	{"file_metadata", []string{"hidden", "visible"}, func(r *Report) *string { return &r.FileMetadata }, ""},
	{"network", []string{"none", "open"}, func(r *Report) *string { return &r.Network }, ""},
	{"unix_sockets", []string{"none", "open"}, func(r *Report) *string { return &r.UnixSockets }, ""},
	{"processes", []string{"none", "contained", "open"}, func(r *Report) *string { return &r.Processes }, "processes: "},
	{"threads", []string{"own", "shared", "unlimited"}, func(r *Report) *string { return &r.Threads }, "threads: "},
	{"signals", []string{"own", "open"}, func(r *Report) *string { return &r.Signals }, ""},
	{"memory", []string{"cgroup", "rlimit", "none"}, func(r *Report) *string { return &r.Memory }, "memory "},
	{"cpu", []string{"rlimit", "none"}, func(r *Report) *string { return &r.CPU }, ""},
	{"disk", []string{"quota", "per-file", "none"}, func(r *Report) *string { return &r.Disk }, ""},
	{"kernel", []string{"allowlist", "none"}, func(r *Report) *string { return &r.Kernel }, ""},
	{"proc_fs", []string{"none", "own", "host"}, func(r *Report) *string { return &r.ProcFS }, "own /proc"},
	{"landlock", nil, nil, "Landlock"},
}

// value is the word itself.
func (w resource) value(r *Report) string {
	if w.field == nil {
		return strconv.Itoa(r.Landlock)
	}
	return *w.field(r)
}

// why finds the reasons for which a value is not the strongest.
func (w resource) why(r *Report) string {
	v := w.value(r)
	if w.field == nil && r.Landlock > 0 || w.field != nil && v == w.values[0] || w.name == "proc_fs" && v == "own" {
		return ""
	}
	about := func(topic string) string {
		var found []string
		for _, m := range r.Missing {
			if strings.HasPrefix(m, topic) {
				found = append(found, m)
			}
		}
		return strings.Join(found, "; ")
	}
	if w.topic != "" {
		if text := about(w.topic); text != "" {
			return text
		}
	}
	switch {
	case r.Level == LevelNone && len(r.Missing) == 0:
		return "a plain process"
	case r.Level == LevelNone:
		return strings.Join(r.Missing, "; ")
	case slices.Contains([]string{"none", "unlimited"}, v):
		return "the limit is switched off"
	case r.Level == LevelFiltered:
		if text := about("level "); text != "" {
			return text
		}
		return "level filtered was asked for"
	}
	return ""
}

// Words are the resources of the report in a fixed order, the level first,
// each with why it is not stronger.
func (r Report) Words() []Word {
	var words []Word
	for _, w := range vocabulary {
		words = append(words, Word{w.name, w.value(&r), w.why(&r)})
	}
	return words
}

// Unmet lists what of a demand the report does not meet, a resource a line,
// with the reason. An empty field of the demand asks for nothing; any other
// for that value or a stronger one.
func (r Report) Unmet(demand Report) []string {
	var lines []string
	for _, w := range vocabulary {
		want, got := w.value(&demand), w.value(&r)
		weak := demand.Landlock > r.Landlock
		if w.field != nil {
			i := slices.Index(w.values, got)
			weak = want != "" && (i < 0 || i > slices.Index(w.values, want))
		}
		if !weak {
			continue
		}
		line := fmt.Sprintf("%s is %s, %s is required", w.name, got, want)
		if why := w.why(&r); why != "" {
			line += " (" + why + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

// Set sets the field of a demand by name and value, as Words name them.
func (r *Report) Set(name, value string) error {
	var names []string
	for _, w := range vocabulary {
		names = append(names, w.name)
		switch {
		case w.name != name:
		case w.field == nil:
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return fmt.Errorf("%s=%s: give a version like 4", name, value)
			}
			r.Landlock = n
			return nil
		case !slices.Contains(w.values, value):
			return fmt.Errorf("%s=%s: choose %s", name, value, strings.Join(w.values, ", "))
		default:
			*w.field(r) = value
			return nil
		}
	}
	return fmt.Errorf("%q is no word of isolation: choose %s", name, strings.Join(names, ", "))
}

// CheckDemand refuses a demand that means nothing, and one of LevelNone.
func (r Report) CheckDemand() error {
	for _, w := range vocabulary {
		if w.field == nil || *w.field(&r) == "" {
			continue
		}
		if err := new(Report).Set(w.name, *w.field(&r)); err != nil {
			return err
		}
	}
	if r.Level == LevelNone {
		return fmt.Errorf("level %q is nothing to require: use %s or %s", r.Level, LevelNamespaces, LevelFiltered)
	}
	return nil
}

// Unconfined is the report of a plain process.
func Unconfined(missing ...string) Report {
	return Report{
		Level: LevelNone, FilesRead: "all", FilesWrite: "all", FileMetadata: "visible", Network: "open",
		UnixSockets: "open", Processes: "open", Forks: "none", Threads: "unlimited", Signals: "open", Memory: "none", CPU: "none",
		Disk: "none", Kernel: "none", ProcFS: "host", Missing: missing,
	}
}

// String is the report on one line.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (read %s, write %s, metadata %s, network %s, unix sockets %s, processes %s, forks %s, threads %s, "+
		"signals %s, memory %s, cpu %s, disk %s, kernel %s, proc %s, landlock %d)", r.Level, r.FilesRead, r.FilesWrite, r.FileMetadata,
		r.Network, r.UnixSockets, r.Processes, r.Forks, r.Threads, r.Signals, r.Memory, r.CPU, r.Disk, r.Kernel, r.ProcFS, r.Landlock)
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
