package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/strandsgo/strands"
)

// tool is one tool of a server.
type tool struct {
	p    *Provider
	name string // as the server calls it
	spec strands.ToolSpec
}

// tool makes the strands.Tool of t. What the server says of it is text from
// outside: names that no model accepts are mended, schemas must be objects.
func (p *Provider) tool(t *sdk.Tool) (*tool, error) {
	name := t.Name
	if p.s.Prefix != "" {
		name = p.s.Prefix + "_" + name
	}
	input, err := inputSchema(t.InputSchema)
	if err != nil {
		return nil, fmt.Errorf("its input schema: %w", err)
	}
	spec := strands.ToolSpec{Name: mend(name), Description: t.Description, InputSchema: input}
	if t.Description == "" {
		spec.Description = t.Title
	}
	if t.OutputSchema != nil {
		if spec.OutputSchema, err = inOrder(t.OutputSchema); err != nil {
			return nil, fmt.Errorf("its output schema: %w", err)
		}
	}
	return &tool{p: p, name: t.Name, spec: spec}, nil
}

// mend makes a name that models accept.
func mend(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 128 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-') {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), 64)]
}

// Spec implements strands.Tool.
func (t *tool) Spec() strands.ToolSpec { return t.spec }

// Call implements strands.Tool. A server that is gone or does not answer is an
// error result; it does not end the run.
func (t *tool) Call(ctx context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	session, err := t.p.live(ctx)
	if err != nil {
		return nil, err
	}
	limit := ctx
	if t.p.s.CallTimeout > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, t.p.s.CallTimeout)
		defer cancel()
	}
	defer t.p.watch(limit, session)()
	res, err := session.CallTool(limit, &sdk.CallToolParams{Meta: traceOf(ctx), Name: t.name, Arguments: call.Input})
	wire, _ := errors.AsType[*jsonrpc.Error](err)
	switch {
	case err == nil:
		return result(call.ID, res), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case wire != nil && wire.Code == visitFirst:
		return nil, visit(wire)
	case limit.Err() != nil:
		return nil, fmt.Errorf("MCP server %s did not answer within %v; whether it did what was asked is unknown", t.p.s.Name, t.p.s.CallTimeout)
	case wire == nil: // not the server's words: the connection is of no use any more
		t.p.broken(session, err)
		return nil, fmt.Errorf("the connection to MCP server %s broke during the call; whether it did what was asked is unknown; the next call connects anew", t.p.s.Name)
	}
	return nil, fmt.Errorf("MCP server %s: %w", t.p.s.Name, err)
}

// traceOf is the trace that a call belongs to, for the server's own spans.
func traceOf(ctx context.Context) sdk.Meta {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return nil
	}
	meta := sdk.Meta{}
	for k, v := range carrier {
		meta[k] = v
	}
	return meta
}

// visitFirst is the error of a server that wants a person to visit a page.
const visitFirst = -32042

// visit says which pages.
func visit(e *jsonrpc.Error) error {
	var data struct {
		Elicitations []struct {
			URL     string `json:"url"`
			Message string `json:"message"`
		} `json:"elicitations"`
	}
	text := "a person must visit a page before this can be done: " + e.Message
	if json.Unmarshal(e.Data, &data) == nil { // else the message must do
		for _, el := range data.Elicitations {
			text += "\n" + strings.TrimSpace(el.Message+" "+el.URL)
		}
	}
	return errors.New(text)
}

// live returns a connection for a call.
func (p *Provider) live(ctx context.Context) (*sdk.ClientSession, error) {
	p.mu.Lock()
	session, closed := p.session, p.closed
	p.mu.Unlock()
	if closed {
		return nil, strands.ErrClosed
	}
	if session != nil {
		return session, nil
	}
	err := p.alone(ctx, func(ctx context.Context) (err error) {
		if session, err = p.connect(ctx); err != nil {
			return fmt.Errorf("MCP server %s cannot be reached: %w", p.s.Name, err)
		}
		return nil
	})
	return session, err
}

// result translates what a server answered. The structured content is what
// Python code gets; the model reads the rest, or that when there is no rest.
func result(callID string, res *sdk.CallToolResult) *strands.ToolResult {
	r := &strands.ToolResult{CallID: callID, IsError: res.IsError, Value: res.StructuredContent}
	for _, c := range res.Content {
		if p, ok := part(c); ok {
			r.Parts = append(r.Parts, p)
		}
	}
	if len(r.Parts) == 0 && res.StructuredContent != nil {
		if raw, err := json.Marshal(res.StructuredContent); err == nil {
			r.Parts = []strands.Part{{JSON: raw}}
		}
	}
	if res.StructuredContent == nil && len(r.Parts) == 1 && r.Parts[0].Image == nil {
		r.Value = r.Parts[0].Text
	}
	return r
}

var pictures = map[string]bool{"image/png": true, "image/jpeg": true, "image/jpg": true, "image/gif": true, "image/webp": true}

// part translates one piece of content; false when there is nothing to show.
func part(c sdk.Content) (strands.Part, bool) {
	switch c := c.(type) {
	case *sdk.TextContent:
		return strands.Text(c.Text), c.Text != ""
	case *sdk.ImageContent:
		return blob(c.MIMEType, "", c.Data), true
	case *sdk.AudioContent:
		return strands.Text(fmt.Sprintf("[audio: %s, %d bytes]", c.MIMEType, len(c.Data))), true
	case *sdk.ResourceLink:
		return strands.Text(fmt.Sprintf("[resource: %s %s]", c.URI, c.Name)), true
	case *sdk.EmbeddedResource:
		if c.Resource == nil {
			return strands.Part{}, false
		}
		if c.Resource.Text != "" {
			return strands.Text(c.Resource.Text), true
		}
		return blob(c.Resource.MIMEType, c.Resource.URI, c.Resource.Blob), true
	}
	return strands.Part{}, false
}

// blob shows bytes: a picture that models can see, a text, or what it is.
func blob(mime, uri string, data []byte) strands.Part {
	switch {
	case pictures[mime] && len(data) > 0:
		return strands.Part{Image: &strands.Media{MIME: strings.Replace(mime, "jpg", "jpeg", 1), Data: data}}
	case strings.HasPrefix(mime, "text/") || mime == "application/json" || mime == "application/xml":
		return strands.Text(strings.ToValidUTF8(string(data), "\ufffd"))
	}
	return strands.Text(strings.TrimSpace(fmt.Sprintf("[%s, %d bytes] %s", mime, len(data), uri)))
}
