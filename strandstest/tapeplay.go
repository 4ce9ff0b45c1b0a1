package strandstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/strandsgo/strands"
)

// playModel says what the model said to the same request. Sub-agents may ask
// in another order than they did.
func (t *Tape) playModel(req *strands.Request, yield func(strands.Chunk, error) bool) {
	m, err := t.find(req)
	if err != nil {
		yield(strands.Chunk{}, err)
		return
	}
	for _, d := range m.Deltas {
		if !yield(strands.Chunk{Delta: d}, nil) {
			return
		}
	}
	if m.Err != nil {
		yield(strands.Chunk{}, m.Err.error())
		return
	}
	reply := *m.Reply
	reply.Message = reply.Message.Clone()
	yield(strands.Chunk{Reply: &reply}, nil)
}

func (t *Tape) find(req *strands.Request) (*modelEntry, error) {
	now := tree(plainRequest(req))
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.models) == 0 {
		return nil, fmt.Errorf("%w: the model is asked once more than it was", ErrDiffers)
	}
	first := ""
	for i, m := range t.models {
		where := difference("the request", tree(&m.request), now)
		if where == "" {
			t.models = slices.Delete(t.models, i, i+1)
			return m, nil
		}
		if i == 0 {
			first = where
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrDiffers, first)
}

// take finds the recording of a call. Calls from Python may come in another
// order than they did.
func (t *Tape) take(call *strands.ToolCall) (*callEntry, error) {
	now := tree(compact(call.Input))
	t.mu.Lock()
	defer t.mu.Unlock()
	near := ""
	for i, c := range t.calls {
		if c.Name != call.Name {
			continue
		}
		where := difference("the input of "+call.Name, tree(c.Input), now)
		if where == "" {
			t.calls = slices.Delete(t.calls, i, i+1)
			return c, nil
		}
		if near == "" {
			near = where
		}
	}
	if near == "" {
		near = fmt.Sprintf("%s is called once more than it was, with %s", call.Name, compact(call.Input))
	}
	return nil, strands.Fatal(fmt.Errorf("%w: %s", ErrDiffers, near))
}

// tree is v as encoding/json sees it.
func tree(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	_ = json.Unmarshal(raw, &out) // it was marshalled just now
	return out
}

// difference names the first place where two trees differ; "" when nowhere.
func difference(at string, was, is any) string {
	switch was := was.(type) {
	case map[string]any:
		is, ok := is.(map[string]any)
		if !ok {
			break
		}
		keys := maps.Clone(was)
		maps.Copy(keys, is)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if d := difference(at+"."+k, was[k], is[k]); d != "" {
				return d
			}
		}
		return ""
	case []any:
		is, ok := is.([]any)
		if !ok {
			break
		}
		for i := range min(len(was), len(is)) {
			if d := difference(fmt.Sprintf("%s[%d]", at, i), was[i], is[i]); d != "" {
				return d
			}
		}
		switch {
		case len(is) > len(was):
			return fmt.Sprintf("%s[%d] is new: %s", at, len(was), excerpt(text(is[len(was)]), 0))
		case len(is) < len(was):
			return fmt.Sprintf("%s[%d] is missing: %s", at, len(is), excerpt(text(was[len(is)]), 0))
		}
		return ""
	case string:
		if is, ok := is.(string); ok {
			return textDifference(at, addresses.ReplaceAllString(was, " at 0x…"), addresses.ReplaceAllString(is, " at 0x…"))
		}
	}
	if was, is := text(was), text(is); was != is {
		return fmt.Sprintf("%s was %s and is %s", at, excerpt(was, 0), excerpt(is, 0))
	}
	return ""
}

// addresses are what Python shows of objects without a text of their own.
var addresses = regexp.MustCompile(` at 0x[0-9a-fA-F]+`)

func textDifference(at, was, is string) string {
	if was == is {
		return ""
	}
	n := 0
	for n < min(len(was), len(is)) && was[n] == is[n] {
		n++
	}
	return fmt.Sprintf("%s differs at character %d: it was %q and is %q", at, utf8.RuneCountInString(was[:n]), excerpt(was, n), excerpt(is, n))
}

// excerpt shows s around byte n.
func excerpt(s string, n int) string {
	const before, after = 30, 60
	from, to := max(n-before, 0), min(n+after, len(s))
	out := strings.ToValidUTF8(s[from:to], "")
	if from > 0 {
		out = "…" + out
	}
	if to < len(s) {
		out += "…"
	}
	return out
}

func text(v any) string {
	if v == nil {
		return "nothing"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
