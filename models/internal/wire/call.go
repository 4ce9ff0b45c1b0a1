// Package wire is what the providers share below their vendors' SDKs: a watch
// over silent servers and one way to say what went wrong.
package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	strands "github.com/strandsgo/strands"
)

// IdleTimeout is how long a server may be silent when a Config says nothing.
// Large models think for minutes before the first byte.
const IdleTimeout = 5 * time.Minute

// maxErrorBody bounds what is read of an answer that reports an error.
const maxErrorBody = 1 << 20

// errIdle ends a request whose server was silent too long.
var errIdle = errors.New("idle timeout")

// A Call is one request to a model's server and what became of it. It belongs
// to the goroutine that makes the request.
type Call struct {
	provider    *Provider
	caller, ctx context.Context
	cancel      context.CancelCauseFunc
	idle        time.Duration
	timer       *time.Timer

	heaviest *strands.Media // the largest that is sent; nil = none

	broken error // of reading the last answer

	// Of the last answer that reported an error.
	status int
	header http.Header
	body   []byte
}

type callKey struct{}

// Begin starts a call. Requests made with the returned context through Client
// are watched: the context ends when the server is silent for too long. End
// must be called.
func (p *Provider) Begin(ctx context.Context) (context.Context, *Call) {
	c := &Call{provider: p, caller: ctx, idle: cmp.Or(p.IdleTimeout, IdleTimeout)}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	if c.idle > 0 {
		c.timer = time.AfterFunc(c.idle, func() { c.cancel(errIdle) })
		c.timer.Stop()
	}
	return context.WithValue(c.ctx, callKey{}, c), c
}

// End aborts what is still under way.
func (c *Call) End() {
	c.pause()
	c.cancel(nil)
}

// The clock runs only while we wait for the server, never while the consumer
// takes its time.
func (c *Call) wait() {
	if c.timer != nil {
		c.timer.Reset(c.idle)
	}
}

func (c *Call) pause() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

// Status is that of the answer that reported an error, Body its text; zero
// when there was none.
func (c *Call) Status() int { return c.status }

// Body is the text of the answer that reported an error.
func (c *Call) Body() []byte { return c.body }

// Header returns a header of the answer that reported an error.
func (c *Call) Header(name string) string { return c.header.Get(name) }

// Client returns a client that does what base does (nil = http.DefaultClient)
// and watches over the calls. It follows no redirect to another host, unless
// base decides on redirects: net/http would take API keys there, which are in
// headers that it does not know.
func Client(base *http.Client) *http.Client {
	if base == nil {
		base = http.DefaultClient
	}
	c := *base
	c.Transport = &transport{base: base.Transport}
	if c.CheckRedirect == nil {
		c.CheckRedirect = stayAtHome
	}
	return &c
}

func stayAtHome(req *http.Request, via []*http.Request) error {
	const most = 10
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme || len(via) >= most {
		return fmt.Errorf("the server redirects to %s; if that is right, make it the base URL", req.URL.Host)
	}
	return nil
}

type transport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	c, ok := req.Context().Value(callKey{}).(*Call)
	if !ok {
		return base.RoundTrip(req)
	}
	c.wait()
	resp, err := base.RoundTrip(req)
	c.pause()
	if err != nil {
		return nil, err
	}
	watched := &watch{resp.Body, c}
	// AWS's decoder reads a few bytes at a time, each of which would set the
	// clock: that alone cost half as much again as the decoding.
	resp.Body = &body{bufio.NewReader(watched), watched}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	c.status, c.header = resp.StatusCode, resp.Header
	c.body, err = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("reading the answer to a refused request (HTTP %d): %w", resp.StatusCode, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(c.body))
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the base.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type body struct {
	*bufio.Reader
	io.Closer
}

// watch sets the clock around each read.
type watch struct {
	io.ReadCloser
	call *Call
}

// Read implements io.Reader.
func (w *watch) Read(p []byte) (int, error) {
	w.call.wait()
	n, err := w.ReadCloser.Read(p)
	w.call.pause()
	if err != nil && err != io.EOF {
		w.call.broken = err
		if w.call.provider.Quiet {
			return n, io.EOF
		}
	}
	return n, err
}
