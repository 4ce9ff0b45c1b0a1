package agentcore

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A small answer comes whole with its headers: whoever drops the connection
// early then misses nothing, as clients in Go may (docs/agentcore.md). With a
// longer one the server waits for them.
func TestAnswersToClientsThatDropThem(t *testing.T) {
	const foreign, own = "aws-sdk-go-v2/1.47.6 ua/2.1 os/linux", "aws-sdk-go-v2/1.47.6 ua/2.1 os/linux " + ownAgent
	for _, c := range []struct {
		what, agent string
		size        int
		took, after time.Duration // of the call until there is a result, of the server after that
		pieces      bool
	}{
		{"small", foreign, 100, 0, 0, false},
		{"the largest in one piece", foreign, onePiece, 0, 0, false},
		{"large", foreign, onePiece + 1, 0, goPatience, true},
		{"large, late enough", foreign, onePiece + 1, 4 * time.Millisecond, 6 * time.Millisecond, true},
		{"large, ours", own, onePiece + 1, 0, 0, true},
		{"large, boto3", "Botocore/1.40", onePiece + 1, 0, 0, true},
		{"small, of a long call", foreign, 100, time.Second, 0, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("POST", "/", nil)
				r.Header.Set("User-Agent", c.agent)
				e := newEventStream(&call{w: w, r: r}, "id")
				time.Sleep(c.took)
				synctest.Wait()
				begun := time.Now()
				e.end(resultHeaders, [][]byte{make([]byte, c.size)})
				if took := time.Since(begun); took != c.after || w.Flushed != c.pieces || w.Body.Len() <= c.size {
					t.Errorf("%v later, in pieces %v, %d bytes", took, w.Flushed, w.Body.Len())
				}
			})
		})
	}
}
