package python

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/strandsgo/strands/internal/frame"
	"github.com/strandsgo/strands/internal/sandbox"
)

const (
	startPatience = 60 * time.Second // from the start of a worker to its ready
	writePatience = 20 * time.Second // for a worker that waits for a request to take it
)

// wire is a live worker: its process, and the frames to and from it.
type wire struct {
	proc  sandbox.Process
	r     *frame.Reader
	w     *frame.Writer
	stray *stray
	used  bool // a snippet has run

	missing []string // threads of libraries that its origin has and it, a fork, has not

	arrow  bool // the worker says that it can read Arrow data
	ledger ledger
}

// connect configures a worker that was just started and waits until it is
// ready; a fork, without configuration, is configured. It takes proc over:
// after an error the process is gone. memory is what its big data may take;
// negative = any.
func connect(ctx context.Context, proc sandbox.Process, configuration []byte, memory int64) (_ *wire, err error) {
	conn := passesFiles(proc.Conn())
	w := &wire{
		proc: proc, r: frame.NewReader(conn), w: frame.NewWriter(conn),
		stray: drain(proc.Output()), ledger: ledger{limit: memory},
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { w.close() })
	err = w.shake(configuration)
	if !stop() {
		w.close()
		return nil, fmt.Errorf("waiting for the Python worker: %w", context.Cause(ctx))
	}
	if err != nil {
		if t, ok := proc.(*tunnel); ok {
			if why, _ := t.why(); why != "" {
				w.close()
				return nil, fmt.Errorf("the Python worker did not get ready: %s", why)
			}
		}
		exit := w.exit(err)
		last := w.stray.trace()
		w.close()
		if last != "" {
			last = "; it said: " + last
		}
		return nil, fmt.Errorf("the Python worker did not get ready (%w, %s)%s", err, exitWords(exit), last)
	}
	return w, nil
}

func (w *wire) shake(configuration []byte) error {
	if configuration != nil {
		if err := w.w.Write(frame.Configure, writePatience, configuration); err != nil {
			return err
		}
	}
	f, err := w.r.Next(frame.WhileStarting)
	if err != nil {
		return err
	}
	var ready struct {
		Version int  `json:"version"`
		Arrow   bool `json:"arrow"`
	}
	if err := json.Unmarshal(f.Body, &ready); err != nil {
		return frame.Violationf("ready: %v", err)
	}
	if ready.Version != protocolVersion {
		return frame.Violationf("protocol version %d instead of %d", ready.Version, protocolVersion)
	}
	w.arrow = ready.Arrow
	return nil
}

// quiet checks that nothing came from the worker since the last request. It
// does not wait for the rest of what came in part.
func (w *wire) quiet() error {
	unasked := frame.Violationf("a frame between two requests")
	if w.r.Buffered() > 0 {
		return unasked
	}
	conn := w.proc.Conn()
	if !pending(conn) {
		return nil
	}
	var b [1]byte
	if n, err := conn.Read(b[:]); n == 0 && err != nil {
		return err
	}
	return unasked
}

// exit waits for the end of a process whose stream has ended by err: a moment,
// and longer when it is ending, or would if it had the processor. nil when it
// goes on.
func (w *wire) exit(err error) *sandbox.Exit {
	if frame.IsViolation(err) {
		return nil
	}
	for range mostTurns {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		e, err := w.proc.Wait(ctx)
		cancel()
		if err == nil {
			return &e
		}
		if !errors.Is(err, context.DeadlineExceeded) || w.proc.Pid() <= 0 || !hasThread(w.proc.Pid(), running+waiting+dead) {
			return nil
		}
	}
	return nil
}

func (w *wire) close() error {
	err := w.proc.Close()
	<-w.stray.done
	return err
}

// request sends one request under a new run id. A worker that said something
// unasked is not asked.
func (w *wire) request(t frame.Type, pieces ...[]byte) (frame.RunID, error) {
	id := newRunID()
	return id, w.requestAs(id, t, pieces...)
}

func (w *wire) requestAs(id frame.RunID, t frame.Type, pieces ...[]byte) error {
	if err := w.quiet(); err != nil {
		return err
	}
	return w.w.Write(t, writePatience, append([][]byte{id[:]}, pieces...)...)
}

// next returns the next frame of the request id.
func (w *wire) next(id frame.RunID, allowed string) (frame.Frame, error) {
	f, err := w.r.Next(allowed)
	if err == nil && f.Run != id {
		err = frame.Violationf("frame of type %q of another run", byte(f.Type))
	}
	return f, err
}

func newRunID() (id frame.RunID) {
	rand.Read(id[:]) // never fails
	return id
}

// look says whether a thread of the worker runs or wants to, and, if so, the
// processor time used so far.
func (w *wire) look() (cpu time.Duration, runs bool, err error) {
	if t, ok := w.proc.(*tunnel); ok {
		return t.look()
	}
	if runs = hasThread(w.proc.Pid(), running); runs {
		cpu, err = w.proc.CPU()
	}
	return cpu, runs, err
}

// lossWords say how the worker came to its end, for the model.
func (w *wire) lossWords(err error, l Limits) string {
	if t, ok := w.proc.(*tunnel); ok {
		if why, _ := t.why(); why != "" {
			return why
		}
	}
	return lossWords(err, w.exit(err), l)
}

// lossWords say it of a process.
func lossWords(err error, exit *sandbox.Exit, l Limits) string {
	switch {
	case frame.IsViolation(err):
		return "the interpreter broke the protocol with its host and was stopped (" + err.Error() + ")"
	case exit == nil:
		return "the interpreter's connection to its host was closed"
	case exit.Memory:
		return fmt.Sprintf("the interpreter was killed at its memory limit of %s", bytesWords(l.Memory))
	case exit.Time || exit.Signal == "SIGXCPU":
		return fmt.Sprintf("the session has used up its %v of processor time", l.CPU)
	case exit.Signal == "SIGSYS":
		return "the interpreter made a system call that is not allowed here (SIGSYS)"
	case exit.Signal == "SIGKILL":
		return "the interpreter was killed (SIGKILL)"
	case exit.Signal != "":
		return "the interpreter crashed: " + exit.Signal
	case exit.Code < 0:
		return "the interpreter ended, and this kernel does not tell how"
	}
	return fmt.Sprintf("the code ended the interpreter (exit %d)", exit.Code)
}

func exitWords(exit *sandbox.Exit) string {
	switch {
	case exit == nil:
		return "still running"
	case exit.Signal != "":
		return "ended by " + exit.Signal
	case exit.Code < 0:
		return "ended"
	}
	return fmt.Sprintf("exit %d", exit.Code)
}

func bytesWords(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
