package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxMessage bounds what a zygote says in one message: a trace at most.
const maxMessage = 1 << 20

// message is what a zygote says. One of its groups is set.
type message struct {
	Ready *struct {
		NoProc   string `json:"no_proc"` // why there is no /proc
		Landlock int    `json:"landlock"`
	} `json:"ready"`

	Isolation string `json:"isolation"` // the step of isolation that failed
	Failed    string `json:"failed"`    // what else went wrong
	Preload   string `json:"preload"`   // the module that cannot be preloaded
	Reason    string `json:"reason"`

	Forked uint32 `json:"forked"` // with pidfds of it and, at LevelNamespaces, of its keeper

	Exited uint32  `json:"exited"`
	Status uint32  `json:"status"` // as wait4 gives it
	CPU    float64 `json:"cpu"`    // seconds
}

// control is the host's end of a zygote's socket. One goroutine may receive
// while others send.
type control struct {
	conn *net.UnixConn
	mu   sync.Mutex // of sends
}

// send writes one frame; the descriptors ride on it and stay the caller's.
func (c *control) send(v any, fds ...int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	data := lengthPrefixed(body)
	n, _, err := c.conn.WriteMsgUnix(data, rights, nil)
	if err == nil && n < len(data) {
		_, err = c.conn.Write(data[n:])
	}
	return err
}

// receive reads one frame and the descriptors that came with it.
func (c *control) receive() (message, []int, error) {
	return receiveFrame[message](c.conn, maxMessage)
}

// receiveFrame reads one frame of at most limit bytes, and the descriptors
// that came with it, which are the caller's unless there is an error.
func receiveFrame[T any](conn *net.UnixConn, limit uint32) (v T, fds []int, err error) {
	var head [4]byte
	oob := make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(head[:], oob)
	if err != nil {
		return v, nil, err
	}
	if n == 0 {
		return v, nil, io.EOF
	}
	fds, err = rights(oob[:oobn])
	if err == nil {
		_, err = io.ReadFull(conn, head[n:])
	}
	if err == nil {
		v, err = readJSON[T](conn, binary.LittleEndian.Uint32(head[:]), limit)
	}
	if err != nil {
		closeAll(fds)
		return v, nil, err
	}
	return v, fds, nil
}

// rights returns the descriptors in a control message.
func rights(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, m := range msgs {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			all = append(all, fds...)
		}
	}
	return all, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// readJSON reads a value of size bytes, refused above limit before anything
// is allocated for it.
func readJSON[T any](r io.Reader, size, limit uint32) (T, error) {
	var v T
	if size > limit {
		return v, fmt.Errorf("a message of %d bytes, %d are allowed", size, limit)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return v, err
	}
	return v, json.Unmarshal(body, &v)
}

// socketPair returns a stream pair: the host's end as a connection, the other
// as a file for a child.
func socketPair(name string) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours := os.NewFile(uintptr(fds[0]), name)
	theirs := os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours)
	ours.Close() // FileConn made its own copy
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, errors.Join(errors.New("not a unix socket"), conn.Close(), theirs.Close())
	}
	return uc, theirs, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailSize = 8 << 10

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if n := len(t.data) - tailSize; n > 0 {
		t.data = append(t.data[:0], t.data[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data)
}
