package python

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/strandsgo/strands"
)

const (
	poolKinds   = 8 // kinds of session that are kept ready; of more the one asked for least lately is dropped
	poolForks   = 2 // made at once, so that filling leaves the processor to those who ask
	poolPause   = 50 * time.Millisecond
	poolRestMax = 5 * time.Second // between two attempts that fail
)

// pool keeps workers ready that no session has yet: confined, configured, and
// without a byte of a model's code. Workers of a kind are alike. Its
// goroutines end with close.
type pool struct {
	size   int // of each kind
	logger *slog.Logger
	ctx    context.Context // ends with close
	end    context.CancelFunc
	slots  chan struct{}
	wg     sync.WaitGroup

	mu     sync.Mutex
	kinds  map[string]*kind
	clock  int // of uses
	closed bool
}

// kind is what a session needs to be: how to make a worker for it, and those
// that are ready.
type kind struct {
	start func(context.Context) (*wire, error)
	ready []*pooled
	owed  int // being made
	used  int
	gone  bool          // dropped: nothing is made for it any more
	moved chan struct{} // closed and made anew when a worker is ready or could not be made
	fault error         // of the last attempt; nil = it worked
}

// pooled is a ready worker, and how to stop watching it.
type pooled struct {
	w    *wire
	stop context.CancelFunc
}

func newPool(size int, logger *slog.Logger) *pool {
	ctx, end := context.WithCancel(context.Background())
	return &pool{
		size: size, logger: logger, ctx: ctx, end: end, slots: make(chan struct{}, poolForks), kinds: map[string]*kind{},
	}
}

// take returns a ready worker of the kind, which is the caller's from then on,
// and has another made; nil when none is ready.
func (p *pool) take(key string) *wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kinds[key]
	if k == nil || p.closed || len(k.ready) == 0 {
		return nil
	}
	one := k.ready[0] // the oldest: it has had the most time to settle
	k.ready = slices.Delete(k.ready, 0, 1)
	one.stop()
	p.clock++
	k.used = p.clock
	p.fill(k, 0)
	return one.w
}

// want begins to keep workers of the kind ready; nil when the pool is closed.
func (p *pool) want(key string, start func(context.Context) (*wire, error)) *kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kinds[key]
	if p.closed {
		return nil
	}
	if k == nil {
		k = &kind{start: start, moved: make(chan struct{})}
		p.kinds[key] = k
	}
	p.clock++
	k.used = p.clock
	p.fill(k, 0)
	if len(p.kinds) > poolKinds {
		p.dropOldest()
	}
	return k
}

// wait returns when the kind has all its workers ready, or one could not be
// made; nil is a kind that the pool, closed, did not take.
func (p *pool) wait(ctx context.Context, k *kind) error {
	for {
		if k == nil || p.ctx.Err() != nil {
			return strands.ErrClosed
		}
		p.mu.Lock()
		moved, fault, full := k.moved, k.fault, len(k.ready) >= p.size || k.gone
		p.mu.Unlock()
		if full || fault != nil {
			return fault
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.ctx.Done():
		}
	}
}

// fill starts what is missing after a rest. The lock is held.
func (p *pool) fill(k *kind, rest time.Duration) {
	for !p.closed && !k.gone && len(k.ready)+k.owed < p.size {
		k.owed++
		p.wg.Go(func() { p.add(k, rest) })
	}
}

// add makes one worker, however often it takes.
func (p *pool) add(k *kind, rest time.Duration) {
	for {
		if !p.sleep(rest) {
			return
		}
		select {
		case p.slots <- struct{}{}:
		case <-p.ctx.Done():
			return
		}
		p.mu.Lock()
		gone := k.gone
		p.mu.Unlock()
		var w *wire
		var err error
		if !gone {
			w, err = k.start(p.ctx)
		}
		<-p.slots
		if gone || p.ctx.Err() != nil && err != nil {
			return
		}
		p.mu.Lock()
		if err == nil {
			p.put(k, w)
		}
		first := k.fault == nil
		k.fault = err
		close(k.moved)
		k.moved = make(chan struct{})
		p.mu.Unlock()
		if err == nil {
			return
		}
		if first {
			p.logger.Warn("python: a session for the pool could not be made; it is tried again", "error", err)
		}
		rest = min(max(2*rest, poolPause), poolRestMax)
	}
}

func (p *pool) sleep(d time.Duration) bool {
	if d <= 0 {
		return p.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// put makes a worker ready and watches it. The lock is held.
func (p *pool) put(k *kind, w *wire) {
	k.owed--
	ctx, stop := context.WithCancel(p.ctx)
	one := &pooled{w: w, stop: stop}
	if p.closed || k.gone {
		stop()
		p.wg.Go(func() { _ = w.close() })
		return
	}
	k.ready = append(k.ready, one)
	p.wg.Go(func() {
		_, err := w.proc.Wait(ctx)
		if ctx.Err() != nil && err != nil {
			return // taken, or dropped
		}
		p.lost(k, one)
	})
}

// lost replaces a worker that ended while it was waiting. The pause keeps one
// that always ends at once from being made without end.
func (p *pool) lost(k *kind, one *pooled) {
	p.mu.Lock()
	i := slices.Index(k.ready, one)
	if i < 0 { // taken meanwhile; its session finds out
		p.mu.Unlock()
		return
	}
	k.ready = slices.Delete(k.ready, i, i+1)
	p.fill(k, poolPause)
	p.mu.Unlock()
	one.stop()
	_ = one.w.close()
}

// dropOldest gives up the kind that was used least lately. The lock is held.
func (p *pool) dropOldest() {
	oldest := ""
	for key, k := range p.kinds {
		if oldest == "" || k.used < p.kinds[oldest].used {
			oldest = key
		}
	}
	k := p.kinds[oldest]
	delete(p.kinds, oldest)
	p.empty(k)
}

// empty ends the workers of a kind, which gets no more. The lock is held.
func (p *pool) empty(k *kind) {
	k.gone = true
	for _, one := range k.ready {
		one.stop()
		p.wg.Go(func() { _ = one.w.close() })
	}
	k.ready = nil
}

// close ends the workers that nobody took and waits for everything that was
// started.
func (p *pool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.end()
		for _, k := range p.kinds {
			p.empty(k)
		}
	}
	p.mu.Unlock()
	p.wg.Wait()
}
