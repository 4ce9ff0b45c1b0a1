package s3_test

import (
	"bufio"
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const (
	region = "eu-central-1"
	bucket = "pictures"
)

var keys = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}

// TestMain is also the program of the S3 server, which is a process of its own
// that ends with its standard input.
func TestMain(m *testing.M) {
	if os.Getenv("STRANDS_TEST_S3") == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	fake := gofakes3.New(s3mem.New()).Server()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && !goodLink(r) {
			http.Error(w, "AccessDenied", http.StatusForbidden)
			return
		}
		fake.ServeHTTP(w, r)
	})))
}

// goodLink checks the signature in a presigned address, which the fake does
// not.
func goodLink(r *http.Request) bool {
	q := r.URL.Query()
	signed := q.Get("X-Amz-Signature")
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	life, _ := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || signed == "" || time.Since(at) > time.Duration(life)*time.Second {
		return false
	}
	for _, k := range []string{"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Security-Token"} {
		q.Del(k)
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.EscapedPath()+"?"+q.Encode(), nil)
	if err != nil {
		return false
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	want, _, err := signer.PresignHTTP(context.Background(), keys, again, "UNSIGNED-PAYLOAD", "s3", region, at)
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(want, "X-Amz-Signature=")
	after, _, _ = strings.Cut(after, "&")
	return subtle.ConstantTimeCompare([]byte(after), []byte(signed)) == 1
}

// startServer starts the process and returns its address and a client of it.
func startServer(t *testing.T) (string, *awss3.Client) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STRANDS_TEST_S3=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it is told to end as if it had failed
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	client := awss3.New(awss3.Options{Region: region, BaseEndpoint: &address, UsePathStyle: true, Credentials: provider()})
	if _, err := client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	return address, client
}

func provider() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, "")
}
