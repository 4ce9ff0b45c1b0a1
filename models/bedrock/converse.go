package bedrock

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// converse asks for a whole answer and hands it on as if it had been streamed.
func (m *Model) converse(ctx context.Context, call *wire.Call, client *bedrockruntime.Client, in *bedrockruntime.ConverseInput, w *wire.Writer) (*strands.Reply, error) {
	out, err := client.Converse(ctx, in)
	if err != nil {
		return nil, m.fail(call, err)
	}
	msg, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok || out.StopReason == "" {
		return nil, call.Fail(errNoReply, wire.Fault{Kind: strands.ModelTransient})
	}
	r := reader{m: m, w: w, images: map[int]*strands.Media{}, stop: out.StopReason, usage: usageOf(out.Usage)}
	if out.Trace != nil {
		r.trace = out.Trace.Guardrail
	}
	if err := r.setExtra(call, out.AdditionalModelResponseFields); err != nil {
		return nil, err
	}
	for i, b := range msg.Value.Content {
		if err := r.block(call, i, b); err != nil {
			return nil, err
		}
	}
	return r.reply(call)
}

func (r *reader) block(call *wire.Call, i int, b types.ContentBlock) error {
	switch b := b.(type) {
	case *types.ContentBlockMemberText:
		if b.Value != "" {
			return r.w.Send(&strands.Delta{Block: i, Text: b.Value})
		}
	case *types.ContentBlockMemberToolUse:
		input, err := documentJSON(b.Value.Input)
		if err != nil {
			return call.Broken("the input of a tool call: %w", err)
		}
		return r.w.Send(&strands.Delta{Block: i, ToolCall: &strands.ToolCallDelta{
			ID: aws.ToString(b.Value.ToolUseId), Name: aws.ToString(b.Value.Name), Input: input,
		}})
	case *types.ContentBlockMemberReasoningContent:
		return r.w.Send(&strands.Delta{Block: i, Reasoning: reasoningOf(b.Value)})
	case *types.ContentBlockMemberCitationsContent:
		return r.cited(i, b.Value)
	case *types.ContentBlockMemberImage:
		return r.image(call, i, types.ImageBlockDelta{Source: b.Value.Source, Error: b.Value.Error})
	}
	return nil
}

func documentJSON(d interface{ MarshalSmithyDocument() ([]byte, error) }) (string, error) {
	if d == nil {
		return "", nil
	}
	b, err := d.MarshalSmithyDocument()
	return string(b), err
}

func reasoningOf(b types.ReasoningContentBlock) *strands.Reasoning {
	switch b := b.(type) {
	case *types.ReasoningContentBlockMemberReasoningText:
		return &strands.Reasoning{Text: aws.ToString(b.Value.Text), Signature: aws.ToString(b.Value.Signature)}
	case *types.ReasoningContentBlockMemberRedactedContent:
		return &strands.Reasoning{Redacted: b.Value}
	}
	return new(strands.Reasoning)
}

func (r *reader) cited(i int, b types.CitationsContentBlock) error {
	for _, c := range b.Content {
		if t, ok := c.(*types.CitationGeneratedContentMemberText); ok && t.Value != "" {
			if err := r.w.Send(&strands.Delta{Block: i, Text: t.Value}); err != nil {
				return err
			}
		}
	}
	for _, e := range b.Citations {
		c := citation(e.Location, e.Title, e.Source)
		for _, s := range e.SourceContent {
			if t, ok := s.(*types.CitationSourceContentMemberText); ok {
				c.Quotes = append(c.Quotes, t.Value)
			}
		}
		if err := r.w.Send(&strands.Delta{Block: i, Citation: &c}); err != nil {
			return err
		}
	}
	return nil
}

// CountTokens implements strands.TokenCounter. Not all models can count.
func (m *Model) CountTokens(ctx context.Context, req *strands.Request) (int, error) {
	if m.wire.Invalid != nil {
		return 0, m.wire.Invalid
	}
	in, err := m.input(req)
	if err != nil {
		return 0, err
	}
	ctx, call := m.wire.Begin(ctx)
	defer call.End()
	client, err := m.connect(ctx, call)
	if err != nil {
		return 0, err
	}
	out, err := client.CountTokens(ctx, &bedrockruntime.CountTokensInput{
		ModelId: aws.String(foundation(m.cfg.Model)),
		Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{
			Messages: in.Messages, System: in.System, ToolConfig: in.ToolConfig, AdditionalModelRequestFields: in.AdditionalModelRequestFields,
		}},
	})
	if err != nil {
		return 0, m.fail(call, err)
	}
	return int(aws.ToInt32(out.InputTokens)), nil
}

// foundation is the model behind an inference profile: only it counts.
func foundation(model string) string {
	if region, rest, ok := strings.Cut(model, "."); ok && strings.Count(model, ".") > 1 {
		switch region {
		case "global", "us", "us-gov", "eu", "apac", "jp", "au", "ca":
			return rest
		}
	}
	return model
}

// fail maps an error of the SDK by its code.
func (m *Model) fail(call *wire.Call, err error) error {
	var f wire.Fault
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		f.Code, f.Message = api.ErrorCode(), strings.TrimPrefix(api.ErrorMessage(), "UnknownError") // the SDK's, for want of words
		f.Kind = kinds[strings.ToLower(f.Code)]
		if strings.EqualFold(f.Code, "ValidationException") || call.Status() == http.StatusBadRequest && f.Kind == "" {
			f.Kind = kindOfMessage(f.Message)
		}
		if strings.Contains(f.Message, "on-demand throughput") {
			f.Message += " (use the inference profile, such as \"us." + m.cfg.Model + "\")"
		}
	}
	return call.Fail(err, f)
}

// kinds maps error codes in lower case: an answer spells ThrottlingException
// what a stream spells throttlingException.
var kinds = map[string]strands.ModelErrorKind{
	"throttlingexception":                 strands.ModelThrottled,
	"toomanyrequestsexception":            strands.ModelThrottled,
	"servicequotaexceededexception":       strands.ModelThrottled,
	"modelnotreadyexception":              strands.ModelThrottled,
	"accessdeniedexception":               strands.ModelAuth,
	"unrecognizedclientexception":         strands.ModelAuth,
	"expiredtokenexception":               strands.ModelAuth,
	"expiredtoken":                        strands.ModelAuth,
	"invalidsignatureexception":           strands.ModelAuth,
	"incompletesignature":                 strands.ModelAuth,
	"missingauthenticationtoken":          strands.ModelAuth,
	"missingauthenticationtokenexception": strands.ModelAuth,
	"resourcenotfoundexception":           strands.ModelNotFound,
	"internalserverexception":             strands.ModelTransient,
	"serviceunavailableexception":         strands.ModelTransient,
	"modelerrorexception":                 strands.ModelTransient,
	"modelstreamerrorexception":           strands.ModelTransient,
	"modeltimeoutexception":               strands.ModelTransient,
}

// kindOfMessage tells apart what the service has one code for.
func kindOfMessage(message string) strands.ModelErrorKind {
	message = strings.ToLower(message)
	for phrase, kind := range map[string]strands.ModelErrorKind{
		"input is too long":           strands.ModelOverflow,
		"prompt is too long":          strands.ModelOverflow,
		"exceed context limit":        strands.ModelOverflow,
		"too many total text bytes":   strands.ModelOverflow,
		"too many input tokens":       strands.ModelOverflow,
		"model identifier is invalid": strands.ModelNotFound,
		"on-demand throughput":        strands.ModelNotFound,
		"content filtering policy":    strands.ModelRefused,
	} {
		if strings.Contains(message, phrase) {
			return kind
		}
	}
	return strands.ModelBadRequest
}
