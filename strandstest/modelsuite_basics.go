package strandstest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
)

// TestModelBasics is the part of TestModel that can be asked of a real model:
// it answers, calls a tool, reads the result, and stops when it is told to. It
// costs a few hundred tokens.
func TestModelBasics(t *testing.T, m strands.Model) {
	ask := func(t *testing.T, ctx context.Context, req *strands.Request) outcome {
		r := rig{t: t, model: m}
		return r.generate(ctx, req)
	}
	t.Run("text", func(t *testing.T) {
		reply := ask(t, t.Context(), &strands.Request{
			System:   []strands.Part{strands.Text("You answer with one number and nothing else.")},
			Messages: []strands.Message{strands.UserMessage(strands.Text("What is 2 to the power of 10?"))},
		}).mustReply(t)
		if !strings.Contains(strings.ReplaceAll(reply.Message.Text(), ",", ""), "1024") || reply.StopReason != strands.StopEndTurn {
			t.Errorf("the reply is %q, %s", reply.Message.Text(), reply.StopReason)
		}
		if reply.Usage.Total() == reply.Usage.Output || reply.Usage.Output == 0 || reply.Model == "" {
			t.Errorf("usage %+v, model %q", reply.Usage, reply.Model)
		}
	})
	t.Run("tool", func(t *testing.T) {
		req := &strands.Request{
			Messages: []strands.Message{strands.UserMessage(strands.Text("Which number did the oracle give for the key \"tea\"? Ask it with the tool."))},
			Tools: []strands.ToolSpec{{
				Name: "oracle", Description: "Gives the number of a key.",
				InputSchema: json.RawMessage(`{"type":"object","properties":{"key":{"type":"string"}},"required":["key"]}`),
			}},
		}
		reply := ask(t, t.Context(), req).mustReply(t)
		calls := reply.Message.ToolCalls()
		var input struct{ Key string }
		if len(calls) != 1 || json.Unmarshal(calls[0].Input, &input) != nil || input.Key != "tea" || reply.StopReason != strands.StopToolUse {
			t.Fatalf("the reply is %+v, %s", reply.Message, reply.StopReason)
		}
		result := strands.Part{ToolResult: &strands.ToolResult{CallID: calls[0].ID, Parts: []strands.Part{strands.Text("7316")}}}
		req.Messages = append(req.Messages, reply.Message, strands.UserMessage(result))
		if text := ask(t, t.Context(), req).mustReply(t).Message.Text(); !strings.Contains(strings.ReplaceAll(text, ",", ""), "7316") {
			t.Errorf("after the result the reply is %q", text)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req := &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("Count from 1 to 500, one number a line."))}}
		for _, err := range m.Generate(ctx, req) {
			cancel()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled call ended with %v", err)
			}
		}
		if ctx.Err() == nil {
			t.Error("nothing came that could be cancelled")
		}
	})
}
