package agentcore

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/strandsgo/strands"
)

// codeSessionHeader names the session of an invocation.
const codeSessionHeader = "X-Amzn-Code-Interpreter-Session-Id"

// frameTime is how long a client may take to read one frame.
const frameTime = 5 * time.Minute

// invokeTool carries out a tool. What can be refused is refused as an HTTP
// error, before anything runs; after that the status is 200, whatever happens:
// clients repeat what failed with 429 and 5xx, and code must not run twice.
func (s *Server) invokeTool(c *call) error {
	r, err := parseTool(c.body)
	if err != nil {
		return err
	}
	session, err := s.find(c, c.r.Header.Get(codeSessionHeader))
	if err != nil {
		return err
	}
	if session.ctx.Err() != nil {
		return session.gone()
	}
	if err := session.kernel.settings.offers(r); err != nil {
		return err
	}
	if err := session.kernel.enter(s.cfg.MaxWaiting); err != nil {
		return err
	}
	defer session.kernel.leave()

	out := newEventStream(c, session.id)
	headers, payloads := s.outcome(c, session, r, out)
	out.end(headers, payloads)
	return nil
}

// The headers go out when a call takes longer than this: boto3 sends a request
// again when it has heard nothing for a minute. Not at once, see goPatience.
const headersAfter = 250 * time.Millisecond

// goPatience is the least time until a client in Go is answered in more than
// one piece. Such a client may drop the connection when headers come before its
// transport is through with the request (see package awsbody, which keeps our
// own clients from it). Who has the whole answer with the headers misses
// nothing then. On a busy machine a thread that was preempted takes some
// milliseconds.
const goPatience = 10 * time.Millisecond

// onePiece is what net/http sends together with the headers, its buffer for
// answers whose length was not given, less room for a frame's headers.
const onePiece = 1800

// eventStream is the answer of an invocation: headers, then one frame.
type eventStream struct {
	c       *call
	out     *http.ResponseController
	begun   time.Time
	headers *time.Timer
	release func() // what the result holds; nil = nothing

	mu    sync.Mutex // the timer and the caller write
	ended bool
}

func newEventStream(c *call, session string) *eventStream {
	c.w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	c.w.Header().Set(codeSessionHeader, session)
	e := &eventStream{c: c, out: http.NewResponseController(c.w), begun: time.Now()}
	e.headers = time.AfterFunc(headersAfter, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.ended {
			c.w.WriteHeader(http.StatusOK)
			_ = e.out.Flush() // whether the client is there shows later
		}
	})
	return e
}

// end sends the frames. A client that has gone is no concern of anybody's.
func (e *eventStream) end(headers []frameHeader, payloads [][]byte) {
	e.headers.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if e.release != nil {
		defer e.release()
	}
	if len(payloads) == 1 && len(payloads[0]) <= onePiece {
		_ = writeFrame(e.c.w, headers, payloads[0])
		return // net/http sends it
	}
	if early := goPatience - time.Since(e.begun); early > 0 && dropsEarlyAnswers(e.c.r.UserAgent()) {
		time.Sleep(early)
	}
	for _, payload := range payloads {
		_ = e.out.SetWriteDeadline(time.Now().Add(frameTime)) // not every writer has one
		if err := writeFrame(e.c.w, headers, payload); err != nil {
			break
		}
		_ = e.out.Flush()
	}
	_ = e.out.SetWriteDeadline(time.Time{})
}

// dropsEarlyAnswers says which clients may, see goPatience.
func dropsEarlyAnswers(userAgent string) bool {
	return strings.Contains(userAgent, "aws-sdk-go-v2/") && !strings.Contains(userAgent, ownAgent)
}

// outcome runs the tool in its turn and words what came of it as frames.
func (s *Server) outcome(c *call, session *codeSession, r *toolRequest, out *eventStream) ([]frameHeader, [][]byte) {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	defer cancel(nil)
	stop := context.AfterFunc(session.ctx, func() { cancel(context.Cause(session.ctx)) })
	defer stop()
	res, err := s.takeTurn(ctx, session, r)
	if err == nil {
		out.release = res.release // when it was sent
		if strings.Contains(c.r.UserAgent(), "Botocore/") {
			return resultHeaders, res.split(botoLimit)
		}
		return resultHeaders, [][]byte{res.encode()}
	}
	e, ok := errors.AsType[*apiError](err)
	switch {
	case ok:
	case session.ctx.Err() != nil || errors.Is(err, strands.ErrClosed):
		e, _ = errors.AsType[*apiError](session.gone())
	default:
		if c.r.Context().Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "agentcore: a tool failed", "session", session.id, "tool", r.Name, "error", err)
		}
		e = asAPIError(err)
	}
	return exceptionHeaders(e.streamName()), [][]byte{e.body()}
}

// botoLimit is the longest payload of a frame that botocore takes.
const botoLimit = 24 << 20

func (s *Server) takeTurn(ctx context.Context, session *codeSession, r *toolRequest) (*toolResult, error) {
	if err := session.kernel.take(ctx); err != nil {
		return nil, err
	}
	defer session.kernel.give()
	return session.kernel.run(ctx, r)
}
