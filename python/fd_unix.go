//go:build unix

package python

import (
	"net"
	"syscall"
)

// pollable says that the pipe of a worker can be read without waiting.
const pollable = true

func readFD(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

// pending says whether something can be read from conn, the end included.
func pending(conn net.Conn) bool {
	if p, ok := conn.(interface{ Pending() bool }); ok {
		return p.Pending()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	waits := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waits = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return waits || err != nil
}
