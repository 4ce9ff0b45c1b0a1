// Package show turns the events of runs into what a person or a program reads:
// plain text, a terminal with colours and Markdown, or JSON lines.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/strandsgo/strands"
)

// Printer shows events as they come. Its methods are called from one goroutine.
type Printer interface {
	// Event shows one event; the error is that of the writer or of a picture
	// that could not be saved.
	Event(strands.Event) error
	// End writes what is still held back, after the last event of a run.
	End() error
}

// PythonTool is the name of the tool whose input is shown as code.
const PythonTool = "python_repl"

// code returns the Python code of a call and whether it is one of the REPL.
func code(c *strands.ToolCall) (string, bool) {
	if c.Name != PythonTool || c.ParentID != "" {
		return "", false
	}
	var in struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(c.Input, &in) != nil {
		return "", false
	}
	return strings.TrimRight(in.Code, "\n"), true
}

// call writes a tool call in the form of Python: name(a=1, b="x").
func call(c *strands.ToolCall) string {
	var b strings.Builder
	b.WriteString(c.Name + "(")
	dec := json.NewDecoder(strings.NewReader(string(c.Input)))
	if t, err := dec.Token(); err == nil && t == json.Delim('{') {
		for first := true; dec.More(); first = false {
			key, err := dec.Token()
			if err != nil {
				break
			}
			var value json.RawMessage
			if dec.Decode(&value) != nil {
				break
			}
			if !first {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s=%s", key, short(string(value), 60))
		}
	}
	return b.String() + ")"
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// failure is what to show of a tool's error result: of the REPL only what its
// streams did not show already.
func failure(e *strands.ToolEnd) string {
	if e.Result == nil || !e.Result.IsError {
		return ""
	}
	text := strings.TrimSpace(e.Result.Text())
	if e.Call.Name != PythonTool {
		return text
	}
	for _, heading := range []string{"ERROR:\n", "STATE LOST:\n"} {
		if strings.HasPrefix(text, heading) {
			return strings.TrimPrefix(text, heading)
		}
		if _, after, ok := strings.Cut(text, "\n\n"+heading); ok {
			return after
		}
	}
	return text
}

// Clean makes text of a model or of its code harmless to a terminal: control
// characters, which could move the cursor, write to the clipboard or rename
// the window, become visible. Newlines, tabs and carriage returns stay.
func Clean(s string) string {
	if strings.IndexFunc(s, control) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case !control(r):
			return r
		case r < 0x20:
			return 0x2400 + r // its picture, as ␛ for escape
		}
		return '\uFFFD'
	}, s)
}

func control(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0
}

// CleanWriter is a writer to a terminal through Clean. Each Write must hold
// whole characters.
type CleanWriter struct{ W io.Writer }

// Write implements io.Writer.
func (c CleanWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.W, Clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Retry says in a line what a Retry event means: first what a narrow terminal
// must not cut off.
func Retry(r *strands.Retry) string {
	return fmt.Sprintf("the model call failed; again in %s (%s)", time.Duration(r.Delay).Round(100*time.Millisecond), r.Reason)
}
