package python

import (
	"sync"
	"time"
)

// clock measures a snippet's own time. It stands still while it is held: while
// Go functions work for the snippet, and while nobody takes its output. But
// processor time that the snippet uses meanwhile counts, so that a thread that
// waits cannot hide another that burns.
type clock struct {
	limit time.Duration // 0 = none
	fire  func()        // at the limit, on a goroutine of its own
	cpu   func() (time.Duration, error)

	mu      sync.Mutex
	timer   *time.Timer
	used    time.Duration // until since
	since   time.Time     // of the present stretch, running or held
	holds   int
	stopped bool
	burnt   time.Duration // cpu at the last look while held; -1 = not looked
}

const heldLook = time.Second // how often a held clock looks at the processor time

func startClock(limit time.Duration, fire func(), cpu func() (time.Duration, error)) *clock {
	c := &clock{limit: limit, fire: fire, cpu: cpu, since: time.Now(), burnt: -1}
	if limit > 0 {
		c.mu.Lock()
		c.timer = time.AfterFunc(limit, c.tick)
		c.mu.Unlock()
	}
	return c
}

func (c *clock) tick() {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	if c.holds > 0 {
		if now, err := c.cpu(); err == nil {
			if c.burnt >= 0 {
				c.used += now - c.burnt
			}
			c.burnt = now
		}
		if c.used < c.limit {
			c.timer.Reset(heldLook)
			c.mu.Unlock()
			return
		}
	} else if left := c.limit - c.used - time.Since(c.since); left > 0 {
		c.timer.Reset(left)
		c.mu.Unlock()
		return
	}
	c.stopped = true
	c.mu.Unlock()
	c.fire()
}

// hold stops the clock until as many releases.
func (c *clock) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds++; c.holds > 1 {
		return
	}
	now := time.Now()
	c.used += now.Sub(c.since)
	c.since, c.burnt = now, -1
	if c.timer != nil && !c.stopped {
		c.timer.Reset(heldLook)
	}
}

func (c *clock) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds--; c.holds > 0 {
		return
	}
	c.since = time.Now()
	if c.timer != nil && !c.stopped {
		c.timer.Reset(max(0, c.limit-c.used))
	}
}

// stop ends the clock and returns the time it counted.
func (c *clock) stop() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.stopped = true
	if c.holds == 0 {
		now := time.Now()
		c.used += now.Sub(c.since)
		c.since = now
	}
	return c.used
}

// park stops the clock altogether; unpark lets it go on. It is held meanwhile.
func (c *clock) park() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

func (c *clock) unpark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.burnt = -1
	if c.timer != nil && !c.stopped {
		c.timer.Reset(heldLook)
	}
}
