package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// bucket is an S3 server, which the SDK finds by the environment.
func bucket(t *testing.T) *awss3.Client {
	t.Helper()
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(server.Close)
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL_S3": server.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-west-2",
	} {
		t.Setenv(k, v)
	}
	client := awss3.New(awss3.Options{
		Region: "us-west-2", BaseEndpoint: &server.URL, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	if _, err := client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("sales")}); err != nil {
		t.Fatal(err)
	}
	return client
}

// invoke runs the client program against the agent.
func invoke(t *testing.T, url string, env ...string) (string, int) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "invoke")
	if out, err := exec.Command("go", "build", "-o", program, "./invoke").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(append(os.Environ(), "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE="+url), env...)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

const arn = "AGENT_ARN=arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/sales"

// The whole way of the article: a client asks the runtime, the agent's code
// runs in a sandbox, the chart lies in the bucket, and the link that the
// client prints opens it.
func TestSales(t *testing.T) {
	client := bucket(t)
	t.Setenv("SALES_FOLDER", t.TempDir())
	script, err := strandstest.LoadScript("testdata/script.yaml")
	if err != nil {
		t.Fatal(err)
	}
	box := &python.Sandboxed{Logger: slog.New(slog.DiscardHandler)}
	defer box.Close()
	keeper := pictures("sales")
	if err := checkBucket(t.Context(), keeper); err != nil {
		t.Fatal(err)
	}
	agent, err := newAgent(script, box, keeper)
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	if err := offline(t, box); err != nil {
		t.Skipf("no index of packages, so no pandas: %v", err)
	}
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(runtime)
	defer func() {
		server.Close()
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	}()

	out, code := invoke(t, server.URL, arn)
	for _, want := range []string{
		"I will compute the growth rates and draw the trends.\n\nOverall growth: A 100.0 %, B 37.5 %, C 40.0 %.", // paragraphs stay apart
		"In the last period A 11.1 % was the fastest.",                                                           // one session for both questions
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the answer lacks %q", want)
		}
	}
	if code != 0 || strings.Count(out, "**Pictures and files**") != 1 {
		t.Errorf("exit code %d, %d sections\n%s", code, strings.Count(out, "**Pictures and files**"), out)
	}
	figure := regexp.MustCompile(`- Figure 1: \[figure-1\.png\]\(<(http[^>]+)>\), valid until \d{4}-`).FindStringSubmatch(out)
	table := regexp.MustCompile(`- \[growth\.csv\]\(<(http[^>]+)>\)`).FindStringSubmatch(out)
	if figure == nil || table == nil {
		t.Fatalf("no links in\n%s", out)
	}
	if b := fetch(t, figure[1]); !bytes.HasPrefix(b, []byte("\x89PNG")) {
		t.Errorf("the link gives %.40q", b)
	}
	if b := fetch(t, table[1]); !bytes.HasPrefix(b, []byte("period,A,B,C\n")) {
		t.Errorf("the link gives %.40q", b)
	}
	list, err := client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("sales"), Prefix: aws.String("agent-outputs/")})
	if err != nil || len(list.Contents) != 3 { // with the check
		t.Errorf("%d objects, %v", len(list.Contents), err)
	}
	// No picture reached the model as text, and no link did.
	for _, r := range script.Requests() {
		for _, m := range r.Messages {
			for _, p := range m.Parts {
				if p.ToolResult == nil {
					continue
				}
				if text := p.ToolResult.Text(); len(text) > 2000 || strings.Contains(text, "iVBOR") || strings.Contains(text, "http") {
					t.Errorf("the model reads %d bytes: %.200s", len(text), text)
				}
			}
		}
	}
}

func fetch(t *testing.T, link string) []byte {
	t.Helper()
	res, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %v", link, res.StatusCode, err)
	}
	return b
}

// offline is the error of a machine that cannot install pandas; in CI that is
// a failure.
func offline(t *testing.T, box python.Interpreter) error {
	t.Helper()
	s, err := box.Open(t.Context(), python.Options{Requirements: []string{"pandas>=2"}})
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		return err
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Close()
}

// What the client is told when something is wrong.
func TestInvokeErrors(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	failing, err := strands.New(strands.Config{Model: &strandstest.Script{}})
	if err != nil {
		t.Fatal(err)
	}
	defer failing.Close()
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: failing, Logger: slog.New(slog.DiscardHandler)})
	defer runtime.Close()
	agent := httptest.NewServer(runtime)
	defer agent.Close()
	denying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "you may not"})
	}))
	defer denying.Close()
	for _, c := range []struct{ what, url, arn, want string }{
		{"the placeholder", agent.URL, "AGENT_ARN=", "set AGENT_ARN to the agent's own ARN"},
		{"no ARN", agent.URL, "AGENT_ARN=arn:aws:s3:::x", "is no ARN of an agent runtime"},
		{"denied", denying.URL, arn, "Error: AccessDeniedException: you may not"},
		{"an agent that fails", agent.URL, arn, "Error: the agent failed:"},
	} {
		out, code := invoke(t, c.url, c.arn)
		if code != 1 || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit code %d\n%s", c.what, code, out)
		}
	}
}
