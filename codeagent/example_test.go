package codeagent_test

import (
	"context"
	"fmt"
	"log"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	_ "github.com/strandsgo/strands/python/embedded"
	"github.com/strandsgo/strands/strandstest"
)

// An agent with nothing but Python. The model here is scripted and the code is
// run: the answer quotes what it computed.
func Example() {
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Python: "2 ** 10"},
		{Text: "2 ** 10 is {{ value 1 }}."},
	}}
	agent, err := codeagent.New(codeagent.Config{Model: model})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()
	res, err := agent.Ask(context.Background(), "What is 2 ** 10?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output: 2 ** 10 is 1024.
}

type roi struct {
	Investment float64 `json:"investment"`
	Returns    float64 `json:"returns"`
}

// calculateROI is an ordinary Go function.
func calculateROI(_ context.Context, in roi) (float64, error) {
	return (in.Returns - in.Investment) / in.Investment * 100, nil
}

// A Go function that the model calls from its Python code.
func ExampleToolkit() {
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Python: "calculate_roi(investment=1000, returns=1250)"},
		{Text: "The return on investment is {{ value 1 }} %."},
	}}
	agent, err := codeagent.New(codeagent.Config{
		Model:        model,
		SystemPrompt: "You are a finance assistant.",
		Toolkits: []codeagent.Toolkit{{
			Functions: []strands.Tool{
				strands.NewTool("calculate_roi", "Calculate return on investment as a percentage.", calculateROI),
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()
	res, err := agent.Ask(context.Background(), "What is the ROI if I invest 1000 and get back 1250?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output: The return on investment is 25.0 %.
}
