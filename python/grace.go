package python

import "time"

// mostTurns bounds how long a worker is waited for that the machine keeps from
// running: that many times what it would otherwise have.
const mostTurns = 10

// endsWithin waits for the end of the snippet until its worker has had d to
// come to it. A worker that wanted the processor all the time and got it for
// less than half of d has not: the machine is busy, or stood still, and the
// state is not given up for that.
func (r *run) endsWithin(d time.Duration) bool {
	if _, remote := r.w.proc.(*tunnel); remote { // each look is a journey, and its d is long
		return r.overWithin(d)
	}
	before, blind := r.w.proc.CPU()
	for wait, turn := d, 0; !r.overWithin(wait); turn++ {
		if blind != nil || turn == mostTurns*5 || !hasThread(r.w.proc.Pid(), running+waiting) {
			return false
		}
		if now, err := r.w.proc.CPU(); err != nil || now-before >= d/2 {
			return false
		}
		wait = d / 5
	}
	return true
}

func (r *run) overWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.over:
		return true
	case <-t.C:
	}
	select {
	case <-r.over: // meanwhile: this program stood still, too
		return true
	default:
		return false
	}
}

// burns watches an interrupted worker: one that goes on using the processor,
// and wants it whenever it is looked at, has threads that nothing reaches. An
// idle worker does neither. One that has not had its turn since the last look
// is looked at again: it may only want to go to sleep.
func (r *run) burns() bool {
	watch, looks := r.s.timings.watch, r.s.timings.looks
	before, err := r.w.proc.CPU()
	if err != nil {
		return true
	}
	last, seen, ready := before, 0, 0
	for turn := 0; seen < looks && turn < mostTurns*looks; turn++ {
		time.Sleep(watch / time.Duration(looks))
		now, runs, err := r.w.look()
		switch {
		case err != nil:
			return true
		case !runs:
			seen++
		case now > last:
			seen++
			ready++
		}
		last = max(last, now)
	}
	after, err := r.w.proc.CPU()
	return err != nil || after-before > watch/4 || ready > looks/2 || seen < looks
}
