// Package mcp offers the tools of Model Context Protocol servers as
// strands.Tools: to the model as JSON tools (strands.Config.Providers), or to
// Python code as functions of the REPL.
package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/strandsgo/strands"
)

// Server says where a server is and which of its tools to offer. Exactly one
// of Command, URL and Transport is set.
type Server struct {
	Name string // in errors and logs; "" = the command or URL

	Command []string // a program that speaks on its standard input and output
	Env     []string // added to its environment, which has PATH, HOME, TMPDIR and LANG only
	Dir     string   // its working folder; "" = this program's

	URL        string       // of a server that speaks streamable HTTP
	SSE        bool         // it speaks the older HTTP+SSE instead
	HTTPClient *http.Client // brings credentials; nil = http.DefaultClient

	Transport func() (sdk.Transport, error) // anything else; called for each connection

	Prefix string   // tools are called PREFIX_name
	Allow  []string // patterns as of path.Match over the server's own names; nil = all
	Reject []string // patterns of what is not offered, after Allow

	StartTimeout time.Duration // to connect and list; 0 = 30 s
	CallTimeout  time.Duration // of a call; 0 = 60 s; negative = none
	// Required makes a server that cannot be reached an error that ends the
	// run. Otherwise its tools are missing, and the log says why.
	Required bool
	Logger   *slog.Logger // nil = slog.Default()
}

// Provider is a connection to a server, made when it is first needed and
// again when it broke. It is safe for concurrent use.
type Provider struct {
	s   Server
	log *slog.Logger

	connecting sync.Mutex // one at a time

	mu      sync.Mutex
	session *sdk.ClientSession // nil = not connected
	tools   []strands.Tool     // of session
	stale   bool               // the server said that they changed
	closed  bool
}

// New checks s and makes a Provider. Nothing is started.
func New(s Server) (*Provider, error) {
	n := 0
	for _, set := range []bool{len(s.Command) > 0, s.URL != "", s.Transport != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return nil, &strands.InputError{Field: "mcp.Server", Reason: "set exactly one of Command, URL and Transport"}
	}
	for _, pattern := range append(append([]string{}, s.Allow...), s.Reject...) {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, &strands.InputError{Field: "mcp.Server.Allow", Reason: fmt.Sprintf("%q is no pattern: %v", pattern, err)}
		}
	}
	if s.Name == "" && len(s.Command) > 0 {
		s.Name = path.Base(s.Command[0])
	}
	s.Name = cmp.Or(s.Name, s.URL, "mcp")
	s.StartTimeout = cmp.Or(s.StartTimeout, 30*time.Second)
	s.CallTimeout = cmp.Or(s.CallTimeout, time.Minute)
	p := &Provider{s: s, log: s.Logger}
	if p.log == nil {
		p.log = slog.Default()
	}
	return p, nil
}

// Tools returns the tools that the server offers now. It connects when there
// is no connection, and asks again when the server said that they changed.
func (p *Provider) Tools(ctx context.Context) ([]strands.Tool, error) {
	tools, err := p.current(ctx)
	if err == nil || p.s.Required || ctx.Err() != nil || errors.Is(err, strands.ErrClosed) {
		return tools, err
	}
	p.log.WarnContext(ctx, "an MCP server cannot be reached; its tools are missing", "server", p.s.Name, "error", err)
	return nil, nil
}

// Close ends the connection, and the server when it is a program. A second
// call does nothing.
func (p *Provider) Close() error {
	p.mu.Lock()
	session, was := p.session, p.closed
	p.session, p.closed = nil, true
	p.mu.Unlock()
	if session == nil || was {
		return nil
	}
	if err := session.Close(); err != nil && !errors.Is(err, sdk.ErrConnectionClosed) {
		return fmt.Errorf("closing MCP server %s: %w", p.s.Name, err)
	}
	return nil
}

// current returns the tools of a live connection.
func (p *Provider) current(ctx context.Context) ([]strands.Tool, error) {
	p.mu.Lock()
	session, tools, stale, closed := p.session, p.tools, p.stale, p.closed
	p.mu.Unlock()
	if closed {
		return nil, strands.ErrClosed
	}
	if session != nil && !stale {
		return tools, nil
	}
	p.connecting.Lock()
	defer p.connecting.Unlock()
	ctx, cancel := context.WithTimeout(ctx, p.s.StartTimeout)
	defer cancel()
	session, err := p.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to MCP server %s: %w", p.s.Name, err)
	}
	return p.list(ctx, session)
}

// connect returns the live connection, making one when there is none. The
// caller holds p.connecting.
func (p *Provider) connect(ctx context.Context) (*sdk.ClientSession, error) {
	p.mu.Lock()
	session := p.session
	p.mu.Unlock()
	if session != nil {
		return session, nil
	}
	transport, err := p.transport()
	if err != nil {
		return nil, err
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "strands-go", Version: "1"}, &sdk.ClientOptions{
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { p.changed() },
	})
	// The handshake ends with ctx, the connection does not: it is closed by
	// Close, or when it breaks.
	session, err = client.Connect(ctx, transport, nil)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.Join(strands.ErrClosed, session.Close())
	}
	p.session, p.stale = session, true
	go func() { // ends with the connection
		err := session.Wait()
		p.broken(session, err)
	}()
	return session, nil
}

func (p *Provider) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale = true
}

// broken forgets a connection that has ended.
func (p *Provider) broken(session *sdk.ClientSession, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != session {
		return
	}
	p.session = nil
	p.log.Warn("the connection to an MCP server has ended; the next use makes a new one", "server", p.s.Name, "error", err)
}

// list asks for the tools.
func (p *Provider) list(ctx context.Context, session *sdk.ClientSession) ([]strands.Tool, error) {
	p.mu.Lock()
	if !p.stale && p.session == session {
		defer p.mu.Unlock()
		return p.tools, nil
	}
	p.stale = false // before asking: a change while we ask must not be lost
	p.mu.Unlock()
	var tools []strands.Tool
	taken := map[string]string{}
	for t, err := range session.Tools(ctx, nil) {
		if err != nil {
			p.changed()
			return nil, fmt.Errorf("listing the tools of MCP server %s: %w", p.s.Name, err)
		}
		if !p.offers(t.Name) {
			continue
		}
		offered, err := p.tool(t)
		if err != nil {
			p.log.WarnContext(ctx, "a tool of an MCP server is left out", "server", p.s.Name, "tool", t.Name, "error", err)
			continue
		}
		if first, clash := taken[offered.spec.Name]; clash {
			p.log.WarnContext(ctx, "a tool of an MCP server is left out: its name is taken", "server", p.s.Name, "tool", t.Name, "by", first)
			continue
		}
		taken[offered.spec.Name] = t.Name
		tools = append(tools, offered)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tools = tools
	return tools, nil
}

// offers says whether the filters let a tool through.
func (p *Provider) offers(name string) bool {
	matches := func(patterns []string) bool {
		for _, pattern := range patterns {
			if ok, _ := path.Match(pattern, name); ok {
				return true
			}
		}
		return false
	}
	return (p.s.Allow == nil || matches(p.s.Allow)) && !matches(p.s.Reject)
}

func (p *Provider) transport() (sdk.Transport, error) {
	switch s := &p.s; {
	case s.Transport != nil:
		return s.Transport()
	case s.URL != "" && s.SSE:
		return &sdk.SSEClientTransport{Endpoint: s.URL, HTTPClient: s.HTTPClient}, nil
	case s.URL != "":
		return &sdk.StreamableClientTransport{Endpoint: s.URL, HTTPClient: s.HTTPClient}, nil
	}
	cmd := exec.Command(p.s.Command[0], p.s.Command[1:]...)
	cmd.Dir = p.s.Dir
	// Not this program's environment: it may hold keys that are none of the
	// server's business.
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, p.s.Env...)
	cmd.Stderr = &logWriter{log: p.log, server: p.s.Name}
	return &sdk.CommandTransport{Command: cmd, TerminateDuration: 2 * time.Second}, nil
}

// logWriter logs what a server says on its standard error.
type logWriter struct {
	log    *slog.Logger
	server string
}

func (w *logWriter) Write(b []byte) (int, error) {
	w.log.Debug("an MCP server says", "server", w.server, "text", string(b[:min(len(b), 4096)]))
	return len(b), nil
}
