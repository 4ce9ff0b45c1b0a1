package python

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/ticket"
)

// room is where the big data of a call from Python is written: a file in
// memory that the host made, so that it can neither shrink nor grow, or a
// buffer that frames fill. Once the call is made nobody writes there any more.
type room struct {
	size   int64
	ledger *ledger
	given  bool     // the worker knows of it
	file   *os.File // nil = buf
	buf    []byte
	copied bool // from a file, which is counted until the worker lets it go
}

// ReadAt implements io.ReaderAt.
func (r *room) ReadAt(b []byte, at int64) (int, error) {
	if r.file != nil {
		return r.file.ReadAt(b, at)
	}
	return bytes.NewReader(r.buf).ReadAt(b, at)
}

// freeze makes sure that what was checked is what is read. A file that
// somebody may still have mapped for writing is copied.
func (r *room) freeze() error {
	if unwritable(r.file) {
		return nil
	}
	data := make([]byte, r.size)
	if _, err := io.ReadFull(io.NewSectionReader(r.file, 0, r.size), data); err != nil {
		return err
	}
	watch(r.file, r.ledger, r.size)
	r.buf, r.copied = data, true
	f := r.file
	r.file = nil
	return f.Close()
}

// close gives the room up. A worker that keeps its descriptor goes on being
// charged.
func (r *room) close() {
	if r == nil {
		return
	}
	if r.copied {
		return
	}
	if r.file == nil {
		r.ledger.free(r.size)
		return
	}
	watch(r.file, r.ledger, r.size)
	_ = r.file.Close() // it is in memory: nothing can be lost
}

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
	if c.giving++; c.giving > waitingCalls || len(c.rooms) > waitingCalls {
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
	if refuse == "" {
		c.rooms[id] = &room{size: int64(size), ledger: &c.wire.ledger}
	}
	c.wg.Go(func() { c.giveRoom(id, refuse) })
	return nil
}

// giveRoom answers a request for room. The clock goes on: this is the worker's
// own work.
func (c *calls) giveRoom(id uint32, refuse string) {
	call := &hostCall{id: id}
	c.mu.Lock()
	r := c.rooms[id]
	c.mu.Unlock()
	var f *os.File
	if refuse == "" {
		var err error
		if err = r.ledger.take(r.size); err == nil && c.wire.w.PassesFiles() {
			if f, err = newMemory(r.size); err != nil {
				r.ledger.free(r.size)
			}
		}
		if err != nil {
			refuse = err.Error()
		}
	}
	c.mu.Lock()
	c.giving--
	if refuse != "" {
		delete(c.rooms, id)
	} else {
		r.file, r.given = f, true
	}
	c.mu.Unlock()
	switch {
	case refuse != "":
		c.throw(call, "MemoryError", refuse)
	case f != nil:
		_ = c.wire.w.WriteFile(frame.Reply, 0, f, c.head(call, replyRoom|withFile), binary.LittleEndian.AppendUint64(nil, uint64(r.size)))
	default:
		_ = c.reply(call, replyRoom, nil) // a worker that is gone is noticed by the reader
	}
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
	case r == nil || !r.given || r.file != nil:
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

// claim gives a call that is being made its room, which can then not be
// changed any more. The error is a violation. The lock is held.
func (c *calls) claim(call *hostCall) error {
	r := c.rooms[call.id]
	if r == nil {
		return nil
	}
	if !r.given {
		return frame.Violationf("call %d was made before it had its room", call.id)
	}
	if r.file != nil {
		if err := r.freeze(); err != nil {
			return frame.Violationf("the room of call %d: %v", call.id, err)
		}
	} else if int64(len(r.buf)) != r.size {
		return frame.Violationf("call %d was made with %d of %d bytes", call.id, len(r.buf), r.size)
	}
	delete(c.rooms, call.id)
	call.room = r
	if call.refuse != "" {
		return nil
	}
	var err error
	if call.attached, err = attachedIn(call.args, c.run, r.size); err != nil {
		r.close()
	}
	return err
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
		section := io.NewSectionReader(call.room, a.at, a.size)
		if call.fn.takesBulk(a.name) {
			t, w := ticket.Issue(ticket.Data{MIME: a.mime, Size: a.size, ReaderAt: section})
			named[a.name] = t
			tickets = append(tickets, w)
			data = append(data, strands.Attachment{MIME: a.mime, Size: a.size, Data: section})
			continue
		}
		if a.mime != bytesMIME || a.size > maxInline {
			return nil, nil, withdraw, fmt.Errorf("argument %s of %s is too large for this function; at most %s can be passed", a.name, bytesWords(a.size), bytesWords(maxInline))
		}
		raw := make([]byte, a.size)
		if _, err := io.ReadFull(section, raw); err != nil {
			return nil, nil, withdraw, err
		}
		named[a.name] = append(base64.StdEncoding.AppendEncode([]byte{'"'}, raw), '"')
	}
	args, err = json.Marshal(named)
	return call.fn.input(args), data, withdraw, err
}
