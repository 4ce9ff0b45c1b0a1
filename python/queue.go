package python

import "sync"

// queue carries what a snippet shows from the goroutine that reads to the one
// that ranges. It holds a bounded number of bytes; one item more than that
// passes when it is alone.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	items   []Output
	bytes   int
	bounded bool // somebody takes items, or will soon
	closed  bool // nothing more is coming
	discard bool // nobody is listening
}

const queueBytes = 1 << 20

func newQueue() *queue {
	q := new(queue)
	q.changed.L = &q.mu
	return q
}

// push appends o and waits while the queue is full. waits is called once, when
// it begins to wait, and what that returns when it ends; both may be nil.
func (q *queue) push(o Output, waits func() func()) {
	n := outputBytes(o)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full(n) && waits != nil {
		defer waits()()
	}
	for q.full(n) {
		q.changed.Wait()
	}
	if q.discard || q.closed {
		return
	}
	q.items = append(q.items, o)
	q.bytes += n
	q.changed.Broadcast()
}

func (q *queue) full(n int) bool {
	return q.bounded && q.bytes > 0 && q.bytes+n > queueBytes && !q.discard && !q.closed
}

// pop waits for items and returns all there are; ok is false at the end.
func (q *queue) pop() (items []Output, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.closed {
		q.changed.Wait()
	}
	items, q.items, q.bytes = q.items, nil, 0
	q.changed.Broadcast()
	return items, len(items) > 0
}

// bound says whether push waits when the queue is full. A new queue's does
// not.
func (q *queue) bound(yes bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bounded = yes
}

// close lets pop return the end once everything was taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}

// drop throws away what is there and what comes.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.discard, q.items, q.bytes = true, nil, 0
	q.changed.Broadcast()
}

func outputBytes(o Output) int {
	n := 64 + len(o.Stdout) + len(o.Stderr) + len(o.Value) + len(o.Progress)
	if o.Image != nil {
		n += len(o.Image.Data)
	}
	return n
}
