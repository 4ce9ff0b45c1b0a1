package python

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/sandbox"
)

// Level is how strongly a session is confined.
type Level = sandbox.Level

// The levels, strongest first.
const (
	LevelNamespaces = sandbox.LevelNamespaces // own namespaces and root folder, and all of LevelFiltered
	LevelFiltered   = sandbox.LevelFiltered   // Landlock, seccomp, rlimits
	LevelNone       = sandbox.LevelNone       // a plain process: what Exec opens
)

// Isolation is what was verified about a process, one word for each resource,
// and why what is stronger was not to be had.
type Isolation = sandbox.Report

// IsolationWord is one resource of an Isolation.
type IsolationWord = sandbox.Word

// Bind makes a file or folder of this machine readable in a session.
type Bind = sandbox.Bind

// IsolationError: a session would be less confined than was demanded, so it
// was not opened.
type IsolationError struct {
	Isolation Isolation // what can be had, or what the refused session was verified to have
	Unmet     []string  // what is missing and why: "memory is rlimit, cgroup is required (memory cgroup: …)"
}

// Error implements error.
func (e *IsolationError) Error() string {
	return "python: the isolation that is required is not to be had here: " + strings.Join(e.Unmet, "; ")
}

// Sandboxed is the default backend: each session is a process that the kernel
// confines, forked from a warm one that has started Python and imported
// Options.Preload already. The import patterns of Options.Libraries guide the
// model; what keeps code in is the kernel.
//
// It uses the strongest level that the machine offers and refuses to open
// sessions below LevelFiltered. Linux only. The zero value is ready to use.
type Sandboxed struct {
	Python   string // an interpreter; "" = $STRANDS_PYTHON, else the registered one, else python3 on PATH
	CacheDir string // of environments; "" = $STRANDS_CACHE, else a folder that a confined session can read
	// Level is the level of the sessions; "" = the strongest that the machine
	// offers.
	Level Level
	// Require is what sessions must be verified to have at least: its fields
	// that are set, so Isolation{Memory: "cgroup"} leaves the rest open. Less is
	// an *IsolationError. LevelFiltered is always required.
	Require Isolation
	// Processes lets sessions start programs: the machine's own, read-only, a
	// shell among them, and a session's own files. They see no more than the
	// session, and end with it. It needs LevelNamespaces; below that Open fails
	// with an *IsolationError. Limits.Memory and Limits.CPU hold for each
	// process, memory for all together only in a cgroup (Require it);
	// Limits.Threads counts all their threads.
	Processes bool
	// Programs are the files and folders to start programs from, beside what
	// the interpreter needs; nil = /bin, /usr/bin, /lib and /usr/lib.
	Programs []string
	// Pool is how many sessions are kept ready for each kind that was opened or
	// prepared, so that Open and Reset take no time; a kind is what the Options
	// make of the process. Those of the eight kinds used last are kept, each in
	// a process of a few MB. Sessions with Binds are always made anew. 0 = none.
	Pool   int
	Logger *slog.Logger // nil = slog.Default()

	open    backend
	mu      sync.Mutex
	parents map[string]*parent // by what sessions of it can do
	pool    *pool
	closed  bool
}

// parent is a warm process, or the start of one.
type parent struct {
	started chan struct{} // closed when the others are set
	zygote  *sandbox.Zygote
	err     error
	stopped bool // because the ctx of the one who started it ended
}

// Open implements Interpreter.
func (b *Sandboxed) Open(ctx context.Context, o Options) (Session, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	s, err := b.open.session(o, true)
	if err != nil {
		return nil, err
	}
	s.launch = func(ctx context.Context, progress func(string)) (sandbox.Process, error) {
		return b.fork(ctx, s.opts, progress)
	}
	p, key := b.poolOf(s)
	if p != nil {
		s.pooled = func() *wire { return p.take(key) }
	}
	open, err := s.opened(ctx)
	if p != nil && err == nil {
		p.want(key, b.starter(s))
	}
	return open, err
}

// Prepare makes everything that a session of o needs before one is opened: the
// environment, the warm process, and as many ready sessions as Pool says. It
// returns when they are there; ctx bounds the wait.
func (b *Sandboxed) Prepare(ctx context.Context, o Options) error {
	s, err := b.Open(ctx, o)
	if err != nil {
		return err
	}
	err = s.Close()
	if p, key := b.poolOf(s.(*session)); p != nil && err == nil {
		err = p.wait(ctx, p.want(key, b.starter(s.(*session))))
	}
	return err
}

// poolOf returns the pool that workers of s may come from, and their kind
// there. Sessions with binds have none: these are made for one session.
func (b *Sandboxed) poolOf(s *session) (*pool, string) {
	if b.Pool <= 0 || len(s.opts.Binds) > 0 {
		return nil, ""
	}
	o := s.opts
	key, err := json.Marshal([]any{s.config, o.Requirements, o.Preload, confines(o.Limits)})
	if err != nil {
		return nil, "" // the start of the worker tells
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ""
	}
	if b.pool == nil {
		b.pool = newPool(b.Pool, b.logger())
	}
	return b.pool, string(key)
}

// starter makes workers like those of s, and keeps nothing else of it.
func (b *Sandboxed) starter(s *session) func(context.Context) (*wire, error) {
	o := Options{Requirements: s.opts.Requirements, Preload: s.opts.Preload, Limits: s.opts.Limits}
	like := &session{opts: o, config: s.config, launch: func(ctx context.Context, progress func(string)) (sandbox.Process, error) {
		return b.fork(ctx, o, progress)
	}}
	return func(ctx context.Context) (*wire, error) { return like.fresh(ctx, func(string) {}) }
}

// check finds demands that mean nothing.
func (b *Sandboxed) check() error {
	switch b.Level {
	case "", LevelFiltered, LevelNamespaces:
	default:
		return &strands.InputError{Field: "Level", Reason: fmt.Sprintf(
			`%q is no level of confinement; use "namespaces" or "filtered", or the Exec backend for none`, b.Level)}
	}
	if b.Processes && b.Level == LevelFiltered {
		return &strands.InputError{Field: "Level", Reason: "Processes needs level namespaces: below it nothing ends what a session has started"}
	}
	if err := b.Require.CheckDemand(); err != nil {
		return &strands.InputError{Field: "Require", Reason: err.Error()}
	}
	return nil
}

// fork opens one confined process. A parent that has died is replaced once.
func (b *Sandboxed) fork(ctx context.Context, o Options, progress func(string)) (sandbox.Process, error) {
	py, err := b.open.interpreter(ctx, b.Python, b.CacheDir, o.Requirements, progress)
	if err != nil {
		return nil, err
	}
	preload := slices.Sorted(slices.Values(o.Preload))
	key := strings.Join(append([]string{py.Exe, strings.Join(py.Path, "\n")}, slices.Compact(preload)...), "\x00")
	for range 2 {
		p, err := b.parent(ctx, key, py, preload, o.Limits)
		if err != nil {
			return nil, err
		}
		proc, err := p.zygote.Fork(ctx, sandbox.SessionConfig{Binds: o.Binds, Limits: confines(o.Limits)})
		if err == nil {
			if unmet := proc.Report().Unmet(b.Require); len(unmet) > 0 {
				return nil, errors.Join(&IsolationError{proc.Report(), unmet}, proc.Close())
			}
			return proc, nil
		}
		if !errors.Is(err, sandbox.ErrZygote) {
			return nil, fmt.Errorf("python: opening a session: %w", err)
		}
		b.forgetParent(key, p)
	}
	return nil, fmt.Errorf("python: opening a session: %w twice", sandbox.ErrZygote)
}

// confines are the limits that the kernel keeps.
func confines(l Limits) sandbox.Limits {
	return sandbox.Limits{
		Memory: l.Memory, CPU: l.CPU, Disk: l.Disk, Files: l.Files, OpenFiles: l.OpenFiles, Threads: l.Threads,
	}
}

// parent returns the warm process for key, starting it when there is none.
func (b *Sandboxed) parent(ctx context.Context, key string, py sandbox.Python, preload []string, first Limits) (*parent, error) {
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return nil, strands.ErrClosed
		}
		p, ok := b.parents[key]
		if !ok {
			p = &parent{started: make(chan struct{})}
			if b.parents == nil {
				b.parents = map[string]*parent{}
			}
			b.parents[key] = p
		}
		b.mu.Unlock()
		if !ok {
			defer close(p.started) // also when it panics: Close waits for it
			p.err = errors.New("python: starting the warm process was given up")
			b.warm(ctx, p, py, preload, first)
			if p.err != nil {
				p.stopped = ctx.Err() != nil
				b.forgetParent(key, p)
			}
			return p, p.err
		}
		select {
		case <-p.started:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if p.err == nil {
			return p, nil
		}
		if !p.stopped {
			return nil, p.err
		}
	}
}

func (b *Sandboxed) warm(ctx context.Context, p *parent, py sandbox.Python, preload []string, first Limits) {
	z, err := sandbox.Start(ctx, sandbox.Config{
		Python: py, Worker: workerCode(), Preload: preload, Level: b.Level, CodeDir: b.open.codeDir(),
		Processes: b.Processes, Programs: b.Programs, First: confines(first),
	})
	if e, ok := errors.AsType[*sandbox.LevelError](err); ok {
		p.err = b.refuse(e)
		return
	}
	if err != nil {
		p.err = fmt.Errorf("python: no confined session can be opened: %w", err)
		return
	}
	p.zygote, p.err = z, nil
	for _, w := range z.Warnings() {
		b.logger().WarnContext(ctx, "python: a module is not preloaded", "reason", w)
	}
	b.logger().InfoContext(ctx, "python: sessions are confined", "isolation", z.Report().String())
}

func (b *Sandboxed) logger() *slog.Logger { return cmp.Or(b.Logger, slog.Default()) }

// refuse words that no level of those that would do can be had.
func (b *Sandboxed) refuse(e *sandbox.LevelError) error {
	want, what := cmp.Or(e.Level, LevelFiltered), ""
	if b.Processes {
		want, what = LevelNamespaces, " for Processes"
	}
	return &IsolationError{sandbox.Unconfined(e.Missing...), []string{fmt.Sprintf(
		"level %s is required%s (%s)", want, what, strings.Join(e.Missing, "; "))}}
}

func (b *Sandboxed) forgetParent(key string, p *parent) {
	b.mu.Lock()
	if b.parents[key] == p {
		delete(b.parents, key)
	}
	b.mu.Unlock()
	if p.zygote != nil {
		_ = p.zygote.Close() // it has ended already
	}
}

// Isolation reports what a session of this backend would have, verified on a
// process started for it. Where nothing can be confined the level is LevelNone, and
// Missing says why.
func (b *Sandboxed) Isolation(ctx context.Context) (Isolation, error) {
	py, err := b.open.interpreter(ctx, b.Python, b.CacheDir, nil, nil)
	if err != nil {
		return Isolation{}, err
	}
	return sandbox.Probe(ctx, py)
}

// IsolationOf reports what was verified about the process of a session. It is
// false when the session is of another backend, or has no process now.
func IsolationOf(s Session) (Isolation, bool) {
	if r, ok := s.(*repl); ok {
		s = r.Session
	}
	l, ok := s.(*session)
	if !ok {
		return Isolation{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wire == nil {
		return Isolation{}, false
	}
	return l.wire.proc.Report(), true
}

// Close implements Interpreter: it ends the sessions and the warm processes.
func (b *Sandboxed) Close() error {
	errs := []error{b.open.close()}
	b.mu.Lock()
	b.closed = true
	pool := b.pool
	b.mu.Unlock()
	if pool != nil {
		pool.close()
	}
	b.mu.Lock()
	parents := b.parents
	b.parents = nil
	b.mu.Unlock()
	for _, p := range parents {
		<-p.started
		if p.zygote != nil {
			errs = append(errs, p.zygote.Close())
		}
	}
	return errors.Join(errs...)
}
