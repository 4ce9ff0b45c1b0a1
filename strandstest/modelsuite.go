package strandstest

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	strands "github.com/strandsgo/strands"
)

// ModelSuite says how a provider is put to the test by TestModel: how to make
// its model, and how its servers say things.
type ModelSuite struct {
	// New makes the model under test. It is called once per scenario; t is nil
	// in a benchmark.
	New func(t *testing.T, at Endpoint) strands.Model
	// Play writes an answer as the provider's servers do, byte for byte.
	Play func(a Answer) Wire
	// Broken is a frame of which the content is not what the protocol says,
	// such as JSON that ends in the middle.
	Broken []byte
	// Lacks lists what the protocol has no room for. A request that needs it
	// must then be refused with an error before anything is sent.
	Lacks []Feature
	// Citation is one as replies of the provider have them; nil = they have none.
	Citation *strands.Citation
	// Golden is a folder of request bodies that the model must send; "" = not
	// compared. STRANDS_UPDATE_GOLDEN=1 writes them anew.
	Golden string
	// Check looks at every request that arrives, for example at its signature.
	// It may be nil.
	Check func(t *testing.T, r *http.Request, body []byte)
}

// Endpoint is where the model under test finds its server, which is in memory:
// only Client reaches it.
type Endpoint struct {
	URL         string // http, without a path
	Client      *http.Client
	IdleTimeout time.Duration // how long the model must bear a silent server
}

// Answer is what a server is to say.
type Answer struct {
	Parts      []strands.Part
	StopReason strands.StopReason
	Usage      strands.Usage
	Model      string // the name of the model that answers

	// Error: the server fails instead, or after Parts when there are any. Kind
	// and Message are set, and RetryAfter of a throttled one.
	Error *strands.ModelError

	// Piece is how many bytes of a text come in one frame; 0 = 7.
	Piece int
}

// Pieces cuts a text as Piece says, between characters.
func (a Answer) Pieces(s string) []string {
	size := a.Piece
	if size == 0 {
		size = 7
	}
	var pieces []string
	start := 0
	for i := range s {
		if i-start >= size {
			pieces = append(pieces, s[start:i])
			start = i
		}
	}
	if start < len(s) {
		pieces = append(pieces, s[start:])
	}
	return pieces
}

// Wire is an answer in the provider's protocol.
type Wire struct {
	Status int // 0 = 200
	Header http.Header
	Frames [][]byte // the body, cut where an event of the protocol ends
}

// Feature is something a provider's protocol may have no room for.
type Feature string

// The features. Stops and Fails name the rest.
const (
	Reasoning       Feature = "reasoning"
	Signatures      Feature = "signatures of reasoning"
	Redacted        Feature = "redacted reasoning"
	CallIDs         Feature = "ids of tool calls"
	ToolChoices     Feature = "tool choice"
	Images          Feature = "images"
	ImageURLs       Feature = "images by address"
	ToolImages      Feature = "images in tool results"
	ReplyImages     Feature = "images in replies"
	Documents       Feature = "documents"
	Videos          Feature = "videos"
	Guards          Feature = "guard content"
	BrokenInputs    Feature = "broken input of tool calls" // the input comes as an object, never as text
	CacheRead       Feature = "tokens read from a cache"
	CacheWrite      Feature = "tokens written to a cache"
	ReasoningTokens Feature = "tokens of reasoning"
	RetryAfter      Feature = "retry after"
	ModelNames      Feature = "the name of the model that answered"
	LateErrors      Feature = "errors in the middle of a stream"
)

// Stops is the feature of having a stop reason.
func Stops(r strands.StopReason) Feature { return Feature("stop reason " + r) }

// Fails is the feature of telling a kind of error from the others.
func Fails(k strands.ModelErrorKind) Feature { return Feature("error " + k) }

func (s *ModelSuite) has(f Feature) bool { return !slices.Contains(s.Lacks, f) }

// TestModel is the conformance suite of strands.Model. It runs each scenario
// in a bubble of testing/synctest, so that timeouts cost no time and a
// goroutine left behind is found.
func TestModel(t *testing.T, s ModelSuite) {
	t.Run("replies", s.testReplies)
	t.Run("stop reasons", s.testStopReasons)
	t.Run("usage", s.testUsage)
	t.Run("requests", s.testRequests)
	t.Run("errors", s.testErrors)
	t.Run("streams", s.testStreams)
	t.Run("contract", s.testContract)
}

// scenario runs f in a bubble with a server and a model of its own.
func (s *ModelSuite) scenario(t *testing.T, name string, f func(t *testing.T, r *rig)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, s)
			defer r.close()
			f(t, r)
		})
	})
}

// Client returns a client that answers every request with w, without a server.
func (w Wire) Client() *http.Client {
	body := bytes.Join(w.Frames, nil)
	return &http.Client{Transport: canned(func(r *http.Request) *http.Response {
		return &http.Response{
			StatusCode: cmp.Or(w.Status, http.StatusOK), Header: w.Header.Clone(), Request: r,
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1,
		}
	})}
}

type canned func(*http.Request) *http.Response

// RoundTrip implements http.RoundTripper.
func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	return c(r), nil
}

// BenchmarkModel measures what a provider adds to its SDK: the same reply of
// 100 KB in pieces of 40 bytes, read by bare, which returns the text with the
// SDK alone, and by the model that s.New makes.
func BenchmarkModel(b *testing.B, s ModelSuite, bare func(client *http.Client) (string, error)) {
	text := strings.Repeat("The quick brown fox jumps over the dog. ", 2560)
	a := answer(strands.Text(text))
	a.Piece = 40
	w := s.Play(a)
	client := w.Client()
	run := func(name string, call func() (string, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := call(); err != nil || got != text {
					b.Fatalf("%d bytes of text, %v", len(got), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(w.Frames)), "ns/chunk")
		})
	}
	run("bare", func() (string, error) { return bare(client) })
	m := s.New(nil, Endpoint{URL: "http://model.test", Client: client})
	run("model", func() (string, error) {
		for c, err := range m.Generate(b.Context(), hello()) {
			switch {
			case err != nil:
				return "", err
			case c.Reply != nil:
				return c.Reply.Message.Text(), nil
			}
		}
		return "", nil
	})
}
