package s3_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/pythonsdk"
	"github.com/strandsgo/strands/session"
	"github.com/strandsgo/strands/session/s3"
	"github.com/strandsgo/strands/strandstest"
)

// server is an S3 server with an empty bucket.
type server struct {
	http   *httptest.Server
	client *awss3.Client
	agents atomic.Value                        // the last User-Agent
	before atomic.Pointer[func(*http.Request)] // sees each request
}

func newServer(t *testing.T, versions bool) *server {
	t.Helper()
	fake := gofakes3.New(s3mem.New()).Server()
	s := new(server)
	var writes sync.Mutex
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.agents.Store(r.UserAgent())
		if f := s.before.Load(); f != nil {
			(*f)(r)
		}
		if r.Method == http.MethodPut || r.Method == http.MethodDelete {
			writes.Lock()
			defer writes.Unlock()
		}
		if tag := r.Header.Get("If-Match"); r.Method == http.MethodDelete && tag != "" {
			// S3 has conditional deletes, and the fake has not.
			head := httptest.NewRecorder()
			fake.ServeHTTP(head, httptest.NewRequest(http.MethodHead, r.URL.Path, nil))
			if head.Code == http.StatusOK && head.Header().Get("ETag") != tag {
				w.WriteHeader(http.StatusPreconditionFailed)
				io.WriteString(w, "<Error><Code>PreconditionFailed</Code></Error>")
				return
			}
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(s.http.Close)
	s.client = awss3.New(awss3.Options{Region: "eu-west-1", BaseEndpoint: &s.http.URL, UsePathStyle: true, Credentials: keys,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired})
	if _, err := s.client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: new("sessions")}); err != nil {
		t.Fatal(err)
	}
	if versions {
		_, err := s.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
			Bucket: new("sessions"), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

var keys = credentials.NewStaticCredentialsProvider("id", "secret", "")

func (s *server) open(t *testing.T, prefix string) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), s3.Config{Bucket: "sessions", Prefix: prefix, Region: "eu-west-1", Endpoint: s.http.URL, AWS: &aws.Config{Credentials: keys}})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// raw returns every version of every object.
func (s *server) raw(t *testing.T) []byte {
	t.Helper()
	var all []byte
	page, err := s.client.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: new("sessions")})
	if err != nil || page.IsTruncated != nil && *page.IsTruncated {
		t.Fatal("more than a page", err)
	}
	for _, v := range page.Versions {
		in := &awss3.GetObjectInput{Bucket: new("sessions"), Key: v.Key}
		if v.VersionId != nil && *v.VersionId != "null" {
			in.VersionId = v.VersionId
		}
		out, err := s.client.GetObject(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

func (s *server) keys(t *testing.T) []string {
	t.Helper()
	page, err := s.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: new("sessions")})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, o := range page.Contents {
		all = append(all, *o.Key)
	}
	return all
}

func TestStore(t *testing.T) {
	for name, versions := range map[string]bool{"plain": false, "with versions": true} {
		t.Run(name, func(t *testing.T) {
			servers := map[strands.Store]*server{}
			strandstest.TestStore(t, strandstest.StoreSuite{
				New: func(t *testing.T) strands.Store {
					s := newServer(t, versions)
					store := s.open(t, "/some/prefix//")
					servers[store] = s
					return store
				},
				Again: func(t *testing.T, store strands.Store) strands.Store { return servers[store].open(t, "some/prefix") },
				Raw:   func(t *testing.T, store strands.Store) []byte { return servers[store].raw(t) },
			})
		})
	}
}

func said(text string) strands.Entry {
	return strands.Entry{Message: new(strands.UserMessage(strands.Text(text)))}
}

func texts(t *testing.T, store strands.Store) string {
	t.Helper()
	log, err := store.Load(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range log {
		all = append(all, e.Message.Text())
	}
	return strings.Join(all, " ")
}

// TestALateWriterChangesNothing stops a writer at each of its writes, lets
// another one append, and lets the first go on.
func TestALateWriterChangesNothing(t *testing.T) {
	for stop := 1; ; stop++ {
		s := newServer(t, false)
		slow, quick := s.open(t, ""), s.open(t, "")
		if err := slow.Append(t.Context(), "s", 0, said("first")); err != nil {
			t.Fatal(err)
		}
		var writes atomic.Int32
		stopped, goOn := make(chan struct{}), make(chan struct{})
		s.before.Store(new(func(r *http.Request) {
			if r.Method == http.MethodPut && int(writes.Add(1)) == stop {
				s.before.Store(nil)
				close(stopped)
				<-goOn
			}
		}))
		ended := make(chan error, 1)
		go func() {
			ended <- slow.Append(context.WithoutCancel(t.Context()), "s", 1, said("slow"), said("slow too"))
		}()
		select {
		case err := <-ended: // it has fewer writes than that
			if err != nil || stop < 4 {
				t.Fatalf("an append of %d writes: %v", writes.Load(), err)
			}
			return
		case <-stopped:
		}
		if err := quick.Append(t.Context(), "s", 1, said("quick")); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		if err := <-ended; !errors.Is(err, strands.ErrConflict) {
			t.Errorf("stopped at write %d: %v", stop, err)
		}
		if got := texts(t, quick); got != "first quick" {
			t.Errorf("stopped at write %d: %s", stop, got)
		}
		// What it may have left is in nobody's way.
		if err := quick.Append(t.Context(), "s", 2, said("second"), said("third")); err != nil {
			t.Errorf("stopped at write %d: %v", stop, err)
		}
		if got := texts(t, slow); got != "first quick second third" {
			t.Errorf("stopped at write %d: %s", stop, got)
		}
	}
}

// TestAWriterThatDied stops a writer at each of its writes for good.
func TestAWriterThatDied(t *testing.T) {
	for stop := 1; stop <= 5; stop++ {
		s := newServer(t, false)
		ctx, die := context.WithCancel(t.Context())
		var writes atomic.Int32
		s.before.Store(new(func(r *http.Request) {
			if r.Method == http.MethodPut && int(writes.Add(1)) >= stop {
				die()
				panic(http.ErrAbortHandler) // ends the connection
			}
		}))
		if err := s.open(t, "").Append(ctx, "s", 0, said("lost"), said("lost")); err == nil {
			t.Fatal("it did not die")
		}
		s.before.Store(nil)
		store := s.open(t, "")
		if _, err := store.Load(t.Context(), "s"); !errors.Is(err, strands.ErrNotFound) {
			t.Errorf("stopped at write %d: load: %v", stop, err)
		}
		for id := range store.List(t.Context()) {
			t.Errorf("stopped at write %d: %s is listed", stop, id)
		}
		if err := errors.Join(store.Append(t.Context(), "s", 0, said("a")), store.Append(t.Context(), "s", 1, said("b"), said("c"))); err != nil {
			t.Errorf("stopped at write %d: %v", stop, err)
		}
		if got := texts(t, store); got != "a b c" {
			t.Errorf("stopped at write %d: %s", stop, got)
		}
	}
}

// TestALostAnswer has the answers of writes get lost: they are sent again, and
// that they meet themselves is no conflict.
func TestALostAnswer(t *testing.T) {
	s := newServer(t, false)
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		s.http.Config.Handler.ServeHTTP(rec, r)
		if r.Method == http.MethodPut && r.Header.Get("Amz-Sdk-Request") == "attempt=1; max=3" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	defer lossy.Close()
	store, err := s3.Open(t.Context(), s3.Config{Bucket: "sessions", Region: "eu-west-1", Endpoint: lossy.URL, AWS: &aws.Config{Credentials: keys},
		ClientOptions: []func(*awss3.Options){func(o *awss3.Options) {
			o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"a", "b"} {
		if err := store.Append(t.Context(), "s", int64(i), said(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(t, s.open(t, "")); got != "a b" {
		t.Error(got)
	}
}

func TestKeysAndUserAgent(t *testing.T) {
	s := newServer(t, false)
	store := s.open(t, "/team/a/")
	if err := store.Append(t.Context(), "s", 0, said("x")); err != nil {
		t.Fatal(err)
	}
	agent := s.agents.Load().(string)
	const dir = "team/a/session_s/"
	want := []string{dir + "agents/agent_default/agent.json", dir + "agents/agent_default/messages/message_0.json",
		dir + "agents/agent_default/strands_go.json", dir + "session.json"}
	if got := s.keys(t); !slices.Equal(got, want) {
		t.Errorf("the keys are %q", got)
	}
	if !strings.Contains(agent, "strands-agents") {
		t.Errorf("the user agent is %q", agent)
	}
	if err := store.Delete(t.Context(), "s"); err != nil || len(s.keys(t)) != 0 {
		t.Errorf("after delete: %v, %q", err, s.keys(t))
	}
}

// TestManyObjects: more objects than a page of a listing, and than one request
// deletes.
func TestManyObjects(t *testing.T) {
	s := newServer(t, false)
	store := s.open(t, "")
	var all []strands.Entry
	for range 1100 {
		all = append(all, said("x"))
	}
	if err := store.Append(t.Context(), "s", 0, all...); err != nil {
		t.Fatal(err)
	}
	if log, err := store.Load(t.Context(), "s"); err != nil || len(log) != 1100 {
		t.Errorf("%d entries, %v", len(log), err)
	}
	if err := store.Delete(t.Context(), "s"); err != nil || len(s.keys(t)) != 0 {
		t.Errorf("after delete: %v, %d objects", err, len(s.keys(t)))
	}
}

func TestBrokenObjects(t *testing.T) {
	const agent = "session_s/agents/agent_default/"
	for key, broken := range map[string]string{
		agent + "messages/message_0.json": `{"message": {"ro`,
		agent + "strands_go.json":         `{"version": 7}`,
		"session_s/session.json":          `{"session_id": "other"}`,
	} {
		s := newServer(t, false)
		store := s.open(t, "")
		if err := store.Append(t.Context(), "s", 0, said("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: new("sessions"), Key: &key, Body: strings.NewReader(broken)}); err != nil {
			t.Fatal(err)
		}
		_, err := store.Load(t.Context(), "s")
		if e, ok := errors.AsType[*session.FileError](err); !ok || e.Path != "s3://sessions/"+key {
			t.Errorf("load with a broken %s: %v", key, err)
		}
		if err := store.Delete(t.Context(), "s"); err != nil {
			t.Errorf("delete with a broken %s: %v", key, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	for field, cfg := range map[string]s3.Config{"Config.Bucket": {}, "Config.Region": {Bucket: "sessions"}} {
		_, err := s3.Open(t.Context(), cfg)
		if e, ok := errors.AsType[*strands.InputError](err); !ok || e.Field != field {
			t.Errorf("without %s: %v", field, err)
		}
	}
	s := newServer(t, false)
	store, err := s3.Open(t.Context(), s3.Config{Bucket: "nothing", Region: "eu-west-1", Endpoint: s.http.URL, AWS: &aws.Config{Credentials: keys}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context(), "s"); err == nil || errors.Is(err, strands.ErrNotFound) || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("a bucket that is missing: %v", err)
	}
}

// TestTurnsWithPython lets the real SDK's S3SessionManager load what Go wrote,
// go on, and Go go on again; and the other way round.
func TestTurnsWithPython(t *testing.T) {
	sdk := pythonsdk.Need(t)
	s := newServer(t, false)
	store := s.open(t, "p")
	python := func(step string) string {
		t.Helper()
		cmd := sdk.Command(t.Context(), []string{"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=eu-west-1"}, "testdata/turn.py", s.http.URL, step)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	picture := strands.UserMessage(strands.Text("see"), strands.Part{Image: &strands.Media{MIME: "image/png", Data: []byte{0, 1, 255}}})
	err := store.Append(t.Context(), "s", 0, strands.Entry{Message: &picture}, strands.Entry{Message: new(strands.AssistantMessage(strands.Text("a picture")))},
		strands.Entry{State: &strands.SessionState{Values: map[string]json.RawMessage{"city": json.RawMessage(`"Oslo"`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SaveState(t.Context(), "s", "team", json.RawMessage(`{"next": ["a"]}`)); err != nil {
		t.Fatal(err)
	}
	want := `{"messages": [[{"text": "see"}, {"image": {"format": "png", "source": {"bytes": "AAH/"}}}], [{"text": "a picture"}]], "state": {"city": "Oslo"}, "team": {"next": ["a"]}}`
	if got := python("go on"); got != want {
		t.Errorf("Python sees %s, want %s", got, want)
	}
	if err := store.Append(t.Context(), "s", 3, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("an append that knows nothing of Python's: %v", err)
	}
	log, err := store.Load(t.Context(), "s")
	if err != nil || len(log) != 5 || log[3].Message.Text() != "from python" || string(log[4].State.Values["by"]) != `"python"` {
		t.Fatalf("after Python: %v, %v", log, err)
	}
	if state, err := store.LoadState(t.Context(), "s", "team"); err != nil || !bytes.Contains(state, []byte(`"b"`)) {
		t.Errorf("the state that Python saved: %s, %v", state, err)
	}
	if err := store.Append(t.Context(), "s", 5, strands.Entry{Message: new(strands.AssistantMessage(strands.Text("go again")))}); err != nil {
		t.Fatal(err)
	}
	if got := python("look"); !strings.Contains(got, `[{"text": "from python"}], [{"text": "go again"}]]`) {
		t.Errorf("Python sees %s at the end", got)
	}
	log, err = store.Load(t.Context(), "made")
	if err != nil || len(log) != 2 || log[0].Message.Text() != "hello" || log[1].Message.Text() != "[redacted]" {
		t.Errorf("a session of Python: %v, %v", log, err)
	}
}
