package agentcore_test

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
)

// analysis is what a data analyst's session has.
var analysis = python.Options{
	Requirements: []string{"numpy", "pandas", "scipy", "matplotlib", "seaborn"},
	Preload:      []string{"numpy", "pandas", "matplotlib.pyplot"},
}

// testServer is a server with the keys that its clients use.
type testServer struct {
	*httptest.Server
	server *agentcore.Server
	key    agentcore.Key
}

func (s *testServer) client() clientConfig {
	return clientConfig{Endpoint: s.URL, Key: s.key.ID, Secret: s.key.Secret}
}

// sessions counts those that are open.
func (s *testServer) sessions() int { return s.server.Open() }

// interpreterServer is a server in open mode.
func interpreterServer(t *testing.T, cfg agentcore.ServerConfig) *httptest.Server {
	t.Helper()
	s, err := agentcore.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return serveTest(t, s)
}

func newTestServer(t *testing.T, cfg agentcore.ServerConfig) *testServer {
	t.Helper()
	key := agentcore.Key{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	if cfg.Keys == nil {
		cfg.Keys = []agentcore.Key{key}
	}
	if cfg.JavaScript == nil {
		cfg.JavaScript = []string{javaScriptWorker(t)}
	}
	s, err := agentcore.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := &testServer{serveTest(t, s), s, key}
	if err := s.Prepare(t.Context()); err != nil { // else clients, which have less patience, wait for downloads
		t.Fatal(err)
	}
	return server
}

func serveTest(t *testing.T, s *agentcore.Server) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// javaScriptWorker builds the worker once. The test binary cannot be it: with
// the race detector it needs more address space than a session may have.
func javaScriptWorker(t *testing.T) string {
	t.Helper()
	path, err := buildWorker()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildWorker = sync.OnceValues(func() (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "jsworker-") // not below /tmp, which a session has for its own
	if err != nil {
		return "", err
	}
	workerFolder = dir
	path := filepath.Join(dir, "jsworker")
	out, err := exec.Command("go", "build", "-o", path, "./testdata/jsworker").CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return path, errors.Join(err, os.Chmod(dir, 0o755))
})

var workerFolder string // "" = not built

func cacheFolder() (string, error) {
	dir := os.Getenv("STRANDS_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "strands")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if workerFolder != "" {
		os.RemoveAll(workerFolder)
	}
	os.Exit(code)
}
