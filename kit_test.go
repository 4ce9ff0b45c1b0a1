package strands_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/strandsgo/strands"
)

// script is a model that answers with prepared turns, one a call, and keeps
// what it was asked.
type script struct {
	mu    sync.Mutex
	turns []turn
	seen  []*strands.Request
}

// turn is one answer: a message, an error, or a func that says what to do.
type turn struct {
	msg    strands.Message
	stop   strands.StopReason
	redact string
	usage  strands.Usage
	deltas []strands.Delta
	err    error
	do     func(context.Context) error // before the reply
}

func (s *script) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		s.mu.Lock()
		c := *req
		c.Messages = slices.Clone(req.Messages)
		s.seen = append(s.seen, &c)
		n := len(s.seen)
		s.mu.Unlock()
		if n > len(s.turns) {
			yield(strands.Chunk{}, fmt.Errorf("the script has no turn %d", n))
			return
		}
		t := s.turns[n-1]
		for _, d := range t.deltas {
			if !yield(strands.Chunk{Delta: &d}, nil) {
				return
			}
		}
		if t.do != nil {
			if err := t.do(ctx); err != nil {
				yield(strands.Chunk{}, err)
				return
			}
		}
		if t.err != nil {
			yield(strands.Chunk{}, t.err)
			return
		}
		yield(strands.Chunk{Reply: &strands.Reply{Message: t.msg, StopReason: t.stop, Usage: t.usage, RedactInput: t.redact, Model: "script-1"}}, nil)
	}
}

func says(text string) turn {
	return turn{msg: strands.AssistantMessage(strands.Text(text)), stop: strands.StopEndTurn, usage: strands.Usage{Input: 10, Output: 5}}
}

func calls(parts ...strands.Part) turn {
	return turn{msg: strands.AssistantMessage(parts...), stop: strands.StopToolUse, usage: strands.Usage{Input: 10, Output: 5}}
}

func call(id, name, input string) strands.Part {
	return strands.Part{ToolCall: &strands.ToolCall{ID: id, Name: name, Input: json.RawMessage(input)}}
}

func newAgent(t testing.TB, cfg strands.Config) *strands.Agent {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a, err := strands.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

// valid fails when a provider would refuse the session's history.
func valid(t testing.TB, s *strands.Session) {
	t.Helper()
	if err := strands.Validate(s.Messages()); err != nil {
		t.Errorf("the history is not valid: %v\n%s", err, show(s.Messages()))
	}
}

func show(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

type none struct{}

// chunks is a model that yields just these.
type chunks []strands.Chunk

func (c chunks) Generate(context.Context, *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		for _, e := range c {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func reply(text string) strands.Chunk {
	return strands.Chunk{Reply: &strands.Reply{Message: strands.AssistantMessage(strands.Text(text)), StopReason: strands.StopEndTurn}}
}

// echo is a model that repeats the last message.
type echo struct{}

func (echo) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return chunks{reply(req.Messages[len(req.Messages)-1].Text())}.Generate(ctx, req)
}
