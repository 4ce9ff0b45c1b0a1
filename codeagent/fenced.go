package codeagent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/strandsgo/strands"
)

// Fenced makes a code agent of a model that answers with fenced Python instead
// of calling a tool, as small local models do. The model is not offered
// python_repl; it is asked to end its message with a fence labelled python,
// which becomes a call of that tool. What it writes after the first such fence
// is dropped: it cannot know yet what the code does. In the history calls and
// results of python_repl are turned into fences and plain text, so the model
// need not know tools at all. Other tools, and requests without python_repl,
// pass through.
func Fenced(m strands.Model) strands.Model { return fencedModel{m} }

type fencedModel struct{ model strands.Model }

// Unwrap returns the model inside.
func (f fencedModel) Unwrap() strands.Model { return f.model }

const fencedRule = "To run Python, call no tool: end your message with one block that begins with a line ```python and ends with a line ```. " +
	"It runs in python_repl, and the next message is its output. Write nothing after the block and never make up its output. " +
	"Put code that is only to be read into a block that begins with ```text."

// Generate implements strands.Model.
func (f fencedModel) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	isREPL := func(s strands.ToolSpec) bool { return s.Name == replTool }
	if !slices.ContainsFunc(req.Tools, isREPL) {
		return f.model.Generate(ctx, req)
	}
	return func(yield func(strands.Chunk, error) bool) {
		inner := &strands.Request{
			System:     append(slices.Clone(req.System), strands.Text(fencedRule)),
			Messages:   asFences(req.Messages),
			Tools:      slices.DeleteFunc(slices.Clone(req.Tools), isREPL),
			ToolChoice: req.ToolChoice,
		}
		if inner.ToolChoice.Tool == replTool || len(inner.Tools) == 0 {
			inner.ToolChoice = strands.ToolChoice{}
		}
		s := &fenceStream{id: "fence_" + rand.Text()[:16], scanners: map[int]*fenceScanner{}}
		for chunk, err := range f.model.Generate(ctx, inner) {
			switch {
			case err != nil:
				yield(strands.Chunk{}, err)
				return
			case chunk.Reply != nil:
				for _, d := range s.finish() {
					if !yield(strands.Chunk{Delta: d}, nil) {
						return
					}
				}
				yield(strands.Chunk{Reply: s.reply(chunk.Reply)}, nil)
				return
			}
			for _, d := range s.deltas(chunk.Delta) {
				if !yield(strands.Chunk{Delta: d}, nil) {
					return
				}
			}
		}
	}
}

// asFences writes the history as such a model would have lived it.
func asFences(history []strands.Message) []strands.Message {
	out := make([]strands.Message, len(history))
	snippets := map[string]bool{} // ids of calls
	for i, m := range history {
		parts := make([]strands.Part, 0, len(m.Parts))
		for _, p := range m.Parts {
			switch {
			case p.ToolCall != nil && p.ToolCall.Name == replTool:
				snippets[p.ToolCall.ID] = true
				parts = append(parts, strands.Text("```python\n"+codeOf(p.ToolCall)+"\n```"))
			case p.ToolResult != nil && snippets[p.ToolResult.CallID]:
				parts = append(parts, strands.Text("Output of the code:"))
				parts = append(parts, p.ToolResult.Parts...)
			default:
				parts = append(parts, p)
			}
		}
		m.Parts = parts
		out[i] = m
	}
	return out
}

// codeOf returns the snippet of a call, or its whole input when it has none.
func codeOf(c *strands.ToolCall) string {
	var in struct {
		Code *string `json:"code"`
	}
	if json.Unmarshal(c.Input, &in) != nil || in.Code == nil {
		return string(c.Input)
	}
	return *in.Code
}

// fenceStream turns the deltas and the reply of one answer.
type fenceStream struct {
	id       string
	scanners map[int]*fenceScanner // by block
	calling  bool                  // a fence was opened
	at       int                   // the block it is in
}

// deltas returns what the receiver sees of d. The call is a block of its own
// behind the one with the fence, so later blocks move by one.
func (s *fenceStream) deltas(d *strands.Delta) []*strands.Delta {
	plain := d.Reasoning == nil && d.ToolCall == nil && d.Citation == nil
	switch {
	case plain && s.calling && d.Block != s.at:
		return nil
	case plain:
		if s.scanners[d.Block] == nil {
			s.scanners[d.Block] = &fenceScanner{}
		}
		text, code := s.scanners[d.Block].write(d.Text)
		return s.scanned(d.Block, text, code)
	case s.calling && d.Block > s.at:
		moved := *d
		moved.Block++
		return []*strands.Delta{&moved}
	}
	return []*strands.Delta{d}
}

// scanned makes deltas of what a scanner found in a block.
func (s *fenceStream) scanned(block int, text, code string) []*strands.Delta {
	var out []*strands.Delta
	if text != "" {
		out = append(out, &strands.Delta{Block: block, Text: text})
	}
	if s.calling || !s.scanners[block].opened {
		if code != "" {
			out = append(out, s.input(escaped(code)))
		}
		return out
	}
	s.calling, s.at = true, block
	out = append(out, &strands.Delta{Block: block + 1, ToolCall: &strands.ToolCallDelta{ID: s.id, Name: replTool, Input: `{"code":"` + escaped(code)}})
	return out
}

func (s *fenceStream) input(text string) *strands.Delta {
	return &strands.Delta{Block: s.at + 1, ToolCall: &strands.ToolCallDelta{Input: text}}
}

// finish returns the deltas that were held back in case a fence began, or
// ended, there.
func (s *fenceStream) finish() []*strands.Delta {
	var out []*strands.Delta
	for _, block := range sortedKeys(s.scanners) {
		if s.calling && block != s.at {
			continue
		}
		text, code := s.scanners[block].close()
		out = append(out, s.scanned(block, text, code)...)
	}
	if s.calling {
		out = append(out, s.input(`"}`))
	}
	return out
}

func sortedKeys(m map[int]*fenceScanner) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// reply turns the first fence of r into a call. A fence that the token limit
// cut off is left alone: half a program must not run.
func (s *fenceStream) reply(r *strands.Reply) *strands.Reply {
	out := *r
	out.Message.Parts = nil
	found := false
	for _, p := range r.Message.Parts {
		prose := p.Text != "" && p.Reasoning == nil
		switch {
		case found && prose:
		case prose:
			var sc fenceScanner
			text, code := sc.write(p.Text)
			moreText, moreCode := sc.close()
			text, code = text+moreText, code+moreCode
			if strings.TrimSpace(code) == "" || !sc.closed && r.StopReason == strands.StopMaxTokens {
				out.Message.Parts = append(out.Message.Parts, p)
				continue
			}
			found = true
			if text = strings.TrimRight(text, "\n "); text != "" {
				out.Message.Parts = append(out.Message.Parts, strands.Text(text))
			}
			input, _ := json.Marshal(map[string]string{"code": code}) // strings always marshal
			out.Message.Parts = append(out.Message.Parts, strands.Part{ToolCall: &strands.ToolCall{ID: s.id, Name: replTool, Input: input}})
		default:
			out.Message.Parts = append(out.Message.Parts, p)
		}
	}
	if found && (r.StopReason == strands.StopEndTurn || r.StopReason == strands.StopSequence || r.StopReason == "") {
		out.StopReason = strands.StopToolUse
	}
	return &out
}

// escaped is s as it stands inside of a JSON string. It works byte by byte,
// because a delta may end within a character.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c < 0x20:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// fenceScanner finds the first Python fence in a text that comes in pieces.
type fenceScanner struct {
	line   string // the present line, as long as it may be a fence
	passed bool   // the present line is none, and was given out
	fence  string // that opened the code
	opened bool
	closed bool
	begun  bool // there was a line of code
}

// write returns what of the text so far is prose and what is code. Text after
// the closing fence is neither.
func (f *fenceScanner) write(s string) (text, code string) {
	var t, c strings.Builder
	for _, piece := range strings.SplitAfter(s, "\n") {
		if f.closed {
			break
		}
		ended := strings.HasSuffix(piece, "\n")
		f.line += piece
		if !ended && !f.passed && maybeFence(f.line) {
			break // the last piece: more may come
		}
		f.take(ended, &t, &c)
	}
	return t.String(), c.String()
}

// close returns what was held back at the end of the text.
func (f *fenceScanner) close() (text, code string) {
	var t, c strings.Builder
	if f.line != "" && !f.closed {
		f.take(true, &t, &c)
	}
	return t.String(), c.String()
}

// take gives out the present line, or what there is of it.
func (f *fenceScanner) take(ended bool, text, code *strings.Builder) {
	line := f.line
	f.line = ""
	first := !f.passed
	f.passed = !ended
	body := strings.TrimSuffix(line, "\n")
	switch {
	case !f.opened && first && ended && isPythonFence(body):
		f.fence, f.opened = fenceOf(body), true
	case !f.opened:
		text.WriteString(line)
	case first && ended && closes(body, f.fence):
		f.closed = true
	default:
		if first && f.begun {
			code.WriteString("\n")
		}
		f.begun = true
		code.WriteString(body)
	}
}

// fenceOf returns the run of backticks or tildes that a line begins with; ""
// when there are fewer than three, or more than three blanks before it.
func fenceOf(line string) string {
	rest := strings.TrimLeft(line, " ")
	if len(line)-len(rest) > 3 || rest == "" || rest[0] != '`' && rest[0] != '~' {
		return ""
	}
	n := len(rest) - len(strings.TrimLeft(rest, rest[:1]))
	if n < 3 {
		return ""
	}
	return rest[:n]
}

var pythonLabels = []string{"python", "py", "python3", "ipython", "python_repl", "tool_code"}

func isPythonFence(line string) bool {
	fence := fenceOf(line)
	label := strings.Fields(strings.TrimPrefix(strings.TrimLeft(line, " "), fence))
	return fence != "" && len(label) > 0 && slices.Contains(pythonLabels, strings.ToLower(label[0]))
}

func closes(line, fence string) bool {
	f := fenceOf(line)
	return len(f) >= len(fence) && f[0] == fence[0] && strings.TrimSpace(line) == f
}

// maybeFence says whether a line that is not complete may become a fence: few
// blanks, then backticks or tildes only, or those and part of a label.
func maybeFence(line string) bool {
	rest := strings.TrimLeft(line, " ")
	if len(line)-len(rest) > 3 {
		return false
	}
	if rest == "" {
		return true
	}
	if rest[0] != '`' && rest[0] != '~' {
		return false
	}
	label := strings.TrimLeft(rest, rest[:1])
	if len(rest)-len(label) < 3 {
		return label == ""
	}
	return len(label) <= 20
}
