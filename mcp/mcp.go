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
	Name string // in errors and logs; "" = the command, or the URL without user and query

	Command []string // a program that speaks on its standard input and output
	Env     []string // added to its environment, which has PATH, HOME, TMPDIR and LANG only
	Dir     string   // its working folder; "" = this program's

	URL        string       // of a server that speaks streamable HTTP
	SSE        bool         // it speaks the older HTTP+SSE instead
	HTTPClient *http.Client // brings credentials; nil = http.DefaultClient
	Header     http.Header  // sent with each request to URL's host, and to no other

	Transport func() (sdk.Transport, error) // anything else; called for each connection

	Prefix string   // tools are called PREFIX_name
	Allow  []string // patterns as of path.Match over the server's own names; nil = all
	Reject []string // patterns of what is not offered, after Allow

	StartTimeout time.Duration // to connect and list; 0 = 30 s
	CallTimeout  time.Duration // of a call; 0 = 60 s; negative = none
	// Required makes a server that cannot be reached an error that ends the
	// run. Otherwise its tools are missing, and the log says why; a server that
	// did not answer in time is left alone for ten times as long (at most five
	// minutes), so that it does not hold up every run.
	Required bool
	Logger   *slog.Logger // nil = slog.Default()
}

// Provider is a connection to a server, made when it is first needed and
// again when it broke. It is safe for concurrent use.
type Provider struct {
	s   Server
	log *slog.Logger

	connecting chan struct{} // taken by the one who connects or lists

	cutting sync.WaitGroup // what broken leaves to do

	mu      sync.Mutex
	session *sdk.ClientSession // nil = not connected
	link    *link              // of session
	tools   []strands.Tool     // of session
	stale   bool               // the server said that they changed
	closed  bool
	pause   time.Time // until then a server that hung is left alone
	why     error     // how it hung
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
	if s.Name == "" && s.URL != "" {
		s.Name = place(s.URL)
	}
	s.Name = cmp.Or(s.Name, "mcp")
	s.StartTimeout = cmp.Or(s.StartTimeout, 30*time.Second)
	s.CallTimeout = cmp.Or(s.CallTimeout, time.Minute)
	p := &Provider{s: s, log: s.Logger, connecting: make(chan struct{}, 1)}
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

// Instructions is what the server says of itself and its tools; "" before there
// is a connection.
func (p *Provider) Instructions() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil {
		return ""
	}
	if res := p.session.InitializeResult(); res != nil {
		return res.Instructions
	}
	return ""
}

// Session returns the connection as the official SDK has it, making one when
// there is none: for prompts, resources and whatever else a server offers. Do
// not close it.
func (p *Provider) Session(ctx context.Context) (*sdk.ClientSession, error) {
	return p.live(ctx)
}

// Functions returns the tools that the server offers now and what it says of
// them, for the REPL: codeagent.ToolkitOf("github", functions). They stay when
// the server's list changes; a call of one that is gone is an error.
func (p *Provider) Functions(ctx context.Context) (Functions, error) {
	tools, err := p.Tools(ctx)
	return Functions{tools, p.Instructions()}, err
}

// Functions are the tools of a server at one moment.
type Functions struct {
	tools        []strands.Tool
	instructions string
}

// Tools returns the tools.
func (f Functions) Tools() []strands.Tool { return f.tools }

// Instructions is what the server says of them.
func (f Functions) Instructions() string { return f.instructions }

// Close ends the connection, and the server when it is a program: one that does
// not end by itself within two seconds is ended by a signal, which is no error.
// A second call does nothing.
func (p *Provider) Close() error {
	p.mu.Lock()
	session, l, was := p.session, p.link, p.closed
	p.session, p.closed = nil, true
	p.mu.Unlock()
	defer p.cutting.Wait()
	if session == nil || was {
		return nil
	}
	err := l.wire.part(session.Close)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return nil // it took its time to end, and was ended by a signal
	}
	if err != nil && !errors.Is(err, sdk.ErrConnectionClosed) {
		return fmt.Errorf("closing MCP server %s: %w", p.s.Name, err)
	}
	return nil
}

// current returns the tools of a live connection.
func (p *Provider) current(ctx context.Context) (tools []strands.Tool, err error) {
	p.mu.Lock()
	session, known, stale, closed := p.session, p.tools, p.stale, p.closed
	p.mu.Unlock()
	if closed {
		return nil, strands.ErrClosed
	}
	if session != nil && !stale {
		return known, nil
	}
	err = p.alone(ctx, func(ctx context.Context) error {
		session, err := p.connect(ctx)
		if err != nil {
			return fmt.Errorf("connecting to MCP server %s: %w", p.s.Name, err)
		}
		tools, err = p.list(ctx, session)
		return err
	})
	return tools, err
}

const (
	restFactor = 10
	longest    = 5 * time.Minute
)

// alone does what one caller does at a time, within the start timeout. When
// that passes, the server is left alone for a while.
func (p *Provider) alone(ctx context.Context, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, p.s.StartTimeout)
	defer cancel()
	select {
	case p.connecting <- struct{}{}:
		defer func() { <-p.connecting }()
	case <-limited.Done():
		return fmt.Errorf("MCP server %s: %w", p.s.Name, limited.Err())
	}
	p.mu.Lock()
	pause, why := p.pause, p.why
	p.mu.Unlock()
	if time.Now().Before(pause) {
		return fmt.Errorf("MCP server %s is not asked until %s: %w", p.s.Name, pause.Format(time.TimeOnly), why)
	}
	begin := time.Now()
	err := do(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		p.mu.Lock()
		p.pause, p.why = time.Now().Add(min(restFactor*time.Since(begin), longest)), err
		p.mu.Unlock()
	}
	return err
}

// connect returns the live connection, making one when there is none. The
// caller is alone.
func (p *Provider) connect(ctx context.Context) (*sdk.ClientSession, error) {
	p.mu.Lock()
	session := p.session
	p.mu.Unlock()
	if session != nil {
		return session, nil
	}
	life, drop := context.WithCancel(context.WithoutCancel(ctx))
	transport, err := p.transport(life)
	if err != nil {
		drop()
		return nil, err
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "strands-go", Version: "1"}, &sdk.ClientOptions{
		Capabilities:           new(sdk.ClientCapabilities), // we have no roots to tell of
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { p.changed() },
	})
	l, err := join(ctx, client, transport, drop)
	if err != nil {
		drop()
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.Join(strands.ErrClosed, l.Close())
	}
	p.session, p.link, p.stale = l.ClientSession, l, true
	go func() { // ends with the connection
		err := l.Wait()
		_ = l.Close() // for what the SDK keeps until then, also of one that has ended by itself
		l.cancel()
		p.broken(l.ClientSession, err)
		drop()
	}()
	return l.ClientSession, nil
}

func (p *Provider) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale = true
}

// broken forgets a connection that has ended, or is of no use any more.
func (p *Provider) broken(session *sdk.ClientSession, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != session {
		return
	}
	p.session = nil
	p.cutting.Go(p.link.wire.cut) // which waits for a program to end
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

func (p *Provider) transport(life context.Context) (sdk.Transport, error) {
	switch s := &p.s; {
	case s.Transport != nil:
		return s.Transport()
	case s.URL != "":
		client, home, err := s.httpClient()
		if err != nil {
			return nil, err
		}
		client.Transport = requests{client.Transport, life, home}
		bare := *home
		bare.RawQuery = "" // requests adds it
		if s.SSE {
			return &sdk.SSEClientTransport{Endpoint: bare.String(), HTTPClient: client}, nil
		}
		return &sdk.StreamableClientTransport{Endpoint: bare.String(), HTTPClient: client}, nil
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
