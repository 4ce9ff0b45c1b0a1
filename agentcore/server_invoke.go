package agentcore

import (
	"context"
	"errors"
	"net/http"
	"strings"
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
	if err := session.kernel.enter(s.cfg.MaxWaiting); err != nil {
		return err
	}
	defer session.kernel.leave()

	// The headers go out before the code runs: boto3 sends a request again
	// when it has heard nothing for a minute.
	c.w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	c.w.Header().Set(codeSessionHeader, session.id)
	c.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(c.w)
	if err := out.Flush(); err != nil {
		return nil // the client has gone
	}
	headers, payload := s.outcome(c, session, r)
	_ = out.SetWriteDeadline(time.Now().Add(frameTime)) // not every writer has one
	if err := writeFrame(c.w, headers, payload); err == nil {
		_ = out.Flush()
	}
	return nil
}

// outcome runs the tool in its turn and words what came of it as a frame.
func (s *Server) outcome(c *call, session *codeSession, r *toolRequest) ([]frameHeader, []byte) {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	defer cancel(nil)
	stop := context.AfterFunc(session.ctx, func() { cancel(context.Cause(session.ctx)) })
	defer stop()
	res, err := s.takeTurn(ctx, session, r)
	if err == nil {
		payload := res.encode()
		if len(payload) > botoLimit && strings.Contains(c.r.UserAgent(), "Botocore/") {
			payload = said("this result is larger than the 24 MiB that boto3 can take at once; "+
				"read the file in parts, or with another client", true).encode()
		}
		return resultHeaders, payload
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
	return exceptionHeaders(strings.ToLower(e.name[:1]) + e.name[1:]), e.body()
}

// botoLimit is the longest payload of a frame that botocore takes.
const botoLimit = 24 << 20

func (s *Server) takeTurn(ctx context.Context, session *codeSession, r *toolRequest) (*toolResult, error) {
	if err := session.kernel.take(ctx); err != nil {
		return nil, err
	}
	defer session.kernel.give()
	return session.kernel.run(ctx, r, s)
}
