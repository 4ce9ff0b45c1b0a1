package mcp

import (
	"cmp"
	"context"
	"io"
	"net/http"
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
type requests struct {
	base http.RoundTripper // nil = http.DefaultTransport
	life context.Context
}

// RoundTrip implements http.RoundTripper.
func (r requests) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	forget := context.AfterFunc(r.life, cancel)
	over := func() { forget(); cancel() }
	resp, err := cmp.Or[http.RoundTripper](r.base, http.DefaultTransport).RoundTrip(req.WithContext(ctx))
	if err != nil {
		over()
		return nil, err
	}
	resp.Body = body{resp.Body, over}
	return resp, nil
}

// body is that of an answer to one of requests.
type body struct {
	io.ReadCloser
	over func()
}

// Close implements io.Closer.
func (b body) Close() error {
	defer b.over()
	return b.ReadCloser.Close()
}
