package schema

import (
	"encoding/json"
	"testing"
)

func TestPartial(t *testing.T) {
	for text, want := range map[string]string{
		``:                               ``,
		`{`:                              `{}`,
		`{"na`:                           `{}`,
		`{"name"`:                        `{}`,
		`{"name":`:                       `{}`,
		`{"name": "Os`:                   `{"name": "Os"}`,
		`{"name": "a\`:                   `{"name": "a"}`,
		`{"name": "a\u00`:                `{"name": "a"}`,
		`{"name": "a\"b`:                 `{"name": "a\"b"}`,
		"{\"name\": \"\xc3":              `{"name": ""}`,
		`{"n": 12`:                       `{}`,
		`{"n": 12,`:                      `{"n": 12}`,
		`{"n": 12, "ok": tr`:             `{"n": 12}`,
		`{"list": [1, 2`:                 `{"list": [1]}`,
		`{"list": [1, 2, {"a": [`:        `{"list": [1, 2, {"a": []}]}`,
		`{"list": ["a", "b"], "key`:      `{"list": ["a", "b"]}`,
		`{"list": ["a", "b"], "k": "v"}`: `{"list": ["a", "b"], "k": "v"}`,
		`{"a": ]`:                        ``,
		`12`:                             ``,
	} {
		got, ok := Partial(text)
		if !ok {
			got = nil
		}
		if string(got) != want {
			t.Errorf("Partial(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzPartial: every beginning of JSON gives nothing or valid JSON, and the
// whole gives itself.
func FuzzPartial(f *testing.F) {
	f.Add(`{"a": [1, 2.5e3, "x\u00e9\\", true, null, {"b": {}}], "": "ü"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var v map[string]any
		if json.Unmarshal([]byte(text), &v) != nil || v == nil {
			return
		}
		for i := range len(text) {
			if raw, ok := Partial(text[:i]); ok && !json.Valid(raw) {
				t.Fatalf("Partial(%q) = %q", text[:i], raw)
			} else if !ok && i > len(text)-len(trimLeft(text)) {
				t.Fatalf("Partial(%q) gives nothing", text[:i])
			}
		}
		if _, ok := Partial(text); !ok {
			t.Fatalf("Partial(%q) gives nothing", text)
		}
	})
}

func trimLeft(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		s = s[1:]
	}
	return s
}
