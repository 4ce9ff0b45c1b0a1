package python

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Big data crosses beside the JSON of a message: all that belongs to one
// message lies, one after the other, in one file in memory that rides on it.
// Where there are no such files it follows the JSON in the frame.

const (
	bigBytes = 64 << 10 // from here on bytes are big data
	maxRoom  = 1 << 30  // of one message
	align    = 64       // of each piece: what Arrow wants
)

// bulk is a value that writes itself as big data, such as a table.
type bulk interface {
	MIME() string
	io.WriterTo
}

// arrowMIME is the format that becomes a DataFrame.
const arrowMIME = "application/vnd.apache.arrow.stream"

const bytesMIME = "application/octet-stream"

// ledger counts the big data that a worker may hold. A file in memory that a
// worker keeps open is counted by no limit of the kernel.
type ledger struct {
	limit int64 // negative = none

	mu   sync.Mutex
	held int64
}

// take books n bytes.
func (l *ledger) take(n int64) error {
	if l.book(n) {
		return nil
	}
	settle()
	if l.book(n) {
		return nil
	}
	return fmt.Errorf("the big data is more than fits into the session's limit of %s; del what is no longer needed", bytesWords(l.limit))
}

func (l *ledger) book(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit >= 0 && l.held+n > l.limit {
		return false
	}
	l.held += n
	return true
}

func (l *ledger) free(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= n
}

// parcel is the big data of one message to a worker. It is for one goroutine.
// Either send hands it over, or drop must be called.
type parcel struct {
	ledger *ledger
	arrow  bool     // the worker can read Arrow data
	files  bool     // and can be given files
	file   *os.File // nil = none yet, or it is buf
	buf    bytes.Buffer
	size   int64
}

var errTooBig = fmt.Errorf("big data of more than %s; hand it over in parts", bytesWords(maxRoom))

// Write implements io.Writer.
func (p *parcel) Write(b []byte) (int, error) {
	if p.size+int64(len(b)) > maxRoom {
		return 0, errTooBig
	}
	if err := p.ledger.take(int64(len(b))); err != nil {
		return 0, err
	}
	p.size += int64(len(b))
	if p.file == nil && p.files {
		f, err := newMemory(-1)
		if errors.Is(err, errors.ErrUnsupported) {
			p.files = false
		} else if err != nil {
			return 0, err
		}
		p.file = f
	}
	if p.file == nil {
		return p.buf.Write(b)
	}
	return p.file.Write(b)
}

var padding [align]byte

// add appends what write writes and says where it is.
func (p *parcel) add(write func(io.Writer) error) (at, n int64, err error) {
	if pad := p.size % align; pad > 0 {
		if _, err := p.Write(padding[pad:]); err != nil {
			return 0, 0, err
		}
	}
	at = p.size
	err = write(p)
	return at, p.size - at, err
}

// close seals the file, which from here on counts until the worker has let it
// go.
func (p *parcel) close() error {
	if p.file == nil {
		p.ledger.free(p.size)
		return nil
	}
	if err := seal(p.file); err != nil {
		return err
	}
	watch(p.file, p.ledger, p.size)
	return nil
}

// drop gives up a parcel that was not closed.
func (p *parcel) drop() {
	p.ledger.free(p.size)
	if p.file != nil {
		_ = p.file.Close() // nothing in it is wanted
	}
}
