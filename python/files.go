package python

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

const (
	filePatience = 60 * time.Second // for one frame of a file
	filePace     = 5 * time.Second  // and for each further MiB of one that comes
	fileGrace    = 5 * time.Second  // to come to an end when ctx has ended; a request broken off costs the state
	inMemory     = 4 << 20          // a longer file is read through a temporary one
)

// Files implements Filer.
func (s *session) Files(ctx context.Context) (files []strands.File, err error) {
	err = s.ask(ctx, func(w *wire) error {
		id, err := w.request(frame.List)
		if err != nil {
			return err
		}
		f, err := w.next(id, frame.WhileListing)
		if err != nil {
			return err
		}
		if f.Type == frame.Failed {
			return failure("listing the files", f.Body)
		}
		var list []json.RawMessage
		if err := parseJSON(f.Body, &list); err != nil {
			return err
		}
		for _, raw := range list {
			file, err := parseFile(raw)
			if err != nil {
				return err
			}
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

// ReadFile implements Filer.
func (s *session) ReadFile(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	var out spool
	err := s.ask(ctx, func(w *wire) error {
		id, err := w.request(frame.Get, []byte(name))
		if err != nil {
			return err
		}
		began, came, failed := time.Now(), int64(0), error(nil)
		for {
			// A worker that sends byte by byte gets no more time for it.
			patience(ctx, w, began.Add(filePatience+filePace*time.Duration(came>>20)))
			f, err := w.next(id, frame.WhileGetting)
			switch {
			case err != nil:
				return err
			case f.Type == frame.Failed:
				return failure("reading "+name, f.Body)
			case len(f.Body) == 0:
				if err := cmp.Or(failed, context.Cause(ctx)); err != nil {
					return &hostError{err}
				}
				return nil
			}
			if came += int64(len(f.Body)); s.opts.Limits.Disk > 0 && came > s.opts.Limits.Disk {
				return frame.Violationf("a file longer than the disk quota")
			}
			if failed == nil && ctx.Err() == nil { // else the rest is only waited for
				failed = out.write(f.Body)
			}
		}
	})
	if err != nil {
		return nil, errors.Join(err, out.drop())
	}
	return out.reader()
}

// WriteFile implements Filer.
func (s *session) WriteFile(ctx context.Context, name string, data io.Reader) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.ask(ctx, func(w *wire) error { return w.putFile(ctx, name, data) })
}

// putFile writes a file into the session's folder.
func (w *wire) putFile(ctx context.Context, name string, data io.Reader) error {
	if err := w.quiet(); err != nil {
		return err
	}
	put := putter{ctx: ctx, w: w, id: newRunID(), name: name}
	buf := make([]byte, frame.MaxData)
	for first := true; ; first = false {
		n, err := io.ReadFull(data, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		stopped := context.Cause(ctx)
		if stopped == nil && err != nil {
			stopped = fmt.Errorf("python: reading what to write to %s: %w", name, err)
		}
		if stopped != nil && !last {
			// The file is half written; the worker can only be told so by
			// an end.
			if err := put.piece(first, true, buf[:n]); err != nil {
				return err
			}
			return &hostError{stopped}
		}
		if err := put.piece(first, last, buf[:n]); err != nil || last {
			return err
		}
	}
}

// putInputs writes the files that a fresh state begins with.
func (w *wire) putInputs(ctx context.Context, inputs []Input) error {
	stop := context.AfterFunc(ctx, func() { _ = w.proc.Conn().SetReadDeadline(past) })
	defer func() {
		stop()
		_ = w.proc.Conn().SetReadDeadline(time.Time{})
	}()
	for _, in := range inputs {
		r, err := in.Open(ctx)
		if err != nil {
			return fmt.Errorf("python: opening the input %s: %w", in.Name, err)
		}
		err = errors.Join(w.putFile(ctx, in.Name, r), r.Close())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("python: writing the input %s: %w", in.Name, err)
		}
	}
	return nil
}

// putter sends a file in pieces, of which the worker confirms each.
type putter struct {
	ctx  context.Context
	w    *wire
	id   frame.RunID
	name string
}

func (p *putter) piece(first, last bool, data []byte) error {
	head := append([]byte{putFlags(first, last)}, binary.LittleEndian.AppendUint16(nil, uint16(len(p.name)))...)
	head = append(head, p.name...)
	if err := p.w.w.Write(frame.Put, writePatience, p.id[:], head, data); err != nil {
		return err
	}
	patience(p.ctx, p.w, time.Now().Add(filePatience))
	f, err := p.w.next(p.id, frame.WhilePutting)
	if err == nil && f.Type == frame.Failed {
		return failure("writing "+p.name, f.Body)
	}
	return err
}

func putFlags(first, last bool) byte {
	var b byte
	if first {
		b |= 1
	}
	if last {
		b |= 2
	}
	return b
}

// hostError is an error that says nothing about the worker.
type hostError struct{ err error }

func (e *hostError) Error() string { return e.err.Error() }
func (e *hostError) Unwrap() error { return e.err }

// failure is a request that the worker could not fulfil.
func failure(doing string, body []byte) error {
	var f struct {
		Message string `json:"message"`
	}
	if err := parseJSON(body, &f); err != nil {
		return err
	}
	return &hostError{fmt.Errorf("python: %s: %s", doing, clip(f.Message, maxParamDoc))}
}

// ask runs a request about files on the session's worker. When it ends in the
// middle, for whatever reason, the worker cannot be used any more; so the end
// of ctx only hurries it.
func (s *session) ask(ctx context.Context, do func(*wire) error) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	if s.isParked() {
		return ErrBusy
	}
	w, err := s.ready(ctx, func(string) {})
	if err != nil {
		return err
	}
	patience(ctx, w, time.Now().Add(filePatience))
	hurried := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(hurried)
		_ = w.proc.Conn().SetReadDeadline(time.Now().Add(fileGrace))
	})
	err = do(w)
	stopped := !stop()
	if stopped {
		<-hurried
	}
	_ = w.proc.Conn().SetReadDeadline(time.Time{})
	if err == nil {
		return nil
	}
	if h, ok := errors.AsType[*hostError](err); ok {
		return h.err
	}
	used := w.used
	why := s.bury(w, err)
	if used {
		s.noteLoss(why)
	}
	if stopped {
		return context.Cause(ctx)
	}
	return fmt.Errorf("python: %s", why)
}

var past = time.Unix(1, 0) // a deadline that has passed

// patience gives the worker time for one more frame; when ctx has ended, what
// is left of fileGrace.
func patience(ctx context.Context, w *wire, until time.Time) {
	if ctx.Err() != nil {
		return
	}
	_ = w.proc.Conn().SetReadDeadline(until) // pipes have none
	if ctx.Err() != nil {
		_ = w.proc.Conn().SetReadDeadline(time.Now().Add(fileGrace))
	}
}

// parseFile decodes what a worker says of a file, and believes no name that
// leaves the folder.
func parseFile(b []byte) (strands.File, error) {
	var f strands.File
	if err := parseJSON(b, &f); err != nil {
		return f, err
	}
	if err := checkName(f.Name); err != nil || f.Size < 0 {
		return f, frame.Violationf("a file named %.80q of %d bytes", f.Name, f.Size)
	}
	f.MIME = oneLine(f.MIME)
	return f, nil
}

// checkName accepts a relative path with slashes that stays where it is.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || !utf8.ValidString(name) || len(name) > 1024 ||
		strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == '\\' || r == 0x7f }) {
		return fmt.Errorf("python: %q is no file of the output folder; use a relative name with slashes", name)
	}
	return nil
}

// spool holds a file that comes in pieces: in memory, or in a temporary file
// when it is long.
type spool struct {
	size int64
	mem  bytes.Buffer
	file *os.File
}

func (s *spool) write(b []byte) error {
	s.size += int64(len(b))
	if s.file == nil && s.size <= inMemory {
		s.mem.Write(b)
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "strands-file-")
		if err != nil {
			return err
		}
		s.file = f
		if _, err := s.mem.WriteTo(f); err != nil {
			return err
		}
	}
	_, err := s.file.Write(b)
	return err
}

func (s *spool) reader() (io.ReadCloser, error) {
	if s.file == nil {
		return io.NopCloser(&s.mem), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, s.drop())
	}
	return &spooled{s.file}, nil
}

func (s *spool) drop() error {
	if s.file == nil {
		return nil
	}
	return (&spooled{s.file}).Close()
}

// spooled is a temporary file that goes with its reader.
type spooled struct{ *os.File }

func (s *spooled) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }
