//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// collector is an OpenTelemetry collector under way.
type collector struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	http string
	grpc string
}

// buildCollector makes the program of testdata/collector, once for all runs of
// the tests: it is in the cache folder, under a name that its sources decide.
func buildCollector(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join("testdata/collector", name))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(b)
	}
	dir := cmp.Or(os.Getenv("STRANDS_CACHE"), filepath.Join(cache, "strands"))
	exe := filepath.Join(dir, fmt.Sprintf("otel-collector-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(exe); err == nil {
		return exe
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh := fmt.Sprintf("%s.%d", exe, os.Getpid())
	var out []byte
	for try := 1; ; try++ { // fetching some hundred modules may fail once
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", fresh, ".")
		build.Dir, build.Env = "testdata/collector", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
		if out, err = build.CombinedOutput(); err == nil || try == 3 {
			break
		}
		time.Sleep(time.Duration(try) * 5 * time.Second)
	}
	if err != nil {
		text := string(out[max(0, len(out)-500):])
		if os.Getenv("CI") == "" && (strings.Contains(text, "dial tcp") || strings.Contains(text, "proxy")) {
			t.Skipf("the collector cannot be built, its modules cannot be fetched: %s", text)
		}
		t.Fatalf("building the collector: %v\n%s", err, text)
	}
	if err := os.Rename(fresh, exe); err != nil {
		t.Fatal(err)
	}
	return exe
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, dir: t.TempDir(), http: freeAddress(t), grpc: freeAddress(t)}
	pipelines := ""
	exporters := ""
	for _, kind := range []string{"traces", "metrics", "logs"} {
		exporters += fmt.Sprintf("  file/%s: {path: %q, flush_interval: 50ms}\n", kind, filepath.Join(c.dir, kind))
		pipelines += fmt.Sprintf("    %s: {receivers: [otlp], exporters: [file/%s]}\n", kind, kind)
	}
	config := fmt.Sprintf("receivers:\n  otlp: {protocols: {http: {endpoint: %q}, grpc: {endpoint: %q}}}\nexporters:\n%s"+
		"service:\n  telemetry: {metrics: {level: none}}\n  pipelines:\n%s", c.http, c.grpc, exporters, pipelines)
	c.cmd = exec.Command(buildCollector(t), "--config=yaml:"+config)
	var said bytes.Buffer
	c.cmd.Stdout, c.cmd.Stderr = &said, &said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	for deadline := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", c.http)
		if err == nil {
			conn.Close()
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("the collector does not listen: %v\n%s", err, said.String())
		}
	}
}

// freeAddress is one that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := "127.0.0.1"
	if pid := os.Getpid(); runtime.GOOS == "linux" { // an address of this process's own: no other takes its ports
		host = fmt.Sprintf("127.%d.%d.%d", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// received ends the collector and returns what it got, as it wrote it.
func (c *collector) received() map[string][]byte {
	c.t.Helper()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait()
	all := map[string][]byte{}
	for _, kind := range []string{"traces", "metrics", "logs"} {
		all[kind], _ = os.ReadFile(filepath.Join(c.dir, kind)) // none is empty
	}
	return all
}

type attributes []struct {
	Key   string
	Value struct{ StringValue string }
}

func (a attributes) get(key string) string {
	for _, kv := range a {
		if kv.Key == key {
			return kv.Value.StringValue
		}
	}
	return ""
}

type resource struct{ Attributes attributes }

type span struct {
	resource
	Name, TraceID, SpanID string
	Attributes            attributes
	Events                []struct {
		Name       string
		Attributes attributes
	}
}

func spansOf(t *testing.T, text []byte) []span {
	t.Helper()
	var all []span
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var batch struct {
			ResourceSpans []struct {
				Resource   resource
				ScopeSpans []struct{ Spans []span }
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &batch); err != nil {
			t.Fatal(err)
		}
		for _, rs := range batch.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					s.resource = rs.Resource
					all = append(all, s)
				}
			}
		}
	}
	return all
}

const otelScript = `turns:
  - python: "print('the secret ' + 'result')"
  - text: the secret answer
`

// env is that of a run that reports to c.
func (c *collector) env(more ...string) []string {
	return append([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.http, "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
		"OTEL_EXPORTER_OTLP_TIMEOUT=120000", "OTEL_EXPORTER_OTLP_HEADERS=authorization=hunter2", "OPENAI_API_KEY=hunter2", "AWS_SECRET_ACCESS_KEY=hunter2",
	}, more...)
}

func otelRun(t *testing.T, env []string) reply {
	t.Helper()
	c := call{dir: t.TempDir(), env: env, args: []string{"run", "-m", "scripted:s.yaml", "the secret plan"}}
	if err := os.WriteFile(filepath.Join(c.dir, "s.yaml"), []byte(otelScript), 0o600); err != nil {
		t.Fatal(err)
	}
	r := c.run(t)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	return r
}

// TestTelemetryContent: what was said is seen by who asks for it, with the call,
// the trace and the span it belongs to, as a span event and as a log record.
func TestTelemetryContent(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(strings.ReplaceAll(protocol, "/", " "), func(t *testing.T) {
			c := startCollector(t)
			env := c.env("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true", "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol)
			if protocol == "grpc" {
				env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.grpc)
			}
			otelRun(t, env)
			got := c.received()
			spans := spansOf(t, got["traces"])
			at := slices.IndexFunc(spans, func(s span) bool { return s.Name == "execute_tool python_repl" })
			if at < 0 {
				t.Fatalf("no span of the tool in %s", got["traces"])
			}
			s := spans[at]
			if s.TraceID == "" || s.SpanID == "" || s.resource.Attributes.get("service.name") != "shop" ||
				s.resource.Attributes.get("deployment.environment.name") != "test" || s.Attributes.get("gen_ai.tool.call.id") != "turn1.1" {
				t.Errorf("the span of the tool: %+v", s)
			}
			if len(s.Events) == 0 || s.Events[0].Name != "gen_ai.tool.message" || s.Events[0].Attributes.get("id") != "turn1.1" ||
				!strings.Contains(s.Events[0].Attributes.get("content"), "the secret ") {
				t.Errorf("its events: %+v", s.Events)
			}
			found := false
			for _, line := range bytes.Split(got["logs"], []byte("\n")) {
				var batch struct {
					ResourceLogs []struct {
						Resource  resource
						ScopeLogs []struct {
							LogRecords []struct {
								EventName, TraceID, SpanID string
								Attributes                 attributes
								Body                       struct{ KvlistValue struct{ Values attributes } }
							}
						}
					}
				}
				if len(line) == 0 {
					continue
				}
				if err := json.Unmarshal(line, &batch); err != nil {
					t.Fatal(err)
				}
				for _, rl := range batch.ResourceLogs {
					for _, r := range rl.ScopeLogs[0].LogRecords {
						found = found || r.EventName == "gen_ai.tool.message" && r.Attributes.get("event.name") == r.EventName && r.TraceID == s.TraceID &&
							r.SpanID == s.SpanID && r.Body.KvlistValue.Values.get("id") == "turn1.1" && rl.Resource.Attributes.get("service.name") == "shop"
					}
				}
			}
			if !found {
				t.Errorf("no record of the call in %s", got["logs"])
			}
			noSecrets(t, got, "hunter2")
		})
	}
}

// TestTelemetryWithoutContent: by default nothing of what was said leaves.
func TestTelemetryWithoutContent(t *testing.T) {
	c := startCollector(t)
	otelRun(t, c.env())
	got := c.received()
	if spans := spansOf(t, got["traces"]); len(spans) < 5 {
		t.Errorf("%d spans", len(spans))
	}
	for _, want := range []string{"gen_ai.client.token.usage", "strands.event_loop.cycle_count"} {
		if !bytes.Contains(got["metrics"], []byte(want)) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if len(got["logs"]) > 0 {
		t.Errorf("events: %s", got["logs"])
	}
	noSecrets(t, got, "hunter2", "the secret", "s.yaml", "gen_ai.tool.message")
}

func noSecrets(t *testing.T, got map[string][]byte, secrets ...string) {
	t.Helper()
	for kind, text := range got {
		for _, secret := range secrets {
			if i := bytes.Index(text, []byte(secret)); i >= 0 {
				t.Errorf("%q is in the %s: …%s…", secret, kind, text[max(0, i-100):min(len(text), i+100)])
			}
		}
	}
}

// TestTelemetryOfAnInterruptedRun: Ctrl-C sends what there is, too.
func TestTelemetryOfAnInterruptedRun(t *testing.T) {
	c := startCollector(t)
	k := call{dir: t.TempDir(), env: c.env(), args: []string{"run", "-m", "scripted:s.yaml", "go"}}
	if err := os.WriteFile(filepath.Join(k.dir, "s.yaml"), []byte("turns:\n  - python: |\n      import time\n      print('now', flush=True)\n      time.sleep(1000)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := k.command(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && strings.TrimSpace(lines.Text()) != "now" {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	spans := spansOf(t, c.received()["traces"])
	if !slices.ContainsFunc(spans, func(s span) bool { return strings.HasPrefix(s.Name, "invoke_agent") }) {
		t.Errorf("the run was not told of: %+v", spans)
	}
}

// TestTelemetryWithoutACollector: one that is not there, or never answers, is a
// line of warning and a few seconds.
func TestTelemetryWithoutACollector(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, address := range map[string]string{"absent": freeAddress(t), "silent": silent.Addr().String()} {
		k := call{dir: t.TempDir(), env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + address}, args: []string{"run", "-m", "scripted:s.yaml", "go"}}
		if err := os.WriteFile(filepath.Join(k.dir, "s.yaml"), []byte("turns:\n  - text: fine\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := k.command(t)
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, said := bufio.NewScanner(out), ""
		for said != "fine" && lines.Scan() {
			said = lines.Text()
		}
		begin := time.Now() // of sending what there is
		for lines.Scan() {
		}
		// Left alone the exporters try for a minute.
		if err, took := cmd.Wait(), time.Since(begin); err != nil || said != "fine" || took > 50*time.Second {
			t.Errorf("%s: %v after %v: %q", name, err, took, said)
		}
		if strings.Count(errOut.String(), "\n") != 1 || !strings.Contains(errOut.String(), "telemetry could not be sent") {
			t.Errorf("%s: %q", name, errOut.String())
		}
	}
	for env, want := range map[string]string{
		"OTEL_TRACES_EXPORTER=zipkin": "set it to otlp or none",
		"OTEL_SDK_DISABLED=perhaps":   "set it to true or false",
	} {
		r := call{env: []string{env}, args: []string{"run", "-m", "scripted:x.yaml", "go"}}.run(t)
		if r.code != 2 && !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d: %s", env, r.code, r.stderr)
		}
	}
}
