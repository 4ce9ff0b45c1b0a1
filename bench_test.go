package strands_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/strandsgo/strands"
)

// talk is a history of n messages, of tool calls and answers.
func talk(n int) []strands.Message {
	var msgs []strands.Message
	for i := 0; len(msgs) < n; i++ {
		id := fmt.Sprint("old", i)
		msgs = append(msgs,
			strands.UserMessage(strands.Text("What is the weather in Oslo, and what was it yesterday?")),
			strands.AssistantMessage(call(id, "weather", `{"city":"Oslo"}`)),
			strands.UserMessage(strands.Part{ToolResult: &strands.ToolResult{CallID: id, Parts: []strands.Part{strands.Text("sunny in Oslo")}}}),
			strands.AssistantMessage(strands.Text("It is sunny in Oslo, as it was yesterday.")))
	}
	return msgs[:n]
}

// BenchmarkLoopCycle measures one cycle: a model call that answers with a tool
// call, the call, and all events, on a history of so many messages.
func BenchmarkLoopCycle(b *testing.B) {
	for _, n := range []int{40, 400} {
		for _, hooks := range []bool{false, true} {
			b.Run(fmt.Sprintf("messages=%d/hooks=%v", n, hooks), func(b *testing.B) {
				const cycles = 10
				turns := make([]turn, cycles)
				for i := range turns {
					turns[i] = calls(call("", "weather", `{"city":"Oslo"}`))
				}
				turns[cycles-1] = says("done")
				cfg := strands.Config{Tools: []strands.Tool{weather()}, Messages: talk(n)}
				if hooks {
					h := new(trace).hooks("h")
					h.BeforeModelCall = func(context.Context, *strands.BeforeModelCall) error { return nil }
					cfg.Hooks = []strands.Hooks{h}
				}
				b.ReportAllocs()
				for b.Loop() {
					cfg.Model = &script{turns: turns}
					a, err := strands.New(cfg)
					if err != nil {
						b.Fatal(err)
					}
					if res, err := a.NewSession().Ask(b.Context(), "go"); err != nil || res.Cycles != cycles {
						b.Fatal(res, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/cycles, "µs/cycle")
			})
		}
	}
}

func BenchmarkNewToolCall(b *testing.B) {
	tool := weather()
	c := &strands.ToolCall{Input: []byte(`{"city":"Oslo"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tool.Call(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInvoke measures a call made from inside a tool, with its events
// taken by the caller.
func BenchmarkInvoke(b *testing.B) {
	inner := weather()
	outer := strands.NewTool("outer", "", func(ctx context.Context, _ none) (string, error) {
		for b.Loop() {
			if _, err := strands.Invoke(ctx, inner, &strands.ToolCall{Name: "weather", Input: []byte(`{"city":"Oslo"}`)}); err != nil {
				return "", err
			}
		}
		return "ok", nil
	})
	b.ReportAllocs()
	a := newAgent(b, strands.Config{Model: &script{turns: []turn{calls(call("1", "outer", `{}`)), says("ok")}}, Tools: []strands.Tool{outer}})
	if _, err := a.NewSession().Ask(b.Context(), "go"); err != nil {
		b.Fatal(err)
	}
}
