package pdf

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/strandsgo/strands/knowledge/internal/bundle"
)

type writer struct {
	*carving
	dir     string
	doc     *document
	o       Options
	clean   *cleaner
	nodes   []bundle.Node // one for each section
	kids    [][]int       // by parent
	related [][]int
	now     string
	title   string
}

// unread says which pages could not be read, in few words however many they are.
func unread(pages []page) []string {
	const most = 100
	problems, more := []string{}, 0
	for i := 0; i < len(pages); {
		from, why := i, pages[i].failed
		for i++; i < len(pages) && pages[i].failed == why; i++ {
		}
		which := fmt.Sprintf("page %d", from+1)
		if i > from+1 {
			which = fmt.Sprintf("pages %d to %d", from+1, i)
		}
		switch {
		case why == "":
		case len(problems) == most:
			more += i - from
		default:
			reason, _, _ := strings.Cut(why, "\n") // a trace follows
			problems = append(problems, fmt.Sprintf("%s could not be read: %s", which, reason))
		}
	}
	if more > 0 {
		problems = append(problems, fmt.Sprintf("%d more pages could not be read", more))
	}
	return problems
}

// write makes the files of the bundle in dir.
func write(dir string, d *document, o Options) (*Report, error) {
	report := &Report{Pages: len(d.pages), Problems: unread(d.pages)}
	if d.cut {
		report.Problems = append(report.Problems, "its bookmarks are too many, too deep, or go round in circles; not all became concepts")
	}
	d.number()
	hadOutline := slices.ContainsFunc(d.outline, func(b bookmark) bool { return b.page >= 0 })
	if !hadOutline {
		d.outline = headings(d)
	}
	w := &writer{carving: carve(d, o.MaxLevels), dir: dir, doc: d, o: o, clean: newCleaner(d), now: time.Now().UTC().Format(time.RFC3339)}
	switch {
	case !hadOutline && len(d.outline) > 0:
		report.Problems = append(report.Problems, "the document has no bookmarks that lead anywhere; each concept begins at a line in large type")
	case !hadOutline:
		report.Problems = append(report.Problems, fmt.Sprintf("the document has no bookmarks that lead anywhere; each concept is %d pages", blockPages))
	}
	w.title = cmp.Or(o.Title, d.title, strings.TrimSuffix(o.Resource, ".pdf"))
	for _, l := range w.lines {
		report.WordsIn += countWords(w.clean.line(l.text))
	}
	for _, p := range d.pages {
		for _, l := range p.lines {
			report.HeadWords += countWords(w.clean.line(l.text))
		}
	}
	report.HeadWords -= report.WordsIn
	if report.WordsIn == 0 {
		return nil, &Error{File: o.Resource, Reason: "it has no text that can be read: its pages are pictures, for which a text recognition could be run over it first, or damaged"}
	}
	w.related = w.seeAlso(d)
	w.name()
	for i := range w.sections {
		kept, err := w.concept(i)
		if err != nil {
			return nil, err
		}
		report.WordsKept += kept
	}
	report.Concepts = len(w.sections)
	return report, bundle.Indexes(dir, w.title, w.nodes)
}

// name gives every section an id below its parent's, and a description.
func (w *writer) name() {
	var names bundle.Names
	w.nodes, w.kids = make([]bundle.Node, len(w.sections)), make([][]int, len(w.sections))
	top := 0
	for i, s := range w.sections {
		n := bundle.Node{Title: s.title, Parent: s.parent, Description: w.clean.describe(&s)}
		if s.parent < 0 {
			top++
			n.ID, n.Order = names.Below("", s.title), top
		} else {
			w.kids[s.parent] = append(w.kids[s.parent], i)
			n.ID, n.Order = names.Below(w.nodes[s.parent].ID, s.title), len(w.kids[s.parent])
		}
		w.nodes[i] = n
	}
}

// concept writes one section and returns how many words of the document are in
// it.
func (w *writer) concept(i int) (kept int, err error) {
	s, n := &w.sections[i], &w.nodes[i]
	text, note := w.limit(s)
	kept = countWords(text)
	text += note
	for _, list := range []struct {
		heading string
		of      []int
	}{{"See also", w.related[i]}, {"Subsections", w.kids[i]}} {
		if len(list.of) > 0 {
			text += "\n## " + list.heading + "\n" + w.list(path.Dir(n.ID), list.of)
		}
	}
	f := bundle.Front{
		Type: w.typeName(s.level), Title: s.title, Description: n.Description, Resource: w.o.Resource,
		Generated: bundle.By{By: Version, At: w.now}, Sources: []bundle.Source{{ID: "document", Resource: w.o.Resource, Title: w.title}},
		Level: s.level + 1, Order: n.Order,
	}
	if s.parent >= 0 {
		f.Parent = w.nodes[s.parent].ID
	}
	if s.first > 0 {
		f.Pages, f.PageLabels = pageRange(fmt.Sprint(s.first), fmt.Sprint(s.last)), pageRange(w.doc.pages[s.first-1].label, w.doc.pages[s.last-1].label)
	}
	return kept, bundle.Write(w.dir, n.ID, f, text)
}

func (w *writer) list(folder string, sections []int) string {
	var nodes []bundle.Node
	for _, k := range sections {
		nodes = append(nodes, bundle.Node{ID: w.nodes[k].ID, Title: w.nodes[k].Title})
	}
	return bundle.List(folder, nodes)
}

// limit makes the body of a section and cuts it to what the options allow;
// note says so.
func (w *writer) limit(s *section) (text, note string) {
	lines := s.lines
	if w.o.MaxPages > 0 && s.last-s.first >= w.o.MaxPages {
		lines = slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.page+1 >= s.first+w.o.MaxPages })
		note = fmt.Sprintf("\n[cut after %d pages]\n", w.o.MaxPages)
	}
	text = w.clean.body(s.title, lines)
	if runes := []rune(text); w.o.MaxChars > 0 && len(runes) > w.o.MaxChars {
		return string(runes[:w.o.MaxChars]), fmt.Sprintf("\n[cut after %d characters]\n", w.o.MaxChars)
	}
	return text, note
}

func (w *writer) typeName(level int) string {
	if name := w.o.TypeNames[level+1]; name != "" {
		return name
	}
	if w.o.TypeNames != nil || level > 1 {
		return "Section"
	}
	return []string{"Service", "Topic"}[level]
}

func pageRange(first, last string) string {
	if first == last || last == "" {
		return first
	}
	return first + "-" + last
}

// describe makes a sentence of what stands behind the title of a section and
// of its first sentence.
func (c *cleaner) describe(s *section) string {
	lines, rest := s.lines, ""
	title := letters(s.title)
	if len(lines) > 0 && startsWith(lines, title, false) {
		rest = afterTitle(c.line(lines[0].text), title)
		for n := 1; n < min(3, len(lines)) && !startsWith(s.lines[:n], title, false); n++ {
			lines = lines[1:] // the title goes over several lines
		}
		lines = lines[1:]
	}
	var prose []string
	size := 0
	for i, l := range lines {
		if l.mono || c.isHeading(lines, i) {
			if size > 0 {
				break
			}
			continue
		}
		text := c.line(l.text)
		prose = append(prose, text)
		if size += len(text); size > 2*maxDescription {
			break
		}
	}
	first := firstSentence(strings.Join(prose, " "))
	if rest != "" && first != "" {
		return rest + ": " + first
	}
	return rest + first
}

// afterTitle returns what of a line stands behind a folded title.
func afterTitle(text, title string) string {
	for _, line := range []string{text, unnumbered(text)} {
		n := 0
		for i, r := range line {
			if n >= len(title) && letters(line[:i]) == title {
				return strings.TrimLeftFunc(line[i:], func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			}
			n += len(letters(string(r)))
		}
	}
	return ""
}

const maxDescription = 200 // bytes

func firstSentence(text string) string {
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return w == "." }) // leaders of a table of contents
	text = strings.Join(words, " ")
	if i := strings.Index(text, ". "); i > 20 && i < maxDescription {
		return text[:i+1]
	}
	if len(text) > maxDescription {
		text = strings.ToValidUTF8(text[:maxDescription], "")
		if i := strings.LastIndexByte(text, ' '); i > 0 {
			text = text[:i]
		}
		text += " …"
	}
	return text
}
