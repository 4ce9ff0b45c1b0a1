package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// dying is how long the kernel may take to end a process that was killed. It
// is long: the warm parent, which tells of the end, may have to wait for the
// processor.
const dying = 30 * time.Second

// session is a forked process. It is made before the fork is asked for, so
// that whatever the zygote says about it finds it.
type session struct {
	z      *Zygote
	id     uint32
	family *family
	live   bool        // forked from another session
	want   expectation // that was verified
	shook  handshake
	limits Limits
	conn   *net.UnixConn
	output *os.File
	dir    string
	group  *cgroup
	// ungrouped says why there is no cgroup for a limit.
	ungrouped []string
	report    Report
	pid       int

	forked chan struct{} // closed when handle is set, or the zygote has ended
	exited chan struct{} // closed when exit and waitErr are set

	exit    Exit
	waitErr error

	killed atomic.Bool // by Close

	mu     sync.Mutex
	handle int // pidfd; -1 before the fork and after Close

	closeOnce sync.Once
	closeErr  error
}

func (s *session) Conn() net.Conn   { return s.conn }
func (s *session) Output() *os.File { return s.output }
func (s *session) Pid() int         { return s.pid }
func (s *session) Dir() string      { return s.dir }
func (s *session) Report() Report   { return s.report }

// Interrupt implements Process.
func (s *session) Interrupt() error { return s.signal(unix.SIGINT) }

func (s *session) signal(sig unix.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handle < 0 {
		return os.ErrProcessDone
	}
	err := unix.PidfdSendSignal(s.handle, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return os.NewSyscallError("pidfd_send_signal", err)
}

// CPU implements Process. After the end it is what the zygote was told.
func (s *session) CPU() (time.Duration, error) {
	select {
	case <-s.exited:
		return s.exit.CPU, nil
	default:
	}
	var ts unix.Timespec
	const schedClock = 2 // of a process, by its number
	if err := unix.ClockGettime(int32(^s.pid<<3|schedClock), &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// Wait implements Process.
func (s *session) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-s.exited:
		return s.exit, s.waitErr
	case <-ctx.Done():
		return Exit{}, context.Cause(ctx)
	}
}

// Close implements Process.
func (s *session) Close() error {
	s.closeOnce.Do(func() {
		s.killed.Store(true)
		last := s.family.leave(s)
		if err := s.signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
			s.closeErr = err
		}
		s.conn.Close()
		select {
		case <-s.exited:
		case <-time.After(dying):
			s.closeErr = errors.Join(s.closeErr, fmt.Errorf("sandbox: session %d does not die", s.pid))
		}
		s.output.Close()
		s.z.forget(s)
		if last {
			s.closeErr = errors.Join(s.closeErr, s.family.end())
		}
		s.group.close()
		if s.dir != "" {
			s.closeErr = errors.Join(s.closeErr, os.RemoveAll(s.dir))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.handle >= 0 {
			unix.Close(s.handle)
			s.handle = -1
		}
	})
	return s.closeErr
}

// started takes the handles of the process and of its keeper; called once, by
// the reader.
func (s *session) started(handles []int) {
	s.mu.Lock()
	s.handle = handles[0]
	s.mu.Unlock()
	if len(handles) > 1 {
		s.family.keep(handles[1])
	}
	close(s.forked)
}

// ended is called once, by the reader, with what the zygote saw.
func (s *session) ended(status unix.WaitStatus, cpu time.Duration) {
	s.exit = Exit{Code: status.ExitStatus(), CPU: cpu}
	switch {
	case status == untold:
		s.exit.Code = -1
	case status.Signaled():
		s.exit.Signal = unix.SignalName(status.Signal())
	}
	if (s.exit.Signal == "SIGKILL" || status == untold) && !s.killed.Load() {
		s.mu.Lock()
		s.exit.Memory = s.group.outOfMemory()
		s.mu.Unlock()
		// The limit is counted in ticks, which cpu is not.
		s.exit.Time = !s.exit.Memory && s.limits.CPU > 0 && cpu >= s.limits.CPU*3/4
	}
	close(s.exited)
}

// orphaned is called instead of started and ended when the zygote has gone:
// the kernel kills the session then, and this waits for it.
func (s *session) orphaned() {
	s.mu.Lock()
	handle := s.handle
	s.mu.Unlock()
	if handle >= 0 {
		_ = unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0)
		waitHandle(handle, dying)
	}
	s.exit, s.waitErr = Exit{Code: -1, Signal: "SIGKILL"}, ErrZygote
	select {
	case <-s.forked:
	default:
		close(s.forked)
	}
	close(s.exited)
}

// waitHandle waits until the process behind a pidfd has ended, and says
// whether it has.
func waitHandle(handle int, limit time.Duration) bool {
	end := time.Now().Add(limit)
	for left := limit; left > 0; left = time.Until(end) {
		fds := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, int(left.Milliseconds())+1); n > 0 || (err != nil && err != unix.EINTR) {
			return n > 0
		}
	}
	return false
}

// pidOf reads the pid of a pidfd, as this program sees it.
func pidOf(handle int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", handle))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(value))
			if err == nil && pid > 0 {
				return pid, nil
			}
		}
	}
	return 0, os.ErrProcessDone
}
