package python

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python/worker"
)

const (
	defaultLoadTimeout = 30 * time.Second
	maxReason          = 4 << 10
)

func sdkModule() Module { return Module{Name: "strands", Files: worker.SDK()} }

// loadRequest is what strands._serve takes to load an item.
type loadRequest struct {
	ID       string   `json:"id"`
	Do       string   `json:"do"`
	Entry    string   `json:"entry"`
	Version  string   `json:"version"`
	Root     string   `json:"root"`
	Listing  []string `json:"listing"`
	Fresh    bool     `json:"fresh"`
	Module   string   `json:"module"`
	Function string   `json:"function"`
	File     string   `json:"file"` // how the source is called; "" = the module is imported
	Source   string   `json:"source"`
}

// toldTool is a tool as the worker describes it.
type toldTool struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Input       string `json:"input"`
	Output      string `json:"output"`
	Stream      bool   `json:"stream"`
	From        string `json:"from"` // the module that defines it
}

// load tries the item as it is now. What is wrong with it is noted in it; an
// error is about the session, or ctx. It is one's turn.
func (d *Directory) load(ctx context.Context, it *item) error {
	d.mu.Lock()
	source, err := "", error(nil)
	if it.file != nil {
		source, err = readSource(it.file.path)
		it.file.note(source, err)
	}
	it.seen, it.listing = it.root.generation, it.root.listing()
	d.mu.Unlock()
	if err != nil {
		d.failed(it, &LoadError{Path: it.key, Reason: err.Error()})
		return nil
	}
	d.version++
	version := strconv.Itoa(d.version)
	a, err := d.request(ctx, it, source, version)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, strands.ErrClosed) {
			return err
		}
		if _, ok := errors.AsType[*codeError](err); !ok {
			return err
		}
		d.failed(it, &LoadError{Path: it.key, Reason: err.Error()})
		return nil
	}
	if a.Error != "" {
		d.failed(it, &LoadError{Path: it.key, Reason: clip(a.Error, maxReason), Traceback: clip(a.Traceback, maxDoc)})
		return nil
	}
	tools, err := d.offers(it, a.Tools)
	if err != nil {
		d.failed(it, &LoadError{Path: it.key, Reason: err.Error()})
		return nil
	}
	d.mu.Lock()
	again := it.version != ""
	it.source, it.version, it.tools, it.err = source, version, tools, nil
	d.mu.Unlock()
	if again {
		d.log().InfoContext(ctx, "tools were loaded again", "file", it.key, "tools", len(tools))
	}
	return nil
}

func (d *Directory) failed(it *item, err *LoadError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err.Kept = it.tools != nil
	it.err = err
}

// request asks the worker to load a version of an item.
func (d *Directory) request(ctx context.Context, it *item, source, version string) (*toldAnswer, error) {
	d.mu.Lock()
	r := loadRequest{
		Do: "load", Entry: it.key, Version: version, Root: it.root.dir, Listing: it.root.names(), Fresh: it.root.fresh,
		Module: it.module, Function: it.function, Source: source,
	}
	if it.file != nil {
		r.File = it.key
	}
	it.root.fresh = false
	d.mu.Unlock()
	if _, err := d.open(ctx); err != nil { // which may install packages
		return nil, err
	}
	limit := cmp.Or(d.LoadTimeout, defaultLoadTimeout)
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	x := &exchange{ctx: ctx, id: newRunIDText(), quiet: true}
	r.ID = x.id
	a, err := d.exchange(bounded, x, r)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return nil, &codeError{fmt.Sprintf("it was not imported within %v", limit)}
	}
	return a, err
}

// offers makes the tools of an item. It is all of them or none: half a file is
// no version of it.
func (d *Directory) offers(it *item, told []toldTool) ([]offered, error) {
	var tools []offered
	for _, t := range told {
		spec := strands.ToolSpec{
			Name: t.Name, Description: clip(t.Description, maxDoc), InputSchema: json.RawMessage(t.Input),
		}
		if t.Output != "" {
			spec.OutputSchema = json.RawMessage(t.Output)
		}
		if err := checkTold(spec); err != nil {
			return nil, err
		}
		f := &fileTool{d: d, it: it, spec: spec, from: t.From}
		if t.Stream {
			tools = append(tools, &streamFileTool{f})
		} else {
			tools = append(tools, f)
		}
	}
	return tools, nil
}

// checkTold refuses what no model accepts: one such tool would fail every run.
// The schema is not held against its own defaults, which the SDK does not do
// either: "n: int = None" is common.
func checkTold(spec strands.ToolSpec) error {
	if _, err := strands.NewRawTool(strands.ToolSpec{Name: spec.Name, InputSchema: json.RawMessage(`{"type":"object"}`)}, nil); err != nil {
		return err
	}
	var shape struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(spec.InputSchema, &shape); err != nil || shape.Type != "object" {
		return fmt.Errorf("the input schema of %s is not of type object", spec.Name)
	}
	_, err := describe(spec)
	return err
}

// codeError is about the Python code: it raised, or had to be stopped.
type codeError struct{ text string }

func (e *codeError) Error() string { return e.text }

// exchange gives the worker a request, lets it work, and returns its answer.
func (d *Directory) exchange(ctx context.Context, x *exchange, request any) (*toldAnswer, error) {
	session, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	if x.request, err = json.Marshal(request); err != nil {
		return nil, err
	}
	x.d = d
	d.host.begin(x)
	defer d.host.end()
	var res *Result
	for o, err := range session.Exec(unscoped{ctx}, "_strands_serve(_strands_host)") {
		if err != nil {
			return nil, err
		}
		if res = o.Result; res != nil || x.quiet {
			continue
		}
		if err := strands.Emit(x.ctx, strands.Event{Output: toolOutput(o)}); err != nil {
			return nil, err
		}
	}
	a := x.take()
	switch {
	case a != nil:
		return a, nil
	case res != nil && res.Err != nil:
		return nil, &codeError{strings.TrimSpace(clip(res.Err.Error(), maxReason))}
	case res != nil && res.StateLost:
		return nil, &codeError{res.Lost}
	}
	return nil, &codeError{"the Python code gave no answer"}
}

// unscoped is a context whose host calls are not those of a run: they are how
// we talk with our own code, and no hook or limit is to see them.
type unscoped struct{ context.Context }

// Value implements context.Context.
func (unscoped) Value(any) any { return nil }
