package knowledge

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ReadOptions say which part of a concept to read. The zero value reads all
// of it that fits MaxTokens. At most one of Lines, Part and Heading is given.
type ReadOptions struct {
	Lines     [2]int // from and to, from 1, both included; 0 for to = the end
	Part      int    // the nth part of at most MaxTokens, from 1
	Heading   string // the section under this heading
	MaxTokens int    // 0 = 8,000; negative = no bound
}

// Reading is a concept, or a part of it.
type Reading struct {
	*Concept
	Path      string   `json:"path,omitempty"`
	Parent    string   `json:"parent,omitempty"`
	Previous  string   `json:"previous,omitempty"`
	Next      string   `json:"next,omitempty"`
	Children  int      `json:"children"`
	SeeAlso   []string `json:"seeAlso,omitempty"`   // links out, without children
	Backlinks []string `json:"backlinks,omitempty"` // concepts that link here
	Text      string   `json:"text"`
	Lines     [2]int   `json:"lines"` // of Text
	Of        int      `json:"of"`    // lines there are
	Note      string   `json:"note,omitempty"`
}

// Read shows a concept. An unknown id is a *NotFoundError with suggestions.
func (b *Bundle) Read(id string, o ReadOptions) (*Reading, error) {
	s := b.current(context.Background())
	id, err := s.resolveID(id)
	if err != nil {
		return nil, err
	}
	c := s.byID[id]
	if c == nil {
		return nil, fmt.Errorf("%q is a folder; children(%q) lists what is in it", id, id)
	}
	text, err := b.body(c)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	r := &Reading{Concept: c, Path: s.pathOf(id), Parent: s.tree.parent[id], Children: len(s.tree.children[id]), Note: c.notes(b.opts.Now())}
	r.Previous, r.Next = s.siblings(id)
	for _, l := range c.links {
		if !l.child && s.tree.parent[l.to] != id {
			r.SeeAlso = append(r.SeeAlso, l.to)
		}
	}
	for _, back := range s.backlinks[id] {
		r.Backlinks = append(r.Backlinks, back.from)
	}
	return r, r.take(text, o)
}

// take cuts the wanted part out of text.
func (r *Reading) take(text string, o ReadOptions) error {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	r.Of = len(lines)
	from, to := 1, len(lines)
	switch {
	case o.Lines != [2]int{}:
		from, to = max(o.Lines[0], 1), cmp.Or(o.Lines[1], len(lines))
	case o.Heading != "":
		var err error
		if from, to, err = r.section(o.Heading); err != nil {
			return err
		}
	}
	to = min(to, len(lines))
	if from > to {
		return fmt.Errorf("%s has %d lines; there is nothing in %d-%d", r.ID, len(lines), from, to)
	}
	budget := cmp.Or(o.MaxTokens, 8000) * 4
	if budget < 0 {
		budget = 1 << 62
	}
	begin, end := from, from-1
	for part := 1; ; part++ {
		begin, end = end+1, fit(lines, end+1, to, budget)
		if part >= max(o.Part, 1) {
			break
		}
		if end >= to {
			return fmt.Errorf("%s has only %d parts of that size", r.ID, part)
		}
	}
	r.Lines = [2]int{begin, end}
	r.Text = strings.Join(lines[begin-1:end], "\n")
	if len(r.Text) > budget {
		r.Text = strings.ToValidUTF8(r.Text[:budget], "") + " … [line cut]"
	}
	return nil
}

// fit returns the last line, at most to, such that the lines from begin on
// have at most budget bytes; at least one line.
func fit(lines []string, begin, to, budget int) int {
	size := 0
	for i := begin; i <= to; i++ {
		size += len(lines[i-1]) + 1
		if size > budget && i > begin {
			return i - 1
		}
	}
	return to
}

// section returns the lines of the section under a heading.
func (c *Concept) section(name string) (from, to int, err error) {
	var known []string
	for i, h := range c.headings {
		known = append(known, h.text)
		if !strings.EqualFold(h.text, strings.TrimSpace(strings.TrimLeft(name, "# "))) {
			continue
		}
		to = c.lines
		for _, next := range c.headings[i+1:] {
			if next.depth <= h.depth {
				to = next.line - 1
				break
			}
		}
		return h.line, to, nil
	}
	return 0, 0, fmt.Errorf("%s has no heading %q; it has: %s", c.ID, name, strings.Join(known, "; "))
}

// String is what a model should read.
func (r *Reading) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\nid: %s | type: %s", r.Title, r.ID, r.Type)
	for _, f := range []struct{ name, value string }{
		{"in", r.Path}, {"pages", r.Pages}, {"tags", strings.Join(r.Tags, ", ")}, {"source", r.Resource}, {"note", r.Note},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " | %s: %s", f.name, f.value)
		}
	}
	if r.Children > 0 {
		fmt.Fprintf(&b, "\n%d subsections: children(%q)", r.Children, r.ID)
	}
	writeIDs(&b, "See also", r.SeeAlso)
	writeIDs(&b, "Linked from", r.Backlinks)
	if r.Previous != "" || r.Next != "" {
		fmt.Fprintf(&b, "\nPrevious: %s | next: %s", cmp.Or(r.Previous, "-"), cmp.Or(r.Next, "-"))
	}
	b.WriteString("\n\n")
	b.WriteString(r.Text)
	if r.Lines[0] > 1 || r.Lines[1] < r.Of {
		fmt.Fprintf(&b, "\n\n[lines %d-%d of %d", r.Lines[0], r.Lines[1], r.Of)
		if r.Lines[1] < r.Of {
			fmt.Fprintf(&b, "; go on with from_line=%d", r.Lines[1]+1)
		}
		b.WriteString("]")
	}
	return b.String()
}

func writeIDs(b *strings.Builder, label string, ids []string) {
	if len(ids) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %s", label, strings.Join(ids[:min(len(ids), 10)], ", "))
	if len(ids) > 10 {
		fmt.Fprintf(b, " and %d more", len(ids)-10)
	}
}

// GrepOptions narrow Grep.
type GrepOptions struct {
	Under      string // id or folder; "" = everywhere
	Max        int    // lines; 0 = 50, negative = no bound
	IgnoreCase bool
}

// Grepped is the answer of Grep.
type Grepped struct {
	Pattern string     `json:"pattern"`
	Lines   []GrepLine `json:"lines"`
	Cut     bool       `json:"cut,omitempty"` // there are more
}

// GrepLine is one matching line.
type GrepLine struct {
	ID   string `json:"id"`
	Line int    `json:"line"` // of the body, from 1
	Text string `json:"text"`
}

// Grep finds the lines that match a regular expression (RE2 syntax, linear
// time), in the order of ids. It reads on all processors.
func (b *Bundle) Grep(ctx context.Context, pattern string, o GrepOptions) (*Grepped, error) {
	source := pattern
	if o.IgnoreCase {
		source = "(?i)" + source
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("grep: %w", err)
	}
	s := b.current(ctx)
	under := ""
	if o.Under != "" {
		if under, err = s.resolveID(o.Under); err != nil {
			return nil, err
		}
		under = strings.TrimSuffix(under, "/")
	}
	var in []*Concept
	for _, c := range s.concepts {
		if under == "" || c.ID == under || s.isBelow(c.ID, under) {
			in = append(in, c)
		}
	}
	g := &Grepped{Pattern: pattern}
	limit := atMost(o.Max, 50)
	for stretch := range slices.Chunk(in, grepAtOnce) { // no further than there is room
		for _, lines := range b.grepAll(ctx, re, stretch, limit+1) {
			g.Lines = append(g.Lines, lines...)
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("grep: %w", err)
		}
		if len(g.Lines) > limit {
			g.Lines, g.Cut = g.Lines[:limit], true
			break
		}
	}
	return g, nil
}

const grepAtOnce = 256 // concepts that are searched before the lines are counted

// grepAll returns the lines of each concept that match, at most limit of each.
func (b *Bundle) grepAll(ctx context.Context, re *regexp.Regexp, in []*Concept, limit int) [][]GrepLine {
	found := make([][]GrepLine, len(in))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(in)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(in) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if text, err := b.body(in[i]); err == nil {
					found[i] = grepLines(in[i].ID, text, re, limit)
				}
			}
		})
	}
	wg.Wait()
	return found
}

func grepLines(id, text string, re *regexp.Regexp, limit int) (lines []GrepLine) {
	if !re.MatchString(text) {
		return nil
	}
	n := 0
	for line := range strings.Lines(text) {
		if n++; !re.MatchString(line) {
			continue
		}
		line = strings.TrimSpace(line)
		if len(line) > 300 {
			line = strings.ToValidUTF8(line[:300], "") + " …"
		}
		if lines = append(lines, GrepLine{id, n, line}); len(lines) == limit {
			break
		}
	}
	return lines
}

// String is what a model should read.
func (g *Grepped) String() string {
	if len(g.Lines) == 0 {
		return fmt.Sprintf("No line matches %q.", g.Pattern)
	}
	var b strings.Builder
	for _, l := range g.Lines {
		fmt.Fprintf(&b, "%s:%d: %s\n", l.ID, l.Line, l.Text)
	}
	if g.Cut {
		b.WriteString("… and more; narrow the pattern or give under=id\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
