package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands"
)

// ReadConfig reads servers from the JSON that other MCP clients use:
//
//	{"mcpServers": {"github": {"command": "github-mcp", "args": ["stdio"], "env": {"GITHUB_TOKEN": "${GITHUB_TOKEN}"}},
//	                "search": {"type": "http", "url": "https://…/mcp", "headers": {"Authorization": "Bearer ${KEY}"}}}}
//
// Beside these there are "cwd", "allow" and "reject" (patterns), "prefix" ("" =
// the name of the server), "required", and "startTimeout" and "timeout" in
// seconds. The type is stdio, http (also streamable-http) or sse; without one
// the fields say which. ${NAME} and ${NAME:-default} are replaced from the
// environment; a name that is not set there is a mistake. The servers come in
// the order of their names. A mistake is a *strands.InputError.
func ReadConfig(r io.Reader) ([]Server, error) {
	data, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading MCP servers: %w", err)
	}
	var file struct {
		Servers map[string]json.RawMessage `json:"mcpServers"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, &strands.InputError{Field: "mcpServers", Reason: err.Error()}
	}
	if file.Servers == nil {
		return nil, &strands.InputError{Field: "mcpServers", Reason: `is missing: write {"mcpServers": {"NAME": {"command": …}}}`}
	}
	var servers []Server
	for _, name := range slices.Sorted(maps.Keys(file.Servers)) {
		s, err := parseServer(name, file.Servers[name])
		if err != nil {
			return nil, &strands.InputError{Field: "mcpServers." + name, Reason: err.Error()}
		}
		servers = append(servers, s)
	}
	return servers, nil
}

type serverJSON struct {
	Type         string            `json:"type"`
	Command      string            `json:"command"`
	Args         []string          `json:"args"`
	Env          map[string]string `json:"env"`
	Dir          string            `json:"cwd"`
	URL          string            `json:"url"`
	Headers      map[string]string `json:"headers"`
	Allow        []string          `json:"allow"`
	Reject       []string          `json:"reject"`
	Prefix       *string           `json:"prefix"`
	Required     bool              `json:"required"`
	StartTimeout float64           `json:"startTimeout"`
	Timeout      float64           `json:"timeout"`
}

func parseServer(name string, raw json.RawMessage) (Server, error) {
	var j serverJSON
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return Server{}, err
	}
	var x expander
	s := Server{
		Name: name, Prefix: name, Dir: x.expand(j.Dir), URL: x.expand(j.URL), Allow: j.Allow, Reject: j.Reject, Required: j.Required,
		StartTimeout: seconds(j.StartTimeout), CallTimeout: seconds(j.Timeout),
	}
	if j.Prefix != nil {
		s.Prefix = *j.Prefix
	}
	if j.Command != "" {
		s.Command = []string{x.expand(j.Command)}
		for _, a := range j.Args {
			s.Command = append(s.Command, x.expand(a))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(j.Env)) {
		s.Env = append(s.Env, k+"="+x.expand(j.Env[k]))
	}
	for k, v := range j.Headers {
		if s.Header == nil {
			s.Header = http.Header{}
		}
		s.Header.Set(k, x.expand(v))
	}
	switch j.Type {
	case "", "stdio", "http", "streamable-http":
	case "sse":
		s.SSE = true
	default:
		return s, fmt.Errorf("the type %q is none of stdio, http and sse", j.Type)
	}
	if (j.Type == "stdio") != (s.URL == "") && j.Type != "" {
		return s, fmt.Errorf("the type %q does not fit: stdio needs a command, the others a url", j.Type)
	}
	if len(x.missing) > 0 {
		return s, fmt.Errorf("not set in the environment: %s", strings.Join(x.missing, ", "))
	}
	_, err := New(s)
	return s, err
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// expander replaces ${NAME}. What it replaces never appears in an error.
type expander struct{ missing []string }

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}`)

func (x *expander) expand(s string) string {
	return variable.ReplaceAllStringFunc(s, func(m string) string {
		parts := variable.FindStringSubmatch(m)
		if v, ok := os.LookupEnv(parts[1]); ok {
			return v
		}
		if parts[2] != "" {
			return parts[2][2:]
		}
		x.missing = append(x.missing, parts[1])
		return ""
	})
}

// withHeader sends header with requests to the server itself, and not to where
// it redirects.
type withHeader struct {
	http.RoundTripper
	host   string
	header http.Header
}

// RoundTrip implements http.RoundTripper.
func (t withHeader) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == t.host {
		req = req.Clone(req.Context())
		for k, v := range t.header {
			req.Header[k] = v
		}
	}
	return t.RoundTripper.RoundTrip(req)
}

// httpClient is s.HTTPClient with s.Header, and where it is to go.
func (s *Server) httpClient() (*http.Client, *url.URL, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, nil, errors.New("the URL cannot be read") // it may hold a secret
	}
	client := new(http.Client)
	if s.HTTPClient != nil {
		*client = *s.HTTPClient
	}
	if s.Header != nil {
		base := client.Transport
		if base == nil {
			base = http.DefaultTransport
		}
		client.Transport = withHeader{base, u.Host, s.Header}
	}
	return client, u, nil
}

// place is a URL without what may be secret in it.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "MCP server"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
