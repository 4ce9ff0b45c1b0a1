package awsbody_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"

	"github.com/strandsgo/strands/internal/awsbody"
)

// late is a connection whose Write returns, as that of a preempted thread
// does, long after the server has what was written.
type late struct {
	net.Conn
	until <-chan struct{} // the caller has the answer's headers
	left  int             // bytes of the request's body that are to come
	body  bool            // the request's headers are through
}

func (c *late) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if _, after, ok := bytes.Cut(p, []byte("\r\n\r\n")); !c.body && ok {
		c.body, c.left = true, c.left-len(after)
	} else if c.body {
		c.left -= n
	}
	if c.left == 0 {
		<-c.until
	}
	return n, err
}

// talk asks a server that answers half, and the rest when net/http is through
// with the request. It returns what net/http says of the sending and what came
// of the answer.
func talk(t *testing.T, size int, client func(awsbody.Doer) awsbody.Doer) (sending error, answer string, reading error) {
	t.Helper()
	answered, sent := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != int64(size) {
			t.Errorf("the server reads %d of %d bytes: %v", n, size, err)
		}
		_, _ = io.WriteString(w, "one ")
		_ = http.NewResponseController(w).Flush()
		<-sent
		_, _ = io.WriteString(w, "two")
	}))
	defer server.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return &late{Conn: c, until: answered, left: size}, err
	}}
	defer transport.CloseIdleConnections()
	sdk := bedrockagentcore.New(bedrockagentcore.Options{
		Region: "us-west-2", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient:  client(&http.Client{Transport: transport}),
	})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) {
		sending = i.Err
		close(sent)
	}})
	res, err := sdk.InvokeAgentRuntime(ctx, &bedrockagentcore.InvokeAgentRuntimeInput{
		AgentRuntimeArn: aws.String("arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/x"), Payload: make([]byte, size),
	})
	if err != nil {
		t.Fatal(err)
	}
	close(answered)
	<-sent
	b, err := io.ReadAll(res.Response)
	_ = res.Response.Close()
	return sending, string(b), err
}

func TestAnswerBeforeTheRequestIsThrough(t *testing.T) {
	for _, size := range []int{300, 1 << 20} {
		alone := func(d awsbody.Doer) awsbody.Doer { return d }
		if sending, answer, reading := talk(t, size, alone); sending == nil && reading == nil {
			t.Errorf("%d bytes: the SDK alone reads %q: it no longer needs this package", size, answer)
		}
		with := func(d awsbody.Doer) awsbody.Doer { return awsbody.Client{Next: d} }
		if sending, answer, reading := talk(t, size, with); sending != nil || reading != nil || answer != "one two" {
			t.Errorf("%d bytes: sent with error %v, answered %q, %v", size, sending, answer, reading)
		}
	}
}
