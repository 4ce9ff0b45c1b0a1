package python

import (
	"errors"
	"net"
)

// pollable says that the pipe of a worker can be read without waiting.
const pollable = false

func readFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// pending says whether something can be read from conn, the end included.
func pending(conn net.Conn) bool {
	p, ok := conn.(interface{ Pending() bool })
	return ok && p.Pending()
}
