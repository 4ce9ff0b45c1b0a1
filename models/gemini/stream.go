package gemini

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
	"google.golang.org/genai"
)

func (m *Model) stream(ctx context.Context, call *wire.Call, client *genai.Client, contents []*genai.Content, config *genai.GenerateContentConfig, w *wire.Writer) (*strands.Reply, error) {
	call.Streams()
	r := reader{w: w, block: -1, said: -1}
	for chunk, err := range client.Models.GenerateContentStream(ctx, m.cfg.Model, contents, config) {
		if err != nil {
			return nil, m.fail(call, err)
		}
		if err := r.read(call, chunk); err != nil {
			return nil, err
		}
	}
	if r.finish == "" || !call.Whole() {
		return nil, call.Cut()
	}
	return r.reply(call)
}

// reader follows a stream, which has no blocks: each change of kind opens one.
type reader struct {
	w *wire.Writer

	block  int
	kind   kind
	called bool
	cited  []strands.Citation
	said   int // the last block of text; -1 = none yet

	model   string
	finish  genai.FinishReason
	because string
	usage   strands.Usage
}

type kind int

const (
	none kind = iota
	text
	thought
	seals
	toolCall
	image
)

func (r *reader) open(k kind) int {
	if r.kind != k || k == toolCall || k == image {
		r.kind = k
		r.block++
	}
	if k == text {
		r.said = r.block
	}
	return r.block
}

func (r *reader) read(call *wire.Call, chunk *genai.GenerateContentResponse) error {
	if chunk.ModelVersion != "" {
		r.model = chunk.ModelVersion
	}
	if u := chunk.UsageMetadata; u != nil {
		r.usage = strands.Usage{
			Input:     int(max(u.PromptTokenCount+u.ToolUsePromptTokenCount-u.CachedContentTokenCount, 0)),
			Output:    int(u.CandidatesTokenCount + u.ThoughtsTokenCount),
			CacheRead: int(u.CachedContentTokenCount), Reasoning: int(u.ThoughtsTokenCount),
		}
	}
	if f := chunk.PromptFeedback; f != nil && f.BlockReason != "" && f.BlockReason != genai.BlockedReasonUnspecified {
		message := strings.TrimSpace("the prompt was blocked: " + string(f.BlockReason) + " " + f.BlockReasonMessage)
		return call.Fail(errors.New(message), wire.Fault{Kind: strands.ModelRefused, Code: string(f.BlockReason), Message: message})
	}
	for _, c := range chunk.Candidates {
		if c.Index == 0 {
			return r.candidate(call, c)
		}
	}
	return nil
}

func (r *reader) candidate(call *wire.Call, c *genai.Candidate) error {
	if c.Content != nil {
		for _, p := range c.Content.Parts {
			if p == nil {
				continue
			}
			if err := r.part(call, p); err != nil {
				return err
			}
		}
	}
	if err := r.cite(c); err != nil {
		return err
	}
	if c.FinishReason != "" && c.FinishReason != genai.FinishReasonUnspecified {
		r.finish, r.because = c.FinishReason, c.FinishMessage
	}
	return nil
}

func (r *reader) part(call *wire.Call, p *genai.Part) error {
	switch {
	case p.FunctionCall != nil:
		return r.functionCall(call, p)
	case p.InlineData != nil && strings.HasPrefix(p.InlineData.MIMEType, "image/"):
		r.open(image)
		r.w.Put(strands.Part{Image: &strands.Media{MIME: p.InlineData.MIMEType, Data: p.InlineData.Data}})
	case p.Thought:
		return r.w.Send(&strands.Delta{Block: r.open(thought), Reasoning: &strands.Reasoning{Text: p.Text, Signature: seal(p.ThoughtSignature)}})
	case p.Text != "":
		if err := r.w.Send(&strands.Delta{Block: r.open(text), Text: p.Text}); err != nil {
			return err
		}
	}
	if len(p.ThoughtSignature) > 0 { // of a text: it goes back on its own, in the same place
		return r.w.Send(&strands.Delta{Block: r.open(seals), Reasoning: &strands.Reasoning{Signature: seal(p.ThoughtSignature)}})
	}
	return nil
}

func (r *reader) functionCall(call *wire.Call, p *genai.Part) error {
	input, err := json.Marshal(p.FunctionCall.Args)
	if err != nil {
		return call.Broken("the input of a tool call: %w", err)
	}
	if p.FunctionCall.Args == nil {
		input = []byte("{}")
	}
	id := p.FunctionCall.ID
	if id == "" {
		id = "call_" + rand.Text()
	}
	r.called = true
	return r.w.Send(&strands.Delta{Block: r.open(toolCall), ToolCall: &strands.ToolCallDelta{
		ID: id, Name: p.FunctionCall.Name, Input: string(input), Signature: seal(p.ThoughtSignature),
	}})
}

// cite hands on sources, which come for the whole text and often twice.
func (r *reader) cite(c *genai.Candidate) error {
	if r.said < 0 {
		return nil
	}
	var found []strands.Citation
	if c.CitationMetadata != nil {
		for _, e := range c.CitationMetadata.Citations {
			found = append(found, strands.Citation{Kind: "web", Title: e.Title, URL: e.URI})
		}
	}
	if c.GroundingMetadata != nil {
		for _, e := range c.GroundingMetadata.GroundingChunks {
			if e.Web != nil {
				found = append(found, strands.Citation{Kind: "web", Title: e.Web.Title, URL: e.Web.URI})
			}
		}
	}
	for _, e := range found {
		same := func(o strands.Citation) bool { return o.URL == e.URL && o.Title == e.Title }
		if slices.ContainsFunc(r.cited, same) {
			continue
		}
		r.cited = append(r.cited, e)
		if err := r.w.Send(&strands.Delta{Block: r.said, Citation: &e}); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) reply(call *wire.Call) (*strands.Reply, error) {
	var stop strands.StopReason
	switch r.finish {
	case genai.FinishReasonStop:
		if stop = strands.StopEndTurn; r.called {
			stop = strands.StopToolUse
		}
	case genai.FinishReasonMaxTokens:
		stop = strands.StopMaxTokens
	case genai.FinishReasonSafety, genai.FinishReasonRecitation, genai.FinishReasonLanguage, genai.FinishReasonBlocklist,
		genai.FinishReasonProhibitedContent, genai.FinishReasonSPII, genai.FinishReasonImageSafety,
		genai.FinishReasonImageProhibitedContent, genai.FinishReasonImageRecitation:
		stop = strands.StopContentFiltered
	default: // a call that could not be read, no picture, …
		return nil, call.Broken("the model ended with %s %s", r.finish, r.because)
	}
	return &strands.Reply{Message: strands.AssistantMessage(r.w.Parts()...), StopReason: stop, Usage: r.usage, Model: r.model}, nil
}
