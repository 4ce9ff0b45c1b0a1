package show

import (
	"fmt"
	"io"
	"strings"

	"charm.land/glamour/v2"
	"charm.land/lipgloss/v2"
	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/formatters"
	"github.com/alecthomas/chroma/v2/lexers"
	"github.com/alecthomas/chroma/v2/styles"

	"github.com/strandsgo/strands"
)

// Style is how a terminal is written to. The zero Style is 80 columns wide,
// dark, with colours.
type Style struct {
	Width   int
	Light   bool // the background is
	NoColor bool
}

// terminal shows Markdown as it is meant and code in colours. The model's
// words are written a paragraph at a time, since Markdown can only be read by
// the paragraph.
type terminal struct {
	out      io.Writer
	folder   *Folder
	style    Style
	markdown *glamour.TermRenderer
	held     strings.Builder // words that are no whole paragraph yet
	dim, bar lipgloss.Style
	bad      lipgloss.Style
	last     block
	inLine   bool
	more     bool // this block has a paragraph already
	status   bool // a progress line stands there, to be wiped
	err      error
}

// Terminal shows events on a terminal. What models and code say cannot control
// it; see Clean.
func Terminal(out io.Writer, style Style, folder *Folder) (Printer, error) {
	if style.Width <= 0 {
		style.Width = 80
	}
	name := "dark"
	switch {
	case style.NoColor:
		name = "notty"
	case style.Light:
		name = "light"
	}
	md, err := glamour.NewTermRenderer(glamour.WithStandardStyle(name), glamour.WithWordWrap(min(style.Width, 100)))
	if err != nil {
		return nil, fmt.Errorf("preparing Markdown for the terminal: %w", err)
	}
	t := &terminal{out: out, folder: folder, style: style, markdown: md}
	if !style.NoColor {
		t.dim = lipgloss.NewStyle().Faint(true)
		t.bar = lipgloss.NewStyle().Foreground(lipgloss.Color("4"))
		t.bad = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	}
	return t, nil
}

func (t *terminal) Event(e strands.Event) error {
	switch {
	case e.Delta != nil:
		t.delta(e.Delta)
	case e.ToolStart != nil:
		t.start(e.ToolStart)
	case e.Output != nil:
		t.output(e.Output)
	case e.ToolEnd != nil:
		if s := failure(e.ToolEnd); s != "" && e.ToolEnd.Call.ParentID == "" {
			t.line(s+"\n", t.bad)
		}
	case e.Retry != nil:
		t.progress(Retry(e.Retry))
	case e.Interrupt != nil:
		t.begin(text)
		t.write(Clean(fmt.Sprintf("? %s %v", e.Interrupt.Name, e.Interrupt.Reason)) + "\n")
	case e.Message != nil:
		t.paragraphs(true)
	}
	return t.take()
}

func (t *terminal) End() error {
	t.paragraphs(true)
	t.endLine()
	t.last, t.more = nothing, false
	return t.take()
}

func (t *terminal) delta(d *strands.Delta) {
	switch {
	case d.Text != "":
		if t.last != text {
			t.begin(text)
		}
		t.held.WriteString(d.Text)
		t.paragraphs(false)
	case d.Reasoning != nil && d.Reasoning.Text != "":
		t.begin(reasoning)
		t.write(t.each(Clean(d.Reasoning.Text), t.dim))
	}
}

// paragraphs writes the whole paragraphs of what is held, or everything.
func (t *terminal) paragraphs(all bool) {
	md := t.held.String()
	end := len(md)
	if !all {
		end = wholeParagraphs(md)
	}
	if strings.TrimSpace(md[:end]) == "" {
		return
	}
	t.held.Reset()
	t.held.WriteString(md[end:])
	shown, err := t.markdown.Render(Clean(md[:end]))
	if err != nil {
		shown = Clean(md[:end])
	}
	if t.more {
		t.write("\n")
	}
	t.write(strings.Trim(shown, "\n") + "\n")
	t.more = true
}

// wholeParagraphs returns how much of md ends with an empty line outside of a
// code fence.
func wholeParagraphs(md string) int {
	end, at, fenced := 0, 0, false
	for line := range strings.Lines(md) {
		at += len(line)
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "```") {
			fenced = !fenced
		} else if trimmed == "" && strings.HasSuffix(line, "\n") && !fenced {
			end = at
		}
	}
	return end
}

func (t *terminal) start(c *strands.ToolCall) {
	t.begin(snippet)
	t.endLine()
	src, ok := code(c)
	if !ok {
		t.line("→ "+call(c)+"\n", t.dim)
		return
	}
	for line := range strings.SplitSeq(strings.TrimRight(t.highlight(Clean(src)), "\n"), "\n") {
		t.write(t.bar.Render("  ▌") + " " + line + "\n")
	}
}

// highlight colours Python; code that cannot be is left as it is.
func (t *terminal) highlight(src string) string {
	lexer := lexers.Get("python")
	if t.style.NoColor || lexer == nil {
		return src
	}
	name := "monokai"
	if t.style.Light {
		name = "github"
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, src)
	if err != nil {
		return src
	}
	var b strings.Builder
	if formatters.TTY256.Format(&b, styles.Get(name), tokens) != nil {
		return src
	}
	return b.String()
}

func (t *terminal) output(o *strands.ToolOutput) {
	switch {
	case o.Stdout != "":
		t.line(o.Stdout, lipgloss.NewStyle())
	case o.Stderr != "":
		t.line(o.Stderr, t.bad)
	case o.Value != "":
		t.endLine()
		t.line(o.Value+"\n", lipgloss.NewStyle())
	case o.Image != nil:
		path, err := t.folder.Picture(o.Image)
		if err != nil {
			t.err = err
			return
		}
		t.endLine()
		t.line("picture: "+path+"\n", t.bar)
	case o.File != nil:
		t.endLine()
		t.line("file: "+t.folder.Path(o.File.Name)+"\n", t.bar)
	case o.Progress != "":
		t.progress(o.Progress)
	case o.Part != nil && o.Part.Text != "":
		t.line(o.Part.Text, lipgloss.NewStyle())
	}
}

// line writes output of code, indented, one style for each line.
func (t *terminal) line(s string, style lipgloss.Style) {
	t.last = snippet
	for l := range strings.Lines(Clean(s)) {
		if !t.inLine {
			t.write("    ")
		}
		t.write(t.each(l, style))
	}
}

// each styles the lines of s one by one, so that a style never spans a newline.
func (t *terminal) each(s string, style lipgloss.Style) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		body, newline := strings.CutSuffix(l, "\n")
		if body != "" && !t.style.NoColor {
			body = style.TabWidth(lipgloss.NoTabConversion).Render(body)
		}
		b.WriteString(body)
		if newline {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// progress shows what is being done, on a line that the next output replaces.
func (t *terminal) progress(s string) {
	t.paragraphs(true)
	t.endLine()
	if t.style.NoColor {
		t.write(Clean(s) + "\n")
		return
	}
	t.write("\r\x1b[K" + t.dim.Render(short(Clean(strings.ReplaceAll(s, "\n", " ")), t.style.Width-1)))
	t.status = true
}

func (t *terminal) begin(b block) {
	if t.last != b {
		t.paragraphs(true)
		t.endLine()
		if t.last != nothing {
			t.write("\n")
		}
		t.more = false
	}
	t.last = b
}

func (t *terminal) endLine() {
	if t.inLine && !t.status {
		t.write("\n")
	}
}

func (t *terminal) write(s string) {
	if s == "" || t.err != nil {
		return
	}
	if t.status {
		s, t.status = "\r\x1b[K"+s, false
	}
	_, t.err = io.WriteString(t.out, s)
	t.inLine = !strings.HasSuffix(s, "\n") && !strings.HasSuffix(s, "\x1b[K")
}

func (t *terminal) take() error {
	err := t.err
	t.err = nil
	return err
}
