package strandstest

import (
	"errors"
	"net/http"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
)

func (s *ModelSuite) testErrors(t *testing.T) {
	for _, kind := range []strands.ModelErrorKind{
		strands.ModelThrottled, strands.ModelOverflow, strands.ModelRefused, strands.ModelAuth,
		strands.ModelNotFound, strands.ModelTransient, strands.ModelBadRequest,
	} {
		if s.has(Fails(kind)) {
			s.testErrorKind(t, kind)
		}
	}
	if s.has(LateErrors) {
		s.testLateErrors(t)
	}
	s.testForeignErrors(t)
}

const complaint = "These are the words of the server."

func (s *ModelSuite) testErrorKind(t *testing.T, kind strands.ModelErrorKind) {
	s.scenario(t, string(kind), func(t *testing.T, r *rig) {
		want := strands.ModelError{Kind: kind, Message: complaint}
		if kind == strands.ModelThrottled && s.has(RetryAfter) {
			want.RetryAfter = 7 * time.Second
		}
		w := s.Play(Answer{Error: &want})
		r.play(whole(w))
		o := r.generate(t.Context(), hello())
		me := o.modelError(t, kind)
		if me.Message == "" {
			t.Error("the error does not say what the server said")
		}
		if me.RetryAfter != want.RetryAfter {
			t.Errorf("RetryAfter is %s, want %s", me.RetryAfter, want.RetryAfter)
		}
		if me.Status != w.Status {
			t.Errorf("the error has the status %d, want %d", me.Status, w.Status)
		}
		if me.Err == nil {
			t.Error("the error does not hold that of the SDK")
		}
		if n := len(r.arrived()); n != 1 {
			t.Errorf("%d requests were sent; it is the loop that repeats, not the provider", n)
		}
		if len(o.deltas) != 0 {
			t.Error("deltas came before the error")
		}
		r.expectQuiet()
	})
}

// testLateErrors: the server fails in the middle of its answer.
func (s *ModelSuite) testLateErrors(t *testing.T) {
	s.scenario(t, "in the middle of a stream", func(t *testing.T, r *rig) {
		a := answer(strands.Text("One, two, "))
		a.Error = &strands.ModelError{Kind: strands.ModelTransient, Message: complaint}
		r.play(whole(s.Play(a)))
		o := r.generate(t.Context(), hello())
		if me := o.modelError(t, strands.ModelTransient); me.Message == "" {
			t.Error("the error does not say what the server said")
		}
		if len(o.deltas) == 0 {
			t.Error("the deltas before the error were kept back")
		}
	})
}

// testForeignErrors: what stands between the program and the provider answers.
func (s *ModelSuite) testForeignErrors(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		wire Wire
		kind strands.ModelErrorKind
	}{
		"gateway's HTML page": {Wire{502, page, [][]byte{[]byte("<html>\n<body>Bad gateway</body>\n</html>")}}, strands.ModelTransient},
		"empty 503":           {Wire{503, nil, nil}, strands.ModelTransient},
		"empty 401":           {Wire{401, nil, nil}, strands.ModelAuth},
		"empty 404":           {Wire{404, nil, nil}, strands.ModelNotFound},
	} {
		s.scenario(t, name, func(t *testing.T, r *rig) {
			r.play(whole(c.wire))
			me := r.generate(t.Context(), hello()).modelError(t, c.kind)
			if me.Status != c.wire.Status {
				t.Errorf("status %d, want %d", me.Status, c.wire.Status)
			}
		})
	}
	s.scenario(t, "no server", func(t *testing.T, r *rig) {
		r.server.Close()
		r.generate(t.Context(), hello()).modelError(t, strands.ModelTransient)
	})
	s.scenario(t, "a page instead of a stream", func(t *testing.T, r *rig) {
		r.play(whole(Wire{200, page, [][]byte{[]byte("<html>Please log in</html>")}}))
		if o := r.generate(t.Context(), hello()); o.err == nil {
			t.Errorf("a web page was taken for a reply: %+v", o.reply)
		} else if _, ok := errors.AsType[*strands.ModelError](o.err); !ok {
			t.Errorf("the error is a %T: %v", o.err, o.err)
		}
	})
}
