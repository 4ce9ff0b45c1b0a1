package pdf

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	headingSize  = 1.15 // times the size of the text
	headingSteps = 3    // sizes of headings that become levels
	minHeadings  = 3
	headingShare = 6 // of that many lines at most one is a heading
)

// bodySize is the size of most of the document's text.
func bodySize(d *document) float64 {
	weight := map[float64]int{}
	for _, p := range d.pages {
		for _, l := range p.lines {
			weight[l.size] += len(l.text)
		}
	}
	best := 0.0
	for size, n := range weight {
		if n > weight[best] || n == weight[best] && size < best {
			best = size
		}
	}
	return best
}

// headings makes an outline for a document that has none, of the lines in
// larger type than the rest; nil when they do not look like headings.
func headings(d *document) []bookmark {
	lines, _ := flatten(d)
	body := bodySize(d)
	var found []bookmark
	var sizes []float64
	for i, l := range lines {
		text := strings.Join(strings.Fields(l.text), " ")
		if l.mono || l.size < body*headingSize || len(text) > maxHeading || !strings.ContainsFunc(text, unicode.IsLetter) {
			continue
		}
		if i > 0 && len(found) > 0 && lines[i-1].size == l.size && lines[i-1].page == l.page && !gap(lines, i) && len(found[len(found)-1].title) < maxHeading {
			found[len(found)-1].title += " " + text // the heading goes on
			continue
		}
		found = append(found, bookmark{title: text, page: l.page, y: l.top})
		sizes = append(sizes, l.size)
	}
	if len(found) < minHeadings || len(found)*headingShare > len(lines) {
		return nil
	}
	steps := slices.Clone(sizes)
	slices.SortFunc(steps, func(x, y float64) int { return cmp.Compare(y, x) })
	steps = slices.Compact(steps)
	for i := range found {
		found[i].level = min(slices.Index(steps, sizes[i]), headingSteps-1)
	}
	return found
}

// number gives pages without a label of their own the number that is printed
// on most of them, at the same distance from their place in the file.
func (d *document) number() {
	count := map[int]int{}
	for i, p := range d.pages {
		if p.label != "" {
			return
		}
		seen := map[int]bool{}
		eachEdge(p, func(_ int, l line) {
			for _, s := range signsOf(l, i) {
				if s.text == "#" && !seen[s.offset] {
					seen[s.offset] = true
					count[s.offset]++
				}
			}
		})
	}
	best := 0
	for offset, n := range count {
		if n > count[best] || n == count[best] && offset < best {
			best = offset
		}
	}
	if count[best]*2 < len(d.pages) {
		return
	}
	for i := range d.pages {
		if i+best > 0 {
			d.pages[i].label = strconv.Itoa(i + best)
		}
	}
}
