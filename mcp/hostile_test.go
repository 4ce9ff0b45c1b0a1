package mcp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strandsgo/strands/mcp"
)

// rawServer speaks the protocol without the SDK, which would not say such
// things.
func rawServer(t *testing.T, tools string, answer func(w http.ResponseWriter, id json.RawMessage)) *httptest.Server {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     json.RawMessage
			Method string
		}
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		reply := `"error":{"code":-32601,"message":"no such method"}`
		switch q.Method {
		case "initialize":
			reply = `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}`
		case "tools/list":
			reply = `"result":{"tools":[` + tools + `]}`
		case "tools/call":
			answer(w, q.ID)
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, q.ID, reply)
	}))
	t.Cleanup(web.Close)
	return web
}

// TestEndlessMessage: a message has a length, a stream of messages has none.
func TestEndlessMessage(t *testing.T) {
	const tool = `{"name":"t","inputSchema":{"type":"object"}}`
	block := bytes.Repeat([]byte("x"), 1<<20)
	for _, kind := range []string{"application/json", "text/event-stream"} {
		written := make(chan int, 1)
		web := rawServer(t, tool, func(w http.ResponseWriter, _ json.RawMessage) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, `data: {"jsonrpc":"2.0","result":"`)
			n := 0
			for n < 1000 {
				if _, err := w.Write(block); err != nil {
					break
				}
				n++
			}
			written <- n
		})
		p := provider(t, mcp.Server{URL: web.URL, Logger: slog.New(slog.DiscardHandler)})
		if _, err := call(t, find(t, p, "t"), `{}`); err == nil || !strings.Contains(err.Error(), "broke") {
			t.Errorf("%s: %v", kind, err)
		}
		if n := <-written; n > 500 {
			t.Errorf("%s: %d MB were read", kind, n)
		}
	}
	web := rawServer(t, tool, func(w http.ResponseWriter, id json.RawMessage) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 90 { // more than one message may have, in comments between blank lines
			_, _ = w.Write(append([]byte(": "), block...))
			_, _ = io.WriteString(w, "\r\n\r\n")
		}
		fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"ok\"}]}}\n\n", id)
	})
	if res, err := call(t, find(t, provider(t, mcp.Server{URL: web.URL}), "t"), `{}`); err != nil || res.Text() != "ok" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestForeignSchemas: one tool that a model's provider would refuse would
// spoil every request.
func TestForeignSchemas(t *testing.T) {
	web := rawServer(t, `{"name":"none","inputSchema":{}},{"name":"text","inputSchema":{"type":"string"}},
		{"name":"null","inputSchema":{"type":"object","properties":null,"required":null}},
		{"name":"list","inputSchema":{"type":"object","properties":[1]}},{"name":"numbers","inputSchema":{"type":"object","required":[1]}}`, nil)
	var log bytes.Buffer
	tools, err := provider(t, mcp.Server{URL: web.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))}).Tools(t.Context())
	if err != nil || names(tools) != "none null" {
		t.Fatalf("%s, %v", names(tools), err)
	}
	for _, tool := range tools {
		if got := string(tool.Spec().InputSchema); got != `{"type":"object"}` {
			t.Errorf("%s: %s", tool.Spec().Name, got)
		}
	}
	for _, name := range []string{"text", "list", "numbers"} {
		if !strings.Contains(log.String(), "tool="+name) {
			t.Errorf("%s is left out and nobody was told: %s", name, log.String())
		}
	}
}

// TestKeyInTheAddress: it is in no error, since errors of calls are shown to
// the model.
func TestKeyInTheAddress(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close()
	for _, sse := range []bool{false, true} {
		var log bytes.Buffer
		p := provider(t, mcp.Server{URL: web.URL + "/mcp?key=secret", SSE: sse, Required: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if _, err := p.Tools(t.Context()); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("error: %v", err)
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("log: %s", log.String())
		}
	}
}
