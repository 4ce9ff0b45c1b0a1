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
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, readBuffer)}
}

// Buffered is the number of bytes that came but belong to no frame returned
// so far. Between requests it must be zero.
func (r *Reader) Buffered() int { return r.end - r.start }

// Next returns the next frame, which must be of one of the types in allowed.
// The error is a *Violation, io.EOF at the end of the stream between frames,
// io.ErrUnexpectedEOF inside one, or what the source returned.
func (r *Reader) Next(allowed string) (Frame, error) {
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
	body, err := r.body(int(size))
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Type: t, Body: body}
	if t != Ready {
		f.Run, f.Body = RunID(body), body[runLen:]
	}
	return f, nil
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
	for r.Buffered() < n {
		m, err := r.src.Read(r.buf[r.end:])
		r.end += m
		if err != nil && r.Buffered() < n {
			if errors.Is(err, io.EOF) && r.Buffered() > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// body consumes the header and the n bytes behind it.
func (r *Reader) body(n int) ([]byte, error) {
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
	b := make([]byte, 0, min(n, firstGrow))
	b = append(b, r.buf[r.start:r.end]...)
	r.start, r.end = 0, 0
	for len(b) < n {
		if len(b) == cap(b) {
			b = slices.Grow(b, min(n-len(b), len(b)))
		}
		m, err := r.src.Read(b[len(b):min(n, cap(b))])
		b = b[:len(b)+m]
		if err != nil && len(b) < n {
			if errors.Is(err, io.EOF) {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b, nil
}
