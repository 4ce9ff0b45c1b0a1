package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/strandsgo/strands"
)

// ToolConfig describes a python_repl tool. Interpreter is required.
type ToolConfig struct {
	Interpreter Interpreter
	Options     Options
	// KeepState keeps what snippets define as long as the strands.Session
	// lives. Otherwise the state is reset, lazily, when a new user message has
	// come; not when a run goes on after an interrupt.
	KeepState bool

	// Shown is called with the Result of each snippet while the REPL is still
	// held: files can be read before other code changes them. It may add to
	// the warnings, which the model reads. nil = nobody is.
	Shown func(ctx context.Context, s Session, r *Result)

	Name        string // "" = "python_repl"
	Description string // "" = a built-in sentence
	Labels      Labels
}

// Labels head the sections of the tool's answer. "" = the one named here.
type Labels struct {
	Stdout   string // "STDOUT:"
	Stderr   string // "STDERR:"
	Value    string // "VALUE:"
	Images   string // "PICTURES:"
	Files    string // "FILES:"
	Error    string // "ERROR:"
	Lost     string // "STATE LOST:"
	Warnings string // "NOTES:"
	Empty    string // "Code executed successfully", when there is nothing to show
}

func (l Labels) withDefaults() Labels {
	for p, v := range map[*string]string{
		&l.Stdout: "STDOUT:", &l.Stderr: "STDERR:", &l.Value: "VALUE:", &l.Images: "PICTURES:", &l.Files: "FILES:",
		&l.Error: "ERROR:", &l.Lost: "STATE LOST:", &l.Warnings: "NOTES:", &l.Empty: "Code executed successfully",
	} {
		if *p == "" {
			*p = v
		}
	}
	return l
}

const replDescription = "Run Python code in a persistent session and get what it prints, the value of its last " +
	"expression, its figures and its errors."

var replSchema = json.RawMessage(`{"type":"object","properties":{"code":{"type":"string",` +
	`"description":"Python source to run"}},"required":["code"],"additionalProperties":false}`)

// NewTool makes the tool with which a model runs Python: one argument, code.
// The REPL is opened by the first call and lives on the strands.Session that
// the call belongs to; a call outside of any has a REPL of its own, for that
// call. Calls of one session run one after the other.
//
// What code prints and shows comes as ToolOutput events while it runs, and
// again, in sections, in the result, with pictures as images. What is wrong
// with the code is an error result. NewTool panics without an Interpreter.
func NewTool(c ToolConfig) strands.Tool {
	if c.Interpreter == nil {
		panic("python.NewTool: ToolConfig.Interpreter is nil")
	}
	t := &replTool{interpreter: c.Interpreter, options: c.Options, keep: c.KeepState, shown: c.Shown, labels: c.Labels.withDefaults()}
	t.spec = strands.ToolSpec{Name: "python_repl", Description: replDescription, InputSchema: replSchema}
	if c.Name != "" {
		t.spec.Name = c.Name
	}
	if c.Description != "" {
		t.spec.Description = c.Description
	}
	return t
}

// Attached returns the REPL that tool, made by NewTool, keeps for s; it opens
// one when there is none. A program uses it to read the files that code wrote.
// ErrBusy is what its methods return while a snippet runs. Do not close it: it
// ends with s, also when nobody has s any more.
func Attached(ctx context.Context, s *strands.Session, tool strands.Tool) (Session, error) {
	t, ok := tool.(*replTool)
	if !ok {
		return nil, &strands.InputError{Field: "tool", Reason: "it is not made by python.NewTool"}
	}
	r, err := t.attach(ctx, s)
	if err != nil {
		return nil, err
	}
	return r.Session, nil
}

type replTool struct {
	spec        strands.ToolSpec
	interpreter Interpreter
	options     Options
	keep        bool
	shown       func(context.Context, Session, *Result)
	labels      Labels
}

// repl is a REPL on a strands.Session.
type repl struct {
	Session
	turn  chan int // holds the turn of the last snippet; taken = busy
	calls callLog
}

// Spec implements strands.Tool.
func (t *replTool) Spec() strands.ToolSpec { return t.spec }

// Call implements strands.Tool.
func (t *replTool) Call(ctx context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	var in struct {
		Code *string `json:"code"`
	}
	if err := json.Unmarshal(call.Input, &in); err != nil || in.Code == nil {
		return nil, errors.New(`invalid input: give {"code": "…"} with Python source`)
	}
	s := strands.SessionFrom(ctx)
	if s == nil {
		r, err := t.open(ctx)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return t.run(ctx, r, *in.Code)
	}
	r, err := t.attach(ctx, s)
	if err != nil {
		return nil, err
	}
	var turn int
	select {
	case turn = <-r.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	now := turn
	defer func() { r.turn <- now }()
	if answers := strands.Answers(ctx); answers != nil {
		l, parks := r.Session.(*session)
		if parks {
			if outputs, ok := l.resume(r.calls.goOn(ctx)); ok {
				return t.collect(ctx, r, outputs)
			}
		}
		return t.gaveUp(r, answers, parks && canPark || !r.calls.any()), nil
	}
	if now = s.Turn(); now != turn && !t.keep {
		if err := r.Reset(ctx); err != nil {
			return nil, err
		}
	}
	return t.run(ctx, r, *in.Code)
}

func (t *replTool) attach(ctx context.Context, s *strands.Session) (*repl, error) {
	return strands.Attach(ctx, s, t, t.open)
}

// open opens a REPL. Its options outlive the call, so the way to ctx is cut
// when it is open.
func (t *replTool) open(ctx context.Context) (*repl, error) {
	o, opened := t.options, false
	own := o.Progress
	o.Progress = func(text string) {
		if own != nil {
			own(text)
		}
		if !opened { // afterwards Exec yields it
			_ = strands.Emit(ctx, strands.Event{Output: &strands.ToolOutput{Progress: text}})
		}
	}
	s, err := t.interpreter.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	opened, ctx = true, context.Background()
	r := &repl{Session: s, turn: make(chan int, 1)}
	r.turn <- 0
	return r, nil
}

// run runs a snippet and makes the answer of its Result.
func (t *replTool) run(ctx context.Context, r *repl, code string) (*strands.ToolResult, error) {
	return t.collect(ctx, r, r.Exec(r.calls.watch(ctx), code))
}

func (t *replTool) collect(ctx context.Context, r *repl, outputs iter.Seq2[Output, error]) (*strands.ToolResult, error) {
	var res *Result
	for o, err := range outputs {
		if err != nil {
			return nil, err
		}
		if o.Result != nil {
			res = o.Result
			continue
		}
		if err := strands.Emit(ctx, strands.Event{Output: toolOutput(o)}); err != nil {
			return nil, err
		}
	}
	if res == nil {
		return nil, errors.New("python: the interpreter gave no result")
	}
	if t.shown != nil {
		t.shown(ctx, r.Session, res)
	}
	return t.answer(res), nil
}

func toolOutput(o Output) *strands.ToolOutput {
	return &strands.ToolOutput{
		Stdout: o.Stdout, Stderr: o.Stderr, Value: o.Value, Image: o.Image, File: o.File, Progress: o.Progress,
	}
}

// answer is what the model reads.
func (t *replTool) answer(res *Result) *strands.ToolResult {
	l := t.labels
	var b strings.Builder
	section := func(label, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			if b.Len() > 0 {
				b.WriteString("\n\n")
			}
			b.WriteString(label + "\n" + text)
		}
	}
	section(l.Stdout, res.Stdout)
	section(l.Stderr, res.Stderr)
	section(l.Value, res.Value)
	if n := len(res.Images); n > 0 {
		section(l.Images, fmt.Sprintf("%d, shown below", n))
	}
	section(l.Files, fileLines(res.Files))
	section(l.Error, errorText(res.Err))
	if res.StateLost {
		section(l.Lost, lostText(res))
	}
	notes := res.Warnings
	if res.FullOutput != "" {
		notes = append(notes[:len(notes):len(notes)], "the whole output is in "+res.FullOutput)
	}
	section(l.Warnings, strings.Join(notes, "\n"))
	if b.Len() == 0 {
		b.WriteString(l.Empty)
	}
	out := &strands.ToolResult{IsError: res.Err != nil, Parts: []strands.Part{strands.Text(b.String())}}
	for _, m := range res.Images {
		out.Parts = append(out.Parts, strands.Part{Image: &m})
	}
	return out
}

func fileLines(files []strands.File) string {
	var lines []string
	for i, f := range files {
		if i == 50 {
			lines = append(lines, fmt.Sprintf("… and %d more", len(files)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s (%s, %s)", f.Name, f.MIME, bytesWords(f.Size)))
	}
	return strings.Join(lines, "\n")
}

// errorText is the traceback, which ends with the exception, or what there is
// when there is none. A timeout and a crash are named by their own words.
func errorText(e *Exception) string {
	switch {
	case e == nil:
		return ""
	case e.Traceback == "":
		return e.Error()
	case strings.Contains(e.Traceback, e.Message) && e.Type != "TimeoutError":
		return e.Traceback
	}
	return e.Error() + "\n" + strings.TrimRight(e.Traceback, "\n")
}

func lostText(res *Result) string {
	return res.Lost + ". Everything defined before is gone; define again what you need."
}

// gaveUp answers a call that was interrupted by a question to a person, which
// has been answered, when the snippet that asked is gone: the program was
// started anew, or it waited too long. Nothing of it is done again silently.
func (t *replTool) gaveUp(r *repl, answers []strands.Answer, lost bool) *strands.ToolResult {
	var b strings.Builder
	if lost {
		b.WriteString(t.labels.Lost + "\nEverything defined so far is gone.\n\n")
	}
	b.WriteString(t.labels.Error + "\nThe code was stopped while a person was asked, and could not go on afterwards. It was not run again.")
	for _, a := range answers {
		response, err := json.Marshal(a.Response)
		if err != nil {
			response = []byte("?")
		}
		fmt.Fprintf(&b, "\nThe answer to %q was: %s", a.Name, response)
	}
	if made := r.calls.list(); made != "" {
		b.WriteString("\nCalls that it had made: " + made)
	}
	b.WriteString("\nLook at what it has done and go on from there.")
	return &strands.ToolResult{IsError: true, Parts: []strands.Part{strands.Text(b.String())}}
}
