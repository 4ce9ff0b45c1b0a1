package main

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/codeagent"
)

// promptSizes prints what the catalogue costs before the first question, in
// both arms, at several sizes.
func promptSizes(ctx context.Context, out io.Writer, o *options) error {
	fmt.Fprintln(out, "prompt and tools, in tokens of about four characters:")
	for _, n := range []int{5, 50, 500} {
		code, err := promptTokens(ctx, o.seed, n, false)
		if err != nil {
			return err
		}
		tools, err := promptTokens(ctx, o.seed, n, true)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%5d functions: code %6d, tools %6d\n", n, code, tools)
	}
	fmt.Fprintln(out)
	return nil
}

// promptTokens estimates the first request of an agent, without the question.
func promptTokens(ctx context.Context, seed uint64, functions int, tools bool) (int, error) {
	m := new(listening)
	agent, err := codeagent.New(codeagent.Config{
		Model: m, SystemPrompt: systemPrompt, Toolkits: suite.Catalogue(seed, functions), ToolCalls: tools, NoTempDir: true,
	})
	if err != nil {
		return 0, err
	}
	defer agent.Close()
	if _, err := agent.Ask(ctx, "."); err != nil {
		return 0, err
	}
	return m.size / 4, nil
}

// listening is a model that measures what it is asked.
type listening struct{ size int }

// Generate implements strands.Model.
func (l *listening) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	for _, p := range req.System {
		l.size += len(p.Text)
	}
	for _, t := range req.Tools {
		l.size += len(t.Name) + len(t.Description) + len(t.InputSchema)
	}
	return func(yield func(strands.Chunk, error) bool) {
		yield(strands.Chunk{Reply: &strands.Reply{StopReason: strands.StopEndTurn, Message: strands.Message{Role: strands.Assistant, Parts: []strands.Part{{Text: "."}}}}}, nil)
	}
}
