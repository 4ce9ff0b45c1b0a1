package codeagent

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/strandsgo/strands"
)

const (
	readTool   = "read_result"
	searchKept = "search_result"

	shownResult  = 6_000 // characters of a result that a model sees whole, about 1,500 tokens
	shownPreview = 2_000 // of one that it does not
	keptResults  = 100   // handles of a session; the oldest goes first
	readLines    = 50    // lines that a look shows, unless it asks for others
)

// A handle stands for a large result: lines of text, or rows of a table.
type handle struct {
	lines func() iter.Seq[string]
	count int
	noun  string // "lines", "rows"
}

// rows is a native result that has more than its text tells, such as a
// table.Table, which this package does not know.
type rows interface {
	Columns() []string
	Len() int
	Rows() iter.Seq[[]any]
}

// handles are those of one session.
type handles struct {
	mu   sync.Mutex
	made int
	kept map[string]handle
}

// Close implements io.Closer.
func (*handles) Close() error { return nil }

type handlesKey struct{}

func handlesOf(ctx context.Context, s *strands.Session) (*handles, error) {
	return strands.Attach(ctx, s, handlesKey{}, func(context.Context) (*handles, error) {
		return &handles{kept: map[string]handle{}}, nil
	})
}

func (h *handles) keep(it handle) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	name := handleName(h.made)
	h.kept[name] = it
	delete(h.kept, handleName(h.made-keptResults))
	return name
}

func handleName(n int) string { return fmt.Sprintf("result_%d", n) }

func (h *handles) get(name string) (handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if it, ok := h.kept[name]; ok {
		return it, nil
	}
	return handle{}, fmt.Errorf("there is no %q; the newest is %s, and the last %d are kept", name, handleName(h.made), keptResults)
}

// keepLarge replaces a large result by its beginning and a handle.
func keepLarge(ctx context.Context, e *strands.AfterToolCall) error {
	if e.Err != nil || e.Result.IsError || e.Call.Name == readTool || e.Call.Name == searchKept {
		return nil
	}
	it, preview := large(e.Result)
	if preview == "" {
		return nil
	}
	kept, err := handlesOf(ctx, e.Session)
	if err != nil {
		return err
	}
	name := kept.keep(it)
	preview += fmt.Sprintf("\n[%d %s; all of them are kept as %s: %s and %s take that handle]", it.count, it.noun, name, readTool, searchKept)
	e.Result = &strands.ToolResult{CallID: e.Result.CallID, Parts: []strands.Part{strands.Text(preview)}}
	return nil
}

// large makes a handle of a result that is too large to be shown, and what is
// shown instead; "" when it is not.
func large(r *strands.ToolResult) (handle, string) {
	whole := r.Text()
	if t, ok := r.Value.(rows); ok {
		if cut(whole, t) {
			return handle{tableLines(t), t.Len(), "rows"}, whole
		}
		return handle{}, ""
	}
	for _, p := range r.Parts {
		if p.Image != nil || p.Document != nil || p.Video != nil {
			return handle{}, "" // it is not only text
		}
	}
	if len(whole) <= shownResult {
		return handle{}, ""
	}
	lines := textLines(whole)
	it := handle{func() iter.Seq[string] { return slices.Values(lines) }, len(lines), "lines"}
	return it, strings.ToValidUTF8(whole[:shownPreview], "") + " …"
}

// textLines cuts a text into lines, and a JSON array into its elements, which
// often come on one line.
func textLines(text string) []string {
	var elements []json.RawMessage
	if json.Unmarshal([]byte(text), &elements) != nil {
		return slices.Collect(strings.Lines(text))
	}
	lines := make([]string, len(elements))
	for i, e := range elements {
		lines[i] = string(e)
	}
	return lines
}

// cut says whether the preview of a table lacks rows.
func cut(preview string, t rows) bool {
	var p struct {
		Rows []json.RawMessage `json:"rows"`
	}
	return json.Unmarshal([]byte(preview), &p) != nil || len(p.Rows) < t.Len()
}

// tableLines yields each row as a JSON array.
func tableLines(t rows) func() iter.Seq[string] {
	return func() iter.Seq[string] {
		return func(yield func(string) bool) {
			for row := range t.Rows() {
				line, err := json.Marshal(row)
				if err != nil { // such as NaN
					line = fmt.Append(nil, row...)
				}
				if !yield(string(line) + "\n") {
					return
				}
			}
		}
	}
}

type readResultInput struct {
	Handle string `json:"handle" jsonschema:"as a result named it"`
	From   int    `json:"from,omitempty" jsonschema:"the first line or row, counted from 1"`
	Count  int    `json:"count,omitempty" jsonschema:"how many; 50 when left out"`
}

type searchResultInput struct {
	Handle  string `json:"handle" jsonschema:"as a result named it"`
	Pattern string `json:"pattern" jsonschema:"a regular expression (RE2)"`
	Count   int    `json:"count,omitempty" jsonschema:"at most so many; 50 when left out"`
}

func handleTools() []strands.Tool {
	return []strands.Tool{
		strands.NewTool(readTool, "Shows lines or rows of a large result.", func(ctx context.Context, in readResultInput) (string, error) {
			from := max(in.From, 1)
			return look(ctx, in.Handle, in.Count, func(n int, _ string) bool { return n >= from })
		}),
		strands.NewTool(searchKept, "Finds lines or rows of a large result by a regular expression.", func(ctx context.Context, in searchResultInput) (string, error) {
			re, err := regexp.Compile(in.Pattern)
			if err != nil {
				return "", err
			}
			return look(ctx, in.Handle, in.Count, func(_ int, line string) bool { return re.MatchString(line) })
		}),
	}
}

// look shows the first lines that want accepts, with their numbers, as far as
// a result may be long.
func look(ctx context.Context, name string, count int, want func(n int, line string) bool) (string, error) {
	kept, err := handlesOf(ctx, strands.SessionFrom(ctx))
	if err != nil {
		return "", err
	}
	it, err := kept.get(name)
	if err != nil {
		return "", err
	}
	if count <= 0 {
		count = readLines
	}
	var b strings.Builder
	n := 0
	for line := range it.lines() {
		n++
		line = strings.TrimRight(line, "\r\n")
		if !want(n, line) {
			continue
		}
		if count == 0 || b.Len() > shownResult {
			fmt.Fprintf(&b, "[more follow from %d of %d %s]", n, it.count, it.noun)
			return b.String(), nil
		}
		count--
		fmt.Fprintf(&b, "%d: %s\n", n, clipped(line, shownResult))
	}
	if b.Len() == 0 {
		return fmt.Sprintf("None of the %d %s.", it.count, it.noun), nil
	}
	return b.String(), nil
}
