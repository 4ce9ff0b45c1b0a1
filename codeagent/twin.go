package codeagent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// twin makes the agent that has the functions of cfg as tools of the model,
// and no Python: what code agents are measured against. It is meant to be a
// good one: several calls at once, and large results under handles.
func (c *Config) twin() (strands.Config, error) {
	sc := c.strands()
	var notes []string
	for i, t := range c.Toolkits {
		if len(t.Modules) > 0 {
			return sc, &strands.InputError{
				Field:  fmt.Sprintf("Toolkits[%d].Modules", i),
				Reason: "without Python there are no modules; offer functions, or unset ToolCalls",
			}
		}
		sc.Tools = slices.Concat(sc.Tools, t.Functions)
		for _, o := range t.Objects {
			for _, m := range o.Methods {
				sc.Tools = append(sc.Tools, method(o, m))
			}
		}
		if note := strings.Trim(t.UsageInstructions, "\n"); note != "" {
			notes = append(notes, note)
		}
		for _, o := range t.Objects {
			if o.Doc != "" {
				notes = append(notes, o.Name+": "+o.Doc)
			}
		}
	}
	sc.Tools = append(sc.Tools, handleTools()...)
	sc.Hooks = append([]strands.Hooks{{AfterToolCall: keepLarge}}, sc.Hooks...)
	sc.SystemPrompt, sc.System = behind(c, strings.Join(append([]string{twinInstructions}, notes...), "\n"))
	return sc, nil
}

const twinInstructions = `# Tools
- Never guess what a tool can find out. Make calls that do not need each other's results in one message: they run side by side.
- A result that is too long to be shown is kept under a handle. read_result shows parts of it and search_result finds lines in it; narrow a question instead of reading everything.
- After an error mend the call; the same call again will fail again.
- State only what results say. As soon as you know the answer write it: short and exact, with units.`

// method is a method of an object as a tool: docs.find is docs_find.
func method(o python.Object, m strands.Tool) strands.Tool {
	spec := m.Spec()
	spec.Name = o.Name + "_" + spec.Name
	named := namedTool{spec, m}
	if s, ok := m.(strands.StreamTool); ok {
		return namedStream{named, s}
	}
	return named
}

// namedTool is a tool under another name.
type namedTool struct {
	spec strands.ToolSpec
	tool strands.Tool
}

// Spec implements strands.Tool.
func (n namedTool) Spec() strands.ToolSpec { return n.spec }

// Call implements strands.Tool.
func (n namedTool) Call(ctx context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	return n.tool.Call(ctx, call)
}

// NewValue makes room for a native result, which recordings ask for: the JSON
// when the tool does not tell its type.
func (n namedTool) NewValue() any {
	if t, ok := n.tool.(interface{ NewValue() any }); ok {
		return t.NewValue()
	}
	return new(json.RawMessage)
}

type namedStream struct {
	namedTool
	strands.StreamTool
}

// Spec implements strands.Tool.
func (n namedStream) Spec() strands.ToolSpec { return n.spec }

// Call implements strands.Tool.
func (n namedStream) Call(ctx context.Context, call *strands.ToolCall) (*strands.ToolResult, error) {
	return n.tool.Call(ctx, call)
}
