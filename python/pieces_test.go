package python

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/sandbox"
)

// plainConn is a connection over which no descriptor can be passed.
type plainConn struct{ sandbox.Process }

func (p plainConn) Conn() net.Conn { return struct{ net.Conn }{p.Process.Conn()} }

// takeBytes is a tool that keeps what it is given.
func takeBytes(got *[][]byte) strands.Tool {
	return strands.NewTool("take", "Takes.", func(_ context.Context, in struct {
		Data Bytes `json:"data"`
	}) (int, error) {
		*got = append(*got, in.Data)
		return len(in.Data), nil
	})
}

// TestBigDataInFrames: where there are no files in memory, big data crosses in
// frames, both ways.
func TestBigDataInFrames(t *testing.T) {
	var got [][]byte
	get := strands.NewTool("get", "Gives.", func(_ context.Context, in struct {
		N int `json:"n"`
	}) ([]Bytes, error) {
		return []Bytes{bytes.Repeat([]byte("a"), in.N), bytes.Repeat([]byte("b"), in.N)}, nil
	})
	e := &Exec{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	defer e.Close()
	opened, err := e.Open(t.Context(), Options{Namespaces: []Namespace{{Functions: []strands.Tool{get, takeBytes(&got)}}}})
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*session)
	launch := s.launch
	s.launch = func(ctx context.Context, progress func(string)) (sandbox.Process, error) {
		p, err := launch(ctx, progress)
		return plainConn{p}, err
	}
	if err := s.drop(s.wire); err != nil {
		t.Fatal(err)
	}
	res := mustExec(t, s, `
a, b = get(3_000_000)
assert a == b"a" * 3_000_000 and b == b"b" * 3_000_000
assert take(b"x" * 2_500_000) == 2_500_000
assert [len(v) for v in get(10)] == [10, 10]
x, y = await __import__("asyncio").gather(take.aio(b"y" * 100_000), get.aio(100_000))
assert x == 100_000 and len(y[1]) == 100_000`)
	if res.Err != nil {
		t.Fatalf("%v\n%s", res.Err, res.Err.Traceback)
	}
	if s.wire.w.PassesFiles() || len(got) != 2 || !bytes.Equal(got[0], bytes.Repeat([]byte("x"), 2_500_000)) {
		t.Errorf("%d calls came", len(got))
	}
	if s.wire.ledger.held != 0 {
		t.Errorf("%d bytes are still on the books", s.wire.ledger.held)
	}
}

// fickle is big data that has another of the sizes each time.
type fickle struct{ sizes chan int }

func (fickle) MIME() string { return bytesMIME }

func (f fickle) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(make([]byte, <-f.sizes))
	return int64(n), err
}

// TestDataOfAnotherSize is an exception, and nothing of it is taken for other
// data.
func TestDataOfAnotherSize(t *testing.T) {
	sizes := make(chan int, 10)
	for _, n := range []int{300_000, 300_001, 300_000, 299_999, 300_000, 0, 300_000, 300_000, 100, 101} {
		sizes <- n
	}
	get := strands.NewTool("get", "Gives.", func(context.Context, struct{}) (fickle, error) { return fickle{sizes}, nil })
	e := &Exec{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	defer e.Close()
	s, err := e.Open(t.Context(), Options{Namespaces: []Namespace{{Functions: []strands.Tool{get}}}})
	if err != nil {
		t.Fatal(err)
	}
	res := mustExec(t, s, `
said = []
for _ in range(5):
    try:
        said.append(get() == bytes(300_000))
    except (OSError, RuntimeError) as e:
        said.append(str(e))
print("\n".join(map(str, said)))`)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	const cut, size = "of 300000 bytes from the host ", "big data has not the size that it had before"
	lines := strings.Split(strings.TrimSpace(res.Stdout), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], cut) || !strings.HasPrefix(lines[1], cut) || !strings.HasPrefix(lines[2], cut) || lines[3] != "True" || lines[4] != size {
		t.Errorf("said %q", lines)
	}
}
