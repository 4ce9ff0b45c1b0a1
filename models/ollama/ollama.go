// Package ollama reaches models that Ollama runs, on this machine or another.
//
// It speaks Ollama's own protocol, not the imitation of OpenAI's, because only
// that sets the size of the context window and refuses a prompt that does not
// fit instead of silently cutting its head off.
package ollama

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// Config says which model to use and how. Only Model is required.
type Config struct {
	Model string // as "ollama list" shows it

	// BaseURL is the server's address; "" = $OLLAMA_HOST, else
	// http://127.0.0.1:11434.
	BaseURL string
	// APIKey; "" = $OLLAMA_API_KEY when the server is ollama.com. A server of
	// one's own needs none.
	APIKey string

	// ContextWindow is the size of the window in tokens that the server makes
	// room for; 0 = its default, which is small.
	ContextWindow int

	MaxTokens   int      // of a reply; 0 = no limit
	Temperature *float64 // nil = the model's default
	TopP        *float64 // nil = the model's default
	Stop        []string

	// Think is "on", "off", or for some models "low", "medium" or "high"; "" =
	// the model's default.
	Think     string
	KeepAlive time.Duration // how long the model stays loaded; 0 = the server's default, negative = for ever

	Options     map[string]any    // further options of the model; they win
	Extra       map[string]any    // further fields of the request body; they win
	Headers     map[string]string // further HTTP headers
	HTTPClient  *http.Client      // nil = http.DefaultClient
	IdleTimeout time.Duration     // how long the server may be silent; 0 = 10 minutes, for it loads models; negative = for ever
}

// Model is a strands.Model and a strands.Describer.
type Model struct {
	cfg    Config
	wire   wire.Provider
	url    string
	key    string
	client *http.Client
}

// New makes a Model. It asks nobody; what is wrong with cfg is the error of
// the first call, and of Check.
func New(cfg Config) *Model {
	cfg.Extra, cfg.Options, cfg.Headers = maps.Clone(cfg.Extra), maps.Clone(cfg.Options), maps.Clone(cfg.Headers)
	m := &Model{
		cfg: cfg, key: cfg.APIKey, client: wire.Client(cfg.HTTPClient),
		wire: wire.Provider{
			Name: "ollama", Model: cfg.Model, IdleTimeout: cmp.Or(cfg.IdleTimeout, 10*time.Minute),
			Hints: map[strands.ModelErrorKind]string{
				strands.ModelAuth:     "check OLLAMA_API_KEY or Config.APIKey",
				strands.ModelNotFound: "\"ollama list\" shows the models there are, \"ollama pull " + cfg.Model + "\" fetches this one",
				strands.ModelOverflow: "raise Config.ContextWindow",
			},
		},
	}
	var ok bool
	if m.url, ok = Host(cfg.BaseURL); !ok {
		m.wire.Invalid = m.wire.Refuse("the base URL %q is not one; it looks like http://127.0.0.1:11434", m.url)
	} else if cfg.Model == "" {
		m.wire.Invalid = m.wire.Refuse("no model is named; set Config.Model, for example to \"qwen3\" (\"ollama list\" shows what there is)")
	}
	if u, err := url.Parse(m.url); err == nil && u.Hostname() == "ollama.com" && u.Scheme == "https" {
		m.key = cmp.Or(m.key, os.Getenv("OLLAMA_API_KEY"))
	}
	m.wire.Key = m.key
	return m
}

// Host is the address of the server for a base URL as in Config; false when it
// is none.
func Host(base string) (string, bool) {
	base = cmp.Or(base, os.Getenv("OLLAMA_HOST"), "http://127.0.0.1:11434")
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" {
		return base, false
	}
	if u.Port() == "" && u.Scheme == "http" {
		u.Host = net.JoinHostPort(u.Hostname(), "11434")
	}
	if u.Hostname() == "0.0.0.0" { // where a server listens is not where it is found
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return strings.TrimSuffix(u.String(), "/"), true
}

// Check says what is wrong with the Config; nil when a call can be tried.
func (m *Model) Check() error { return m.wire.Invalid }

// Describe implements strands.Describer.
func (m *Model) Describe() strands.ModelInfo {
	return strands.ModelInfo{Provider: m.wire.Name, ID: m.cfg.Model, ContextWindow: m.cfg.ContextWindow, MaxOutput: m.cfg.MaxTokens}
}

// Generate implements strands.Model.
func (m *Model) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return m.wire.Generate(ctx, req, func(ctx context.Context, call *wire.Call, w *wire.Writer) (*strands.Reply, error) {
		body, err := m.body(req)
		if err != nil {
			return nil, err
		}
		resp, err := m.post(ctx, "/api/chat", body)
		if err != nil {
			return nil, m.fail(call, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, m.fail(call, &statusError{resp.Status})
		}
		return m.read(call, resp.Body, forcedTool(req), w)
	})
}

func (m *Model) post(ctx context.Context, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, m.wire.Refuse("the request cannot be written as JSON: %v", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+path, bytes.NewReader(b))
	if err != nil {
		return nil, m.wire.Refuse("the request cannot be made: %v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/x-ndjson")
	if m.key != "" {
		req.Header.Set("Authorization", "Bearer "+m.key)
	}
	for k, v := range m.cfg.Headers {
		req.Header.Set(k, v)
	}
	return m.client.Do(req)
}

// statusError is what stands for an SDK's error here.
type statusError struct{ status string }

func (e *statusError) Error() string { return "the server answered " + e.status }

// fail maps an error. The server has no codes beside the status.
func (m *Model) fail(call *wire.Call, err error) error {
	return call.Fail(err, wire.Fault{Kind: kindOf(call.Status(), wire.ErrorText(call.Body()))})
}

func kindOf(status int, message string) strands.ModelErrorKind {
	message = strings.ToLower(message)
	switch {
	case status < 400:
	case strings.Contains(message, "context length"), strings.Contains(message, "context window"):
		return strands.ModelOverflow
	case status == http.StatusServiceUnavailable && strings.Contains(message, "busy"):
		return strands.ModelThrottled
	}
	return "" // by the status
}

// Installed lists the models that the server at base (as in Config) has. It is
// asked through client; nil = http.DefaultClient.
func Installed(ctx context.Context, client *http.Client, base string) ([]string, error) {
	m := New(Config{Model: "any", BaseURL: base, HTTPClient: client})
	if err := m.Check(); err != nil {
		return nil, err
	}
	ctx, call := m.wire.Begin(ctx)
	defer call.End()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/api/tags", nil)
	if err != nil {
		return nil, m.wire.Refuse("the request cannot be made: %v", err)
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, m.fail(call, err)
	}
	defer resp.Body.Close()
	var list struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		return nil, m.fail(call, cmp.Or(err, error(&statusError{resp.Status})))
	}
	names := make([]string, len(list.Models))
	for i, e := range list.Models {
		names[i] = e.Name
	}
	return names, nil
}
