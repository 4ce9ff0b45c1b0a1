// Package anthropic reaches Anthropic's models, and every server that speaks
// the Messages API.
package anthropic

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/http"
	"strings"
	"time"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// Config says which model to use and how. Only Model is required.
type Config struct {
	Model string // as the server names it

	// BaseURL is the address before "/v1"; "" = $ANTHROPIC_BASE_URL, else
	// Anthropic's own.
	BaseURL string
	// APIKey; "" = $ANTHROPIC_API_KEY, which is sent to Anthropic or to
	// $ANTHROPIC_BASE_URL, but to no other BaseURL.
	APIKey string

	MaxTokens   int      // of a reply, thinking included; 0 = 32000, or less where the model is known to have less
	Temperature *float64 // nil = the server's default
	TopP        *float64 // nil = the server's default
	TopK        int      // 0 = the server's default
	Stop        []string

	// Thinking lets the model think before it answers. While a tool choice
	// forces a tool it is left out: the server takes no other.
	Thinking Thinking
	Effort   string // "low", "medium", "high", …; "" = the server's default

	// Cache asks the server to cache the whole request up to its last block,
	// so that the next one of the conversation is cheap; cache points of the
	// request are sent in any case. CacheTTL is "5m" or "1h"; "" = 5 minutes.
	Cache    bool
	CacheTTL string

	Betas       []string          // of the server, by name
	Extra       map[string]any    // further fields of the request body; they win
	Headers     map[string]string // further HTTP headers
	HTTPClient  *http.Client      // nil = http.DefaultClient
	IdleTimeout time.Duration     // how long the server may be silent; 0 = 5 minutes, negative = for ever

	ContextWindow int // tokens; 0 = 200,000 for Claude 3 and 4, else unknown
}

// Thinking says how a model thinks. The zero value leaves it to the server.
type Thinking struct {
	Adaptive bool   // as much as the question needs; newer models
	Budget   int    // tokens at most, 1024 or more; older models
	Display  string // "summarized" or "omitted"; "" = the server's default
}

// Model is a strands.Model, a strands.TokenCounter and a strands.Describer.
type Model struct {
	cfg      Config
	wire     wire.Provider
	messages sdk.MessageService
}

const defaultURL = "https://api.anthropic.com"

// New makes a Model. It asks nobody; what is wrong with cfg is the error of
// the first call, and of Check.
func New(cfg Config) *Model {
	cfg.Extra, cfg.Headers = maps.Clone(cfg.Extra), maps.Clone(cfg.Headers)
	m := &Model{cfg: cfg, wire: wire.Provider{Name: "anthropic", Model: cfg.Model, IdleTimeout: cfg.IdleTimeout, Hints: hints}}
	server, ok := wire.FindServer(cfg.BaseURL, cfg.APIKey, defaultURL, "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
	m.wire.Key = server.Key
	switch {
	case !ok:
		m.wire.Invalid = m.wire.Refuse("the base URL %q is not one; it looks like %s", server.URL, defaultURL)
	case cfg.Model == "":
		m.wire.Invalid = m.wire.Refuse("no model is named; set Config.Model, for example to \"claude-sonnet-5-5\"")
	case server.Key == "" && server.Home:
		m.wire.Invalid = m.wire.NoKey("set ANTHROPIC_API_KEY or Config.APIKey")
	}
	// The service is made without the SDK's NewClient, which would send what is
	// in the environment to any server.
	opts := []option.RequestOption{
		option.WithBaseURL(server.URL), option.WithHTTPClient(wire.Client(cfg.HTTPClient)), option.WithMaxRetries(0),
	}
	if server.Key != "" {
		opts = append(opts, option.WithAPIKey(server.Key))
	}
	if len(cfg.Betas) > 0 {
		opts = append(opts, option.WithHeader("anthropic-beta", strings.Join(cfg.Betas, ",")))
	}
	for k, v := range cfg.Headers {
		opts = append(opts, option.WithHeader(k, v))
	}
	m.messages = sdk.NewMessageService(opts...)
	return m
}

// Check says what is wrong with the Config; nil when a call can be tried.
func (m *Model) Check() error { return m.wire.Invalid }

// Describe implements strands.Describer.
func (m *Model) Describe() strands.ModelInfo {
	info := strands.ModelInfo{Provider: m.wire.Name, ID: m.cfg.Model, ContextWindow: m.cfg.ContextWindow}
	if info.MaxOutput = maxOutput(m.cfg.Model); info.MaxOutput != 0 {
		info.ContextWindow = cmp.Or(info.ContextWindow, 200_000)
	}
	return info
}

// maxOutput is how much a model writes at most; 0 = unknown.
func maxOutput(model string) int {
	for _, f := range []struct {
		prefix string
		tokens int
	}{
		{"claude-3-5", 8_192}, {"claude-3-7", 64_000}, {"claude-3", 4_096},
		{"claude-opus-4-0", 32_000}, {"claude-opus-4-1", 32_000}, {"claude-opus-4-2025", 32_000},
		{"claude-opus-4", 64_000}, {"claude-sonnet-4", 64_000}, {"claude-haiku-4", 64_000},
	} {
		if strings.HasPrefix(model, f.prefix) {
			return f.tokens
		}
	}
	return 0
}

// maxTokens is what the server wants to be told.
func (m *Model) maxTokens() int {
	const most = 32_000
	return cmp.Or(m.cfg.MaxTokens, min(cmp.Or(maxOutput(m.cfg.Model), most), most))
}

// Generate implements strands.Model.
func (m *Model) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return m.wire.Generate(ctx, req, func(ctx context.Context, call *wire.Call, w *wire.Writer) (*strands.Reply, error) {
		return m.stream(ctx, call, req, w)
	})
}

// CountTokens implements strands.TokenCounter.
func (m *Model) CountTokens(ctx context.Context, req *strands.Request) (int, error) {
	if m.wire.Invalid != nil {
		return 0, m.wire.Invalid
	}
	p, err := m.params(req)
	if err != nil {
		return 0, err
	}
	count := sdk.MessageCountTokensParams{
		Model: p.Model, Messages: p.Messages, Thinking: p.Thinking, ToolChoice: p.ToolChoice,
		System: sdk.MessageCountTokensParamsSystemUnion{OfTextBlockArray: p.System},
	}
	for _, t := range p.Tools {
		count.Tools = append(count.Tools, sdk.MessageCountTokensToolUnionParam{OfTool: t.OfTool})
	}
	ctx, call := m.wire.Begin(ctx)
	defer call.End()
	n, err := m.messages.CountTokens(ctx, count)
	if err != nil {
		return 0, m.fail(call, err)
	}
	return int(n.InputTokens), nil
}

var hints = map[strands.ModelErrorKind]string{
	strands.ModelAuth:     "check ANTHROPIC_API_KEY or Config.APIKey",
	strands.ModelNotFound: "check Config.Model and Config.BaseURL (it ends before /v1)",
}

// fail maps an error of the SDK.
func (m *Model) fail(call *wire.Call, err error) error {
	raw := call.Body()
	if e, ok := errors.AsType[*sdk.Error](err); ok && raw == nil { // in the middle of a stream
		raw = []byte(e.RawJSON())
	}
	var v struct {
		RequestID string `json:"request_id"`
		Error     struct{ Type, Message string }
	}
	_ = json.Unmarshal(raw, &v) // what does not fit stays empty
	f := wire.Fault{Kind: kinds[v.Error.Type], Code: v.Error.Type, Message: v.Error.Message, RequestID: v.RequestID}
	if f.Code == "invalid_request_error" || f.Code == "" && call.Status() == http.StatusBadRequest {
		f.Kind = kindOfMessage(f.Message)
	}
	return call.Fail(err, f)
}

var kinds = map[string]strands.ModelErrorKind{
	"authentication_error": strands.ModelAuth,
	"permission_error":     strands.ModelAuth,
	"billing_error":        strands.ModelAuth,
	"not_found_error":      strands.ModelNotFound,
	"request_too_large":    strands.ModelOverflow,
	"rate_limit_error":     strands.ModelThrottled,
	"overloaded_error":     strands.ModelThrottled,
	"api_error":            strands.ModelTransient,
	"timeout_error":        strands.ModelTransient,
}

// kindOfMessage tells apart what the server has one code for.
func kindOfMessage(message string) strands.ModelErrorKind {
	message = strings.ToLower(message)
	for phrase, kind := range map[string]strands.ModelErrorKind{
		"prompt is too long":                      strands.ModelOverflow,
		"input is too long":                       strands.ModelOverflow,
		"input length exceeds context window":     strands.ModelOverflow,
		"exceed context limit":                    strands.ModelOverflow,
		"output tokens exceed your context limit": strands.ModelOverflow,
		"content filtering policy":                strands.ModelRefused,
		"credit balance is too low":               strands.ModelAuth,
	} {
		if strings.Contains(message, phrase) {
			return kind
		}
	}
	return strands.ModelBadRequest
}
