package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// patiently runs doctor until it had answers: it gives each server a few
// seconds, which on a busy machine may be too few.
func (c call) patiently(t *testing.T) (r reply) {
	t.Helper()
	for range 5 {
		if r = c.run(t); !strings.Contains(r.stdout, "deadline exceeded") {
			break
		}
	}
	return r
}

func TestDoctor(t *testing.T) {
	index := httptest.NewServer(http.NotFoundHandler())
	address := strings.Replace(index.URL, "http://", "http://token:secret@", 1)
	env := []string{"OPENAI_API_KEY=sk-secret", "PIP_INDEX_URL=" + address, "UV_DEFAULT_INDEX=" + address}
	r := call{env: env, args: []string{"doctor", "--json"}}.patiently(t)
	var c struct {
		Fit       bool
		Python    string
		Isolation map[string]string
		Index     string
		Keys      []string
		Warnings  []string
	}
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		t.Fatalf("%q: %v", r.stdout, err)
	}
	if r.code != 0 || !c.Fit || !strings.HasPrefix(c.Python, "CPython 3.") || len(c.Warnings) > 0 {
		t.Errorf("exit code %d, %+v", r.code, c)
	}
	if runtime.GOOS == "linux" && (c.Isolation["level"] == "none" || c.Isolation["network"] != "none" || len(c.Isolation) != 15) {
		t.Errorf("isolation %v", c.Isolation)
	}
	if len(c.Keys) != 1 || c.Keys[0] != "OPENAI_API_KEY" || c.Index != index.URL+" answers 404 Not Found" {
		t.Errorf("%+v", c)
	}
	text := call{env: env, args: []string{"doctor"}}.patiently(t)
	for _, out := range []string{r.stdout, r.stderr, text.stdout, text.stderr} {
		if strings.Contains(out, "secret") || strings.Contains(out, "token") {
			t.Errorf("a secret is told: %s", out)
		}
	}
	index.Close()
	if r := (call{env: env, args: []string{"doctor"}}).run(t); !strings.Contains(r.stdout, "cannot be reached") || strings.Contains(r.stdout, "secret") {
		t.Errorf("%s", r.stdout)
	}
}

func TestDoctorWarnsOfUnconfined(t *testing.T) {
	r := codeagent(t, "doctor", "--interpreter", "exec")
	if r.code != 0 || !strings.Contains(r.stdout, "not confined") {
		t.Errorf("exit code %d: %s", r.code, r.stdout)
	}
}

// TestDoctorUnfit: a machine that cannot run code is told so, with the reason.
func TestDoctorUnfit(t *testing.T) {
	r := call{env: []string{"STRANDS_PYTHON=/nowhere/python3"}, args: []string{"doctor"}}.run(t)
	if r.code != 1 || !strings.Contains(r.stdout, "no: ") || !strings.Contains(r.stdout, "/nowhere/python3") {
		t.Errorf("exit code %d: %s %s", r.code, r.stdout, r.stderr)
	}
}
