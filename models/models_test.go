package models

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
)

// bare is an environment that offers nothing.
func bare(t *testing.T) {
	t.Helper()
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		for _, prefix := range []string{"AWS_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "OLLAMA_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "")
			}
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("USERPROFILE", os.Getenv("HOME"))
	t.Setenv("OLLAMA_HOST", "127.0.0.1:1") // nobody listens there
}

func TestOpen(t *testing.T) {
	bare(t)
	for _, k := range []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"} {
		t.Setenv(k, "key")
	}
	for name, want := range map[string]string{
		"openai/gpt-5.5":                      "openai gpt-5.5",
		"anthropic/claude-opus-4-8":           "anthropic claude-opus-4-8",
		"anthropic":                           "anthropic claude-sonnet-5-5",
		"gemini/gemini-2.5-pro":               "gemini gemini-2.5-pro",
		"ollama/hf.co/org/model:Q4":           "ollama hf.co/org/model:Q4",
		"bedrock/us.anthropic.claude-x-v1:0":  "bedrock us.anthropic.claude-x-v1:0",
		"us.anthropic.claude-x-v1:0":          "bedrock us.anthropic.claude-x-v1:0",
		"arn:aws:bedrock:us-east-1:1:inf/a.b": "bedrock arn:aws:bedrock:us-east-1:1:inf/a.b",
	} {
		m, err := Open(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info := strands.Describe(m); info.Provider+" "+info.ID != want {
			t.Errorf("%s is %+v, want %s", name, info, want)
		}
	}
}

func TestOpenMistakes(t *testing.T) {
	bare(t)
	for name, says := range map[string]string{
		"mistral/large":  "openai",
		"openai/gpt-5.5": "OPENAI_API_KEY",
		"ollama":         "is the server running",
	} {
		if _, err := Open(t.Context(), name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Open(t.Context(), "")
	if !errors.Is(err, ErrNone) {
		t.Fatalf("without anything: %v", err)
	}
	for _, p := range providers {
		if !strings.Contains(err.Error(), p.name) {
			t.Errorf("the error does not name %s: %v", p.name, err)
		}
	}
}

func TestDiscover(t *testing.T) {
	bare(t)
	if found := Discover(t.Context()); len(found) != 0 {
		t.Errorf("found %v where there is nothing", found)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"models":[{"name":"qwen3:8b"}]}`)
	}))
	defer server.Close()
	t.Setenv("OLLAMA_HOST", server.URL)
	credentials := filepath.Join(os.Getenv("HOME"), ".aws", "credentials")
	if err := os.MkdirAll(filepath.Dir(credentials), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(credentials, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_API_KEY", "key")
	found := Discover(t.Context())
	var got []string
	for _, c := range found {
		got = append(got, c.Name)
		if c.Why == "" {
			t.Errorf("%s was found without a reason", c.Name)
		}
	}
	if want := "gemini/gemini-2.5-flash bedrock/global.anthropic.claude-sonnet-4-6 ollama/qwen3:8b"; strings.Join(got, " ") != want {
		t.Errorf("found %v, want %s", got, want)
	}
	if m, err := Open(t.Context(), ""); err != nil || strands.Describe(m).Provider != "gemini" {
		t.Errorf("the first is %v, %v", m, err)
	}
}
