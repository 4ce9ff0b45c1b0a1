package python

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

// Statuses of a reply to a host call.
const (
	replyValue = iota
	replyException
	replyItem
	replyEnd
	replyRoom // for the big data of the call to come
)

// Flags of a status: where the big data of the reply is.
const (
	withSocket = 0x10 // in a socket; its size, 8 bytes, comes before the JSON
	withBytes  = 0x20 // behind the JSON, whose length, 4 bytes, comes before it
)

const (
	waitingCalls = 4096      // that limits hold back
	waitingBytes = 256 << 20 // of their arguments
	maxNesting   = 64
	maxWeight    = 256 << 20 // of the calls that work at once; one alone may be heavier
)

// calls are the host calls of one run. The reader adds them; they are answered
// by goroutines of their own, of which at most limit work at once.
type calls struct {
	ctx    context.Context // of the run; ended by an interrupt
	wire   *wire
	run    frame.RunID
	table  []function
	clock  *clock
	fatal  func(error) // told of an error that ends the whole run
	asks   func()      // told, once, that a call waits for a person; nil = that is fatal
	limit  int         // at once; negative = any number
	budget int         // in all; negative = any number

	mu       sync.Mutex
	wg       sync.WaitGroup
	open     map[uint32]context.CancelFunc // by call id; nil = not a stream
	rooms    map[uint32]*room              // of calls to come
	giving   int                           // rooms that are being filled, or waited for
	filling  chan struct{}                 // holds one for each that is being filled
	held     []func()                      // requests for room, while a person is asked
	waiting  []*hostCall
	bytes    int // of the arguments of waiting
	working  int
	weight   int // of those
	made     int
	answered int
	byName   map[string]int
	asked    []*hostCall // wait for a person: the run is being parked
	question *strands.InterruptError
	idle     chan struct{} // closed when asked is not empty and nothing works
}

// hostCall is one call as Python made it.
type hostCall struct {
	id     uint32
	fn     *function
	args   []byte
	weight int    // about what args take in memory when they are read
	refuse string // answer this exception instead
	again  string // the ToolCall's id of the first attempt, when there was one

	room     *room // nil = no big data
	attached []attached
}

// add takes the body of a call frame. The error is a violation.
func (c *calls) add(body []byte) error {
	if len(body) < 8 {
		return frame.Violationf("host call of %d bytes", len(body))
	}
	call := &hostCall{id: binary.LittleEndian.Uint32(body)}
	fn := binary.LittleEndian.Uint32(body[4:])
	if uint64(fn) >= uint64(len(c.table)) {
		return frame.Violationf("call of function %d, which does not exist", fn)
	}
	call.fn = &c.table[fn]

	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.open[call.id]; taken {
		return frame.Violationf("host call %d is open already", call.id)
	}
	if len(c.waiting) >= waitingCalls {
		return frame.Violationf("a flood of host calls")
	}
	switch args := body[8:]; {
	case c.ctx.Err() != nil:
		call.refuse = "the snippet was interrupted; no more host calls"
	case c.budget >= 0 && c.made >= c.budget:
		call.refuse = c.overBudget()
	case c.bytes+len(args) > waitingBytes:
		call.refuse = "too much data in waiting host calls"
	case !nestingOK(args) || !json.Valid(args):
		return frame.Violationf("arguments of a host call are no JSON")
	default:
		call.args, call.weight = bytes.Clone(args), weigh(args)
		c.made++
		c.byName[call.fn.name]++
	}
	waits, err := c.claim(call)
	if err != nil {
		return err
	}
	c.open[call.id] = nil
	if !waits {
		c.dispatch(call)
	}
	return nil
}

// weigh says about how many bytes JSON takes once it is read: of [{"":0},…] some
// sixty times its own.
func weigh(args []byte) int {
	count := func(c byte) int { return bytes.Count(args, []byte{c}) }
	return len(args) + 32*count(',') + 64*count('[') + 400*count('{')
}

// dispatch has a call answered as soon as the limits allow. The lock is held.
func (c *calls) dispatch(call *hostCall) {
	if call.room != nil && call.room.err != nil && call.refuse == "" {
		call.refuse = "the big data of the call did not come whole"
	}
	c.waiting = append(c.waiting, call)
	c.bytes += len(call.args)
	c.begin()
}

// begin lets those that wait work, as far as the limits allow. The lock is
// held.
func (c *calls) begin() {
	for len(c.waiting) > 0 && len(c.asked) == 0 && (c.limit < 0 || c.working < c.limit) {
		call := c.waiting[0]
		if c.working > 0 && c.weight+call.weight > maxWeight {
			return
		}
		c.waiting = c.waiting[1:]
		c.bytes -= len(call.args)
		c.clock.hold()
		c.start(call)
	}
}

// start has a call answered. The lock is held, and the clock.
func (c *calls) start(call *hostCall) {
	c.working++
	c.weight += call.weight
	c.wg.Go(func() { c.work(call) })
}

// overBudget says which calls used the budget up. The lock is held.
func (c *calls) overBudget() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		list = append(list, fmt.Sprintf("%s %d", name, c.byName[name]))
		if len(list) == 20 {
			list = append(list, "…")
			break
		}
	}
	return fmt.Sprintf("a snippet may make %d host calls and this one has made them (%s)", c.budget, strings.Join(list, ", "))
}

// work answers call and then lets others begin.
func (c *calls) work(call *hostCall) {
	if call.refuse == "" && c.ctx.Err() != nil {
		call.refuse = "the snippet was interrupted"
	}
	waits := false
	if call.refuse != "" {
		c.clock.release()
		c.throw(call, "RuntimeError", call.refuse)
	} else {
		waits = c.answer(call)
	}
	if !waits {
		call.room.close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !waits {
		delete(c.open, call.id)
	}
	if call.refuse == "" && !waits {
		c.answered++
	}
	c.working--
	c.weight -= call.weight
	c.begin()
	c.rest()
}

// rest tells when a run that waits for a person has nothing else to do. The
// lock is held.
func (c *calls) rest() {
	if c.working == 0 && c.giving == 0 && len(c.asked) > 0 {
		close(c.idle)
	}
}

// answer runs the function and sends its result. The clock is held until the
// function has done its part. It is true when there is no result, because a
// person is asked first; the clock is held on.
func (c *calls) answer(call *hostCall) (waits bool) {
	tc := &strands.ToolCall{ID: call.again, Name: call.fn.tool.Spec().Name}
	var err error
	var withdraw func()
	tc.Input, tc.Attachments, withdraw, err = call.input()
	defer withdraw()
	if err != nil {
		c.clock.release()
		c.throw(call, "ValueError", err.Error())
		return false
	}
	if call.again == "" {
		note(c.ctx, call.fn.name)
	}
	if call.fn.stream {
		return c.answerStream(call, tc)
	}
	res, err := strands.Invoke(c.ctx, call.fn.tool, tc)
	if c.waits(call, tc, err) {
		return true
	}
	c.clock.release()
	if c.failed(call, res, err) {
		return false
	}
	c.give(call, replyValue, res)
	return false
}

// give sends a value. An error means that the worker is gone; what cannot be
// sent is an exception, and ok is false.
func (c *calls) give(call *hostCall, status byte, res *strands.ToolResult) (ok bool, err error) {
	p := &parcel{arrow: c.wire.arrow}
	value, err := encodeResult(res, p)
	if err != nil {
		c.throw(call, "TypeError", fmt.Sprintf("%s returned what cannot be given to Python: %v", call.fn.name, err))
		return false, nil
	}
	return true, c.send(call, status, value, p)
}

// waits notes a call whose error is a question to a person.
func (c *calls) waits(call *hostCall, tc *strands.ToolCall, err error) bool {
	question, ok := errors.AsType[*strands.InterruptError](err)
	if !ok || c.asks == nil || c.ctx.Err() != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call.again = tc.ID
	c.asked = append(c.asked, call)
	if c.question == nil {
		c.question = new(strands.InterruptError)
		c.idle = make(chan struct{})
		c.asks()
	}
	c.question.Interrupts = append(c.question.Interrupts, question.Interrupts...)
	return true
}

// resume makes the calls again that waited for a person, and lets the others
// begin.
func (c *calls) resume(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	todo := c.asked
	c.ctx, c.asked, c.question = ctx, nil, nil
	for _, call := range todo {
		c.start(call)
	}
	c.begin()
	for _, give := range c.held {
		c.giving++
		c.wg.Go(give)
	}
	c.held = nil
}

// answerStream sends items as they come. While the worker does not take one
// the clock runs: it is the snippet that is slow.
func (c *calls) answerStream(call *hostCall, tc *strands.ToolCall) (waits bool) {
	defer func() {
		if !waits {
			c.clock.release()
		}
	}()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	c.mu.Lock()
	c.open[call.id] = cancel
	c.mu.Unlock()
	for res, err := range strands.InvokeStream(ctx, call.fn.tool.(strands.StreamTool), tc) {
		if c.ctx.Err() == nil && ctx.Err() != nil {
			break // Python wants no more
		}
		if c.waits(call, tc, err) {
			return true
		}
		if c.failed(call, res, err) {
			return false
		}
		if c.ctx.Err() != nil { // not every function looks, and some have no end
			c.throw(call, "RuntimeError", "the snippet was interrupted")
			return false
		}
		c.clock.release()
		ok, err := c.give(call, replyItem, res)
		c.clock.hold()
		if err != nil || !ok {
			return false
		}
	}
	c.reply(call, replyEnd, nil)
	return false
}

// failed answers a call that has no value with an exception. An error is that
// of the run: it ends, or waits for a person.
func (c *calls) failed(call *hostCall, res *strands.ToolResult, err error) bool {
	switch {
	case err != nil:
		if c.ctx.Err() == nil {
			c.fatal(err)
		}
		c.throw(call, "RuntimeError", err.Error())
	case res.IsError:
		c.throw(call, "RuntimeError", res.Text())
	default:
		return false
	}
	return true
}

// unwanted ends a stream whose reader has gone. A stream that has ended
// meanwhile is no violation.
func (c *calls) unwanted(body []byte) error {
	if len(body) != 4 {
		return frame.Violationf("end of a stream with %d bytes", len(body))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.open[binary.LittleEndian.Uint32(body)]; cancel != nil {
		cancel()
	}
	return nil
}

func (c *calls) throw(call *hostCall, kind, message string) {
	body, err := json.Marshal(struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}{kind, message})
	if err == nil {
		c.reply(call, replyException, body)
	}
}

// reply sends one reply. An error means that the worker is gone, which the
// reader will notice.
func (c *calls) reply(call *hostCall, status byte, body []byte) error {
	return c.wire.w.Write(frame.Reply, 0, c.head(call, status), body)
}

// head is what the body of a reply begins with.
func (c *calls) head(call *hostCall, status byte) []byte {
	head := append(make([]byte, 0, 13), c.run[:]...)
	head = binary.LittleEndian.AppendUint32(head, call.id)
	return append(head, status)
}

// join waits for the calls under way, whose ctx the caller has ended, and
// returns how many were answered.
func (c *calls) join() int {
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.rooms { // no call came
		delete(c.rooms, id)
		r.close()
	}
	for _, call := range c.asked { // given up
		call.room.close()
	}
	return c.answered
}

// nestingOK says whether JSON text is nested no deeper than is allowed.
func nestingOK(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxNesting {
				return false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return true
}
