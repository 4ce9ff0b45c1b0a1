package python

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/sandbox"
)

const (
	turnInline  = 24 << 10               // bytes in the code of a turn; more go through a file
	turnMost    = 16 << 20               // of a turn
	turnWait    = 500 * time.Millisecond // that the kernel waits for the worker: an interrupt waits as long
	turnGrace   = 60 * time.Second       // beyond that, until the kernel is taken for dead
	lookFirst   = 10 * time.Millisecond  // between two looks at a worker that waits for Go
	lookLast    = 250 * time.Millisecond
	unreadMost  = 32 << 20
	cpuPatience = 10 * time.Second
)

// tunnel is a worker in a remote session. One goroutine takes turns: it hands
// over what the host has written, and what the worker said comes back.
type tunnel struct {
	carrier Carrier
	token   string
	work    string
	conn    *memConn
	output  *os.File
	stray   *os.File // the other end of output
	cancel  context.CancelFunc
	done    chan struct{} // closed when the goroutine has ended
	once    sync.Once
	closing error

	mu         sync.Mutex
	interrupts int
	cpu        time.Duration
	peak       int64           // bytes of memory
	ready      bool            // a thread of the worker ran, or wanted to, at the last look
	cpuAsked   []chan struct{} // closed at the end of the next turn
	exit       *sandbox.Exit
	lost       error // why the tunnel broke
	unbegun    bool  // the last request has done nothing
	traffic    traffic
	files      int
}

// answer is what a turn prints.
type answer struct {
	Data  []byte  `json:"data"`
	File  string  `json:"file"`
	Stray []byte  `json:"stray"`
	CPU   float64 `json:"cpu"`
	Peak  int64   `json:"peak"`
	Ready bool    `json:"ready"`
	Exit  []any   `json:"exit"`
}

func startTunnel(c Carrier, token, work string, output, stray *os.File) *tunnel {
	t := &tunnel{
		carrier: c, token: token, work: work, conn: newMemConn(), output: output, stray: stray, done: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	go func() {
		defer close(t.done)
		t.loop(ctx)
		t.conn.end(io.EOF)
		_ = t.stray.Close()
	}()
	return t
}

// loop takes turns until the worker has ended or cannot be reached.
func (t *tunnel) loop(ctx context.Context) {
	expires, what := t.carrier.Expires()
	var over <-chan time.Time
	if !expires.IsZero() {
		timer := time.NewTimer(time.Until(expires))
		defer timer.Stop()
		over = timer.C
	}
	look := lookFirst
	for {
		wait, now := t.next(look)
		if !now {
			pause := time.NewTimer(wait)
			if wait < 0 {
				pause.Stop()
			}
			select {
			case <-t.conn.wake:
				pause.Stop()
				continue
			case <-pause.C:
				if wait, now = t.next(0); !now {
					continue
				}
				look = min(2*look, lookLast)
			case <-over:
				t.fail(errors.New(what))
				return
			case <-ctx.Done():
				return
			}
		} else {
			look = lookFirst
		}
		if !t.turn(ctx, wait) {
			return
		}
	}
}

// next says whether it is time for a turn, and how long the worker may be
// waited for in it; or else how long to wait for something to do, negative
// without end. look is the pause between two looks at a worker that waits for
// Go functions; 0 = it is over.
func (t *tunnel) next(look time.Duration) (wait time.Duration, now bool) {
	unread, unsent := t.conn.level()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.interrupts > 0 || len(t.cpuAsked) > 0:
		return 0, true
	case unread > unreadMost:
		return -1, false
	case t.traffic.calls > 0 && unsent > 0:
		return 0, true
	case unsent > 0:
		return turnWait, true
	case !t.traffic.busy:
		return -1, false
	case t.traffic.calls > 0 && look > 0:
		return look, false
	case t.traffic.calls > 0:
		return 0, true
	}
	return turnWait, true
}

// turn takes one. It is false when it was the last.
func (t *tunnel) turn(ctx context.Context, wait time.Duration) bool {
	data := t.conn.take(turnMost)
	t.mu.Lock()
	interrupt := t.interrupts > 0
	if interrupt {
		t.interrupts--
	}
	asked := t.cpuAsked
	t.cpuAsked = nil
	idle := !t.traffic.busy
	t.traffic.sent(data)
	if t.traffic.calls == 0 && t.traffic.busy && len(data) > 0 {
		wait = turnWait
	}
	t.mu.Unlock()
	defer func() {
		for _, c := range asked {
			close(c)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, wait+turnGrace)
	defer cancel()
	a, err := t.exchange(ctx, data, wait, interrupt, len(asked) > 0)
	if err != nil {
		t.mu.Lock()
		t.unbegun = idle && errors.Is(err, ErrSessionGone)
		t.mu.Unlock()
		t.fail(err)
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cpu, t.ready, t.peak = time.Duration(a.CPU*float64(time.Second)), a.Ready, max(t.peak, a.Peak)
	t.traffic.came(a.Data)
	if len(a.Stray) > 0 {
		_, _ = t.stray.Write(a.Stray) // a session that is closed does not care
	}
	if len(a.Data) > 0 {
		t.conn.give(a.Data)
	}
	if len(a.Exit) == 2 {
		code, _ := a.Exit[0].(float64)
		signal, _ := a.Exit[1].(string)
		t.exit = &sandbox.Exit{Code: int(code), Signal: signal, CPU: t.cpu}
		return false
	}
	return true
}

// exchange is one trip there and back, or more when much is carried.
func (t *tunnel) exchange(ctx context.Context, data []byte, wait time.Duration, interrupt, look bool) (answer, error) {
	var a answer
	args := fmt.Sprintf("wait=%.3f", wait.Seconds())
	if interrupt {
		args += ", interrupt=True"
	}
	if look {
		args += ", look=True"
	}
	switch text := base64.StdEncoding.EncodeToString(data); {
	case len(data) > turnInline:
		t.files++
		name := fmt.Sprintf(".strands-%s-in-%d", t.token, t.files)
		if err := t.carrier.Put(ctx, name, text); err != nil {
			return a, err
		}
		args += ", file='" + name + "'"
	case len(data) > 0:
		args += ", data='" + text + "'"
	}
	text, err := t.carrier.Run(ctx, "_strands_"+t.token+"['turn']("+args+")")
	if err != nil {
		return a, err
	}
	rest, err := parseAnswer(text, t.token, &a)
	if err != nil {
		return a, err
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		a.Stray = append(a.Stray, rest+"\n"...)
	}
	if a.File != "" {
		text, err := t.carrier.Get(ctx, a.File)
		if err != nil {
			return a, err
		}
		if a.Data, err = base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err != nil {
			return a, fmt.Errorf("a file of the tunnel came changed: %w", err)
		}
	}
	return a, nil
}

func (t *tunnel) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		t.lost = err
	}
}

// why says how the tunnel broke, and whether what was asked last has done
// nothing; "" = it did not.
func (t *tunnel) why() (words string, unbegun bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		return "", false
	}
	return clip(t.lost.Error(), maxParamDoc), t.unbegun
}

func (t *tunnel) Conn() net.Conn         { return t.conn }
func (t *tunnel) Output() *os.File       { return t.output }
func (t *tunnel) Pid() int               { return 0 }
func (t *tunnel) Dir() string            { return "" }
func (t *tunnel) Report() sandbox.Report { return sandbox.Report{Level: LevelRemote} }

// Interrupt implements sandbox.Process: SIGINT goes with the next turn.
func (t *tunnel) Interrupt() error {
	t.mu.Lock()
	t.interrupts++
	t.mu.Unlock()
	t.conn.nudge()
	return nil
}

// CPU implements sandbox.Process.
func (t *tunnel) CPU() (time.Duration, error) {
	cpu, _, err := t.look()
	return cpu, err
}

// look asks for the processor time, and whether a thread wants more of it.
func (t *tunnel) look() (cpu time.Duration, ready bool, err error) {
	came := make(chan struct{})
	t.mu.Lock()
	t.cpuAsked = append(t.cpuAsked, came)
	t.mu.Unlock()
	t.conn.nudge()
	timer := time.NewTimer(cpuPatience)
	defer timer.Stop()
	select {
	case <-came:
	case <-t.done:
		return 0, false, os.ErrProcessDone
	case <-timer.C:
		return 0, false, os.ErrDeadlineExceeded
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cpu, t.ready, nil
}

// Wait implements sandbox.Process.
func (t *tunnel) Wait(ctx context.Context) (sandbox.Exit, error) {
	select {
	case <-t.done:
	case <-ctx.Done():
		return sandbox.Exit{}, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exit == nil {
		return sandbox.Exit{}, errors.New("the worker's end is not known")
	}
	return *t.exit, nil
}

// Close implements sandbox.Process: it ends the remote session.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		t.cancel()
		<-t.done
		if u, ok := t.carrier.(interface {
			Used(cpu time.Duration, memory int64)
		}); ok {
			u.Used(t.cpu, t.peak)
		}
		t.closing = errors.Join(t.carrier.Close(), t.conn.Close(), t.output.Close())
	})
	return t.closing
}

// traffic follows the frames on both ways, to know what is being waited for.
type traffic struct {
	busy  bool // the worker has a request
	calls int  // host calls that wait for an answer

	to, from header
}

func (f *traffic) sent(b []byte) {
	f.to.scan(b, func(kind frame.Type, size int, head []byte) {
		switch kind {
		case frame.Reply:
			if len(head) > 12 && head[12] != replyItem && f.calls > 0 {
				f.calls--
			}
		default:
			f.busy = true
		}
	})
}

func (f *traffic) came(b []byte) {
	f.from.scan(b, func(kind frame.Type, size int, head []byte) {
		switch kind {
		case frame.Call:
			f.calls++
		case frame.Ready, frame.Listing, frame.Stored, frame.Failed:
			f.busy = false
		case frame.Done:
			f.busy, f.calls = false, 0
		case frame.Data:
			f.busy = size > len(frame.RunID{})
		}
	})
}

// header reads the heads of frames in a stream that comes in pieces.
type header struct {
	head []byte
	left int // of the body, beyond head
}

const headWanted = 5 + 13 // of a reply: length, type; run id, call id, status

func (h *header) scan(b []byte, found func(kind frame.Type, size int, head []byte)) {
	for len(b) > 0 {
		if h.left > 0 {
			n := min(h.left, len(b))
			h.left -= n
			b = b[n:]
			continue
		}
		want := 5
		if len(h.head) >= 5 {
			want = 5 + min(int(binary.LittleEndian.Uint32(h.head)), headWanted-5)
		}
		n := min(want-len(h.head), len(b))
		h.head = append(h.head, b[:n]...)
		b = b[n:]
		if len(h.head) < 5 {
			continue
		}
		size := int(binary.LittleEndian.Uint32(h.head))
		if want = 5 + min(size, headWanted-5); len(h.head) < want {
			continue
		}
		found(frame.Type(h.head[4]), size, h.head[5:])
		h.left = size - (want - 5)
		h.head = h.head[:0]
	}
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+len(sep):], true
}

func cutLine(s string) (line, after string, ok bool) { return strings.Cut(s, "\n") }

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
