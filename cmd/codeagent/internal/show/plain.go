package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/strandsgo/strands"
)

// block is what kind of thing was written last; between two kinds goes an
// empty line.
type block int

const (
	nothing block = iota
	text
	reasoning
	snippet // code and what it showed, as one
)

// plain is text for pipes and files: the model's words as they are, code and
// its output indented as in a Python session.
type plain struct {
	out, progress io.Writer
	folder        *Folder
	last          block
	inLine        bool // the last character was no newline
	err           error
}

// Plain shows events as plain text on out, progress and retries on progress.
func Plain(out, progress io.Writer, folder *Folder) Printer {
	return &plain{out: out, progress: progress, folder: folder}
}

func (p *plain) Event(e strands.Event) error {
	switch {
	case e.Delta != nil:
		p.delta(e.Delta)
	case e.ToolStart != nil:
		p.start(e.ToolStart)
	case e.Output != nil:
		p.output(e.Output)
	case e.ToolEnd != nil:
		if s := failure(e.ToolEnd); s != "" && e.ToolEnd.Call.ParentID == "" {
			p.indented(s)
			p.endLine()
		}
	case e.Retry != nil:
		p.endLine()
		fmt.Fprintln(p.progress, "codeagent:", Retry(e.Retry))
	case e.Interrupt != nil:
		p.begin(text)
		p.write(fmt.Sprintf("? %s %v\n", e.Interrupt.Name, e.Interrupt.Reason))
	}
	return p.take()
}

func (p *plain) End() error {
	p.endLine()
	p.last = nothing
	return p.take()
}

func (p *plain) delta(d *strands.Delta) {
	switch {
	case d.Text != "":
		p.begin(text)
		p.write(d.Text)
	case d.Reasoning != nil && d.Reasoning.Text != "":
		p.begin(reasoning)
		p.prefixed(d.Reasoning.Text, "> ")
	}
}

func (p *plain) start(c *strands.ToolCall) {
	p.begin(snippet)
	p.endLine()
	src, ok := code(c)
	if !ok {
		p.indented("-> " + call(c))
		p.endLine()
		return
	}
	prompt := ">>> "
	for line := range strings.SplitSeq(src, "\n") {
		p.write(strings.TrimRight("    "+prompt+line, " ") + "\n")
		prompt = "... "
	}
}

func (p *plain) output(o *strands.ToolOutput) {
	switch {
	case o.Stdout != "":
		p.indented(o.Stdout)
	case o.Stderr != "":
		p.indented(o.Stderr)
	case o.Value != "":
		p.endLine()
		p.indented(o.Value)
		p.endLine()
	case o.Image != nil:
		path, err := p.folder.Picture(o.Image)
		p.saved("picture", path, err)
	case o.File != nil:
		p.saved("file", p.folder.Path(o.File.Name), nil)
	case o.Progress != "":
		fmt.Fprintln(p.progress, "codeagent:", o.Progress)
	case o.Part != nil && o.Part.Text != "":
		p.indented(o.Part.Text)
	}
}

func (p *plain) saved(kind, path string, err error) {
	if err != nil {
		p.err = err
		return
	}
	p.endLine()
	p.indented(kind + ": " + path)
	p.endLine()
}

// begin starts a block, after an empty line when the kind changes.
func (p *plain) begin(b block) {
	if p.last != b {
		p.endLine()
		if p.last != nothing {
			p.write("\n")
		}
	}
	p.last = b
}

func (p *plain) endLine() {
	if p.inLine {
		p.write("\n")
	}
}

func (p *plain) indented(s string) {
	p.last = snippet
	p.prefixed(s, "    ")
}

func (p *plain) prefixed(s, prefix string) {
	for line := range strings.Lines(s) {
		if !p.inLine {
			p.write(prefix)
		}
		p.write(line)
	}
}

func (p *plain) write(s string) {
	if s == "" || p.err != nil {
		return
	}
	_, p.err = io.WriteString(p.out, s)
	p.inLine = !strings.HasSuffix(s, "\n")
}

func (p *plain) take() error {
	err := p.err
	p.err = nil
	return err
}
