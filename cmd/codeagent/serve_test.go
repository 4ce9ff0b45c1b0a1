package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func post(t *testing.T, url, session, accept, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("X-Amzn-Bedrock-AgentCore-Runtime-Session-Id", session)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(b))
}

// Each session header has its own Python; the answer is a JSON string or a
// stream; SIGTERM lets a running answer finish.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	script := "turns:\n"
	code := "try:\n  n += 1\nexcept NameError:\n  n = 1\nopen('n.txt', 'w').write(str(n))\nprint('n is', n)\n"
	for i := 1; i <= 3; i++ {
		quoted, err := json.Marshal(code)
		if err != nil {
			t.Fatal(err)
		}
		script += "  - python: " + string(quoted) + "\n  - text: \"{{ match -1 \\\"(n is .*)\\\" }}\"\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "script.yaml"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	c := call{dir: dir, args: []string{
		"serve", "--listen", "127.0.0.1:0", "--model", "scripted:script.yaml", "--keep-state", "--artifacts", "kept", "--max-body", "1K",
	}}
	cmd := c.command(t)
	errOut, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(errOut)
	url := ""
	for url == "" && lines.Scan() {
		if m := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(lines.Text()); m != "" {
			url = "http://" + m
		}
	}
	for _, s := range []struct{ session, want string }{{"a", "n is 1"}, {"a", "n is 2"}, {"b", "n is 1"}, {"a", "n is 3"}} {
		status, body := post(t, url+"/invocations", s.session, "application/json", `{"prompt": "count"}`)
		var text string
		if err := json.Unmarshal([]byte(body), &text); status != 200 || err != nil || !strings.HasPrefix(text, s.want+"\n\n**Pictures and files**\n- n.txt in "+dir) {
			t.Errorf("session %s: %d %s, want %s", s.session, status, body, s.want)
		}
	}
	status, body := post(t, url+"/invocations", "c", "text/event-stream", `{"prompt": "count"}`)
	if status != 200 || !strings.HasPrefix(body, `data: "`) || strings.Count(body, "Pictures and files") != 1 {
		t.Errorf("%d %s", status, body)
	}
	for body, want := range map[string]int{`{}`: 400, `{"prompt":""}`: 400, `[1]`: 400, `{`: 400, `{"prompt":"` + strings.Repeat("x", 2000) + `"}`: 413} {
		if status, answer := post(t, url+"/invocations", "d", "", body); status != want || !strings.HasPrefix(answer, `{"`) {
			t.Errorf("%.20s: %d %s, want %d", body, status, answer, want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest := ""
	for lines.Scan() {
		rest += lines.Text() + "\n"
	}
	if err := cmd.Wait(); err != nil || !strings.HasSuffix(rest, "codeagent: stopped\n") {
		t.Errorf("%v\n%s", err, rest)
	}
}

func TestModelOfTheEnvironment(t *testing.T) {
	r := call{env: []string{"STRANDS_MODEL=nobody/x"}, args: []string{"run", "x"}}.run(t)
	if r.code != 2 || !strings.Contains(r.stderr, "nobody") {
		t.Errorf("%+v", r)
	}
}
