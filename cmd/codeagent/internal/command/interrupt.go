package command

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// again is how soon a second Ctrl-C must follow to end the program.
const again = 2 * time.Second

// interrupts makes Ctrl-C stop a turn and not the program. The first ends the
// turn under way; a second within two seconds ends the program in order, and
// a third at once.
type interrupts struct {
	ctx     context.Context // ends with the program
	end     context.CancelFunc
	signals chan os.Signal

	mu    sync.Mutex
	turn  context.CancelFunc // nil when none is under way
	idle  func()             // what a first Ctrl-C outside of a turn does; nil = as a second
	last  time.Time
	count int
}

func watchInterrupts(parent context.Context) *interrupts {
	i := &interrupts{signals: make(chan os.Signal, 4)}
	i.ctx, i.end = context.WithCancel(parent)
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range i.signals {
			if s == syscall.SIGTERM {
				i.end()
				continue
			}
			i.interrupt(time.Now())
		}
	}()
	return i
}

// stop comes right before the end of the program, whose exit code a Ctrl-C
// does not change any more.
func (i *interrupts) stop() {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // and no more come
	close(i.signals)
	i.end()
}

func (i *interrupts) interrupt(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now.Sub(i.last) > again {
		i.count = 0
	}
	i.last = now
	i.count++
	switch {
	case i.count >= 3:
		os.Exit(exitInterrupted)
	case i.count == 2:
		i.end()
	case i.turn != nil:
		i.turn()
	case i.idle != nil:
		i.idle()
	default:
		i.end()
	}
}

// begin starts a turn: its context ends with the next Ctrl-C. done must be
// called at its end.
func (i *interrupts) begin(ctx context.Context) (turn context.Context, done func()) {
	turn, cancel := context.WithCancel(ctx)
	i.mu.Lock()
	i.turn = cancel
	i.mu.Unlock()
	return turn, func() {
		i.mu.Lock()
		i.turn = nil
		i.mu.Unlock()
		cancel()
	}
}

// onIdle says what a first Ctrl-C outside of a turn does.
func (i *interrupts) onIdle(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.idle = f
}

// interrupted says whether somebody pressed Ctrl-C at all.
func (i *interrupts) interrupted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !i.last.IsZero()
}
