package anthropic

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// params makes the body of a request.
func (m *Model) params(req *strands.Request) (sdk.MessageNewParams, error) {
	p := sdk.MessageNewParams{
		Model: m.cfg.Model, MaxTokens: int64(m.maxTokens()), StopSequences: m.cfg.Stop, System: system(req.System),
	}
	if m.cfg.Temperature != nil {
		p.Temperature = sdk.Float(*m.cfg.Temperature)
	}
	if m.cfg.TopP != nil {
		p.TopP = sdk.Float(*m.cfg.TopP)
	}
	if m.cfg.TopK != 0 {
		p.TopK = sdk.Int(int64(m.cfg.TopK))
	}
	if m.cfg.Cache {
		p.CacheControl = cacheControl(&strands.CachePoint{TTL: m.cfg.CacheTTL})
	}
	p.OutputConfig.Effort = sdk.OutputConfigEffort(m.cfg.Effort)
	forced := req.ToolChoice.Any || req.ToolChoice.Tool != ""
	switch t := m.cfg.Thinking; {
	case forced:
	case t.Adaptive:
		p.Thinking.OfAdaptive = &sdk.ThinkingConfigAdaptiveParam{Display: sdk.ThinkingConfigAdaptiveDisplay(t.Display)}
	case t.Budget != 0:
		p.Thinking.OfEnabled = &sdk.ThinkingConfigEnabledParam{
			BudgetTokens: int64(t.Budget), Display: sdk.ThinkingConfigEnabledDisplay(t.Display),
		}
	}
	switch c := req.ToolChoice; {
	case c.Tool != "":
		p.ToolChoice = sdk.ToolChoiceParamOfTool(c.Tool)
	case c.Any:
		p.ToolChoice.OfAny = &sdk.ToolChoiceAnyParam{}
	}
	for _, t := range req.Tools {
		p.Tools = append(p.Tools, sdk.ToolUnionParam{OfTool: tool(t)})
	}
	if m.cfg.Extra != nil {
		p.SetExtraFields(m.cfg.Extra)
	}
	for _, msg := range req.Messages {
		blocks, err := m.blocks(msg)
		if err != nil {
			return p, err
		}
		switch {
		case len(blocks) == 0:
			// The server refuses empty messages, and takes two of a role in a row.
		case msg.Role == strands.Assistant:
			p.Messages = append(p.Messages, sdk.NewAssistantMessage(blocks...))
		default:
			p.Messages = append(p.Messages, sdk.NewUserMessage(blocks...))
		}
	}
	return p, nil
}

func tool(t strands.ToolSpec) *sdk.ToolParam {
	p := &sdk.ToolParam{Name: t.Name}
	if t.Description != "" {
		p.Description = sdk.String(t.Description)
	}
	schema := t.InputSchema
	if len(schema) == 0 {
		schema = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	// As it is: a Go map would lose the order of the properties.
	p.SetExtraFields(map[string]any{"input_schema": schema})
	return p
}

func system(parts []strands.Part) []sdk.TextBlockParam {
	var out []sdk.TextBlockParam
	for _, p := range parts {
		switch {
		case p.CachePoint != nil && len(out) > 0:
			out[len(out)-1].CacheControl = cacheControl(p.CachePoint)
		case strings.TrimSpace(p.Text) != "":
			out = append(out, sdk.TextBlockParam{Text: p.Text})
		}
	}
	return out
}

func cacheControl(c *strands.CachePoint) sdk.CacheControlEphemeralParam {
	p := sdk.NewCacheControlEphemeralParam()
	p.TTL = sdk.CacheControlEphemeralTTL(c.TTL)
	return p
}

func (m *Model) blocks(msg strands.Message) ([]sdk.ContentBlockParamUnion, error) {
	var out []sdk.ContentBlockParamUnion
	for _, p := range msg.Parts {
		if p.CachePoint != nil {
			markCached(out, p.CachePoint)
			continue
		}
		b, ok, err := m.block(p)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, b)
		}
	}
	return out, nil
}

// markCached marks the last block that can be: thinking cannot.
func markCached(blocks []sdk.ContentBlockParamUnion, c *strands.CachePoint) {
	for i := len(blocks) - 1; i >= 0; i-- {
		if control := blocks[i].GetCacheControl(); control != nil {
			*control = cacheControl(c)
			return
		}
	}
}

// block turns a part into a block; false when there is nothing to be said.
func (m *Model) block(p strands.Part) (sdk.ContentBlockParamUnion, bool, error) {
	var b sdk.ContentBlockParamUnion
	switch {
	case p.Image != nil:
		image, err := m.image(p.Image)
		b.OfImage = image
		return b, true, err
	case p.Document != nil:
		doc, err := m.document(p.Document)
		b.OfDocument = doc
		return b, true, err
	case p.ToolCall != nil:
		return sdk.NewToolUseBlock(p.ToolCall.ID, p.ToolCall.Input, p.ToolCall.Name), true, nil
	case p.ToolResult != nil:
		result, err := m.result(p.ToolResult)
		b.OfToolResult = result
		return b, true, err
	case p.Reasoning != nil && p.Reasoning.Redacted != nil:
		return sdk.NewRedactedThinkingBlock(string(p.Reasoning.Redacted)), true, nil
	case p.Reasoning != nil:
		// Without the server's signature it would not be believed.
		return sdk.NewThinkingBlock(p.Reasoning.Signature, p.Reasoning.Text), p.Reasoning.Signature != "", nil
	case p.Cited != nil:
		return sdk.NewTextBlock(p.Cited.Text), strings.TrimSpace(p.Cited.Text) != "", nil
	case p.Video != nil, p.Guard != nil, p.JSON != nil:
		return b, false, m.wire.Cannot(p)
	}
	return sdk.NewTextBlock(p.Text), strings.TrimSpace(p.Text) != "", nil // blank texts are refused
}

func (m *Model) image(i *strands.Media) (*sdk.ImageBlockParam, error) {
	p := new(sdk.ImageBlockParam)
	switch {
	case i.Data == nil && strings.HasPrefix(i.URI, "https://"):
		p.Source.OfURL = &sdk.URLImageSourceParam{URL: i.URI}
	case i.Data == nil:
		return nil, m.wire.Refuse("an image at %q cannot be reached by the server; send its bytes or an https address", i.URI)
	case !wire.IsImage(i.MIME):
		return nil, m.wire.Refuse("an image of type %q is not supported; convert it to PNG, JPEG, GIF or WebP", i.MIME)
	default:
		p.Source.OfBase64 = &sdk.Base64ImageSourceParam{
			MediaType: sdk.Base64ImageSourceMediaType(i.MIME), Data: base64.StdEncoding.EncodeToString(i.Data),
		}
	}
	return p, nil
}

func (m *Model) document(d *strands.Media) (*sdk.DocumentBlockParam, error) {
	p := new(sdk.DocumentBlockParam)
	switch {
	case d.MIME == "application/pdf" && d.Data != nil:
		p.Source.OfBase64 = &sdk.Base64PDFSourceParam{Data: base64.StdEncoding.EncodeToString(d.Data)}
	case d.MIME == "application/pdf" && strings.HasPrefix(d.URI, "https://"):
		p.Source.OfURL = &sdk.URLPDFSourceParam{URL: d.URI}
	case wire.IsText(d):
		p.Source.OfText = &sdk.PlainTextSourceParam{Data: string(d.Data)}
	default:
		return nil, m.wire.Refuse("a document of type %q at %q cannot be sent; send its text, or the bytes or https address of a PDF", d.MIME, d.URI)
	}
	if d.Name != "" {
		p.Title = sdk.String(d.Name)
	}
	if d.Context != "" {
		p.Context = sdk.String(d.Context)
	}
	if d.Cite {
		p.Citations.Enabled = sdk.Bool(true)
	}
	return p, nil
}

func (m *Model) result(r *strands.ToolResult) (*sdk.ToolResultBlockParam, error) {
	out := &sdk.ToolResultBlockParam{ToolUseID: r.CallID}
	if r.IsError {
		out.IsError = sdk.Bool(true)
	}
	for _, p := range r.Parts {
		var c sdk.ToolResultBlockParamContentUnion
		var err error
		text := p.Text
		switch {
		case p.Image != nil:
			c.OfImage, err = m.image(p.Image)
		case p.Document != nil:
			c.OfDocument, err = m.document(p.Document)
		case p.JSON != nil:
			text = string(p.JSON)
		case p.Cited != nil:
			text = p.Cited.Text
		case p.Video != nil, p.Guard != nil:
			err = m.wire.Cannot(p)
		}
		if err != nil {
			return nil, err
		}
		if c.OfImage == nil && c.OfDocument == nil {
			if strings.TrimSpace(text) == "" {
				continue
			}
			c.OfText = &sdk.TextBlockParam{Text: text}
		}
		out.Content = append(out.Content, c)
	}
	return out, nil
}
