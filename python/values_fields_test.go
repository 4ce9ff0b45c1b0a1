package python

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

type hiddenFields struct{ Secret string }

type taggedFields struct {
	ID int `json:"a_id"`
}

// What a struct keeps out of JSON stays out of Python, and what is in JSON is
// there once.
func TestFieldsAreThoseOfJSON(t *testing.T) {
	for _, v := range []any{
		struct {
			hiddenFields `json:"-"`
			X            int
		}{},
		struct {
			taggedFields
			ID int `json:"id"`
		}{},
		struct {
			taggedFields
			hiddenFields
		}{},
	} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		var got, names []string
		for _, f := range jsonFields(reflect.TypeOf(v)) {
			got = append(got, f.name)
		}
		for name := range want {
			names = append(names, name)
		}
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) {
			t.Errorf("%v of %s", got, raw)
		}
	}
}
