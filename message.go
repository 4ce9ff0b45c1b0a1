package strands

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// Role says who speaks in a Message. There is no system role and no tool role:
// the system prompt travels beside the messages, tool results in user messages.
type Role string

// The two roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// A Message is one entry of a conversation. Messages in a history are never
// changed in place; treat one that you did not make as read-only.
type Message struct {
	Role     Role      `json:"role"`
	Parts    []Part    `json:"parts"`
	Metadata *Metadata `json:"metadata,omitempty"` // never sent to a model
}

// Metadata is what the loop notes about a message. It is stored with the
// message and stripped before the model sees it.
type Metadata struct {
	Model      string         `json:"model,omitempty"` // as the provider names it
	StopReason StopReason     `json:"stopReason,omitempty"`
	Usage      Usage          `json:"usage,omitzero"`
	Latency    Duration       `json:"latency,omitzero"`    // whole model call
	FirstToken Duration       `json:"firstToken,omitzero"` // until the first delta; zero when unknown
	Custom     map[string]any `json:"custom,omitempty"`    // the program's own notes, JSON values
}

// Part is one piece of a message. Exactly one field is set; the zero Part is
// an empty text.
type Part struct {
	Text       string          `json:"text,omitempty"`
	Reasoning  *Reasoning      `json:"reasoning,omitempty"`
	Image      *Media          `json:"image,omitempty"`
	Document   *Media          `json:"document,omitempty"`
	Video      *Media          `json:"video,omitempty"`
	ToolCall   *ToolCall       `json:"toolCall,omitempty"`
	ToolResult *ToolResult     `json:"toolResult,omitempty"`
	JSON       json.RawMessage `json:"json,omitempty"` // only inside a ToolResult
	Cited      *Cited          `json:"cited,omitempty"`
	Guard      *Guard          `json:"guard,omitempty"`
	CachePoint *CachePoint     `json:"cachePoint,omitempty"`
}

// Reasoning is what a model thought before it answered. Signature and Redacted
// are the provider's and must go back to it unchanged.
type Reasoning struct {
	Text      string `json:"text,omitempty"`
	Signature string `json:"signature,omitempty"`
	Redacted  []byte `json:"redacted,omitempty"`
}

// Media is an image, a document or a video: the bytes themselves, or where
// they are. Exactly one of Data and URI is set.
type Media struct {
	MIME    string `json:"mime"`              // "image/png", "application/pdf", …
	Name    string `json:"name,omitempty"`    // documents only
	Context string `json:"context,omitempty"` // documents only: what the model should know about it
	Cite    bool   `json:"cite,omitempty"`    // documents only: ask for citations
	Data    []byte `json:"data,omitempty"`
	URI     string `json:"uri,omitempty"` // "s3://bucket/key" or "https://…", when the provider fetches it
}

// Cited is text of the model with the sources it names.
type Cited struct {
	Text      string     `json:"text"`
	Citations []Citation `json:"citations"`
}

// Citation is one source of a Cited text. Kind says what Source, Start and End
// count: "char", "page" and "chunk" count inside a document, "search" inside a
// search result; "web" has a URL only.
type Citation struct {
	Kind   string   `json:"kind,omitempty"`
	Title  string   `json:"title,omitempty"`
	URL    string   `json:"url,omitempty"`
	Source int      `json:"source,omitempty"`
	Start  int      `json:"start,omitempty"`
	End    int      `json:"end,omitempty"`
	Quotes []string `json:"quotes,omitempty"`
}

// Guard is text that a provider's guardrail is asked to look at.
type Guard struct {
	Text       string   `json:"text"`
	Qualifiers []string `json:"qualifiers,omitempty"` // "grounding_source", "query", "guard_content"
}

// CachePoint marks the end of a prefix that the provider should cache.
type CachePoint struct {
	TTL string `json:"ttl,omitempty"` // "5m", "1h"; empty = the provider's default
}

// Text makes a text part.
func Text(s string) Part { return Part{Text: s} }

// UserMessage makes a user message of parts.
func UserMessage(parts ...Part) Message { return Message{Role: User, Parts: parts} }

// AssistantMessage makes an assistant message of parts.
func AssistantMessage(parts ...Part) Message { return Message{Role: Assistant, Parts: parts} }

// ToolCalls returns the tool calls of m in order.
func (m Message) ToolCalls() []*ToolCall {
	var calls []*ToolCall
	for _, p := range m.Parts {
		if p.ToolCall != nil {
			calls = append(calls, p.ToolCall)
		}
	}
	return calls
}

// ToolResults returns the tool results of m in order.
func (m Message) ToolResults() []*ToolResult {
	var results []*ToolResult
	for _, p := range m.Parts {
		if p.ToolResult != nil {
			results = append(results, p.ToolResult)
		}
	}
	return results
}

// Text returns what a person would read of m: its texts and cited texts, one
// after the other. Reasoning, tool calls and tool results are left out.
func (m Message) Text() string {
	var b strings.Builder
	for _, p := range m.Parts {
		switch {
		case p.Cited != nil:
			b.WriteString(p.Cited.Text)
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// ToolCall is a request to run a tool: by the model, by Python code of the
// REPL (then ParentID names the call whose code it is), or by the program.
type ToolCall struct {
	ID          string          `json:"id"`
	ParentID    string          `json:"parentId,omitempty"`
	Name        string          `json:"name"`
	Input       json.RawMessage `json:"input"`               // a JSON object
	Signature   string          `json:"signature,omitempty"` // of the reasoning that led here; goes back to the provider unchanged
	Attachments []Attachment    `json:"-"`                   // big data that came with the call; readable until it returns
}

// ToolResult answers the ToolCall with ID CallID.
type ToolResult struct {
	CallID  string `json:"callId"`
	IsError bool   `json:"isError,omitempty"`
	Parts   []Part `json:"parts"` // what the model reads

	// Value is the native result, for callers that can use more than text: a
	// call from Python gets it instead of Parts. It must be something
	// encoding/json can marshal. It is never stored and never sent to a model;
	// a hook that replaces Parts must clear it.
	Value any `json:"-"`
	// Attachments are big data handed to a caller in Python, which gets them
	// instead of Value and Parts: one as itself, several as a list. Arrow data
	// (application/vnd.apache.arrow.stream) becomes a DataFrame, the rest bytes.
	// A hook that replaces Parts must clear them too.
	Attachments []Attachment `json:"-"`
}

// Text returns the texts of the result, JSON parts as their text.
func (r *ToolResult) Text() string {
	var b strings.Builder
	for i, p := range r.Parts {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Text)
		b.Write(p.JSON)
	}
	return b.String()
}

// Attachment is data too big to travel as JSON, such as an Arrow table.
// Data is read with ReadAt and never mapped: its writer may be able to
// shrink it.
type Attachment struct {
	MIME string
	Size int64 // bytes
	Data io.ReaderAt
}

// Clone returns a copy of m that shares nothing a caller could change, except
// attachments and values of tool results, which are never stored.
func (m Message) Clone() Message {
	m.Parts = cloneParts(m.Parts)
	if m.Metadata != nil {
		md := *m.Metadata
		md.Custom = cloneJSON(md.Custom)
		m.Metadata = &md
	}
	return m
}

func cloneParts(parts []Part) []Part {
	parts = slices.Clone(parts)
	for i, p := range parts {
		p.JSON = slices.Clone(p.JSON)
		p.Reasoning = clonePtr(p.Reasoning)
		if p.Reasoning != nil {
			p.Reasoning.Redacted = slices.Clone(p.Reasoning.Redacted)
		}
		p.Image, p.Document, p.Video = cloneMedia(p.Image), cloneMedia(p.Document), cloneMedia(p.Video)
		if p.ToolCall = clonePtr(p.ToolCall); p.ToolCall != nil {
			p.ToolCall.Input = slices.Clone(p.ToolCall.Input)
		}
		if p.ToolResult = clonePtr(p.ToolResult); p.ToolResult != nil {
			p.ToolResult.Parts = cloneParts(p.ToolResult.Parts)
		}
		if p.Cited = clonePtr(p.Cited); p.Cited != nil {
			p.Cited.Citations = slices.Clone(p.Cited.Citations)
			for j, c := range p.Cited.Citations {
				p.Cited.Citations[j].Quotes = slices.Clone(c.Quotes)
			}
		}
		if p.Guard = clonePtr(p.Guard); p.Guard != nil {
			p.Guard.Qualifiers = slices.Clone(p.Guard.Qualifiers)
		}
		p.CachePoint = clonePtr(p.CachePoint)
		parts[i] = p
	}
	return parts
}

func cloneMedia(m *Media) *Media {
	if m = clonePtr(m); m != nil {
		m.Data = slices.Clone(m.Data)
	}
	return m
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func cloneJSON(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	c := make(map[string]any, len(m))
	for k, v := range m {
		c[k] = cloneValue(v)
	}
	return c
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneJSON(v)
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = cloneValue(e)
		}
		return c
	}
	return v
}
