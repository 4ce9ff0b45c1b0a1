package agentcore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// apiError is an error as the service words it: an HTTP status and a name that
// the clients turn into a type of theirs.
type apiError struct {
	status  int
	name    string // "ValidationException"
	message string
	reason  string // of a ValidationException
	fields  []fieldError
}

type fieldError struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return e.name + ": " + e.message }

// The reasons of a ValidationException.
const (
	cannotParse      = "CannotParse"
	fieldFailed      = "FieldValidationFailed"
	tokenMismatch    = "IdempotentParameterMismatchException"
	requestForbidden = "AccessDeniedException"
)

// invalid refuses a field of a request.
func invalid(field, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	return &apiError{
		http.StatusBadRequest, "ValidationException", field + ": " + message, fieldFailed, []fieldError{{field, message}},
	}
}

// malformed refuses a request as a whole.
func malformed(reason, format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "ValidationException", fmt.Sprintf(format, args...), reason, nil}
}

func notFound(format string, args ...any) error {
	return &apiError{status: http.StatusNotFound, name: "ResourceNotFoundException", message: fmt.Sprintf(format, args...)}
}

func denied(format string, args ...any) error {
	return &apiError{status: http.StatusForbidden, name: requestForbidden, message: fmt.Sprintf(format, args...)}
}

func quotaExceeded(format string, args ...any) error {
	return &apiError{status: http.StatusPaymentRequired, name: "ServiceQuotaExceededException", message: fmt.Sprintf(format, args...)}
}

func throttled(format string, args ...any) error {
	return &apiError{status: http.StatusTooManyRequests, name: "ThrottlingException", message: fmt.Sprintf(format, args...)}
}

// unexpected hides what is nobody's business: the text goes to the log.
func unexpected(format string, args ...any) *apiError {
	return &apiError{status: http.StatusInternalServerError, name: "InternalServerException", message: fmt.Sprintf(format, args...)}
}

// asAPIError gives every error the form of one.
func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return unexpected("the request could not be carried out; the server's log says why")
}

// streamName is what the error is called inside an event stream.
func (e *apiError) streamName() string { return strings.ToLower(e.name[:1]) + e.name[1:] }

func (e *apiError) body() []byte {
	body, err := json.Marshal(struct {
		Message string       `json:"message"`
		Reason  string       `json:"reason,omitempty"`
		Fields  []fieldError `json:"fieldList,omitempty"`
	}{e.message, e.reason, e.fields})
	if err != nil { // a message that is no UTF-8
		return []byte(`{"message":"the error's text cannot be shown"}`)
	}
	return body
}

// write answers with the error. The header is what all clients look at first.
func (e *apiError) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", e.name)
	w.WriteHeader(e.status)
	_, _ = w.Write(e.body()) // the caller may be gone
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
