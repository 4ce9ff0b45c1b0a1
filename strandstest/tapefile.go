package strandstest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/strandsgo/strands"
)

// A recording is a file of JSON lines. Each is one entry; the first is begin.
type entry struct {
	Begin *begin      `json:"begin,omitempty"`
	Model *modelEntry `json:"model,omitempty"`
	Call  *callEntry  `json:"call,omitempty"`
}

const tapeVersion = 1

// begin is what the whole run has in common.
type begin struct {
	Version int               `json:"version"`
	Seed    uint64            `json:"seed"`
	Time    time.Time         `json:"time"`
	Model   strands.ModelInfo `json:"model"`
}

func newBegin() begin {
	// JavaScript and others keep 53 bits of a number.
	return begin{Version: tapeVersion, Seed: rand.Uint64() >> 11, Time: time.Now().UTC().Truncate(time.Second)}
}

// Seed is where the random generators of the run begin, Time where its clock
// does; they are drawn by Record. See python.Fixed.
func (t *Tape) Seed() uint64 { return t.begin.Seed }

// Time is where the clock of the run begins.
func (t *Tape) Time() time.Time { return t.begin.Time }

// modelEntry is a model call. The request is told as its difference from the
// one before.
type modelEntry struct {
	System     *[]strands.Part     `json:"system,omitempty"` // nil = as before
	Tools      *[]strands.ToolSpec `json:"tools,omitempty"`  // nil = as before
	ToolChoice strands.ToolChoice  `json:"toolChoice,omitzero"`
	Same       int                 `json:"same,omitempty"` // messages as before
	More       []strands.Message   `json:"more,omitempty"`

	Deltas []*strands.Delta `json:"deltas,omitempty"`
	Reply  *strands.Reply   `json:"reply,omitempty"`
	Err    *recordedError   `json:"error,omitempty"`

	request strands.Request // of a replay
}

// recordedError is an error that keeps what the loop looks at.
type recordedError struct {
	Text  string              `json:"text"`
	Model *strands.ModelError `json:"model,omitempty"`
}

func recordError(err error) *recordedError {
	e := &recordedError{Text: err.Error()}
	if me, ok := errors.AsType[*strands.ModelError](err); ok {
		e.Model = new(*me)
		e.Model.Err = nil
	}
	return e
}

func (e *recordedError) error() error {
	if e.Model != nil {
		return e.Model
	}
	return errors.New(e.Text)
}

func (m *modelEntry) add(c strands.Chunk, err error) {
	switch {
	case err != nil:
		m.Err = recordError(err)
	case c.Reply != nil:
		m.Reply = new(*c.Reply)
		m.Reply.Message.Metadata = nil
	default:
		m.Deltas = append(m.Deltas, c.Delta)
	}
}

// callEntry is a call of a tool.
type callEntry struct {
	Name    string           `json:"name"`
	Input   json.RawMessage  `json:"input"`
	Results []recordedResult `json:"results"`
}

func newCall(call *strands.ToolCall) *callEntry {
	return &callEntry{Name: call.Name, Input: compact(call.Input)}
}

func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return json.RawMessage("{}") // no call gets here with broken input
	}
	return b.Bytes()
}

// recordedResult is one result. Value, or Bulk, is the native one.
type recordedResult struct {
	Parts       []strands.Part       `json:"parts,omitempty"`
	Value       json.RawMessage      `json:"value,omitempty"`
	Bulk        []byte               `json:"bulk,omitempty"` // of a value that writes itself, such as a table
	Attachments []recordedAttachment `json:"attachments,omitempty"`
	IsError     bool                 `json:"isError,omitempty"`
	Err         string               `json:"error,omitempty"`
}

type recordedAttachment struct {
	MIME string `json:"mime"`
	Data []byte `json:"data"`
}

// add records a result. One that cannot be is recorded as such: the replay
// fails there, not the run.
func (c *callEntry) add(r *strands.ToolResult, err error) {
	var rec recordedResult
	if r != nil {
		rec.Parts, rec.IsError = r.Parts, r.IsError
		var problem error
		if w, ok := r.Value.(io.WriterTo); ok {
			var b bytes.Buffer
			_, problem = w.WriteTo(&b)
			rec.Bulk = b.Bytes()
		} else if r.Value != nil {
			rec.Value, problem = json.Marshal(r.Value)
		}
		for _, a := range r.Attachments {
			data, readErr := io.ReadAll(io.NewSectionReader(a.Data, 0, a.Size))
			problem = cmp.Or(problem, readErr)
			rec.Attachments = append(rec.Attachments, recordedAttachment{a.MIME, data})
		}
		if problem != nil {
			rec = recordedResult{Err: fmt.Sprintf("the result of %s could not be recorded: %v", c.Name, problem)}
		}
	}
	if err != nil {
		rec.Err = err.Error()
	}
	c.Results = append(c.Results, rec)
}

// result makes a fresh result, with the native value of the tool's own type
// where the tool can make one.
func (r *recordedResult) result(tool strands.Tool) (*strands.ToolResult, error) {
	if r.Err != "" {
		return nil, errors.New(r.Err)
	}
	res := &strands.ToolResult{Parts: r.Parts, IsError: r.IsError}
	for _, a := range r.Attachments {
		res.Attachments = append(res.Attachments, strands.Attachment{MIME: a.MIME, Size: int64(len(a.Data)), Data: bytes.NewReader(a.Data)})
	}
	value, err := r.native(tool)
	if err != nil {
		return nil, strands.Fatal(fmt.Errorf("%w: the result of %s is of another type now: %w", ErrDiffers, tool.Spec().Name, err))
	}
	res.Value = value
	return res, nil
}

// native makes the native value, nil when there is none. Of a tool that does
// not tell its type it is the JSON.
func (r *recordedResult) native(tool strands.Tool) (any, error) {
	typed, ok := tool.(interface{ NewValue() any })
	switch {
	case r.Bulk != nil && !ok:
		return nil, errors.New("the tool does not tell its type")
	case r.Bulk != nil:
		v, ok := typed.NewValue().(io.ReaderFrom)
		if !ok {
			return nil, errors.New("it cannot read itself")
		}
		_, err := v.ReadFrom(bytes.NewReader(r.Bulk))
		return reflect.ValueOf(v).Elem().Interface(), err
	case r.Value == nil:
		return nil, nil
	case !ok:
		return r.Value, nil
	}
	v := typed.NewValue()
	err := json.Unmarshal(r.Value, v)
	return reflect.ValueOf(v).Elem().Interface(), err
}

// only is the result of a call that yields one.
func (c *callEntry) only(tool strands.Tool) (*strands.ToolResult, error) {
	if len(c.Results) == 0 {
		return nil, strands.Fatal(fmt.Errorf("%w: %s had no result", ErrDiffers, c.Name))
	}
	return c.Results[0].result(tool)
}

// record writes an entry. A recording that cannot be written does not disturb
// the run: Close tells.
func (t *Tape) record(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(e)
}

// write appends e; nil only makes sure that there is a beginning.
func (t *Tape) write(e *entry) {
	if !t.begun { // not earlier: Model tells who is asked
		t.begun = true
		t.write(&entry{Begin: &t.begin})
	}
	if e == nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil && t.err == nil {
		_, err = t.w.Write(append(line, '\n'))
	}
	if t.err == nil && err != nil {
		t.err = fmt.Errorf("recording a run: %w", err)
	}
}

func (t *Tape) recordModel(req *strands.Request, m *modelEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := plainRequest(req)
	last := t.last
	if last == nil {
		last = new(strands.Request)
	}
	if t.last == nil || !reflect.DeepEqual(now.System, last.System) {
		m.System = &now.System
	}
	if t.last == nil || !reflect.DeepEqual(now.Tools, last.Tools) {
		m.Tools = &now.Tools
	}
	m.ToolChoice = now.ToolChoice
	for m.Same < min(len(now.Messages), len(last.Messages)) && reflect.DeepEqual(now.Messages[m.Same], last.Messages[m.Same]) {
		m.Same++
	}
	m.More = now.Messages[m.Same:]
	t.last = now
	t.write(&entry{Model: m})
}

// plainRequest is req as it would come back from a file.
func plainRequest(req *strands.Request) *strands.Request {
	now := *req
	now.Messages = make([]strands.Message, len(req.Messages))
	for i, m := range req.Messages {
		now.Messages[i] = m.Clone()
		now.Messages[i].Metadata = nil
	}
	return &now
}

// maxEntry bounds a line: attachments can be large.
const maxEntry = 1 << 30

func (t *Tape) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEntry)
	last := new(strands.Request)
	for n := 1; lines.Scan(); n++ {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case n == 1 && (e.Begin == nil || e.Begin.Version != tapeVersion):
			return fmt.Errorf("it is no recording of version %d; make it anew", tapeVersion)
		case e.Begin != nil:
			t.begin = *e.Begin
		case e.Call != nil:
			t.calls = append(t.calls, e.Call)
		case e.Model != nil:
			if e.Model.Same > len(last.Messages) || e.Model.Reply == nil && e.Model.Err == nil {
				return fmt.Errorf("line %d: the model call is not whole; make the recording anew", n)
			}
			last = e.Model.after(last)
			t.models = append(t.models, e.Model)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if t.begin.Version == 0 {
		return errors.New("it is empty; make it anew")
	}
	return nil
}

// after makes the whole request out of the one before.
func (m *modelEntry) after(last *strands.Request) *strands.Request {
	m.request = strands.Request{
		System: last.System, Tools: last.Tools, ToolChoice: m.ToolChoice,
		Messages: append(slices.Clone(last.Messages[:m.Same]), m.More...),
	}
	if m.System != nil {
		m.request.System = *m.System
	}
	if m.Tools != nil {
		m.request.Tools = *m.Tools
	}
	return &m.request
}
