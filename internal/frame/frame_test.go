package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var run1 = RunID{1, 2, 3, 4, 5, 6, 7, 8}

// raw builds a frame as a worker would.
func raw(t Type, run *RunID, body []byte) []byte {
	if run != nil {
		body = append(run[:len(run):len(run)], body...)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	return append(append(b, byte(t)), body...)
}

func TestReaderReturnsWhatWasSent(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 3*mib/16)
	stream := raw(Ready, nil, []byte(`{"version":1}`))
	stream = append(stream, raw(Stdout, &run1, []byte("hello"))...)
	stream = append(stream, raw(Picture, &run1, big)...)
	stream = append(stream, raw(Stderr, &run1, bytes.Repeat([]byte("x"), 64*kib))...)
	stream = append(stream, raw(Done, &run1, []byte("{}"))...)

	sources := map[string]io.Reader{
		"whole":    bytes.NewReader(stream),
		"halves":   iotest.HalfReader(bytes.NewReader(stream)),
		"dataErr":  iotest.DataErrReader(bytes.NewReader(stream)),
		"one byte": iotest.OneByteReader(bytes.NewReader(stream)),
	}
	for name, src := range sources {
		t.Run(name, func(t *testing.T) {
			r := NewReader(src)
			if f, err := r.Next(WhileStarting); err != nil || f.Type != Ready || string(f.Body) != `{"version":1}` {
				t.Fatalf("ready: %v %v", f, err)
			}
			for _, want := range []struct {
				t Type
				n int
			}{{Stdout, 5}, {Picture, len(big)}, {Stderr, 64 * kib}, {Done, 2}} {
				f, err := r.Next(WhileRunning)
				if err != nil {
					t.Fatalf("%c: %v", want.t, err)
				}
				if f.Type != want.t || len(f.Body) != want.n || f.Run != run1 {
					t.Fatalf("got %c with %d bytes of run %v, want %c with %d", f.Type, len(f.Body), f.Run, want.t, want.n)
				}
				if want.t == Picture && !bytes.Equal(f.Body, big) {
					t.Fatal("the picture came changed")
				}
			}
			if _, err := r.Next(WhileRunning); err != io.EOF {
				t.Fatalf("at the end: %v, want io.EOF", err)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, byte(Done)}
	tests := []struct {
		name    string
		stream  []byte
		allowed string
	}{
		{"unknown type", raw('Z', &run1, nil), WhileRunning},
		{"type of the host", raw(Exec, &run1, nil), WhileRunning + string(Exec)},
		{"type of another state", raw(Listing, &run1, []byte("[]")), WhileRunning},
		{"second ready", raw(Ready, nil, nil), WhileRunning},
		{"4 GiB", huge, WhileRunning},
		{"one byte too many", raw(Stdout, &run1, make([]byte, 64*kib+1)), WhileRunning},
		{"shorter than a run id", raw(Done, nil, []byte("1234567")), WhileRunning},
		{"unwanted with a tail", raw(Unwanted, &run1, make([]byte, 5)), WhileRunning},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewReader(bytes.NewReader(tt.stream)).Next(tt.allowed)
			if !IsViolation(err) {
				t.Fatalf("err = %v, want a violation", err)
			}
		})
	}
}

func TestReaderNoticesATruncatedFrame(t *testing.T) {
	for _, whole := range [][]byte{raw(Stdout, &run1, []byte("hello")), raw(Picture, &run1, make([]byte, mib))} {
		for _, n := range []int{1, 4, 5, 9, len(whole) - 1} {
			_, err := NewReader(bytes.NewReader(whole[:n])).Next(WhileRunning)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d of %d bytes: %v, want io.ErrUnexpectedEOF", n, len(whole), err)
			}
		}
	}
}

// A deadline in the middle of a frame loses none of it.
func TestReaderGoesOnAfterADeadline(t *testing.T) {
	for _, n := range []int{100, 300 * kib} {
		whole := raw(Picture, &run1, bytes.Repeat([]byte("abc"), n/3))
		whole = append(whole, raw(Done, &run1, []byte("{}"))...)
		r := NewReader(&stuttering{src: iotest.HalfReader(bytes.NewReader(whole))})
		var got []Frame
		for len(got) < 2 {
			f, err := r.Next(WhileRunning)
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
			case err != nil:
				t.Fatal(err)
			default:
				f.Body = bytes.Clone(f.Body)
				got = append(got, f)
			}
		}
		if len(got[0].Body) != n/3*3 || got[0].Run != run1 || string(got[1].Body) != "{}" {
			t.Fatalf("%d: got %d bytes and %q", n, len(got[0].Body), got[1].Body)
		}
	}
}

// stuttering fails with a deadline before each read.
type stuttering struct {
	src   io.Reader
	reads int
}

func (s *stuttering) Read(p []byte) (int, error) {
	if s.reads++; s.reads%2 == 1 {
		return 0, os.ErrDeadlineExceeded
	}
	return s.src.Read(p[:max(1, min(len(p), 40*kib))])
}

// A forged length may not make the host allocate what never comes.
func TestReaderAllocatesWhatComes(t *testing.T) {
	forged := binary.LittleEndian.AppendUint32(nil, 32*mib)
	forged = append(append(forged, byte(Picture)), run1[:]...)
	r := NewReader(bytes.NewReader(forged))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := r.Next(WhileRunning)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("err = %v", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > mib {
		t.Fatalf("a header made the reader allocate %d bytes", grown)
	}
}

func TestWriterWritesAFrameAtOnce(t *testing.T) {
	var dst countingWriter
	w := NewWriter(&dst)
	if err := w.Write(Exec, 0, run1[:], []byte("x = 1")); err != nil {
		t.Fatal(err)
	}
	if want := raw(Exec, &run1, []byte("x = 1")); dst.writes != 1 || !bytes.Equal(dst.Bytes(), want) {
		t.Fatalf("%d writes of %q, want one of %q", dst.writes, dst.Bytes(), want)
	}
	dst.Reset()
	big := bytes.Repeat([]byte("y"), 3*oneWrite)
	if err := w.Write(Reply, 0, run1[:], []byte("head"), big, []byte("tail")); err != nil {
		t.Fatal(err)
	}
	if want := raw(Reply, &run1, []byte("head"+string(big)+"tail")); !bytes.Equal(dst.Bytes(), want) {
		t.Fatal("a big frame came out changed")
	}
}

func TestWriterGivesUpOnADeafWorker(t *testing.T) {
	host, worker := net.Pipe()
	defer worker.Close()
	defer host.Close()
	w := NewWriter(host)
	if err := w.Write(Exec, time.Millisecond, run1[:], []byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("err = %v, want a deadline", err)
	}
	go io.Copy(io.Discard, worker)
	if err := w.Write(Exec, time.Minute, run1[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a broken stream took another frame: %v", err)
	}
}

// FuzzReader feeds any bytes, in pieces of any size, in any state. The reader
// must not panic, must not hand out more than came, and must respect the
// bounds of each type.
func FuzzReader(f *testing.F) {
	good := raw(Stdout, &run1, []byte("out"))
	f.Add(good, 3)
	f.Add(append(append([]byte{}, good...), raw(Done, &run1, []byte("{}"))...), 7)
	f.Add(raw(Ready, nil, []byte("{}")), 1)
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f, 'p', 1, 2, 3}, 2)
	f.Add(append(good[:6:6], good...), 64)
	f.Add(raw(Picture, &run1, bytes.Repeat([]byte{7}, 100*kib)), 4096)
	states := []string{WhileStarting, WhileRunning, WhileListing, WhileGetting, WhilePutting, WhileForking, WhileTelling}
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		r := NewReader(&steps{stream, min(max(step, 1), 1<<16)})
		taken := 0
		for i := 0; ; i++ {
			allowed := states[(i+step&0xff)%len(states)]
			fr, err := r.Next(allowed)
			if err != nil {
				return
			}
			if !strings.ContainsRune(allowed, rune(fr.Type)) {
				t.Fatalf("type %q in state %q", fr.Type, allowed)
			}
			if most, _ := fr.Type.maxBody(); len(fr.Body) > most {
				t.Fatalf("%q with %d bytes", fr.Type, len(fr.Body))
			}
			if taken += headerLen + len(fr.Body); taken > len(stream) {
				t.Fatal("more came out than went in")
			}
		}
	})
}

type steps struct {
	b []byte
	n int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n)], s.b)
	s.b = s.b[n:]
	return n, nil
}

type countingWriter struct {
	bytes.Buffer
	writes int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}
