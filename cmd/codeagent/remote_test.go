package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
)

func TestAgentcore(t *testing.T) {
	box := &python.Sandboxed{Processes: true, Logger: slog.New(slog.DiscardHandler)}
	defer box.Close()
	s, err := agentcore.NewServer(agentcore.ServerConfig{Interpreter: box, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	env := []string{"AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=" + server.URL}
	at := []string{"exec", "--interpreter", "agentcore", "--region", "eu-west-1", "--session-timeout", "10m"}
	call{env: env, args: append(at, "-c", "import socket\nprint(2**10)")}.run(t).check(t, 0, "1024\n")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in.txt"), []byte("41"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call{dir: dir, env: env, args: append(at, "--data", "in.txt", "-c", "n = int(open('in.txt').read())\nopen('out.txt', 'w').write(str(n + 1))\n1/0")}.run(t)
	if out, _ := os.ReadFile(filepath.Join(dir, "out.txt")); r.code != 1 || !strings.Contains(r.stderr, "ZeroDivisionError") || string(out) != "42" {
		t.Errorf("%+v, out.txt %q", r, out)
	}

	script := filepath.Join(dir, "script.yaml")
	if err := os.WriteFile(script, []byte("turns:\n  - python: print(6 * 7)\n  - text: \"It is {{ stdout 1 }}.\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = call{env: env, args: []string{"run", "--interpreter", "agentcore", "--model", "scripted:" + script, "What is 6 * 7?"}}.run(t)
	if r.code != 0 || !strings.Contains(r.stdout, "It is 42.") {
		t.Errorf("%+v", r)
	}
}

func TestBadRemoteInput(t *testing.T) {
	for want, args := range map[string][]string{
		"--region is for --interpreter agentcore only": {"exec", "--region", "x", "-c", "1"},
		"at most 8h":                           {"exec", "--interpreter", "agentcore", "--session-timeout", "9h", "-c", "1"},
		"--isolation is about this machine":    {"exec", "--interpreter", "agentcore", "--isolation", "filtered", "-c", "1"},
		"--allow and --require have no effect": {"exec", "--interpreter", "agentcore", "--allow", "os", "-c", "1"},
		"no such file":                         {"exec", "--data", "nothing.csv", "-c", "1"},
		"give an object, like s3://":           {"exec", "--data", "s3://bucket", "-c", "1"},
		"there is another a.csv":               {"exec", "--data", "a.csv", "--data", "b/a.csv", "-c", "1"},
		"give a folder, or s3://bucket/prefix": {"run", "--model", "scripted:x.yaml", "--artifacts", "s3://", "x"},
	} {
		dir := t.TempDir()
		for _, f := range []string{"a.csv", "x.yaml"} {
			if err := os.WriteFile(filepath.Join(dir, f), []byte("turns: [{text: x}]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := call{dir: dir, args: args}.run(t)
		if r.code != 2 || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("codeagent %q: exit code %d, stderr %q; want 2 and one line with %q", args, r.code, r.stderr, want)
		}
	}
}

// store is an S3 server with a bucket "box".
func store(t *testing.T) (env []string, client *s3.Client) {
	t.Helper()
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(server.Close)
	client = s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("box")}); err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ENDPOINT_URL_S3=" + server.URL, "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=us-east-1"}, client
}

// An object of more than 100 MB is read where the host has put it.
func TestDataFromS3(t *testing.T) {
	env, client := store(t)
	big := bytes.Repeat([]byte("0123456789abcde\n"), 7<<20)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("in/big.txt"), Body: bytes.NewReader(big)}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(big)
	before, _ := filepath.Glob("/var/tmp/codeagent-data-*") // of others
	code := "import hashlib, glob\nwith open('/mnt/big.txt', 'rb') as f: print(hashlib.file_digest(f, 'sha256').hexdigest())\n" +
		"try: open('/mnt/big.txt', 'a')\nexcept OSError as e: print('read-only')"
	call{env: env, args: []string{"exec", "--allow", "glob", "--data", "s3://box/in/big.txt", "-c", code}}.run(t).
		check(t, 0, hex.EncodeToString(sum[:])+"\nread-only\n")
	if left, _ := filepath.Glob("/var/tmp/codeagent-data-*"); len(left) > len(before) {
		t.Errorf("left behind: %v", left)
	}

	// It counts against the session's disk.
	for args, want := range map[string]string{
		"--disk 100M": "give --disk 128M or more",
		"--disk 140M": "No space left on device",
	} {
		flags := append([]string{"exec", "--data", "s3://box/in/big.txt", "-c", "open('x', 'wb').write(bytes(40 << 20))"}, strings.Fields(args)...)
		if r := (call{env: env, args: flags}).run(t); r.code == 0 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %+v lacks %q", args, r, want)
		}
	}
	if r := (call{env: env, args: []string{"exec", "--data", "s3://box/none.csv", "-c", "1"}}).run(t); r.code != 1 || !strings.Contains(r.stderr, "there is no such object") {
		t.Errorf("%+v", r)
	}
}

// What the code makes lies in the bucket, and the links below the answer are
// those of the program.
func TestArtifactsInS3(t *testing.T) {
	env, _ := store(t)
	dir := t.TempDir()
	script := "turns:\n  - python: \"open('sum.csv', 'w').write('a,b')\"\n  - text: The sums are in sum.csv.\n"
	if err := os.WriteFile(filepath.Join(dir, "script.yaml"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--model", "scripted:script.yaml", "--artifacts", "s3://box/out", "Sum up."}
	r := call{dir: dir, env: env, args: args}.run(t)
	link := regexp.MustCompile(`\[sum\.csv\]\(<(http[^>]*)>\), valid until `).FindStringSubmatch(r.stdout)
	if r.code != 0 || link == nil {
		t.Fatalf("%+v", r)
	}
	resp, err := http.Get(link[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "a,b" || resp.Header.Get("Content-Type") != "text/csv" {
		t.Errorf("the link gives %q (%s)", b, resp.Header.Get("Content-Type"))
	}
	if _, err := os.Stat(filepath.Join(dir, "sum.csv")); err == nil {
		t.Error("the file was saved here too")
	}
	// Without the bucket it is kept here.
	args[4] = "s3://gone-box/out"
	r = call{dir: dir, env: env, args: args}.run(t)
	saved, _ := filepath.Glob(filepath.Join(dir, "artifacts", "*", "sum.csv"))
	if r.code != 0 || len(saved) != 1 || !strings.Contains(r.stderr, "warning: artifact: stored on this machine instead") || !strings.Contains(r.stdout, saved[0]) {
		t.Errorf("%+v, saved %v", r, saved)
	}
}

// doctor says whose AWS credentials these are, and never shows them.
func TestDoctorAWS(t *testing.T) {
	var mu sync.Mutex
	status, body := 200, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
		`<Arn>arn:aws:iam::123456789012:user/jo</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	env := []string{"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=hush", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_STS=" + server.URL}
	r := call{env: env, args: []string{"doctor", "--json"}}.patiently(t)
	if !strings.Contains(r.stdout, `"aws":{"caller":"arn:aws:iam::123456789012:user/jo","region":"eu-west-1"}`) || strings.Contains(r.stdout+r.stderr, "hush") {
		t.Errorf("%+v", r)
	}
	mu.Lock()
	status, body = 403, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The token is invalid.</Message></Error></ErrorResponse>`
	mu.Unlock()
	r = call{env: env, args: []string{"doctor"}}.patiently(t)
	if r.code != 0 || !strings.Contains(r.stdout, "AWS refuses the credentials: InvalidClientTokenId: The token is invalid. (region eu-west-1)") {
		t.Errorf("%+v", r)
	}
}
