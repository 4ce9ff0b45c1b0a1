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
	finder := &finder{d: d, lines: lines, starts: starts}
	var sections []section
	var open []int // the sections that the next one may lie in, with their levels
	levels := []int{}
	for i, b := range marks {
		for len(levels) > 0 && levels[len(levels)-1] >= b.level {
			open, levels = open[:len(open)-1], levels[:len(levels)-1]
		}
		s := section{title: cmp.Or(b.title, "Untitled"), level: len(open), parent: -1, start: finder.anchor(marks, i)}
		if len(open) > 0 {
			s.parent = open[len(open)-1]
		}
		open, levels = append(open, len(sections)), append(levels, b.level)
		sections = append(sections, s)
	}
	return assign(sections, lines)
}

// assign hands out the lines: each to the section with the greatest start that
// is not beyond it, of several with the same start the last in the outline.
func assign(sections []section, lines []line) []section {
	var order []int
	for i, s := range sections {
		if s.start >= 0 {
			order = append(order, i)
		}
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
