package mcp

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// grace is how long a call whose time is over may take to notice it.
const grace = time.Second

// goodbye is how long a server may take to hear that a connection is over.
const goodbye = 2 * time.Second

// link is a connection that can be cut whatever it is doing: a server that does
// not read keeps a writer waiting, which no context ends.
type link struct {
	*sdk.ClientSession
	cancel context.CancelFunc // ends what the transport does for the connection
	wire   *wire
}

// join connects within ctx. What comes of it does not end with ctx: some
// transports take the context of the handshake for that of the connection.
// Requests ends what is under way on the wire.
func join(ctx context.Context, client *sdk.Client, transport sdk.Transport, requests context.CancelFunc) (*link, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &wire{Transport: transport, drop: requests}
	handshake := context.AfterFunc(ctx, func() {
		cancel()
		w.cut()
	})
	session, err := client.Connect(life, w, nil)
	if !handshake() && err == nil {
		w.cut()
		_ = session.Close() // there is no connection any more
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return &link{session, cancel, w}, nil
}

// watch cuts the connection of session when what is done by it has not ended a
// moment after limit. The returned func says that it has.
func (p *Provider) watch(limit context.Context, session *sdk.ClientSession) (done func()) {
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l == nil || l.ClientSession != session {
		return func() {}
	}
	returned := make(chan struct{})
	stop := context.AfterFunc(limit, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-returned:
		case <-t.C:
			p.broken(session, context.DeadlineExceeded)
		}
	})
	return func() {
		stop()
		close(returned)
	}
}

// wire is a transport that keeps the connection it makes.
type wire struct {
	sdk.Transport
	drop context.CancelFunc // ends requests that are under way

	mu   sync.Mutex
	conn sdk.Connection
	gone bool
}

// Connect implements sdk.Transport.
func (w *wire) Connect(ctx context.Context) (sdk.Connection, error) {
	conn, err := w.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	if w.gone {
		go conn.Close()
	}
	return conn, nil
}

// part runs what closes the connection, and cuts it short when the server
// takes too long to hear of it.
func (w *wire) part(closing func() error) error {
	defer time.AfterFunc(goodbye, w.drop).Stop()
	return closing()
}

// cut closes the connection under whoever uses it.
func (w *wire) cut() {
	w.mu.Lock()
	conn := w.conn
	w.gone = true
	w.mu.Unlock()
	if conn != nil {
		_ = w.part(conn.Close) // it is of no use, closed or not
	}
}

// requests is a client's way to a server whose requests end with life: those
// that the SDK sends while it closes a connection have no other end than a
// limit of its own, one after the other.
//
// They get the query of home here, and not from the SDK: it may be a key, and
// net/http's errors tell it.
type requests struct {
	base http.RoundTripper // nil = http.DefaultTransport
	life context.Context
	home *url.URL
}

// RoundTrip implements http.RoundTripper.
func (r requests) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	forget := context.AfterFunc(r.life, cancel)
	over := func() { forget(); cancel() }
	req = req.WithContext(ctx)
	if u := *req.URL; u.Host == r.home.Host && u.Path == r.home.Path && u.RawQuery == "" {
		u.RawQuery = r.home.RawQuery
		req.URL = &u
	}
	resp, err := cmp.Or[http.RoundTripper](r.base, http.DefaultTransport).RoundTrip(req)
	if err != nil {
		over()
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	resp.Body = &body{ReadCloser: resp.Body, over: over, stream: kind == "text/event-stream"}
	return resp, nil
}

// maxMessage bounds a message of a server over HTTP: the SDK reads it whole,
// before it looks at it.
const maxMessage = 64 << 20

// body is that of an answer to one of requests. It fails when a message is too
// long; those of a stream end with a blank line.
type body struct {
	io.ReadCloser
	over   func()
	stream bool

	size, line int // bytes of the message, and of its last line
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for _, c := range p[:n] {
		b.size++
		switch {
		case c == '\n' && b.line == 0 && b.stream:
			b.size = 0
		case c == '\n':
			b.line = 0
		case c != '\r':
			b.line++
		}
		if b.size > maxMessage {
			return 0, fmt.Errorf("the server sends a message of more than %d MB", maxMessage>>20)
		}
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.over()
	return b.ReadCloser.Close()
}
