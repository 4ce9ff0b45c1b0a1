package python_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// An agent that offers the tools of a folder. An edit of orders.py is in
// effect with the next call; a broken one is reported, and the version before
// stays.
func ExampleDirectory() {
	dir, err := os.MkdirTemp("", "tools")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	write := func(source string) {
		if err := os.WriteFile(filepath.Join(dir, "orders.py"), []byte(source), 0o644); err != nil {
			panic(err)
		}
	}
	write(`
from strands import tool

@tool
def net_price(gross: float, vat: float = 0.2) -> float:
    """The price without VAT.

    Args:
        gross: The price with VAT.
        vat: 0.2 is 20 percent.
    """
    return round(gross / (1 + vat), 2)
`)
	tools := &python.Directory{Path: dir} // Path: "" is ./tools
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Calls: []strandstest.Call{{Name: "net_price", Input: map[string]any{"gross": 120}}}}, {Text: "done"},
	}}
	agent, err := strands.New(strands.Config{Model: model, Providers: []strands.ToolProvider{tools}})
	if err != nil {
		panic(err)
	}
	defer agent.Close() // closes tools too

	session := agent.NewSession()
	defer session.Close()
	for event, err := range session.Run(context.Background(), strands.Prompt("What is 120 without VAT?")) {
		if err != nil {
			panic(err)
		}
		if event.ToolEnd != nil {
			fmt.Println(event.ToolEnd.Result.Text())
		}
	}
	write("def broken(:")
	if _, err := tools.Tools(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(tools.Err() != nil)
	// Output:
	// 100.0
	// true
}
