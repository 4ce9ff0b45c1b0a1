// Package awsbody works round a race of AWS's SDK for Go (smithy-go 1.28.8;
// aws/aws-sdk-go-v2#2737): answers that broke off with "use of closed network
// connection".
//
// The SDK closes a request's body as soon as the headers of the answer are
// there. net/http looks once more at the body after it has sent it, whether
// there is more than was announced; a body closed by then says io.EOF out of
// its WriteTo, which is no good answer there (io.EOF from Read is), net/http
// takes it for a failure to send, and closes the connection under the answer.
// A server on the same machine, or a thread that was preempted, is enough.
package awsbody

import (
	"bytes"
	"io"
	"net/http"
)

// Doer is the SDK's HTTPClient of every service.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client is a Doer whose requests have bodies that may be closed at any time.
// Next must not be nil.
type Client struct{ Next Doer }

// small bodies are copied: net/http then sends them in one piece with the
// headers.
const small = 64 << 10

// Do implements Doer.
func (c Client) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.Next.Do(r)
	}
	own := *r // it is the caller's
	own.Body = plain{r.Body}
	if r.ContentLength > 0 && r.ContentLength <= small {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		_ = r.Body.Close() // it was read
		if err != nil {
			return nil, err
		}
		own.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.Next.Do(&own)
}

// plain hides every method of a body but these two.
type plain struct{ io.ReadCloser }
