package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// chatServer speaks Chat Completions: it asks for one snippet and then quotes
// the last word of what came back.
func chatServer(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var body struct {
			Messages []struct {
				Role    string
				Content any
			}
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil || req.Header.Get("Authorization") != "Bearer key-of-the-test" {
			t.Errorf("request: %v, authorization %q", err, req.Header.Get("Authorization"))
		}
		say := func(delta, finish string) {
			fmt.Fprintf(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}\n\n", delta, finish)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if last := body.Messages[len(body.Messages)-1]; last.Role == "tool" {
			words := strings.Fields(fmt.Sprint(last.Content))
			text, _ := json.Marshal("It is " + strings.TrimRight(words[len(words)-1], "]}") + ".")
			say(`{"role":"assistant","content":`+string(text)+`}`, `"stop"`)
		} else {
			say(`{"role":"assistant","tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"python_repl","arguments":"{\"code\":\"sum(range(101))\"}"}}]}`, `"tool_calls"`)
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(server.Close)
	return server
}

func TestRunAsksAModel(t *testing.T) {
	env := []string{"OPENAI_BASE_URL=" + chatServer(t).URL + "/v1", "OPENAI_API_KEY=key-of-the-test"}
	for _, args := range [][]string{{"run", "--model", "openai/m", "sum?"}, {"run", "sum?"}} {
		r := call{env: env, args: args}.run(t)
		if r.code != 0 || !strings.Contains(r.stdout, "It is 5050.") {
			t.Errorf("%v: exit code %d, %q, %s", args, r.code, r.stdout, r.stderr)
		}
	}
}

func TestModelsThatAreNotThere(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--model", "nope/x", "hi"}, `there is no provider "nope"; the providers are anthropic, `},
		{[]string{"run", "--model", "openai/gpt-5", "hi"}, "set OPENAI_API_KEY"},
	} {
		r := call{args: c.args}.run(t)
		if r.code != 2 || !strings.Contains(r.stderr, c.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d, %s", c.args, r.code, r.stderr)
		}
	}
}
