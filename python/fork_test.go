package python

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/sandbox"
)

func forkable(t *testing.T, o Options) *session {
	t.Helper()
	b := &Sandboxed{Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { b.Close() })
	o.Libraries = []string{"*"}
	s, err := b.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if is, _ := IsolationOf(s); is.Forks != "asked" {
		t.Skipf("sessions cannot be forked here: %s", is)
	}
	return s.(*session)
}

// native starts a thread as a library does, without Python knowing.
const native = `
import ctypes
libc = ctypes.CDLL(None)
def native(function):
    handle = ctypes.c_ulong()
    assert libc.pthread_create(ctypes.byref(handle), None, function, None) == 0
`

// TestForkWithThreadsOfLibraries: idle ones are no reason to refuse, and are
// named when it matters that they are gone.
func TestForkWithThreadsOfLibraries(t *testing.T) {
	s := forkable(t, Options{Undo: true})
	mustExec(t, s, native+"x = 1")
	mustExec(t, s, "native(libc.pause)")
	f, err := s.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if res := mustExec(t, f, "x"); res.Value != "1" {
		t.Errorf("%+v", res)
	}
	mustExec(t, s, "x = 2")
	u, err := s.Undo(t.Context())
	if err != nil || len(u.Threads) != 1 || !strings.Contains(u.String(), u.Threads[0]) {
		t.Errorf("%+v, %v; want the thread named", u, err)
	}
	if res := mustExec(t, s, "x"); res.Value != "1" {
		t.Errorf("%+v", res)
	}
}

// forkingProcess lets a test have the word while a fake worker is forked.
type forkingProcess struct {
	*fakeProcess
	fork func(ask func() error) (sandbox.Process, error)
}

func (p forkingProcess) Fork(_ context.Context, ask func() error) (sandbox.Process, error) {
	return p.fork(ask)
}

// TestForkIsNotStoppedInTheMiddle: the end of ctx costs neither a fork nor a
// snippet that can be undone the state.
func TestForkIsNotStoppedInTheMiddle(t *testing.T) {
	for name, act := range map[string]func(context.Context, *session){
		"fork": func(ctx context.Context, s *session) {
			if f, err := s.Fork(ctx); err == nil {
				_ = f.Close()
			}
		},
		"undo": func(ctx context.Context, s *session) {
			if _, _, err := execAll(ctx, s, "stopped"); !errors.Is(err, context.Canceled) {
				t.Errorf("a snippet whose ctx has ended: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			worker := respond(func(p *fakePeer, what frame.Type, id frame.RunID, body string) {
				switch {
				case what == frame.Fork:
					p.send(frame.Forked, id, `{"refused":null,"idle":[]}`)
				case body == "stopped":
					p.interrupted()
					fallthrough
				default:
					p.send(frame.Done, id, doneOK)
				}
			})
			s := openFake(t, Options{Undo: name == "undo"}, worker)
			start, calls := s.launch, 0
			s.launch = func(c context.Context, progress func(string)) (sandbox.Process, error) {
				p, err := start(c, progress)
				if err != nil {
					return nil, err
				}
				return forkingProcess{p.(*fakeProcess), func(ask func() error) (sandbox.Process, error) {
					if calls++; calls == 2 || name == "fork" {
						cancel()
					}
					if err := ask(); err != nil {
						return nil, err
					}
					copied, err := start(c, progress)
					if err == nil {
						copied.(*fakeProcess).peer.raw(frame.Ready, []byte(`{"version":1}`))
					}
					return copied, err
				}}, nil
			}
			mustExec(t, s, "x = 1")
			act(ctx, s)
			if res := mustExec(t, s, "x"); res.StateLost {
				t.Errorf("the state is lost: %s", res.Lost)
			}
		})
	}
}

// TestForkThatIsNotBegun: what fails before the worker is asked leaves it alone.
func TestForkThatIsNotBegun(t *testing.T) {
	s := openFake(t, Options{}, serve(func(p *fakePeer, id frame.RunID, code string) { p.send(frame.Done, id, doneOK) }))
	start := s.launch
	s.launch = func(c context.Context, progress func(string)) (sandbox.Process, error) {
		p, err := start(c, progress)
		return forkingProcess{p.(*fakeProcess), func(func() error) (sandbox.Process, error) {
			return nil, errors.New("too many open files")
		}}, err
	}
	mustExec(t, s, "x = 1")
	_, err := s.Fork(t.Context())
	if e, ok := errors.AsType[*ForkError](err); !ok || !strings.Contains(e.Reason, "too many open files") {
		t.Errorf("the error is %v, want a *ForkError with the reason", err)
	}
	if res := mustExec(t, s, "x"); res.StateLost {
		t.Errorf("the state is lost: %s", res.Lost)
	}
}

// TestForkWithBusyThreadsOfLibraries: what they are at would be half done in a
// copy.
func TestForkWithBusyThreadsOfLibraries(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the endless loop is of amd64")
	}
	s := forkable(t, Options{})
	mustExec(t, s, native+`
import mmap
loop = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
loop[0] = 0xc3  # ret
address = ctypes.addressof(ctypes.c_char.from_buffer(loop))
loop[1:3] = b"\xeb\xfe"  # jump to itself
native(ctypes.c_void_p(address + 1))`)
	_, err := s.Fork(t.Context())
	if e, ok := errors.AsType[*ForkError](err); !ok || len(e.Threads) != 1 || e.Never || !strings.Contains(e.Reason, "of libraries") {
		t.Fatalf("%v, want a *ForkError that names the thread", err)
	}
	mustExec(t, s, `loop[1:3] = b"\xc3\xc3"`)
}

// TestForkedSessionsAreVerified: the copy is reported as its origin is.
func TestForkedSessionsAreVerified(t *testing.T) {
	s := forkable(t, Options{})
	f, err := s.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	is, ok := IsolationOf(f)
	if was, _ := IsolationOf(s); !ok || is.String() != was.String() || is.Level != LevelNamespaces {
		t.Errorf("%s\nwant %s", is, was)
	}
}

// TestNewsOfAHostileWorker: names that lead out of the folder are believed as
// little here as elsewhere.
func TestNewsOfAHostileWorker(t *testing.T) {
	for _, body := range []string{`{"changed":["../x"]}`, `{"removed":["/etc/passwd"]}`, `{"changed":["a\u0000b"]}`, `[`, strings.Repeat("[", 100)} {
		s := openFake(t, Options{}, respond(func(p *fakePeer, _ frame.Type, id frame.RunID, _ string) {
			p.send(frame.Told, id, body)
		}))
		w, err := s.ready(t.Context(), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.news(t.Context(), new(Undone)); !frame.IsViolation(err) {
			t.Errorf("%.40s: %v, want a violation", body, err)
		}
	}
}

// TestRefusalsAreBounded: what it says of itself is bounded and on one
// line.
func TestRefusalsAreBounded(t *testing.T) {
	many := strings.Split(strings.Repeat("a\nb,", 100), ",")
	err := refusal(many, nil, "")
	e, _ := errors.AsType[*ForkError](err)
	if e == nil || len(e.Threads) != 20 || strings.Contains(e.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if err := refusal(nil, nil, strings.Repeat("x\n", 1<<20)); len(err.Error()) > 4<<10 || strings.Contains(err.Error(), "\n") {
		t.Errorf("%d bytes", len(err.Error()))
	}
}

// TestUndoAgainAndAgain: processes of states that were left do not use up the
// session's limit of processes, which is 64.
func TestUndoAgainAndAgain(t *testing.T) {
	s := forkable(t, Options{Undo: true})
	mustExec(t, s, "x = 1")
	for n := range 150 {
		mustExec(t, s, "x += 1")
		if _, err := s.Undo(t.Context()); err != nil {
			t.Fatalf("after %d: %v", n, err)
		}
	}
	if r := mustExec(t, s, "x"); r.Value != "1" {
		t.Errorf("x is %s", r.Value)
	}
}
