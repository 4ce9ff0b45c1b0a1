package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// item is an element of a request's input and content a piece of one. The SDK
// has three families of types for the same few fields, so we write them down
// ourselves.
type item struct {
	Type             string    `json:"type"`
	Role             string    `json:"role,omitempty"`
	Content          any       `json:"content,omitempty"` // string or []content
	Summary          []content `json:"summary,omitzero"`
	EncryptedContent string    `json:"encrypted_content,omitempty"`
	CallID           string    `json:"call_id,omitempty"`
	Name             string    `json:"name,omitempty"`
	Arguments        string    `json:"arguments,omitempty"`
	Output           any       `json:"output,omitempty"` // string or []content
}

type content struct {
	Type       string      `json:"type"`
	Text       string      `json:"text,omitempty"`
	ImageURL   string      `json:"image_url,omitempty"`
	Filename   string      `json:"filename,omitempty"`
	FileData   string      `json:"file_data,omitempty"`
	FileURL    string      `json:"file_url,omitempty"`
	Breakpoint *breakpoint `json:"prompt_cache_breakpoint,omitempty"`
}

type breakpoint struct {
	Mode string `json:"mode"`
	TTL  string `json:"ttl,omitempty"`
}

// responseParams makes the body of a Responses request. Nothing is stored at
// the server: the whole history travels, with reasoning sealed by it.
func (m *Model) responseParams(req *strands.Request) (responses.ResponseNewParams, error) {
	p := responses.ResponseNewParams{Model: m.cfg.Model, Store: sdk.Bool(false)}
	if m.cfg.MaxTokens != 0 {
		p.MaxOutputTokens = sdk.Int(int64(m.cfg.MaxTokens))
	}
	if m.cfg.Temperature != nil {
		p.Temperature = sdk.Float(*m.cfg.Temperature)
	}
	if m.cfg.TopP != nil {
		p.TopP = sdk.Float(*m.cfg.TopP)
	}
	p.Reasoning.Effort = shared.ReasoningEffort(m.cfg.ReasoningEffort)
	p.Reasoning.Summary = shared.ReasoningSummary(m.cfg.ReasoningSummary)
	if m.openAI && reasons(m.cfg.Model) {
		p.Include = []responses.ResponseIncludable{responses.ResponseIncludableReasoningEncryptedContent}
	}
	for _, t := range req.Tools {
		// The default is strict, which takes a part of JSON Schema only.
		f := responses.FunctionToolParam{Name: t.Name, Strict: sdk.Bool(false)}
		if t.Description != "" {
			f.Description = sdk.String(t.Description)
		}
		f.SetExtraFields(map[string]any{"parameters": schemaOf(t)})
		p.Tools = append(p.Tools, responses.ToolUnionParam{OfFunction: &f})
	}
	switch c := req.ToolChoice; {
	case c.Tool != "":
		p.ToolChoice.OfFunctionTool = &responses.ToolChoiceFunctionParam{Name: c.Tool}
	case c.Any:
		p.ToolChoice.OfToolChoiceMode = sdk.Opt(responses.ToolChoiceOptionsRequired)
	}
	input, err := m.responseInput(req)
	if err != nil {
		return p, err
	}
	extra := map[string]any{"input": input}
	if text := systemText(req.System); text != "" && !m.cfg.CachePoints {
		extra["instructions"] = text
	}
	for k, v := range m.cfg.Extra {
		extra[k] = v
	}
	p.SetExtraFields(extra)
	return p, nil
}

// reasons says whether one of OpenAI's models thinks; those that do not refuse
// to be asked for sealed reasoning.
func reasons(model string) bool {
	model = strings.TrimPrefix(model, "ft:")
	for _, prefix := range []string{"gpt-3", "gpt-4", "gpt-5-chat", "chatgpt", "computer-use"} {
		if strings.HasPrefix(model, prefix) {
			return false
		}
	}
	return true
}

func systemText(system []strands.Part) string {
	var texts []string
	for _, p := range system {
		if p.Text != "" {
			texts = append(texts, p.Text)
		}
	}
	return strings.Join(texts, "\n\n")
}

func (m *Model) responseInput(req *strands.Request) ([]item, error) {
	items := []item{}
	if m.cfg.CachePoints {
		system, err := m.contents(req.System)
		if err != nil {
			return nil, err
		}
		if len(system) > 0 {
			items = append(items, item{Type: "message", Role: "system", Content: system})
		}
	}
	for _, msg := range req.Messages {
		add := m.userItems
		if msg.Role == strands.Assistant {
			add = m.assistantItems
		}
		more, err := add(msg)
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
	}
	return items, nil
}

func (m *Model) userItems(msg strands.Message) ([]item, error) {
	var items []item
	var rest []strands.Part
	for _, p := range msg.Parts {
		if p.ToolResult == nil {
			rest = append(rest, p)
			continue
		}
		output, err := m.resultOutput(p.ToolResult)
		if err != nil {
			return nil, err
		}
		items = append(items, item{Type: "function_call_output", CallID: p.ToolResult.CallID, Output: output})
	}
	parts, err := m.contents(rest)
	if len(parts) > 0 {
		items = append(items, item{Type: "message", Role: "user", Content: parts})
	}
	return items, err
}

// resultOutput is a string, or a list when there are pictures or files.
func (m *Model) resultOutput(r *strands.ToolResult) (any, error) {
	text, media := flatten(r)
	if media == nil {
		return text, nil
	}
	parts, err := m.contents(append([]strands.Part{strands.Text(text)}, media...))
	return parts, err
}

func (m *Model) contents(parts []strands.Part) ([]content, error) {
	var out []content
	for _, p := range parts {
		switch {
		case p.Image != nil:
			u, err := m.imageURL(p.Image)
			if err != nil {
				return nil, err
			}
			out = append(out, content{Type: "input_image", ImageURL: u})
		case p.Document != nil:
			c, err := m.responseDocument(p.Document)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case p.CachePoint != nil:
			if m.cfg.CachePoints && len(out) > 0 {
				out[len(out)-1].Breakpoint = &breakpoint{Mode: "explicit", TTL: ttlOf(p.CachePoint)}
			}
		case p.Cited != nil:
			out = append(out, content{Type: "input_text", Text: p.Cited.Text})
		case p.Video != nil, p.Guard != nil, p.Reasoning != nil, p.ToolCall != nil, p.JSON != nil:
			return nil, m.wire.Cannot(p)
		case p.Text != "":
			out = append(out, content{Type: "input_text", Text: p.Text})
		}
	}
	return out, nil
}

// officeTypes are the documents, beside PDF and text, that the server reads.
var officeTypes = map[string]string{
	"application/pdf":    ".pdf",
	"application/msword": ".doc",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
	"application/vnd.ms-excel": ".xls",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         ".xlsx",
	"application/vnd.ms-powerpoint":                                             ".ppt",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
	"application/rtf": ".rtf",
}

func (m *Model) responseDocument(d *strands.Media) (content, error) {
	if text, ok := wire.TextDocument(d); ok {
		return content{Type: "input_text", Text: text}, nil
	}
	ending, ok := officeTypes[d.MIME]
	switch {
	case ok && d.Data != nil:
		name := cmp.Or(d.Name, "document")
		if !strings.HasSuffix(name, ending) {
			name += ending // the server goes by it
		}
		return content{Type: "input_file", Filename: name, FileData: wire.DataURL(d)}, nil
	case ok && strings.HasPrefix(d.URI, "http"):
		return content{Type: "input_file", FileURL: d.URI}, nil
	}
	return content{}, m.wire.Refuse("a document of type %q at %q cannot be sent; send its text, or the bytes or https address of a PDF or Office file", d.MIME, d.URI)
}

func (m *Model) assistantItems(msg strands.Message) ([]item, error) {
	var items []item
	for _, p := range msg.Parts {
		switch {
		case p.ToolCall != nil:
			items = append(items, item{
				Type: "function_call", CallID: p.ToolCall.ID, Name: p.ToolCall.Name, Arguments: string(p.ToolCall.Input),
			})
		case p.Reasoning != nil:
			// Without the server's seal it would not be believed.
			if p.Reasoning.Signature != "" && m.openAI {
				items = append(items, item{Type: "reasoning", Summary: []content{}, EncryptedContent: p.Reasoning.Signature})
			}
		case p.Image != nil, p.Document != nil, p.Video != nil, p.Guard != nil, p.ToolResult != nil, p.JSON != nil:
			return nil, m.wire.Cannot(p)
		case p.Cited != nil:
			items = append(items, item{Type: "message", Role: "assistant", Content: p.Cited.Text})
		case p.Text != "":
			items = append(items, item{Type: "message", Role: "assistant", Content: p.Text})
		}
	}
	return items, nil
}

// CountTokens implements strands.TokenCounter. Only OpenAI's own server counts.
func (m *Model) CountTokens(ctx context.Context, req *strands.Request) (int, error) {
	if m.wire.Invalid != nil {
		return 0, m.wire.Invalid
	}
	if !m.openAI {
		return 0, m.wire.Refuse("this server cannot count tokens")
	}
	p, err := m.responseParams(req)
	if err != nil {
		return 0, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return 0, m.wire.Refuse("the request cannot be written as JSON: %v", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return 0, m.wire.Refuse("the request cannot be written as JSON: %v", err)
	}
	counted := map[string]json.RawMessage{}
	for _, k := range []string{"model", "input", "instructions", "tools", "tool_choice", "reasoning", "text"} {
		if v, ok := all[k]; ok {
			counted[k] = v
		}
	}
	if b, err = json.Marshal(counted); err != nil {
		return 0, m.wire.Refuse("the request cannot be written as JSON: %v", err)
	}
	ctx, call := m.wire.Begin(ctx)
	defer call.End()
	n, err := m.responses.InputTokens.Count(ctx, responses.InputTokenCountParams{}, option.WithRequestBody("application/json", b))
	if err != nil {
		return 0, m.fail(call, err)
	}
	return int(n.InputTokens), nil
}
