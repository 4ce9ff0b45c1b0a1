package sandbox

import (
	"errors"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The interface of seccomp_unotify(2).
const (
	notifyIDValid  = 0x40082102
	notifyAddFD    = 0x40182103
	addFDSet       = 1 // at the given number
	notifyContinue = 1 // let the call happen
)

// notification is struct seccomp_notif: a task that stands still in a call
// until it is answered.
type notification struct {
	id    uint64
	pid   uint32 // of the thread, as this program sees it
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type notifyResponse struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

type notifyFD struct {
	id            uint64
	flags, source uint32
	target, mode  uint32
}

// listener is the supervisor's end of a system call filter.
type listener struct{ file *os.File }

// newListener takes the descriptor over.
func newListener(fd int) (*listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // so that it is polled
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &listener{os.NewFile(uintptr(fd), "seccomp")}, nil
}

// next waits for a notification. It is false when there will be none: nobody
// is under the filter any more, or the listener was closed.
func (l *listener) next() (n notification, ok bool) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return n, false
	}
	err = raw.Read(func(fd uintptr) bool {
		for {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if got, err := unix.Poll(fds, 0); err == unix.EINTR {
				continue
			} else if err != nil || got > 0 && fds[0].Revents&unix.POLLIN == 0 {
				return true // hung up
			} else if got == 0 {
				return false
			}
			n = notification{} // the kernel wants it empty
			switch err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err {
			case nil:
				ok = true
				return true
			case unix.ENOENT, unix.EINTR: // the caller was killed, or interrupted
			default:
				return true
			}
		}
	})
	return n, ok && err == nil
}

// proceed lets the call happen. An error means that it did not: the caller is
// gone, or was interrupted and asks again.
func (l *listener) proceed(n notification) error {
	return l.respond(&notifyResponse{id: n.id, flags: notifyContinue})
}

// refuse fails the call with EPERM.
func (l *listener) refuse(n notification) {
	_ = l.respond(&notifyResponse{id: n.id, errno: -int32(unix.EPERM)})
}

func (l *listener) respond(r *notifyResponse) error {
	return l.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(r))
}

// waits reports whether the caller still stands in the call, so that what was
// looked up by its pid belongs to it.
func (l *listener) waits(n notification) bool {
	return l.control(notifyIDValid, unsafe.Pointer(&n.id)) == nil
}

// install puts a copy of a descriptor into the caller's table, at a number of
// our choice, in place of what is there.
func (l *listener) install(n notification, f *os.File, target int, cloexec bool) error {
	fd := notifyFD{id: n.id, flags: addFDSet, source: uint32(f.Fd()), target: uint32(target)}
	if cloexec {
		fd.mode = unix.O_CLOEXEC
	}
	err := l.control(notifyAddFD, unsafe.Pointer(&fd))
	runtime.KeepAlive(f)
	return err
}

func (l *listener) control(request uintptr, arg unsafe.Pointer) error {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			if failed = ioctl(fd, request, arg); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

func ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
