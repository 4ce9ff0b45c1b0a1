package bedrock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

// server answers every request with a wire and keeps the last one.
type server struct {
	wire strandstest.Wire
	got  *http.Request
	body []byte
}

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.got = r
	s.body, _ = io.ReadAll(r.Body)
	status := s.wire.Status
	if status == 0 {
		status = 200
	}
	return &http.Response{
		StatusCode: status, Header: s.wire.Header.Clone(), Body: io.NopCloser(bytes.NewReader(bytes.Join(s.wire.Frames, nil))), Request: r,
	}, nil
}

func ask(t *testing.T, cfg Config, w strandstest.Wire, req *strands.Request) (*strands.Reply, *server, error) {
	t.Helper()
	s := &server{wire: w}
	base := testConfig(strandstest.Endpoint{URL: "http://model.test", Client: &http.Client{Transport: s}})
	cfg.AWS, cfg.HTTPClient = base.AWS, base.HTTPClient
	if req == nil {
		req = &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))}}
	}
	for c, err := range New(cfg).Generate(t.Context(), req) {
		if err != nil || c.Reply != nil {
			return c.Reply, s, err
		}
	}
	t.Fatal("neither a reply nor an error")
	return nil, nil, nil
}

func guarded(in, out string) strandstest.Wire {
	assessment := func(action string) object {
		return object{"topicPolicy": object{"topics": []object{{"name": "money", "type": "DENY", "action": action, "detected": true}}}}
	}
	var f frames
	f.event("contentBlockDelta", object{"contentBlockIndex": 0, "delta": object{"text": "Blocked."}})
	f.event("messageStop", object{"stopReason": "guardrail_intervened"})
	f.event("metadata", object{"usage": usageJSON(strands.Usage{}), "metrics": object{"latencyMs": 1}, "trace": object{"guardrail": object{
		"inputAssessment": object{"guard": assessment(in)}, "outputAssessments": object{"guard": []object{assessment(out)}},
	}}})
	return strandstest.Wire{Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Frames: f.all}
}

func TestGuardrail(t *testing.T) {
	full := Guardrail{ID: "guard", Version: "1", RedactOutput: true}
	keep := Guardrail{ID: "guard", Version: "1", KeepInput: true}
	own := Guardrail{ID: "guard", Version: "1", RedactOutput: true, InputMessage: "(in)", OutputMessage: "(out)", StreamMode: "async", Trace: "enabled_full"}
	for name, c := range map[string]struct {
		guard      Guardrail
		wire       strandstest.Wire
		input, out string
	}{
		"input":      {full, guarded("BLOCKED", "NONE"), "[User input redacted.]", "Blocked."},
		"output":     {full, guarded("NONE", "BLOCKED"), "", "[Assistant output redacted.]"},
		"kept":       {keep, guarded("BLOCKED", "BLOCKED"), "", "Blocked."},
		"own words":  {own, guarded("BLOCKED", "BLOCKED"), "(in)", "(out)"},
		"none":       {full, guarded("NONE", "NONE"), "", "Blocked."},
		"no guard":   {Guardrail{}, guarded("BLOCKED", "BLOCKED"), "", "Blocked."},
		"no trace":   {full, playStream(strandstest.Answer{Parts: []strands.Part{strands.Text("Blocked.")}, StopReason: strands.StopGuardrail}), "[User input redacted.]", "[Assistant output redacted.]"},
		"not caught": {full, playStream(strandstest.Answer{Parts: []strands.Part{strands.Text("Fine.")}, StopReason: strands.StopEndTurn}), "", "Fine."},
	} {
		reply, s, err := ask(t, Config{Guardrail: c.guard}, c.wire, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reply.RedactInput != c.input || reply.Message.Text() != c.out {
			t.Errorf("%s: input %q, output %q", name, reply.RedactInput, reply.Message.Text())
		}
		if name == "own words" && !bytes.Contains(s.body, []byte(`"streamProcessingMode":"async"`)) {
			t.Errorf("the request is %s", s.body)
		}
	}
	if _, _, err := ask(t, Config{Guardrail: Guardrail{ID: "guard"}}, strandstest.Wire{}, nil); err == nil || !strings.Contains(err.Error(), "Version") {
		t.Errorf("a guardrail without a version: %v", err)
	}
}

// TestLatestMessage: also in a later step of the same turn it is the question
// that is guarded.
func TestLatestMessage(t *testing.T) {
	m := New(Config{Guardrail: Guardrail{ID: "guard", Version: "1", LatestMessage: true}})
	picture := strands.Part{Image: &strands.Media{MIME: "image/png", Data: []byte("png")}}
	in, err := m.input(&strands.Request{Messages: []strands.Message{
		strands.UserMessage(strands.Text("Before")), strands.AssistantMessage(strands.Text("Yes")), strands.UserMessage(strands.Text("Now"), picture),
		strands.AssistantMessage(strands.Part{ToolCall: &strands.ToolCall{ID: "1", Name: "now", Input: json.RawMessage("{}")}}),
		strands.UserMessage(strands.Part{ToolResult: &strands.ToolResult{CallID: "1"}}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, msg := range in.Messages {
		for _, b := range msg.Content {
			if _, guarded := b.(*types.ContentBlockMemberGuardContent); guarded != (i == 2) {
				t.Errorf("message %d: %T", i, b)
			}
		}
	}
}

func TestExtraAndAmend(t *testing.T) {
	reply, s, err := ask(t, Config{
		ResponsePaths: []string{"/n"}, Region: "eu-west-1",
		Amend: func(in *bedrockruntime.ConverseInput) { in.RequestMetadata = map[string]string{"team": "a"} },
	}, playStream(strandstest.Answer{StopReason: strands.StopEndTurn}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(reply.Extra), "9007199254740993") {
		t.Errorf("extra is %s", reply.Extra)
	}
	if !bytes.Contains(s.body, []byte(`"team":"a"`)) || !bytes.Contains(s.body, []byte(`["/n"]`)) {
		t.Errorf("sent was %s", s.body)
	}
	if s.got.URL.Host != "bedrock-runtime.eu-west-1.amazonaws.com" || !strings.Contains(s.got.URL.Path, DefaultModel) {
		t.Errorf("the request went to %s", s.got.URL)
	}
}

func TestForcedToolDoesNotThink(t *testing.T) {
	m := New(Config{RequestFields: map[string]any{"thinking": object{"type": "adaptive"}, "top_k": 5}})
	in, err := m.input(&strands.Request{Tools: []strands.ToolSpec{{Name: "now"}}, ToolChoice: strands.ToolChoice{Any: true}})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := in.AdditionalModelRequestFields.MarshalSmithyDocument(); string(b) != `{"top_k":5}` {
		t.Errorf("the fields are %s", b)
	}
}

func TestS3(t *testing.T) {
	m := New(Config{})
	in, err := m.input(&strands.Request{Messages: []strands.Message{strands.UserMessage(
		strands.Part{Image: &strands.Media{MIME: "image/png", URI: "s3://bucket/a.png"}},
		strands.Part{Document: &strands.Media{MIME: "application/pdf", URI: "s3://bucket/a.pdf", Name: "a_b.pdf"}},
		strands.Part{Video: &strands.Media{MIME: "video/mp4", URI: "s3://bucket/a.mp4"}},
	)}})
	if err != nil || len(in.Messages[0].Content) != 3 {
		t.Fatalf("%+v, %v", in, err)
	}
	doc := in.Messages[0].Content[1].(*types.ContentBlockMemberDocument).Value
	if _, ok := doc.Source.(*types.DocumentSourceMemberS3Location); !ok || aws.ToString(doc.Name) != "a-b-pdf" {
		t.Errorf("the document is %+v", doc)
	}
}

// TestRegion: the field, the AWS configuration, the environment, Oregon.
func TestRegion(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	region := func(cfg Config) string {
		client, err := New(cfg).dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return client.Options().Region
	}
	if got := region(Config{}); got != "us-west-2" {
		t.Errorf("without anything the region is %s", got)
	}
	t.Setenv("AWS_REGION", "ap-south-1")
	for want, cfg := range map[string]Config{
		"ap-south-1": {}, "eu-north-1": {AWS: &aws.Config{Region: "eu-north-1"}}, "sa-east-1": {Region: "sa-east-1", AWS: &aws.Config{Region: "eu-north-1"}},
	} {
		if got := region(cfg); got != want {
			t.Errorf("the region is %s, want %s", got, want)
		}
	}
}

type noCredentials struct{}

// Retrieve implements aws.CredentialsProvider.
func (noCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("no EC2 IMDS role found")
}

func TestNoCredentials(t *testing.T) {
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "")
	m := New(Config{AWS: &aws.Config{Credentials: noCredentials{}}})
	for _, err := range m.Generate(t.Context(), &strands.Request{}) {
		me, ok := errors.AsType[*strands.ModelError](err)
		if !ok || me.Kind != strands.ModelAuth || !strings.Contains(err.Error(), "AWS_PROFILE") {
			t.Errorf("%v", err)
		}
	}
}

// TestCorruptFrame: the checksums of the event stream are looked at.
func TestCorruptFrame(t *testing.T) {
	w := playStream(strandstest.Answer{Parts: []strands.Part{strands.Text("Hello")}, StopReason: strands.StopEndTurn})
	w.Frames[1] = bytes.Clone(w.Frames[1])
	w.Frames[1][len(w.Frames[1])/2] ^= 1
	_, _, err := ask(t, Config{}, w, nil)
	if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != strands.ModelTransient {
		t.Errorf("a corrupt frame gave %v", err)
	}
}

func TestStreamExceptions(t *testing.T) {
	for name, kind := range map[string]strands.ModelErrorKind{
		"throttlingException": strands.ModelThrottled, "internalServerException": strands.ModelTransient, "serviceUnavailableException": strands.ModelTransient,
		"validationException": strands.ModelBadRequest, "modelStreamErrorException": strands.ModelTransient,
	} {
		w := strandstest.Wire{Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Frames: [][]byte{
			frame("event", "messageStart", []byte(`{"role":"assistant"}`)), frame("exception", name, []byte(`{"message":"no more"}`)),
		}}
		_, _, err := ask(t, Config{}, w, nil)
		if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != kind || !strings.Contains(me.Message, "no more") {
			t.Errorf("%s gave %v", name, err)
		}
	}
}

func TestCountTokens(t *testing.T) {
	s := &server{wire: strandstest.Wire{Header: http.Header{"Content-Type": {"application/json"}}, Frames: [][]byte{[]byte(`{"inputTokens":123}`)}}}
	m := New(testConfig(strandstest.Endpoint{URL: "http://model.test", Client: &http.Client{Transport: s}}))
	n, err := m.CountTokens(t.Context(), &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))}})
	if err != nil || n != 123 {
		t.Errorf("CountTokens is %d, %v", n, err)
	}
	if !strings.HasPrefix(s.got.URL.Path, "/model/anthropic.claude-sonnet-4-20250514-v1:0/count-tokens") {
		t.Errorf("the request went to %s", s.got.URL)
	}
}

// TestRedirect: a client of the caller's own would follow it, with the token
// of the session in a header that net/http does not know for a secret.
func TestRedirect(t *testing.T) {
	var stolen atomic.Pointer[http.Header]
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen.Store(&r.Header) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(strings.Replace(thief.URL, "127.0.0.1", "localhost", 1), http.StatusFound))
	defer server.Close()
	for name, streaming := range map[string]bool{"stream": true, "whole": false} {
		cfg := testConfig(strandstest.Endpoint{URL: server.URL, Client: new(http.Client)})
		cfg.NoStreaming = !streaming
		var err error
		for _, err = range New(cfg).Generate(t.Context(), &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("hi"))}}) {
		}
		if h := stolen.Load(); h != nil {
			t.Errorf("%s: another server got the token %q", name, h.Get("X-Amz-Security-Token"))
		}
		if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != strands.ModelBadRequest || !strings.Contains(me.Message, "redirects to http://localhost") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
