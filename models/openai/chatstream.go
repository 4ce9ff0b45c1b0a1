package openai

import (
	"context"
	"crypto/rand"
	"errors"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

func (m *Model) streamChat(ctx context.Context, call *wire.Call, req *strands.Request, w *wire.Writer) (*strands.Reply, error) {
	params, err := m.chatParams(req)
	if err != nil {
		return nil, err
	}
	call.Streams()
	stream := m.chat.NewStreaming(ctx, params)
	defer stream.Close()
	r := chatReader{w: w, block: -1, details: map[float64]*detail{}}
	for stream.Next() {
		chunk := stream.Current()
		if err := r.read(&chunk); err != nil {
			return nil, err
		}
	}
	if err := stream.Err(); err != nil {
		return nil, m.fail(call, err)
	}
	switch r.finish {
	case "":
		return nil, call.Cut()
	case "error": // OpenRouter, of the server behind it
		return nil, call.Broken("the model's server failed in the middle of the reply")
	}
	if err := r.closeDetails(); err != nil {
		return nil, err
	}
	return r.reply(), nil
}

// chatReader follows a stream. The protocol has no blocks: text, reasoning and
// tool calls open a new one whenever the kind changes.
type chatReader struct {
	w *wire.Writer

	block    int // the last one that was opened
	kind     kind
	calls    []chatCall
	details  map[float64]*detail // by their index
	thoughts []*detail           // the same, as they came
	model    string
	finish   string
	refused  bool
	usage    strands.Usage
}

type kind int

const (
	none kind = iota
	text
	reasoning
	toolCall
)

type chatCall struct {
	index int64
	id    string
	block int
}

func (r *chatReader) read(chunk *sdk.ChatCompletionChunk) error {
	if r.model == "" {
		r.model = chunk.Model
	}
	if chunk.JSON.Usage.Valid() {
		r.usage = chatUsage(&chunk.Usage)
	}
	for i := range chunk.Choices {
		c := &chunk.Choices[i]
		if c.Index != 0 {
			continue
		}
		if err := r.readDelta(&c.Delta); err != nil {
			return err
		}
		if c.FinishReason != "" {
			r.finish = c.FinishReason
		}
	}
	return nil
}

func (r *chatReader) readDelta(d *sdk.ChatCompletionChunkChoiceDelta) error {
	if err := r.readExtra(d.JSON.ExtraFields); err != nil {
		return err
	}
	if d.Refusal != "" {
		r.refused = true
	}
	for _, s := range [...]string{d.Content, d.Refusal} {
		if s == "" {
			continue
		}
		if err := r.w.Send(&strands.Delta{Block: r.open(text), Text: s}); err != nil {
			return err
		}
	}
	if err := r.readAnnotations(d.JSON.ExtraFields); err != nil {
		return err
	}
	for i := range d.ToolCalls {
		if err := r.readCall(&d.ToolCalls[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *chatReader) open(k kind) int {
	if r.kind != k || k == toolCall {
		r.kind = k
		r.block++
	}
	return r.block
}

// readCall takes a fragment of a tool call. Some servers give all calls the
// index 0, but a new id; some give no id.
func (r *chatReader) readCall(d *sdk.ChatCompletionChunkChoiceDeltaToolCall) error {
	for i := len(r.calls) - 1; i >= 0; i-- {
		c := &r.calls[i]
		if c.index != d.Index || d.ID != "" && d.ID != c.id {
			continue
		}
		if d.Function.Arguments == "" {
			return nil
		}
		return r.w.Send(&strands.Delta{Block: c.block, ToolCall: &strands.ToolCallDelta{Input: d.Function.Arguments}})
	}
	c := chatCall{index: d.Index, id: d.ID, block: r.open(toolCall)}
	if c.id == "" {
		c.id = "call_" + rand.Text()
	}
	r.calls = append(r.calls, c)
	return r.w.Send(&strands.Delta{Block: c.block, ToolCall: &strands.ToolCallDelta{
		ID: c.id, Name: d.Function.Name, Input: d.Function.Arguments,
	}})
}

func (r *chatReader) reply() *strands.Reply {
	return &strands.Reply{
		Message: strands.AssistantMessage(r.w.Parts()...), StopReason: r.stopReason(), Usage: r.usage, Model: r.model,
	}
}

func (r *chatReader) stopReason() strands.StopReason {
	switch r.finish {
	case "length":
		return strands.StopMaxTokens
	case "content_filter":
		return strands.StopContentFiltered
	}
	switch {
	case r.refused:
		return strands.StopRefusal
	case len(r.calls) > 0: // some servers say "stop"
		return strands.StopToolUse
	}
	return strands.StopEndTurn
}

func chatUsage(u *sdk.CompletionUsage) strands.Usage {
	read, written := u.PromptTokensDetails.CachedTokens, u.PromptTokensDetails.CacheWriteTokens
	return strands.Usage{
		Input:     int(max(u.PromptTokens-read-written, 0)),
		Output:    int(u.CompletionTokens),
		CacheRead: int(read), CacheWrite: int(written),
		Reasoning: int(u.CompletionTokensDetails.ReasoningTokens),
	}
}

// streamError is the JSON of an error that came in the middle of a stream.
func streamError(err error) ([]byte, bool) {
	var e *ssestream.StreamError
	if !errors.As(err, &e) {
		return nil, false
	}
	return e.Event.Data, true
}
