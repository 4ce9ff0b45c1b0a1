package pdf

import (
	"strings"
	"unicode"
)

// endHyphen is what PDFium makes of a hyphen at the end of a line: the line
// break is gone with it.
const endHyphen = '\ufffe'

// cleaner turns the lines of sections into text. It knows the words of the
// whole document, to tell "infor-mation" from "user-defined".
type cleaner struct{ words map[string]bool }

func newCleaner(d *document) *cleaner {
	c := &cleaner{words: map[string]bool{}}
	for _, p := range d.pages {
		for _, l := range p.lines {
			for w := range strings.FieldsFuncSeq(l.text, func(r rune) bool { return !unicode.IsLetter(r) && r != endHyphen }) {
				if !strings.ContainsRune(w, endHyphen) {
					c.words[strings.ToLower(w)] = true
				}
			}
		}
	}
	return c
}

// line cleans one line: hyphens are joined, control characters go.
func (c *cleaner) line(s string) string {
	if strings.ContainsRune(s, endHyphen) {
		s = c.join(s)
	}
	return strings.TrimRightFunc(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r == '\u00ad', r == '\ufeff', r == endHyphen:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")), unicode.IsSpace)
}

// join drops an end-of-line hyphen when the joined word occurs elsewhere, and
// makes it a plain one otherwise.
func (c *cleaner) join(s string) string {
	runes := []rune(s)
	var b strings.Builder
	for i, r := range runes {
		if r != endHyphen {
			b.WriteRune(r)
			continue
		}
		left, right := i, i+1
		for left > 0 && unicode.IsLetter(runes[left-1]) {
			left--
		}
		for right < len(runes) && unicode.IsLetter(runes[right]) {
			right++
		}
		if !c.words[strings.ToLower(string(runes[left:i])+string(runes[i+1:right]))] {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// body makes Markdown of a section's lines: paragraphs are kept apart where the
// page leaves room, and what would be read as markup is escaped.
func (c *cleaner) body(lines []line) string {
	var b strings.Builder
	for i, l := range lines {
		text := c.line(l.text)
		if strings.TrimSpace(text) == "" {
			continue
		}
		if i > 0 && l.page == lines[i-1].page && l.top-lines[i-1].top > 1.8*max(l.size, lines[i-1].size, 6) {
			b.WriteByte('\n')
		}
		b.WriteString(escape(text))
		b.WriteByte('\n')
	}
	return b.String()
}

// escape keeps a line of plain text from being a heading, a fence, a rule or a
// link to another concept.
func escape(s string) string {
	t := strings.TrimLeft(s, " ")
	if strings.HasPrefix(t, "#") || strings.HasPrefix(t, "```") || strings.HasPrefix(t, "~~~") || strings.HasPrefix(t, "---") || strings.HasPrefix(t, "[") {
		s = s[:len(s)-len(t)] + `\` + t
	}
	return strings.ReplaceAll(s, "](", `]\(`)
}

// countWords counts what a reader would: runs without blanks that have a
// letter or digit.
func countWords(s string) int {
	n := 0
	for w := range strings.FieldsSeq(s) {
		if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}
