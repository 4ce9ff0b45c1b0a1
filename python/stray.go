package python

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stray drains descriptors 1 and 2 of a worker: what C code prints, and the
// trace of a crash. Its goroutine lives as long as the process.
type stray struct {
	file *os.File
	done chan struct{}

	mu   sync.Mutex
	sink func([]byte) // of the snippet that runs; nil = none does
	tail []byte       // the end of what came, for the trace of a crash
}

const strayTail = 16 << 10

func drain(file *os.File) *stray {
	s := &stray{file: file, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.loop()
	}()
	return s
}

func (s *stray) loop() {
	buf := make([]byte, 16<<10)
	raw, err := s.file.SyscallConn()
	if err != nil || !pollable {
		for {
			n, err := s.file.Read(buf)
			s.mu.Lock()
			s.take(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}
	for ended := false; !ended; {
		err := raw.Read(func(fd uintptr) bool {
			got, end := s.read(fd, buf)
			ended = end
			return got || end
		})
		if err != nil {
			return
		}
	}
}

// read takes what is there without waiting. It reads and hands over under the
// lock, so that after sync nothing is on its way.
func (s *stray) read(fd uintptr, buf []byte) (got, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n, err := readFD(fd, buf)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false, false
		case err != nil || n <= 0:
			return false, true
		default:
			s.take(buf[:n])
			return true, false
		}
	}
}

func (s *stray) take(b []byte) {
	if len(b) == 0 {
		return
	}
	if s.sink != nil {
		s.sink(b)
	}
	s.tail = append(s.tail, b...)
	if n := len(s.tail) - strayTail; n > 0 {
		s.tail = append(s.tail[:0], s.tail[n:]...)
	}
}

// attach hands what comes from now on to sink.
func (s *stray) attach(sink func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink, s.tail = sink, s.tail[:0]
}

// detach hands over what has been written so far, and then nothing more.
func (s *stray) detach() {
	s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = nil
}

// sync takes what has been written so far.
func (s *stray) sync() {
	var small [4 << 10]byte
	if raw, err := s.file.SyscallConn(); err == nil && pollable {
		_ = raw.Control(func(fd uintptr) {
			for range 256 { // a thread may go on writing for ever
				if got, _ := s.read(fd, small[:]); !got {
					return
				}
			}
		})
	}
}

// trace waits until the ended process's last words have come and returns them.
func (s *stray) trace() string {
	select {
	case <-s.done:
	case <-time.After(200 * time.Millisecond): // something it started holds the pipe
		s.sync()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ToValidUTF8(string(s.tail), "\uFFFD")
}
