package python

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeConn makes a connection of two pipes, for systems where a worker cannot
// be given a socket. One goroutine, which ends with the incoming pipe, reads
// ahead: a pipe cannot be asked whether something is in it.
type pipeConn struct {
	in     io.ReadCloser
	out    io.WriteCloser
	expire func() // ends the other side, which frees a write that takes too long

	mu       sync.Mutex
	changed  sync.Cond
	buf      []byte
	err      error
	closed   bool
	deadline time.Time
}

const pipeAhead = 256 << 10

func newPipeConn(in io.ReadCloser, out io.WriteCloser, expire func()) *pipeConn {
	c := &pipeConn{in: in, out: out, expire: expire}
	c.changed.L = &c.mu
	go c.pump()
	return c
}

func (c *pipeConn) pump() {
	piece := make([]byte, 64<<10)
	for {
		n, err := c.in.Read(piece)
		c.mu.Lock()
		c.buf = append(c.buf, piece[:n]...)
		c.err = err
		c.changed.Broadcast()
		for err == nil && len(c.buf) >= pipeAhead && !c.closed {
			c.changed.Wait()
		}
		ended := err != nil || c.closed
		c.mu.Unlock()
		if ended {
			return
		}
	}
}

// Pending says whether something can be read, the end included.
func (c *pipeConn) Pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.buf) > 0 || c.err != nil
}

func (c *pipeConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf) == 0 {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.err != nil:
			return 0, c.err
		}
		c.changed.Wait()
	}
	n := copy(p, c.buf)
	c.buf = c.buf[n:]
	c.changed.Broadcast()
	return n, nil
}

func (c *pipeConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	at := c.deadline
	c.mu.Unlock()
	if at.IsZero() {
		return c.out.Write(p)
	}
	timer := time.AfterFunc(time.Until(at), c.expire)
	n, err := c.out.Write(p)
	if !timer.Stop() && err != nil {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (c *pipeConn) Close() error {
	c.mu.Lock()
	done := c.closed
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	if done {
		return net.ErrClosed
	}
	return errors.Join(c.in.Close(), c.out.Close())
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

func (c *pipeConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }
func (c *pipeConn) SetDeadline(time.Time) error     { return os.ErrNoDeadline }
func (c *pipeConn) LocalAddr() net.Addr             { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr            { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
