package gemini

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
	"google.golang.org/genai"
)

func (m *Model) request(req *strands.Request) ([]*genai.Content, *genai.GenerateContentConfig, error) {
	config := &genai.GenerateContentConfig{
		MaxOutputTokens: int32(m.cfg.MaxTokens), StopSequences: m.cfg.Stop, ThinkingConfig: m.thinking(),
		AutomaticContinuation: new(false), // the loop repeats calls
	}
	if m.cfg.Temperature != nil {
		config.Temperature = new(float32(*m.cfg.Temperature))
	}
	if m.cfg.TopP != nil {
		config.TopP = new(float32(*m.cfg.TopP))
	}
	if m.cfg.TopK != 0 {
		config.TopK = new(float32(m.cfg.TopK))
	}
	var system []*genai.Part
	for _, p := range req.System {
		if p.Text != "" {
			system = append(system, &genai.Part{Text: p.Text})
		}
	}
	if system != nil {
		config.SystemInstruction = &genai.Content{Parts: system}
	}
	config.Tools = append(config.Tools, m.cfg.BuiltIn...)
	if len(req.Tools) > 0 {
		config.Tools = append(config.Tools, declarations(req.Tools))
		config.ToolConfig = toolConfig(req.ToolChoice)
	}
	contents, err := m.contents(req.Messages)
	if m.cfg.Amend != nil {
		m.cfg.Amend(config)
	}
	return contents, config, err
}

func (m *Model) thinking() *genai.ThinkingConfig {
	t := m.cfg.Thinking
	if t == (Thinking{}) {
		return nil
	}
	c := &genai.ThinkingConfig{IncludeThoughts: !t.Hidden, ThinkingLevel: genai.ThinkingLevel(strings.ToUpper(t.Level))}
	if t.Budget != nil {
		c.ThinkingBudget = new(int32(*t.Budget))
	}
	return c
}

func declarations(specs []strands.ToolSpec) *genai.Tool {
	t := new(genai.Tool)
	for _, s := range specs {
		d := &genai.FunctionDeclaration{Name: s.Name, Description: s.Description}
		if len(s.InputSchema) > 0 {
			d.ParametersJsonSchema = s.InputSchema
		}
		t.FunctionDeclarations = append(t.FunctionDeclarations, d)
	}
	return t
}

func toolConfig(c strands.ToolChoice) *genai.ToolConfig {
	call := new(genai.FunctionCallingConfig)
	switch {
	case c.Tool != "":
		call.Mode, call.AllowedFunctionNames = genai.FunctionCallingConfigModeAny, []string{c.Tool}
	case c.Any:
		call.Mode = genai.FunctionCallingConfigModeAny
	default:
		return nil
	}
	return &genai.ToolConfig{FunctionCallingConfig: call}
}

func (m *Model) contents(history []strands.Message) ([]*genai.Content, error) {
	var out []*genai.Content
	names := map[string]string{} // of tools by call
	for _, msg := range history {
		for _, c := range msg.ToolCalls() {
			names[c.ID] = c.Name
		}
		role := "user"
		if msg.Role == strands.Assistant {
			role = "model"
		}
		parts, media, err := m.parts(msg, names)
		if err != nil {
			return nil, err
		}
		// Pictures of tool results follow in a content of their own: the one
		// with the results must hold as many parts as there were calls.
		for _, p := range [][]*genai.Part{parts, media} {
			if len(p) > 0 {
				out = append(out, &genai.Content{Role: role, Parts: p})
			}
		}
	}
	return out, nil
}

func (m *Model) parts(msg strands.Message, names map[string]string) (parts, media []*genai.Part, err error) {
	for _, p := range msg.Parts {
		switch {
		case p.ToolResult != nil:
			response, more, err := m.response(p.ToolResult, names[p.ToolResult.CallID])
			if err != nil {
				return nil, nil, err
			}
			parts, media = append(parts, response), append(media, more...)
		case p.ToolCall != nil:
			call, err := m.functionCall(p.ToolCall)
			if err != nil {
				return nil, nil, err
			}
			parts = append(parts, call)
		case p.CachePoint != nil: // the server caches by itself
		default:
			more, err := m.part(p)
			if err != nil {
				return nil, nil, err
			}
			parts = append(parts, more...)
		}
	}
	return parts, media, nil
}

func (m *Model) functionCall(c *strands.ToolCall) (*genai.Part, error) {
	signature, err := m.unseal(c.Signature)
	if err != nil {
		return nil, err
	}
	call := &genai.FunctionCall{ID: c.ID, Name: c.Name}
	if err := json.Unmarshal(c.Input, &call.Args); err != nil {
		return nil, m.wire.Refuse("the input of the call of %q is not a JSON object", c.Name)
	}
	return &genai.Part{FunctionCall: call, ThoughtSignature: signature}, nil
}

// seal and unseal bring a signature, which is bytes here, into a string.
func seal(signature []byte) string { return base64.StdEncoding.EncodeToString(signature) }

func (m *Model) unseal(signature string) ([]byte, error) {
	if signature == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return nil, m.wire.Refuse("a signature of reasoning in the history is of another provider; begin a new conversation")
	}
	return b, nil
}

// part turns a part that is neither call nor result.
func (m *Model) part(p strands.Part) ([]*genai.Part, error) {
	switch {
	case p.Image != nil:
		if !wire.IsImage(p.Image.MIME) {
			return nil, m.wire.Refuse("an image of type %q is not supported; convert it to PNG, JPEG or WebP", p.Image.MIME)
		}
		return m.media(p.Image)
	case p.Document != nil:
		return m.document(p.Document)
	case p.Video != nil:
		if !strings.HasPrefix(p.Video.MIME, "video/") {
			return nil, m.wire.Refuse("a video of type %q is not supported; convert it to MP4", p.Video.MIME)
		}
		return m.media(p.Video)
	case p.Reasoning != nil && p.Reasoning.Redacted != nil:
		return nil, m.wire.Refuse("redacted reasoning of another provider cannot be sent; begin a new conversation")
	case p.Reasoning != nil:
		signature, err := m.unseal(p.Reasoning.Signature)
		if err != nil || p.Reasoning.Text == "" && signature == nil {
			return nil, err
		}
		// A signature alone is one that came after a text.
		return []*genai.Part{{Text: p.Reasoning.Text, Thought: p.Reasoning.Text != "", ThoughtSignature: signature}}, nil
	case p.Cited != nil:
		return []*genai.Part{{Text: p.Cited.Text}}, nil
	case p.Guard != nil, p.JSON != nil:
		return nil, m.wire.Cannot(p)
	case p.Text == "":
		return nil, nil
	}
	return []*genai.Part{{Text: p.Text}}, nil
}

func (m *Model) media(d *strands.Media) ([]*genai.Part, error) {
	switch {
	case d.Data != nil:
		return []*genai.Part{{InlineData: &genai.Blob{MIMEType: d.MIME, Data: d.Data}}}, nil
	case strings.HasPrefix(d.URI, "https://"), strings.HasPrefix(d.URI, "gs://"):
		return []*genai.Part{{FileData: &genai.FileData{MIMEType: d.MIME, FileURI: d.URI}}}, nil
	}
	return nil, m.wire.Refuse("what is at %q cannot be reached by the server; send its bytes, or a https:// or gs:// address", d.URI)
}

func (m *Model) document(d *strands.Media) ([]*genai.Part, error) {
	if text, ok := wire.TextDocument(d); ok {
		return []*genai.Part{{Text: text}}, nil
	}
	if d.MIME != "application/pdf" {
		return nil, m.wire.Refuse("a document of type %q is not supported; send it as PDF or text", d.MIME)
	}
	parts, err := m.media(d)
	if about := strings.TrimSpace(d.Name + "\n" + d.Context); about != "" && err == nil {
		parts = append([]*genai.Part{{Text: "Document " + about}}, parts...)
	}
	return parts, err
}

// response is a tool result: its text under "output" or "error", or the one
// JSON object it is.
func (m *Model) response(r *strands.ToolResult, name string) (*genai.Part, []*genai.Part, error) {
	f := &genai.FunctionResponse{ID: r.CallID, Name: name}
	var texts []string
	var media []*genai.Part
	for _, p := range r.Parts {
		switch {
		case p.JSON != nil:
			texts = append(texts, string(p.JSON))
		case p.Image != nil, p.Document != nil, p.Video != nil:
			more, err := m.part(p)
			if err != nil {
				return nil, nil, err
			}
			media = append(append(media, &genai.Part{Text: "From the result of tool call " + r.CallID + ":"}), more...)
		case p.Cited != nil:
			texts = append(texts, p.Cited.Text)
		case p.Guard != nil:
			return nil, nil, m.wire.Cannot(p)
		default:
			texts = append(texts, p.Text)
		}
	}
	switch {
	case r.IsError:
		f.Response = map[string]any{"error": strings.Join(texts, "\n")}
	case len(r.Parts) == 1 && r.Parts[0].JSON != nil && json.Unmarshal(r.Parts[0].JSON, &f.Response) == nil && f.Response != nil:
	default:
		f.Response = map[string]any{"output": strings.Join(texts, "\n")}
	}
	return &genai.Part{FunctionResponse: f}, media, nil
}
