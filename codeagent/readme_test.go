package codeagent_test

import (
	"context"
	"fmt"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/models/bedrock"
	_ "github.com/strandsgo/strands/python/embedded" // CPython inside the binary
)

type order struct {
	Product string  `json:"product"`
	Amount  float64 `json:"amount" jsonschema:"in euros"`
}

type query struct {
	Month string `json:"month" jsonschema:"like 2026-11"`
}

var database = struct {
	Orders func(context.Context, string) ([]order, error)
}{}

// The first screen of the README. It is compiled, not run: it needs a model.
func Example_readme() {
	ctx := context.Background()

	// An ordinary Go function. In the REPL it is orders(month: str) -> list[...].
	orders := strands.NewTool("orders", "All orders of a month.",
		func(ctx context.Context, q query) ([]order, error) { return database.Orders(ctx, q.Month) })

	agent, err := codeagent.New(codeagent.Config{
		Model:        bedrock.New(bedrock.Config{}), // or openai, anthropic, gemini, ollama
		SystemPrompt: "You are a data analyst.",
		Toolkits: []codeagent.Toolkit{
			codeagent.DataAnalysis, codeagent.Visualization,
			{Name: "shop", Functions: []strands.Tool{orders}},
		},
	})
	if err != nil {
		panic(err)
	}
	defer agent.Close()

	session := agent.NewSession()
	defer session.Close()
	for event, err := range session.Run(ctx, strands.Prompt("Which product grew most since May? Show a chart.")) {
		switch {
		case err != nil:
			panic(err)
		case event.Delta != nil:
			fmt.Print(event.Delta.Text) // what the model writes, as it comes
		case event.Output != nil:
			fmt.Print(event.Output.Stdout) // what its Python prints
		}
	}
}
