package pdf

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// section is a concept in the making: what one bookmark stands for.
type section struct {
	title  string
	level  int // depth in the tree, 0 = outermost
	parent int // index; -1 = none
	start  int // index of its first line
	lines  []line
	first  int // page of its first line, from 1
	last   int
}

// carve cuts the document into sections at the places its bookmarks point to.
// Every line that is no running head is in exactly one section: what comes
// before the first bookmark is a section of its own, and a section ends where
// the next one begins, whatever the order of the outline.
func carve(d *document, maxLevels int) []section {
	lines, starts := flatten(d)
	marks := d.outline
	if maxLevels > 0 {
		marks = slices.DeleteFunc(slices.Clone(marks), func(b bookmark) bool { return b.level >= maxLevels })
	}
	if len(marks) == 0 {
		return blocks(d, lines)
	}
	var sections []section
	var open []int // the sections that the next one may lie in, with their levels
	levels := []int{}
	for _, b := range marks {
		for len(levels) > 0 && levels[len(levels)-1] >= b.level {
			open, levels = open[:len(open)-1], levels[:len(levels)-1]
		}
		s := section{title: cmp.Or(b.title, "Untitled"), level: len(open), parent: -1, start: anchor(d, lines, starts, b)}
		if len(open) > 0 {
			s.parent = open[len(open)-1]
		}
		open, levels = append(open, len(sections)), append(levels, b.level)
		sections = append(sections, s)
	}
	settleUnknown(sections)
	return assign(sections, lines)
}

// settleUnknown gives a section whose bookmark leads nowhere the start of the
// next one: it has no text of its own then, but keeps its place in the tree.
func settleUnknown(sections []section) {
	next := -1
	for i := len(sections) - 1; i >= 0; i-- {
		if sections[i].start < 0 {
			sections[i].start = next
		}
		next = sections[i].start
	}
	for i := range sections {
		if sections[i].start < 0 && i > 0 {
			sections[i].start = sections[i-1].start
		} else if sections[i].start < 0 {
			sections[i].start = 0
		}
	}
}

// assign hands out the lines: each to the section with the greatest start that
// is not beyond it, of several with the same start the last in the outline.
func assign(sections []section, lines []line) []section {
	order := make([]int, len(sections))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(sections[x].start, sections[y].start) })
	var front []line
	if len(order) == 0 || sections[order[0]].start > 0 {
		end := len(lines)
		if len(order) > 0 {
			end = sections[order[0]].start
		}
		front = lines[:end]
	}
	for i, n := range order {
		end := len(lines)
		if i+1 < len(order) {
			end = sections[order[i+1]].start
		}
		sections[n].take(lines[sections[n].start:end])
	}
	if len(front) > 0 {
		s := section{title: "Front matter", parent: -1}
		s.take(front)
		for i := range sections {
			if sections[i].parent >= 0 {
				sections[i].parent++
			}
		}
		sections = append([]section{s}, sections...)
	}
	return sections
}

func (s *section) take(lines []line) {
	s.lines = lines
	if len(lines) > 0 {
		s.first, s.last = lines[0].page+1, lines[len(lines)-1].page+1
	}
}

// flatten lists the lines of all pages, without running heads, in order, and
// where each page begins in the list.
func flatten(d *document) (lines []line, starts []int) {
	heads := runningHeads(d)
	starts = make([]int, len(d.pages)+1)
	for i, p := range d.pages {
		starts[i] = len(lines)
		for j, l := range p.lines {
			if heads[[2]int{i, j}] {
				continue
			}
			lines = append(lines, l)
		}
	}
	starts[len(d.pages)] = len(lines)
	return lines, starts
}

const (
	above = 40 // points that a title may stand above the place its bookmark names
	below = 60 // and below
)

// anchor finds the line at which the section of a bookmark begins: its title
// near the place it points to, else anywhere on that page, else the first line
// below that place; -1 when it points nowhere.
func anchor(d *document, lines []line, starts []int, b bookmark) int {
	if b.page < 0 || b.page >= len(d.pages) {
		return -1
	}
	from, to := starts[b.page], starts[b.page+1]
	want := letters(b.title)
	near := func(l line) bool { return l.top > b.y-above && l.top < b.y+below }
	anywhere := func(line) bool { return true }
	for _, ok := range []func(line) bool{near, anywhere} {
		for _, exact := range []bool{true, false} {
			for i := from; i < to; i++ {
				if ok(lines[i]) && isTitle(lines[i:to], want, exact) {
					return i
				}
			}
		}
	}
	for i := from; i < to; i++ {
		if lines[i].top >= b.y-2 {
			return i
		}
	}
	return to
}

// isTitle says whether lines begin with the title want, on up to three lines,
// after an optional number.
func isTitle(lines []line, want string, exact bool) bool {
	if want == "" {
		return false
	}
	text := ""
	for i := 0; i < min(3, len(lines)); i++ {
		text += lines[i].text + " "
		for _, t := range []string{text, sectionNumber.ReplaceAllString(strings.TrimSpace(text), "")} {
			got := letters(t)
			if got == want || !exact && len(want) >= 3 && strings.HasPrefix(got, want) {
				return true
			}
		}
	}
	return false
}

var sectionNumber = regexp.MustCompile(`^(?:(?i:chapter|section|appendix|part)\s+)?[0-9A-Z]{1,3}(?:\.[0-9]+)*\.?\s+`)

// letters folds a text to its letters and digits.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, strings.NewReplacer("ﬁ", "fi", "ﬂ", "fl", "ﬀ", "ff", "ﬃ", "ffi", "ﬄ", "ffl").Replace(s))
}

var (
	digits    = regexp.MustCompile(`\d+`)
	pageOnly  = regexp.MustCompile(`^[-–—\s]*(?:\d{1,5}|[ivxlcdm]{1,8})[-–—\s]*$`)
	headEdges = 2 // lines at the top and bottom of a page that may be heads
)

// runningHeads finds the lines at the edge of pages that say the same, digits
// aside, at the same height on three pages or more, and page numbers alone.
func runningHeads(d *document) map[[2]int]bool {
	type spot struct {
		text string
		top  int
	}
	count := map[spot]int{}
	edges := func(p page, visit func(j int, l line)) {
		for j, l := range p.lines {
			if j < headEdges || j >= len(p.lines)-headEdges {
				visit(j, l)
			}
		}
	}
	key := func(l line) spot { return spot{digits.ReplaceAllString(letters(l.text), "#"), int(l.top) / 4} }
	for _, p := range d.pages {
		edges(p, func(_ int, l line) { count[key(l)]++ })
	}
	heads := map[[2]int]bool{}
	for i, p := range d.pages {
		edges(p, func(j int, l line) {
			n := count[key(l)]
			atEdge := l.top < p.height*.12 || l.top > p.height*.88
			if atEdge && n >= 3 && (len(l.text) < 120 || pageOnly.MatchString(l.text)) {
				heads[[2]int{i, j}] = true
			}
		})
	}
	return heads
}

const blockPages = 10

// blocks cuts a document without bookmarks into stretches of pages.
func blocks(d *document, lines []line) []section {
	var sections []section
	for len(lines) > 0 {
		first := lines[0].page / blockPages * blockPages
		n := slices.IndexFunc(lines, func(l line) bool { return l.page >= first+blockPages })
		if n < 0 {
			n = len(lines)
		}
		s := section{parent: -1, title: fmt.Sprintf("Pages %d to %d", first+1, min(first+blockPages, len(d.pages)))}
		s.take(lines[:n])
		sections = append(sections, s)
		lines = lines[n:]
	}
	return sections
}
