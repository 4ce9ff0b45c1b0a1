package python

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/internal/sandbox"
)

// Exec is the backend without confinement: the code runs as a plain process
// with the rights of this program, in a folder of its own and with an empty
// environment. It is for code that is trusted, and for systems on which there
// is no sandbox; it logs a warning each time a session is opened. Limits of
// memory, processor time and descriptors hold where the system has rlimits;
// those of disk, files and threads do not. The zero value is ready to use.
type Exec struct {
	Python   string       // an interpreter; "" = $STRANDS_PYTHON, else the registered one, else python3 on PATH
	CacheDir string       // of environments; "" = $STRANDS_CACHE, else a folder of the user or the system
	Logger   *slog.Logger // nil = slog.Default()

	open backend
}

// Open implements Interpreter.
func (e *Exec) Open(ctx context.Context, o Options) (Session, error) {
	logger := e.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.WarnContext(ctx, "python: this session is not confined: its code has all the rights of this program",
		"isolation", sandbox.LevelNone, "backend", "exec")
	for _, b := range o.Binds {
		if b.Target != "" && b.Target != b.Source {
			return nil, &strands.InputError{Field: "Binds", Reason: fmt.Sprintf(
				"%s cannot be at %s: code that is not confined sees the host's paths", b.Source, b.Target)}
		}
	}
	s, err := e.open.session(o, false)
	if err != nil {
		return nil, err
	}
	s.launch = func(ctx context.Context, progress func(string)) (sandbox.Process, error) {
		py, err := e.open.interpreter(ctx, e.Python, e.CacheDir, s.opts.Requirements, progress)
		if err != nil {
			return nil, err
		}
		return startPlain(ctx, py, workerCode(), s.opts.Limits)
	}
	return s.opened(ctx)
}

// Close implements Interpreter.
func (e *Exec) Close() error { return e.open.close() }

// backend is what the local backends share: their open sessions, and the
// interpreter they were made with.
type backend struct {
	mu       sync.Mutex
	closed   bool
	sessions map[*session]bool
	manager  *pyenv.Manager
}

// session makes a session that is closed with the backend.
func (b *backend) session(o Options, guard bool) (*session, error) {
	s, err := newSession(o, guard)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, strands.ErrClosed
	}
	if b.sessions == nil {
		b.sessions = map[*session]bool{}
	}
	b.sessions[s] = true
	s.forget = func(s *session) {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.sessions, s)
	}
	return s, nil
}

// interpreter returns the Python with requirements installed.
func (b *backend) interpreter(ctx context.Context, exe, dir string, requirements []string, progress func(string)) (sandbox.Python, error) {
	b.mu.Lock()
	if b.manager == nil {
		b.manager = &pyenv.Manager{Dir: dir, Python: exe, Embedded: distribution()}
	}
	m := b.manager
	b.mu.Unlock()
	var py *pyenv.Interpreter
	var err error
	if len(requirements) == 0 {
		py, err = m.Find(ctx, progress)
	} else {
		py, err = m.Make(ctx, requirements, progress)
	}
	if err != nil {
		return sandbox.Python{}, fmt.Errorf("python: %w", err)
	}
	return sandbox.Python{Exe: py.Exe, Roots: py.Roots, Path: py.Path, Prefix: py.Prefix, Version: py.Version}, nil
}

// codeDir is where compiled code of the worker is kept; "" = nowhere.
func (b *backend) codeDir() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.manager == nil {
		return ""
	}
	return b.manager.CodeDir()
}

// close ends all sessions. All are attempted; a second call does nothing.
func (b *backend) close() error {
	b.mu.Lock()
	b.closed = true
	sessions := b.sessions
	b.sessions = nil
	b.mu.Unlock()
	var errs []error
	for s := range sessions {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// opened starts the first worker, so that what is wrong is found by Open.
func (s *session) opened(ctx context.Context) (Session, error) {
	progress := s.opts.Progress
	if progress == nil {
		progress = func(string) {}
	}
	if _, err := s.ready(ctx, progress); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
