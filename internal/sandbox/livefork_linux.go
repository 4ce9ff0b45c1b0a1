package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// admission is the order for one fork of one process. The system call filter
// asks this program about every fork and setsid; what follows is let through
// once, everything else is refused:
//
//  1. a plain fork by the process's main thread, and then
//  2. setsid by its child, which stands still in that call while it is
//     verified and gets its own socket and output in place of its parent's.
type admission struct {
	parent, fork   *session
	socket, output *os.File // the fork's ends

	cloned bool       // 1 has happened
	child  chan error // the verdict of 2
	judged bool       // which has been given
}

// Flags of a clone that is a plain fork; what libc adds names places in the
// memory of the child.
const (
	cloneSetTID   = 0x01000000
	cloneClearTID = 0x00200000
)

// clone decides about a call that makes a process. The caller holds the
// family's lock.
func (a *admission) clone(l *listener, n notification, calls map[string]uint32) {
	plain := n.nr == int32(calls["clone"]) && n.args[0]&^(cloneSetTID|cloneClearTID) == uint64(unix.SIGCHLD)
	if fork, ok := calls["fork"]; ok && n.nr == int32(fork) {
		plain = true
	}
	// A thread's number is not that of its process, so this is the main one.
	if a.cloned || !plain || int(n.pid) != a.parent.pid {
		l.refuse(n)
		return
	}
	a.cloned = l.proceed(n) == nil
}

// arrive decides about a setsid. The caller holds the family's lock.
func (a *admission) arrive(l *listener, n notification) {
	if !a.cloned || a.judged || int(n.pid) == a.parent.pid {
		l.refuse(n)
		return
	}
	err := a.admit(l, n)
	if err == nil {
		err = l.proceed(n)
	}
	if err != nil {
		if !l.waits(n) && a.asksAgain() {
			return
		}
		l.refuse(n)
	}
	a.judged = true
	a.child <- err
}

// admit verifies the child, which stands still, and makes it a process of its
// own.
func (a *admission) admit(l *listener, n notification) (err error) {
	pid := int(n.pid)
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("opening the child: %w", err)
	}
	a.fork.mu.Lock()
	a.fork.handle = handle
	a.fork.mu.Unlock()
	a.fork.pid = pid
	if err := a.verify(pid); err != nil {
		return err
	}
	if !l.waits(n) {
		return errors.New("the child has gone")
	}
	a.fork.makeGroup()
	missing := a.fork.enterGroup()
	if err := a.fork.limitCPU(a.parent); err != nil {
		return fmt.Errorf("limiting the child: %w", err)
	}
	for _, i := range []struct {
		f      *os.File
		target int
	}{{a.socket, controlFD}, {a.output, 1}, {a.output, 2}} {
		if err := l.install(n, i.f, i.target, i.target == controlFD); err != nil {
			return fmt.Errorf("handing the child its descriptors: %w", err)
		}
	}
	a.fork.report = a.fork.describe(a.fork.shook, missing)
	return nil
}

// asksAgain reports whether the child that was being admitted lives. Its call
// was interrupted by a signal then, as kernels before 5.19 let it be, and is
// made anew, when all is looked at again.
func (a *admission) asksAgain() bool {
	a.fork.mu.Lock()
	defer a.fork.mu.Unlock()
	if a.fork.handle < 0 || waitHandle(a.fork.handle, time.Millisecond) {
		return false
	}
	unix.Close(a.fork.handle)
	a.fork.handle = -1
	return true
}

// verify looks at the child from outside: it is the parent's, in all the
// parent's namespaces, and confined as a session must be.
func (a *admission) verify(pid int) error {
	st, err := readStatus(pid)
	if err != nil {
		return err
	}
	if st["PPid"] != strconv.Itoa(a.parent.pid) || st["Tgid"] != st["Pid"] {
		return fmt.Errorf("process %s is of %s, want a child of %d", st["Tgid"], st["PPid"], a.parent.pid)
	}
	for _, kind := range sessionNamespaces {
		if own := namespaceOf(pid, kind); own == "" || own != namespaceOf(a.parent.pid, kind) {
			return fmt.Errorf("the child has another %s namespace", kind)
		}
	}
	_, err = a.fork.want.verify(pid)
	return err
}

// limitCPU leaves the fork what its parent has not used up of its time.
func (s *session) limitCPU(parent *session) error {
	if s.limits.CPU <= 0 {
		return nil
	}
	used, err := parent.CPU()
	if err != nil {
		return err
	}
	s.limits.CPU = max(parent.limits.CPU-used, time.Second)
	seconds := uint64((s.limits.CPU + time.Second - 1) / time.Second)
	return unix.Prlimit(s.pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds}, nil)
}

// noFork says why a session cannot be forked; "" = it can.
func (s *session) noFork() string {
	switch {
	case s.z.level != LevelNamespaces:
		return fmt.Sprintf("that needs level %s, this session is at %s: allow user namespaces on this machine (%s says what is missing)",
			LevelNamespaces, s.z.level, "codeagent doctor")
	case s.z.cfg.Processes:
		return "the session may start programs, which would not be in the copy: open it without Processes"
	case s.family.listener == nil && s.shook.Ready != nil && s.shook.Ready.NoFork != "":
		return "the kernel does not let this program decide about forks: " + s.shook.Ready.NoFork
	case s.family.listener == nil:
		return "the system call filter has no listener"
	}
	return ""
}

// Fork implements Forker.
func (s *session) Fork(ctx context.Context, ask func() error) (Process, error) {
	if reason := s.noFork(); reason != "" {
		return nil, &ForkError{Reason: reason, Never: true}
	}
	select {
	case <-s.family.turn:
		defer func() { s.family.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("sandbox: forking a session: %w", context.Cause(ctx))
	}
	fork := s.z.newSession(s.limits)
	fork.family, fork.live, fork.want, fork.shook = s.family, true, s.want, s.shook
	if err := s.family.add(fork); err != nil {
		return nil, err
	}
	err := fork.bear(ctx, s, ask)
	if err != nil {
		fork.abandon()
		return nil, err
	}
	close(fork.forked)
	go fork.watchExit()
	return fork, nil
}

// bear makes the fork s of parent.
func (s *session) bear(ctx context.Context, parent *session, ask func() error) error {
	socket, output, err := s.connect()
	if err != nil {
		return err
	}
	defer socket.Close()
	defer output.Close()
	if err := s.z.enter(s); err != nil {
		return err
	}
	a := &admission{parent: parent, fork: s, socket: socket, output: output, child: make(chan error, 1)}
	s.family.expect(a)
	defer s.family.expect(nil) // a child that comes later is refused
	if err := ask(); err != nil {
		return err
	}
	select {
	case err := <-a.child:
		if err != nil {
			return fmt.Errorf("sandbox: the fork of a session is not as it should be: %w", err)
		}
		return nil
	case <-parent.exited:
		return fmt.Errorf("sandbox: the session ended while it was forked")
	case <-ctx.Done():
		return fmt.Errorf("sandbox: waiting for the fork of a session: %w", context.Cause(ctx))
	}
}

// expect makes a the fork under way.
func (f *family) expect(a *admission) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = a
}

// abandon undoes a fork that failed, whatever has become of its process.
func (s *session) abandon() {
	s.hangUp()
	s.z.forget(s)
	s.mu.Lock()
	if s.handle >= 0 {
		unix.Close(s.handle)
		s.handle = -1
	}
	s.mu.Unlock()
	last := s.family.leave(s)
	s.family.sweep()
	s.group.close()
	if last { // its parent was closed meanwhile
		_ = s.family.end()
	}
}

// untold is the status of a process of which the kernel tells none: Linux
// before 6.15, for those who may not look into it.
const untold unix.WaitStatus = 1 << 16

// watchExit waits for the end of a fork, whose parent is a session that tells
// nothing, and closes exited.
func (s *session) watchExit() {
	s.mu.Lock()
	handle, err := unix.FcntlInt(uintptr(max(s.handle, 0)), unix.F_DUPFD_CLOEXEC, 0)
	s.mu.Unlock()
	if err != nil {
		handle = -1
	}
	awaitHandle(handle)
	status, cpu, err := exitOfZombie(s.pid)
	if s.z.self.remembers {
		if remembered, known := exitOfHandle(handle); known {
			status, err = remembered, nil
		}
	}
	unix.Close(handle)
	switch {
	case errors.Is(err, fs.ErrPermission):
		status = untold
	case err != nil: // the keeper ended, and all was reaped at once
		status = unix.WaitStatus(unix.SIGKILL)
	}
	if status.Signal() == unix.SIGKILL && !s.killed.Load() && s.z.ending() && s.z.endsWithin(dying) {
		s.waitErr = ErrZygote
	}
	s.ended(status, cpu)
}

// awaitHandle waits for the end of the process behind a pidfd.
func awaitHandle(handle int) {
	watched, err := unix.FcntlInt(uintptr(handle), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	if unix.SetNonblock(watched, true) != nil { // so that no thread is held
		unix.Close(watched)
		return
	}
	f := os.NewFile(uintptr(watched), "pidfd")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// exitOfZombie reads how a process ended that its parent has not reaped yet:
// sessions reap their forks late, and so does the keeper. The status of a
// process that this program may not look into is 0 in the file, whatever it
// was: that is an fs.ErrPermission, and cpu is known.
func exitOfZombie(pid int) (status unix.WaitStatus, cpu time.Duration, err error) {
	f, err := statFields(pid)
	if err != nil {
		return 0, 0, err
	}
	if len(f) < 50 || f[0] != "Z" {
		return 0, 0, fmt.Errorf("process %d has not ended", pid)
	}
	var numbers [3]uint64
	for i, at := range []int{11, 12, 49} { // ticks as user and in the kernel; status
		if numbers[i], err = strconv.ParseUint(f[at], 10, 64); err != nil {
			return 0, 0, err
		}
	}
	cpu = time.Duration(numbers[0]+numbers[1]) * (time.Second / 100)
	// The same question as for the status: the program of a zombie does not
	// exist, for those who may ask.
	if _, err = os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); errors.Is(err, fs.ErrPermission) {
		return 0, cpu, err
	}
	return unix.WaitStatus(numbers[2]), cpu, nil
}
