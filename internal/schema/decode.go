package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Decode reads input that was checked into v, a pointer to the struct of the
// checker. What a schema cannot say, such as the range of an int64, is an error
// for the model, which names the property.
func Decode(input json.RawMessage, v any) error {
	err := json.Unmarshal(input, v)
	if err == nil {
		return nil
	}
	name, err := blame(input, reflect.TypeOf(v).Elem(), err)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return fmt.Errorf("invalid input: %s: %s does not fit into %s", e.Field, e.Value, e.Type)
	}
	if e, ok := errors.AsType[*time.ParseError](err); ok {
		err = fmt.Errorf("%.100q is no time; write it like 2026-11-21T14:30:00Z", strings.Trim(e.Value, `"`))
	}
	return fmt.Errorf("invalid input: %s%w", name, err)
}

// blame returns the property that cannot be read, by reading each alone, and
// why. The errors of types that read themselves do not say it.
func blame(input json.RawMessage, t reflect.Type, all error) (name string, err error) {
	var named map[string]json.RawMessage
	if json.Unmarshal(input, &named) != nil {
		return "", all
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		alone, err := json.Marshal(map[string]json.RawMessage{name: named[name]})
		if err != nil {
			return "", all
		}
		if err := json.Unmarshal(alone, reflect.New(t).Interface()); err != nil {
			return name + ": ", err
		}
	}
	return "", all
}

var timeForms = []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", time.RFC3339}

// wholeTime completes what stands for a time; false when nothing is missing, or
// it stands for none.
func wholeTime(text string) (any, bool) {
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return nil, false
	}
	text = strings.Replace(strings.TrimSpace(text), " ", "T", 1)
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.Format(time.RFC3339Nano), true
		}
	}
	return nil, false
}
