package pdf

import (
	"cmp"
	"fmt"
	"slices"
)

// section is a concept in the making: what one bookmark stands for.
type section struct {
	title  string
	level  int // depth in the tree, 0 = outermost
	parent int // index; -1 = none
	start  int // index of its first line; -1 = unknown
	lines  []line
	first  int  // page of its first line, from 1
	last   int  // and of its last one
	front  bool // it has no bookmark: what comes before the first one
}

// carving is a document cut into sections.
type carving struct {
	sections []section
	lines    []line // of all pages, without running heads
	starts   []int  // the first line of each page, and the end
	owners   []int  // the section of each line
	marks    []int  // the section of each bookmark that was followed
	outline  []bookmark
}

// carve cuts the document into sections at the places its bookmarks point to.
// Every line that is no running head is in exactly one section: what comes
// before the first bookmark is a section of its own, and a section ends where
// the next one begins, whatever the order of the outline.
func carve(d *document, maxLevels int) *carving {
	c := &carving{outline: d.outline}
	c.lines, c.starts = flatten(d)
	if maxLevels > 0 {
		c.outline = slices.DeleteFunc(slices.Clone(c.outline), func(b bookmark) bool { return b.level >= maxLevels })
	}
	if len(c.outline) == 0 {
		c.blocks(len(d.pages))
		return c
	}
	finder := &finder{d: d, lines: c.lines, starts: c.starts}
	var open []int // the sections that the next one may lie in, with their levels
	levels := []int{}
	for i, b := range c.outline {
		for len(levels) > 0 && levels[len(levels)-1] >= b.level {
			open, levels = open[:len(open)-1], levels[:len(levels)-1]
		}
		s := section{title: cmp.Or(b.title, "Untitled"), level: len(open), parent: -1, start: finder.anchor(c.outline, i)}
		if len(open) > 0 {
			s.parent = open[len(open)-1]
		}
		open, levels = append(open, len(c.sections)), append(levels, b.level)
		c.marks = append(c.marks, len(c.sections))
		c.sections = append(c.sections, s)
	}
	c.assign()
	return c
}

// assign hands out the lines: each to the section with the greatest start that
// is not beyond it, of several with the same start the last in the outline.
func (c *carving) assign() {
	var order []int
	for i, s := range c.sections {
		if s.start >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(c.sections[x].start, c.sections[y].start) })
	if len(order) == 0 || c.sections[order[0]].start > 0 {
		for i := range c.sections {
			if c.sections[i].parent >= 0 {
				c.sections[i].parent++
			}
		}
		for i := range c.marks {
			c.marks[i]++
		}
		for i := range order {
			order[i]++
		}
		c.sections = append([]section{{title: "Front matter", parent: -1, front: true}}, c.sections...)
		order = append([]int{0}, order...)
	}
	for i, n := range order {
		end := len(c.lines)
		if i+1 < len(order) {
			end = c.sections[order[i+1]].start
		}
		c.take(n, c.sections[n].start, end)
	}
	if c.sections[0].front && len(c.sections[0].lines) == 0 {
		c.sections = c.sections[1:]
		for i := range c.sections {
			c.sections[i].parent = max(c.sections[i].parent-1, -1)
		}
		for i := range c.marks {
			c.marks[i]--
		}
		for i := range c.owners {
			c.owners[i]--
		}
	}
}

// take gives section n the lines from begin up to end, which follow those that
// were given before.
func (c *carving) take(n, begin, end int) {
	s := &c.sections[n]
	s.lines = c.lines[begin:end]
	for range s.lines {
		c.owners = append(c.owners, n)
	}
	if len(s.lines) > 0 {
		s.first, s.last = s.lines[0].page+1, s.lines[len(s.lines)-1].page+1
	}
}

const blockPages = 10

// blocks cuts a document that shows no sections into stretches of pages.
func (c *carving) blocks(pages int) {
	for begin := 0; begin < len(c.lines); {
		first := c.lines[begin].page / blockPages * blockPages
		end := c.starts[min(first+blockPages, pages)]
		c.sections = append(c.sections, section{parent: -1, title: fmt.Sprintf("Pages %d to %d", first+1, min(first+blockPages, pages))})
		c.take(len(c.sections)-1, begin, end)
		begin = end
	}
}
