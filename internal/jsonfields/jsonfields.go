// Package jsonfields says which fields encoding/json would write of a struct,
// and under which names.
package jsonfields

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// Field is a field of a struct as encoding/json writes it: Name is that in
// JSON, Index leads there from the struct that was asked about.
type Field struct {
	reflect.StructField
	Options []string // omitempty, omitzero, string
	tagged  bool
}

// Of lists the fields that encoding/json would write, in order, with those
// of embedded structs in their place: of several with one name the shallowest,
// then the only one with a tag; when that leaves two, none. whole tells embedded
// structs that are one value and not their fields.
func Of(t reflect.Type, whole func(reflect.Type) bool) []Field {
	all := fieldsWithin(t, whole, nil, nil)
	named := map[string][]Field{}
	for _, f := range all {
		named[f.Name] = append(named[f.Name], f)
	}
	return slices.DeleteFunc(all, func(f Field) bool { return slices.ContainsFunc(named[f.Name], f.yields) })
}

// yields says whether of two fields with one name the other hides f: of two
// that are equal each hides the other.
func (f Field) yields(other Field) bool {
	switch {
	case slices.Equal(f.Index, other.Index):
		return false
	case len(f.Index) != len(other.Index):
		return len(f.Index) > len(other.Index)
	}
	return other.tagged || !f.tagged
}

// fieldsWithin lists the fields of t, which lies at index, and those of the
// structs that it embeds. around are the structs around it.
func fieldsWithin(t reflect.Type, whole func(reflect.Type) bool, index []int, around []reflect.Type) []Field {
	var out []Field
	around = append(slices.Clip(around), t)
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		elem := f.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		f.Index = append(slices.Clip(index), f.Index...)
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && elem.Kind() == reflect.Struct && !whole(elem):
			if !slices.Contains(around, elem) {
				out = append(out, fieldsWithin(elem, whole, f.Index, around)...)
			}
		case f.IsExported():
			f.Name = cmp.Or(name, f.Name)
			out = append(out, Field{f, strings.Split(options, ","), name != ""})
		}
	}
	return out
}
