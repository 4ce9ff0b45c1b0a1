package agentcore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/strandsgo/strands/internal/awsbody"
	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python/embedded"
)

// clientConfig is how a client is made.
type clientConfig struct {
	Endpoint    string  `json:"endpoint"`
	Key         string  `json:"key"`
	Secret      string  `json:"secret"`
	ReadTimeout float64 `json:"readTimeout,omitempty"` // seconds; boto3 only

	env []string // of the process; not for Go
}

// client is a real SDK, driven by the names of operations.
type client interface {
	do(t *testing.T, op string, input map[string]any) *reply
}

// reply is what an SDK made of an answer. Blobs are base64 text.
type reply struct {
	Output    map[string]any   `json:"output"`
	Events    []map[string]any `json:"events"`
	RequestID string           `json:"requestId"`
	Error     *replyError      `json:"error"`
}

type replyError struct {
	Code, Message, Reason string
	Status                int
	Stream                bool // it came inside the event stream
	RequestID             string
}

// inStream says whether the stream ended in the exception. The JavaScript SDK
// looks at the first frame before its call returns, and has no status then.
func (r *reply) inStream(code string) bool {
	return r.Error != nil && r.Error.Code == code && (r.Error.Stream || r.Error.Status == 0)
}

// clients makes each SDK anew for a test.
var clients = map[string]func(*testing.T, clientConfig) client{"go": newGoClient, "boto3": newBoto, "js": newJS}

// --- Go

type goClient struct{ *sdk.Client }

func newGoClient(t *testing.T, cfg clientConfig) client {
	t.Helper()
	return goClient{sdk.New(sdk.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(cfg.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(cfg.Key, cfg.Secret, ""),
		// Without it an answer is lost now and then on a busy machine.
		HTTPClient: awsbody.Client{Next: awshttp.NewBuildableClient()},
	})}
}

func (c goClient) do(t *testing.T, op string, input map[string]any) *reply {
	t.Helper()
	method := reflect.ValueOf(c.Client).MethodByName(op)
	in := reflect.New(method.Type().In(1).Elem())
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, in.Interface()); err != nil {
		t.Fatal(err)
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	if err, _ := results[1].Interface().(error); err != nil {
		return &reply{Error: goError(err, false)}
	}
	return goReply(t, results[0].Interface())
}

func goReply(t *testing.T, out any) *reply {
	t.Helper()
	r := &reply{}
	stream, streams := out.(*sdk.InvokeCodeInterpreterOutput)
	raw, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	r.Output = lower(fields).(map[string]any)
	delete(r.Output, "resultMetadata")
	metadata := reflect.ValueOf(out).Elem().FieldByName("ResultMetadata").Interface().(middleware.Metadata)
	r.RequestID, _ = awsmiddleware.GetRequestIDMetadata(metadata)
	if !streams {
		return r
	}
	events := stream.GetStream()
	defer events.Close()
	for e := range events.Events() {
		result, ok := e.(*types.CodeInterpreterStreamOutputMemberResult)
		if !ok {
			t.Fatalf("an event %T", e)
		}
		raw, err := json.Marshal(result.Value)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		r.Events = append(r.Events, lower(fields).(map[string]any))
	}
	if err := events.Err(); err != nil {
		r.Error = goError(err, true)
	}
	return r
}

// lower makes the names of Go's fields those of the wire, and leaves out what
// is not set.
func lower(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if x != nil {
				out[strings.ToLower(k[:1])+k[1:]] = lower(x)
			}
		}
		return out
	case []any:
		for i := range v {
			v[i] = lower(v[i])
		}
	}
	return v
}

func goError(err error, stream bool) *replyError {
	e := &replyError{Message: err.Error(), Stream: stream}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
	}
	if v, ok := errors.AsType[*types.ValidationException](err); ok {
		e.Reason = string(v.Reason)
	}
	if h, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.Status, e.RequestID = h.HTTPStatusCode(), h.ServiceRequestID()
	}
	return e
}

// --- the others, each a process that answers lines

type process struct {
	in  *json.Encoder
	out *bufio.Reader
}

func startClient(t *testing.T, cfg clientConfig, env []string, argv ...string) client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // cleanups use it, too
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "NODE_NO_WARNINGS=1"), append(env, cfg.env...)...)
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
		defer time.AfterFunc(10*time.Second, cancel).Stop() // it has nothing left to do
		_ = cmd.Wait()
	})
	p := &process{json.NewEncoder(in), bufio.NewReader(out)}
	if err := p.in.Encode(cfg); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) do(t *testing.T, op string, input map[string]any) *reply {
	t.Helper()
	if err := p.in.Encode(map[string]any{"op": op, "input": input}); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: the client ended: %v", op, err)
	}
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	// The names of exceptions in a stream begin with a small letter in boto3.
	if r.Error != nil && r.Error.Stream {
		r.Error.Code = strings.ToUpper(r.Error.Code[:1]) + r.Error.Code[1:]
	}
	return &r
}

const (
	botoRelease = "1.43.11"
	jsRelease   = "3.1141.0"
)

func newBoto(t *testing.T, cfg clientConfig) client {
	t.Helper()
	m := pyenv.Manager{Embedded: embedded.Distribution()}
	py, err := m.Make(t.Context(), []string{"boto3==" + botoRelease}, func(s string) { t.Log(s) })
	if err != nil {
		unavailable(t, "boto3", err)
	}
	env := []string{"PYTHONPATH=" + strings.Join(py.Path, string(os.PathListSeparator)), "PYTHONDONTWRITEBYTECODE=1"}
	return startClient(t, cfg, env, py.Exe, filepath.Join("testdata", "clients", "client.py"))
}

// unavailable skips a test for want of the network, but not in CI.
func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s cannot be installed: %v", what, err)
	}
	t.Skipf("%s cannot be installed: %v", what, err)
}

func newJS(t *testing.T, cfg clientConfig) client {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		unavailable(t, "the JavaScript SDK", err)
	}
	modules := jsModules(t)
	// Modules are looked for beside the script.
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("testdata", "clients", "client.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "client.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return startClient(t, cfg, nil, node, filepath.Join(dir, "client.mjs"))
}

// jsModules installs the SDK into the cache folder, once.
func jsModules(t *testing.T) string {
	t.Helper()
	cache, err := cacheFolder()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "npm", "client-bedrock-agentcore-"+jsRelease)
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	out, err := exec.CommandContext(ctx, "npm", "install", "--prefix", fresh, "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=5",
		"@aws-sdk/client-bedrock-agentcore@"+jsRelease).CombinedOutput()
	if err != nil {
		unavailable(t, "the JavaScript SDK", fmt.Errorf("%w: %s", err, out))
	}
	// Another test may have been faster.
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return modules
}
