package openai

import (
	"cmp"
	"encoding/json"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// chatParams makes the body of a Chat Completions request.
func (m *Model) chatParams(req *strands.Request) (sdk.ChatCompletionNewParams, error) {
	p := sdk.ChatCompletionNewParams{
		Model:         m.cfg.Model,
		StreamOptions: sdk.ChatCompletionStreamOptionsParam{IncludeUsage: sdk.Bool(true)},
	}
	if m.cfg.MaxTokens != 0 && m.openAI {
		p.MaxCompletionTokens = sdk.Int(int64(m.cfg.MaxTokens))
	} else if m.cfg.MaxTokens != 0 {
		p.MaxTokens = sdk.Int(int64(m.cfg.MaxTokens)) // what the other servers know
	}
	if m.cfg.Temperature != nil {
		p.Temperature = sdk.Float(*m.cfg.Temperature)
	}
	if m.cfg.TopP != nil {
		p.TopP = sdk.Float(*m.cfg.TopP)
	}
	p.Stop.OfStringArray = m.cfg.Stop
	p.ReasoningEffort = shared.ReasoningEffort(m.cfg.ReasoningEffort)
	for _, t := range req.Tools {
		p.Tools = append(p.Tools, chatTool(t))
	}
	switch c := req.ToolChoice; {
	case c.Tool != "":
		p.ToolChoice.OfFunctionToolChoice = &sdk.ChatCompletionNamedToolChoiceParam{
			Function: sdk.ChatCompletionNamedToolChoiceFunctionParam{Name: c.Tool},
		}
	case c.Any:
		p.ToolChoice.OfAuto = sdk.String("required")
	}
	if m.cfg.Extra != nil {
		p.SetExtraFields(m.cfg.Extra)
	}
	if system := m.chatSystem(req.System); system != nil {
		p.Messages = append(p.Messages, *system)
	}
	for _, msg := range req.Messages {
		msgs, err := m.chatMessages(msg)
		if err != nil {
			return p, err
		}
		p.Messages = append(p.Messages, msgs...)
	}
	return p, nil
}

func chatTool(t strands.ToolSpec) sdk.ChatCompletionToolUnionParam {
	f := shared.FunctionDefinitionParam{Name: t.Name}
	if t.Description != "" {
		f.Description = sdk.String(t.Description)
	}
	// As it is: a Go map would lose the order of the properties.
	f.SetExtraFields(map[string]any{"parameters": schemaOf(t)})
	return sdk.ChatCompletionToolUnionParam{OfFunction: &sdk.ChatCompletionFunctionToolParam{Function: f}}
}

func schemaOf(t strands.ToolSpec) json.RawMessage {
	if len(t.InputSchema) == 0 {
		return json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return t.InputSchema
}

// chatSystem joins the system prompt to one message of one text: many chat
// templates of open models take no other.
func (m *Model) chatSystem(system []strands.Part) *sdk.ChatCompletionMessageParamUnion {
	if m.cfg.CachePoints {
		return m.cachedSystem(system)
	}
	text := systemText(system)
	if text == "" {
		return nil
	}
	msg := sdk.SystemMessage(text)
	return &msg
}

func (m *Model) cachedSystem(system []strands.Part) *sdk.ChatCompletionMessageParamUnion {
	var texts []sdk.ChatCompletionContentPartTextParam
	for _, p := range system {
		switch {
		case p.CachePoint != nil && len(texts) > 0:
			texts[len(texts)-1].PromptCacheBreakpoint = textBreakpoint(p.CachePoint)
		case p.Text != "":
			texts = append(texts, sdk.ChatCompletionContentPartTextParam{Text: p.Text})
		}
	}
	if texts == nil {
		return nil
	}
	msg := sdk.SystemMessage(texts)
	return &msg
}

func textBreakpoint(c *strands.CachePoint) sdk.ChatCompletionContentPartTextPromptCacheBreakpointParam {
	b := sdk.NewChatCompletionContentPartTextPromptCacheBreakpointParam()
	b.Ttl = ttlOf(c)
	return b
}

// ttlOf is the lifetime of a cache point when it is one that OpenAI knows.
func ttlOf(c *strands.CachePoint) string {
	if c.TTL == "30m" || c.TTL == "12h" {
		return c.TTL
	}
	return ""
}

// chatMessages turns a message into those of the protocol, in which each tool
// result is one of its own.
func (m *Model) chatMessages(msg strands.Message) ([]sdk.ChatCompletionMessageParamUnion, error) {
	if msg.Role == strands.Assistant {
		a, err := m.chatAssistant(msg)
		return []sdk.ChatCompletionMessageParamUnion{{OfAssistant: a}}, err
	}
	var msgs []sdk.ChatCompletionMessageParamUnion
	var rest []strands.Part
	for _, p := range msg.Parts {
		if p.ToolResult == nil {
			rest = append(rest, p)
			continue
		}
		text, media := flatten(p.ToolResult)
		msgs = append(msgs, sdk.ToolMessage(text, p.ToolResult.CallID))
		// A tool message holds text only: pictures follow in a user message,
		// which has to come after all the tool messages.
		if len(media) > 0 {
			rest = append(rest, strands.Text("From the result of tool call "+p.ToolResult.CallID+":"))
			rest = append(rest, media...)
		}
	}
	parts, err := m.chatParts(rest)
	if err != nil || len(parts) == 0 {
		return msgs, err
	}
	if len(parts) == 1 && parts[0].OfText != nil && param.IsOmitted(parts[0].OfText.PromptCacheBreakpoint) {
		return append(msgs, sdk.UserMessage(parts[0].OfText.Text)), nil
	}
	return append(msgs, sdk.UserMessage(parts)), nil
}

// flatten is a tool result as text, and the parts that are none.
func flatten(r *strands.ToolResult) (text string, media []strands.Part) {
	var texts []string
	for _, p := range r.Parts {
		switch {
		case p.Image != nil, p.Document != nil, p.Video != nil:
			media = append(media, p)
		case p.JSON != nil:
			texts = append(texts, string(p.JSON))
		case p.Cited != nil:
			texts = append(texts, p.Cited.Text)
		case p.Text != "":
			texts = append(texts, p.Text)
		}
	}
	text = strings.Join(texts, "\n")
	if r.IsError {
		text = "Error: " + text // the protocol has no field for it
	}
	return text, media
}

func (m *Model) chatParts(parts []strands.Part) ([]sdk.ChatCompletionContentPartUnionParam, error) {
	var out []sdk.ChatCompletionContentPartUnionParam
	for _, p := range parts {
		switch {
		case p.Image != nil:
			u, err := m.imageURL(p.Image)
			if err != nil {
				return nil, err
			}
			out = append(out, sdk.ImageContentPart(sdk.ChatCompletionContentPartImageImageURLParam{URL: u}))
		case p.Document != nil:
			doc, err := m.chatDocument(p.Document)
			if err != nil {
				return nil, err
			}
			out = append(out, doc)
		case p.CachePoint != nil:
			if m.cfg.CachePoints && len(out) > 0 {
				chatBreakpoint(&out[len(out)-1], p.CachePoint)
			}
		case p.Cited != nil:
			out = append(out, sdk.TextContentPart(p.Cited.Text))
		case p.Video != nil, p.Guard != nil, p.Reasoning != nil, p.ToolCall != nil, p.JSON != nil:
			return nil, m.wire.Cannot(p)
		case p.Text != "":
			out = append(out, sdk.TextContentPart(p.Text))
		}
	}
	return out, nil
}

func chatBreakpoint(p *sdk.ChatCompletionContentPartUnionParam, c *strands.CachePoint) {
	switch {
	case p.OfText != nil:
		p.OfText.PromptCacheBreakpoint = textBreakpoint(c)
	case p.OfImageURL != nil:
		p.OfImageURL.PromptCacheBreakpoint = sdk.NewChatCompletionContentPartImagePromptCacheBreakpointParam()
		p.OfImageURL.PromptCacheBreakpoint.Ttl = ttlOf(c)
	case p.OfFile != nil:
		p.OfFile.PromptCacheBreakpoint = sdk.NewChatCompletionContentPartFilePromptCacheBreakpointParam()
		p.OfFile.PromptCacheBreakpoint.Ttl = ttlOf(c)
	}
}

func (m *Model) chatDocument(d *strands.Media) (sdk.ChatCompletionContentPartUnionParam, error) {
	if text, ok := wire.TextDocument(d); ok {
		return sdk.TextContentPart(text), nil
	}
	if d.MIME != "application/pdf" || d.Data == nil {
		return sdk.ChatCompletionContentPartUnionParam{}, m.wire.Refuse("a document of type %s cannot be sent here; send its text, a PDF's bytes, or use Config.Responses", d.MIME)
	}
	return sdk.FileContentPart(sdk.ChatCompletionContentPartFileFileParam{
		FileData: sdk.String(wire.DataURL(d)), Filename: sdk.String(cmp.Or(d.Name, "document.pdf")),
	}), nil
}

func (m *Model) imageURL(i *strands.Media) (string, error) {
	switch {
	case i.Data == nil && strings.HasPrefix(i.URI, "http"):
		return i.URI, nil
	case i.Data == nil:
		return "", m.wire.Refuse("an image at %q cannot be reached by the server; send its bytes or an https address", i.URI)
	case !wire.IsImage(i.MIME):
		return "", m.wire.Refuse("an image of type %q is not supported; convert it to PNG, JPEG, GIF or WebP", i.MIME)
	}
	return wire.DataURL(i), nil
}

func (m *Model) chatAssistant(msg strands.Message) (*sdk.ChatCompletionAssistantMessageParam, error) {
	a := new(sdk.ChatCompletionAssistantMessageParam)
	var text, reasoning strings.Builder
	var details []map[string]any
	for _, p := range msg.Parts {
		switch {
		case p.ToolCall != nil:
			a.ToolCalls = append(a.ToolCalls, sdk.ChatCompletionMessageToolCallUnionParam{
				OfFunction: &sdk.ChatCompletionMessageFunctionToolCallParam{
					ID: p.ToolCall.ID,
					Function: sdk.ChatCompletionMessageFunctionToolCallFunctionParam{
						Name: p.ToolCall.Name, Arguments: string(p.ToolCall.Input),
					},
				},
			})
		case p.Reasoning != nil:
			if d, ok := asDetail(p.Reasoning); ok {
				details = append(details, d)
			} else {
				reasoning.WriteString(p.Reasoning.Text)
			}
		case p.Cited != nil:
			text.WriteString(p.Cited.Text)
		case p.Image != nil, p.Document != nil, p.Video != nil, p.Guard != nil, p.ToolResult != nil, p.JSON != nil:
			return nil, m.wire.Cannot(p)
		default:
			text.WriteString(p.Text)
		}
	}
	if text.Len() > 0 || a.ToolCalls == nil {
		a.Content.OfString = sdk.String(text.String())
	}
	m.setReasoning(a, reasoning.String(), details)
	return a, nil
}

// setReasoning sends back what the model thought, unless the server has no
// field for it.
func (m *Model) setReasoning(a *sdk.ChatCompletionAssistantMessageParam, plain string, details []map[string]any) {
	field := m.reasoningField()
	extra := map[string]any{}
	if plain != "" {
		extra[field] = plain
	}
	if details != nil {
		extra["reasoning_details"] = details
	}
	if field != "-" && len(extra) > 0 {
		a.SetExtraFields(extra)
	}
}

func (m *Model) reasoningField() string {
	if m.cfg.ReasoningField == "" && m.openAI {
		return "-"
	}
	return cmp.Or(m.cfg.ReasoningField, "reasoning_content")
}
