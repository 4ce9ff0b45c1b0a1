package bedrock

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/transport/http/protocol/restjson1"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

func (m *Model) converseStream(ctx context.Context, call *wire.Call, client *bedrockruntime.Client, in *bedrockruntime.ConverseInput, w *wire.Writer) (*strands.Reply, error) {
	call.Streams()
	out, err := client.ConverseStream(ctx, m.streamInput(in), ownProtocol)
	if err != nil {
		return nil, m.fail(call, err)
	}
	stream := out.GetStream()
	// The SDK reads in goroutines of its own, which are over when the channel
	// is closed; ending the call makes their reads return.
	defer func() {
		call.End()
		stream.Close()
		for range stream.Events() {
		}
	}()
	r := reader{m: m, w: w, images: map[int]*strands.Media{}}
	for e := range stream.Events() {
		if err := r.read(call, e); err != nil {
			return nil, err
		}
	}
	if err := stream.Err(); err != nil {
		return nil, m.fail(call, err)
	}
	if r.stop == "" {
		return nil, call.Cut()
	}
	return r.reply(call)
}

// ownProtocol gives a call a protocol of its own: the one that belongs to the
// client keeps the state of a stream and races when there are two (smithy-go
// 1.28.8, found by the suite with -race).
func ownProtocol(o *bedrockruntime.Options) {
	o.Protocol = restjson1.New(schemas.AmazonBedrockFrontendService)
}

func (m *Model) streamInput(in *bedrockruntime.ConverseInput) *bedrockruntime.ConverseStreamInput {
	s := &bedrockruntime.ConverseStreamInput{
		ModelId: in.ModelId, Messages: in.Messages, System: in.System, InferenceConfig: in.InferenceConfig, ToolConfig: in.ToolConfig,
		AdditionalModelRequestFields: in.AdditionalModelRequestFields, AdditionalModelResponseFieldPaths: in.AdditionalModelResponseFieldPaths,
		OutputConfig: in.OutputConfig, PerformanceConfig: in.PerformanceConfig, PromptVariables: in.PromptVariables,
		RequestMetadata: in.RequestMetadata, ServiceTier: in.ServiceTier,
	}
	if g := in.GuardrailConfig; g != nil {
		s.GuardrailConfig = &types.GuardrailStreamConfiguration{
			GuardrailIdentifier: g.GuardrailIdentifier, GuardrailVersion: g.GuardrailVersion, Trace: g.Trace,
			StreamProcessingMode: types.GuardrailStreamProcessingMode(m.cfg.Guardrail.StreamMode),
		}
	}
	return s
}

// reader follows the events of a stream, or takes a whole answer.
type reader struct {
	m      *Model
	w      *wire.Writer
	images map[int]*strands.Media // by block

	stop  types.StopReason
	usage strands.Usage
	trace *types.GuardrailTraceAssessment
	extra json.RawMessage
}

func (r *reader) read(call *wire.Call, e types.ConverseStreamOutput) error {
	switch e := e.(type) {
	case *types.ConverseStreamOutputMemberContentBlockStart:
		return r.start(int(aws.ToInt32(e.Value.ContentBlockIndex)), e.Value.Start)
	case *types.ConverseStreamOutputMemberContentBlockDelta:
		return r.delta(call, int(aws.ToInt32(e.Value.ContentBlockIndex)), e.Value.Delta)
	case *types.ConverseStreamOutputMemberMessageStop:
		r.stop = e.Value.StopReason
		return r.setExtra(call, e.Value.AdditionalModelResponseFields)
	case *types.ConverseStreamOutputMemberMetadata:
		r.usage = usageOf(e.Value.Usage)
		if e.Value.Trace != nil {
			r.trace = e.Value.Trace.Guardrail
		}
	}
	return nil
}

func (r *reader) start(block int, s types.ContentBlockStart) error {
	switch s := s.(type) {
	case *types.ContentBlockStartMemberToolUse:
		return r.w.Send(&strands.Delta{Block: block, ToolCall: &strands.ToolCallDelta{
			ID: aws.ToString(s.Value.ToolUseId), Name: aws.ToString(s.Value.Name),
		}})
	case *types.ContentBlockStartMemberImage:
		r.images[block] = &strands.Media{MIME: "image/" + string(s.Value.Format)}
	}
	return nil
}

func (r *reader) delta(call *wire.Call, block int, d types.ContentBlockDelta) error {
	out := strands.Delta{Block: block}
	switch d := d.(type) {
	case *types.ContentBlockDeltaMemberText:
		if d.Value == "" {
			return nil
		}
		out.Text = d.Value
	case *types.ContentBlockDeltaMemberToolUse:
		if aws.ToString(d.Value.Input) == "" {
			return nil
		}
		out.ToolCall = &strands.ToolCallDelta{Input: *d.Value.Input}
	case *types.ContentBlockDeltaMemberReasoningContent:
		out.Reasoning = reasoningDelta(d.Value)
	case *types.ContentBlockDeltaMemberCitation:
		c := citation(d.Value.Location, d.Value.Title, d.Value.Source)
		for _, s := range d.Value.SourceContent {
			c.Quotes = append(c.Quotes, aws.ToString(s.Text))
		}
		out.Citation = &c
	case *types.ContentBlockDeltaMemberImage:
		return r.image(call, block, d.Value)
	default:
		return nil
	}
	return r.w.Send(&out)
}

func reasoningDelta(d types.ReasoningContentBlockDelta) *strands.Reasoning {
	switch d := d.(type) {
	case *types.ReasoningContentBlockDeltaMemberText:
		return &strands.Reasoning{Text: d.Value}
	case *types.ReasoningContentBlockDeltaMemberSignature:
		return &strands.Reasoning{Signature: d.Value}
	case *types.ReasoningContentBlockDeltaMemberRedactedContent:
		return &strands.Reasoning{Redacted: d.Value}
	}
	return new(strands.Reasoning)
}

func (r *reader) image(call *wire.Call, block int, d types.ImageBlockDelta) error {
	if d.Error != nil {
		return call.Broken("a picture of the answer: %s", aws.ToString(d.Error.Message))
	}
	m := r.images[block]
	if m == nil {
		m = &strands.Media{MIME: "image/png"}
		r.images[block] = m
	}
	if m.Data == nil && m.URI == "" {
		r.w.Put(strands.Part{Image: m}) // what follows goes into it
	}
	switch s := d.Source.(type) {
	case *types.ImageSourceMemberBytes:
		m.Data = append(m.Data, s.Value...)
	case *types.ImageSourceMemberS3Location:
		m.URI = aws.ToString(s.Value.Uri)
	}
	return nil
}

func citation(at types.CitationLocation, title, source *string) strands.Citation {
	c := strands.Citation{Title: aws.ToString(title)}
	set := func(kind string, index, start, end *int32) {
		c.Kind, c.Source, c.Start, c.End = kind, int(aws.ToInt32(index)), int(aws.ToInt32(start)), int(aws.ToInt32(end))
	}
	switch l := at.(type) {
	case *types.CitationLocationMemberDocumentChar:
		set("char", l.Value.DocumentIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberDocumentPage:
		set("page", l.Value.DocumentIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberDocumentChunk:
		set("chunk", l.Value.DocumentIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberSearchResultLocation:
		set("search", l.Value.SearchResultIndex, l.Value.Start, l.Value.End)
		c.URL = aws.ToString(source)
	case *types.CitationLocationMemberWeb:
		c.Kind, c.URL = "web", cmp.Or(aws.ToString(l.Value.Url), aws.ToString(l.Value.Domain))
	}
	return c
}

// setExtra keeps the fields that Config.ResponsePaths asked for.
func (r *reader) setExtra(call *wire.Call, d document.Interface) error {
	if d == nil {
		return nil
	}
	b, err := d.MarshalSmithyDocument()
	if err != nil {
		return call.Broken("additional fields of the answer: %w", err)
	}
	r.extra = b
	return nil
}

func usageOf(u *types.TokenUsage) strands.Usage {
	if u == nil {
		return strands.Usage{}
	}
	return strands.Usage{
		Input: int(aws.ToInt32(u.InputTokens)), Output: int(aws.ToInt32(u.OutputTokens)),
		CacheRead: int(aws.ToInt32(u.CacheReadInputTokens)), CacheWrite: int(aws.ToInt32(u.CacheWriteInputTokens)),
	}
}

func (r *reader) reply(call *wire.Call) (*strands.Reply, error) {
	switch r.stop {
	case types.StopReasonMalformedModelOutput, types.StopReasonMalformedToolUse:
		return nil, call.Broken("the model wrote what the service cannot read (%s)", r.stop)
	}
	reply := &strands.Reply{
		Message: strands.AssistantMessage(r.w.Parts()...), StopReason: strands.StopReason(r.stop),
		Usage: r.usage, Model: r.m.cfg.Model, Extra: r.extra,
	}
	switch {
	case r.stop == types.StopReasonModelContextWindowExceeded: // the answer filled the window
		reply.StopReason = strands.StopMaxTokens
	case r.stop == types.StopReasonEndTurn && len(reply.Message.ToolCalls()) > 0: // some models say so
		reply.StopReason = strands.StopToolUse
	}
	r.m.redact(reply, r.trace)
	return reply, nil
}

// redact does what Config.Guardrail says with what the guardrail blocked.
func (m *Model) redact(reply *strands.Reply, trace *types.GuardrailTraceAssessment) {
	g := m.cfg.Guardrail
	if g.ID == "" {
		return
	}
	in, out := blocked(trace)
	if trace == nil && reply.StopReason == strands.StopGuardrail {
		in, out = true, true // without a trace nobody knows; better too much
	}
	if in && !g.KeepInput {
		reply.RedactInput = cmp.Or(g.InputMessage, "[User input redacted.]")
	}
	if out && g.RedactOutput {
		reply.Message.Parts = []strands.Part{strands.Text(cmp.Or(g.OutputMessage, "[Assistant output redacted.]"))}
	}
}
