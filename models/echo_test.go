package models_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/anthropic"
	"github.com/strandsgo/strands/models/gemini"
	"github.com/strandsgo/strands/models/ollama"
	"github.com/strandsgo/strands/models/openai"
)

// TestKeyThatIsEchoed: some servers answer what they do not understand with
// what they were sent.
func TestKeyThatIsEchoed(t *testing.T) {
	const key = "sk-very-secret-key"
	came := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := fmt.Sprint("no such page, for ", r.Header)
		came = came || strings.Contains(said, key)
		http.Error(w, said, http.StatusTeapot)
	}))
	defer server.Close()
	for name, m := range map[string]strands.Model{
		"openai":    openai.New(openai.Config{Model: "m", BaseURL: server.URL, APIKey: key}),
		"responses": openai.New(openai.Config{Model: "m", BaseURL: server.URL, APIKey: key, Responses: true}),
		"anthropic": anthropic.New(anthropic.Config{Model: "m", BaseURL: server.URL, APIKey: key}),
		"gemini":    gemini.New(gemini.Config{Model: "m", BaseURL: server.URL, APIKey: key}),
		"ollama":    ollama.New(ollama.Config{Model: "m", BaseURL: server.URL, APIKey: key}),
	} {
		came = false
		for _, err := range m.Generate(t.Context(), &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("Hi"))}}) {
			me, ok := errors.AsType[*strands.ModelError](err)
			if !ok || !strings.Contains(me.Message, "no such page") || !came {
				t.Errorf("%s: %v", name, err)
			}
			if strings.Contains(fmt.Sprint(err, " ", errors.Unwrap(err)), key) {
				t.Errorf("%s tells the key: %v, %v", name, err, errors.Unwrap(err))
			}
		}
	}
}
