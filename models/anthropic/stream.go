package anthropic

import (
	"context"

	sdk "github.com/anthropics/anthropic-sdk-go"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

func (m *Model) stream(ctx context.Context, call *wire.Call, req *strands.Request, w *wire.Writer) (*strands.Reply, error) {
	params, err := m.params(req)
	if err != nil {
		return nil, err
	}
	call.Streams()
	stream := m.messages.NewStreaming(ctx, params)
	defer stream.Close()
	reply := &strands.Reply{Message: strands.AssistantMessage()}
	whole := map[int64]string{}
	for stream.Next() {
		e := stream.Current()
		switch e.Type {
		case "message_start":
			reply.Model = string(e.Message.Model)
			reply.Usage = usageOf(&e.Message.Usage)
		case "content_block_start":
			if input := wholeInput(&e.ContentBlock); input != "" {
				whole[e.Index] = input
			}
			err = startBlock(w, int(e.Index), &e.ContentBlock)
		case "content_block_delta":
			delete(whole, e.Index)
			err = readDelta(w, int(e.Index), &e.Delta)
		case "content_block_stop":
			if input := whole[e.Index]; input != "" {
				err = w.Send(&strands.Delta{Block: int(e.Index), ToolCall: &strands.ToolCallDelta{Input: input}})
			}
		case "message_delta":
			reply.StopReason = stopReason(e.Delta.StopReason)
			addUsage(&reply.Usage, &e.Usage)
		case "message_stop":
			reply.Message.Parts = w.Parts()
			return reply, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if err := stream.Err(); err != nil {
		return nil, m.fail(call, err)
	}
	return nil, call.Cut()
}

// startBlock opens a block. What the server's own tools do is not part of the
// conversation that we keep.
func startBlock(w *wire.Writer, index int, b *sdk.ContentBlockStartEventContentBlockUnion) error {
	d := strands.Delta{Block: index}
	switch b.Type {
	case "text":
		d.Text = b.Text
	case "thinking":
		d.Reasoning = &strands.Reasoning{Text: b.Thinking, Signature: b.Signature}
	case "redacted_thinking":
		d.Reasoning = &strands.Reasoning{Redacted: []byte(b.Data)}
	case "tool_use":
		d.ToolCall = &strands.ToolCallDelta{ID: b.ID, Name: b.Name}
	default:
		return nil
	}
	if d == (strands.Delta{Block: index}) {
		return nil
	}
	return w.Send(&d)
}

// wholeInput is the input of a tool call that servers of other makers send
// with its beginning; "" where it comes in pieces.
func wholeInput(b *sdk.ContentBlockStartEventContentBlockUnion) string {
	if raw := b.JSON.Input.Raw(); b.Type == "tool_use" && raw != "{}" && raw != "null" {
		return raw
	}
	return ""
}

func readDelta(w *wire.Writer, index int, e *sdk.MessageStreamEventUnionDelta) error {
	d := strands.Delta{Block: index}
	switch e.Type {
	case "text_delta":
		d.Text = e.Text
	case "thinking_delta":
		d.Reasoning = &strands.Reasoning{Text: e.Thinking}
	case "signature_delta":
		d.Reasoning = &strands.Reasoning{Signature: e.Signature}
	case "input_json_delta":
		if e.PartialJSON == "" {
			return nil
		}
		d.ToolCall = &strands.ToolCallDelta{Input: e.PartialJSON}
	case "citations_delta":
		c := citation(&e.Citation)
		d.Citation = &c
	default:
		return nil
	}
	return w.Send(&d)
}

func citation(c *sdk.CitationsDeltaCitationUnion) strands.Citation {
	out := strands.Citation{Title: c.DocumentTitle, Source: int(c.DocumentIndex)}
	switch c.Type {
	case "char_location":
		out.Kind, out.Start, out.End = "char", int(c.StartCharIndex), int(c.EndCharIndex)
	case "page_location":
		out.Kind, out.Start, out.End = "page", int(c.StartPageNumber), int(c.EndPageNumber)
	case "content_block_location":
		out.Kind, out.Start, out.End = "chunk", int(c.StartBlockIndex), int(c.EndBlockIndex)
	case "search_result_location":
		out.Kind, out.Title, out.URL, out.Source = "search", c.Title, c.Source, int(c.SearchResultIndex)
		out.Start, out.End = int(c.StartBlockIndex), int(c.EndBlockIndex)
	case "web_search_result_location":
		out.Kind, out.Title, out.URL = "web", c.Title, c.URL
	}
	if c.CitedText != "" {
		out.Quotes = []string{c.CitedText}
	}
	return out
}

func stopReason(r sdk.StopReason) strands.StopReason {
	switch r {
	case "model_context_window_exceeded": // the answer filled the window
		return strands.StopMaxTokens
	}
	return strands.StopReason(r) // our names are the server's
}

func usageOf(u *sdk.Usage) strands.Usage {
	return strands.Usage{
		Input: int(u.InputTokens), Output: int(u.OutputTokens),
		CacheRead: int(u.CacheReadInputTokens), CacheWrite: int(u.CacheCreationInputTokens),
		Reasoning: int(u.OutputTokensDetails.ThinkingTokens),
	}
}

// addUsage takes the last word of the server, which counts from the start of
// the message; what it leaves out stays.
func addUsage(u *strands.Usage, d *sdk.MessageDeltaUsage) {
	set := func(to *int, valid bool, n int64) {
		if valid {
			*to = int(n)
		}
	}
	set(&u.Input, d.JSON.InputTokens.Valid(), d.InputTokens)
	set(&u.Output, d.JSON.OutputTokens.Valid(), d.OutputTokens)
	set(&u.CacheRead, d.JSON.CacheReadInputTokens.Valid(), d.CacheReadInputTokens)
	set(&u.CacheWrite, d.JSON.CacheCreationInputTokens.Valid(), d.CacheCreationInputTokens)
	set(&u.Reasoning, d.JSON.OutputTokensDetails.Valid(), d.OutputTokensDetails.ThinkingTokens)
}
