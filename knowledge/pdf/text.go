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
type cleaner struct {
	words map[string]bool
	size  float64 // of most of its text
}

func newCleaner(d *document) *cleaner {
	c := &cleaner{words: map[string]bool{}, size: bodySize(d)}
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

// body makes Markdown of the lines of a section with that title: headings and
// code are marked, paragraphs are kept apart where the page leaves room, and
// what would be read as markup is escaped.
func (c *cleaner) body(title string, lines []line) string {
	var b strings.Builder
	title = letters(title)
	for i := 0; i < len(lines); {
		text := c.line(lines[i].text)
		if strings.TrimSpace(text) == "" {
			i++
			continue
		}
		if b.Len() > 0 && gap(lines, i) {
			b.WriteByte('\n')
		}
		if n := codeLines(lines[i:]); n > 0 {
			c.code(&b, lines[i:i+n])
			i += n
			continue
		}
		switch {
		case i == 0 && startsWith(lines, title, false):
			b.WriteString("# " + strings.TrimSpace(text))
		case c.isHeading(lines, i):
			b.WriteString("## " + strings.TrimSpace(text))
		default:
			b.WriteString(escape(text))
		}
		b.WriteByte('\n')
		i++
	}
	return b.String()
}

// gap says whether the page leaves room above line i. A line that was broken at
// hyphens is taller by a line for each.
func gap(lines []line, i int) bool {
	if i == 0 || lines[i].page != lines[i-1].page {
		return false
	}
	size := max(lines[i].size, lines[i-1].size, 6)
	broken := float64(strings.Count(lines[i-1].text, string(endHyphen)))
	return lines[i].top-lines[i-1].top > size*(1.8+1.3*broken)
}

// codeLines counts the lines of code at the front.
func codeLines(lines []line) int {
	n := 0
	for n < len(lines) && lines[n].mono {
		n++
	}
	return n
}

const maxIndent = 60 // characters

// code writes lines as a fenced block, each as far to the right as on its page.
func (c *cleaner) code(b *strings.Builder, lines []line) {
	left, fence := map[int]float64{}, "```" // the leftmost of each page
	for _, l := range lines {
		if at, ok := left[l.page]; !ok || l.left < at {
			left[l.page] = l.left
		}
		for strings.Contains(l.text, fence) {
			fence += "`"
		}
	}
	b.WriteString(fence + "\n")
	for i, l := range lines {
		if gap(lines, i) {
			b.WriteByte('\n')
		}
		indent := 0
		if l.advance > 0 {
			indent = min(int((l.left-left[l.page])/l.advance+.5), maxIndent)
		}
		b.WriteString(strings.Repeat(" ", indent) + strings.TrimLeft(c.line(l.text), " ") + "\n")
	}
	b.WriteString(fence + "\n")
}

const maxHeading = 100 // bytes

// isHeading says whether line i stands for itself in bold or larger type than
// the document's.
func (c *cleaner) isHeading(lines []line, i int) bool {
	l := lines[i]
	if !l.bold && l.size < c.size*headingSize || len(l.text) > maxHeading || strings.HasSuffix(l.text, ".") || !strings.ContainsFunc(l.text, unicode.IsLetter) {
		return false
	}
	like := func(j int) bool {
		return j >= 0 && j < len(lines) && lines[j].page == l.page && lines[j].bold == l.bold && lines[j].size == l.size && !gap(lines, max(i, j))
	}
	return !like(i-1) && !like(i+1) // several are a paragraph, or a table
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
