package bedrock

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// checkSignature computes the signature of a request anew, from the
// description of Signature Version 4 and not with the SDK's signer.
func checkSignature(t *testing.T, r *http.Request, body []byte, region, secret string) {
	t.Helper()
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	fields := map[string]string{}
	for f := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[k] = v
	}
	date := r.Header.Get("X-Amz-Date")
	if scheme != "AWS4-HMAC-SHA256" || len(date) < 8 {
		t.Errorf("Authorization is %q, the date %q", r.Header.Get("Authorization"), date)
		return
	}
	scope := date[:8] + "/" + region + "/bedrock/aws4_request"
	if want := "AKIDEXAMPLE/" + scope; fields["Credential"] != want {
		t.Errorf("the credential is %q, want %q", fields["Credential"], want)
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(fields["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-security-token"} {
		if !strings.Contains(";"+fields["SignedHeaders"]+";", ";"+must+";") {
			t.Errorf("the header %s is not signed", must)
		}
	}
	var path []string
	for s := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		path = append(path, strings.ReplaceAll(url.QueryEscape(s), "+", "%20")) // encoded once more
	}
	canonical := strings.Join([]string{
		r.Method, strings.Join(path, "/"), r.URL.RawQuery, headers.String(), fields["SignedHeaders"], hash(body),
	}, "\n")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hash([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, s := range []string{date[:8], region, "bedrock", "aws4_request", toSign} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(s))
		key = m.Sum(nil)
	}
	if got := hex.EncodeToString(key); got != fields["Signature"] {
		t.Errorf("the signature is %s, want %s for\n%s", fields["Signature"], got, canonical)
	}
}

func hash(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
