package python

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memConn is the host's end of a connection that a tunnel carries: what is
// written waits until the tunnel takes it, what the tunnel gives waits to be
// read. Writing never waits.
type memConn struct {
	wake chan struct{} // has room for one: something was written, or read, or it was closed

	mu       sync.Mutex
	changed  sync.Cond
	in, out  []byte
	err      error // of reading, when in is empty
	deadline time.Time
	timer    *time.Timer
}

func newMemConn() *memConn {
	c := &memConn{wake: make(chan struct{}, 1)}
	c.changed.L = &c.mu
	return c
}

func (c *memConn) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Read implements net.Conn.
func (c *memConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.in) == 0 {
		switch {
		case c.err != nil:
			return 0, c.err
		case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		c.changed.Wait()
	}
	n := copy(p, c.in)
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
		c.nudge()
	}
	return n, nil
}

// Write implements net.Conn.
func (c *memConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, net.ErrClosed
	}
	c.out = append(c.out, p...)
	c.nudge()
	return len(p), nil
}

// Pending says whether something can be read, the end included.
func (c *memConn) Pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in) > 0 || c.err != nil
}

// SetReadDeadline implements net.Conn.
func (c *memConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.deadline = t; !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), c.look)
	}
	c.changed.Broadcast()
	return nil
}

func (c *memConn) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// give is the tunnel's way of writing.
func (c *memConn) give(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = append(c.in, b...)
	c.changed.Broadcast()
}

// take is the tunnel's way of reading: what is there, at most n bytes.
func (c *memConn) take(n int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out[:min(n, len(c.out))]
	if c.out = c.out[len(b):]; len(c.out) == 0 {
		c.out = nil
	}
	return b
}

// level is how much waits on either side.
func (c *memConn) level() (unread, unsent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in), len(c.out)
}

// end lets the reader read what there is, and then err.
func (c *memConn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.changed.Broadcast()
	c.nudge()
}

// Close implements net.Conn.
func (c *memConn) Close() error {
	err := c.SetReadDeadline(time.Time{})
	c.end(io.EOF)
	return err
}

func (c *memConn) SetWriteDeadline(time.Time) error { return nil }
func (c *memConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *memConn) LocalAddr() net.Addr              { return pipeAddr{} }
func (c *memConn) RemoteAddr() net.Addr             { return pipeAddr{} }
