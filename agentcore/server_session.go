package agentcore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The statuses of a session. There are no others.
const (
	statusReady      = "READY"
	statusTerminated = "TERMINATED"
)

// Why a session ended.
var (
	errStopped      = errors.New("has been stopped")
	errExpired      = errors.New("has reached the end of its time")
	errServerClosed = errors.New("ended with the server")
)

const (
	keepEnded    = 30 * 24 * time.Hour // how long ended sessions can be asked about
	maxKeptEnded = 10_000
)

// codeSession is a session: its kernel, and what is told of it after its end.
type codeSession struct {
	id, name    string
	interpreter string
	caller      string
	seq         uint64 // in the order of creation
	life        time.Duration
	created     time.Time
	kernel      *kernel

	ctx    context.Context // ends with the session, by one of the reasons above
	cancel context.CancelCauseFunc
	expiry *time.Timer
	start  *startKey // nil = it was started without a token

	// What follows is guarded by Server.mu.
	status  string
	updated time.Time
}

// startKey names a start that may be repeated.
type startKey struct{ caller, interpreter, token string }

// started is the outcome of a start, or one under way.
type started struct {
	request [sha256.Size]byte // what was asked for
	done    chan struct{}     // closed when the others are set
	session *codeSession
	err     error
}

// startOnce opens a session, or returns that of an earlier start with the token.
func (s *Server) startOnce(ctx context.Context, key startKey, request [sha256.Size]byte, open func() (*codeSession, error)) (*codeSession, error) {
	for {
		s.mu.Lock()
		before, ok := s.starts[key]
		if !ok {
			own := &started{request: request, done: make(chan struct{})}
			s.starts[key] = own
			s.mu.Unlock()
			s.carryOut(own, key, open)
			return own.session, own.err
		}
		s.mu.Unlock()
		if before.request != request {
			return nil, malformed(tokenMismatch, "the client token was used before, for a request with other parameters")
		}
		select {
		case <-before.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !errors.Is(before.err, context.Canceled) {
			return before.session, before.err
		}
		// The caller who began has gone, perhaps to come back as this one.
	}
}

// carryOut opens the session of a start.
func (s *Server) carryOut(own *started, key startKey, open func() (*codeSession, error)) {
	own.session, own.err = open()
	s.mu.Lock()
	if own.err != nil {
		delete(s.starts, key) // the next one with the token tries again
	} else {
		own.session.start = &key
	}
	s.mu.Unlock()
	close(own.done)
}

// openSession opens a session within the quotas.
func (s *Server) openSession(ctx context.Context, c *codeSession) (*codeSession, error) {
	if err := s.reserve(c.caller); err != nil {
		return nil, err
	}
	settings, err := s.prepare(ctx)
	if err != nil {
		s.unreserve(c.caller)
		return nil, err
	}
	k, err := openKernel(ctx, settings)
	if err != nil {
		s.unreserve(c.caller)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("opening a session: %w", err)
	}
	c.kernel = k
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.register(c)
	}
	s.mu.Unlock()
	if closed {
		s.unreserve(c.caller)
		return nil, errors.Join(unexpected("the server is shutting down"), k.close())
	}
	return c, nil
}

// reserve counts a session before it is opened.
func (s *Server) reserve(caller string) error {
	if s.cfg.MinMemory > 0 {
		if free, ok := freeMemory(); ok && free < s.cfg.MinMemory {
			return throttled("the machine has %d MiB of memory left, a session needs %d; try again later", free>>20, s.cfg.MinMemory>>20)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return unexpected("the server is shutting down")
	case s.open >= s.cfg.MaxSessions:
		return quotaExceeded("%d sessions are open, which is all this server allows; stop one", s.open)
	case s.opened[caller] >= s.cfg.MaxSessionsPerCaller:
		return quotaExceeded("%d of your sessions are open, which is all you are allowed; stop one", s.opened[caller])
	}
	s.open++
	s.opened[caller]++
	return nil
}

// Open is how many sessions are open.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *Server) unreserve(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.opened[caller]--; s.opened[caller] == 0 {
		delete(s.opened, caller)
	}
}

// register puts an open session into the books. s.mu is held.
func (s *Server) register(c *codeSession) {
	s.forgetOld()
	s.seq++
	c.seq, c.status = s.seq, statusReady
	c.created = s.now()
	c.updated = c.created
	c.id = newULID(c.created)
	s.sessions = append(s.sessions, c)
	s.byID[c.id] = c
	c.expiry = time.AfterFunc(c.life, func() { s.end(c, errExpired) })
}

// forgetOld drops what is known of sessions that ended long ago.
func (s *Server) forgetOld() {
	ended := len(s.sessions) - s.open
	oldest := s.now().Add(-keepEnded)
	s.sessions = slices.DeleteFunc(s.sessions, func(c *codeSession) bool {
		if c.status != statusTerminated || (ended <= maxKeptEnded && c.updated.After(oldest)) {
			return false
		}
		ended--
		delete(s.byID, c.id)
		if c.start != nil {
			delete(s.starts, *c.start)
		}
		return true
	})
}

// end ends a session for the reason why; only the first reason counts.
func (s *Server) end(c *codeSession, why error) {
	s.mu.Lock()
	if c.status != statusReady {
		s.mu.Unlock()
		return
	}
	c.status, c.updated = statusTerminated, s.now()
	s.ending.Add(1)
	s.mu.Unlock()
	defer s.ending.Done()
	c.expiry.Stop()
	c.cancel(why)
	if err := c.kernel.close(); err != nil {
		s.cfg.Logger.Warn("agentcore: ending a session", "session", c.id, "error", err)
	}
	s.unreserve(c.caller)
}

// find returns a session of the caller, ended or not. Those of others do not
// exist.
func (s *Server) find(c *call, id string) (*codeSession, error) {
	if err := checkSessionID(id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[id]
	if found == nil || found.caller != c.caller || found.interpreter != c.interpreter {
		return nil, notFound("there is no session %s of %s", id, c.interpreter)
	}
	return found, nil
}

// gone is the error of using a session that has ended.
func (c *codeSession) gone() error {
	return notFound("the session %s %v", c.id, context.Cause(c.ctx))
}

func checkSessionID(id string) error {
	if id == "" {
		return invalid("sessionId", "is required")
	}
	if len(id) > 40 || !isAlphanumeric(id) {
		return invalid("sessionId", "has 1 to 40 letters and digits")
	}
	return nil
}

func isAlphanumeric(s string) bool {
	for _, r := range []byte(s) {
		if (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// newULID is an identifier like those of AWS: 26 characters, of which the
// first ten are the time.
func newULID(at time.Time) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	var id [26]byte
	for i, ms := 9, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>5 {
		id[i] = digits[ms&31]
	}
	for i, b := range random {
		id[10+i] = digits[b&31]
	}
	return string(id[:])
}
