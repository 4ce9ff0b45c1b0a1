package python

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/strandsgo/strands/internal/frame"
)

// Big data crosses beside the JSON of a message: all that belongs to one
// message goes, one after the other, through a socket of its own whose end
// rides on it. Both sides copy at the same time, nobody shares memory, and what
// waits in the kernel is what a socket holds. Where no descriptor can be passed
// the data is in frames.

const (
	bigBytes = 64 << 10 // from here on bytes are big data
	maxRoom  = 1 << 30  // of one message
	align    = 64       // of each piece: what Arrow wants
)

// bulk is a value that writes itself as big data, such as a table: the same
// each time.
type bulk interface {
	MIME() string
	io.WriterTo
}

// arrowMIME is the format that becomes a DataFrame.
const arrowMIME = "application/vnd.apache.arrow.stream"

const bytesMIME = "application/octet-stream"

// ledger counts the big data of a worker that the host holds.
type ledger struct {
	limit int64 // negative = none

	mu   sync.Mutex
	held int64
}

// take books n bytes.
func (l *ledger) take(n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit >= 0 && l.held+n > l.limit {
		return fmt.Errorf("the big data of the calls under way is more than the session's limit of %s", bytesWords(l.limit))
	}
	l.held += n
	return nil
}

func (l *ledger) free(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= n
}

// parcel is the big data of one message to a worker.
type parcel struct {
	arrow bool // the worker can read Arrow data
	parts []part
	size  int64 // of all of them and the gaps between
}

// part is data of a known size that begins at a multiple of align.
type part struct {
	at, size int64
	write    func(io.Writer) error
}

var errTooBig = fmt.Errorf("big data of more than %s; hand it over in parts", bytesWords(maxRoom))

// add takes data that write is going to write, and says where it will be.
func (p *parcel) add(size int64, write func(io.Writer) error) (at int64, err error) {
	at = (p.size + align - 1) / align * align
	if size > maxRoom-at {
		return 0, errTooBig
	}
	p.parts = append(p.parts, part{at, size, write})
	p.size = at + size
	return at, nil
}

var padding [align]byte

// writeTo writes the parts where they were said to be.
func (p *parcel) writeTo(w io.Writer) error {
	end := int64(0)
	for _, part := range p.parts {
		if _, err := w.Write(padding[:part.at-end]); err != nil {
			return err
		}
		exact := &exactly{w, part.size}
		if err := part.write(exact); err != nil {
			return err
		}
		if exact.left != 0 {
			return errOtherSize
		}
		end = part.at + part.size
	}
	return nil
}

var errOtherSize = errors.New("big data has not the size that it had before")

// exactly writes no more than was announced.
type exactly struct {
	w    io.Writer
	left int64
}

// Write implements io.Writer.
func (e *exactly) Write(b []byte) (int, error) {
	if int64(len(b)) > e.left {
		return 0, errOtherSize
	}
	n, err := e.w.Write(b)
	e.left -= int64(n)
	return n, err
}

// measured counts what is written.
type measured int64

// Write implements io.Writer.
func (m *measured) Write(b []byte) (int, error) {
	if *m += measured(len(b)); *m > maxRoom {
		return 0, errTooBig
	}
	return len(b), nil
}

// send sends a reply and the big data that belongs to it. An error means that
// the worker is gone. That it does not want the data is none.
func (c *calls) send(call *hostCall, status byte, value []byte, p *parcel) error {
	if p.size == 0 {
		return c.reply(call, status, value)
	}
	if p.size >= bigBytes && c.wire.w.PassesFiles() {
		if ours, theirs, err := dataSocket(true); err == nil {
			size := binary.LittleEndian.AppendUint64(nil, uint64(p.size))
			err := c.wire.w.WriteFile(frame.Reply, 0, theirs, c.head(call, status|withSocket), size, value)
			_ = theirs.Close() // it is the worker's now
			if err == nil {
				stop := context.AfterFunc(c.ctx, func() { _ = ours.SetWriteDeadline(time.Unix(1, 0)) })
				defer stop()
				out := bufio.NewWriterSize(ours, bigBytes)
				_ = errors.Join(p.writeTo(out), out.Flush()) // the worker sees what is missing
			}
			_ = ours.Close()
			return err
		}
	}
	var behind bytes.Buffer
	behind.Grow(int(p.size))
	if err := p.writeTo(&behind); err != nil {
		c.throw(call, "RuntimeError", err.Error())
		return nil
	}
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(value)))
	return c.wire.w.Write(frame.Reply, 0, c.head(call, status|withBytes), size, value, behind.Bytes())
}
