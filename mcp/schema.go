package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// inOrder writes a schema as JSON. The SDK decodes schemas into maps, so that
// the order of their properties is lost, which is that of a Python function's
// arguments; "required" is a list and still has it for those it names.
func inOrder(schema any) (json.RawMessage, error) {
	raw, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = write(&b, v, nil)
	return b.Bytes(), err
}

// inputSchema writes the input schema of a tool. What no provider takes is
// mended, or an error: it would refuse every request that offers the tool.
func inputSchema(schema any) (json.RawMessage, error) {
	given, ok := schema.(map[string]any)
	if !ok {
		return nil, errors.New("it is no object")
	}
	object := maps.Clone(given)
	for _, k := range []string{"type", "properties", "required"} {
		if object[k] == nil {
			delete(object, k)
		}
	}
	if kind, ok := object["type"]; ok && kind != "object" {
		return nil, fmt.Errorf("its type is %v, not object", kind)
	}
	object["type"] = "object"
	if p, ok := object["properties"]; ok {
		if _, ok := p.(map[string]any); !ok {
			return nil, errors.New("its properties are no object")
		}
	}
	if r, ok := object["required"]; ok {
		list, ok := r.([]any)
		if !ok || slices.ContainsFunc(list, func(e any) bool { _, ok := e.(string); return !ok }) {
			return nil, errors.New("its required properties are no list of names")
		}
	}
	return inOrder(object)
}

// write appends v; first are the keys to begin with, when it is an object.
func write(b *bytes.Buffer, v any, first []string) error {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.DeleteFunc(slices.Clone(first), func(k string) bool { _, ok := v[k]; return !ok })
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		sep := byte('{')
		for _, k := range keys {
			b.WriteByte(sep)
			sep = ','
			if err := write(b, k, nil); err != nil {
				return err
			}
			b.WriteByte(':')
			var inner []string
			if k == "properties" {
				inner = required(v)
			}
			if err := write(b, v[k], inner); err != nil {
				return err
			}
		}
		if len(keys) == 0 {
			b.WriteByte('{')
		}
		b.WriteByte('}')
		return nil
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, e, nil); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	raw, err := json.Marshal(v)
	b.Write(raw)
	return err
}

// required are the names that an object's schema requires, each once.
func required(schema map[string]any) []string {
	list, _ := schema["required"].([]any)
	var names []string
	for _, e := range list {
		if name, ok := e.(string); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
