// Package openai reaches OpenAI's models, and every server that speaks one of
// its two protocols: vLLM, llama.cpp, LM Studio, OpenRouter, LiteLLM, …
package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// Config says which model to use and how. Only Model is required.
type Config struct {
	Model string // as the server names it

	// BaseURL is the address up to and including "/v1"; "" = $OPENAI_BASE_URL,
	// else OpenAI's own.
	BaseURL string
	// APIKey; "" = $OPENAI_API_KEY, which is sent to OpenAI or to
	// $OPENAI_BASE_URL, but to no other BaseURL. Such a server may need none.
	APIKey string

	Responses bool // speak the Responses API instead of Chat Completions

	MaxTokens       int      // of a reply, reasoning included; 0 = the server's default
	Temperature     *float64 // nil = the server's default
	TopP            *float64 // nil = the server's default
	Stop            []string // Chat Completions only
	ReasoningEffort string   // "low", "medium", …; "" = the server's default
	// ReasoningSummary asks the Responses API to tell what the model thinks:
	// "auto", "concise" or "detailed"; "" = it stays hidden.
	ReasoningSummary string

	// ReasoningField is the field of a Chat Completions message in which
	// reasoning goes back to the server; "-" = it does not. "" =
	// "reasoning_content", but nothing at OpenAI, which has no such field.
	ReasoningField string
	// CachePoints sends cache points as prompt cache breakpoints (gpt-5.6 and
	// later). Without it they are left out and the server caches by itself.
	CachePoints bool

	Extra       map[string]any    // further fields of the request body; they win
	Headers     map[string]string // further HTTP headers
	HTTPClient  *http.Client      // nil = http.DefaultClient
	IdleTimeout time.Duration     // how long the server may be silent; 0 = 5 minutes, negative = for ever

	ContextWindow int // tokens, where we do not know the model; 0 = unknown
}

// Model is a strands.Model, a strands.TokenCounter and a strands.Describer.
type Model struct {
	cfg       Config
	wire      wire.Provider
	openAI    bool // the server is OpenAI's own
	chat      sdk.ChatCompletionService
	responses responses.ResponseService
}

const defaultURL = "https://api.openai.com/v1"

// New makes a Model. It asks nobody; what is wrong with cfg is the error of
// the first call, and of Check.
func New(cfg Config) *Model {
	cfg.Extra, cfg.Headers = maps.Clone(cfg.Extra), maps.Clone(cfg.Headers)
	m := &Model{cfg: cfg, wire: wire.Provider{Name: "openai", Model: cfg.Model, IdleTimeout: cfg.IdleTimeout, Hints: hints}}
	server, ok := wire.FindServer(cfg.BaseURL, cfg.APIKey, defaultURL, "OPENAI_BASE_URL", "OPENAI_API_KEY")
	m.openAI, m.wire.Key = server.Home, server.Key
	switch {
	case !ok:
		m.wire.Invalid = m.wire.Refuse("the base URL %q is not one; it looks like %s", server.URL, defaultURL)
	case cfg.Model == "":
		m.wire.Invalid = m.wire.Refuse("no model is named; set Config.Model, for example to \"gpt-5\"")
	case server.Key == "" && m.openAI:
		m.wire.Invalid = m.wire.NoKey("set OPENAI_API_KEY or Config.APIKey, or BaseURL to a server that needs none")
	}
	// The services are made without the SDK's NewClient, which would send what
	// is in the environment to any server.
	opts := []option.RequestOption{
		option.WithBaseURL(server.URL), option.WithHTTPClient(wire.Client(cfg.HTTPClient)), option.WithMaxRetries(0),
	}
	if server.Key != "" {
		opts = append(opts, option.WithAPIKey(server.Key))
	}
	if m.openAI {
		opts = append(opts, fromEnvironment()...)
	}
	for k, v := range cfg.Headers {
		opts = append(opts, option.WithHeader(k, v))
	}
	m.chat = sdk.NewChatCompletionService(opts...)
	m.responses = responses.NewResponseService(opts...)
	return m
}

func fromEnvironment() []option.RequestOption {
	var opts []option.RequestOption
	if v := os.Getenv("OPENAI_ORG_ID"); v != "" {
		opts = append(opts, option.WithOrganization(v))
	}
	if v := os.Getenv("OPENAI_PROJECT_ID"); v != "" {
		opts = append(opts, option.WithProject(v))
	}
	return opts
}

// Check says what is wrong with the Config; nil when a call can be tried.
func (m *Model) Check() error { return m.wire.Invalid }

// Describe implements strands.Describer.
func (m *Model) Describe() strands.ModelInfo {
	info := strands.ModelInfo{Provider: m.wire.Name, ID: m.cfg.Model, ContextWindow: m.cfg.ContextWindow}
	if m.openAI {
		known := limitsOf(m.cfg.Model)
		info.MaxOutput = known.output
		info.ContextWindow = cmp.Or(info.ContextWindow, known.window)
	}
	return info
}

// Generate implements strands.Model.
func (m *Model) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return m.wire.Generate(ctx, req, func(ctx context.Context, call *wire.Call, w *wire.Writer) (*strands.Reply, error) {
		if m.cfg.Responses {
			return m.streamResponses(ctx, call, req, w)
		}
		return m.streamChat(ctx, call, req, w)
	})
}

var hints = map[strands.ModelErrorKind]string{
	strands.ModelAuth:     "check OPENAI_API_KEY or Config.APIKey",
	strands.ModelNotFound: "check Config.Model and Config.BaseURL (it ends in /v1 at most servers)",
}

// fail maps an error of the SDK.
func (m *Model) fail(call *wire.Call, err error) error {
	raw := call.Body()
	if e, ok := streamError(err); ok {
		raw = e
	}
	var v struct {
		Error fault `json:"error"`
	}
	if json.Unmarshal(raw, &v) != nil || v.Error == (fault{}) {
		_ = json.Unmarshal(raw, &v.Error) // the fields without a wrapper; what does not fit stays empty
	}
	return call.Fail(err, v.Error.fault(call.Status()))
}

// fault is what OpenAI and its imitators say of an error. Code is a string or
// an HTTP status.
type fault struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    code   `json:"code"`
}

type code string

// UnmarshalJSON takes strings, numbers and null.
func (c *code) UnmarshalJSON(b []byte) error {
	if s := string(b); s != "null" {
		*c = code(strings.Trim(s, `"`))
	}
	return nil
}

func (f fault) fault(status int) wire.Fault {
	w := wire.Fault{Code: cmp.Or(string(f.Code), f.Type), Message: f.Message}
	for _, c := range []string{string(f.Code), f.Type} {
		if w.Kind = kinds[c]; w.Kind != "" {
			return w
		}
	}
	switch {
	case (status == http.StatusBadRequest || status < 300) && tooLong(f.Message):
		w.Kind = strands.ModelOverflow
	case status < 300:
		// In the middle of a stream, and where all is well by HTTP, some servers
		// put the status here.
		w.Kind = wire.KindOfCode(string(f.Code))
	}
	return w
}

// kinds maps the codes and types of errors.
var kinds = map[string]strands.ModelErrorKind{
	"context_length_exceeded":        strands.ModelOverflow,
	"exceed_context_size_error":      strands.ModelOverflow, // llama.cpp
	"rate_limit_exceeded":            strands.ModelThrottled,
	"rate_limit_error":               strands.ModelThrottled,
	"tokens":                         strands.ModelThrottled,
	"requests":                       strands.ModelThrottled,
	"insufficient_quota":             strands.ModelAuth, // waiting does not help: the account is empty
	"invalid_api_key":                strands.ModelAuth,
	"authentication_error":           strands.ModelAuth,
	"permission_error":               strands.ModelAuth,
	"model_not_found":                strands.ModelNotFound,
	"not_found_error":                strands.ModelNotFound,
	"content_filter":                 strands.ModelRefused, // Azure
	"content_policy_violation":       strands.ModelRefused,
	"invalid_prompt":                 strands.ModelRefused,
	"bio_policy":                     strands.ModelRefused,
	"misalignment_policy_violation":  strands.ModelRefused,
	"image_content_policy_violation": strands.ModelRefused,
	"server_error":                   strands.ModelTransient,
	"unavailable_error":              strands.ModelTransient,
	"overloaded_error":               strands.ModelTransient,
}

// tooLong knows the words of servers that give no code for it.
func tooLong(message string) bool {
	message = strings.ToLower(message)
	for _, phrase := range []string{
		"maximum context length", "context size", "context length", "context window",
		"input is too long", "prompt is too long",
	} {
		if strings.Contains(message, phrase) {
			return true
		}
	}
	return false
}
