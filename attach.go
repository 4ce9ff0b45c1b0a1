package strands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
)

// life is what of a session must be ended: its run and what was attached. It
// does not point to the Session, so that a dropped Session can be collected
// while the Agent still knows its life.
type life struct {
	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	mu       sync.Mutex
	closed   bool
	running  *run
	attached []*attachment
}

type attachment struct {
	key    any
	opened chan struct{} // closed when value and err are set
	value  io.Closer
	err    error
}

func newLife() *life {
	l := new(life)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *life) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// close ends the run and closes what was attached, last first. A second call
// does nothing.
func (l *life) close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	r, attached := l.running, l.attached
	l.attached = nil
	l.mu.Unlock()

	l.cancel()
	if r != nil {
		r.stop(ErrClosed)
		<-r.done
	}
	var errs []error
	for _, a := range slices.Backward(attached) {
		<-a.opened
		if a.err == nil {
			errs = append(errs, a.value.Close())
		}
	}
	return errors.Join(errs...)
}

// Attach returns the value that lives on s under key, opening it the first
// time. Session.Close closes it. Concurrent calls with one key open once; an
// error of open is returned and nothing is kept.
//
// The ctx given to open carries the run's scope, so that open can Emit its
// progress, and ends early when the session is closed. The value must keep
// neither that ctx nor s: a session that something attached to it holds is
// never collected.
func Attach[T io.Closer](ctx context.Context, s *Session, key any, open func(context.Context) (T, error)) (T, error) {
	var none T
	if s == nil {
		return none, &InputError{Field: "Session", Reason: "there is none to attach to; call from inside a run"}
	}
	defer runtime.KeepAlive(s) // else a caller's last use of s could close it while it opens
	c, err := s.life.attach(ctx, key, func(ctx context.Context) (io.Closer, error) { return open(ctx) })
	if err != nil {
		return none, err
	}
	v, ok := c.(T)
	if !ok {
		return none, fmt.Errorf("strands: a %T is attached under the key %v, not a %T", c, key, none)
	}
	return v, nil
}

func (l *life) attach(ctx context.Context, key any, open func(context.Context) (io.Closer, error)) (io.Closer, error) {
	for {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return nil, ErrClosed
		}
		i := slices.IndexFunc(l.attached, func(a *attachment) bool { return a.key == key })
		if i < 0 {
			a := &attachment{key: key, opened: make(chan struct{})}
			l.attached = append(l.attached, a)
			l.mu.Unlock()
			return l.open(ctx, a, open)
		}
		a := l.attached[i]
		l.mu.Unlock()
		select {
		case <-a.opened:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if a.err == nil {
			return a.value, nil
		}
		if !errors.Is(a.err, context.Canceled) && !errors.Is(a.err, context.DeadlineExceeded) {
			return nil, a.err
		}
		// The one who opened was stopped, which is no reason for us: try again.
	}
}

func (l *life) open(ctx context.Context, a *attachment, open func(context.Context) (io.Closer, error)) (io.Closer, error) {
	a.err = errors.New("strands: open panicked")
	defer func() {
		if a.err != nil {
			l.mu.Lock()
			l.attached = slices.DeleteFunc(l.attached, func(b *attachment) bool { return a == b })
			l.mu.Unlock()
		}
		close(a.opened)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	a.value, a.err = open(ctx)
	return a.value, a.err
}

// detach takes back what is attached under key, without closing it.
func (l *life) detach(key any) (io.Closer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.attached {
		if a.key != key {
			continue
		}
		select {
		case <-a.opened:
			l.attached = slices.Delete(slices.Clone(l.attached), i, i+1)
			return a.value, a.err == nil
		default:
		}
	}
	return nil, false
}
