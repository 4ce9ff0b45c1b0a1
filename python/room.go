package python

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/ticket"
)

// room is the big data of a call from Python. It comes through a socket or in
// frames, into memory of the host's own, and does not change any more when the
// call is dispatched.
type room struct {
	size    int64
	ledger  *ledger
	given   bool // the worker knows of it
	sockets bool // it comes through a socket, else in frames
	buf     []byte

	full bool      // nothing more comes
	err  error     // it did not come whole
	call *hostCall // was made, and waits for it
}

// close gives the room up. Who reads what is in it may go on.
func (r *room) close() {
	if r != nil {
		r.ledger.free(r.size)
	}
}

// roomsAtOnce is how many rooms are being filled. Each has descriptors of the
// host's.
const roomsAtOnce = 16

// addRoom takes the body of a frame that asks for a room. The error is a
// violation.
func (c *calls) addRoom(body []byte) error {
	if len(body) != 12 {
		return frame.Violationf("a request for room of %d bytes", len(body))
	}
	id, size := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint64(body[4:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.open[id]; taken || c.rooms[id] != nil {
		return frame.Violationf("host call %d is open already", id)
	}
	if c.giving+len(c.held) >= waitingCalls || len(c.rooms) >= waitingCalls {
		return frame.Violationf("a flood of requests for room")
	}
	refuse := ""
	switch {
	case c.ctx.Err() != nil:
		refuse = "the snippet was interrupted; no more host calls"
	case c.budget >= 0 && c.made >= c.budget:
		refuse = c.overBudget()
	case size == 0 || size > maxRoom:
		refuse = errTooBig.Error()
	}
	r := &room{size: int64(size), ledger: &c.wire.ledger}
	if refuse == "" {
		c.rooms[id] = r
	}
	if c.filling == nil {
		c.filling = make(chan struct{}, roomsAtOnce)
	}
	give := func() { c.giveRoom(id, r, refuse) }
	if len(c.asked) > 0 { // the worker may be stopped at any moment
		c.held = append(c.held, give)
		return nil
	}
	c.giving++
	c.wg.Go(give)
	return nil
}

// giveRoom answers a request for room and takes in what comes. The clock goes
// on: this is the worker's own work.
func (c *calls) giveRoom(id uint32, r *room, refuse string) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.giving--
		c.rest()
	}()
	call := &hostCall{id: id}
	var ours, theirs *os.File
	if refuse == "" {
		select {
		case c.filling <- struct{}{}:
			defer func() { <-c.filling }()
		case <-c.ctx.Done():
			refuse = "the snippet was interrupted; no more host calls"
		}
	}
	if refuse == "" {
		if err := r.ledger.take(r.size); err != nil {
			refuse = err.Error()
		} else if c.wire.w.PassesFiles() {
			if ours, theirs, err = dataSocket(false); err != nil {
				r.ledger.free(r.size)
				refuse = err.Error()
			}
		}
	}
	c.mu.Lock()
	if refuse != "" {
		delete(c.rooms, id)
	} else {
		r.given, r.sockets = true, ours != nil
	}
	c.mu.Unlock()
	switch {
	case refuse != "":
		c.throw(call, "MemoryError", refuse)
	case ours != nil:
		size := binary.LittleEndian.AppendUint64(nil, uint64(r.size))
		_ = c.wire.w.WriteFile(frame.Reply, 0, theirs, c.head(call, replyRoom|withSocket), size)
		_ = theirs.Close() // it is the worker's now
		c.fill(r, ours)
	default:
		_ = c.reply(call, replyRoom, nil) // a worker that is gone is noticed by the reader
	}
}

// fillPatience is how long a worker may take to fill a room. One that waits for
// a person is not stopped before.
const fillPatience = time.Minute

// fill takes in what comes for a room, until the run ends, and then dispatches
// the call that was made for it.
func (c *calls) fill(r *room, from *os.File) {
	_ = from.SetReadDeadline(time.Now().Add(fillPatience))
	stop := context.AfterFunc(c.ctx, func() { _ = from.SetReadDeadline(time.Unix(1, 0)) })
	buf, err := readWhole(from, r.size)
	stop()
	_ = from.Close() // it was only read
	c.mu.Lock()
	defer c.mu.Unlock()
	r.buf, r.err, r.full = buf, err, true
	if r.call != nil {
		c.dispatch(r.call)
	}
}

// firstRead is what must have come before memory for the rest is made.
const firstRead = 256 << 10

// readWhole reads size bytes. What was announced and does not come costs
// nothing.
func readWhole(from io.Reader, size int64) ([]byte, error) {
	first := make([]byte, min(size, firstRead))
	if _, err := io.ReadFull(from, first); err != nil || size == int64(len(first)) {
		return first, err
	}
	whole := make([]byte, size)
	_, err := io.ReadFull(from, whole[copy(whole, first):])
	return whole, err
}

// addPiece takes a frame that fills a room. The error is a violation.
func (c *calls) addPiece(body []byte) error {
	if len(body) < 4 {
		return frame.Violationf("a piece of %d bytes", len(body))
	}
	id, data := binary.LittleEndian.Uint32(body), body[4:]
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[id]
	switch {
	case r == nil || !r.given || r.sockets:
		return frame.Violationf("a piece for call %d, which has no such room", id)
	case int64(len(r.buf)+len(data)) > r.size:
		return frame.Violationf("pieces for call %d are larger than its room", id)
	}
	r.buf = append(r.buf, data...)
	return nil
}

// attached is an argument that lies in the room of its call.
type attached struct {
	name     string
	mime     string
	at, size int64
}

// claim gives a call that is being made its room. The call waits while the room
// is not full. The error is a violation. The lock is held.
func (c *calls) claim(call *hostCall) (waits bool, err error) {
	r := c.rooms[call.id]
	if r == nil {
		return false, nil
	}
	if !r.given {
		return false, frame.Violationf("call %d was made before it had its room", call.id)
	}
	if !r.sockets && int64(len(r.buf)) != r.size {
		return false, frame.Violationf("call %d was made with %d of %d bytes", call.id, len(r.buf), r.size)
	}
	delete(c.rooms, call.id)
	call.room = r
	if call.refuse == "" {
		if call.attached, err = attachedIn(call.args, c.run, r.size); err != nil {
			r.close()
			return false, err
		}
	}
	if r.sockets && !r.full {
		r.call = call
		return true, nil
	}
	return false, nil
}

// attachedIn finds the arguments that lie in a room of size bytes. The error is
// a violation.
func attachedIn(args []byte, run frame.RunID, size int64) ([]attached, error) {
	var named map[string]json.RawMessage
	if json.Unmarshal(args, &named) != nil {
		return nil, nil // the tool says what is wrong with it
	}
	var found []attached
	for name, value := range named {
		if !bytes.HasPrefix(value, []byte(`{"$attached":`)) {
			continue
		}
		var ref struct {
			Attached [4]any `json:"$attached"` // run, offset, size, format
		}
		if json.Unmarshal(value, &ref) != nil || ref.Attached[0] != hex.EncodeToString(run[:]) {
			continue // it only looks like one
		}
		at, ok1 := ref.Attached[1].(float64)
		n, ok2 := ref.Attached[2].(float64)
		mime, ok3 := ref.Attached[3].(string)
		a := attached{name, mime, int64(at), int64(n)}
		if !ok1 || !ok2 || !ok3 || a.at < 0 || a.size < 0 || a.at > size || a.size > size-a.at || len(mime) > 100 {
			return nil, frame.Violationf("an argument outside of its room")
		}
		found = append(found, a)
	}
	return found, nil
}

// maxInline is the most bytes of an argument that are written into JSON for a
// tool that takes them in no other way.
const maxInline = 64 << 20

// input is what the tool gets. Big data is read by a ticket while the call
// lasts, or written into the JSON when the tool knows no tickets. The error
// is the call's. withdraw must be called, after an error too.
func (call *hostCall) input() (args json.RawMessage, data []strands.Attachment, withdraw func(), err error) {
	withdraw = func() {}
	if len(call.attached) == 0 {
		return call.fn.input(call.args), nil, withdraw, nil
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(call.args, &named); err != nil {
		return nil, nil, withdraw, err
	}
	var tickets []func()
	withdraw = func() {
		for _, w := range tickets {
			w()
		}
	}
	for _, a := range call.attached {
		memory := call.room.buf[a.at : a.at+a.size : a.at+a.size]
		section := bytes.NewReader(memory)
		if call.fn.takesBulk(a.name) {
			d := ticket.Data{MIME: a.mime, Size: a.size, ReaderAt: section}
			if a.at%align == 0 { // so does an honest worker
				d.Memory = memory
			}
			t, w := ticket.Issue(d)
			named[a.name] = t
			tickets = append(tickets, w)
			data = append(data, strands.Attachment{MIME: a.mime, Size: a.size, Data: section})
			continue
		}
		if a.mime != bytesMIME || a.size > maxInline {
			return nil, nil, withdraw, fmt.Errorf("argument %s of %s is too large for this function; at most %s can be passed", a.name, bytesWords(a.size), bytesWords(maxInline))
		}
		named[a.name] = append(base64.StdEncoding.AppendEncode([]byte{'"'}, memory), '"')
	}
	args, err = json.Marshal(named)
	return call.fn.input(args), data, withdraw, err
}
