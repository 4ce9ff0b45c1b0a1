package frame

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"sync"
	"time"
)

const oneWrite = 64 * kib // up to here a frame is copied together and written at once

// A Writer sends frames. It is safe for concurrent use; frames never mix. An
// error is kept: a frame may have left in part, so nothing can follow it.
type Writer struct {
	mu  sync.Mutex
	dst io.Writer
	buf []byte
	err error

	file *os.File // to go with the next bytes
}

// A FileWriter passes the descriptor of a file on with the first byte of b.
type FileWriter interface {
	WriteFile(b []byte, f *os.File) (int, error)
}

// NewWriter returns a Writer to dst. When dst has a method SetWriteDeadline,
// Write can be given a time.
func NewWriter(dst io.Writer) *Writer {
	return &Writer{dst: dst}
}

// Write sends one frame whose body is the pieces. It fails when the other side
// has not taken it within patience; zero waits as long as the stream lives.
func (w *Writer) Write(t Type, patience time.Duration, pieces ...[]byte) error {
	return w.WriteFile(t, patience, nil, pieces...)
}

// PassesFiles says whether WriteFile can pass files.
func (w *Writer) PassesFiles() bool {
	_, ok := w.dst.(FileWriter)
	return ok
}

// WriteFile is Write with a descriptor of f, which stays the caller's; nil =
// none.
func (w *Writer) WriteFile(t Type, patience time.Duration, f *os.File, pieces ...[]byte) error {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	if uint64(size) > math.MaxUint32 {
		return Violationf("frame of type %q would have %d bytes", byte(t), size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if d, ok := w.dst.(interface{ SetWriteDeadline(time.Time) error }); ok {
		var at time.Time
		if patience > 0 {
			at = time.Now().Add(patience)
		}
		if w.err = d.SetWriteDeadline(at); w.err != nil {
			return w.err
		}
	}
	w.file = f
	w.err = w.send(t, size, pieces)
	return w.err
}

func (w *Writer) send(t Type, size int, pieces [][]byte) error {
	w.buf = binary.LittleEndian.AppendUint32(w.buf[:0], uint32(size))
	w.buf = append(w.buf, byte(t))
	for _, p := range pieces {
		if len(p) > oneWrite-len(w.buf) {
			if err := w.flush(); err != nil {
				return err
			}
			if len(p) > oneWrite {
				if _, err := w.dst.Write(p); err != nil {
					return err
				}
				continue
			}
		}
		w.buf = append(w.buf, p...)
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	var err error
	if f := w.file; f != nil {
		w.file = nil
		_, err = w.dst.(FileWriter).WriteFile(w.buf, f)
	} else {
		_, err = w.dst.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return err
}
