package openai

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"

	"github.com/openai/openai-go/v3/responses"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

func (m *Model) streamResponses(ctx context.Context, call *wire.Call, req *strands.Request, w *wire.Writer) (*strands.Reply, error) {
	params, err := m.responseParams(req)
	if err != nil {
		return nil, err
	}
	call.Streams()
	stream := m.responses.NewStreaming(ctx, params)
	defer stream.Close()
	r := responseReader{w: w, numbers: map[blockKey]int{}, written: map[int64]bool{}}
	for stream.Next() {
		e := stream.Current()
		switch e.Type {
		case "response.completed", "response.incomplete":
			return r.reply(call, &e)
		case "response.failed":
			f := fault{Message: e.Response.Error.Message, Code: code(e.Response.Error.Code)}
			return nil, call.Fail(errors.New("the response failed"), f.fault(0))
		case "error":
			f := fault{Message: e.Message, Code: code(e.Code)}
			return nil, call.Fail(errors.New("the stream failed"), f.fault(0))
		}
		if err := r.read(call, &e); err != nil {
			return nil, err
		}
	}
	if err := stream.Err(); err != nil {
		return nil, m.fail(call, err)
	}
	return nil, call.Cut()
}

// responseReader follows a stream. Its blocks are the pieces of the items of
// the output, numbered as they come.
type responseReader struct {
	w       *wire.Writer
	numbers map[blockKey]int
	written map[int64]bool // items that are function calls with an input

	called, refused bool
}

type blockKey struct{ item, content int64 }

func (r *responseReader) block(item, content int64) int {
	k := blockKey{item, content}
	n, ok := r.numbers[k]
	if !ok {
		n = len(r.numbers)
		r.numbers[k] = n
	}
	return n
}

func (r *responseReader) read(call *wire.Call, e *responses.ResponseStreamEventUnion) error {
	item, piece := e.OutputIndex, e.ContentIndex
	switch e.Type {
	case "response.output_text.delta":
		return r.w.Send(&strands.Delta{Block: r.block(item, piece), Text: e.Delta})
	case "response.refusal.delta":
		r.refused = true
		return r.w.Send(&strands.Delta{Block: r.block(item, piece), Text: e.Delta})
	case "response.output_text.annotation.added":
		if c, ok := citation(&e.Annotation); ok {
			return r.w.Send(&strands.Delta{Block: r.block(item, piece), Citation: &c})
		}
	case "response.reasoning_text.delta", "response.reasoning_summary_text.delta":
		return r.think(item, strands.Reasoning{Text: e.Delta})
	case "response.reasoning_summary_part.added":
		if e.SummaryIndex > 0 {
			return r.think(item, strands.Reasoning{Text: "\n\n"})
		}
	case "response.function_call_arguments.delta":
		r.written[item] = true
		return r.w.Send(&strands.Delta{Block: r.block(item, 0), ToolCall: &strands.ToolCallDelta{Input: e.Delta}})
	case "response.output_item.added":
		if e.Item.Type == "function_call" {
			r.called = true
			return r.w.Send(&strands.Delta{Block: r.block(item, 0), ToolCall: &strands.ToolCallDelta{ID: e.Item.CallID, Name: e.Item.Name}})
		}
	case "response.output_item.done":
		return r.itemDone(call, item, &e.Item)
	}
	return nil
}

func (r *responseReader) itemDone(call *wire.Call, index int64, item *responses.ResponseOutputItemUnion) error {
	switch item.Type {
	case "function_call":
		return r.callDone(index, item)
	case "message":
		for i, c := range item.Content {
			if _, streamed := r.numbers[blockKey{index, int64(i)}]; streamed || c.Text == "" {
				continue
			}
			if err := r.w.Send(&strands.Delta{Block: r.block(index, int64(i)), Text: c.Text}); err != nil {
				return err
			}
		}
	case "reasoning":
		if item.EncryptedContent != "" {
			return r.think(index, strands.Reasoning{Signature: item.EncryptedContent})
		}
	case "image_generation_call":
		data, err := base64.StdEncoding.DecodeString(item.Result)
		if err != nil {
			return call.Broken("a generated image: %w", err)
		}
		r.w.Put(strands.Part{Image: &strands.Media{MIME: "image/png", Data: data}})
	}
	return nil
}

// callDone adds what some servers do not stream of a call: its input, or all of
// it.
func (r *responseReader) callDone(index int64, item *responses.ResponseOutputItemUnion) error {
	var d strands.ToolCallDelta
	if _, begun := r.numbers[blockKey{index, 0}]; !begun {
		d.ID, d.Name = item.CallID, item.Name
	}
	if !r.written[index] {
		d.Input = item.Arguments.OfString
	}
	if r.called = true; d == (strands.ToolCallDelta{}) {
		return nil
	}
	return r.w.Send(&strands.Delta{Block: r.block(index, 0), ToolCall: &d})
}

func (r *responseReader) think(item int64, t strands.Reasoning) error {
	return r.w.Send(&strands.Delta{Block: r.block(item, 0), Reasoning: &t})
}

// citation reads an annotation; false when it is none.
func citation(a *responses.ResponseOutputTextAnnotationAddedEventAnnotationUnion) (strands.Citation, bool) {
	switch a.Type {
	case "url_citation":
		return strands.Citation{Kind: "web", Title: a.Title, URL: a.URL}, true
	case "file_citation", "container_file_citation":
		return strands.Citation{Title: cmp.Or(a.Filename, a.FileID)}, true
	}
	return strands.Citation{}, false
}

func (r *responseReader) reply(call *wire.Call, e *responses.ResponseStreamEventUnion) (*strands.Reply, error) {
	resp := &e.Response
	if len(r.w.Parts()) == 0 { // nothing was streamed, or there is nothing
		for i := range resp.Output {
			if err := r.itemDone(call, int64(i), &resp.Output[i]); err != nil {
				return nil, err
			}
		}
	}
	stop := strands.StopEndTurn
	switch {
	case resp.IncompleteDetails.Reason == "content_filter":
		stop = strands.StopContentFiltered
	case resp.IncompleteDetails.Reason != "", e.Type == "response.incomplete": // max_output_tokens, max_tool_calls
		stop = strands.StopMaxTokens
	case r.refused:
		stop = strands.StopRefusal
	case r.called:
		stop = strands.StopToolUse
	}
	in, out := resp.Usage.InputTokensDetails, resp.Usage.OutputTokensDetails
	return &strands.Reply{
		Message: strands.AssistantMessage(r.w.Parts()...), StopReason: stop, Model: resp.Model,
		Usage: strands.Usage{
			Input:     int(max(resp.Usage.InputTokens-in.CachedTokens-in.CacheWriteTokens, 0)),
			Output:    int(resp.Usage.OutputTokens),
			CacheRead: int(in.CachedTokens), CacheWrite: int(in.CacheWriteTokens),
			Reasoning: int(out.ReasoningTokens),
		},
	}, nil
}
