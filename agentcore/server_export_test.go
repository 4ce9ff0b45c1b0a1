package agentcore

import (
	"io"
	"time"
)

// BodyTime is how long a body of size bytes may take to come.
func BodyTime(size int64) time.Duration { return bodyTime(size) }

// WriteResultFrame writes the frame of a result.
func WriteResultFrame(w io.Writer, payload []byte) error {
	return writeFrame(w, resultHeaders, payload)
}

// WriteExceptionFrame writes the frame of each kind of error that a call can
// end in.
func WriteExceptionFrame(w io.Writer, kind string) error {
	e := map[string]error{
		"AccessDeniedException": denied("%s", "text"), "ResourceNotFoundException": notFound("text"),
		"ConflictException":             &apiError{name: "ConflictException", message: "text"},
		"ServiceQuotaExceededException": quotaExceeded("text"), "ThrottlingException": throttled("text"),
		"ValidationException": invalid("field", "text"), "InternalServerException": unexpected("text"),
	}[kind]
	a := asAPIError(e)
	return writeFrame(w, exceptionHeaders(a.streamName()), a.body())
}

// CheckTool parses the body of an invocation.
func CheckTool(body []byte) error {
	_, err := parseTool(body)
	return err
}

// CleanPath is the path of a file as a request may name it.
func CleanPath(p string) (string, error) { return cleanPath("path", p, false) }

// NormalPage reads a token of a list.
func NormalPage(token string) error {
	_, err := parsePage(token)
	return err
}
