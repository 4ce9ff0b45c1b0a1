package python

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

// wireFrame is a frame as it lies on the socket.
func wireFrame(t frame.Type, id frame.RunID, body string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(id)+len(body)))
	return append(append(append(b, byte(t)), id[:]...), body...)
}

// mark stands in recorded bytes for the id of the run they are sent in, older
// for that of the run before.
var mark, older = frame.RunID{'r', 'u', 'n', '-', 'm', 'a', 'r', 'k'}, frame.RunID{'o', 'l', 'd', '-', 'm', 'a', 'r', 'k'}

// hostileWorker answers honestly with the code itself, and "attack" with the
// given bytes. What follows the attack on the same socket it does not answer.
func hostileWorker(attack []byte) func(*fakePeer) {
	var before frame.RunID
	return serve(func(p *fakePeer, id frame.RunID, code string) {
		if code != "attack" {
			before = id
			p.send(frame.Value, id, code)
			p.send(frame.Done, id, doneOK)
			return
		}
		data := bytes.ReplaceAll(attack, mark[:], id[:])
		p.conn.Write(bytes.ReplaceAll(data, older[:], before[:]))
		// An interrupt must find it as deaf as it likes.
		_, _ = io.Copy(io.Discard, p.conn)
	})
}

// judge runs the attack between honest snippets: each of those gets its own
// answer, or the word that the state is lost.
func judge(t *testing.T, attack []byte) {
	t.Helper()
	honest := func(s *session, code string) {
		t.Helper()
		_, res, err := execAll(t.Context(), s, code)
		// A machine that stands still takes a snippet's few milliseconds.
		for n := 0; n < 100 && err == nil && res.Err != nil && res.Err.Type == "TimeoutError" && !res.StateLost; n++ {
			_, res, err = execAll(t.Context(), s, code)
		}
		switch {
		case err != nil:
			t.Fatalf("%q: %v", code, err)
		case res.Value == code && res.Err == nil && res.Stdout == "":
		case res.StateLost && res.Value == "":
		default:
			t.Fatalf("%q was answered with %+v", code, res)
		}
	}
	o := Options{Timeout: timeoutOfAttack}
	neighbour, s := openFake(t, Options{}, hostileWorker(nil)), openFake(t, o, hostileWorker(attack))
	honest(neighbour, "neighbour")
	honest(s, "first")
	if _, _, err := execAll(t.Context(), s, "attack"); err != nil {
		t.Fatalf("the attack: %v", err)
	}
	honest(s, "second")
	honest(s, "third")
	_, res, err := execAll(t.Context(), neighbour, "again")
	if err != nil || res.Value != "again" || res.StateLost {
		t.Fatalf("the neighbour: %+v, %v", res, err)
	}
}

const timeoutOfAttack = 30_000_000 // 30 ms

// recordings are what a hostile worker may say: forged, replayed, oversized and
// cut frames, in any order.
func recordings() map[string][]byte {
	done, value := wireFrame(frame.Done, mark, doneOK), wireFrame(frame.Value, mark, "forged")
	oldDone, oldValue := wireFrame(frame.Done, older, doneOK), wireFrame(frame.Value, older, "replayed")
	huge := binary.LittleEndian.AppendUint32(nil, 1<<31)
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	return map[string][]byte{
		"nothing":                            nil,
		"its own forged result":              join(value, done),
		"done twice":                         join(done, done),
		"a result for the run to come":       join(done, value, done),
		"a replayed result":                  join(oldValue, oldDone),
		"a replayed result after its own":    join(done, oldValue, oldDone),
		"own and replayed frames, mixed":     join(value, oldValue, done, oldDone),
		"the head of a frame after the last": join(done, value[:5]),
		"half a frame after the last":        join(done, value[:len(value)-3]),
		"a frame in another":                 join(huge[:4], []byte{'o'}, done),
		"a length that swallows the next":    join([]byte{200, 0, 0, 0, 'v'}, mark[:], done, value),
		"a length too short":                 join([]byte{3, 0, 0, 0, 'v'}, value, done),
		"empty bodies":                       bytes.Repeat([]byte{0, 0, 0, 0, 'd'}, 50),
		"zeros":                              make([]byte, 5000),
		"ready, again":                       join([]byte{2, 0, 0, 0, 'H'}, []byte("{}"), done),
		"much text":                          join(bytes.Repeat(wireFrame(frame.Stdout, mark, strings.Repeat("x", 60000)), 40), done),
		"text of two runs, in turn":          join(wireFrame(frame.Stdout, mark, "a"), wireFrame(frame.Stdout, older, "b"), done),
	}
}

func TestHostileFramesReachNoOtherRun(t *testing.T) {
	for name, attack := range recordings() {
		t.Run(name, func(t *testing.T) { judge(t, attack) })
	}
}

// TestPartOfAFrameBetweenRequests: a request does not wait for the rest, which
// no limit of time would end.
func TestPartOfAFrameBetweenRequests(t *testing.T) {
	requests := map[string]func(s *session) string{
		"exec": func(s *session) string {
			_, res, err := execAll(t.Context(), s, "next")
			if err != nil {
				return err.Error()
			}
			return res.Lost
		},
		"fork": func(s *session) string {
			_, err := s.wire.askFork(t.Context())
			return fmt.Sprint(err)
		},
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			attack := append(wireFrame(frame.Done, mark, doneOK), 1, 2, 3)
			s := openFake(t, Options{Timeout: -1}, hostileWorker(attack))
			mustExec(t, s, "attack")
			said := make(chan string, 1)
			go func() { said <- request(s) }()
			select {
			case got := <-said:
				if !strings.Contains(got, "a frame between two requests") {
					t.Errorf("it said %q", got)
				}
			case <-time.After(time.Minute):
				s.wire.proc.Close()
				t.Errorf("it waited for the rest; then it said %q", <-said)
			}
		})
	}
}

// TestBreakAfterAStop: a consumer that leaves hears no more, also when the
// snippet was stopped for another reason a moment before.
func TestBreakAfterAStop(t *testing.T) {
	for _, why := range []error{errTimeout, context.Canceled} {
		s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, code string) {
			if code == "shows" {
				p.send(frame.Stdout, id, "a")
				p.interrupted()
			}
			p.send(frame.Value, id, "1")
			p.send(frame.Done, id, doneOK)
		}))
		for range s.Exec(t.Context(), "shows") {
			s.run.interrupt(why)
			break
		}
		if res := mustExec(t, s, "next"); res.Value != "1" || res.StateLost {
			t.Errorf("after %v: %+v", why, res)
		}
	}
}

// deadlined notes the deadlines that are set.
type deadlined struct {
	*net.UnixConn
	set *[]time.Time
}

func (d deadlined) SetReadDeadline(t time.Time) error {
	*d.set = append(*d.set, t)
	return d.UnixConn.SetReadDeadline(t)
}

// TestAFileInCrumbs: who sends a file byte by byte has no more time for it.
func TestAFileInCrumbs(t *testing.T) {
	var set []time.Time
	s := openFake(t, Options{}, respond(func(p *fakePeer, what frame.Type, id frame.RunID, _ string) {
		if what != frame.Get {
			return
		}
		for range 10 {
			p.send(frame.Data, id, "x")
		}
		p.send(frame.Data, id, "")
	}), func(p *fakeProcess) { p.conn = deadlined{p.conn.(*net.UnixConn), &set} })
	r, err := s.ReadFile(t.Context(), "crumbs.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	set = slices.DeleteFunc(set, time.Time.IsZero)[1:] // without that of the request
	if len(set) != 11 || !set[10].Equal(set[0]) {
		t.Errorf("the deadlines of %d frames are %v", len(set), set)
	}
}

// whileReading calls do at the second look at it.
type whileReading struct {
	looks int
	do    func()
}

func (r *whileReading) Read(b []byte) (int, error) {
	if r.looks++; r.looks == 2 {
		r.do()
	}
	return len(b), nil
}

// TestTheEndOfCtxInAFile: a request for a file that is stopped does not cost
// the state.
func TestTheEndOfCtxInAFile(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *session, func()) error{
		"write": func(ctx context.Context, s *session, cancel func()) error {
			return s.WriteFile(ctx, "endless", &whileReading{do: cancel})
		},
		"read": func(ctx context.Context, s *session, _ func()) error {
			_, err := s.ReadFile(ctx, "long")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := openFake(t, Options{}, respond(func(p *fakePeer, what frame.Type, id frame.RunID, _ string) {
				switch what {
				case frame.Exec:
					p.send(frame.Done, id, doneOK)
				case frame.Put:
					p.send(frame.Stored, id, "")
				case frame.Get:
					p.send(frame.Data, id, "begin")
					cancel()
					p.send(frame.Data, id, "end")
					p.send(frame.Data, id, "")
				}
			}))
			mustExec(t, s, "x = 1")
			if err := ask(ctx, s, cancel); !errors.Is(err, context.Canceled) {
				t.Errorf("the request ended with %v", err)
			}
			if res := mustExec(t, s, "x"); res.StateLost {
				t.Errorf("the state is lost: %s", res.Lost)
			}
		})
	}
}

// TestAForgedNameOfTheFullOutput: a program may put it behind a folder of its
// own.
func TestAForgedNameOfTheFullOutput(t *testing.T) {
	s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, _ string) {
		p.send(frame.Done, id, strings.Replace(doneOK, `"full_output":""`, `"full_output":"../../etc/passwd"`, 1))
	}))
	if res := mustExec(t, s, "any"); res.FullOutput != "" || !res.StateLost {
		t.Errorf("%+v", res)
	}
}

// TestASnippetThatIsNotTakenLocksNothing: the session can be closed meanwhile.
func TestASnippetThatIsNotTakenLocksNothing(t *testing.T) {
	begun := make(chan struct{})
	s := openFake(t, Options{}, func(p *fakePeer) {
		if _, _, _, err := p.read(); err != nil { // the configuration
			return
		}
		p.raw(frame.Ready, []byte(`{"version":1}`))
		var head [5]byte
		_, _ = io.ReadFull(p.conn, head[:])
		close(begun)
		<-p.closed
	})
	failed := make(chan error)
	go func() {
		_, _, err := execAll(t.Context(), s, strings.Repeat("#", maxSource))
		failed <- err
	}()
	<-begun
	if !s.mu.TryLock() {
		t.Fatal("the session is locked while the worker takes a snippet")
	}
	s.mu.Unlock()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, strands.ErrClosed) {
		t.Errorf("the snippet ended with %v", err)
	}
}

// TestHostileFramesCutAnywhere cuts and shuffles the recordings.
func TestHostileFramesCutAnywhere(t *testing.T) {
	all := recordings()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		var attack []byte
		for range 1 + r.IntN(3) {
			piece := all[names[r.IntN(len(names))]]
			from := r.IntN(len(piece) + 1)
			attack = append(attack, piece[from:from+r.IntN(len(piece)-from+1)]...)
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) { judge(t, attack) })
	}
}

func FuzzHostileFrames(f *testing.F) {
	for _, attack := range recordings() {
		f.Add(attack)
	}
	f.Fuzz(func(t *testing.T, attack []byte) {
		if len(attack) > 1<<20 {
			t.Skip("longer than what is of interest")
		}
		judge(t, attack)
	})
}
