package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// forkRequest is what the zygote is told of a session.
type forkRequest struct {
	ID      uint32            `json:"id"`
	First   bool              `json:"first"`   // of this zygote
	User    int               `json:"uid"`     // as the zygote sees it; 0 = stay
	Folders [2]string         `json:"folders"` // working folder, temporary folder
	Env     map[string]string `json:"env"`     // nil = the zygote's
	Binds   [][2]string       `json:"binds"`
	Limits  forkLimits        `json:"limits"`
}

// forkLimits are Limits in the kernel's units. Negative = none.
type forkLimits struct {
	Memory    int64 `json:"memory"`
	CPU       int64 `json:"cpu"` // seconds
	Disk      int64 `json:"disk"`
	Files     int   `json:"files"`
	OpenFiles int   `json:"open_files"`
	Threads   int   `json:"threads"`
}

// Fork opens a session: a fork of the zygote that has confined itself and was
// verified from outside. ctx bounds the opening only. When the zygote has
// ended the error is ErrZygote.
func (z *Zygote) Fork(ctx context.Context, cfg SessionConfig) (Process, error) {
	if s := z.takeSpare(cfg); s != nil {
		return s, nil
	}
	s := z.newSession(cfg.Limits.withDefaults())
	var err error
	if cfg.Binds, err = z.checkBinds(cfg.Binds); err != nil {
		return nil, err
	}
	if err := z.checkMemory(s.limits); err != nil {
		return nil, err
	}
	if err := z.ask(s, cfg); err != nil {
		return nil, err
	}
	if err := s.open(ctx, cfg); err != nil {
		closeErr := s.Close()
		switch cause := context.Cause(ctx); {
		case cause != nil:
			err = fmt.Errorf("sandbox: opening a session: %w", cause)
		case closeErr == nil && s.waitErr != nil: // whatever step noticed it first
			err = fmt.Errorf("sandbox: %w", s.waitErr)
		}
		return nil, errors.Join(err, closeErr)
	}
	return s, nil
}

func (z *Zygote) newSession(l Limits) *session {
	return &session{z: z, limits: l, handle: -1, forked: make(chan struct{}), exited: make(chan struct{})}
}

// ask makes what the session needs and sends the request. When it succeeds the
// session is in the books and wants to be closed.
func (z *Zygote) ask(s *session, cfg SessionConfig) (err error) {
	slot, err := z.users.take()
	if err != nil {
		return err
	}
	s.family = newFamily(z, slot, s)
	defer func() {
		if err != nil {
			s.hangUp()
			z.forget(s)
			z.users.give(slot)
			s.group.close()
			if s.dir != "" {
				os.RemoveAll(s.dir)
			}
		}
	}()
	theirs, w, err := s.connect()
	if err != nil {
		return err
	}
	defer theirs.Close()
	defer w.Close()
	if z.folder != nil {
		if s.dir, err = z.folder.session(z.hostUser(s)); err != nil {
			return err
		}
	}
	if err := z.enter(s); err != nil {
		return err
	}
	s.makeGroup()
	fds := []int{int(theirs.Fd()), int(w.Fd())}
	for _, door := range s.group.doors() {
		defer door.Close()
		fds = append(fds, int(door.Fd()))
	}
	if err := z.control.send(z.request(s, cfg), fds...); err != nil {
		return fmt.Errorf("sandbox: %w: %w", ErrZygote, err)
	}
	return nil
}

// connect makes the socket and the output of a process and returns its ends of
// them.
func (s *session) connect() (theirs, w *os.File, err error) {
	if s.conn, theirs, err = socketPair("session"); err != nil {
		return nil, nil, fmt.Errorf("sandbox: %w", err)
	}
	if s.output, w, err = outputPipe(); err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("sandbox: %w", err)
	}
	return theirs, w, nil
}

// hangUp undoes connect.
func (s *session) hangUp() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.output != nil {
		s.output.Close()
	}
}

// hostUser is the session's user as this program sees it.
func (z *Zygote) hostUser(s *session) int {
	if z.users.first == 0 {
		return z.self.uid
	}
	return int(z.users.first) + s.family.slot
}

func (z *Zygote) request(s *session, cfg SessionConfig) forkRequest {
	r := forkRequest{ID: s.id, First: s.id == 1, Folders: [2]string{"/work", "/tmp"}, Binds: [][2]string{}}
	if z.users.first != 0 {
		r.User = insideFirst + s.family.slot
		if z.level == LevelFiltered {
			r.User = z.hostUser(s)
		}
	}
	if s.dir != "" {
		r.Folders = [2]string{filepath.Join(s.dir, "work"), filepath.Join(s.dir, "tmp")}
		r.Env = environment(r.Folders[1], r.Folders[1])
	}
	for _, b := range cfg.Binds {
		r.Binds = append(r.Binds, [2]string{b.Source, b.Target})
	}
	l := s.limits
	r.Limits = forkLimits{Memory: l.Memory, CPU: -1, Disk: l.Disk, Files: l.Files, OpenFiles: l.OpenFiles, Threads: l.Threads}
	if l.CPU > 0 {
		r.Limits.CPU = int64((l.CPU + time.Second - 1) / time.Second)
	}
	return r
}

// open waits for the fork, puts it in its cgroup, hears that it has confined
// itself and looks for itself.
func (s *session) open(ctx context.Context, cfg SessionConfig) error {
	select {
	case <-s.forked:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	handle := s.handle
	s.mu.Unlock()
	if handle < 0 {
		return fmt.Errorf("sandbox: %w", ErrZygote)
	}
	var err error
	if s.pid, err = pidOf(handle); err != nil {
		return fmt.Errorf("sandbox: finding the session's process: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { s.conn.SetReadDeadline(time.Unix(1, 0)) })
	h, fds, err := receiveFrame[handshake](s.conn, 64<<10)
	if !stop() || ctx.Err() != nil {
		closeAll(fds)
		return ctx.Err()
	}
	s.family.listen(fds)
	switch {
	case err != nil:
		return fmt.Errorf("sandbox: the session ended while it was confined (%w)%s", err, s.lastWords())
	case h.Ready == nil:
		return &isolationError{level: s.z.level, step: h.Failed}
	}
	want := expectation{
		level: s.z.level, outside: s.z.outside, uid: s.z.hostUser(s), proc: h.Ready.Proc,
		bounded: s.z.level == LevelNamespaces || s.z.users.first != 0, readOnly: s.z.plan.Binds,
	}
	for _, b := range cfg.Binds {
		want.readOnly = append(want.readOnly[:len(want.readOnly):len(want.readOnly)], b.Target)
	}
	spaces, err := want.verify(s.pid)
	if err == nil {
		err = s.family.settle(spaces)
	}
	if err != nil {
		return fmt.Errorf("sandbox: the session is not confined as it should be: %w", err)
	}
	s.want, s.shook = want, h
	s.report = s.describe(h, s.enterGroup())
	return nil
}

// makeGroup makes the cgroup of a session.
func (s *session) makeGroup() {
	if s.z.groups == nil {
		s.ungrouped = []string{"memory cgroup: not wanted"}
		return
	}
	c, err := s.z.groups.session(s.id, s.limits)
	s.setGroup(c, err)
}

func (s *session) setGroup(c *cgroup, err error) {
	s.ungrouped = s.z.groups.missing
	if err != nil {
		s.ungrouped = []string{fmt.Sprintf("memory cgroup: %v", err)}
	}
	s.mu.Lock()
	s.group = c
	s.mu.Unlock()
}

// enterGroup returns why there is no cgroup for a limit.
func (s *session) enterGroup() []string {
	if s.group != nil {
		if err := s.group.enter(s.pid); err != nil {
			s.group.close()
			s.setGroup(nil, err)
		}
	}
	return s.ungrouped
}

// describe words what was verified.
func (s *session) describe(h handshake, missing []string) Report {
	missing = slices.Concat(s.z.missing, missing)
	r := Report{
		Level: s.z.level, FilesRead: "listed", FilesWrite: "session", FileMetadata: "hidden", Network: "none",
		UnixSockets: "none", Processes: "none", Threads: "own", Signals: "own", Memory: "rlimit", CPU: "rlimit",
		Disk: "quota", Kernel: "allowlist", ProcFS: "own", Forks: "asked", Landlock: h.Ready.Landlock, Missing: missing,
	}
	if s.z.level == LevelFiltered {
		r.FileMetadata, r.Disk, r.ProcFS = "visible", "per-file", "none"
	}
	if s.z.cfg.Processes {
		r.Processes = "contained"
	}
	if s.noFork() != "" {
		r.Forks = "none"
	}
	if h.Ready.NoFork != "" {
		r.Missing = append(r.Missing, "forks: "+h.Ready.NoFork)
	}
	if s.group != nil && s.group.memory != "" {
		r.Memory = "cgroup"
	} else if s.z.cfg.Processes {
		r.Missing = append(r.Missing, "memory of all processes together: no cgroup, the limit is of each")
	}
	if !h.Ready.OwnUser {
		r.Threads = "shared"
		r.Missing = append(r.Missing, "threads: sessions have this program's user, whose processes the kernel counts together")
	}
	if s.z.noProc != "" {
		r.ProcFS = "none"
		r.Missing = append(r.Missing, "own /proc: "+s.z.noProc)
	}
	if h.Ready.Landlock == 0 {
		r.Missing = append(r.Missing, "Landlock: not in this kernel")
	}
	for word, limit := range map[*string]int64{
		&r.Memory: s.limits.Memory, &r.CPU: int64(s.limits.CPU), &r.Disk: s.limits.Disk, &r.Threads: int64(s.limits.Threads),
	} {
		if limit < 0 {
			*word = "none"
		}
	}
	if s.limits.Threads < 0 {
		r.Threads = "unlimited"
	}
	return r
}

// lastWords is what a process that died early wrote.
func (s *session) lastWords() string {
	_ = s.output.SetReadDeadline(time.Now().Add(time.Second))
	data, _ := io.ReadAll(io.LimitReader(s.output, tailSize))
	if len(data) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(data))
}

// checkBinds completes the targets and refuses what could not be mounted or
// read, in words.
func (z *Zygote) checkBinds(binds []Bind) ([]Bind, error) {
	out := make([]Bind, 0, len(binds))
	for _, b := range binds {
		if b.Target == "" {
			b.Target = b.Source
			if z.level == LevelNamespaces {
				b.Target = "/mnt/" + filepath.Base(b.Source)
			}
		}
		source, target := filepath.Clean(b.Source), filepath.Clean(b.Target)
		switch {
		case !filepath.IsAbs(source) || !filepath.IsAbs(target) || source != b.Source || target != b.Target:
			return nil, fmt.Errorf("sandbox: bind %q to %q: both must be clean absolute paths", b.Source, b.Target)
		case z.level == LevelFiltered && source != target:
			return nil, fmt.Errorf("sandbox: bind %s to %s: at level %s a session sees the host's paths", source, target, z.level)
		case z.level == LevelNamespaces && !strings.HasPrefix(target, "/mnt/"):
			return nil, fmt.Errorf("sandbox: bind %s to %s: the target must lie below /mnt", source, target)
		case z.level == LevelNamespaces && slices.ContainsFunc(out, func(o Bind) bool { return within(o.Target, target) || within(target, o.Target) }):
			return nil, fmt.Errorf("sandbox: bind %s to %s: another bind is there", source, target)
		}
		info, err := os.Stat(source)
		if err != nil {
			return nil, fmt.Errorf("sandbox: bind: %w", err)
		}
		need := os.FileMode(0o004)
		if info.IsDir() {
			need = 0o005
		}
		if z.users.first != 0 && info.Mode().Perm()&need != need {
			return nil, fmt.Errorf("sandbox: bind %s: sessions run as another user, who cannot read it (mode %04o): chmod it o+rX",
				source, info.Mode().Perm())
		}
		out = append(out, b)
	}
	return out, nil
}

// checkMemory refuses a limit that is reached before the session begins.
func (z *Zygote) checkMemory(l Limits) error {
	const mib = 1 << 20
	if need := z.size + 16*mib; l.Memory > 0 && l.Memory < need {
		return fmt.Errorf("sandbox: a memory limit of %.4g MiB is too low: the interpreter with what is preloaded needs %d MiB",
			float64(l.Memory)/mib, (need+mib-1)/mib)
	}
	return nil
}

// outputPipe returns the pipe behind a session's standard streams. Only the
// host's end is non-blocking: the other is somebody else's.
func outputPipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fds[0]), "output"), os.NewFile(uintptr(fds[1]), "output"), nil
}
