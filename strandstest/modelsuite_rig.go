package strandstest

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	strands "github.com/strandsgo/strands"
)

// rigIdle is the idle timeout of the models under test, in a bubble's time.
const rigIdle = 90 * time.Second

// rig is a server in memory, a client that reaches it, and the model.
type rig struct {
	t      *testing.T
	suite  *ModelSuite
	model  strands.Model
	server http.Server
	client *http.Client
	net    memory

	mu       sync.Mutex
	script   script
	requests []recorded
	handlers sync.WaitGroup
}

// recorded is a request that arrived.
type recorded struct {
	Method, Path string
	Body         []byte
}

// script says how the server plays an answer.
type script struct {
	wire   Wire
	frames int  // how many frames are sent; -1 = all
	tail   int  // and how many bytes of the next
	bytes  bool // each byte by itself
	after  ending
}

type ending int

const (
	endCleanly ending = iota
	hangUp            // break the connection
	fallSilent        // and keep it open
)

func whole(w Wire) script { return script{wire: w, frames: -1} }

func newRig(t *testing.T, s *ModelSuite) *rig {
	r := &rig{t: t, suite: s, net: memory{conns: make(chan net.Conn), closed: make(chan struct{})}}
	r.server.Handler = http.HandlerFunc(r.serve)
	go r.server.Serve(&r.net)
	// Without keep-alive nothing may be left when a call is over.
	r.client = &http.Client{Transport: &http.Transport{DialContext: r.net.dial, DisableKeepAlives: true}}
	r.model = s.New(t, Endpoint{URL: "http://model.test", Client: r.client, IdleTimeout: rigIdle})
	return r
}

func (r *rig) close() {
	r.client.CloseIdleConnections()
	r.server.Close()
	r.handlers.Wait()
}

// play sets what the next requests are answered with.
func (r *rig) play(s script) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = s
	r.requests = nil
}

// arrived returns the requests since the last play.
func (r *rig) arrived() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	r.handlers.Add(1)
	defer r.handlers.Done()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if r.suite.Check != nil {
		r.suite.Check(r.t, req, body)
	}
	r.mu.Lock()
	s := r.script
	r.requests = append(r.requests, recorded{req.Method, req.URL.RequestURI(), body})
	r.mu.Unlock()
	s.write(w, req.Context())
}

func (s script) write(w http.ResponseWriter, ctx context.Context) {
	if s.after == fallSilent && s.frames == 0 && s.tail == 0 {
		<-ctx.Done() // not even a header
		return
	}
	for k, vs := range s.wire.Header {
		w.Header()[k] = vs
	}
	if s.wire.Status != 0 {
		w.WriteHeader(s.wire.Status)
	}
	frames := s.wire.Frames
	if s.frames >= 0 {
		frames = frames[:s.frames]
		if s.tail > 0 {
			frames = append(slices.Clone(frames), s.wire.Frames[s.frames][:s.tail])
		}
	}
	flush := http.NewResponseController(w)
	for _, f := range frames {
		step := len(f)
		if s.bytes {
			step = 1
		}
		for i := 0; i < len(f); i += step {
			if _, err := w.Write(f[i:min(i+step, len(f))]); err != nil {
				return
			}
			if flush.Flush() != nil {
				return
			}
		}
	}
	switch s.after {
	case hangUp:
		panic(http.ErrAbortHandler)
	case fallSilent:
		<-ctx.Done()
	}
}

// leftovers are the stacks of goroutines that run now beside the rig's own.
func (r *rig) leftovers() []string {
	synctest.Wait()
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	stacks := strings.Split(string(buf), "\n\n")
	bubble := bubbleOf(stacks[0])
	var left []string
	for _, stack := range stacks[1:] {
		own := strings.Contains(stack, "net/http.(*Server)") || strings.Contains(stack, "net/http.(*conn)") ||
			strings.Contains(stack, "net/http.(*connReader)") || strings.Contains(stack, "testing/synctest.")
		if bubbleOf(stack) == bubble && !own {
			left = append(left, stack)
		}
	}
	return left
}

// bubbleOf reads the bubble from the head of a goroutine's stack.
func bubbleOf(stack string) string {
	head, _, _ := strings.Cut(stack, "\n")
	_, bubble, _ := strings.Cut(head, "synctest bubble ")
	return bubble
}

// memory is a network of one listener.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr implements net.Listener.
func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
