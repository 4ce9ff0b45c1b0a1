// Package agentcore speaks the protocols of Amazon Bedrock AgentCore.
//
// Runtime serves an agent by the HTTP contract that AgentCore Runtime demands
// of a container: POST /invocations, GET /ping, GET /ws.
package agentcore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/strandsgo/strands"
)

// SessionHeader names the conversation that a request belongs to.
const SessionHeader = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"

// RuntimeConfig says what a Runtime serves. Only Agent is required.
type RuntimeConfig struct {
	Agent       *strands.Agent
	MaxBody     int64         // bytes of a request; 0 = 100 MB, AgentCore's own limit
	MaxSessions int           // open at once; 0 = 1,000
	IdleTimeout time.Duration // after which a session is closed; 0 = 15 min, as AgentCore does
	// Hosts are names, beside loopback ones, that requests may be addressed to
	// when Serve listens on a loopback address. A browser led there by a
	// hostile name server sends that name.
	Hosts  []string
	Logger *slog.Logger // nil = slog.Default()
}

// Runtime is an http.Handler that serves an agent. Each session header is a
// conversation of its own; a request without one is a conversation of one
// question. Close it after the server has shut down.
//
//	POST /invocations {"prompt": "…"}  a JSON string with the answer, or, when
//	                                   text/event-stream is accepted, its text
//	                                   as it comes: one JSON string per event
//	GET  /ping                         {"status": "Healthy", "time_of_last_update": …}
//	GET  /ws                           a WebSocket: {"prompt": "…"} in; strings, then {"result": …} out
//
// {"responses": [{"id", "response"}]} answers the interrupts that an earlier
// answer named. The path /runtimes/{arn}/invocations is the same as
// /invocations, so that clients of the AWS API need another endpoint only.
type Runtime struct {
	cfg     RuntimeConfig
	handler http.Handler

	stopping chan struct{} // closed when the server is to end
	stopOnce sync.Once
	talks    sync.WaitGroup // WebSockets, which the HTTP server forgets

	mu     sync.Mutex
	open   map[string]*conversation
	closed bool

	health  sync.Mutex // apart from mu: a ping waits for nobody
	tasks   int
	status  string
	changed time.Time // of status
}

// conversation is a session with the timer that closes it.
type conversation struct {
	once    sync.Once // opens it
	session *strands.Session
	err     error
	idle    *time.Timer
	users   int // requests that have it now
}

// NewRuntime makes the handler. It panics without an agent.
func NewRuntime(cfg RuntimeConfig) *Runtime {
	if cfg.Agent == nil {
		panic("agentcore: RuntimeConfig.Agent is nil")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 100 << 20
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 1000
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 15 * time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	r := &Runtime{cfg: cfg, open: map[string]*conversation{}, stopping: make(chan struct{}), status: healthy, changed: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /invocations", r.invoke)
	mux.HandleFunc("POST /runtimes/{arn}/invocations", r.invoke)
	mux.HandleFunc("GET /ping", r.ping)
	mux.HandleFunc("GET /ws", r.webSocket)
	// A page in the browser of someone who runs this locally must not be able
	// to post to it.
	r.handler = http.NewCrossOriginProtection().Handler(mux)
	return r
}

// ServeHTTP implements http.Handler.
func (r *Runtime) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.handler.ServeHTTP(w, known(req))
}

// Serve listens on addr (":8080" is what AgentCore expects) until ctx ends,
// then lets the running turns finish, for at most grace, and closes the
// runtime.
func (r *Runtime) Serve(ctx context.Context, addr string, grace time.Duration) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	r.cfg.Logger.Info("serving", "address", l.Addr().String())
	var handler http.Handler = r
	if at, ok := l.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		handler = http.HandlerFunc(r.serveOurName)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(r.cfg.Logger.Handler(), slog.LevelWarn)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		r.stopOnce.Do(func() { close(r.stopping) })
		err = errors.Join(server.Shutdown(stop), r.endTalks(stop))
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		<-failed
	}
	return errors.Join(err, r.Close())
}

// serveOurName refuses names that lead here by somebody else's name server.
func (r *Runtime) serveOurName(w http.ResponseWriter, req *http.Request) {
	if !isOurName(req.Host, r.cfg.Hosts) {
		r.fail(w, known(req), &problem{http.StatusForbidden, "Unknown host", fmt.Sprintf("this server does not go by the name %.100q", req.Host)})
		return
	}
	r.ServeHTTP(w, req)
}

// endTalks waits for the turns of WebSockets.
func (r *Runtime) endTalks(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		r.talks.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close closes all sessions. Runs that are still under way are cancelled.
func (r *Runtime) Close() error {
	r.stopOnce.Do(func() { close(r.stopping) })
	r.mu.Lock()
	open := r.open
	r.open, r.closed = map[string]*conversation{}, true
	r.mu.Unlock()
	var errs []error
	for _, c := range open {
		c.once.Do(func() { c.err = strands.ErrClosed })
		c.idle.Stop()
		if c.session != nil {
			errs = append(errs, c.session.Close())
		}
	}
	return errors.Join(errs...)
}

// The two answers of a ping.
const (
	healthy = "Healthy"
	busy    = "HealthyBusy"
)

// Task says that the agent works in the background, beyond its requests: pings
// answer HealthyBusy, which keeps AgentCore from ending an idle session, until
// done is called.
func (r *Runtime) Task() (done func()) {
	r.count(1)
	return sync.OnceFunc(func() { r.count(-1) })
}

func (r *Runtime) count(n int) {
	r.health.Lock()
	defer r.health.Unlock()
	r.tasks += n
	status := healthy
	if r.tasks > 0 {
		status = busy
	}
	if status != r.status {
		r.status, r.changed = status, time.Now()
	}
}

// ping never waits for a turn. The time is that of the last change: one that
// moves with each ping would read as constant change and keep an idle session
// alive for ever.
func (r *Runtime) ping(w http.ResponseWriter, _ *http.Request) {
	r.health.Lock()
	status, changed := r.status, r.changed
	r.health.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"status": status, "time_of_last_update": changed.Unix()})
}

// payload is what a caller sends.
type payload struct {
	Prompt    string                      `json:"prompt"`
	Responses []strands.InterruptResponse `json:"responses"`
}

// problem is an error with the HTTP status that it is answered with.
type problem struct {
	status  int
	text    string
	details string
}

func (p *problem) Error() string { return p.text }

// readPayload parses a request's body, whatever its Content-Type says.
func readPayload(body []byte) (strands.Input, error) {
	if !utf8.Valid(body) {
		return strands.Input{}, &problem{http.StatusBadRequest, "Invalid encoding", "the body is not UTF-8"}
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return strands.Input{}, &problem{http.StatusBadRequest, "Invalid JSON", err.Error()}
	}
	switch {
	case len(p.Responses) > 0 && p.Prompt == "":
		return strands.Input{Responses: p.Responses}, nil
	case p.Prompt != "" && len(p.Responses) == 0:
		return strands.Prompt(p.Prompt), nil
	}
	return strands.Input{}, &problem{http.StatusBadRequest, "No prompt", `send {"prompt": "…"}, or {"responses": […]} to go on after interrupts`}
}

func (r *Runtime) invoke(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.cfg.MaxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			err = &problem{http.StatusRequestEntityTooLarge, "Request too large", "see RuntimeConfig.MaxBody"}
		}
		r.fail(w, req, err)
		return
	}
	in, err := readPayload(body)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	id := req.Header.Get(SessionHeader)
	session, release, err := r.session(req.Context(), id)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	defer release()
	if id != "" {
		w.Header().Set(SessionHeader, id)
	}
	if acceptsStream(req) {
		r.stream(w, req, session, in)
		return
	}
	res, err := strands.Collect(session.Run(req.Context(), in))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	writeJSON(w, http.StatusOK, answer(res))
}

// answer is what a caller is given of a result: its text, or the questions
// that have to be answered first.
func answer(res *strands.Result) any {
	if res.StopReason == strands.StopInterrupt {
		return map[string]any{"interrupts": res.Interrupts}
	}
	if res.Output != nil {
		return json.RawMessage(res.Output)
	}
	return res.Text()
}

// fail answers with the body that AgentCore's own SDK gives errors.
func (r *Runtime) fail(w http.ResponseWriter, req *http.Request, err error) {
	body := map[string]string{"error": err.Error()}
	status := http.StatusInternalServerError
	if p, ok := errors.AsType[*problem](err); ok {
		status = p.status
		if p.details != "" {
			body["details"] = p.details
		}
	} else if _, ok := errors.AsType[*strands.InputError](err); ok {
		status = http.StatusBadRequest
	} else if errors.Is(err, strands.ErrConcurrentInvocation) {
		status = http.StatusConflict
	}
	r.cfg.Logger.WarnContext(req.Context(), "an invocation failed", "status", status, "error", err, "session", req.Header.Get(SessionHeader), "request", RequestFrom(req.Context()).ID)
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only an interrupt's reason can be odd
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller may be gone
}

// session finds or opens the session of a header, and keeps it from expiring
// until release is called.
func (r *Runtime) session(ctx context.Context, header string) (*strands.Session, func(), error) {
	if header == "" {
		s := r.cfg.Agent.NewSession()
		return s, func() { r.logClose(s) }, nil
	}
	c, err := r.take(sessionID(header))
	if err != nil {
		return nil, nil, err
	}
	c.once.Do(func() { // outside of the lock: a store may be slow
		ctx := context.WithoutCancel(ctx) // others may wait for it, too
		c.session, c.err = r.cfg.Agent.Restore(ctx, sessionID(header))
		if errors.Is(c.err, strands.ErrNotFound) || isStoreless(c.err) {
			c.session, c.err = r.cfg.Agent.NewSessionID(sessionID(header))
		}
	})
	if c.err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.open[sessionID(header)] == c {
			delete(r.open, sessionID(header)) // the next request tries again
		}
		return nil, nil, c.err
	}
	return c.session, func() { r.release(c) }, nil
}

// isStoreless says that there is no store to restore anything from: the
// conversation lives as long as it is open.
func isStoreless(err error) bool {
	e, ok := errors.AsType[*strands.InputError](err)
	return ok && e.Field == "Config.Store"
}

// take returns the conversation of an id for one more request.
func (r *Runtime) take(id string) (*conversation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, &problem{http.StatusServiceUnavailable, "Shutting down", ""}
	}
	c := r.open[id]
	if c == nil {
		if len(r.open) >= r.cfg.MaxSessions {
			return nil, &problem{http.StatusTooManyRequests, "Too many sessions", "see RuntimeConfig.MaxSessions"}
		}
		c = &conversation{}
		c.idle = time.AfterFunc(r.cfg.IdleTimeout, func() { r.expire(id, c) })
		r.open[id] = c
	}
	c.users++
	return c, nil
}

func (r *Runtime) release(c *conversation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.users--
	c.idle.Reset(r.cfg.IdleTimeout)
}

// expire closes a session that nobody used for the idle time.
func (r *Runtime) expire(id string, c *conversation) {
	r.mu.Lock()
	if c.users > 0 || r.open[id] != c {
		r.mu.Unlock()
		return
	}
	delete(r.open, id)
	r.mu.Unlock()
	if c.session != nil {
		r.logClose(c.session)
	}
}

func (r *Runtime) logClose(s *strands.Session) {
	if err := s.Close(); err != nil {
		r.cfg.Logger.Warn("closing a session", "session", s.ID(), "error", err)
	}
}

// sessionID is the header when it can be a session's id, else a name made of
// it: AgentCore allows any 256 characters, a Store does not.
func sessionID(header string) string {
	if strands.CheckSessionID(header) == nil {
		return header
	}
	sum := sha256.Sum256([]byte(header))
	return "h-" + hex.EncodeToString(sum[:])
}
