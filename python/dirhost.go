package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/strandsgo/strands"
)

// exchange is one request to strands._serve: of loading a file, or of a call.
type exchange struct {
	d       *Directory
	ctx     context.Context // of the tool call, with its run
	id      string          // what comes under another one is from code that should be over
	request []byte
	item    func(*strands.ToolResult) error
	quiet   bool // what the code prints is nobody's business

	mu     sync.Mutex
	taken  bool
	answer *toldAnswer
	stop   error // of the run, or a question to a person
}

func (x *exchange) take() *toldAnswer {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.answer
}

func (x *exchange) stopped() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stop
}

// end notes why the call cannot go on. The first reason counts.
func (x *exchange) end(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stop == nil {
		x.stop = err
	}
	return errors.New("the call has been stopped")
}

// directoryHost is the host function by which the Python side of a Directory
// talks: _strands_host(operation, body).
type directoryHost struct {
	mu      sync.Mutex
	present *exchange // nil = none is under way
}

func (h *directoryHost) begin(x *exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.present = x
}

func (h *directoryHost) end() { h.begin(nil) }

// Spec implements strands.Tool.
func (*directoryHost) Spec() strands.ToolSpec {
	return strands.ToolSpec{Name: "_strands_host", InputSchema: json.RawMessage(
		`{"type":"object","properties":{"op":{"type":"string"},"body":{}},"required":["op","body"]}`)}
}

// Call implements strands.Tool. Everything in it comes from the worker.
func (h *directoryHost) Call(_ context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	h.mu.Lock()
	x := h.present
	h.mu.Unlock()
	var in struct {
		Op   string          `json:"op"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(call.Input, &in); err != nil || x == nil {
		return nil, errors.New("no tool is being called")
	}
	switch in.Op {
	case "take":
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.taken {
			return nil, errors.New("the request was taken before")
		}
		x.taken = true
		return reply(string(x.request))
	case "source":
		return x.source(in.Body)
	}
	var under struct {
		ID   string          `json:"id"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(in.Body, &under); err != nil || under.ID != x.id {
		return nil, errors.New("the call that this belongs to is over")
	}
	return x.do(in.Op, under.Body)
}

func reply(text string) (*strands.ToolResult, error) {
	return &strands.ToolResult{Parts: []strands.Part{strands.Text(text)}, Value: text}, nil
}

func replyJSON(v any) (*strands.ToolResult, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return reply(string(b))
}

// do is what a tool may do while it is called.
func (x *exchange) do(op string, body json.RawMessage) (*strands.ToolResult, error) {
	var in struct {
		Name   string  `json:"name"`
		Reason any     `json:"reason"`
		Key    *string `json:"key"`
		Value  string  `json:"value"`
		Input  string  `json:"input"`
	}
	switch op {
	case "answer", "item":
		return x.note(op, body)
	case "interrupt", "get", "set", "invoke":
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
	}
	s := strands.SessionFrom(x.ctx)
	if s == nil {
		return nil, fmt.Errorf("%s: the tool is not called by an agent", op)
	}
	switch op {
	case "interrupt":
		return x.interrupt(in.Name, in.Reason)
	case "get":
		if in.Key == nil {
			return replyJSON(s.Values())
		}
		var v any
		if _, err := s.Get(*in.Key, &v); err != nil {
			return nil, err
		}
		return replyJSON(v)
	case "set":
		var v any
		if err := json.Unmarshal([]byte(in.Value), &v); err != nil || in.Key == nil {
			return nil, errors.New("give a key and a value that is JSON")
		}
		if err := s.Set(*in.Key, v); err != nil {
			return nil, err
		}
		return reply("")
	case "messages":
		return replyJSON(sdkMessages(s.Messages()))
	case "invoke":
		return x.invoke(s, in.Name, in.Input)
	}
	return nil, fmt.Errorf("there is no operation %q", op)
}

// note takes the answer, or an item of a generator.
func (x *exchange) note(op string, body json.RawMessage) (*strands.ToolResult, error) {
	a := new(toldAnswer)
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if op == "item" {
		if x.item == nil {
			return nil, errors.New("nobody wants items")
		}
		if err := x.item(a.result("")); err != nil {
			return nil, err
		}
		return reply("")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.answer != nil {
		return nil, errors.New("the call has its answer")
	}
	x.answer = a
	return reply("")
}

// source answers an import from the folder of the tools.
func (x *exchange) source(body json.RawMessage) (*strands.ToolResult, error) {
	var in struct{ Root, Name string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	r := x.d.roots[in.Root]
	if r == nil {
		return nil, fmt.Errorf("%q is no folder of tools", in.Root)
	}
	path, source, pkg, ok, err := r.source(in.Name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return reply("null")
	}
	return replyJSON(map[string]any{"file": path, "source": source, "package": pkg})
}

func (x *exchange) interrupt(name string, reason any) (*strands.ToolResult, error) {
	v, err := strands.RequestInput(x.ctx, name, reason)
	if q, ok := errors.AsType[*strands.InterruptError](err); ok {
		_ = x.end(err) // our words are not shown: the tool is unwound
		return replyJSON(map[string]string{"id": q.Interrupts[0].ID})
	}
	if err != nil {
		return nil, err
	}
	return replyJSON(map[string]any{"response": v})
}

// invoke calls another tool of the agent, seen by its hooks and limits.
func (x *exchange) invoke(s *strands.Session, name, input string) (*strands.ToolResult, error) {
	t := s.Tool(name)
	if t == nil {
		t = s.Tool(strings.ReplaceAll(name, "_", "-"))
	}
	if t == nil {
		return nil, fmt.Errorf("the agent has no tool %q that can be called from here", name)
	}
	call := &strands.ToolCall{Name: t.Spec().Name, Input: json.RawMessage(input)}
	res, err := strands.Invoke(x.ctx, t, call)
	if err != nil {
		return nil, x.end(err)
	}
	return replyJSON(sdkResult(res))
}

func sdkResult(res *strands.ToolResult) map[string]any {
	status := "success"
	if res.IsError {
		status = "error"
	}
	content := []any{}
	for _, p := range res.Parts {
		content = append(content, sdkBlock(p))
	}
	return map[string]any{"toolUseId": res.CallID, "status": status, "content": content}
}

// sdkMessages are messages in the SDK's form; of pictures, documents and what
// a model thought only the place is kept.
func sdkMessages(messages []strands.Message) []any {
	out := []any{}
	for _, m := range messages {
		content := []any{}
		for _, p := range m.Parts {
			content = append(content, sdkBlock(p))
		}
		out = append(out, map[string]any{"role": m.Role, "content": content})
	}
	return out
}

func sdkBlock(p strands.Part) map[string]any {
	switch {
	case p.ToolCall != nil:
		return map[string]any{"toolUse": map[string]any{
			"toolUseId": p.ToolCall.ID, "name": p.ToolCall.Name, "input": p.ToolCall.Input,
		}}
	case p.ToolResult != nil:
		return map[string]any{"toolResult": sdkResult(p.ToolResult)}
	case p.JSON != nil:
		return map[string]any{"json": p.JSON}
	case p.Cited != nil:
		return map[string]any{"text": p.Cited.Text}
	case p.Image != nil:
		return map[string]any{"text": "[image]"}
	case p.Document != nil:
		return map[string]any{"text": "[document]"}
	case p.Video != nil:
		return map[string]any{"text": "[video]"}
	case p.Reasoning != nil:
		return map[string]any{"text": ""}
	}
	return map[string]any{"text": p.Text}
}
