package mcp

import (
	"context"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// grace is how long a call whose time is over may take to notice it.
const grace = time.Second

// link is a connection that can be cut whatever it is doing: a server that does
// not read keeps a writer waiting, which no context ends.
type link struct {
	*sdk.ClientSession
	cancel context.CancelFunc // ends what the transport does for the connection
	wire   *wire
}

// join connects within ctx. What comes of it does not end with ctx: some
// transports take the context of the handshake for that of the connection.
func join(ctx context.Context, client *sdk.Client, transport sdk.Transport) (*link, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &wire{Transport: transport}
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

// cut closes the connection under whoever uses it.
func (w *wire) cut() {
	w.mu.Lock()
	conn := w.conn
	w.gone = true
	w.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // it is of no use, closed or not
	}
}
