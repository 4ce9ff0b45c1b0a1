package python

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

const (
	maxPictures     = 64 // of a snippet
	maxPictureBytes = 64 << 20
	maxListed       = 4096 // files a snippet is said to have written
	maxWarnings     = 100
)

// beforeThis begins Result.Lost when a fresh state was made before the snippet.
const beforeThis = "before this snippet: "

// errTimeout stops a snippet that has used up its time.
var errTimeout = errors.New("the snippet has used up its time")

// run is one snippet under way. One goroutine reads frames; the one that
// ranges takes what it pushes into the queue; host calls have theirs.
type run struct {
	s      *session
	w      *wire
	id     frame.RunID
	outer  context.Context // of Exec
	cancel context.CancelCauseFunc
	queue  *queue
	clock  *clock
	calls  *calls
	over   chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	steps   sync.WaitGroup // of an interrupt, or of parking
	expiry  *time.Timer    // of a parked run; guarded by the session's mu
	ended   bool           // nothing can be interrupted any more
	stop    error          // why the snippet was interrupted; nil = it was not
	kill    bool           // and had to be killed
	parking bool           // the reader is to end, the snippet is not

	text   sync.Mutex // guards what follows: C code writes past the reader
	stdout *capped
	stderr *capped
	alone  bool // the one who ranges is reading itself
	kicked bool // and was told to stop that

	res     Result
	shown   int       // bytes of pictures
	done    *doneBody // nil = the worker ended without a word
	readErr error     // why; a violation, or the end of the stream
}

// doneBody is the body of the frame that ends a run.
type doneBody struct {
	Error *struct {
		Exception
		Stage string `json:"stage"`
	} `json:"error"`
	Interrupted bool     `json:"interrupted"`
	FullOutput  string   `json:"full_output"`
	Warnings    []string `json:"warnings"`
}

// newRun starts the clock; drive does the rest.
func newRun(ctx context.Context, s *session, w *wire, id frame.RunID) *run {
	r := &run{
		s: s, w: w, id: id, outer: ctx, queue: newQueue(), over: make(chan struct{}), alone: pollable,
		stdout: newCapped(s.opts.Limits.Output), stderr: newCapped(s.opts.Limits.Output),
	}
	inner, cancel := context.WithCancelCause(ctx)
	r.cancel = cancel
	r.clock = startClock(s.opts.Timeout, func() { r.interrupt(errTimeout) }, w.proc.CPU)
	r.calls = &calls{
		ctx: inner, wire: w, run: id, table: s.table, clock: r.clock, fatal: r.interrupt,
		limit: s.opts.Limits.InFlight, budget: s.opts.Limits.HostCalls,
		open: map[uint32]context.CancelFunc{}, rooms: map[uint32]*room{}, byName: map[string]int{},
	}
	if canPark && parks(ctx) {
		r.calls.asks = r.park
	}
	return r
}

// drive hands the output of the snippet to yield until it has ended. It
// returns when everything that belongs to the snippet has ended.
func (r *run) drive(yield func(Output, error) bool) (res *Result, err error) {
	finished := false
	defer func() { // also when the consumer panics
		if !finished {
			r.queue.drop()
			r.interrupt(errConsumerGone)
			if told, _ := r.finish(); told != nil && told.StateLost { // it was stopped before; nobody hears of it now
				r.s.noteLoss(strings.TrimPrefix(told.Lost, beforeThis))
			}
			res, err = nil, errConsumerGone
		}
	}()
	outer := r.outer
	unwatch := context.AfterFunc(outer, func() { r.interrupt(context.Cause(outer)) })
	defer unwatch()
	if r.readFirst() {
		go r.read()
	} else {
		r.endReading()
	}
	for items, ok := r.queue.pop(); ok; items, ok = r.queue.pop() {
		for _, item := range items {
			if !yield(item, nil) {
				return nil, nil // the deferred function ends it
			}
		}
	}
	finished = true
	return r.finish()
}

// readFirst reads the first frame on the goroutine of the one who ranges: most
// snippets show nothing, and for these another goroutine would double the time.
// Text that comes past the frames ends it, because it must be handed over. It
// is false when the snippet has ended.
func (r *run) readFirst() bool {
	if !pollable {
		return true
	}
	r.waitAwake()
	more := r.readFrame()
	r.text.Lock()
	defer r.text.Unlock()
	r.alone = false
	if r.kicked {
		_ = r.w.proc.Conn().SetReadDeadline(time.Time{})
		if errors.Is(r.readErr, os.ErrDeadlineExceeded) {
			r.readErr, more = nil, true
		}
	}
	r.queue.bound(more)
	return more
}

// awake is how long the host looks for the first frame before it sleeps. To be
// woken takes longer than what a trivial snippet does.
const awake = 60 * time.Microsecond

func (r *run) waitAwake() {
	conn := r.w.proc.Conn()
	for begin := time.Now(); !pending(conn) && time.Since(begin) < awake; {
	}
}

// read takes frames until the snippet is done or the worker is gone.
func (r *run) read() {
	for r.readFrame() {
	}
	r.endReading()
}

// readFrame takes one frame. It is false when that was the last.
func (r *run) readFrame() bool {
	f, err := r.w.next(r.id, frame.WhileRunning)
	if err == nil {
		err = r.take(f)
	}
	r.readErr = err
	return err == nil && r.done == nil
}

func (r *run) endReading() {
	defer close(r.over)
	defer r.queue.close()
	if r.isParked() {
		return
	}
	r.w.stray.detach()
	r.text.Lock()
	defer r.text.Unlock()
	if rest := r.stdout.rest(); rest != "" {
		r.push(Output{Stdout: rest})
	}
	if rest := r.stderr.rest(); rest != "" {
		r.push(Output{Stderr: rest})
	}
}

// take handles one frame. An error is a violation.
func (r *run) take(f frame.Frame) error {
	switch f.Type {
	case frame.Stdout, frame.Stderr, frame.Value:
		if !utf8.Valid(f.Body) {
			return frame.Violationf("text that is not UTF-8")
		}
		r.takeText(f.Type, string(f.Body))
	case frame.Picture:
		return r.takePicture(f.Body)
	case frame.Written:
		file, err := parseFile(f.Body)
		if err != nil {
			return err
		}
		if len(r.res.Files) < maxListed {
			r.res.Files = append(r.res.Files, file)
			r.push(Output{File: &file})
		}
	case frame.Call:
		return r.calls.add(f.Body)
	case frame.Room:
		return r.calls.addRoom(f.Body)
	case frame.Piece:
		return r.calls.addPiece(f.Body)
	case frame.Unwanted:
		return r.calls.unwanted(f.Body)
	case frame.Done:
		done := new(doneBody)
		if err := parseJSON(f.Body, done); err != nil {
			return err
		}
		if done.FullOutput != "" && checkName(done.FullOutput) != nil {
			return frame.Violationf("a file named %.80q", done.FullOutput)
		}
		r.done = done
	}
	return nil
}

func (r *run) takeText(t frame.Type, s string) {
	r.text.Lock()
	defer r.text.Unlock()
	switch t {
	case frame.Stdout:
		if s = r.stdout.write(s); s != "" {
			r.push(Output{Stdout: s})
		}
	case frame.Stderr:
		if s = r.stderr.write(s); s != "" {
			r.push(Output{Stderr: s})
		}
	case frame.Value:
		if r.res.Value == "" && s != "" {
			r.res.Value = s
			r.push(Output{Value: s})
		}
	}
}

// takeStray takes what C code wrote past Python's own streams.
func (r *run) takeStray(b []byte) {
	r.takeText(frame.Stderr, strings.ToValidUTF8(string(b), "\uFFFD"))
	r.text.Lock()
	defer r.text.Unlock()
	if r.alone && !r.kicked {
		r.kicked = true
		_ = r.w.proc.Conn().SetReadDeadline(past)
	}
}

func (r *run) takePicture(png []byte) error {
	if !strings.HasPrefix(string(png[:min(8, len(png))]), "\x89PNG\r\n\x1a\n") {
		return frame.Violationf("a picture that is no PNG")
	}
	if len(r.res.Images) >= maxPictures || r.shown+len(png) > maxPictureBytes {
		r.warn("a picture was left out: the snippet made too many")
		return nil
	}
	r.shown += len(png)
	media := strands.Media{MIME: "image/png", Data: append([]byte(nil), png...)}
	r.res.Images = append(r.res.Images, media)
	r.push(Output{Image: &media})
	return nil
}

func (r *run) warn(s string) {
	if len(r.res.Warnings) < maxWarnings {
		r.res.Warnings = append(r.res.Warnings, s)
	}
}

// push queues o. While nobody takes it the snippet's clock stands still.
func (r *run) push(o Output) {
	r.queue.push(o, func() func() {
		r.clock.hold()
		return r.clock.release
	})
}

// interrupt stops the snippet for the reason why, in steps, unless that is
// under way. It does not wait.
func (r *run) interrupt(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.stop != nil {
		return
	}
	r.stop = why
	r.steps.Go(func() {
		r.cancel(why)
		// The third is for a worker that had not begun when the first came, or
		// had not seen it when the second did: two that wait are one.
		t := r.s.timings
		for _, grace := range []time.Duration{t.again, t.kill / 2, t.kill / 2} {
			_ = r.w.proc.Interrupt() // a process that is gone is noticed by the reader
			if r.endsWithin(grace) {
				return
			}
		}
		r.mu.Lock()
		r.kill = true
		r.mu.Unlock()
		_ = r.w.proc.Close()
	})
}

// abort stops the snippet without any grace: its session is closed, and the
// caller kills the process.
func (r *run) abort(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	if r.stop == nil {
		r.stop = why
	}
	r.kill = true
	r.queue.drop()
	r.cancel(why)
}

// giveUp ends a snippet that the worker did not take.
func (r *run) giveUp(why error) {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.clock.stop()
	r.cancel(why)
	close(r.over)
	r.steps.Wait()
}

// finish joins everything that belongs to the snippet and makes its Result.
func (r *run) finish() (*Result, error) {
	<-r.over
	if question := r.parked(); question != nil {
		return nil, question
	}
	r.mu.Lock()
	r.ended = true
	stop := r.stop
	r.mu.Unlock()
	r.res.Duration = r.clock.stop()
	r.steps.Wait()
	r.cancel(errors.New("the snippet has ended"))
	r.res.HostCalls = r.calls.join()
	r.s.mu.Lock()
	r.s.run = nil
	r.s.mu.Unlock()

	r.res.Stdout, r.res.Stderr = r.stdout.text(), r.stderr.text()
	before := r.s.takeLoss()
	lost, keep := r.outcome(stop)
	if lost != "" || !keep {
		r.s.drop(r.w)
	}
	r.tell(stop, lost, before)
	if r.s.rollBack(r, stop != nil, lost != "") {
		lost = ""
	}
	if stop != nil && stop != errTimeout {
		if lost != "" || before != "" {
			r.s.noteLoss(cmp.Or(lost, before))
		}
		return nil, stop
	}
	return &r.res, nil
}

// outcome says why the state is lost ("" = it is not) and whether the worker
// can take another snippet.
func (r *run) outcome(stop error) (lost string, keep bool) {
	switch {
	case r.done == nil && r.kill:
		return "the interpreter was inside native code that cannot be interrupted, and was killed", false
	case r.done == nil:
		return r.w.lossWords(r.readErr, r.s.opts.Limits), false
	case r.done.Error != nil && r.done.Error.Stage == "initialization":
		return "", false // so that the next snippet tries again
	case stop != nil && r.burns():
		return "threads of the snippet went on working after the interrupt, and the interpreter was killed", false
	}
	return "", true
}

// tell puts the outcome into the Result.
func (r *run) tell(stop error, lost, before string) {
	res := &r.res
	if d := r.done; d != nil {
		if d.Error != nil {
			res.Err = &d.Error.Exception
			if d.Error.Stage == "initialization" {
				res.Err.Message = "in the initialization code: " + res.Err.Message
			}
		}
		for _, w := range d.Warnings {
			r.warn(w)
		}
		res.FullOutput = d.FullOutput
	}
	switch {
	case lost != "":
		res.StateLost, res.Lost = true, lost
		trace := ""
		if r.done == nil && !r.kill {
			trace = ownFrames(r.w.stray.trace())
		}
		res.Err = &Exception{Type: "InterpreterLost", Message: lost, Traceback: trace}
	case before != "":
		res.StateLost, res.Lost = true, beforeThis+before
	}
	if stop == errTimeout {
		timeout := &Exception{Type: "TimeoutError", Message: fmt.Sprintf("interrupted after %v; the state is kept", r.s.opts.Timeout)}
		if lost != "" {
			timeout.Message = fmt.Sprintf("stopped after %v: %s", r.s.opts.Timeout, lost)
		}
		if res.Err != nil {
			timeout.Traceback = res.Err.Traceback
		}
		res.Err = timeout
	}
}

// ownFrames leaves the worker's own frames out of the trace of a crash.
func ownFrames(trace string) string {
	var b strings.Builder
	for line := range strings.Lines(trace) {
		if !strings.Contains(line, `File "<strands_worker.`) && !strings.Contains(line, `File "<_sandbox_`) && !strings.Contains(line, `File "<string>"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// parseJSON decodes what a worker sent.
func parseJSON(b []byte, v any) error {
	if !nestingOK(b) {
		return frame.Violationf("JSON nested too deep")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return frame.Violationf("%v", err)
	}
	return nil
}
