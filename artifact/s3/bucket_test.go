package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/artifact/s3"
)

func config() *aws.Config { return &aws.Config{Region: region, Credentials: provider()} }

func get(t *testing.T, link string) (int, string, []byte) {
	t.Helper()
	r, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header.Get("Content-Type"), b
}

func TestBucketKeepsAndSigns(t *testing.T) {
	address, _ := startServer(t)
	b := &s3.Bucket{Name: bucket, Prefix: "/agent outputs/", Endpoint: address, AWS: config(), Expiry: 10 * time.Minute}
	picture := bytes.Repeat([]byte("\x89PNG\r\n\x00\xff"), 100_000)
	began := time.Now()
	var links []string
	for _, run := range []string{"run-1", "run-2"} {
		a, err := b.Put(t.Context(), run, strands.Artifact{Name: "figure 1 (ü).png", MIME: "image/png", Size: int64(len(picture)), Figure: 1}, bytes.NewReader(picture))
		if err != nil {
			t.Fatal(err)
		}
		if a.Key != "agent outputs/"+run+"/figure 1 (ü).png" || a.Path != "" || a.Figure != 1 {
			t.Errorf("%+v", a)
		}
		if left := a.Expires.Sub(began); left < 9*time.Minute || left > 11*time.Minute {
			t.Errorf("the link is good for %v", left)
		}
		status, kind, data := get(t, a.URL)
		if status != 200 || kind != "image/png" || !bytes.Equal(data, picture) {
			t.Errorf("GET %s: %d %s, %d bytes", a.URL, status, kind, len(data))
		}
		links = append(links, a.URL)
	}
	if links[0] == links[1] {
		t.Error("two runs have one link")
	}
	// The signature is what opens it.
	plain, _, _ := strings.Cut(links[0], "?")
	for what, link := range map[string]string{
		"without a signature": plain,
		"cut off":             links[0][:len(links[0])-8],
		"of another object":   strings.Replace(links[0], "run-1", "run-2", 1),
	} {
		if status, _, _ := get(t, link); status != http.StatusForbidden {
			t.Errorf("a link %s is answered with %d", what, status)
		}
	}
}

// A link dies with the credentials that signed it, so nothing else is promised.
func TestBucketLinksEndWithTheCredentials(t *testing.T) {
	address, _ := startServer(t)
	until := time.Now().Add(5 * time.Minute)
	cfg := config()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c := keys
		c.CanExpire, c.Expires = true, until
		return c, nil
	})
	b := &s3.Bucket{Name: bucket, Endpoint: address, AWS: cfg}
	a, err := b.Put(t.Context(), "run", strands.Artifact{Name: "x", Size: 1}, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Expires.After(until) {
		t.Errorf("good until %v, the credentials until %v", a.Expires, until)
	}
	if u, _ := url.Parse(a.URL); len(u.Query().Get("X-Amz-Expires")) != 3 {
		t.Errorf("signed for %s s", u.Query().Get("X-Amz-Expires"))
	}
}

func TestBucketErrors(t *testing.T) {
	address, _ := startServer(t)
	put := func(b *s3.Bucket) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, err := b.Put(ctx, "run", strands.Artifact{Name: "x", Size: 1}, strings.NewReader("x"))
		return err
	}
	for what, c := range map[string]struct {
		b    *s3.Bucket
		want string
	}{
		"no name":        {&s3.Bucket{Endpoint: address, AWS: config()}, "must name the bucket"},
		"long expiry":    {&s3.Bucket{Name: bucket, Endpoint: address, AWS: config(), Expiry: 8 * 24 * time.Hour}, "at most 7 days"},
		"no bucket":      {&s3.Bucket{Name: "nothing", Endpoint: address, AWS: config()}, "there is no such bucket"},
		"nobody at home": {&s3.Bucket{Name: bucket, Endpoint: "http://127.0.0.1:1", AWS: config()}, "storing s3://pictures/run/x"},
	} {
		if err := put(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []string{"", "x", "s3://", "s3:///key", "https://bucket/key", "s3://a b/c"} {
		if _, _, err := s3.Parse(bad); err == nil {
			t.Errorf("%q is an address", bad)
		}
	}
	if b, k, err := s3.Parse("s3://b/a/c.csv"); b != "b" || k != "a/c.csv" || err != nil {
		t.Errorf("%s %s %v", b, k, err)
	}
}

// pattern is n bytes that repeat at no round number.
type pattern struct{ at, n int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	m := min(int64(len(b)), p.n-p.at)
	for i := range m {
		b[i] = byte((p.at + i) % 251)
	}
	p.at += m
	return int(m), nil
}

func (p *pattern) Seek(offset int64, whence int) (int64, error) {
	p.at = map[int]int64{io.SeekStart: 0, io.SeekCurrent: p.at, io.SeekEnd: p.n}[whence] + offset
	return p.at, nil
}

const big = 112 << 20

// An object of more than 100 MB comes whole, over connections that break.
func TestBucketCopiesBigObjects(t *testing.T) {
	address, client := startServer(t)
	if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("in/big.bin"), Body: &pattern{n: big}, ContentLength: aws.Int64(big),
	}); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = target.Host }}
	var gets atomic.Int64
	weak := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && gets.Add(1) <= 3 {
			w = &breaking{ResponseWriter: w, left: 30 << 20}
		}
		defer func() {
			if v := recover(); v != nil {
				panic(http.ErrAbortHandler)
			}
		}()
		proxy.ServeHTTP(w, r)
	}))
	defer weak.Close()
	b := &s3.Bucket{Name: bucket, Endpoint: weak.URL, AWS: config()}
	if n, err := b.Size(t.Context(), "in/big.bin"); n != big || err != nil {
		t.Fatalf("size %d %v", n, err)
	}
	sum, want := sha256.New(), sha256.New()
	if _, err := io.Copy(want, &pattern{n: big}); err != nil {
		t.Fatal(err)
	}
	n, err := b.Copy(t.Context(), "in/big.bin", sum, big)
	if err != nil || n != big || !bytes.Equal(sum.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d of %d bytes came, or others: %v", n, int64(big), err)
	}
	if got := gets.Load(); got < 4 {
		t.Errorf("%d requests: the connection never broke", got)
	}

	var out bytes.Buffer
	if _, err := b.Copy(t.Context(), "in/big.bin", &out, big-1); err == nil || out.Len() > 0 || !strings.Contains(err.Error(), "there is room for") {
		t.Errorf("more than there is room for: %v, %d bytes", err, out.Len())
	}
	if _, err := b.Copy(t.Context(), "in/none", &out, big); err == nil || !strings.Contains(err.Error(), "no such object") {
		t.Errorf("a missing object: %v", err)
	}
	full := errors.New("disk full")
	if _, err := b.Copy(t.Context(), "in/big.bin", failing{full}, big); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

// A server that starts again at the beginning, or does not say how much there
// is, is no reason for other bytes than the object's.
func TestBucketCopiesFromOddServers(t *testing.T) {
	const text = "the whole object"
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
	}{
		"starts again": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			if r.Header.Get("Range") == "" {
				io.WriteString(w, text[:5])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, text)
		}},
		"no length": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
		}},
	} {
		server := httptest.NewServer(http.HandlerFunc(c.answer))
		b := &s3.Bucket{Name: bucket, Endpoint: server.URL, AWS: config()}
		var out bytes.Buffer
		if _, err := b.Copy(t.Context(), "x", &out, 1<<20); err == nil || !strings.Contains(err.Error(), "which part of the object") || !strings.HasPrefix(text, out.String()) {
			t.Errorf("%s: %q, %v", name, &out, err)
		}
		server.Close()
	}
}

// Without credentials a link cannot be signed; what can be had is the error.
func TestBucketWithoutCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	b := &s3.Bucket{Name: bucket, Endpoint: server.URL, AWS: &aws.Config{Region: "us-east-1"}}
	if _, err := b.Put(t.Context(), "run", strands.Artifact{Name: "x", Size: 1}, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Error(err)
	}
}

// breaking ends the connection after some bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(p)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
