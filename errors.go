package strands

import (
	"errors"
	"fmt"
	"time"
)

// Sentinels. Ask with errors.Is.
var (
	// ErrConcurrentInvocation: the session is in a run already. Make another
	// session, or wait for that run.
	ErrConcurrentInvocation = errors.New("strands: the session is already running")
	// ErrClosed: the session or the agent was closed.
	ErrClosed = errors.New("strands: closed")
	// ErrConflict: a Store holds entries that the writer has not seen.
	ErrConflict = errors.New("strands: the stored session has changed")
	// ErrNotFound: a Store has no such session.
	ErrNotFound = errors.New("strands: no such session")
)

// ModelErrorKind is the vocabulary that all providers' errors are mapped to.
type ModelErrorKind string

// The kinds of a ModelError.
const (
	ModelThrottled  ModelErrorKind = "throttled"        // come back later
	ModelOverflow   ModelErrorKind = "context_overflow" // the request is longer than the context window
	ModelRefused    ModelErrorKind = "refused"          // the content was refused
	ModelAuth       ModelErrorKind = "auth"             // no, wrong or insufficient credentials
	ModelNotFound   ModelErrorKind = "not_found"        // no such model or endpoint
	ModelTransient  ModelErrorKind = "transient"        // server fault, broken stream, stall, network
	ModelBadRequest ModelErrorKind = "bad_request"      // repeating it will not help
)

// ModelError is an error of a model provider.
type ModelError struct {
	Kind       ModelErrorKind
	Provider   string
	Model      string
	Status     int           // HTTP status; 0 when there was none
	Code       string        // the provider's own code
	Message    string        // the provider's own text, or what to do about it
	RequestID  string        // to quote to the provider's support
	RetryAfter time.Duration // what the provider asked for; 0 when it did not
	Err        error         // the SDK's error
}

// Error implements error.
func (e *ModelError) Error() string {
	s := fmt.Sprintf("%s model %q: %s", e.Provider, e.Model, e.Kind)
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	switch {
	case e.Message != "":
		s += ": " + e.Message
	case e.Err != nil:
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the SDK's error.
func (e *ModelError) Unwrap() error { return e.Err }

// Temporary says whether the same call may succeed later.
func (e *ModelError) Temporary() bool {
	return e.Kind == ModelThrottled || e.Kind == ModelTransient
}

// LimitError ends a run that met a cap. Result is what there was until then;
// the session can be used again.
type LimitError struct {
	Limit  string // "turns", "total tokens", "output tokens", "max tokens of a reply", …
	Max    int
	Result *Result
}

// Error implements error.
func (e *LimitError) Error() string {
	if e.Max == 0 {
		return fmt.Sprintf("strands: the run met its limit of %s", e.Limit)
	}
	return fmt.Sprintf("strands: the run met its limit of %d %s", e.Max, e.Limit)
}

// InputError is a mistake in what the caller handed in: nothing was done, the
// session is as it was.
type InputError struct {
	Field  string // what is wrong, as the caller names it
	Reason string // and what to do about it
}

// Error implements error.
func (e *InputError) Error() string { return "strands: " + e.Field + ": " + e.Reason }

// Fatal marks an error of a tool or a hook that must end the run instead of
// going to the model. Fatal(nil) is nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

func isFatal(err error) bool {
	_, ok := errors.AsType[*fatalError](err)
	return ok
}
