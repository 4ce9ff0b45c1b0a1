package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
)

const (
	readBuffer = headerLen + runLen + 64*kib // holds any frame of the streams in one piece
	firstGrow  = 256 * kib                   // what a header alone can make the host allocate
)

// A Frame is one message of the worker. Body is without the run id and valid
// until the next call of Next.
type Frame struct {
	Type Type
	Run  RunID
	Body []byte
}

// A Reader takes frames from a worker. It is for one goroutine at a time.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int // of what was read and not yet returned

	big     []byte // the part that came of a body longer than buf
	bigSize int    // of that body; 0 = none is under way
	bigType Type
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, readBuffer)}
}

// Buffered is the number of bytes that came but belong to no frame returned
// so far. Between requests it must be zero.
func (r *Reader) Buffered() int { return r.end - r.start + r.bigSize }

// Next returns the next frame, which must be of one of the types in allowed.
// The error is a *Violation, io.EOF at the end of the stream between frames,
// io.ErrUnexpectedEOF inside one, or what the source returned. After a deadline
// has passed Next can be called again, and loses nothing.
func (r *Reader) Next(allowed string) (Frame, error) {
	if r.bigSize > 0 {
		body, err := r.bigBody()
		return frameOf(r.bigType, body), err
	}
	if err := r.fill(headerLen); err != nil {
		return Frame{}, err
	}
	h := r.buf[r.start : r.start+headerLen]
	size, t := binary.LittleEndian.Uint32(h), Type(h[4])
	most, known := t.maxBody()
	if !known || strings.IndexByte(allowed, byte(t)) < 0 {
		return Frame{}, Violationf("frame of type %q is not allowed here", byte(t))
	}
	least := 0
	if t != Ready {
		most, least = most+runLen, runLen
	}
	if uint64(size) > uint64(most) || int(size) < least {
		return Frame{}, Violationf("frame of type %q has %d bytes", byte(t), size)
	}
	body, err := r.body(t, int(size))
	if err != nil {
		return Frame{}, err
	}
	return frameOf(t, body), nil
}

func frameOf(t Type, body []byte) Frame {
	f := Frame{Type: t, Body: body}
	if t != Ready && len(body) >= runLen {
		f.Run, f.Body = RunID(body), body[runLen:]
	}
	return f
}

// fill reads until n bytes are buffered.
func (r *Reader) fill(n int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.start+n > len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	for r.end-r.start < n {
		m, err := r.src.Read(r.buf[r.end:])
		r.end += m
		if err != nil && r.end-r.start < n {
			if errors.Is(err, io.EOF) && r.end > r.start {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// body consumes the header and the n bytes behind it.
func (r *Reader) body(t Type, n int) ([]byte, error) {
	if headerLen+n <= len(r.buf) {
		if err := r.fill(headerLen + n); err != nil {
			return nil, err
		}
		b := r.buf[r.start+headerLen : r.start+headerLen+n]
		r.start += headerLen + n
		return b, nil
	}
	// A big body has memory of its own that grows with what really came: a
	// forged length costs nothing.
	r.start += headerLen
	r.big = append(make([]byte, 0, min(n, firstGrow)), r.buf[r.start:r.end]...)
	r.bigType, r.bigSize = t, n
	r.start, r.end = 0, 0
	return r.bigBody()
}

func (r *Reader) bigBody() ([]byte, error) {
	for n := r.bigSize; len(r.big) < n; {
		if len(r.big) == cap(r.big) {
			r.big = slices.Grow(r.big, min(n-len(r.big), len(r.big)))
		}
		m, err := r.src.Read(r.big[len(r.big):min(n, cap(r.big))])
		r.big = r.big[:len(r.big)+m]
		if err != nil && len(r.big) < n {
			if errors.Is(err, io.EOF) {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	b := r.big
	r.big, r.bigSize = nil, 0
	return b, nil
}
