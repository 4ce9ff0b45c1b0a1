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
	"runtime"
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

// receiveFile reads a reply that carries a descriptor, which blocks.
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

// fill sends data for a room and says that it was all.
func fill(t *testing.T, f *os.File, data []byte) {
	if _, err := f.Write(data); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestBigDataOfAWorker: an honest one gets a room, fills it, and makes its call.
func TestBigDataOfAWorker(t *testing.T) {
	var got [][]byte
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	s := openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{takeBytes(&got)}}}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		p.send(frame.Room, id, roomFor(1, uint64(len(want)+64)))
		body, f := receiveFile(p.t, p.conn)
		if f == nil || len(body) < 5 || body[4] != replyRoom|withSocket {
			p.t.Errorf("no room: %q", body)
			return
		}
		if n, err := f.Read(make([]byte, 1)); n != 0 || err == nil {
			p.t.Errorf("the host can send here: %d, %v", n, err)
		}
		fill(p.t, f, append(make([]byte, 64), want...))
		p.send(frame.Call, id, callWith(1, reference(id, 64, len(want))))
		if _, _, reply, err := p.read(); err != nil || string(reply[4:]) != "\x001000000" {
			p.t.Errorf("reply %q, %v", reply, err)
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
	if held := s.wire.ledger.held; held != 0 {
		t.Errorf("%d bytes are still on the books", held)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestACallBeforeItsData: the call waits for it, and a call whose data does not
// come is an exception.
func TestACallBeforeItsData(t *testing.T) {
	var got [][]byte
	s := openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{takeBytes(&got)}}}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		p.send(frame.Room, id, roomFor(1, 1_000_000))
		_, whole := receiveFile(p.t, p.conn)
		p.send(frame.Room, id, roomFor(2, 1_000_000))
		_, cut := receiveFile(p.t, p.conn)
		p.send(frame.Call, id, callWith(1, reference(id, 0, 1_000_000)))
		p.send(frame.Call, id, callWith(2, reference(id, 0, 1_000_000)))
		fill(p.t, cut, make([]byte, 999_999))
		if _, _, reply, err := p.read(); err != nil || reply[0] != 2 || reply[4] != replyException || !bytes.Contains(reply, []byte("did not come whole")) {
			p.t.Errorf("reply %q, %v", reply, err)
		}
		fill(p.t, whole, make([]byte, 1_000_000))
		if _, _, reply, err := p.read(); err != nil || reply[0] != 1 || string(reply[4:]) != "\x001000000" {
			p.t.Errorf("reply %q, %v", reply, err)
		}
		p.send(frame.Done, id, doneOK)
	}))
	if res := mustExec(t, s, "x"); res.StateLost {
		t.Fatal(res.Lost)
	}
	if len(got) != 1 || len(got[0]) != 1_000_000 {
		t.Errorf("%d calls were made", len(got))
	}
	if held := s.wire.ledger.held; held != 0 {
		t.Errorf("%d bytes are still on the books", held)
	}
}

// TestARoomThatNobodyFills costs nothing, and ends with the run.
func TestARoomThatNobodyFills(t *testing.T) {
	var before, after runtime.MemStats
	s := openFake(t, Options{Limits: Limits{Memory: -1}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		for i := range uint32(roomsAtOnce) {
			p.send(frame.Room, id, roomFor(i, maxRoom))
			_, f := receiveFile(p.t, p.conn)
			defer f.Close()
			if _, err := f.Write(make([]byte, 1000)); err != nil {
				p.t.Error(err)
			}
		}
		p.send(frame.Room, id, roomFor(100, maxRoom)) // is not even answered
		p.send(frame.Done, id, doneOK)
		<-p.closed
	}))
	files := openFiles(t)
	runtime.ReadMemStats(&before)
	if res := mustExec(t, s, "x"); res.StateLost {
		t.Fatal(res.Lost)
	}
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20 {
		t.Errorf("%d bytes were allocated for what did not come", made)
	}
	if held := s.wire.ledger.held; held != 0 {
		t.Errorf("%d bytes are still on the books", held)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d descriptors before, %d after", files, now)
	}
}

// TestAReplyThatNobodyReads: the host gives it up when the run ends.
func TestAReplyThatNobodyReads(t *testing.T) {
	get := strands.NewTool("get", "Gives.", func(context.Context, struct{}) (Bytes, error) { return make(Bytes, 10_000_000), nil })
	s := openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{get}}}}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		p.send(frame.Call, id, callWith(1, "{}"))
		reply, f := receiveFile(p.t, p.conn)
		defer f.Close()
		if reply[4] != replyValue|withSocket || !bytes.Equal(reply[5:], append(binary.LittleEndian.AppendUint64(nil, 10_000_000), `{"$bytes":[0,10000000]}`...)) {
			p.t.Errorf("reply %q", reply)
		}
		if _, err := f.Write([]byte("x")); err == nil {
			p.t.Error("the worker can send here")
		}
		p.send(frame.Done, id, doneOK)
		<-p.closed // with the descriptor
	}))
	files := openFiles(t)
	if res := mustExec(t, s, "x"); res.StateLost {
		t.Fatal(res.Lost)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d descriptors before, %d after", files, now)
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
		"a piece for a socket": {breach: func(p *fakePeer, id frame.RunID) {
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

// TestLedger: the big data of calls under way is at most what the session may
// have.
func TestLedger(t *testing.T) {
	l := &ledger{limit: 1 << 20}
	if err := l.take(600 << 10); err != nil {
		t.Fatal(err)
	}
	if err := l.take(600 << 10); err == nil || !strings.Contains(err.Error(), "limit of 1 MiB") {
		t.Fatalf("twice 600 KiB in 1 MiB: %v", err)
	}
	l.free(600 << 10)
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
