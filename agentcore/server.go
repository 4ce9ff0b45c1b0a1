package agentcore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// SystemInterpreter is the identifier of the code interpreter that every AWS
// account has.
const SystemInterpreter = "aws.codeinterpreter.v1"

// The longest and the usual life of a session, as on AWS.
const (
	maxSessionLife     = 8 * time.Hour
	defaultSessionLife = 15 * time.Minute
)

// ServerConfig says what a Server offers, to whom, and how much of it. The
// zero value serves the system interpreter on sandboxed sessions to whoever
// can reach it.
type ServerConfig struct {
	// Interpreter opens the sessions; Close does not close it. nil = a
	// python.Sandboxed of the server's own, whose sessions may start programs
	// where the machine offers python.LevelNamespaces.
	Interpreter python.Interpreter
	// Level is what the server's own sessions must have; "" = the strongest
	// that the machine offers. Below LevelNamespaces there are no commands and
	// there is no JavaScript.
	Level python.Level
	// Ready is how many of the server's own sessions wait to be started, see
	// python.Sandboxed.Pool; 0 = 4, negative = none.
	Ready int
	// Programs says that the sessions of Interpreter can start programs, which
	// commands and JavaScript need. Without an Interpreter the server finds
	// out by itself.
	Programs bool
	// JavaScript is the command of a worker that calls javascript.Serve; a
	// session that needs it starts it inside its sandbox. Its program is an
	// absolute path outside of /tmp that every user may read and execute; with
	// an Interpreter of the caller's it is among Sandboxed.Programs. nil =
	// Python only.
	JavaScript []string
	// Options are those of every session: requirements, what is preloaded,
	// limits, the time for one call. Nil Libraries allow everything to be
	// imported, a zero Timeout lets a call run as long as its session lives.
	Options python.Options
	// Identifiers are the code interpreters that clients may name, all of the
	// same abilities; nil = SystemInterpreter.
	Identifiers []string

	// Keys are those that requests must be signed with. nil = open mode: any
	// request is taken for one of the same caller, which Serve allows on a
	// loopback address only.
	Keys []Key
	// Hosts are names, beside loopback ones, that requests may be addressed to
	// in open mode. A browser led to a loopback address by a hostile name
	// server sends that name.
	Hosts []string

	SessionLife    time.Duration // of a session whose start names none; 0 = 15 min
	MaxSessionLife time.Duration // the longest that a start may ask for; 0 = 8 h, which is the most

	MaxSessions          int   // open at once; 0 = 256
	MaxSessionsPerCaller int   // open at once of one access key; 0 = MaxSessions
	MaxWaiting           int   // calls that wait for others of their session; 0 = 16
	MaxBody              int64 // bytes of a request; 0 = 160 MiB, which holds a file of 100 MB
	MaxTransfer          int64 // bytes of requests and files in memory at once; 0 = 1 GiB
	MinMemory            int64 // bytes that must be free on the machine for a session to be opened; 0 = 256 MiB, negative = not looked at

	// KeepSpace returns standard output as it was written. AWS removes white
	// space at both ends, and so does a Server unless told otherwise.
	KeepSpace bool
	Logger    *slog.Logger // nil = slog.Default()
}

// Server is an http.Handler that speaks the data plane of the AgentCore Code
// Interpreter on sessions of this machine: its clients need another endpoint,
// nothing else. Its methods may be called concurrently. Close it after the
// HTTP server has shut down.
type Server struct {
	cfg      ServerConfig
	starting sync.Mutex
	ready    atomic.Pointer[kernelSettings] // nil = prepare makes it
	own      *python.Sandboxed              // nil = the interpreter is the caller's
	handler  http.Handler
	keys     map[string]Key
	transfer *semaphore.Weighted
	now      func() time.Time

	mu       sync.Mutex
	closed   bool
	sessions []*codeSession // by seq, ended ones among them
	byID     map[string]*codeSession
	starts   map[startKey]*started
	seq      uint64
	open     int
	opened   map[string]int // by caller
	ending   sync.WaitGroup
}

// NewServer makes the handler. It fails when the configuration makes no sense;
// nothing is started yet.
func NewServer(cfg ServerConfig) (*Server, error) {
	setDefault(&cfg.SessionLife, min(defaultSessionLife, cmp.Or(cfg.MaxSessionLife, maxSessionLife)))
	setDefault(&cfg.MaxSessionLife, maxSessionLife)
	setDefault(&cfg.Ready, 4)
	setDefault(&cfg.MaxSessions, 256)
	setDefault(&cfg.MaxSessionsPerCaller, cfg.MaxSessions)
	setDefault(&cfg.MaxWaiting, 16)
	setDefault(&cfg.MaxBody, 160<<20)
	setDefault(&cfg.MaxTransfer, 1<<30)
	setDefault(&cfg.MinMemory, 256<<20)
	if cfg.Identifiers == nil {
		cfg.Identifiers = []string{SystemInterpreter}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.MaxSessionLife < time.Second || cfg.MaxSessionLife > maxSessionLife || cfg.SessionLife < time.Second || cfg.SessionLife > cfg.MaxSessionLife {
		return nil, &strands.InputError{Field: "SessionLife", Reason: fmt.Sprintf(
			"%v of at most %v: a session lives for 1 s to 8 h", cfg.SessionLife, cfg.MaxSessionLife)}
	}
	if cfg.MaxTransfer < 2*cfg.MaxBody {
		return nil, &strands.InputError{Field: "MaxTransfer", Reason: fmt.Sprintf("%d bytes do not hold two requests of %d", cfg.MaxTransfer, cfg.MaxBody)}
	}
	s := &Server{
		cfg: cfg, keys: map[string]Key{}, transfer: semaphore.NewWeighted(cfg.MaxTransfer), now: time.Now,
		byID: map[string]*codeSession{}, starts: map[startKey]*started{}, opened: map[string]int{},
	}
	for _, k := range cfg.Keys {
		if k.ID == "" || k.Secret == "" {
			return nil, &strands.InputError{Field: "Keys", Reason: "a key needs an ID and a Secret"}
		}
		s.keys[k.ID] = k
	}
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asAPIError(denied("requests from pages of other origins are refused")).write(w)
	}))
	s.handler = guard.Handler(http.HandlerFunc(s.route))
	return s, nil
}

func setDefault[T ~int | ~int64](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", requestID())
	s.handler.ServeHTTP(w, r)
}

// Serve listens on addr until ctx ends, then lets the running calls finish,
// for at most grace, and closes the server.
func (s *Server) Serve(ctx context.Context, addr string, grace time.Duration) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if ip, err := netip.ParseAddrPort(l.Addr().String()); len(s.keys) == 0 && (err != nil || !ip.Addr().IsLoopback()) {
		l.Close()
		return errors.Join(s.Close(), &strands.InputError{Field: "Keys", Reason: fmt.Sprintf(
			"%s can be reached from other machines: give keys that requests must be signed with, or listen on 127.0.0.1", addr)})
	}
	s.cfg.Logger.Info("serving", "address", l.Addr().String())
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err = server.Shutdown(stop); err != nil {
			err = errors.Join(err, server.Close())
		}
		<-failed
	}
	return errors.Join(err, s.Close())
}

// Close ends all sessions; calls that still run fail.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	all := slices.Clone(s.sessions)
	s.mu.Unlock()
	for _, c := range all {
		s.end(c, errServerClosed)
	}
	s.ending.Wait()
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.own != nil {
		return s.own.Close()
	}
	return nil
}

// call is one request on its way.
type call struct {
	w           http.ResponseWriter
	r           *http.Request
	caller      string // the access key; "" in open mode
	interpreter string
	body        []byte
}

// routes are the operations below /code-interpreters/{identifier}/.
var routes = map[string]struct {
	method string
	do     func(*Server, *call) error
}{
	"sessions/start": {http.MethodPut, (*Server).startSession},
	"sessions/get":   {http.MethodGet, (*Server).getSession},
	"sessions/list":  {http.MethodPost, (*Server).listSessions},
	"sessions/stop":  {http.MethodPut, (*Server).stopSession},
	"tools/invoke":   {http.MethodPost, (*Server).invokeTool},
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if err := s.answer(w, r); err != nil {
		e := asAPIError(err)
		if e.status >= http.StatusInternalServerError {
			s.cfg.Logger.ErrorContext(r.Context(), "agentcore: a request failed", "path", r.URL.Path, "error", err)
		}
		e.write(w)
	}
}

// answer carries out a request, or returns an error while nothing was sent.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) error {
	// Not URL.Path: an ARN in the path holds encoded slashes.
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/code-interpreters/")
	label, operation, _ := strings.Cut(rest, "/")
	route, known := routes[operation]
	if !ok || !known {
		return notFound("there is no operation at %s", r.URL.Path)
	}
	if r.Method != route.method {
		w.Header().Set("Allow", route.method)
		return &apiError{http.StatusMethodNotAllowed, "ValidationException", "use " + route.method + " here", cannotParse, nil}
	}
	if err := s.checkHost(r); err != nil {
		return err
	}
	name, err := url.PathUnescape(label)
	if err != nil {
		return malformed(cannotParse, "the identifier in the path is badly encoded")
	}
	c := &call{w: w, r: r}
	// The size is asked before the body: a caller that nobody knows cannot
	// make the server read one.
	signed, err := s.authenticate(r)
	if err != nil {
		return err
	}
	c.caller = signed.caller()
	if c.interpreter, err = s.identify(name); err != nil {
		return err
	}
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Now().Add(bodyTime(r.ContentLength))) // not every writer has one
	release, err := s.readBody(c)
	if err != nil {
		return err
	}
	defer release()
	_ = out.SetReadDeadline(time.Time{})
	if err := signed.verify(r.Header, c.body); err != nil {
		return err
	}
	return route.do(s, c)
}

// identify finds the interpreter of an identifier or an ARN that ends in one.
func (s *Server) identify(name string) (string, error) {
	if strings.HasPrefix(name, "arn:") {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if !slices.Contains(s.cfg.Identifiers, name) {
		return "", notFound("there is no code interpreter %.100q", name)
	}
	return name, nil
}

// checkHost refuses names that lead here by somebody else's name server.
func (s *Server) checkHost(r *http.Request) error {
	if len(s.keys) > 0 {
		return nil // a page in a browser cannot sign
	}
	if !isOurName(r.Host, s.cfg.Hosts) {
		return denied("this server does not go by the name %.100q", r.Host)
	}
	return nil
}

// isOurName says whether a request's host is a loopback one, or one of others.
func isOurName(host string, others []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback()) || slices.Contains(others, host)
}

// bodyTime is how long the body of a request may take to come: who announces
// much and sends nothing keeps others from moving data.
func bodyTime(size int64) time.Duration {
	const least = 1 << 20 // bytes a second, after the first half minute
	return 30*time.Second + time.Duration(min(max(0, size), 1<<30)/least)*time.Second
}

// readBody reads the request's body within the limits and returns what gives
// its memory back.
func (s *Server) readBody(c *call) (release func(), err error) {
	size := c.r.ContentLength
	if size < 0 {
		size = s.cfg.MaxBody
	}
	if size > s.cfg.MaxBody {
		drain(c.r.Body)
		return nil, malformed(fieldFailed, "the request has %d bytes; at most %d are taken", size, s.cfg.MaxBody)
	}
	// Twice: the body, and the files decoded from it.
	if !s.transfer.TryAcquire(2 * size) {
		drain(c.r.Body)
		return nil, throttled("the server is moving as much data as it may; try again")
	}
	giveBack := func() { s.transfer.Release(2 * size) }
	if err := s.fill(c); err != nil {
		giveBack()
		return nil, err
	}
	return giveBack, nil
}

// fill reads the request's body.
func (s *Server) fill(c *call) (err error) {
	body := http.MaxBytesReader(c.w, c.r.Body, s.cfg.MaxBody)
	if c.r.ContentLength >= 0 {
		c.body = make([]byte, c.r.ContentLength)
		_, err = io.ReadFull(body, c.body)
	} else {
		c.body, err = io.ReadAll(body)
	}
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return malformed(fieldFailed, "the request is longer than the %d bytes that are taken", s.cfg.MaxBody)
	}
	if err != nil {
		return malformed(cannotParse, "the request ended early")
	}
	return nil
}

// drain reads what a client is still sending, within reason: one that is cut
// off while it writes never sees the answer.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 1<<30) }
