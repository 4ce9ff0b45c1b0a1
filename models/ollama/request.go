package ollama

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

type message struct {
	Role       string   `json:"role"`
	Content    string   `json:"content"`
	Thinking   string   `json:"thinking,omitempty"`
	Images     [][]byte `json:"images,omitempty"`
	ToolCalls  []call   `json:"tool_calls,omitempty"`
	ToolName   string   `json:"tool_name,omitempty"`
	ToolCallID string   `json:"tool_call_id,omitempty"`
}

type call struct {
	ID       string   `json:"id,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// body makes the body of a request.
func (m *Model) body(req *strands.Request) (map[string]any, error) {
	body := map[string]any{
		"model": m.cfg.Model, "stream": true, "options": m.options(),
		// A prompt that does not fit is an error, not cut; and a reply that
		// fills the window ends there.
		"truncate": false, "shift": false,
	}
	switch m.cfg.Think {
	case "":
	case "on", "off":
		body["think"] = m.cfg.Think == "on"
	default:
		body["think"] = m.cfg.Think
	}
	switch k := m.cfg.KeepAlive; {
	case k < 0:
		body["keep_alive"] = -1
	case k > 0:
		body["keep_alive"] = k.Round(time.Second).String()
	}
	system := req.System
	if f := forcedTool(req); f != nil {
		body["format"] = f.format()
		system = append(append([]strands.Part{}, system...), strands.Text(f.instruction()))
	} else if len(req.Tools) > 0 {
		body["tools"] = tools(req.Tools)
	}
	messages, err := m.messages(system, req.Messages)
	if err != nil {
		return nil, err
	}
	body["messages"] = messages
	for k, v := range m.cfg.Extra {
		body[k] = v
	}
	return body, nil
}

func (m *Model) options() map[string]any {
	o := map[string]any{}
	if m.cfg.ContextWindow != 0 {
		o["num_ctx"] = m.cfg.ContextWindow
	}
	if m.cfg.MaxTokens != 0 {
		o["num_predict"] = m.cfg.MaxTokens
	}
	if m.cfg.Temperature != nil {
		o["temperature"] = *m.cfg.Temperature
	}
	if m.cfg.TopP != nil {
		o["top_p"] = *m.cfg.TopP
	}
	if m.cfg.Stop != nil {
		o["stop"] = m.cfg.Stop
	}
	for k, v := range m.cfg.Options {
		o[k] = v
	}
	return o
}

func tools(specs []strands.ToolSpec) []tool {
	out := make([]tool, len(specs))
	for i, s := range specs {
		out[i].Type = "function"
		out[i].Function.Name, out[i].Function.Description, out[i].Function.Parameters = s.Name, s.Description, schemaOf(s)
	}
	return out
}

func schemaOf(s strands.ToolSpec) json.RawMessage {
	if len(s.InputSchema) == 0 {
		return json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return s.InputSchema
}

func (m *Model) messages(system []strands.Part, history []strands.Message) ([]message, error) {
	out := []message{}
	var texts []string
	for _, p := range system {
		if p.Text != "" {
			texts = append(texts, p.Text)
		}
	}
	if texts != nil {
		out = append(out, message{Role: "system", Content: strings.Join(texts, "\n\n")})
	}
	names := map[string]string{} // of tools by call
	for _, msg := range history {
		for _, c := range msg.ToolCalls() {
			names[c.ID] = c.Name
		}
		if msg.Role == strands.Assistant {
			a, err := m.assistant(msg)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
			continue
		}
		more, err := m.user(msg, names)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func (m *Model) assistant(msg strands.Message) (message, error) {
	out := message{Role: "assistant"}
	for _, p := range msg.Parts {
		switch {
		case p.ToolCall != nil:
			out.ToolCalls = append(out.ToolCalls, call{ID: p.ToolCall.ID, Function: function{Name: p.ToolCall.Name, Arguments: p.ToolCall.Input}})
		case p.Reasoning != nil:
			out.Thinking += p.Reasoning.Text
		case p.Cited != nil:
			out.Content += p.Cited.Text
		case p.Image != nil, p.Document != nil, p.Video != nil, p.Guard != nil, p.ToolResult != nil, p.JSON != nil:
			return out, m.wire.Cannot(p)
		default:
			out.Content += p.Text
		}
	}
	return out, nil
}

// user turns a message into those of the protocol: one for each tool result,
// then one of what is left, with the pictures of the results.
func (m *Model) user(msg strands.Message, names map[string]string) ([]message, error) {
	var out []message
	rest := message{Role: "user"}
	for _, p := range msg.Parts {
		if p.ToolResult == nil {
			if err := m.addTo(&rest, p); err != nil {
				return nil, err
			}
			continue
		}
		result := message{Role: "tool", ToolName: names[p.ToolResult.CallID], ToolCallID: p.ToolResult.CallID}
		for _, part := range p.ToolResult.Parts {
			to := &result
			if part.Image != nil {
				to = &rest // templates look for pictures only there
			}
			if err := m.addTo(to, part); err != nil {
				return nil, err
			}
		}
		if p.ToolResult.IsError {
			result.Content = "Error: " + result.Content // the protocol has no field for it
		}
		out = append(out, result)
	}
	if rest.Content == "" && rest.Images == nil {
		return out, nil
	}
	if rest.Content == "" && len(out) > 0 {
		rest.Content = "The images of the tool results."
	}
	return append(out, rest), nil
}

func (m *Model) addTo(to *message, p strands.Part) error {
	text := p.Text
	switch {
	case p.Image != nil && p.Image.Data == nil:
		return m.wire.Refuse("an image at %q cannot be reached by the server; send its bytes", p.Image.URI)
	case p.Image != nil && !wire.IsImage(p.Image.MIME):
		return m.wire.Refuse("an image of type %q is not supported; convert it to PNG, JPEG, GIF or WebP", p.Image.MIME)
	case p.Image != nil:
		to.Images = append(to.Images, p.Image.Data)
		return nil
	case p.Document != nil:
		var ok bool
		if text, ok = wire.TextDocument(p.Document); !ok {
			return m.wire.Refuse("a document of type %q cannot be sent to this provider; send its text", p.Document.MIME)
		}
	case p.JSON != nil && to.Role == "tool":
		text = string(p.JSON)
	case p.Cited != nil:
		text = p.Cited.Text
	case p.Video != nil, p.Guard != nil, p.Reasoning != nil, p.ToolCall != nil, p.JSON != nil:
		return m.wire.Cannot(p)
	}
	if text != "" && to.Content != "" {
		to.Content += "\n"
	}
	to.Content += text
	return nil
}

// forced is a choice of tool that the protocol has no field for: the model is
// told to answer with the tool's input, and its output is held to the schema.
type forced struct{ tools []strands.ToolSpec }

func forcedTool(req *strands.Request) *forced {
	switch c := req.ToolChoice; {
	case c.Tool != "":
		for _, t := range req.Tools {
			if t.Name == c.Tool {
				return &forced{[]strands.ToolSpec{t}}
			}
		}
	case c.Any && len(req.Tools) > 0:
		return &forced{req.Tools}
	}
	return nil
}

// single says whether the output is the input of the one tool, and not an
// object that names the tool.
func (f *forced) single() bool { return len(f.tools) == 1 }

func (f *forced) format() json.RawMessage {
	if f.single() {
		return schemaOf(f.tools[0])
	}
	var options []json.RawMessage
	for _, t := range f.tools {
		options = append(options, fmt.Appendf(nil,
			`{"type":"object","properties":{"name":{"const":%q},"arguments":%s},"required":["name","arguments"]}`, t.Name, schemaOf(t)))
	}
	b, _ := json.Marshal(map[string]any{"anyOf": options}) // a schema that is no JSON is found when the body is written
	return b
}

func (f *forced) instruction() string {
	var b strings.Builder
	if f.single() {
		b.WriteString("Answer with the arguments of this function, as one JSON object and nothing else:\n")
	} else {
		b.WriteString("Answer with a call of one of these functions, as one JSON object {\"name\": …, \"arguments\": {…}} and nothing else:\n")
	}
	for _, t := range f.tools {
		fmt.Fprintf(&b, "%s: %s Arguments: %s\n", t.Name, t.Description, schemaOf(t))
	}
	return b.String()
}
