package bedrock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/credentials"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

const testModel = "us.anthropic.claude-sonnet-4-20250514-v1:0"

// testConfig reaches a server of the suite with credentials of our own.
func testConfig(at strandstest.Endpoint) Config {
	return Config{
		Model: testModel, Region: "eu-central-1", Endpoint: at.URL, HTTPClient: at.Client, IdleTimeout: at.IdleTimeout, UserAgentExtra: "app/1.0",
		AWS: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret-of-the-test", "token")},
	}
}

func suite(lacks ...strandstest.Feature) strandstest.ModelSuite {
	return strandstest.ModelSuite{
		Citation: &strands.Citation{Kind: "page", Title: "Lawns", Source: 1, Start: 3, End: 4, Quotes: []string{"grass is green"}},
		Lacks: append(lacks, strandstest.ImageURLs, strandstest.ReasoningTokens, strandstest.ModelNames,
			strandstest.Stops(strands.StopRefusal), strandstest.Stops(strands.StopPause), strandstest.Fails(strands.ModelRefused)),
	}
}

func TestConverseStream(t *testing.T) { strandstest.TestModel(t, streamSuite()) }

func streamSuite() strandstest.ModelSuite {
	s := suite()
	s.New = func(t *testing.T, at strandstest.Endpoint) strands.Model {
		cfg := testConfig(at)
		cfg.MaxTokens, cfg.Temperature, cfg.TopP, cfg.Stop = 1000, new(0.5), new(0.75), []string{"END"}
		cfg.CacheSystem, cfg.CacheTools, cfg.CacheTTL = true, true, "1h"
		cfg.RequestFields, cfg.ResponsePaths = map[string]any{"top_k": 20, "thinking": map[string]any{"type": "adaptive"}}, []string{"/stop_sequence"}
		cfg.ServiceTier = "priority"
		return New(cfg)
	}
	s.Play, s.Broken, s.Golden = playStream, frame("event", "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"te`)), "testdata/stream"
	s.Check = func(t *testing.T, r *http.Request, body []byte) {
		checkCommon(t, r, body)
		if want := "/model/" + strings.ReplaceAll(testModel, ":", "%3A") + "/converse-stream"; r.URL.EscapedPath() != want {
			t.Errorf("the request went to %s, want %s", r.URL.EscapedPath(), want)
		}
	}
	return s
}

func TestConverse(t *testing.T) {
	s := suite(strandstest.BrokenInputs, strandstest.LateErrors)
	s.New = func(t *testing.T, at strandstest.Endpoint) strands.Model {
		cfg := testConfig(at)
		cfg.NoStreaming, cfg.Cache, cfg.StrictTools, cfg.ToolStatus = true, true, true, StatusOff
		cfg.Guardrail = Guardrail{ID: "guard", Version: "1", LatestMessage: true}
		return New(cfg)
	}
	s.Play, s.Broken, s.Golden, s.Check = playWhole, []byte(`{"output":{"mess`), "testdata/whole", checkCommon
	strandstest.TestModel(t, s)
}

func checkCommon(t *testing.T, r *http.Request, body []byte) {
	checkSignature(t, r, body, "eu-central-1", "secret-of-the-test")
	agent := r.Header.Get("User-Agent")
	if !strings.Contains(agent, "strandsgo") || !strings.Contains(agent, "app/1.0") {
		t.Errorf("the User-Agent is %q", agent)
	}
	if r.Header.Get("X-Amz-Security-Token") != "token" {
		t.Error("the session token is missing")
	}
}

type object = map[string]any

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// frame is a message of the binary event stream.
func frame(kind, name string, payload []byte) []byte {
	msg := eventstream.Message{Payload: payload}
	msg.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	msg.Headers.Set(":content-type", eventstream.StringValue("application/json"))
	msg.Headers.Set(":message-type", eventstream.StringValue(kind))
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, msg); err != nil {
		panic(err)
	}
	return b.Bytes()
}

type frames struct{ all [][]byte }

func (f *frames) event(name string, v object) {
	f.all = append(f.all, frame("event", name, mustJSON(v)))
}

func (f *frames) block(i int, start object, deltas ...object) {
	if start != nil {
		f.event("contentBlockStart", object{"contentBlockIndex": i, "start": start, "p": "abcd"})
	}
	for _, d := range deltas {
		f.event("contentBlockDelta", object{"contentBlockIndex": i, "delta": d, "p": "abcdefgh"})
	}
	f.event("contentBlockStop", object{"contentBlockIndex": i})
}

func (f *frames) part(a strandstest.Answer, i int, p strands.Part) {
	deltas := func(s string, wrap func(string) object) (d []object) {
		for _, piece := range a.Pieces(s) {
			d = append(d, wrap(piece))
		}
		return d
	}
	text := func(s string) object { return object{"text": s} }
	thought := func(s string) object { return object{"reasoningContent": object{"text": s}} }
	switch {
	case p.Reasoning != nil && p.Reasoning.Redacted != nil:
		f.block(i, nil, object{"reasoningContent": object{"redactedContent": p.Reasoning.Redacted}})
	case p.Reasoning != nil:
		d := deltas(p.Reasoning.Text, thought)
		if p.Reasoning.Signature != "" {
			d = append(d, object{"reasoningContent": object{"signature": p.Reasoning.Signature}})
		}
		f.block(i, nil, d...)
	case p.ToolCall != nil:
		f.block(i, object{"toolUse": object{"toolUseId": p.ToolCall.ID, "name": p.ToolCall.Name}},
			deltas(string(p.ToolCall.Input), func(s string) object { return object{"toolUse": object{"input": s}} })...)
	case p.Image != nil:
		f.block(i, object{"image": object{"format": "png"}}, object{"image": object{"source": object{"bytes": p.Image.Data}}})
	case p.Cited != nil:
		f.block(i, nil, append(deltas(p.Cited.Text, text), object{"citation": citationJSON(p.Cited.Citations[0])})...)
	default:
		f.block(i, nil, deltas(p.Text, text)...)
	}
}

func citationJSON(c strands.Citation) object {
	return object{
		"title": c.Title, "sourceContent": []object{{"text": c.Quotes[0]}},
		"location": object{"documentPage": object{"documentIndex": c.Source, "start": c.Start, "end": c.End}},
	}
}

func usageJSON(u strands.Usage) object {
	return object{
		"inputTokens": u.Input, "outputTokens": u.Output, "totalTokens": u.Total(),
		"cacheReadInputTokens": u.CacheRead, "cacheWriteInputTokens": u.CacheWrite,
	}
}

func playStream(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil && a.Parts == nil {
		return playError(a.Error)
	}
	var f frames
	f.event("messageStart", object{"role": "assistant", "p": "abc"})
	for i, p := range a.Parts {
		f.part(a, i, p)
	}
	if a.Error != nil {
		f.all = append(f.all, frame("exception", "modelStreamErrorException", mustJSON(object{"message": a.Error.Message, "originalStatusCode": 500})))
	} else {
		f.event("messageStop", object{"stopReason": a.StopReason, "additionalModelResponseFields": object{"stop_sequence": nil, "n": 9007199254740993}})
		f.event("metadata", object{"usage": usageJSON(a.Usage), "metrics": object{"latencyMs": 123}})
	}
	return strandstest.Wire{Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}, "X-Amzn-Requestid": {"req-1"}}, Frames: f.all}
}

func playWhole(a strandstest.Answer) strandstest.Wire {
	if a.Error != nil {
		return playError(a.Error)
	}
	content := []object{}
	for _, p := range a.Parts {
		switch {
		case p.Reasoning != nil && p.Reasoning.Redacted != nil:
			content = append(content, object{"reasoningContent": object{"redactedContent": p.Reasoning.Redacted}})
		case p.Reasoning != nil:
			text := object{"text": p.Reasoning.Text}
			if p.Reasoning.Signature != "" {
				text["signature"] = p.Reasoning.Signature
			}
			content = append(content, object{"reasoningContent": object{"reasoningText": text}})
		case p.ToolCall != nil:
			content = append(content, object{"toolUse": object{"toolUseId": p.ToolCall.ID, "name": p.ToolCall.Name, "input": p.ToolCall.Input}})
		case p.Image != nil:
			content = append(content, object{"image": object{"format": "png", "source": object{"bytes": p.Image.Data}}})
		case p.Cited != nil:
			content = append(content, object{"citationsContent": object{
				"content": []object{{"text": p.Cited.Text}}, "citations": []object{citationJSON(p.Cited.Citations[0])},
			}})
		default:
			content = append(content, object{"text": p.Text})
		}
	}
	return strandstest.Wire{
		Header: http.Header{"Content-Type": {"application/json"}, "X-Amzn-Requestid": {"req-1"}},
		Frames: [][]byte{mustJSON(object{
			"output": object{"message": object{"role": "assistant", "content": content}}, "stopReason": a.StopReason,
			"usage": usageJSON(a.Usage), "metrics": object{"latencyMs": 123},
		})},
	}
}

func playError(e *strands.ModelError) strandstest.Wire {
	s := map[strands.ModelErrorKind]struct {
		status     int
		code, text string
	}{
		strands.ModelThrottled:  {429, "ThrottlingException", ""},
		strands.ModelOverflow:   {400, "ValidationException", "Input is too long for requested model. "},
		strands.ModelAuth:       {403, "AccessDeniedException", ""},
		strands.ModelNotFound:   {404, "ResourceNotFoundException", ""},
		strands.ModelTransient:  {503, "ServiceUnavailableException", ""},
		strands.ModelBadRequest: {400, "ValidationException", ""},
	}[e.Kind]
	w := strandstest.Wire{Status: s.status, Header: http.Header{
		"Content-Type": {"application/json"}, "X-Amzn-Errortype": {s.code + ":http://internal.amazon.com/coral/"}, "X-Amzn-Requestid": {"req-1"},
	}}
	if e.RetryAfter > 0 {
		w.Header.Set("Retry-After", fmt.Sprint(e.RetryAfter.Seconds()))
	}
	w.Frames = [][]byte{mustJSON(object{"message": s.text + e.Message})}
	return w
}
