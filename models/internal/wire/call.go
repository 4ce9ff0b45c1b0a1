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
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
)

// IdleTimeout is how long a server may be silent when a Config says nothing.
// Large models think for minutes before the first byte.
const IdleTimeout = 5 * time.Minute

// maxErrorBody bounds what is read of an answer that reports an error.
const maxErrorBody = 1 << 20

// maxAnswer bounds an answer, uncompressed: some models say the same for ever,
// and a kilobyte unpacks to a megabyte.
const maxAnswer = 256 << 20

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
	streams  bool           // a stream was asked for

	broken error // of reading the last answer
	read   int   // bytes of the last answer

	// Of the last answer, when it is none to the question: an error, a redirect.
	status int
	header http.Header
	body   []byte
	asked  *url.URL
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

// Streams says that the answer is to be a stream: a server that answers with
// one JSON document instead has something else to say.
func (c *Call) Streams() { c.streams = true }

// Status is that of the answer that reported an error, Body its text; zero
// when there was none. Some report one with status 200.
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
	if !sameServer(req.URL, via[0].URL) || len(via) >= most {
		return fmt.Errorf("the server redirects to %s://%s", req.URL.Scheme, req.URL.Host)
	}
	return nil
}

func sameServer(a, b *url.URL) bool { return a.Host == b.Host && a.Scheme == b.Scheme }

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
	c.status, c.header, c.body, c.asked, c.read, c.broken = 0, nil, nil, req.URL, 0, nil
	c.wait()
	resp, err := base.RoundTrip(req)
	c.pause()
	if err != nil {
		return nil, err
	}
	watched := &watch{resp.Body, c}
	// AWS's decoder reads a few bytes at a time, each of which would set the
	// clock: that alone cost half as much again as the decoding.
	answer := bufio.NewReader(watched)
	resp.Body = &body{answer, watched}
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case resp.StatusCode >= 400:
		err = c.refused(resp)
	case resp.StatusCode >= 300:
		c.status, c.header = resp.StatusCode, resp.Header
	case kind == "text/html":
		err = c.page(resp)
	case kind == "application/json" && c.streams:
		if first, _ := answer.Peek(1); string(first) == "{" { // some servers call a stream that, too
			err = c.document(resp)
		}
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// refused keeps what an answer says that reports an error.
func (c *Call) refused(resp *http.Response) (err error) {
	c.status, c.header = resp.StatusCode, resp.Header
	c.body, err = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body.Close()
	if err != nil {
		return fmt.Errorf("reading the answer to a refused request (HTTP %d): %w", resp.StatusCode, err)
	}
	const least = 8 // shorter ones keep nobody out
	if key := c.provider.Key; len(key) >= least {
		c.body = bytes.ReplaceAll(c.body, []byte(key), []byte("[key]"))
	}
	resp.Body = io.NopCloser(bytes.NewReader(c.body))
	return nil
}

// document deals with a JSON document where a stream was to come. Most report
// an error under the status 200: to the SDKs it is given another.
func (c *Call) document(resp *http.Response) error {
	if err := c.refused(resp); err != nil {
		return err
	}
	if ErrorText(c.body) == "" {
		return c.provider.Refuse("the server answered with JSON instead of a stream; it must be able to stream")
	}
	resp.StatusCode = http.StatusBadGateway
	return nil
}

// page is the error of a web page where a reply was to come.
func (c *Call) page(resp *http.Response) error {
	if err := c.refused(resp); err != nil {
		return err
	}
	_, title, _ := strings.Cut(string(c.body), "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	return c.provider.Refuse("the server answered with a web page %.100q; check the base URL, and whether a proxy is in between", plain(title))
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
	if w.call.read += n; w.call.read > maxAnswer {
		err = w.call.provider.Refuse("the answer is longer than %d MB and was not read to its end", maxAnswer>>20)
	}
	if err != nil && err != io.EOF {
		w.call.broken = err
		if w.call.provider.Quiet {
			return n, io.EOF
		}
	}
	return n, err
}
