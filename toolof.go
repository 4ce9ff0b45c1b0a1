package strands

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
)

// NewToolOf is NewTool for a function whose types are known at run time only,
// such as a method found by reflection. f gets a value of the struct type in
// and returns one of type out. A mistake is an error.
func NewToolOf(name, doc string, in, out reflect.Type, f func(context.Context, reflect.Value) (any, error)) (Tool, error) {
	if err := checkToolName(name); err != nil {
		return nil, err
	}
	if in.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the input %s must be a struct", in)
	}
	s, err := inferSchema(in, false)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	c, err := newChecker(s)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", in, err)
	}
	t := &funcTool[json.RawMessage, any]{spec: ToolSpec{Name: name, Description: doc}, input: c}
	t.f = func(ctx context.Context, input json.RawMessage) (any, error) {
		v := reflect.New(in)
		if err := json.Unmarshal(input, v.Interface()); err != nil {
			return nil, decodeError(err)
		}
		return f(ctx, v.Elem())
	}
	if t.spec.InputSchema, err = json.Marshal(s); err != nil {
		return nil, fmt.Errorf("input %s: %w", in, err)
	}
	elem, stream := streamElem(out)
	if t.spec.OutputSchema, err = outputSchema(elem); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	if stream {
		return streamFuncTool[json.RawMessage, any]{t}, nil
	}
	return t, nil
}
