package python

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/strandsgo/strands"
)

// fileTool is a tool of a file. When the file was loaded again, it calls the
// new version of its name.
type fileTool struct {
	d    *Directory
	it   *item
	spec strands.ToolSpec
	from string // the module that defines it
}

// streamFileTool is one that was written as a generator.
type streamFileTool struct{ *fileTool }

func (t *fileTool) function() *fileTool { return t }

// Spec implements strands.Tool.
func (t *fileTool) Spec() strands.ToolSpec { return t.spec }

// Call implements strands.Tool. What the Python code does wrong is an error
// result in the words of the Strands SDK.
func (t *fileTool) Call(ctx context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	var last *strands.ToolResult
	a, err := t.d.call(ctx, t, call, func(item *strands.ToolResult) error {
		last = item
		return nil
	})
	if err == nil && last != nil && !a.IsError {
		a = last
	}
	return a, err
}

// Stream implements strands.StreamTool.
func (t *streamFileTool) Stream(ctx context.Context, call *strands.ToolCall) iter.Seq2[*strands.ToolResult, error] {
	type end struct {
		res *strands.ToolResult
		err error
	}
	return func(yield func(*strands.ToolResult, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		items, ended := make(chan *strands.ToolResult), make(chan end, 1)
		go func() {
			res, err := t.d.call(ctx, t.fileTool, call, func(item *strands.ToolResult) error {
				select {
				case items <- item:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
			ended <- end{res, err}
		}()
		joined := false
		defer func() {
			cancel()
			if !joined {
				<-ended
			}
		}()
		for n := 0; ; n++ {
			select {
			case item := <-items:
				if !yield(item, nil) {
					return
				}
			case e := <-ended:
				joined = true
				if e.err != nil || e.res.IsError || n == 0 { // else the last item was the answer
					yield(e.res, e.err)
				}
				return
			}
		}
	}
}

// callRequest is what strands._serve takes to call a tool.
type callRequest struct {
	ID      string `json:"id"`
	Do      string `json:"do"`
	Entry   string `json:"entry"`
	Version string `json:"version"`
	Root    string `json:"root"`
	Name    string `json:"name"`
	CallID  string `json:"callId"`
	Input   string `json:"input"`
	Agent   string `json:"agent"`
}

// call runs a tool in the session. Its file is loaded again first when it has
// changed, and also when the session lost it.
func (d *Directory) call(ctx context.Context, t *fileTool, call *strands.ToolCall, item func(*strands.ToolResult) error) (*strands.ToolResult, error) {
	if within(ctx, d) {
		return nil, fmt.Errorf("%s is of the same folder as the tool that calls it: call its function", t.spec.Name)
	}
	release, err := d.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := d.renew(ctx, t.it); err != nil {
		return nil, err
	}
	input := call.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	for range 2 {
		x := &exchange{ctx: entered(ctx, d), id: newRunIDText(), item: item}
		a, err := d.exchange(ctx, x, callRequest{
			ID: x.id, Do: "call", Entry: t.it.key, Version: t.it.version, Root: t.it.root.dir, Name: t.spec.Name,
			CallID: call.ID, Input: string(input), Agent: "agent",
		})
		if stop := x.stopped(); stop != nil {
			return nil, stop
		}
		if err != nil {
			return nil, err
		}
		if !a.Missing {
			return a.result(call.ID), nil
		}
		if err := d.restore(ctx, t); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the interpreter of %s loses what it has loaded", t.it.key)
}

// renew loads the item again when it has changed. One whose file is gone stays
// as it was until the run is over.
func (d *Directory) renew(ctx context.Context, it *item) error {
	d.mu.Lock()
	stale := it.stale()
	if stale && it.file != nil {
		_, err := readSource(it.file.path)
		stale = err == nil
	}
	d.mu.Unlock()
	if !stale {
		return nil
	}
	if err := d.load(ctx, it); err != nil {
		return err
	}
	_, err := d.publish()
	if it.tools != nil {
		return nil
	}
	return err
}

// restore loads the version in use into a session that does not have it.
func (d *Directory) restore(ctx context.Context, t *fileTool) error {
	known := false
	for _, o := range t.it.tools {
		known = known || o.function().spec.Name == t.spec.Name
	}
	if !known {
		return fmt.Errorf("there is no tool %s in %s any more", t.spec.Name, t.it.key)
	}
	a, err := d.request(ctx, t.it, t.it.source, t.it.version)
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return fmt.Errorf("loading %s again: %w", t.it.key, err)
	}
	return nil
}

type withinKey struct{ d *Directory }

// entered marks the context of a call of one of d's tools, within which
// another one would wait for ever.
func entered(ctx context.Context, d *Directory) context.Context {
	return context.WithValue(ctx, withinKey{d}, true)
}

func within(ctx context.Context, d *Directory) bool { return ctx.Value(withinKey{d}) != nil }

func newRunIDText() string {
	id := newRunID()
	return hex.EncodeToString(id[:])
}

// toldAnswer is what strands._serve says at the end.
type toldAnswer struct {
	Missing   bool       `json:"missing"` // the version is not loaded
	Error     string     `json:"error"`   // of loading
	Traceback string     `json:"traceback"`
	Tools     []toldTool `json:"tools"`

	Status  string            `json:"status"` // of a call
	Content []json.RawMessage `json:"content"`
	JSON    bool              `json:"json"` // the one text is JSON
}

// result makes a tool result of the SDK's form.
func (a *toldAnswer) result(callID string) *strands.ToolResult {
	r := &strands.ToolResult{CallID: callID, IsError: a.Status == "error"}
	for _, raw := range a.Content {
		r.Parts = append(r.Parts, partOf(raw))
	}
	if a.JSON && len(r.Parts) == 1 {
		if raw := json.RawMessage(r.Parts[0].Text); json.Valid(raw) { // Python writes NaN too
			r.Value = raw // numbers stay what they are
		}
	}
	return r
}

// sdkMedia is a picture, document or video in the SDK's form.
type sdkMedia struct {
	Format  string `json:"format"`
	Name    string `json:"name"`
	Context string `json:"context"`
	Source  struct {
		Bytes    string `json:"bytes"`
		Location struct {
			URI string `json:"uri"`
		} `json:"location"`
	} `json:"source"`
}

// partOf translates one piece of a result; what it cannot is shown as JSON.
func partOf(raw json.RawMessage) strands.Part {
	var c struct {
		Text     *string   `json:"text"`
		JSON     *string   `json:"json"`
		Image    *sdkMedia `json:"image"`
		Document *sdkMedia `json:"document"`
		Video    *sdkMedia `json:"video"`
	}
	if json.Unmarshal(raw, &c) == nil {
		switch {
		case c.Text != nil:
			return strands.Text(*c.Text)
		case c.JSON != nil && json.Valid([]byte(*c.JSON)):
			return strands.Part{JSON: json.RawMessage(*c.JSON)}
		case c.Image != nil:
			if m, ok := c.Image.media("image/"); ok {
				return strands.Part{Image: m}
			}
		case c.Document != nil:
			if m, ok := c.Document.media(""); ok {
				return strands.Part{Document: m}
			}
		case c.Video != nil:
			if m, ok := c.Video.media("video/"); ok {
				return strands.Part{Video: m}
			}
		}
	}
	return strands.Text(string(raw))
}

// mimes are of formats whose names are not those of their types.
var mimes = map[string]string{
	"pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "txt": "text/plain", "md": "text/markdown",
	"doc": "application/msword", "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls": "application/vnd.ms-excel", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"jpg": "image/jpeg", "mkv": "video/x-matroska", "mov": "video/quicktime", "flv": "video/x-flv", "wmv": "video/x-ms-wmv",
	"mpg": "video/mpeg", "three_gp": "video/3gpp",
}

func (m *sdkMedia) media(family string) (*strands.Media, bool) {
	mime := mimes[m.Format]
	if mime == "" {
		mime = family + m.Format
	}
	out := &strands.Media{MIME: mime, Name: m.Name, Context: m.Context, URI: m.Source.Location.URI}
	if out.URI == "" {
		data, err := base64.StdEncoding.DecodeString(m.Source.Bytes)
		if err != nil || len(data) == 0 {
			return nil, false
		}
		out.Data = data
	}
	return out, strings.Contains(mime, "/")
}
