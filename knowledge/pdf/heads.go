package pdf

import (
	"regexp"
	"strconv"
	"strings"
)

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
			l.fold, l.bare = letters(l.text), letters(unnumbered(l.text))
			lines = append(lines, l)
		}
	}
	starts[len(d.pages)] = len(lines)
	return lines, starts
}

const (
	headEdges = 2   // lines at the top and bottom of a page that may be heads
	headZone  = .12 // of the page's height at its top and bottom
	headPages = 3   // pages on which the same must stand
	headBand  = 4   // points within which it stands at the same height
)

// sign is what running heads of several pages have in common: their text, or a
// page number that is as far from the page's place in the file, at the same
// height.
type sign struct {
	text   string
	offset int
	band   int
}

// runningHeads finds the lines at the edges of pages that are not part of the
// text.
func runningHeads(d *document) map[[2]int]bool {
	count := map[sign]int{}
	visit := func(do func(i, j int, signs []sign)) {
		for i, p := range d.pages {
			eachEdge(p, func(j int, l line) { do(i, j, signsOf(l, i)) })
		}
	}
	visit(func(_, _ int, signs []sign) {
		for _, s := range signs {
			count[s]++
		}
	})
	heads := map[[2]int]bool{}
	visit(func(i, j int, signs []sign) {
		for _, s := range signs {
			if count[s] >= headPages {
				heads[[2]int{i, j}] = true
			}
		}
	})
	return heads
}

// eachEdge calls do with the lines of a page that may be running heads.
func eachEdge(p page, do func(j int, l line)) {
	for j, l := range p.lines {
		atEdge := l.top < p.height*headZone || l.top > p.height*(1-headZone)
		if atEdge && len(l.text) < 160 && (j < headEdges || j >= len(p.lines)-headEdges) {
			do(j, l)
		}
	}
}

var romanNumber = regexp.MustCompile(`^(?i)m{0,3}(cm|cd|d?c{0,3})(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})$`)

// signsOf lists what l, a line on the page with that index, may share with
// others. A line of several numbers is a table.
func signsOf(l line, page int) []sign {
	band := int(l.top) / headBand
	words := strings.Fields(strings.Trim(l.text, "-–—| \t\r"))
	if len(words) == 0 {
		return nil
	}
	var signs []sign
	if text := letters(l.text); strings.ContainsFunc(text, func(r rune) bool { return r > '9' }) {
		signs = append(signs, sign{text: text, band: band})
	}
	ends := []string{words[0]}
	if len(words) > 1 {
		ends = append(ends, words[len(words)-1])
	}
	numbers := 0
	for _, w := range words {
		if _, err := strconv.Atoi(w); err == nil {
			numbers++
		}
	}
	for _, w := range ends {
		n, err := strconv.Atoi(w)
		switch {
		case err == nil && numbers <= 2:
			signs = append(signs, sign{text: "#", offset: n - page, band: band})
		case len(words) == 1 && romanNumber.MatchString(w):
			signs = append(signs, sign{text: "roman", offset: roman(w) - page, band: band})
		}
	}
	return signs
}

func roman(s string) int {
	value := map[rune]int{'i': 1, 'v': 5, 'x': 10, 'l': 50, 'c': 100, 'd': 500, 'm': 1000}
	total, last := 0, 0
	for _, r := range strings.ToLower(s) {
		v := value[r]
		if total += v; last < v {
			total -= 2 * last
		}
		last = v
	}
	return total
}
