package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Zygote is a warm parent process: it has executed the worker's modules and
// imported the preloaded ones, and forks confined sessions. Its methods are
// safe for concurrent use.
type Zygote struct {
	cfg      Config
	level    Level
	cmd      *exec.Cmd
	control  *control
	trace    *tail // what it wrote to its standard streams
	plan     rootPlan
	users    *users
	self     selfStatus
	groups   *cgroups // nil = not wanted
	folder   *folder  // of the sessions; nil at LevelNamespaces
	noProc   string
	outside  map[string]bool // namespaces that no session may be in
	size     int64           // of its address space, bytes
	missing  []string        // why the level is no higher
	report   Report
	warnings []string

	mu       sync.Mutex
	next     uint32
	sessions map[uint32]*session
	ended    bool
	spare    *session           // opened by Start, until the first Fork
	spaces   map[string]*family // whose a namespace is, by name

	readers   sync.WaitGroup
	done      chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// Start starts a Zygote at the demanded level, else the strongest that can be
// had. It fails with a *LevelError when that is not available. The zygote
// outlives ctx, which bounds the start only; Close it.
func Start(ctx context.Context, cfg Config) (*Zygote, error) {
	levels, err := cfg.levels()
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, level := range levels {
		if reason := chain.broken(level, cfg.Python.Exe); reason != "" {
			missing = append(missing, reason)
			continue
		}
		z, err := startWarm(ctx, cfg, level, missing)
		if e, ok := errors.AsType[*isolationError](err); ok {
			if !e.passing {
				chain.remember(level, cfg.Python.Exe, e.Error())
			}
			missing = append(missing, e.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		return z, nil
	}
	return nil, &LevelError{Level: cfg.Level, Missing: missing}
}

// startWarm leaves out the modules that cannot be preloaded, one at a time:
// each failure may have left others half imported.
func startWarm(ctx context.Context, cfg Config, level Level, missing []string) (*Zygote, error) {
	preload := slices.Clone(cfg.Preload)
	var warnings []string
	for {
		z, err := startOnce(ctx, cfg, level, preload, missing)
		if e, ok := errors.AsType[*preloadError](err); ok && slices.Contains(preload, e.module) {
			preload = slices.DeleteFunc(preload, func(m string) bool { return m == e.module })
			warnings = append(warnings, fmt.Sprintf("%s is not preloaded: %s", e.module, e.reason))
			continue
		}
		if err != nil {
			return nil, err
		}
		z.warnings = warnings
		return z, nil
	}
}

// startOnce starts the process and opens a session, so that what works here
// works later. missing says why the level is no higher.
func startOnce(ctx context.Context, cfg Config, level Level, preload, missing []string) (*Zygote, error) {
	z, err := launch(ctx, cfg, level, preload)
	if err != nil {
		return nil, err
	}
	z.missing = missing
	first := SessionConfig{Limits: cfg.First}
	if z.checkMemory(first.Limits.withDefaults()) != nil {
		first = SessionConfig{} // whoever wants it hears of it
	}
	trial, err := z.Fork(ctx, first)
	if err != nil {
		return nil, errors.Join(err, z.Close())
	}
	z.report, z.spare = trial.Report(), trial.(*session)
	return z, nil
}

// takeSpare returns the session that Start opened, once, if it is what cfg
// asks for. Otherwise it is of no use any more.
func (z *Zygote) takeSpare(cfg SessionConfig) *session {
	z.mu.Lock()
	s := z.spare
	z.spare = nil
	z.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case <-s.exited:
	default:
		if len(cfg.Binds) == 0 && s.limits == cfg.Limits.withDefaults() {
			return s
		}
	}
	_ = s.Close() // the one that is asked for will tell what is wrong
	return nil
}

// isolationError is a step of confinement that this machine refuses.
type isolationError struct {
	level   Level
	step    string
	passing bool // it lies in what was asked for, not in the machine
}

func (e *isolationError) Error() string { return fmt.Sprintf("level %s: %s", e.level, e.step) }

// preloadError is a module that the zygote could not import.
type preloadError struct{ module, reason string }

func (e *preloadError) Error() string { return fmt.Sprintf("preloading %s: %s", e.module, e.reason) }

// chain remembers which levels did not work, for the life of the program.
var chain brokenLevels

type brokenLevels struct {
	mu      sync.Mutex
	reasons map[[2]string]string // by level and interpreter
}

func (b *brokenLevels) broken(l Level, exe string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reasons[[2]string{string(l), exe}]
}

func (b *brokenLevels) remember(l Level, exe, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reasons == nil {
		b.reasons = map[[2]string]string{}
	}
	b.reasons[[2]string{string(l), exe}] = reason
}

// receive is the one reader of the control socket. It ends with the zygote.
func (z *Zygote) receive() {
	for {
		m, fds, err := z.control.receive()
		if err != nil {
			break
		}
		z.mu.Lock()
		s := z.sessions[max(m.Forked, m.Exited)]
		z.mu.Unlock()
		switch {
		case s == nil || m.Forked != 0 && len(fds) == 0:
			closeAll(fds)
		case m.Forked != 0:
			s.started(fds)
		case m.Exited != 0:
			s.ended(unix.WaitStatus(m.Status), time.Duration(m.CPU*float64(time.Second)))
		}
	}
	z.mu.Lock()
	z.ended = true
	orphans := slices.Collect(maps.Values(z.sessions))
	z.mu.Unlock()
	for _, s := range orphans {
		select {
		case <-s.exited:
		default:
			if !s.live { // that one is watched
				s.orphaned()
			}
		}
	}
	// What is left of it has no purpose: it may only be slow to notice.
	timer := time.AfterFunc(dying, func() { _ = z.cmd.Process.Kill() })
	_ = z.cmd.Wait()
	timer.Stop()
	close(z.done)
}

// enter puts a session into the books, under a number of its own.
func (z *Zygote) enter(s *session) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.ended {
		return fmt.Errorf("sandbox: %w", ErrZygote)
	}
	z.next++
	s.id = z.next
	z.sessions[s.id] = s
	return nil
}

// forget takes a closed session out of the books.
func (z *Zygote) forget(s *session) {
	z.mu.Lock()
	delete(z.sessions, s.id)
	z.mu.Unlock()
}

// ending says whether the process has begun to end. What the kernel kills
// because of that is killed later, so there is nothing to wait for.
func (z *Zygote) ending() bool {
	const exiting = 0x4 // PF_EXITING, among the flags of the kernel
	f, err := statFields(z.Pid())
	if err != nil || len(f) < 7 || f[0] == "Z" || f[0] == "X" {
		return true
	}
	flags, err := strconv.ParseUint(f[6], 10, 64)
	if err == nil && flags&exiting != 0 {
		return true
	}
	select {
	case <-z.done: // then the number may be another's
		return true
	default:
		return false
	}
}

func (z *Zygote) endsWithin(d time.Duration) bool {
	select {
	case <-z.done:
		return true
	case <-time.After(d):
		return false
	}
}

// Report is what every session of the zygote is verified to have; one with
// other limits may have other words for them.
func (z *Zygote) Report() Report { return z.report }

// Warnings says which modules were not preloaded, and why.
func (z *Zygote) Warnings() []string { return z.warnings }

// Done is closed when the process has ended, by Close or not.
func (z *Zygote) Done() <-chan struct{} { return z.done }

// Pid is that of the process.
func (z *Zygote) Pid() int { return z.cmd.Process.Pid }

// Close kills the zygote and all its sessions, waits for them, and removes
// what they leave. A second call does nothing.
func (z *Zygote) Close() error {
	z.closeOnce.Do(func() {
		z.mu.Lock()
		z.ended = true // no more forks
		open := slices.Collect(maps.Values(z.sessions))
		z.mu.Unlock()
		for _, s := range open {
			z.closeErr = errors.Join(z.closeErr, s.Close())
		}
		z.control.conn.CloseWrite()
		<-z.done
		z.readers.Wait()
		z.control.conn.Close()
		z.release()
	})
	return z.closeErr
}

// release frees what was made for the process before it was started.
func (z *Zygote) release() {
	if z.groups != nil {
		z.groups.close()
	}
	if z.folder != nil {
		z.closeErr = errors.Join(z.closeErr, z.folder.remove())
	}
}

// Probe starts and confines one process with the interpreter as a session
// would be, and reports what was verified. Below LevelFiltered the report says
// LevelNone and why. The first answer for an interpreter is kept for the
// life of this program.
func Probe(ctx context.Context, py Python) (Report, error) {
	probed.mu.Lock()
	defer probed.mu.Unlock()
	if r, ok := probed.reports[py.Exe]; ok {
		return r, nil
	}
	worker := Worker{Modules: []WorkerModule{{Name: "_sandbox_probe", Source: "import os\ndef run(fd): os.read(fd, 1)\n"}}, Entry: "_sandbox_probe:run"}
	z, err := Start(ctx, Config{Python: py, Worker: worker})
	var r Report
	if e, ok := errors.AsType[*LevelError](err); ok {
		r = Unconfined(e.Missing...)
	} else if err != nil {
		return Report{}, err
	} else {
		r = z.Report()
		if err := z.Close(); err != nil {
			return Report{}, err
		}
	}
	if probed.reports == nil {
		probed.reports = map[string]Report{}
	}
	probed.reports[py.Exe] = r
	return r, nil
}

var probed struct {
	mu      sync.Mutex
	reports map[string]Report
}

// drain copies r to w until its writers have gone.
func drain(w io.Writer, r *os.File) {
	_, _ = io.Copy(w, r)
	r.Close()
}
