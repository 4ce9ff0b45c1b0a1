package python_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// everyLevel runs a test in each kind of session of this machine.
func everyLevel(t *testing.T, test func(t *testing.T, open func(python.Options) python.Session)) {
	for name, i := range map[string]python.Interpreter{
		"exec":       &python.Exec{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))},
		"filtered":   &python.Sandboxed{Logger: quiet(), Level: python.LevelFiltered},
		"namespaces": &python.Sandboxed{Logger: quiet(), Level: python.LevelNamespaces},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { i.Close() })
			test(t, func(o python.Options) python.Session {
				s, err := i.Open(t.Context(), o)
				if _, ok := errors.AsType[*python.IsolationError](err); ok {
					t.Skipf("this level is not to be had here: %v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

// attempt runs a snippet and returns its result, whatever that is.
func attempt(t *testing.T, s python.Session, code string) *python.Result {
	t.Helper()
	var res *python.Result
	for o, err := range s.Exec(t.Context(), code) {
		if err != nil {
			t.Fatal(err)
		}
		res = o.Result
	}
	return res
}

func succeed(t *testing.T, s python.Session, code string) *python.Result {
	t.Helper()
	res := attempt(t, s, code)
	if res.Err != nil {
		t.Fatalf("%v\n%s", res.Err, res.Err.Traceback)
	}
	return res
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

type blobs struct {
	Name  string       `json:"name"`
	Small python.Bytes `json:"small"`
	Large python.Bytes `json:"large"`
	Plain []byte       `json:"plain"`
}

// blobTools give and take bytes of every size.
func blobTools(got *[]blobs) []strands.Tool {
	var mu sync.Mutex
	return []strands.Tool{
		strands.NewTool("get", "Gives.", func(_ context.Context, in struct {
			Size int `json:"size"`
		}) (blobs, error) {
			return blobs{"b", pattern(10), pattern(in.Size), pattern(in.Size + 1)}, nil
		}),
		strands.NewTool("put", "Takes.", func(_ context.Context, in blobs) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			*got = append(*got, in)
			return len(in.Large), nil
		}),
		strands.NewTool("count", "Streams.", func(_ context.Context, in struct {
			N int `json:"n"`
		}) (iter.Seq[python.Bytes], error) {
			return func(yield func(python.Bytes) bool) {
				for i := range in.N {
					if !yield(pattern(100_000 + i)) {
						return
					}
				}
			}, nil
		}),
	}
}

func TestBytesCross(t *testing.T) {
	everyLevel(t, func(t *testing.T, open func(python.Options) python.Session) {
		var got []blobs
		s := open(python.Options{Libraries: []string{"inspect"}, Namespaces: []python.Namespace{{Functions: blobTools(&got)}}})
		succeed(t, s, `
def pattern(n): return (bytes(i * 7 % 256 for i in range(256)) * (n // 256 + 1))[:n]
for size in (0, 65535, 65536, 3_000_001):
    r = get(size)
    assert r.name == "b" and r.small == pattern(10) and type(r.large) is bytes
    assert r.large == pattern(size) and r["plain"] == pattern(size + 1), size
    assert put("x", r.small, r.large, plain=bytearray(r.plain)) == size
assert put("v", b"", memoryview(pattern(100_000))[::1], b"") == 100_000
assert [len(b) for b in count(3)] == [100_000, 100_001, 100_002]
for b in count(1000):
    break
`)
		for i, size := range []int{0, 65535, 65536, 3_000_001} {
			if g := got[i]; !bytes.Equal(g.Small, pattern(10)) || !bytes.Equal(g.Large, pattern(size)) || !bytes.Equal(g.Plain, pattern(size+1)) {
				t.Errorf("size %d: %d, %d and %d bytes came", size, len(g.Small), len(g.Large), len(g.Plain))
			}
		}
		res := succeed(t, s, "import inspect\nprint(inspect.signature(put))")
		if !strings.Contains(res.Stdout, "small: bytes, large: bytes, plain: bytes") {
			t.Errorf("the signature is %s", res.Stdout)
		}
	})
}

func TestBytesCrossAtOnce(t *testing.T) {
	everyLevel(t, func(t *testing.T, open func(python.Options) python.Session) {
		var got []blobs
		s := open(python.Options{Namespaces: []python.Namespace{{Functions: blobTools(&got)}}})
		succeed(t, s, `
import asyncio
from concurrent.futures import ThreadPoolExecutor
def one(i):
    assert len(get(100_000 + i).large) == 100_000 + i
    return put("t", b"", bytes(200_000 + i), b"")
with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(one, range(60))) == [200_000 + i for i in range(60)]
async def other(i):
    assert len((await get.aio(100_000 + i)).large) == 100_000 + i
    return await put.aio("a", b"", bytes(200_000 + i), b"")
assert await asyncio.gather(*map(other, range(60))) == [200_000 + i for i in range(60)]
`)
		for _, g := range got {
			if len(g.Large) < 200_000 || !bytes.Equal(g.Large, make([]byte, len(g.Large))) {
				t.Fatalf("%d bytes came, not all of them zero", len(g.Large))
			}
		}
		if len(got) != 120 {
			t.Errorf("%d calls came, want 120", len(got))
		}
	})
}

// TestASessionThatSendsDescriptors: whatever it is, it is not installed here and
// ends the session. That a process can send them at all shows in the exec
// backend.
func TestASessionThatSendsDescriptors(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("descriptors cannot be counted here")
	}
	const attack = `
import socket, os, array
channel = socket.socket(fileno=os.dup(%d))
fds = [os.open("/dev/null", os.O_RDONLY), os.open(".", os.O_RDONLY), *os.pipe()] * %d
frame = (8 + 1).to_bytes(4, "little") + b"o" + bytes(9)
print(channel.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]))`
	everyLevel(t, func(t *testing.T, open func(python.Options) python.Session) {
		s := open(python.Options{Libraries: []string{"*"}})
		for _, n := range []int{1, 60} {
			succeed(t, s, "x = 1")
			before := descriptors(t)
			res := attempt(t, s, fmt.Sprintf(attack, 3, n))
			if !res.StateLost || !strings.Contains(res.Lost, "descriptors") {
				t.Errorf("%d descriptors: lost %v %q, %v", 4*n, res.StateLost, res.Lost, res.Err)
			}
			succeed(t, s, "y = 1")
			if after := descriptors(t); after > before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		}
	})
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestAStreamThatNobodyReadsOn: its next item does not keep other calls from
// being answered, though it is more than a socket holds.
func TestAStreamThatNobodyReadsOn(t *testing.T) {
	items := strands.NewTool("items", "Streams.", func(context.Context, struct{}) (iter.Seq[python.Bytes], error) {
		return func(yield func(python.Bytes) bool) {
			for i := range 5 {
				if !yield(pattern(1_000_000 + i)) {
					return
				}
			}
		}, nil
	})
	everyLevel(t, func(t *testing.T, open func(python.Options) python.Session) {
		var got []blobs
		o := python.Options{Timeout: time.Minute, Namespaces: []python.Namespace{{Functions: append(blobTools(&got), items)}}}
		o.Limits.InFlight = 1
		s := open(o)
		succeed(t, s, `
def pattern(n): return (bytes(i * 7 % 256 for i in range(256)) * (n // 256 + 1))[:n]
stream = items()
assert next(stream) == pattern(1_000_000)
assert put("x", b"", pattern(100_000), b"") == 100_000
assert [item == pattern(1_000_001 + i) for i, item in enumerate(stream)] == [True] * 4
async def all():
    return [item == pattern(1_000_000 + i) async for i, item in aenumerate(items.aio())]
async def aenumerate(stream):
    n = 0
    async for item in stream:
        assert get(100_000).large == pattern(100_000)
        yield n, item
        n += 1
assert await all() == [True] * 5`)
	})
}

// TestBigDataWhileAPersonIsAsked: a snippet whose other threads send big data
// can be stopped, and goes on with all of it.
func TestBigDataWhileAPersonIsAsked(t *testing.T) {
	var got []blobs
	calls := 0
	tools := append(blobTools(&got), approve(t, &calls))
	a, _ := agentOf(t, python.ToolConfig{Options: python.Options{Namespaces: []python.Namespace{{Functions: tools}}}, KeepState: true}, code(`
import threading
begun = threading.Semaphore(0)
lengths = []
def send():
    for i in range(40):
        lengths.append(put("x", b"", bytes(2_000_000 + i), b""))
        begun.release()
threads = [threading.Thread(target=send) for _ in range(2)]
for t in threads: t.start()
for _ in range(3): begun.acquire()
answer = transfer(5)
for t in threads: t.join()
print(answer, len(lengths), sum(lengths))`), done)
	s := a.NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || res.StopReason != strands.StopInterrupt || len(res.Interrupts) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	if _, err = strands.Collect(s.Run(t.Context(), strands.Input{
		Responses: []strands.InterruptResponse{{ID: res.Interrupts[0].ID, Response: "yes"}},
	})); err != nil {
		t.Fatal(err)
	}
	if answers := answersOf(s); answers[0] != "STDOUT:\nmoved 80 160001560" || len(got) != 80 {
		t.Errorf("%q, %d calls", answers, len(got))
	}
}

// TestHoardedReplies: who does not take the big data of its replies, and keeps
// their descriptors, keeps what is in the sockets, and no more than the calls
// that may be in flight.
func TestHoardedReplies(t *testing.T) {
	everyLevel(t, func(t *testing.T, open func(python.Options) python.Session) {
		var got []blobs
		s := open(python.Options{Libraries: []string{"*"}, Namespaces: []python.Namespace{{Functions: blobTools(&got)}}})
		succeed(t, s, "x = 1")
		before := descriptors(t)
		res := succeed(t, s, `
import array, fcntl, os, select, socket, struct, sys, termios
frame, run = sys._getframe(), None
while run is None:
    frame = frame.f_back
    run = frame.f_locals.get("run")
channel = socket.socket(fileno=os.dup(3))
poll = select.poll()
poll.register(channel, select.POLLIN)
hoard = []
for number in range(1000, 1060):  # as the worker would, but keeping the descriptors
    body = run + struct.pack("<II", number, 0) + b'{"size":8000000}'
    channel.sendall(struct.pack("<IB", len(body), ord("k")) + body)
while len(hoard) < 16 or poll.poll(500):
    data, extra, _, _ = channel.recvmsg(65536, socket.CMSG_SPACE(4))
    hoard += [fd for _, _, b in extra for fd in array.array("i", b)]
waiting = sum(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0] for fd in hoard)
print(len(hoard), waiting)`)
		var kept, waiting int
		if _, err := fmt.Sscan(res.Stdout, &kept, &waiting); err != nil {
			t.Fatalf("printed %q, %v", res.Stdout, err)
		}
		if kept != 16 || waiting > kept<<20 {
			t.Errorf("%d replies of 16 MB are kept, %d bytes of them in the kernel", kept, waiting)
		}
		succeed(t, s, "for fd in hoard: os.close(fd)\nassert len(get(8_000_000).large) == 8_000_000")
		if after := descriptors(t); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

type color string

type point struct {
	X, Y float64
}

type order struct {
	ID     int64     `json:"id"`
	Color  color     `json:"color" enum:"red,green"`
	At     time.Time `json:"at"`
	Price  Decimal   `json:"price"`
	Raw    []byte    `json:"raw"`
	Where  point     `json:"where"`
	Path   []point   `json:"path"`
	Labels map[string]color
	Next   *order   `json:"next"`
	Maybe  *float64 `json:"maybe"`
}

// Decimal stands for the types of libraries.
type Decimal string

func (d Decimal) String() string               { return string(d) }
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d), nil }
func (d *Decimal) UnmarshalText(b []byte) error {
	*d = Decimal(b)
	return nil
}

// TestTypedValues: what Go returns has its types in Python, and what Python
// passes back is the same in Go.
func TestTypedValues(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	one := order{
		ID: 1<<53 + 1, Color: "green", At: time.Date(2026, 7, 1, 12, 0, 0, 123456000, zone), Price: "1.10", Raw: []byte{0, 255},
		Where: point{1, 2.5}, Path: []point{{0, 1}, {2, 3}}, Labels: map[string]color{"a": "red"},
		Next: &order{Color: "red", Price: "-0.5", Raw: []byte{}, Path: []point{}, Labels: map[string]color{}},
	}
	var got order
	s := openQuiet(t, strands.NewTool("get", "Gives.", func(context.Context, struct{}) (order, error) { return one, nil }),
		strands.NewTool("put", "Takes.", func(_ context.Context, in struct {
			Order order  `json:"order"`
			Color color  `json:"color,omitempty" enum:"red,green"`
			Day   string `json:"day,omitempty"`
		}) (string, error) {
			got = in.Order
			return string(in.Color), nil
		}))
	succeed(t, s, `
import datetime, decimal, enum
o = get()
assert o.id == 2**53 + 1 and o.color == "green" and o.price == decimal.Decimal("1.10") and str(o.price) == "1.10"
assert o.at == datetime.datetime(2026, 7, 1, 12, 0, 0, 123456, datetime.timezone(datetime.timedelta(hours=2))), o.at
assert o.at.utcoffset() == datetime.timedelta(hours=2) and o.raw == b"\0\xff"
assert o.where.X == 1.0 and type(o.where.X) is float and o["path"][1].Y == 3.0 and o.next.price == decimal.Decimal("-0.5")
assert o.Labels.a == "red" and o.maybe is None and o == get() and "green" in repr(o)
class Color(enum.Enum):
    RED = "red"
o.color = Color.RED
assert put(o, Color.RED) == "red" and put(o) == ""`)
	one.Color = "red"
	if !got.At.Equal(one.At) {
		t.Errorf("the time came back as %v", got.At)
	}
	got.At = one.At
	got.Next.At = one.Next.At
	if !reflect.DeepEqual(got, one) {
		t.Errorf("came back as\n%+v, %+v\nwant\n%+v, %+v", got, got.Next, one, one.Next)
	}
	res := attempt(t, s, `put(o, "blue")`)
	if res.Err == nil || !strings.Contains(res.Err.Message, "blue") && !strings.Contains(res.Err.Message, "red") {
		t.Errorf("a color that is none: %v", res.Err)
	}
	res = succeed(t, s, "help(put); help(get)")
	for _, want := range []string{"color: Literal['red', 'green']", "price: Decimal", "at: datetime", "raw: bytes"} {
		if !strings.Contains(res.Stdout, want) {
			t.Errorf("the help says nothing of %q:\n%s", want, res.Stdout)
		}
	}
}

func openQuiet(t *testing.T, tools ...strands.Tool) python.Session {
	t.Helper()
	i := &python.Exec{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	s, err := i.Open(t.Context(), python.Options{Namespaces: []python.Namespace{{Functions: tools}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBudgetCountsBigCalls: a room is no way around the budget of calls, and
// the text says which calls were made.
func TestBudgetCountsBigCalls(t *testing.T) {
	var got []blobs
	i := &python.Exec{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	s, err := i.Open(t.Context(), python.Options{Limits: python.Limits{HostCalls: 3}, Namespaces: []python.Namespace{{Functions: blobTools(&got)}}})
	if err != nil {
		t.Fatal(err)
	}
	res := attempt(t, s, "get(1)\nfor _ in range(5): put('x', b'', bytes(100_000), b'')")
	if res.Err == nil || res.StateLost || !strings.Contains(res.Err.Message, "get 1, put 2") || len(got) != 2 {
		t.Errorf("%v after %d calls", res.Err, len(got))
	}
}
