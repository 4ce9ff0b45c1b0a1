package strands

import (
	"context"
	"encoding/json"
	"iter"
)

// A Tool is a capability of the program. The same Tool can be offered to the
// model as a JSON tool or to Python code of the REPL as a function.
//
// Spec always returns the same value; Call is safe for concurrent use. What
// the model (or the Python code) should read is data: a returned error becomes
// an error result with its text. An error made by Fatal ends the run instead.
// A panic is an error result too. Call returns when ctx ends.
type Tool interface {
	Spec() ToolSpec
	Call(ctx context.Context, call *ToolCall) (*ToolResult, error)
}

// StreamTool is a Tool that yields results as they come: a generator in the
// REPL; as a JSON tool each result but the last is an event and the last is
// the answer. The sequence follows the rules of Model: lazy, error last,
// nothing outlives it.
type StreamTool interface {
	Tool
	Stream(ctx context.Context, call *ToolCall) iter.Seq2[*ToolResult, error]
}

// ToolSpec describes a tool to a model, and to Python: the order of the
// properties in InputSchema is the order of positional arguments.
type ToolSpec struct {
	Name         string          `json:"name"` // 1 to 64 of a-z A-Z 0-9 _ -
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`            // of type object
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"` // nil = unknown
}

// A ToolProvider brings tools whose life is longer than a call, such as those
// of an MCP server. Agent.Close closes it.
type ToolProvider interface {
	// Tools returns the present tools. It is called at the start of each run,
	// concurrently from several sessions.
	Tools(ctx context.Context) ([]Tool, error)
	Close() error
}
