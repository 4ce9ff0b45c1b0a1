//go:build linux

package python

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

// openFiles counts the descriptors of this program but for epoll's and
// inotify's, which come with the first use.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode") {
			n++
		}
	}
	return n
}

// receiveFile reads a reply that carries a descriptor.
func receiveFile(t *testing.T, conn net.Conn) (body []byte, f *os.File) {
	b, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(b, oob)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) == 1 {
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			f = os.NewFile(uintptr(fds[0]), "room")
		}
	}
	return b[13:n], f // without the head and the run id
}

func roomFor(call uint32, size uint64) string {
	return string(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, call), size))
}

func callWith(call uint32, args string) string {
	b := binary.LittleEndian.AppendUint32(nil, call)
	return string(binary.LittleEndian.AppendUint32(b, 0)) + args
}

func reference(id frame.RunID, at, size int) string {
	return fmt.Sprintf(`{"data":{"$attached":["%s",%d,%d,"application/octet-stream"]}}`, hex.EncodeToString(id[:]), at, size)
}

// TestBigDataOfAWorker: an honest one gets a room, fills it, and makes its call.
func TestBigDataOfAWorker(t *testing.T) {
	var got [][]byte
	want := bytes.Repeat([]byte("0123456789"), 10_000)
	s := openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{takeBytes(&got)}}}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		p.send(frame.Room, id, roomFor(1, uint64(len(want)+64)))
		body, f := receiveFile(p.t, p.conn)
		if f == nil || len(body) < 5 || body[4] != replyRoom|withFile {
			p.t.Errorf("no room: %q", body)
			return
		}
		defer f.Close()
		if _, err := f.WriteAt(want, 64); err != nil {
			p.t.Error(err)
		}
		if err := f.Truncate(1); err == nil {
			p.t.Error("the room can be shrunk")
		}
		p.send(frame.Call, id, callWith(1, reference(id, 64, len(want))))
		if _, _, reply, err := p.read(); err != nil || string(reply[4:]) != "\x00100000" {
			p.t.Errorf("reply %q, %v", reply, err)
		}
		if _, err := f.WriteAt([]byte("x"), 64); err == nil {
			p.t.Error("the room can be written after the call")
		}
		p.send(frame.Done, id, doneOK)
	}))
	before := openFiles(t)
	for range 3 {
		if res := mustExec(t, s, "x"); res.StateLost {
			t.Fatal(res.Lost)
		}
	}
	if len(got) != 3 || !bytes.Equal(got[2], want) {
		t.Errorf("%d calls came", len(got))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestARoomThatIsMapped: a worker that keeps it mapped for writing changes
// nothing that the tool reads.
func TestARoomThatIsMapped(t *testing.T) {
	read := make(chan []byte, 2)
	changed := make(chan bool)
	tool, err := strands.NewRawTool(strands.ToolSpec{Name: "take", InputSchema: []byte(`{"type":"object","properties":{"data":{"type":["string","object"],"contentEncoding":"base64"}}}`)},
		func(_ context.Context, c *strands.ToolCall) (*strands.ToolResult, error) {
			for range 2 {
				b := make([]byte, 10)
				if _, err := c.Attachments[0].Data.ReadAt(b, 0); err != nil {
					return nil, err
				}
				read <- b
				<-changed
			}
			return &strands.ToolResult{}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	s := openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{tool}}}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		p.send(frame.Room, id, roomFor(1, 4096))
		_, f := receiveFile(p.t, p.conn)
		defer f.Close()
		m, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			p.t.Error(err)
			return
		}
		defer unix.Munmap(m)
		copy(m, "before....")
		p.send(frame.Call, id, callWith(1, reference(id, 0, 10)))
		if b := <-read; string(b) != "before...." {
			p.t.Errorf("read %q", b)
		}
		copy(m, "after.....")
		changed <- true
		if b := <-read; string(b) != "before...." {
			p.t.Errorf("then read %q", b)
		}
		changed <- true
		_, _, _, _ = p.read()
		p.send(frame.Done, id, doneOK)
	}))
	if res := mustExec(t, s, "x"); res.StateLost {
		t.Fatal(res.Lost)
	}
}

// TestHostileBigData: each breach of the rules ends the session, and leaves no
// descriptor behind.
func TestHostileBigData(t *testing.T) {
	pieces := func(conn net.Conn) net.Conn { return struct{ net.Conn }{conn} } // without descriptors
	tests := map[string]struct {
		conn   func(net.Conn) net.Conn
		breach func(p *fakePeer, id frame.RunID)
		want   string
	}{
		"descriptors": {breach: func(p *fakePeer, id frame.RunID) {
			sendFiles(p, append(id[:], "text"...), 1)
		}, want: "descriptors"},
		"two hundred descriptors": {breach: func(p *fakePeer, id frame.RunID) {
			sendFiles(p, append(id[:], "text"...), 200)
		}, want: "descriptors"},
		"a request with a tail": {breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 1<<19)+"x")
		}, want: "21 bytes"},
		"a second room": {breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 100))
			p.send(frame.Room, id, roomFor(1, 100))
		}, want: "open already"},
		"outside of the room": {breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 4096))
			_, f := receiveFile(p.t, p.conn)
			defer f.Close()
			p.send(frame.Call, id, callWith(1, reference(id, 4000, 97)))
		}, want: "outside of its room"},
		"before the room": {breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 4096))
			_, f := receiveFile(p.t, p.conn)
			defer f.Close()
			p.send(frame.Call, id, callWith(1, reference(id, -1, 2)))
		}, want: "outside of its room"},
		"a piece for a file": {breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 4096))
			_, f := receiveFile(p.t, p.conn)
			defer f.Close()
			p.send(frame.Piece, id, callWith(1, "")[:4]+"data")
		}, want: "no such room"},
		"a piece without a room": {breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Piece, id, "\x01\x00\x00\x00data")
		}, want: "no such room"},
		"too many pieces": {conn: pieces, breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 4))
			_, _, _, _ = p.read()
			p.send(frame.Piece, id, "\x01\x00\x00\x00data!")
		}, want: "larger than its room"},
		"too few pieces": {conn: pieces, breach: func(p *fakePeer, id frame.RunID) {
			p.send(frame.Room, id, roomFor(1, 5))
			_, _, _, _ = p.read()
			p.send(frame.Piece, id, "\x01\x00\x00\x00data")
			p.send(frame.Call, id, callWith(1, reference(id, 0, 4)))
		}, want: "with 4 of 5 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got [][]byte
			s := openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{takeBytes(&got)}}}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
				tt.breach(p, id)
				<-p.closed
			}), func(p *fakeProcess) {
				if tt.conn != nil {
					p.conn = tt.conn(p.conn)
				}
			})
			before := openFiles(t)
			res := mustExec(t, s, "x")
			if !res.StateLost || !strings.Contains(res.Lost, tt.want) {
				t.Errorf("lost = %v, %q; want %q", res.StateLost, res.Lost, tt.want)
			}
			if len(got) > 0 {
				t.Error("the call was made")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if after := openFiles(t); after > before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// sendFiles sends a frame of stdout with many descriptors on it: pipes and a
// folder.
func sendFiles(p *fakePeer, body []byte, n int) {
	var fds []int
	for range n / 2 {
		r, w, err := os.Pipe()
		if err != nil {
			p.t.Error(err)
			return
		}
		defer r.Close()
		defer w.Close()
		fds = append(fds, int(r.Fd()))
	}
	dir, err := os.Open("/")
	if err != nil {
		p.t.Error(err)
		return
	}
	defer dir.Close()
	fds = append(fds, int(dir.Fd()))
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, byte(frame.Stdout)), body...)
	if _, _, err := p.conn.(*net.UnixConn).WriteMsgUnix(b, unix.UnixRights(fds...), nil); err != nil {
		p.t.Error(err)
	}
	<-p.closed
}

// TestRoomsAreRefused: what is too large is an exception, not a breach.
func TestRoomsAreRefused(t *testing.T) {
	for name, size := range map[string]uint64{"nothing": 0, "beyond a message": maxRoom + 1, "beyond the session": 200 << 20, "everything": 1<<64 - 1} {
		s := openFake(t, Options{Limits: Limits{Memory: 100 << 20}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
			p.send(frame.Room, id, roomFor(1, size))
			if _, _, body, err := p.read(); err != nil || body[4] != replyException || !bytes.Contains(body, []byte("MemoryError")) {
				p.t.Errorf("%s: %q, %v", name, body, err)
			}
			p.send(frame.Done, id, doneOK)
		}))
		if res := mustExec(t, s, "x"); res.StateLost {
			t.Errorf("%s: %s", name, res.Lost)
		}
	}
}

// TestLedger: memory that a worker has let go is found, by whoever it was
// opened or mapped.
func TestLedger(t *testing.T) {
	l := &ledger{limit: 1 << 20}
	hand := func() *parcel {
		p := &parcel{ledger: l, files: true}
		if _, err := p.Write(make([]byte, 600<<10)); err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := hand()
	m, err := unix.Mmap(int(first.file.Fd()), 0, 600<<10, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	first.file.Close()
	refused := &parcel{ledger: l, files: true}
	if _, err := refused.Write(make([]byte, 600<<10)); err == nil || !strings.Contains(err.Error(), "limit of 1 MiB") {
		t.Fatalf("twice 600 KiB in 1 MiB while the first is mapped: %v", err)
	}
	refused.drop()
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	second := hand()
	second.file.Close()
	if err := l.take(1 << 20); err != nil {
		t.Errorf("nothing is held any more: %v", err)
	}
}

// FuzzAttached: arguments of a worker with references into its room.
func FuzzAttached(f *testing.F) {
	run := frame.RunID{1}
	f.Add([]byte(reference(run, 0, 10)), int64(10))
	f.Add([]byte(`{"a":{"$attached":["0100000000000000",9223372036854775807,1,"x"]}}`), int64(1))
	f.Add([]byte(`{"a":{"$attached":["0100000000000000",1e300,-1,"x"]},"b":[]}`), int64(1<<30))
	f.Fuzz(func(t *testing.T, args []byte, size int64) {
		found, err := attachedIn(args, run, max(size, 1))
		if err != nil && !frame.IsViolation(err) {
			t.Fatalf("error %v", err)
		}
		for _, a := range found {
			if a.at < 0 || a.size < 0 || a.at+a.size > max(size, 1) || a.at+a.size < a.at {
				t.Fatalf("%d bytes at %d of %d", a.size, a.at, size)
			}
		}
	})
}
