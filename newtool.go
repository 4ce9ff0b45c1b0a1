package strands

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"strings"

	"github.com/strandsgo/strands/internal/schema"
)

// NewTool makes a Tool of a function. In is a struct: its fields are the
// arguments in their order, named by their json tags, described by their
// jsonschema tags, limited by enum tags ("a,b"), required unless they are
// omitempty, omitzero, pointers or have a default tag.
//
// Input is checked against the schema before f runs: an argument that is
// missing, unknown or of another type is an error that names it; null for an
// optional argument counts as not given, and a string that is a number or a
// boolean passes for one. []byte is base64 text, time.Time a
// date-time (a date is its first moment, what has no zone UTC), time.Duration
// nanoseconds, Duration seconds, a type that marshals to text a string. A
// decimal (json.Number, big.Rat, or a type named Decimal that marshals to text)
// is marked by the format "decimal". Recursive types are fine.
//
// Out's schema becomes the output schema. A string, []Part or *ToolResult is
// given to the model as it is, anything else as JSON. When Out is an
// iter.Seq[T] or iter.Seq2[T, error] the tool is a StreamTool; it yields the
// values of T.
//
// NewTool panics, naming the field, when it cannot infer a schema, and on a
// name that no model accepts.
func NewTool[In, Out any](name, doc string, f func(context.Context, In) (Out, error)) Tool {
	t, err := newFuncTool(name, doc, reflect.TypeFor[In](), reflect.TypeFor[Out](), func(ctx context.Context, input json.RawMessage) (any, error) {
		var in In
		if err := schema.Decode(input, &in); err != nil {
			return nil, err
		}
		return f(ctx, in)
	})
	if err != nil {
		panic(fmt.Sprintf("strands.NewTool(%q): %v", name, err))
	}
	return t
}

// NewToolOf is NewTool for a function whose types are known at run time only,
// such as a method found by reflection. f gets a value of the struct type in
// and returns one of type out. A mistake is an error.
func NewToolOf(name, doc string, in, out reflect.Type, f func(context.Context, reflect.Value) (any, error)) (Tool, error) {
	return newFuncTool(name, doc, in, out, func(ctx context.Context, input json.RawMessage) (any, error) {
		v := reflect.New(in)
		if err := schema.Decode(input, v.Interface()); err != nil {
			return nil, err
		}
		return f(ctx, v.Elem())
	})
}

// NewRawTool makes a Tool whose input schema is given as JSON. Input is checked
// against it before f runs. A mistake in spec is an *InputError.
func NewRawTool(spec ToolSpec, f func(context.Context, *ToolCall) (*ToolResult, error)) (Tool, error) {
	if err := checkToolName(spec.Name); err != nil {
		return nil, &InputError{Field: "Name", Reason: err.Error()}
	}
	c, err := schema.ParseChecker(spec.InputSchema)
	if err != nil {
		return nil, &InputError{Field: "InputSchema of " + spec.Name, Reason: err.Error()}
	}
	return &rawTool{checkedTool{spec, c}, f}, nil
}

// checkedTool is what tools with a schema have in common.
type checkedTool struct {
	spec  ToolSpec
	input *schema.Checker
}

func (t *checkedTool) Spec() ToolSpec { return t.spec }

// adjusted returns input as the tool will read it, when it is valid.
func (t *checkedTool) adjusted(input rawJSON) (rawJSON, error) { return t.input.Check(input) }

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func checkToolName(name string) error {
	if !toolName.MatchString(name) {
		return fmt.Errorf("the tool name %q must be 1 to 64 of a-z A-Z 0-9 _ -", name)
	}
	return nil
}

type rawTool struct {
	checkedTool
	f func(context.Context, *ToolCall) (*ToolResult, error)
}

func (t *rawTool) Call(ctx context.Context, call *ToolCall) (*ToolResult, error) {
	input, err := t.input.Check(call.Input)
	if err != nil {
		return nil, err
	}
	c := *call
	c.Input = input
	return t.f(ctx, &c)
}

// funcTool is a Go function as a tool. f decodes its input, which was checked.
type funcTool struct {
	checkedTool
	value reflect.Type // of its results, or of the elements of a sequence
	f     func(context.Context, json.RawMessage) (any, error)
}

// streamFuncTool is a funcTool whose result is a sequence. It is a type of its
// own because being a StreamTool is a matter of the method set.
type streamFuncTool struct{ *funcTool }

func newFuncTool(name, doc string, in, out reflect.Type, f func(context.Context, json.RawMessage) (any, error)) (Tool, error) {
	if err := checkToolName(name); err != nil {
		return nil, err
	}
	c, raw, err := schemas.Input(in)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	elem, stream := streamElem(out)
	t := &funcTool{checkedTool: checkedTool{ToolSpec{Name: name, Description: doc, InputSchema: raw}, c}, value: elem, f: f}
	if t.spec.OutputSchema, err = outputSchema(elem); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	if stream {
		return streamFuncTool{t}, nil
	}
	return t, nil
}

// schemas describes Go types, with ours whose methods do not tell their form.
var schemas = schema.Types{reflect.TypeFor[Duration](): {Type: "number", Description: "seconds"}}

var (
	typeError  = reflect.TypeFor[error]()
	typeParts  = reflect.TypeFor[[]Part]()
	typeResult = reflect.TypeFor[*ToolResult]()
)

// outputSchema describes what a function returns; nil when it is not JSON or
// could be anything.
func outputSchema(t reflect.Type) (json.RawMessage, error) {
	if t == typeParts || t == typeResult || t.Kind() == reflect.Interface {
		return nil, nil
	}
	return schemas.Output(t)
}

// streamElem returns T of iter.Seq[T] and iter.Seq2[T, error], and out itself
// for any other type.
func streamElem(out reflect.Type) (elem reflect.Type, ok bool) {
	if !out.CanSeq() && !out.CanSeq2() || out.Kind() != reflect.Func {
		return out, false
	}
	yield := out.In(0)
	if yield.NumIn() == 2 && yield.In(1) != typeError {
		return out, false
	}
	if yield.NumIn() == 0 {
		return out, false
	}
	return yield.In(0), true
}

// NewValue returns a pointer to a zero value of the type of the results, for
// those who play recorded calls.
func (t *funcTool) NewValue() any { return reflect.New(t.value).Interface() }

func (t *funcTool) Call(ctx context.Context, call *ToolCall) (*ToolResult, error) {
	out, err := t.run(ctx, call)
	if err != nil {
		return nil, err
	}
	return resultOf(out)
}

func (t *funcTool) run(ctx context.Context, call *ToolCall) (any, error) {
	input, err := t.input.Check(call.Input)
	if err != nil {
		return nil, err
	}
	return t.f(ctx, input)
}

func (t streamFuncTool) Stream(ctx context.Context, call *ToolCall) iter.Seq2[*ToolResult, error] {
	return func(yield func(*ToolResult, error) bool) {
		out, err := t.run(ctx, call)
		if err != nil {
			yield(nil, err)
			return
		}
		for v, err := range values(reflect.ValueOf(out)) {
			var r *ToolResult
			if err == nil {
				r, err = resultOf(v)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Call returns the last value.
func (t streamFuncTool) Call(ctx context.Context, call *ToolCall) (*ToolResult, error) {
	var last *ToolResult
	for r, err := range t.Stream(ctx, call) {
		if err != nil {
			return nil, err
		}
		last = r
	}
	if last == nil {
		last = &ToolResult{}
	}
	return last, nil
}

// values ranges over an iter.Seq[T] or iter.Seq2[T, error].
func values(seq reflect.Value) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		if seq.IsNil() {
			return
		}
		if seq.Type().CanSeq() {
			for v := range seq.Seq() {
				if !yield(v.Interface(), nil) {
					return
				}
			}
			return
		}
		for v, e := range seq.Seq2() {
			err, _ := e.Interface().(error)
			if !yield(v.Interface(), err) || err != nil {
				return
			}
		}
	}
}

// resultOf gives v to the model as NewTool says.
func resultOf(v any) (*ToolResult, error) {
	switch v := v.(type) {
	case *ToolResult:
		return v, nil
	case []Part:
		return &ToolResult{Parts: v}, nil
	case string:
		return &ToolResult{Parts: []Part{Text(v)}, Value: v}, nil
	case []byte:
		if v != nil { // as json.Marshal writes it, which takes four times as long
			b := append(make([]byte, 0, base64.StdEncoding.EncodedLen(len(v))+2), '"')
			return &ToolResult{Parts: []Part{{JSON: append(base64.StdEncoding.AppendEncode(b, v), '"')}}, Value: v}, nil
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("the result cannot be written as JSON: %w", err)
	}
	if string(b) == "null" {
		switch t := reflect.TypeOf(v); {
		case t == nil || schemas.Special(t):
		case t.Kind() == reflect.Slice:
			b = []byte("[]")
		case t.Kind() == reflect.Map:
			b = []byte("{}")
		}
	}
	return &ToolResult{Parts: []Part{{JSON: b}}, Value: v}, nil
}

// nameOf makes a tool name of a type's name.
func nameOf(t reflect.Type) string {
	name := strings.Map(func(r rune) rune {
		if toolName.MatchString(string(r)) {
			return r
		}
		return '_'
	}, t.Name())
	if name == "" {
		return "answer"
	}
	return name[:min(len(name), 64)]
}
