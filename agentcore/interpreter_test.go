package agentcore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/python/pythontest"
)

// figures are the requirements of pictures; none on a developer's machine
// without a package index.
func figures(t *testing.T) []string {
	needs := []string{"matplotlib>=3.8"}
	i := &python.Exec{Logger: slog.New(slog.DiscardHandler)}
	defer i.Close()
	_, err := i.Open(t.Context(), python.Options{Requirements: needs})
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Logf("figures are not tested: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return needs
}

// withPrograms are sessions that may start processes, as those of AgentCore
// may.
func withPrograms(t *testing.T) python.Interpreter {
	i := &python.Sandboxed{Processes: true, Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func TestInterpreter(t *testing.T) {
	needs := figures(t)
	server := interpreterServer(t, agentcore.ServerConfig{
		Interpreter: withPrograms(t), Options: python.Options{Requirements: needs}, Logger: slog.New(slog.DiscardHandler),
	})
	// Processes: the worker is a process there too, whose crashes, memory and
	// descriptors behave alike. Guard is missing: Libraries have no effect.
	pythontest.Test(t, func(t *testing.T) python.Interpreter {
		return &agentcore.Interpreter{Endpoint: server.URL, Logger: slog.New(slog.DiscardHandler)}
	}, pythontest.Config{Processes: true, Figures: needs})
}

// service is a Server whose requests a test can count and refuse.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	counts map[string]int
	refuse func(op string) (status int, kind, message string)
}

func newService(t *testing.T) *service {
	t.Helper()
	s, err := agentcore.NewServer(agentcore.ServerConfig{Interpreter: withPrograms(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	v := &service{counts: map[string]int{}}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		v.mu.Lock()
		v.counts[op]++
		refuse := v.refuse
		v.mu.Unlock()
		if refuse != nil {
			if status, kind, message := refuse(op); status != 0 {
				w.Header().Set("X-Amzn-ErrorType", kind)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"message":"`+message+`"}`)
				return
			}
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		v.Server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v *service) count(op string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counts[op]
}

func (v *service) refuses(f func(op string) (int, string, string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refuse = f
}

func open(t *testing.T, i *agentcore.Interpreter, o python.Options) python.Session {
	t.Helper()
	if i.Logger == nil {
		i.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := i.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), i.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func run(t *testing.T, s python.Session, code string) (*python.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for o, err := range s.Exec(ctx, code) {
		if err != nil || o.Result != nil {
			return o.Result, err
		}
	}
	t.Fatal("no result")
	return nil, nil
}

func TestInterpreterSessions(t *testing.T) {
	v := newService(t)
	i := &agentcore.Interpreter{Endpoint: v.URL}
	s := open(t, i, python.Options{InitializationCode: []string{"base = 2"}})
	if n := v.count("start"); n != 0 {
		t.Fatalf("%d sessions before the first snippet", n)
	}
	for range 2 {
		if res, err := run(t, s, "base"); err != nil || res.Value != "2" {
			t.Fatalf("%+v %v", res, err)
		}
	}
	if n := v.count("start"); n != 1 {
		t.Errorf("%d sessions for two snippets of a turn", n)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if started, stopped := v.count("start"), v.count("stop"); started != 1 || stopped != 1 {
		t.Errorf("after Reset %d were started and %d stopped, want 1 and 1", started, stopped)
	}
	if res, err := run(t, s, "base"); err != nil || res.Value != "2" || res.StateLost {
		t.Fatalf("%+v %v", res, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if started, stopped := v.count("start"), v.count("stop"); started != 2 || stopped != 2 {
		t.Errorf("after Close %d were started and %d stopped, want 2 and 2", started, stopped)
	}
}

func TestInterpreterRenewsWhatHasExpired(t *testing.T) {
	t.Parallel()
	v := newService(t)
	// On a machine that stands still a session ends before what it was opened
	// for has been done: then one that lives longer is tried.
	for life := 2 * time.Second; ; life *= 4 {
		err := expire(t, v, life)
		if err == nil {
			return
		}
		if life > time.Minute {
			t.Fatal(err)
		}
		t.Logf("living %v: %v", life, err)
	}
}

func expire(t *testing.T, v *service, life time.Duration) error {
	s := open(t, &agentcore.Interpreter{Endpoint: v.URL, SessionTimeout: life}, python.Options{})
	if _, err := run(t, s, "x = 1"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(life + 200*time.Millisecond) // it is the service's clock that counts
	res, err := run(t, s, "'x' in globals()")
	if err != nil || res.Value != "False" || !res.StateLost || !strings.Contains(res.Lost, "before this snippet") ||
		!strings.Contains(res.Lost, fmt.Sprintf("time to live of %v", life)) {
		return fmt.Errorf("after the end: %+v %w", res, err)
	}
	if res, err := run(t, s, "import time\ntime.sleep(1000)"); err != nil || !res.StateLost || !strings.Contains(res.Lost, "time to live") {
		return fmt.Errorf("a snippet across the end: %+v %w", res, err)
	}
	return nil
}

// Somebody else, or an earlier clock, has ended the session: nothing was run,
// so it is run in a new one.
func TestInterpreterRenewsWhatIsGone(t *testing.T) {
	v := newService(t)
	s := open(t, &agentcore.Interpreter{Endpoint: v.URL}, python.Options{})
	if _, err := run(t, s, "x = 1"); err != nil {
		t.Fatal(err)
	}
	var once atomic.Bool
	v.refuses(func(op string) (int, string, string) {
		if op == "invoke" && once.CompareAndSwap(false, true) {
			return 404, "ResourceNotFoundException", "no such session"
		}
		return 0, "", ""
	})
	res, err := run(t, s, "print('ran')\n'x' in globals()")
	if err != nil || res.Value != "False" || res.Stdout != "ran\n" || !res.StateLost || !strings.Contains(res.Lost, "before this snippet") {
		t.Fatalf("%+v %v", res, err)
	}
}

func TestInterpreterErrors(t *testing.T) {
	for name, c := range map[string]struct {
		op, kind string
		status   int
		want     []string
	}{
		"start denied":  {"start", "AccessDeniedException", 403, []string{"bedrock-agentcore:StartCodeInterpreterSession", "aws.codeinterpreter.v1", "IAM"}},
		"invoke denied": {"invoke", "AccessDeniedException", 403, []string{"bedrock-agentcore:InvokeCodeInterpreter"}},
		"quota":         {"start", "ServiceQuotaExceededException", 402, []string{"ServiceQuotaExceededException", "told so"}},
		"unknown":       {"start", "ResourceNotFoundException", 404, []string{"ResourceNotFoundException", "told so"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newService(t)
			v.refuses(func(op string) (int, string, string) {
				if op == c.op {
					return c.status, c.kind, "told so"
				}
				return 0, "", ""
			})
			s := open(t, &agentcore.Interpreter{Endpoint: v.URL}, python.Options{})
			_, err := run(t, s, "1")
			e, ok := errors.AsType[*agentcore.Error](err)
			if !ok || e.Code != c.kind {
				t.Fatalf("err = %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
			if n := v.count("start"); c.op == "invoke" && v.count("stop") != n {
				t.Errorf("%d sessions were started and %d stopped", n, v.count("stop"))
			}
		})
	}
	t.Run("bad fields", func(t *testing.T) {
		for _, i := range []*agentcore.Interpreter{
			{SessionTimeout: 9 * time.Hour}, {SessionTimeout: -1}, {SessionTimeout: time.Millisecond}, {Endpoint: "127.0.0.1:8086"},
		} {
			if _, err := i.Open(t.Context(), python.Options{}); err == nil {
				t.Errorf("%v %q: no error", i.SessionTimeout, i.Endpoint)
			} else if _, ok := errors.AsType[*strands.InputError](err); !ok {
				t.Errorf("%v", err)
			}
		}
	})
}

// Code is never run twice, but what the service refused for its rate was not
// run at all.
func TestInterpreterRepeatsWhatWasThrottled(t *testing.T) {
	v := newService(t)
	s := open(t, &agentcore.Interpreter{Endpoint: v.URL}, python.Options{})
	if _, err := run(t, s, "n = 0"); err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64
	left.Store(2)
	v.refuses(func(op string) (int, string, string) {
		if op == "invoke" && left.Add(-1) >= 0 {
			return 429, "ThrottlingException", "slow down"
		}
		return 0, "", ""
	})
	if res, err := run(t, s, "n += 1\nn"); err != nil || res.Value != "1" {
		t.Fatalf("%+v %v", res, err)
	}
	left.Store(1)
	v.refuses(func(op string) (int, string, string) {
		if op == "invoke" && left.Add(-1) >= 0 {
			return 500, "InternalServerException", "it broke"
		}
		return 0, "", ""
	})
	res, err := run(t, s, "n += 1\nn")
	if err != nil || !res.StateLost || !strings.Contains(res.Lost, "it broke") {
		t.Fatalf("after an error that says nothing of what was run: %+v %v", res, err)
	}
}

func TestInterpreterSaysWhatHasNoEffect(t *testing.T) {
	v := newService(t)
	var log bytes.Buffer
	i := &agentcore.Interpreter{Endpoint: v.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s := open(t, i, python.Options{Libraries: []string{"pandas.*"}, Requirements: []string{"pandas"}})
	if _, err := run(t, s, "import socket"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "no effect"); n != 1 {
		t.Errorf("%d lines say so:\n%s", n, log.String())
	}
}

func TestInterpreterRegion(t *testing.T) {
	for _, c := range []struct{ own, config, env, want string }{
		{"", "", "", "us-east-1"}, {"", "", "eu-west-1", "eu-west-1"},
		{"", "ap-south-1", "eu-west-1", "ap-south-1"}, {"us-west-2", "ap-south-1", "eu-west-1", "us-west-2"},
	} {
		got := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope := r.Header.Get("Authorization")
			select {
			case got <- scope:
			default:
			}
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			w.WriteHeader(403)
			_, _ = io.WriteString(w, `{"message":"no"}`)
		}))
		t.Setenv("AWS_REGION", c.env)
		cfg := &aws.Config{Region: c.config, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
		s := open(t, &agentcore.Interpreter{AWS: cfg, Region: c.own, Endpoint: server.URL}, python.Options{})
		if _, err := run(t, s, "1"); err == nil {
			t.Error("no error")
		}
		if scope := <-got; !strings.Contains(scope, "/"+c.want+"/bedrock-agentcore/") {
			t.Errorf("%+v: signed for %q", c, scope)
		}
		server.Close()
	}
}

func TestEstimate(t *testing.T) {
	one := agentcore.Measured(2, 4<<30, 120*time.Second, 0.6)
	if got := math.Round(agentcore.Estimate(one)*1e4) / 1e4; got != 0.0036 {
		t.Errorf("one execution costs $%v, want $0.0036", got)
	}
	if got := math.Round(3*agentcore.Estimate(one)*1e4) / 1e4; got != 0.0109 {
		t.Errorf("three cost $%v, want $0.0109", got)
	}
	short := agentcore.Usage{CPU: time.Millisecond, Memory: 1 << 30, Duration: time.Millisecond}
	if got, want := agentcore.Estimate(short), (0.0895+0.00945)/3600; math.Abs(got-want) > 1e-12 {
		t.Errorf("a moment costs $%v, want that of a second: $%v", got, want)
	}
	if got := agentcore.Estimate(agentcore.Usage{}); got != 0 {
		t.Errorf("nothing costs $%v", got)
	}
}

func TestInterpreterUsage(t *testing.T) {
	v := newService(t)
	i := &agentcore.Interpreter{Endpoint: v.URL}
	s := open(t, i, python.Options{})
	code := "import time\nbig = bytearray(200 << 20)\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
	if res, err := run(t, s, code); err != nil || res.Err != nil {
		t.Fatalf("%+v %v", res, err)
	}
	if got := i.Usage(); got.Duration != 0 {
		t.Errorf("before the session has ended: %+v", got)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := i.Usage()
	if got.CPU < 300*time.Millisecond || got.CPU > 20*time.Second || got.Memory < 200<<20 || got.Memory > 1<<30 || got.Duration < got.CPU/4 {
		t.Errorf("%+v", got)
	}
	if cost := agentcore.Estimate(got); cost <= 0 || cost > 0.01 {
		t.Errorf("$%v", cost)
	}
}
