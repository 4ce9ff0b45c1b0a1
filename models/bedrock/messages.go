package bedrock

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

func (m *Model) messages(history []strands.Message) ([]types.Message, error) {
	guarded := -1
	if m.cfg.Guardrail.ID != "" && m.cfg.Guardrail.LatestMessage {
		guarded = latest(history)
	}
	var out []types.Message
	lastUser := -1
	for i, msg := range history {
		blocks, err := m.blocks(msg, i == guarded)
		if err != nil {
			return nil, err
		}
		if len(blocks) == 0 {
			continue // the service refuses empty messages
		}
		role := types.ConversationRoleUser
		if msg.Role == strands.Assistant {
			role = types.ConversationRoleAssistant
		}
		if n := len(out); n > 0 && out[n-1].Role == role {
			out[n-1].Content = append(out[n-1].Content, blocks...) // the service wants the roles to alternate
		} else {
			out = append(out, types.Message{Role: role, Content: blocks})
		}
		if role == types.ConversationRoleUser {
			lastUser = len(out) - 1
		}
	}
	if m.cfg.Cache && m.isClaude() && lastUser >= 0 {
		out[lastUser].Content = append(out[lastUser].Content, &types.ContentBlockMemberCachePoint{Value: cachePoint(m.cfg.CacheTTL)})
	}
	return out, nil
}

// latest is the last user message that says something: a message of tool
// results is a step of the same turn.
func latest(history []strands.Message) int {
	for i := len(history) - 1; i >= 0; i-- {
		if history[i].Role != strands.User {
			continue
		}
		for _, p := range history[i].Parts {
			if p.Image != nil || isText(p) && p.Text != "" {
				return i
			}
		}
	}
	return -1
}

func isText(p strands.Part) bool {
	return p.Reasoning == nil && p.Document == nil && p.Video == nil && p.ToolCall == nil && p.ToolResult == nil &&
		p.JSON == nil && p.Cited == nil && p.Guard == nil && p.CachePoint == nil && p.Image == nil
}

func (m *Model) blocks(msg strands.Message, guarded bool) ([]types.ContentBlock, error) {
	var out []types.ContentBlock
	documents := 0
	for _, p := range msg.Parts {
		if p.Document != nil {
			documents++
		}
		b, err := m.block(p, documents)
		if err != nil {
			return nil, err
		}
		if guarded {
			b = guard(b)
		}
		if b != nil {
			out = append(out, b)
		}
	}
	if len(out) == 1 {
		if _, alone := out[0].(*types.ContentBlockMemberCachePoint); alone {
			return nil, nil
		}
	}
	return out, nil
}

// block turns a part into a block; nil when there is nothing to be said.
func (m *Model) block(p strands.Part, documents int) (types.ContentBlock, error) {
	switch {
	case p.Image != nil:
		image, err := m.image(p.Image)
		return &types.ContentBlockMemberImage{Value: image}, err
	case p.Document != nil:
		doc, err := m.document(p.Document, documents)
		return &types.ContentBlockMemberDocument{Value: doc}, err
	case p.Video != nil:
		video, err := m.video(p.Video)
		return &types.ContentBlockMemberVideo{Value: video}, err
	case p.ToolCall != nil:
		return &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{
			ToolUseId: &p.ToolCall.ID, Name: &p.ToolCall.Name, Input: raw{json: p.ToolCall.Input},
		}}, nil
	case p.ToolResult != nil:
		result, err := m.result(p.ToolResult)
		return &types.ContentBlockMemberToolResult{Value: result}, err
	case p.Reasoning != nil:
		return m.reasoning(p.Reasoning), nil
	case p.Cited != nil:
		return cited(p.Cited), nil
	case p.Guard != nil:
		text := types.GuardrailConverseTextBlock{Text: &p.Guard.Text}
		for _, q := range p.Guard.Qualifiers {
			text.Qualifiers = append(text.Qualifiers, types.GuardrailConverseContentQualifier(q))
		}
		return &types.ContentBlockMemberGuardContent{Value: &types.GuardrailConverseContentBlockMemberText{Value: text}}, nil
	case p.CachePoint != nil:
		if m.cfg.Cache {
			return nil, nil // there is one cache point, and we place it
		}
		return &types.ContentBlockMemberCachePoint{Value: cachePoint(p.CachePoint.TTL)}, nil
	case p.JSON != nil:
		return nil, m.wire.Cannot(p)
	case strings.TrimSpace(p.Text) == "":
		return nil, nil // blank texts are refused
	}
	return &types.ContentBlockMemberText{Value: p.Text}, nil
}

// guard wraps what a guardrail can look at.
func guard(b types.ContentBlock) types.ContentBlock {
	switch b := b.(type) {
	case *types.ContentBlockMemberText:
		return &types.ContentBlockMemberGuardContent{Value: &types.GuardrailConverseContentBlockMemberText{
			Value: types.GuardrailConverseTextBlock{Text: &b.Value},
		}}
	case *types.ContentBlockMemberImage:
		data, ok := b.Value.Source.(*types.ImageSourceMemberBytes)
		if ok && (b.Value.Format == types.ImageFormatPng || b.Value.Format == types.ImageFormatJpeg) {
			return &types.ContentBlockMemberGuardContent{Value: &types.GuardrailConverseContentBlockMemberImage{
				Value: types.GuardrailConverseImageBlock{
					Format: types.GuardrailConverseImageFormat(b.Value.Format),
					Source: &types.GuardrailConverseImageSourceMemberBytes{Value: data.Value},
				},
			}}
		}
	}
	return b
}

func (m *Model) reasoning(r *strands.Reasoning) types.ContentBlock {
	switch {
	case strings.Contains(m.cfg.Model, "deepseek"):
		return nil // it refuses its own reasoning
	case r.Redacted != nil:
		return &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberRedactedContent{Value: r.Redacted}}
	case r.Signature == "" && m.isClaude():
		return nil // it would not be believed
	}
	text := types.ReasoningTextBlock{Text: &r.Text}
	if r.Signature != "" {
		text.Signature = &r.Signature
	}
	return &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberReasoningText{Value: text}}
}

func cited(c *strands.Cited) types.ContentBlock {
	b := types.CitationsContentBlock{Content: []types.CitationGeneratedContent{&types.CitationGeneratedContentMemberText{Value: c.Text}}}
	for _, e := range c.Citations {
		out := types.Citation{Location: location(e)}
		if e.Title != "" {
			out.Title = &e.Title
		}
		for _, q := range e.Quotes {
			out.SourceContent = append(out.SourceContent, &types.CitationSourceContentMemberText{Value: q})
		}
		b.Citations = append(b.Citations, out)
	}
	return &types.ContentBlockMemberCitationsContent{Value: b}
}

func location(c strands.Citation) types.CitationLocation {
	source, start, end := aws.Int32(int32(c.Source)), aws.Int32(int32(c.Start)), aws.Int32(int32(c.End))
	switch c.Kind {
	case "char":
		return &types.CitationLocationMemberDocumentChar{Value: types.DocumentCharLocation{DocumentIndex: source, Start: start, End: end}}
	case "page":
		return &types.CitationLocationMemberDocumentPage{Value: types.DocumentPageLocation{DocumentIndex: source, Start: start, End: end}}
	case "chunk":
		return &types.CitationLocationMemberDocumentChunk{Value: types.DocumentChunkLocation{DocumentIndex: source, Start: start, End: end}}
	case "search":
		return &types.CitationLocationMemberSearchResultLocation{Value: types.SearchResultLocation{SearchResultIndex: source, Start: start, End: end}}
	case "web":
		w := types.WebLocation{Url: &c.URL}
		if u, err := url.Parse(c.URL); err == nil && u.Host != "" {
			w.Domain = aws.String(u.Host)
		}
		return &types.CitationLocationMemberWeb{Value: w}
	}
	return nil
}

func (m *Model) result(r *strands.ToolResult) (types.ToolResultBlock, error) {
	out := types.ToolResultBlock{ToolUseId: &r.CallID}
	withStatus := m.cfg.ToolStatus == StatusOn || m.cfg.ToolStatus == StatusAuto && m.isClaude()
	switch {
	case withStatus && r.IsError:
		out.Status = types.ToolResultStatusError
	case withStatus:
		out.Status = types.ToolResultStatusSuccess
	case r.IsError:
		out.Content = append(out.Content, &types.ToolResultContentBlockMemberText{Value: "Error:"})
	}
	for i, p := range r.Parts {
		b, err := m.resultBlock(p, i+1)
		if err != nil {
			return out, err
		}
		if b != nil {
			out.Content = append(out.Content, b)
		}
	}
	if out.Content == nil {
		out.Content = []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{}}
	}
	return out, nil
}

func (m *Model) resultBlock(p strands.Part, n int) (types.ToolResultContentBlock, error) {
	switch {
	case p.Image != nil:
		image, err := m.image(p.Image)
		return &types.ToolResultContentBlockMemberImage{Value: image}, err
	case p.Document != nil:
		doc, err := m.document(p.Document, n)
		return &types.ToolResultContentBlockMemberDocument{Value: doc}, err
	case p.Video != nil:
		video, err := m.video(p.Video)
		return &types.ToolResultContentBlockMemberVideo{Value: video}, err
	case len(p.JSON) > 0 && p.JSON[0] == '{':
		return &types.ToolResultContentBlockMemberJson{Value: raw{json: p.JSON}}, nil
	case p.JSON != nil: // only objects are taken
		return &types.ToolResultContentBlockMemberText{Value: string(p.JSON)}, nil
	case p.Cited != nil:
		return &types.ToolResultContentBlockMemberText{Value: p.Cited.Text}, nil
	case p.Guard != nil:
		return nil, m.wire.Cannot(p)
	case p.Text == "":
		return nil, nil
	}
	return &types.ToolResultContentBlockMemberText{Value: p.Text}, nil
}

// s3 is the place of media that the service reads by itself; false when it
// cannot.
func s3(uri string) (types.S3Location, bool) {
	return types.S3Location{Uri: &uri}, strings.HasPrefix(uri, "s3://")
}

func (m *Model) unreachable(what, uri string) error {
	return m.wire.Refuse("%s at %q cannot be reached by the service; send its bytes or an s3:// address", what, uri)
}

func (m *Model) image(i *strands.Media) (types.ImageBlock, error) {
	b := types.ImageBlock{Format: types.ImageFormat(strings.TrimPrefix(i.MIME, "image/"))}
	if !wire.IsImage(i.MIME) {
		return b, m.wire.Refuse("an image of type %q is not supported; convert it to PNG, JPEG, GIF or WebP", i.MIME)
	}
	if i.Data != nil {
		b.Source = &types.ImageSourceMemberBytes{Value: i.Data}
	} else if at, ok := s3(i.URI); ok {
		b.Source = &types.ImageSourceMemberS3Location{Value: at}
	} else {
		return b, m.unreachable("an image", i.URI)
	}
	return b, nil
}

// formats are the types of documents that the service names, and textFormats
// those of text.
var formats = map[string]types.DocumentFormat{
	"application/pdf":    types.DocumentFormatPdf,
	"application/msword": types.DocumentFormatDoc,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": types.DocumentFormatDocx,
	"application/vnd.ms-excel": types.DocumentFormatXls,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": types.DocumentFormatXlsx,
	"text/csv": types.DocumentFormatCsv, "text/html": types.DocumentFormatHtml, "text/markdown": types.DocumentFormatMd,
	"text/plain": types.DocumentFormatTxt,
}

func (m *Model) document(d *strands.Media, n int) (types.DocumentBlock, error) {
	mime, _, _ := strings.Cut(d.MIME, ";")
	b := types.DocumentBlock{Format: formats[mime], Name: aws.String(documentName(d.Name, n))}
	if b.Format == "" {
		if !wire.IsText(d) {
			return b, m.wire.Refuse("a document of type %q is not supported; send it as PDF, Office file, HTML, Markdown, CSV or text", d.MIME)
		}
		b.Format = types.DocumentFormatTxt
	}
	if d.Data != nil {
		b.Source = &types.DocumentSourceMemberBytes{Value: d.Data}
	} else if at, ok := s3(d.URI); ok {
		b.Source = &types.DocumentSourceMemberS3Location{Value: at}
	} else {
		return b, m.unreachable("a document", d.URI)
	}
	if d.Context != "" {
		b.Context = &d.Context
	}
	if d.Cite {
		b.Citations = &types.CitationsConfig{Enabled: aws.Bool(true)}
	}
	return b, nil
}

// documentName is a name as the service takes it: letters, digits, single
// blanks, hyphens, parentheses and brackets.
func documentName(name string, n int) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-()[] ", r):
			return r
		}
		return '-'
	}, name)
	if name = strings.Join(strings.Fields(name), " "); name == "" {
		return fmt.Sprintf("document-%d", n)
	}
	return name
}

var videos = map[string]types.VideoFormat{
	"video/mp4": types.VideoFormatMp4, "video/quicktime": types.VideoFormatMov, "video/x-matroska": types.VideoFormatMkv,
	"video/webm": types.VideoFormatWebm, "video/x-flv": types.VideoFormatFlv, "video/mpeg": types.VideoFormatMpeg,
	"video/x-ms-wmv": types.VideoFormatWmv, "video/3gpp": types.VideoFormatThreeGp,
}

func (m *Model) video(v *strands.Media) (types.VideoBlock, error) {
	b := types.VideoBlock{Format: videos[v.MIME]}
	if b.Format == "" {
		return b, m.wire.Refuse("a video of type %q is not supported; convert it to MP4", v.MIME)
	}
	if v.Data != nil {
		b.Source = &types.VideoSourceMemberBytes{Value: v.Data}
	} else if at, ok := s3(v.URI); ok {
		b.Source = &types.VideoSourceMemberS3Location{Value: at}
	} else {
		return b, m.unreachable("a video", v.URI)
	}
	return b, nil
}
