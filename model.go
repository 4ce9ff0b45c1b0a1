package strands

import (
	"context"
	"encoding/json"
	"iter"
	"math"
	"time"
)

// A Model turns a request into a reply. It is the one thing a provider
// implements, and a provider is safe for concurrent use.
//
// The sequence is lazy: nothing is sent before the first iteration. It yields
// any number of chunks with a Delta, then exactly one with a Reply, which is
// last. An error ends it: nothing follows, and no Reply came before. A stream
// that ends early, is malformed or stalls is an error, never a short Reply.
// When the consumer stops or ctx ends, the request is aborted and everything
// it started has ended when the sequence returns. A Model must not keep or
// change req. Errors of the provider are a *ModelError.
type Model interface {
	Generate(ctx context.Context, req *Request) iter.Seq2[Chunk, error]
}

// Describer is an optional method of a Model: who it is and what it can take.
type Describer interface {
	Describe() ModelInfo
}

// TokenCounter is an optional method of a Model: the number of input tokens
// that req would cost, without sending it to be answered.
type TokenCounter interface {
	CountTokens(ctx context.Context, req *Request) (int, error)
}

// ModelInfo describes a model. Zero means unknown.
type ModelInfo struct {
	Provider      string // "openai", "bedrock", …
	ID            string // as the provider names it
	ContextWindow int    // tokens
	MaxOutput     int    // tokens
}

// Describe returns what m says of itself, looking through wrappers that have
// an Unwrap() Model method; the zero ModelInfo when nothing does.
func Describe(m Model) ModelInfo {
	for m != nil {
		if d, ok := m.(Describer); ok {
			return d.Describe()
		}
		w, ok := m.(interface{ Unwrap() Model })
		if !ok {
			break
		}
		m = w.Unwrap()
	}
	return ModelInfo{}
}

// Request is what a Model is asked.
type Request struct {
	System     []Part // texts and cache points
	Messages   []Message
	Tools      []ToolSpec
	ToolChoice ToolChoice
}

// ToolChoice tells the model whether to call a tool. The zero value leaves it
// to the model.
type ToolChoice struct {
	Any  bool   // call some tool
	Tool string // call this tool
}

// Chunk is one step of a model's answer. Exactly one field is set.
type Chunk struct {
	Delta *Delta
	Reply *Reply
}

// Delta is a fragment of a part of the reply as it is written. Exactly one
// field beside Block is set.
type Delta struct {
	Block     int            `json:"block"` // which part of the reply, by the provider's index; blocks may interleave
	Text      string         `json:"text,omitempty"`
	Reasoning *Reasoning     `json:"reasoning,omitempty"` // fragments of text and signature; Redacted whole
	ToolCall  *ToolCallDelta `json:"toolCall,omitempty"`
	Citation  *Citation      `json:"citation,omitempty"`
}

// ToolCallDelta is a fragment of a tool call. ID and Name come with the first
// fragment of a block; Input is a piece of JSON text.
type ToolCallDelta struct {
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Signature string `json:"signature,omitempty"`
	Input     string `json:"input,omitempty"`
}

// Reply is a model's whole answer.
type Reply struct {
	Message    Message // Role is Assistant
	StopReason StopReason
	Usage      Usage
	Model      string // as the provider names the model that answered

	// RedactInput, when not empty, asks to replace the last user message of
	// the history by this text: a guardrail refused it.
	RedactInput string
	// Extra holds additional fields of the response that were asked for.
	Extra json.RawMessage
}

// StopReason says why a model, or a run, stopped.
type StopReason string

// Why a model stopped, and (from StopInterrupt on) why a run did.
const (
	StopEndTurn         StopReason = "end_turn"
	StopToolUse         StopReason = "tool_use"
	StopMaxTokens       StopReason = "max_tokens"
	StopSequence        StopReason = "stop_sequence"
	StopContentFiltered StopReason = "content_filtered"
	StopGuardrail       StopReason = "guardrail_intervened"
	StopRefusal         StopReason = "refusal"
	StopPause           StopReason = "pause_turn"
	StopInterrupt       StopReason = "interrupt"
	StopCancelled       StopReason = "cancelled"
	StopLimit           StopReason = "limit"
)

// Usage counts tokens. Input does not include what was read from or written to
// a cache; a provider that counts them together subtracts.
type Usage struct {
	Input      int `json:"input"`
	Output     int `json:"output"` // reasoning included
	CacheRead  int `json:"cacheRead,omitempty"`
	CacheWrite int `json:"cacheWrite,omitempty"`
	Reasoning  int `json:"reasoning,omitempty"` // part of Output
}

// Total is every token the model read or wrote.
func (u Usage) Total() int { return u.Input + u.Output + u.CacheRead + u.CacheWrite }

// Add returns the sum of u and v.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Input: u.Input + v.Input, Output: u.Output + v.Output,
		CacheRead: u.CacheRead + v.CacheRead, CacheWrite: u.CacheWrite + v.CacheWrite,
		Reasoning: u.Reasoning + v.Reasoning,
	}
}

// Duration is a time.Duration that is a number of seconds in JSON.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Seconds())
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s float64
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*d = Duration(math.Round(s * float64(time.Second))) // else a round trip loses a nanosecond
	return nil
}
