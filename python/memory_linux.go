package python

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/strandsgo/strands/internal/frame"
)

// newMemory makes a file in memory of size bytes whose size nobody can change
// any more; size < 0 leaves it open until seal.
func newMemory(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("strands", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("strands", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "memory")
	if size < 0 {
		return f, nil
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := addSeals(f, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// seal ends all writing to a file in memory but that through mappings which
// exist already: the host makes none. F_SEAL_WRITE would end those too, but it
// fails as well when the kernel just looks at the pages, as it does when memory
// is short.
func seal(f *os.File) error {
	const size = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	err := addSeals(f, size|unix.F_SEAL_FUTURE_WRITE)
	if errors.Is(err, unix.EINVAL) { // before Linux 5.1
		err = addSeals(f, size|unix.F_SEAL_WRITE)
	}
	return err
}

// unwritable says whether nobody can write to f any more, through a mapping
// either.
func unwritable(f *os.File) bool {
	_ = addSeals(f, unix.F_SEAL_WRITE) // what counts is what there is then
	have, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	const whole = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	return err == nil && have&whole == whole
}

func addSeals(f *os.File, seals int) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	return os.NewSyscallError("fcntl", err)
}

// socketConn is the host's end of a worker's socket. It sends descriptors and
// takes none: what a worker sends of them is not even installed here.
type socketConn struct{ *net.UnixConn }

// passesFiles returns conn with WriteFile, when it can be had.
func passesFiles(conn net.Conn) net.Conn {
	if c, ok := conn.(*net.UnixConn); ok {
		return socketConn{c}
	}
	return conn
}

// Read implements io.Reader. Without room for them the kernel closes what
// descriptors come along, and says so.
func (c socketConn) Read(b []byte) (int, error) {
	n, _, flags, _, err := c.ReadMsgUnix(b, nil)
	n = max(n, 0) // -1 is an error of the system
	if flags&unix.MSG_CTRUNC != 0 {
		return 0, frame.Violationf("the worker sent descriptors")
	}
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return n, err
}

// WriteFile writes b with a descriptor on its first byte.
func (c socketConn) WriteFile(b []byte, f *os.File) (int, error) {
	n, _, err := c.WriteMsgUnix(b, unix.UnixRights(int(f.Fd())), nil)
	if err == nil && n < len(b) {
		var more int
		more, err = c.Write(b[n:])
		n += more
	}
	return n, err
}

// watcher tells which files in memory are gone: nobody has them open or mapped
// any more. It holds none of them itself. It is one for the program, because
// the system allows a user only so many.
type watcher struct {
	fd int

	mu    sync.Mutex
	holds map[int32]hold
}

type hold struct {
	by   *ledger
	size int64
}

var startWatcher = sync.OnceValue(func() *watcher {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil // then what was handed out counts until the worker ends
	}
	return &watcher{fd: fd, holds: map[int32]hold{}}
})

// watch counts f as held by l until it is gone.
func watch(f *os.File, l *ledger, size int64) {
	w := startWatcher()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wd, err := unix.InotifyAddWatch(w.fd, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.IN_DELETE_SELF)
	if err == nil {
		w.holds[int32(wd)] = hold{l, size}
	}
}

// settle takes what is gone out of the books.
func settle() {
	w := startWatcher()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var buf [4096]byte
	for {
		n, err := unix.Read(w.fd, buf[:])
		if err != nil || n < unix.SizeofInotifyEvent {
			return
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			wd := int32(binary.NativeEndian.Uint32(buf[at:]))
			at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:]))
			if h, ok := w.holds[wd]; ok {
				delete(w.holds, wd)
				h.by.free(h.size)
			}
		}
	}
}
