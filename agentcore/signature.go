package agentcore

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is an access key that requests may be signed with. Its ID names the
// caller: sessions are seen by the key that opened them only.
type Key struct{ ID, Secret string }

const (
	signingName  = "bedrock-agentcore"
	algorithm    = "AWS4-HMAC-SHA256"
	amzDate      = "20060102T150405Z"
	maxSkew      = 5 * time.Minute
	unsignedBody = "UNSIGNED-PAYLOAD"
)

// signature is what a request says of its signer, and what that would have to
// be signed. The zero value is that of open mode.
type signature struct {
	key       Key
	request   string // the canonical request up to the hash of the body
	date      string // of the request
	scope     string
	signature []byte
}

func (s *signature) caller() string { return s.key.ID }

// authenticate reads who signed a request. That the signature is right is seen
// by verify, when the body has come.
func (s *Server) authenticate(r *http.Request) (*signature, error) {
	if len(s.keys) == 0 {
		return &signature{}, nil
	}
	fields, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	id, scope, _ := strings.Cut(fields["Credential"], "/")
	parts := strings.Split(scope, "/")
	if len(parts) != 4 || parts[2] != signingName || parts[3] != "aws4_request" {
		return nil, denied("the signature is not one for %s", signingName)
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(amzDate, date)
	if err != nil || !strings.HasPrefix(date, parts[0]) || len(parts[0]) != 8 {
		return nil, denied("the request has no X-Amz-Date of the day that it was signed for")
	}
	if skew := s.now().Sub(at); skew.Abs() > maxSkew {
		return nil, denied("the request was signed at %s, which is more than %v from this server's time; set the clock", date, maxSkew)
	}
	key, known := s.keys[id]
	given, err := hex.DecodeString(fields["Signature"])
	if err != nil || len(given) != sha256.Size || !known {
		return nil, denied("the access key is unknown, or the signature is not the key's")
	}
	request, err := canonicalRequest(r, strings.Split(fields["SignedHeaders"], ";"))
	if err != nil {
		return nil, err
	}
	return &signature{key, request, date, scope, given}, nil
}

// parseAuthorization reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…".
func parseAuthorization(header string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return nil, denied("the request is not signed; this server wants %s in the header Authorization", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	return fields, nil
}

// mustBeSigned are the headers that make a signature worth something.
var mustBeSigned = []string{"host", "x-amz-date"}

// canonicalRequest is what is signed, but for the body's hash at its end.
func canonicalRequest(r *http.Request, signed []string) (string, error) {
	for _, name := range mustBeSigned {
		if !slices.Contains(signed, name) {
			return "", denied("the header %s is not signed", name)
		}
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		// What decides about the request must be the signer's.
		if (strings.HasPrefix(lower, "x-amzn-code-interpreter-") || lower == "x-amz-security-token") && !slices.Contains(signed, lower) {
			return "", denied("the header %s is not signed", lower)
		}
	}
	if !slices.IsSorted(signed) {
		return "", denied("the signed headers are not in order")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // else what it leaves out could be added to what was signed
		return "", denied("the query cannot be read")
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escapePath(r.URL.EscapedPath()) + "\n" + canonicalQuery(query) + "\n")
	for _, name := range signed {
		values := r.Header.Values(name)
		if name == "host" {
			values = []string{r.Host}
		}
		if name == "content-length" && len(values) == 0 {
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		if len(values) == 0 {
			return "", denied("the signed header %.60s is not there", name)
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n")
	return b.String(), nil
}

// verify checks the signature, now that the body is there.
func (s *signature) verify(header http.Header, body []byte) error {
	if s.signature == nil {
		return nil
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if said := header.Get("X-Amz-Content-Sha256"); said != "" && said != hash {
		if said == unsignedBody || strings.HasPrefix(said, "STREAMING-") {
			return denied("the body is not signed as a whole (%.60s)", said)
		}
		return denied("the body is not the one that was signed")
	}
	request := sha256.Sum256([]byte(s.request + hash))
	text := algorithm + "\n" + s.date + "\n" + s.scope + "\n" + hex.EncodeToString(request[:])
	want := mac(signingKey(s.key.Secret, s.scope), text)
	if subtle.ConstantTimeCompare(want, s.signature) != 1 {
		return denied("the access key is unknown, or the signature is not the key's")
	}
	return nil
}

// signingKey derives the key of a scope, date/region/service/aws4_request.
func signingKey(secret, scope string) []byte {
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escapePath encodes an encoded path once more, as all services but S3 want.
func escapePath(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c == '/' || isUnreserved(c) {
			b.WriteByte(c)
		} else {
			writeEscaped(&b, c)
		}
	}
	return b.String()
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, escapeQuery(name)+"="+escapeQuery(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func escapeQuery(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if isUnreserved(c) {
			b.WriteByte(c)
		} else {
			writeEscaped(&b, c)
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func writeEscaped(b *strings.Builder, c byte) {
	const digits = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}
