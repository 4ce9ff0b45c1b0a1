package strandstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/strandsgo/strands"
)

// Tape is the recording of a run: what the model was asked and said, and every
// call of a tool, whether the model made it or Python code. Played back, it
// stands for the model and the tools, so that the run happens again offline:
//
//	tape := strandstest.Replay(t, "testdata/sales.tape") // or Record
//	agent, err := codeagent.New(codeagent.Config{
//		Model: tape.Model(nil), Hooks: []strands.Hooks{tape.Hooks()},
//		Fixed: &python.Fixed{Seed: tape.Seed(), Time: tape.Time()}, …
//	})
//
// Python runs for real in a replay too; what it prints is part of the next
// request, and so is compared. A request or a call that differs from the
// recording is an error that names the first difference.
//
// A Tape serves one run, or one run after the other; its methods may be used
// from several goroutines. A recording holds all that the model saw: look
// through it before you publish it.
type Tape struct {
	// Live are the names of tools that a replay runs too. nil = python_repl.
	Live []string

	mu    sync.Mutex
	begin begin
	last  *strands.Request // a request is told as what came new since the last

	file  io.WriteCloser // of a recording; nil = a replay
	w     *bufio.Writer
	begun bool  // begin was written
	err   error // of writing

	models []*modelEntry // of a replay: what was not played yet, in order
	calls  []*callEntry
}

// ErrDiffers: a replayed run does something else than the recorded one did.
var ErrDiffers = errors.New("the run differs from its recording")

// Record begins a recording in a file, which it makes or empties. Close ends
// it.
func Record(path string) (*Tape, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("recording a run: %w", err)
	}
	return &Tape{begin: newBegin(), file: f, w: bufio.NewWriter(f)}, nil
}

// LoadTape reads a recording to be played.
func LoadTape(path string) (*Tape, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("loading a recorded run: %w", err)
	}
	defer f.Close()
	t := new(Tape)
	if err := t.read(f); err != nil {
		return nil, fmt.Errorf("loading the recorded run %s: %w", path, err)
	}
	return t, nil
}

// Replay is LoadTape for a test: it fails when the file cannot be read, and at
// the end of the test when not all of the recording was played.
func Replay(t testing.TB, path string) *Tape {
	t.Helper()
	tape, err := LoadTape(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tape.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return tape
}

// Close ends a recording, or says what of it was not played.
func (t *Tape) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		if n, c := len(t.models), len(t.calls); n+c > 0 {
			return fmt.Errorf("%w: %d model calls and %d tool calls of the recording were not made", ErrDiffers, n, c)
		}
		return nil
	}
	if !t.begun {
		t.write(nil)
	}
	if t.err == nil {
		t.err = t.w.Flush()
	}
	return errors.Join(t.err, t.file.Close())
}

// Model returns a model that records what m does, or plays what was recorded;
// then m may be nil.
func (t *Tape) Model(m strands.Model) strands.Model {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		t.begin.Model = strands.Describe(m)
	}
	return &tapeModel{t, m}
}

type tapeModel struct {
	tape *Tape
	real strands.Model
}

// Describe implements strands.Describer.
func (m *tapeModel) Describe() strands.ModelInfo {
	m.tape.mu.Lock()
	defer m.tape.mu.Unlock()
	return m.tape.begin.Model
}

// Generate implements strands.Model.
func (m *tapeModel) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		if m.tape.file == nil {
			m.tape.playModel(req, yield)
			return
		}
		said := new(modelEntry)
		for c, err := range m.real.Generate(ctx, req) {
			said.add(c, err)
			if c.Reply != nil || err != nil {
				m.tape.recordModel(req, said)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// Hooks record the calls of tools, or answer them as recorded.
func (t *Tape) Hooks() strands.Hooks {
	return strands.Hooks{BeforeToolCall: func(_ context.Context, e *strands.BeforeToolCall) error {
		if e.Tool == nil || slices.Contains(t.live(), e.Call.Name) {
			return nil
		}
		taped := tapedTool{t, e.Tool}
		if s, ok := e.Tool.(strands.StreamTool); ok {
			e.Tool = tapedStream{taped, s}
		} else {
			e.Tool = taped
		}
		return nil
	}}
}

func (t *Tape) live() []string {
	if t.Live == nil {
		return []string{pythonTool}
	}
	return t.Live
}

// tapedTool is a tool that is recorded, or played.
type tapedTool struct {
	tape *Tape
	real strands.Tool
}

// Spec implements strands.Tool.
func (d tapedTool) Spec() strands.ToolSpec { return d.real.Spec() }

// Call implements strands.Tool.
func (d tapedTool) Call(ctx context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	if d.tape.file == nil {
		c, err := d.tape.take(call)
		if err != nil {
			return nil, err
		}
		return c.only(d.real)
	}
	c := newCall(call)
	r, err := d.real.Call(ctx, call)
	c.add(r, err)
	d.tape.record(&entry{Call: c})
	return r, err
}

// tapedStream is a tapedTool that yields several results.
type tapedStream struct {
	tapedTool
	stream strands.StreamTool
}

// Stream implements strands.StreamTool.
func (d tapedStream) Stream(ctx context.Context, call *strands.ToolCall) iter.Seq2[*strands.ToolResult, error] {
	return func(yield func(*strands.ToolResult, error) bool) {
		if d.tape.file == nil {
			d.play(call, yield)
			return
		}
		c := newCall(call)
		defer func() { d.tape.record(&entry{Call: c}) }()
		for r, err := range d.stream.Stream(ctx, call) {
			c.add(r, err)
			if !yield(r, err) {
				return
			}
		}
	}
}

func (d tapedStream) play(call *strands.ToolCall, yield func(*strands.ToolResult, error) bool) {
	c, err := d.tape.take(call)
	if err != nil {
		yield(nil, err)
		return
	}
	for i := range c.Results {
		r, err := c.Results[i].result(d.real)
		if !yield(r, err) || err != nil {
			return
		}
	}
}
