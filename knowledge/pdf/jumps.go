package pdf

import (
	"slices"

	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
)

// maxJumps bounds the links of one page: an index has hundreds.
const maxJumps = 2000

// jumps lists the links of a page to other places of the document.
func (o *opened) jumps(page references.FPDF_PAGE, height float64) []jump {
	var found []jump
	at := 0
	for range maxJumps {
		next, err := o.p.FPDFLink_Enumerate(&requests.FPDFLink_Enumerate{Page: requests.Page{ByReference: &page}, StartPos: at})
		if err != nil || next.Link == nil {
			break
		}
		at = *next.NextStartPos
		if j, ok := o.jump(*next.Link, height); ok {
			found = append(found, j)
		}
	}
	return found
}

func (o *opened) jump(link references.FPDF_LINK, height float64) (jump, bool) {
	d, err := o.p.FPDFLink_GetDest(&requests.FPDFLink_GetDest{Document: o.doc, Link: link})
	if err != nil || d.Dest == nil {
		return jump{}, false
	}
	index, err := o.p.FPDFDest_GetDestPageIndex(&requests.FPDFDest_GetDestPageIndex{Document: o.doc, Dest: *d.Dest})
	if err != nil || index.Index < 0 {
		return jump{}, false
	}
	rect, err := o.p.FPDFLink_GetAnnotRect(&requests.FPDFLink_GetAnnotRect{Link: link})
	if err != nil || rect.Rect == nil {
		return jump{}, false
	}
	middle := (rect.Rect.Top + rect.Rect.Bottom) / 2
	return jump{top: height - float64(middle), page: index.Index, target: o.fromTop(*d.Dest, index.Index)}, true
}

const (
	maxSeeAlso = 100 // of a section: one with more links is a list of contents or an index
	jumpAbove  = 4   // points by which the line that a link means may be above its target
	sameMark   = 2   // points between the target of a link and that of a bookmark which are the same
	sameLine   = 2   // points by which the middle of a link may be above its line
)

// seeAlso lists, for each section, the others that it links to, in the order of
// the text.
func (c *carving) seeAlso(d *document) [][]int {
	byPage := make([][]int, len(d.pages)) // bookmarks
	for i, b := range c.outline {
		if b.page >= 0 && b.page < len(byPage) {
			byPage[b.page] = append(byPage[b.page], i)
		}
	}
	related := make([][]int, len(c.sections))
	for n, p := range d.pages {
		for _, j := range p.jumps {
			from, to := c.at(n, j.top), c.target(j, byPage)
			if from < 0 || to < 0 || from == to || c.sections[from].front || c.sections[to].parent == from || slices.Contains(related[from], to) {
				continue
			}
			if len(related[from]) <= maxSeeAlso {
				related[from] = append(related[from], to)
			}
		}
	}
	for i := range related {
		if len(related[i]) > maxSeeAlso {
			related[i] = nil
		}
	}
	return related
}

// at finds the section of the text at a height of a page; -1 = none.
func (c *carving) at(page int, top float64) int {
	found := -1
	for i := c.starts[page]; i < c.starts[page+1]; i++ {
		if c.lines[i].top <= top+sameLine {
			found = c.owners[i]
		}
	}
	return found
}

// target finds the section that a link means: that of a bookmark to the same
// place, else that of the first line there.
func (c *carving) target(j jump, byPage [][]int) int {
	if j.page >= len(byPage) {
		return -1
	}
	for _, i := range byPage[j.page] {
		if y := c.outline[i].y; y-sameMark < j.target && j.target < y+sameMark {
			return c.marks[i]
		}
	}
	for i := c.starts[j.page]; i < c.starts[j.page+1]; i++ {
		if c.lines[i].top >= j.target-jumpAbove {
			return c.owners[i]
		}
	}
	if end := c.starts[j.page+1]; end > 0 {
		return c.owners[end-1]
	}
	return -1
}
