// Package gemini reaches Google's Gemini models through the Gemini API or
// Vertex AI.
package gemini

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
	"google.golang.org/genai"
)

// Config says which model to use and how. Only Model is required.
type Config struct {
	Model string // as the server names it

	// APIKey; "" = $GEMINI_API_KEY, else $GOOGLE_API_KEY, which are sent to
	// Google or to $GOOGLE_GEMINI_BASE_URL, but to no other BaseURL.
	APIKey string
	// BaseURL is the address before "/v1beta"; "" = $GOOGLE_GEMINI_BASE_URL,
	// else Google's own.
	BaseURL string

	// Project makes it Vertex AI, with the application default credentials.
	Project  string
	Location string // "" = "global"

	MaxTokens   int      // of a reply, thinking included; 0 = the model's default
	Temperature *float64 // nil = the model's default
	TopP        *float64 // nil = the model's default
	TopK        int      // 0 = the model's default
	Stop        []string

	Thinking Thinking

	BuiltIn     []*genai.Tool                             // tools of the server, such as Google Search
	Amend       func(config *genai.GenerateContentConfig) // changes the request before it is sent; nil = not
	Headers     map[string]string                         // further HTTP headers
	HTTPClient  *http.Client                              // nil = http.DefaultClient
	IdleTimeout time.Duration                             // how long the server may be silent; 0 = 5 minutes, negative = for ever

	ContextWindow int // tokens; 0 = 1,048,576 for Gemini 2 and 2.5, else unknown
}

// Thinking says how a model thinks. The zero value leaves it to the model.
type Thinking struct {
	Level  string // "minimal", "low", "medium", "high"; Gemini 3 and later
	Budget *int   // tokens, 0 = none, -1 = as the model likes; Gemini 2.5
	Hidden bool   // do not tell what it thinks
}

// Model is a strands.Model, a strands.TokenCounter and a strands.Describer.
type Model struct {
	cfg    Config
	wire   wire.Provider
	server wire.Server

	mu     sync.Mutex
	client *genai.Client // made at the first call
}

const defaultURL = "https://generativelanguage.googleapis.com"

// New makes a Model. It asks nobody; what is wrong with cfg is the error of
// the first call, and of Check.
func New(cfg Config) *Model {
	cfg.Headers = maps.Clone(cfg.Headers)
	m := &Model{cfg: cfg, wire: wire.Provider{
		Name: "gemini", Model: cfg.Model, IdleTimeout: cfg.IdleTimeout, Quiet: true,
		Hints: map[strands.ModelErrorKind]string{
			strands.ModelAuth:     "check GEMINI_API_KEY or Config.APIKey, or for Vertex AI the application default credentials",
			strands.ModelNotFound: "check Config.Model",
		},
	}}
	var ok bool
	m.server, ok = wire.FindServer(cfg.BaseURL, cfg.APIKey, defaultURL, "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY")
	m.wire.Key = m.server.Key
	switch {
	case !ok:
		m.wire.Invalid = m.wire.Refuse("the base URL %q is not one; it looks like %s", m.server.URL, defaultURL)
	case cfg.Model == "":
		m.wire.Invalid = m.wire.Refuse("no model is named; set Config.Model, for example to \"gemini-2.5-flash\"")
	case m.server.Key == "" && m.server.Home && cfg.Project == "":
		m.wire.Invalid = m.wire.NoKey("set GEMINI_API_KEY or Config.APIKey, or Config.Project for Vertex AI")
	}
	return m
}

// Check says what is wrong with the Config; nil when a call can be tried.
func (m *Model) Check() error { return m.wire.Invalid }

// Describe implements strands.Describer.
func (m *Model) Describe() strands.ModelInfo {
	info := strands.ModelInfo{Provider: m.wire.Name, ID: m.cfg.Model, ContextWindow: m.cfg.ContextWindow}
	name := strings.TrimPrefix(m.cfg.Model, "models/")
	if strings.HasPrefix(name, "gemini-2.5-") || strings.HasPrefix(name, "gemini-2.0-flash") {
		info.ContextWindow = cmp.Or(info.ContextWindow, 1_048_576)
	}
	if strings.HasPrefix(name, "gemini-2.5-") {
		info.MaxOutput = 65_536
	}
	return info
}

// connect makes the client at the first call, because credentials of Vertex AI
// are looked for in files and on the network.
func (m *Model) connect(ctx context.Context, call *wire.Call) (*genai.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil {
		return m.client, nil
	}
	headers := http.Header{}
	for k, v := range m.cfg.Headers {
		headers.Set(k, v)
	}
	cc := &genai.ClientConfig{
		Backend: genai.BackendGeminiAPI, HTTPClient: wire.Client(m.cfg.HTTPClient),
		// The SDK would take what is in the environment for a key that is
		// missing.
		APIKey:      cmp.Or(m.server.Key, "none"),
		HTTPOptions: genai.HTTPOptions{BaseURL: m.server.URL, Headers: headers},
	}
	if m.cfg.Project != "" {
		cc.Backend, cc.APIKey, cc.Project, cc.Location = genai.BackendVertexAI, "", m.cfg.Project, cmp.Or(m.cfg.Location, "global")
		cc.HTTPOptions.BaseURL = m.cfg.BaseURL
		if m.cfg.HTTPClient == nil { // a client of the caller's brings its own
			if err := cc.UseDefaultCredentials(); err != nil {
				return nil, call.Fail(err, wire.Fault{Kind: strands.ModelAuth, Message: "no application default credentials were found; run \"gcloud auth application-default login\""})
			}
		}
	}
	client, err := genai.NewClient(ctx, cc)
	if err != nil {
		// Its text holds the configuration, and with it the key.
		return nil, m.wire.Refuse("the client cannot be made; check Config.Project, Config.Location and Config.BaseURL")
	}
	m.client = client
	return client, nil
}

// Generate implements strands.Model.
func (m *Model) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return m.wire.Generate(ctx, req, func(ctx context.Context, call *wire.Call, w *wire.Writer) (*strands.Reply, error) {
		contents, config, err := m.request(req)
		if err != nil {
			return nil, err
		}
		client, err := m.connect(ctx, call)
		if err != nil {
			return nil, err
		}
		return m.stream(ctx, call, client, contents, config, w)
	})
}

// CountTokens implements strands.TokenCounter.
func (m *Model) CountTokens(ctx context.Context, req *strands.Request) (int, error) {
	if m.wire.Invalid != nil {
		return 0, m.wire.Invalid
	}
	contents, config, err := m.request(req)
	if err != nil {
		return 0, err
	}
	ctx, call := m.wire.Begin(ctx)
	defer call.End()
	client, err := m.connect(ctx, call)
	if err != nil {
		return 0, err
	}
	count := &genai.CountTokensConfig{SystemInstruction: config.SystemInstruction, Tools: config.Tools}
	if m.cfg.Project == "" {
		// The Gemini API counts a whole request, which the SDK cannot say.
		count = &genai.CountTokensConfig{HTTPOptions: &genai.HTTPOptions{ExtraBody: map[string]any{"generateContentRequest": map[string]any{
			"model": "models/" + strings.TrimPrefix(m.cfg.Model, "models/"), "contents": contents,
			"systemInstruction": config.SystemInstruction, "tools": config.Tools,
		}}}}
	}
	n, err := client.Models.CountTokens(ctx, m.cfg.Model, contents, count)
	if err != nil {
		return 0, m.fail(call, err)
	}
	return int(n.TotalTokens), nil
}

// fail maps an error of the SDK by its canonical code.
func (m *Model) fail(call *wire.Call, err error) error {
	var f wire.Fault
	if api, ok := errors.AsType[genai.APIError](err); ok {
		if kind, known := kinds[api.Status]; known { // else it is the answer of something in between
			f = wire.Fault{Kind: kind, Code: api.Status, Message: api.Message}
		}
		if api.Status == "INVALID_ARGUMENT" {
			f.Kind = kindOfMessage(api.Message)
		}
		details(&f, api.Details)
	}
	return call.Fail(err, f)
}

var kinds = map[string]strands.ModelErrorKind{
	"RESOURCE_EXHAUSTED":  strands.ModelThrottled,
	"UNAUTHENTICATED":     strands.ModelAuth,
	"PERMISSION_DENIED":   strands.ModelAuth,
	"NOT_FOUND":           strands.ModelNotFound,
	"INVALID_ARGUMENT":    strands.ModelBadRequest,
	"FAILED_PRECONDITION": strands.ModelBadRequest,
	"OUT_OF_RANGE":        strands.ModelBadRequest,
	"UNIMPLEMENTED":       strands.ModelBadRequest,
	"INTERNAL":            strands.ModelTransient,
	"UNAVAILABLE":         strands.ModelTransient,
	"DEADLINE_EXCEEDED":   strands.ModelTransient,
	"ABORTED":             strands.ModelTransient,
	"CANCELLED":           strands.ModelTransient,
	"UNKNOWN":             strands.ModelTransient,
}

// kindOfMessage tells apart what the server has one code for.
func kindOfMessage(message string) strands.ModelErrorKind {
	message = strings.ToLower(message)
	if strings.Contains(message, "token") && (strings.Contains(message, "exceed") || strings.Contains(message, "too long")) {
		return strands.ModelOverflow
	}
	return strands.ModelBadRequest
}

// details reads when to come back, and a wrong key, which has the code of any
// mistake.
func details(f *wire.Fault, all []map[string]any) {
	for _, d := range all {
		b, err := json.Marshal(d)
		if err != nil {
			continue
		}
		var v struct{ RetryDelay, Reason string }
		if json.Unmarshal(b, &v) != nil {
			continue
		}
		if delay, err := time.ParseDuration(v.RetryDelay); err == nil && delay > 0 {
			f.RetryAfter = delay
		}
		if v.Reason == "API_KEY_INVALID" {
			f.Kind = strands.ModelAuth
		}
	}
}
