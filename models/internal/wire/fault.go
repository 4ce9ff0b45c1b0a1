package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	strands "github.com/strandsgo/strands"
)

// A Fault is what a provider reads out of a failed call: its own code and
// text. Empty fields are filled in from the HTTP answer.
type Fault struct {
	Kind       strands.ModelErrorKind // "" = by the HTTP status
	Code       string
	Message    string
	RequestID  string
	RetryAfter time.Duration
}

// Fail makes the error of a call out of the SDK's error and what the provider
// found in it. When the caller's context ended, that is the error.
func (c *Call) Fail(err error, f Fault) error {
	if ended := c.caller.Err(); ended != nil {
		if cause := context.Cause(c.caller); !errors.Is(cause, ended) {
			return fmt.Errorf("%s: %w: %w", c.provider.Name, ended, cause)
		}
		return fmt.Errorf("%s: %w", c.provider.Name, ended)
	}
	if me, ok := errors.AsType[*strands.ModelError](errors.Join(c.broken, err)); ok {
		return me
	}
	if c.status/100 == 3 {
		f = Fault{Kind: strands.ModelBadRequest, Message: c.strayed()}
	}
	if c.broken != nil && !errors.Is(err, c.broken) {
		err, f = c.broken, Fault{} // what the SDK made of it is a consequence
	}
	me := &strands.ModelError{
		Kind: f.Kind, Provider: c.provider.Name, Model: c.provider.Model, Status: c.status,
		Code: f.Code, Message: f.Message, RequestID: f.RequestID, RetryAfter: f.RetryAfter, Err: err,
	}
	if me.RetryAfter == 0 {
		me.RetryAfter = retryAfter(c.header, time.Now())
	}
	if me.Kind == "" && neverMet(err) {
		me.Kind = strands.ModelBadRequest
	}
	if me.Kind == "" {
		me.Kind = kindOfStatus(c.status)
	}
	if me.Message == "" {
		me.Message = c.describe(err)
	}
	if hint := c.provider.Hints[me.Kind]; hint != "" {
		me.Message = strings.TrimSuffix(me.Message, ".") + "; " + hint
	}
	if c.heaviest != nil && (me.Kind == strands.ModelBadRequest || me.Kind == strands.ModelOverflow) {
		me.Message = strings.TrimSuffix(me.Message, ".") + "; " + weigh(c.heaviest)
	}
	if me.RequestID == "" {
		me.RequestID = firstHeader(c.header, "X-Request-Id", "Request-Id", "X-Amzn-Requestid")
	}
	return me
}

// Broken makes the error of a stream that is not what the protocol says.
func (c *Call) Broken(format string, args ...any) error {
	return c.Fail(fmt.Errorf(format, args...), Fault{Kind: strands.ModelTransient})
}

// Cut makes the error of a stream that ended before the reply was complete.
func (c *Call) Cut() error {
	return c.Fail(io.ErrUnexpectedEOF, Fault{
		Kind: strands.ModelTransient, Message: "the stream ended before the reply was complete",
	})
}

// Whole says whether the answer was read to its end.
func (c *Call) Whole() bool { return c.broken == nil }

// strayed says where a redirect leads to that was not followed, but not all of
// the address: it may hold a secret.
func (c *Call) strayed() string {
	to, err := c.asked.Parse(c.header.Get("Location"))
	switch {
	case err != nil || c.header.Get("Location") == "":
		return "the server redirects without saying where to"
	case sameServer(to, c.asked):
		return "the server redirects to itself"
	}
	return fmt.Sprintf("the server redirects to %s://%s; if that is right, make it the base URL", to.Scheme, to.Host)
}

// describe says what happened where the SDK's words say too little.
func (c *Call) describe(err error) string {
	if c.status != 0 {
		if text := ErrorText(c.body); text != "" {
			return text
		}
		return http.StatusText(c.status)
	}
	var dns *net.DNSError
	var syntax *json.SyntaxError
	switch {
	case context.Cause(c.ctx) == errIdle:
		return fmt.Sprintf("the server was silent for %s (Config.IdleTimeout)", c.idle)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody answers at that address; is the server running? " + innermost(err)
	case errors.As(err, &dns):
		return fmt.Sprintf("no such host %q; check the base URL and the network", dns.Name)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		return "the connection broke before the reply was complete: " + err.Error()
	case errors.Is(err, bufio.ErrTooLong):
		return "the server sent a line that is too long to be an event"
	case errors.As(err, &syntax):
		return "the server sent broken JSON: " + plain(err.Error())
	}
	return plain(err.Error())
}

// neverMet says whether the two sides will never agree on a connection: to try
// again takes minutes and ends the same.
func neverMet(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	return unverified || errors.Is(err, http.ErrSchemeMismatch)
}

// innermost says what failed without the SDKs' tale of how they came there.
func innermost(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	return err.Error()
}

func kindOfStatus(status int) strands.ModelErrorKind {
	switch {
	case status < 300, status >= 500, status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly:
		return strands.ModelTransient
	case status == http.StatusTooManyRequests:
		return strands.ModelThrottled
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return strands.ModelAuth
	case status == http.StatusNotFound:
		return strands.ModelNotFound
	case status == http.StatusRequestEntityTooLarge:
		return strands.ModelOverflow
	}
	return strands.ModelBadRequest
}

// ErrorText finds the message in the body of an answer that reports an error:
// the many servers that speak a provider's protocol agree on no one shape.
func ErrorText(body []byte) string {
	var v struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &v) != nil {
		return plain(string(body))
	}
	for _, raw := range []json.RawMessage{v.Message, v.Error, v.Detail} {
		var s string
		if json.Unmarshal(raw, &s) == nil && s != "" {
			return plain(s)
		}
		var o struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(raw, &o) == nil && o.Message != "" {
			return plain(o.Message)
		}
	}
	return ""
}

// plain keeps an error a line: servers send whole HTML pages.
func plain(s string) string {
	s = strings.TrimPrefix(strings.Join(strings.Fields(s), " "), "\ufeff")
	if strings.HasPrefix(s, "<") {
		return ""
	}
	const most = 500
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " …"
	}
	return s
}

func firstHeader(h http.Header, names ...string) string {
	for _, n := range names {
		if v := h.Get(n); v != "" {
			return v
		}
	}
	return ""
}

// retryAfter reads how long a server asks to wait: milliseconds, seconds or a
// date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 1e9 // seconds; more is no time.Duration
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(min(ms, most*1000) * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(min(s, most) * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// KindOfCode is the kind of an HTTP status that came as text; "" when s is
// none.
func KindOfCode(s string) strands.ModelErrorKind {
	if status, err := strconv.Atoi(s); err == nil && status >= 400 && status < 600 {
		return kindOfStatus(status)
	}
	return ""
}
