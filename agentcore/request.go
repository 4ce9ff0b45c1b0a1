package agentcore

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
)

const (
	requestHeader = "X-Amzn-Bedrock-AgentCore-Runtime-Request-Id"
	customHeaders = "X-Amzn-Bedrock-Agentcore-Runtime-Custom-" // in Go's spelling
)

// Request is what tools and hooks may know of the invocation that they work
// for.
type Request struct {
	ID        string // that of AgentCore, else a random one
	SessionID string // "" = a conversation of one question
	// Header holds Authorization and what begins with
	// X-Amzn-Bedrock-AgentCore-Runtime-Custom-; AgentCore lets nothing else of
	// a caller through.
	Header http.Header
}

type requestKey struct{}

// RequestFrom returns the invocation of a Runtime that ctx belongs to; nil
// outside of any.
func RequestFrom(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}

// known adds what is known of an invocation to its context.
func known(req *http.Request) *http.Request {
	r := &Request{
		ID: cmp.Or(clip(req.Header.Get(requestHeader)), rand.Text()), SessionID: req.Header.Get(SessionHeader), Header: http.Header{},
	}
	for name, values := range req.Header {
		if name == "Authorization" || strings.HasPrefix(name, customHeaders) {
			r.Header[name] = values
		}
	}
	return req.WithContext(context.WithValue(req.Context(), requestKey{}, r))
}

// clip keeps an id of a stranger from filling a log.
func clip(id string) string { return id[:min(len(id), 256)] }
