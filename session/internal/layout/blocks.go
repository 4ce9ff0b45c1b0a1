package layout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	strands "github.com/strandsgo/strands"
)

// The types of this file are messages as the Python SDK writes them.

type pyMessage struct {
	Role     string          `json:"role"`
	Content  []pyBlock       `json:"content"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

type pyBlock struct {
	Text       *string         `json:"text,omitempty"`
	Reasoning  *pyReasoning    `json:"reasoningContent,omitempty"`
	Image      *pyMedia        `json:"image,omitempty"`
	Document   *pyMedia        `json:"document,omitempty"`
	Video      *pyMedia        `json:"video,omitempty"`
	ToolUse    *pyToolUse      `json:"toolUse,omitempty"`
	ToolResult *pyToolResult   `json:"toolResult,omitempty"`
	JSON       json.RawMessage `json:"json,omitempty"`
	Cited      *pyCited        `json:"citationsContent,omitempty"`
	Guard      *pyGuard        `json:"guardContent,omitempty"`
	CachePoint *pyCachePoint   `json:"cachePoint,omitempty"`
}

type pyReasoning struct {
	Text     *pySigned `json:"reasoningText,omitempty"`
	Redacted pyBytes   `json:"redactedContent,omitzero"`
}

type pySigned struct {
	Text      string `json:"text"`
	Signature string `json:"signature,omitempty"`
}

type pyMedia struct {
	Format    string   `json:"format"`
	Name      string   `json:"name,omitempty"`
	Context   string   `json:"context,omitempty"`
	Citations *pyCite  `json:"citations,omitempty"`
	Source    pySource `json:"source"`
}

type pyCite struct {
	Enabled bool `json:"enabled"`
}

type pySource struct {
	Bytes    pyBytes     `json:"bytes,omitzero"`
	Location *pyLocation `json:"location,omitempty"`
}

type pyLocation struct {
	Type string `json:"type"`
	URI  string `json:"uri"`
}

type pyToolUse struct {
	Input     json.RawMessage `json:"input"`
	Name      string          `json:"name"`
	ID        string          `json:"toolUseId"`
	Signature string          `json:"reasoningSignature,omitempty"`
}

type pyToolResult struct {
	Content []pyBlock `json:"content"`
	Status  string    `json:"status"`
	ID      string    `json:"toolUseId"`
}

type pyText struct {
	Text string `json:"text"`
}

type pyCited struct {
	Content   []pyText     `json:"content"`
	Citations []pyCitation `json:"citations"`
}

type pyCitation struct {
	Title    string             `json:"title,omitempty"`
	Location map[string]pyPlace `json:"location,omitempty"`
	Quotes   []pyText           `json:"sourceContent,omitempty"`
}

type pyPlace struct {
	Document *int   `json:"documentIndex,omitempty"`
	Search   *int   `json:"searchResultIndex,omitempty"`
	Start    int    `json:"start,omitempty"`
	End      int    `json:"end,omitempty"`
	URL      string `json:"url,omitempty"`
}

type pyGuard struct {
	Text struct {
		Text       string   `json:"text"`
		Qualifiers []string `json:"qualifiers,omitempty"`
	} `json:"text"`
}

type pyCachePoint struct {
	Type string `json:"type"`
	TTL  string `json:"ttl,omitempty"`
}

// pyBytes is how the SDK writes bytes. nil is not the same as no bytes.
type pyBytes []byte

type pyBytesJSON struct {
	Encoded bool   `json:"__bytes_encoded__"`
	Data    []byte `json:"data"`
}

// MarshalJSON implements json.Marshaler.
func (b pyBytes) MarshalJSON() ([]byte, error) { return json.Marshal(pyBytesJSON{true, b}) }

// UnmarshalJSON implements json.Unmarshaler.
func (b *pyBytes) UnmarshalJSON(raw []byte) error {
	var v pyBytesJSON
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	if !v.Encoded {
		return fmt.Errorf("bytes without __bytes_encoded__: %.40s", raw)
	}
	*b = v.Data
	return nil
}

// formats are the SDK's names of media types that are not the second half of
// the MIME type.
var formats = map[string]string{
	"text/plain":         "txt",
	"text/markdown":      "md",
	"application/msword": "doc",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.ms-excel": "xls",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	"video/x-matroska": "mkv",
	"video/quicktime":  "mov",
	"video/x-flv":      "flv",
	"video/x-ms-wmv":   "wmv",
	"video/3gpp":       "three_gp",
	"application/pdf":  "pdf",
}

var mimes = func() map[string]string {
	m := map[string]string{"csv": "text/csv", "html": "text/html", "mpg": "video/mpeg"}
	for mime, format := range formats {
		m[format] = mime
	}
	return m
}()

// toPython returns m as the SDK has it, without metadata, and whether
// fromPython gets all of m back from it.
func toPython(m strands.Message) (p pyMessage, exact bool) {
	p = pyMessage{Role: string(m.Role), Content: toBlocks(m.Parts)}
	m.Metadata = nil
	raw, err := json.Marshal(p)
	if err != nil {
		return p, false
	}
	back, err := fromPython(raw)
	if err != nil {
		return p, false
	}
	was, errWas := json.Marshal(m)
	is, errIs := json.Marshal(back)
	return p, errWas == nil && errIs == nil && bytes.Equal(was, is)
}

func toBlocks(parts []strands.Part) []pyBlock {
	blocks := make([]pyBlock, len(parts))
	for i, p := range parts {
		blocks[i] = toBlock(p)
	}
	return blocks
}

func toBlock(p strands.Part) pyBlock {
	switch {
	case p.Reasoning != nil:
		r := &pyReasoning{Redacted: p.Reasoning.Redacted}
		if r.Redacted == nil || p.Reasoning.Text != "" {
			r.Text = &pySigned{p.Reasoning.Text, p.Reasoning.Signature}
		}
		return pyBlock{Reasoning: r}
	case p.Image != nil:
		return pyBlock{Image: toMedia(p.Image)}
	case p.Document != nil:
		return pyBlock{Document: toMedia(p.Document)}
	case p.Video != nil:
		return pyBlock{Video: toMedia(p.Video)}
	case p.ToolCall != nil:
		return pyBlock{ToolUse: &pyToolUse{p.ToolCall.Input, p.ToolCall.Name, p.ToolCall.ID, p.ToolCall.Signature}}
	case p.ToolResult != nil:
		return pyBlock{ToolResult: toResult(*p.ToolResult)}
	case p.JSON != nil:
		return pyBlock{JSON: p.JSON}
	case p.Cited != nil:
		return pyBlock{Cited: toCited(p.Cited)}
	case p.Guard != nil:
		g := new(pyGuard)
		g.Text.Text, g.Text.Qualifiers = p.Guard.Text, p.Guard.Qualifiers
		return pyBlock{Guard: g}
	case p.CachePoint != nil:
		return pyBlock{CachePoint: &pyCachePoint{"default", p.CachePoint.TTL}}
	}
	return pyBlock{Text: &p.Text}
}

func toResult(r strands.ToolResult) *pyToolResult {
	status := "success"
	if r.IsError {
		status = "error"
	}
	return &pyToolResult{toBlocks(r.Parts), status, r.CallID}
}

func toMedia(m *strands.Media) *pyMedia {
	p := &pyMedia{Format: toFormat(m.MIME), Name: m.Name, Context: m.Context, Source: pySource{Bytes: m.Data}}
	if m.Cite {
		p.Citations = &pyCite{true}
	}
	if m.URI != "" {
		kind, _, _ := bytes.Cut([]byte(m.URI), []byte(":"))
		p.Source.Location = &pyLocation{string(kind), m.URI}
	}
	return p
}

func toFormat(mime string) string {
	if f, ok := formats[mime]; ok {
		return f
	}
	_, f, _ := bytes.Cut([]byte(mime), []byte("/"))
	return string(f)
}

// places are the SDK's names of what a citation's Kind says.
var places = map[string]string{
	"char": "documentChar", "page": "documentPage", "chunk": "documentChunk", "search": "searchResultLocation", "web": "web",
}

func toCited(c *strands.Cited) *pyCited {
	p := &pyCited{Content: []pyText{{c.Text}}, Citations: []pyCitation{}}
	for _, c := range c.Citations {
		q := pyCitation{Title: c.Title}
		for _, s := range c.Quotes {
			q.Quotes = append(q.Quotes, pyText{s})
		}
		if name, ok := places[c.Kind]; ok {
			at := pyPlace{Start: c.Start, End: c.End, URL: c.URL}
			switch c.Kind {
			case "search":
				at.Search = &c.Source
			case "web":
			default:
				at.Document = &c.Source
			}
			q.Location = map[string]pyPlace{name: at}
		}
		p.Citations = append(p.Citations, q)
	}
	return p
}

// fromPython reads a message as the SDK writes it. A block that Message has no
// part for, such as audio, becomes a text that says so.
func fromPython(raw []byte) (strands.Message, error) {
	var p struct {
		Role    string            `json:"role"`
		Content []json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return strands.Message{}, err
	}
	if p.Role != string(strands.User) && p.Role != string(strands.Assistant) || p.Content == nil {
		return strands.Message{}, fmt.Errorf("a message needs a role, user or assistant, and content")
	}
	parts, err := fromBlocks(p.Content)
	return strands.Message{Role: strands.Role(p.Role), Parts: parts}, err
}

func fromBlocks(raws []json.RawMessage) ([]strands.Part, error) {
	parts := make([]strands.Part, len(raws))
	for i, raw := range raws {
		var err error
		if parts[i], err = fromBlock(raw); err != nil {
			return nil, fmt.Errorf("block %d: %w", i, err)
		}
	}
	return parts, nil
}

func fromBlock(raw json.RawMessage) (strands.Part, error) {
	var b struct {
		pyBlock
		ToolResult *struct {
			Content []json.RawMessage `json:"content"`
			Status  string            `json:"status"`
			ID      string            `json:"toolUseId"`
		} `json:"toolResult"`
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return strands.Part{}, err
	}
	switch {
	case b.Text != nil:
		return strands.Text(*b.Text), nil
	case b.Reasoning != nil:
		r := &strands.Reasoning{Redacted: b.Reasoning.Redacted}
		if t := b.Reasoning.Text; t != nil {
			r.Text, r.Signature = t.Text, t.Signature
		}
		return strands.Part{Reasoning: r}, nil
	case b.Image != nil:
		return strands.Part{Image: fromMedia(b.Image, "image/")}, nil
	case b.Document != nil:
		return strands.Part{Document: fromMedia(b.Document, "application/")}, nil
	case b.Video != nil:
		return strands.Part{Video: fromMedia(b.Video, "video/")}, nil
	case b.ToolUse != nil:
		return strands.Part{ToolCall: &strands.ToolCall{ID: b.ToolUse.ID, Name: b.ToolUse.Name, Input: compact(b.ToolUse.Input), Signature: b.ToolUse.Signature}}, nil
	case b.ToolResult != nil:
		parts, err := fromBlocks(b.ToolResult.Content)
		return strands.Part{ToolResult: &strands.ToolResult{CallID: b.ToolResult.ID, IsError: b.ToolResult.Status == "error", Parts: parts}}, err
	case b.JSON != nil:
		return strands.Part{JSON: compact(b.JSON)}, nil
	case b.Cited != nil:
		return strands.Part{Cited: fromCited(b.Cited)}, nil
	case b.Guard != nil:
		return strands.Part{Guard: &strands.Guard{Text: b.Guard.Text.Text, Qualifiers: b.Guard.Text.Qualifiers}}, nil
	case b.CachePoint != nil:
		return strands.Part{CachePoint: &strands.CachePoint{TTL: b.CachePoint.TTL}}, nil
	}
	return unknownBlock(raw)
}

func unknownBlock(raw json.RawMessage) (strands.Part, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil || len(keys) == 0 {
		return strands.Part{}, fmt.Errorf("it is no content block: %.40s", raw)
	}
	kind := slices.Min(slices.Collect(maps.Keys(keys)))
	return strands.Text(fmt.Sprintf("[content of kind %q, which cannot be shown here]", kind)), nil
}

func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

func fromMedia(p *pyMedia, family string) *strands.Media {
	m := &strands.Media{MIME: mimes[p.Format], Name: p.Name, Context: p.Context, Data: p.Source.Bytes, Cite: p.Citations != nil && p.Citations.Enabled}
	if m.MIME == "" {
		m.MIME = family + p.Format
	}
	if p.Source.Location != nil {
		m.URI = p.Source.Location.URI
	}
	return m
}

func fromCited(p *pyCited) *strands.Cited {
	c := &strands.Cited{Citations: []strands.Citation{}}
	for _, t := range p.Content {
		c.Text += t.Text
	}
	for _, q := range p.Citations {
		to := strands.Citation{Title: q.Title}
		for kind, name := range places {
			at, ok := q.Location[name]
			if !ok {
				continue
			}
			to.Kind, to.Start, to.End, to.URL = kind, at.Start, at.End, at.URL
			for _, source := range []*int{at.Document, at.Search} {
				if source != nil {
					to.Source = *source
				}
			}
		}
		for _, t := range q.Quotes {
			to.Quotes = append(to.Quotes, t.Text)
		}
		c.Citations = append(c.Citations, to)
	}
	return c
}
