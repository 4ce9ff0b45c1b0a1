package python

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/strandsgo/strands/internal/frame"
)

// dataSocket makes the socket that the big data of one message goes through.
// Bytes can only go to the end that is for the worker, or only come from there.
func dataSocket(toWorker bool) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	silent := fds[1]
	if !toWorker {
		silent = fds[0]
	}
	err = errors.Join(unix.Shutdown(silent, unix.SHUT_WR), unix.SetNonblock(fds[0], true)) // so that a deadline ends a wait
	ours, theirs = os.NewFile(uintptr(fds[0]), "data"), os.NewFile(uintptr(fds[1]), "data")
	if err != nil {
		return nil, nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	return ours, theirs, nil
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
