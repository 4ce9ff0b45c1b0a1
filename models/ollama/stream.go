package ollama

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

// maxLine bounds a line of a stream.
const maxLine = 32 << 20

type line struct {
	Model   string `json:"model"`
	Message struct {
		Content   string `json:"content"`
		Thinking  string `json:"thinking"`
		ToolCalls []call `json:"tool_calls"`
	} `json:"message"`
	Done            bool            `json:"done"`
	DoneReason      string          `json:"done_reason"`
	PromptEvalCount int             `json:"prompt_eval_count"`
	EvalCount       int             `json:"eval_count"`
	Error           json.RawMessage `json:"error"`
}

// read follows a stream, which has no blocks: each change of kind opens one.
func (m *Model) read(c *wire.Call, body io.Reader, f *forced, w *wire.Writer) (*strands.Reply, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	r := reader{w: w, forced: f, block: -1}
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, c.Fail(err, wire.Fault{Kind: strands.ModelTransient})
		}
		if raw := string(l.Error); raw != "" && raw != "null" && raw != `""` {
			text := cmp.Or(wire.ErrorText(lines.Bytes()), raw)
			return nil, c.Fail(errors.New(text), wire.Fault{Kind: strands.ModelTransient, Message: text})
		}
		if err := r.read(&l); err != nil {
			return nil, err
		}
		if l.Done {
			return r.reply(c, &l)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, m.fail(c, err)
	}
	return nil, c.Cut()
}

type reader struct {
	w      *wire.Writer
	forced *forced

	block  int
	kind   kind
	called bool
	choice strings.Builder // what a model said that had to choose among tools
}

type kind int

const (
	none kind = iota
	text
	thinking
	toolCall
)

func (r *reader) open(k kind) int {
	if r.kind != k || k == toolCall {
		r.kind = k
		r.block++
	}
	return r.block
}

func (r *reader) read(l *line) error {
	if s := l.Message.Thinking; s != "" {
		if err := r.w.Send(&strands.Delta{Block: r.open(thinking), Reasoning: &strands.Reasoning{Text: s}}); err != nil {
			return err
		}
	}
	if s := l.Message.Content; s != "" {
		if err := r.content(s); err != nil {
			return err
		}
	}
	for _, c := range l.Message.ToolCalls {
		if err := r.call(c.ID, c.Function.Name, string(c.Function.Arguments)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) content(s string) error {
	switch {
	case r.forced == nil:
		return r.w.Send(&strands.Delta{Block: r.open(text), Text: s})
	case !r.forced.single():
		r.choice.WriteString(s)
		return nil
	case !r.called:
		return r.call("", r.forced.tools[0].Name, s)
	}
	return r.w.Send(&strands.Delta{Block: r.block, ToolCall: &strands.ToolCallDelta{Input: s}})
}

// call sends a call, or its beginning. Older servers give no id.
func (r *reader) call(id, name, input string) error {
	r.called = true
	if id == "" {
		id = "call_" + rand.Text()
	}
	return r.w.Send(&strands.Delta{Block: r.open(toolCall), ToolCall: &strands.ToolCallDelta{ID: id, Name: name, Input: input}})
}

func (r *reader) reply(c *wire.Call, l *line) (*strands.Reply, error) {
	if r.choice.Len() > 0 {
		var chosen function
		if err := json.Unmarshal([]byte(r.choice.String()), &chosen); err != nil || chosen.Name == "" {
			return nil, c.Broken("the model was to choose a tool and answered %.200q", r.choice.String())
		}
		if err := r.call("", chosen.Name, string(chosen.Arguments)); err != nil {
			return nil, err
		}
	}
	stop := strands.StopEndTurn
	switch {
	case l.DoneReason == "length":
		stop = strands.StopMaxTokens
	case r.called:
		stop = strands.StopToolUse
	}
	return &strands.Reply{
		Message: strands.AssistantMessage(r.w.Parts()...), StopReason: stop, Model: l.Model,
		Usage: strands.Usage{Input: l.PromptEvalCount, Output: l.EvalCount},
	}, nil
}
