package python

import (
	"context"
	"fmt"
	"reflect"

	"github.com/strandsgo/strands"
)

// ObjectOf offers the exported methods of v as those of one Python object,
// their names in snake case, documented by docs (Go name → text). A method has
// the form
//
//	func(ctx context.Context, in In) (Out, error)
//
// where ctx, in and Out may be missing; In is a struct as NewTool of the root
// package takes it. ObjectOf panics, as that does, on a method of another form
// and on a key of docs that is no method: both are mistakes of the program.
func ObjectOf(name, doc string, v any, docs map[string]string) Object {
	if !isIdentifier(name) {
		panic(fmt.Sprintf("python.ObjectOf: %q is no Python name", name))
	}
	rv := reflect.ValueOf(v)
	if !rv.IsValid() {
		panic(fmt.Sprintf("python.ObjectOf(%q): the value is nil", name))
	}
	o := Object{Name: name, Doc: doc}
	known := map[string]bool{}
	for i := range rv.NumMethod() {
		m := rv.Type().Method(i)
		known[m.Name] = true
		o.Methods = append(o.Methods, methodTool(name, m.Name, docs[m.Name], rv.Method(i)))
	}
	for method := range docs {
		if !known[method] {
			panic(fmt.Sprintf("python.ObjectOf(%q): docs names %s, which %T does not have", name, method, v))
		}
	}
	return o
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// method is a Go method seen as the function of a tool.
type method struct {
	fn       reflect.Value
	ctx      bool
	in, out  reflect.Type // nil = none
	hasError bool
}

func methodTool(object, name, doc string, fn reflect.Value) strands.Tool {
	m, ok := methodOf(fn)
	if !ok {
		panic(fmt.Sprintf("python.ObjectOf(%q): method %s is a %v; it must be func([context.Context,] [In]) ([Out,] [error]) with a struct In",
			object, name, fn.Type()))
	}
	in, out := m.in, m.out
	if in == nil {
		in = reflect.TypeFor[struct{}]()
	}
	if out == nil {
		out = reflect.TypeFor[any]()
	}
	t, err := strands.NewToolOf(snake(name), doc, in, out, m.call)
	if err != nil {
		panic(fmt.Sprintf("python.ObjectOf(%q): method %s: %v", object, name, err))
	}
	return t
}

func (m method) call(ctx context.Context, in reflect.Value) (any, error) {
	var args []reflect.Value
	if m.ctx {
		args = append(args, reflect.ValueOf(ctx))
	}
	if m.in != nil {
		args = append(args, in)
	}
	results := m.fn.Call(args)
	if m.hasError {
		last := len(results) - 1
		if err, _ := results[last].Interface().(error); err != nil {
			return nil, err
		}
	}
	if m.out == nil {
		return nil, nil
	}
	return results[0].Interface(), nil
}

func methodOf(fn reflect.Value) (m method, ok bool) {
	t := fn.Type()
	m.fn = fn
	in := 0
	if t.NumIn() > in && t.In(in) == contextType {
		m.ctx = true
		in++
	}
	if t.NumIn() > in {
		m.in = t.In(in)
		in++
		if m.in.Kind() != reflect.Struct {
			return m, false
		}
	}
	out := 0
	if t.NumOut() > out && t.Out(out) != errorType {
		m.out = t.Out(out)
		out++
	}
	if t.NumOut() > out && t.Out(out) == errorType {
		m.hasError = true
		out++
	}
	return m, in == t.NumIn() && out == t.NumOut() && !t.IsVariadic()
}
