package python

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/sandbox"
)

// fakeProcess is a worker written in Go, for what no honest worker does.
type fakeProcess struct {
	conn    net.Conn
	output  *os.File
	outputW *os.File
	peer    *fakePeer
	once    sync.Once
	gone    chan struct{}
	exit    sandbox.Exit
	cpu     func() time.Duration
	pid     func() int
}

// fakePeer is the worker's side of the channel.
type fakePeer struct {
	t          *testing.T
	conn       net.Conn
	output     *os.File
	interrupts chan struct{}
	closed     chan struct{}
}

// interrupted waits for an interrupt, or the end.
func (p *fakePeer) interrupted() {
	select {
	case <-p.interrupts:
	case <-p.closed:
	}
}

func (p *fakeProcess) Conn() net.Conn         { return p.conn }
func (p *fakeProcess) Output() *os.File       { return p.output }
func (p *fakeProcess) Dir() string            { return "" }
func (p *fakeProcess) Report() sandbox.Report { return sandbox.Unconfined() }
func (p *fakeProcess) Interrupt() error {
	p.peer.interrupts <- struct{}{}
	return nil
}
func (p *fakeProcess) Pid() int {
	if p.pid != nil {
		return p.pid()
	}
	return -1
}
func (p *fakeProcess) CPU() (time.Duration, error) {
	if p.cpu != nil {
		return p.cpu(), nil
	}
	return 0, nil
}
func (p *fakeProcess) Close() error {
	p.once.Do(func() {
		p.conn.Close()
		p.peer.conn.Close()
		close(p.peer.closed)
		<-p.gone
		p.outputW.Close()
		p.output.Close()
	})
	return nil
}
func (p *fakeProcess) Wait(ctx context.Context) (sandbox.Exit, error) {
	select {
	case <-p.gone:
		return p.exit, nil
	case <-ctx.Done():
		return sandbox.Exit{}, ctx.Err()
	}
}

// read returns the next frame of the host.
func (p *fakePeer) read() (frame.Type, frame.RunID, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return 0, frame.RunID{}, nil, err
	}
	body := make([]byte, binary.LittleEndian.Uint32(head[:]))
	if _, err := io.ReadFull(p.conn, body); err != nil {
		return 0, frame.RunID{}, nil, err
	}
	t := frame.Type(head[4])
	if t == frame.Configure {
		return t, frame.RunID{}, body, nil
	}
	return t, frame.RunID(body), body[8:], nil
}

// send writes a frame of a run.
func (p *fakePeer) send(t frame.Type, id frame.RunID, body string) {
	p.raw(t, append(id[:], body...))
}

func (p *fakePeer) raw(t frame.Type, body []byte) {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	_, _ = p.conn.Write(append(append(b, byte(t)), body...)) // the host may have closed
}

const doneOK = `{"error":null,"interrupted":false,"stdout_cut":0,"stderr_cut":0,"full_output":"","warnings":[]}`

// respond gets ready and gives do every request, until the host closes.
func respond(do func(p *fakePeer, what frame.Type, id frame.RunID, body string)) func(*fakePeer) {
	return func(p *fakePeer) {
		for {
			t, id, body, err := p.read()
			switch {
			case err != nil:
				return
			case t == frame.Configure:
				p.raw(frame.Ready, []byte(`{"version":1,"pid":1,"python":"3.14.6"}`))
			default:
				do(p, t, id, string(body))
			}
		}
	}
}

// serve answers each snippet by calling run with it.
func serve(run func(p *fakePeer, id frame.RunID, code string)) func(*fakePeer) {
	return respond(func(p *fakePeer, what frame.Type, id frame.RunID, body string) {
		if what == frame.Exec {
			run(p, id, body)
		}
	})
}

// openFake opens a session whose workers are made by worker.
func openFake(t *testing.T, o Options, worker func(*fakePeer), tune ...func(*fakeProcess)) *session {
	t.Helper()
	s, err := newSession(o, false)
	if err != nil {
		t.Fatal(err)
	}
	s.timings = timings{again: 20 * time.Millisecond, kill: 40 * time.Millisecond, watch: 10 * time.Millisecond, looks: 10}
	s.launch = func(context.Context, func(string)) (sandbox.Process, error) {
		host, theirs := unixPair(t)
		out, in, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		peer := &fakePeer{t: t, conn: theirs, output: in, interrupts: make(chan struct{}, 10), closed: make(chan struct{})}
		p := &fakeProcess{conn: host, output: out, outputW: in, peer: peer, gone: make(chan struct{})}
		for _, f := range tune {
			f(p)
		}
		go func() {
			defer close(p.gone)
			defer theirs.Close()
			worker(peer)
		}()
		return p, nil
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func unixPair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pair")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// exec collects a snippet's outputs.
func execAll(ctx context.Context, s Session, code string) (outs []Output, res *Result, err error) {
	for o, e := range s.Exec(ctx, code) {
		switch {
		case e != nil:
			err = e
		case o.Result != nil:
			res = o.Result
		default:
			outs = append(outs, o)
		}
	}
	return outs, res, err
}

func mustExec(t *testing.T, s Session, code string) *Result {
	t.Helper()
	_, res, err := execAll(t.Context(), s, code)
	if err != nil {
		t.Fatalf("Exec(%q): %v", code, err)
	}
	return res
}
