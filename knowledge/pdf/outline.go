package pdf

import (
	"context"
	"slices"
	"strings"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"
)

const (
	maxBookmarks = 20_000
	maxLevel     = 64
	maxAlike     = 200 // bookmarks of one list with the same title and place
	maxNested    = 2   // likewise, each in the one before
)

// outline walks the bookmarks itself: the library's own walk never returns
// from a cycle. What is too deep or too much is left out, and cut is true.
func (o *opened) outline(ctx context.Context) (found []bookmark, cut bool) {
	w := outlineWalk{o: o, ctx: ctx}
	if first, err := o.p.FPDFBookmark_GetFirstChild(&requests.FPDFBookmark_GetFirstChild{Document: o.doc}); err == nil {
		w.siblings(first.Bookmark, nil)
	}
	if !w.cut {
		w.direct()
	}
	return w.found, w.cut
}

type outlineWalk struct {
	o     *opened
	ctx   context.Context
	found []bookmark
	cut   bool
	steps int
}

// place is what two bookmarks have in common that are the same one, met again
// in a cycle. PDFium does not tell them apart otherwise.
type place struct {
	title string
	page  int
	y     float64
}

func (w *outlineWalk) siblings(b *references.FPDF_BOOKMARK, above []place) {
	seen := map[place][]int{} // where in found they are
	for b != nil && w.ctx.Err() == nil {
		if w.steps++; w.steps > maxBookmarks || len(above) >= maxLevel {
			w.cut = true
			return
		}
		mark := bookmark{level: len(above), page: -1}
		if t, err := w.o.p.FPDFBookmark_GetTitle(&requests.FPDFBookmark_GetTitle{Bookmark: *b}); err == nil {
			mark.title = strings.Join(strings.Fields(t.Title), " ")
		}
		w.aim(&mark, *b)
		here := place{mark.title, mark.page, mark.y}
		seen[here] = append(seen[here], len(w.found))
		if len(seen[here]) > maxAlike { // a cycle: once round it is enough
			w.found, w.cut = w.found[:seen[here][1]], true
			return
		}
		w.found = append(w.found, mark)
		if nested(above, here) >= maxNested {
			w.cut = true
		} else if child, err := w.o.p.FPDFBookmark_GetFirstChild(&requests.FPDFBookmark_GetFirstChild{Document: w.o.doc, Bookmark: b}); err == nil {
			w.siblings(child.Bookmark, append(slices.Clone(above), here))
		}
		next, err := w.o.p.FPDFBookmark_GetNextSibling(&requests.FPDFBookmark_GetNextSibling{Document: w.o.doc, Bookmark: *b})
		if err != nil {
			return
		}
		b = next.Bookmark
	}
}

func nested(above []place, here place) int {
	n := 0
	for _, p := range above {
		if p == here {
			n++
		}
	}
	return n
}

// aim finds where a bookmark points to by its action.
func (w *outlineWalk) aim(mark *bookmark, b references.FPDF_BOOKMARK) {
	p := w.o.p
	a, err := p.FPDFBookmark_GetAction(&requests.FPDFBookmark_GetAction{Bookmark: b})
	if err != nil || a.Action == nil {
		return
	}
	d, err := p.FPDFAction_GetDest(&requests.FPDFAction_GetDest{Document: w.o.doc, Action: *a.Action})
	if err != nil || d.Dest == nil {
		return
	}
	if index, err := p.FPDFDest_GetDestPageIndex(&requests.FPDFDest_GetDestPageIndex{Document: w.o.doc, Dest: *d.Dest}); err == nil && index.Index >= 0 {
		mark.page, mark.y = index.Index, w.o.fromTop(*d.Dest, index.Index)
	}
}

// direct finds where bookmarks point to that have a destination and no action.
// The library's FPDFBookmark_GetDest asks the module for another function (up
// to 1.19.0, WebAssembly only) and finds nothing; its own walk asks for the
// right one, but must not meet a cycle.
func (w *outlineWalk) direct() {
	if !slices.ContainsFunc(w.found, func(b bookmark) bool { return b.page < 0 }) {
		return
	}
	all, err := w.o.p.GetBookmarks(&requests.GetBookmarks{Document: w.o.doc})
	if err != nil {
		return
	}
	i := 0
	var visit func(marks []responses.GetBookmarksBookmark)
	visit = func(marks []responses.GetBookmarksBookmark) {
		for _, m := range marks {
			if i >= len(w.found) {
				return
			}
			if b := &w.found[i]; b.page < 0 && m.DestInfo != nil && m.DestInfo.PageIndex >= 0 {
				b.page = m.DestInfo.PageIndex
				b.y = w.o.fromTop(m.DestInfo.Reference, b.page)
			}
			i++
			visit(m.Children)
		}
	}
	visit(all.Bookmarks)
}

// fromTop is how far below the top of its page a destination is.
func (o *opened) fromTop(dest references.FPDF_DEST, pageNo int) float64 {
	view, err := o.p.FPDFDest_GetView(&requests.FPDFDest_GetView{Dest: dest})
	if err != nil {
		return 0
	}
	switch view.DestView {
	case enums.FPDF_PDFDEST_VIEW_XYZ:
		if at, err := o.p.FPDFDest_GetLocationInPage(&requests.FPDFDest_GetLocationInPage{Dest: dest}); err == nil && at.Y != nil {
			return max(0, o.height(pageNo)-float64(*at.Y))
		}
	case enums.FPDF_PDFDEST_VIEW_FITH, enums.FPDF_PDFDEST_VIEW_FITBH:
		if len(view.Params) > 0 {
			return max(0, o.height(pageNo)-float64(view.Params[0]))
		}
	}
	return 0
}

func (o *opened) height(pageNo int) float64 {
	h, known := o.heights[pageNo]
	if !known {
		if size, err := o.p.FPDF_GetPageSizeByIndex(&requests.FPDF_GetPageSizeByIndex{Document: o.doc, Index: pageNo}); err == nil {
			h = size.Height
		}
		o.heights[pageNo] = h
	}
	return h
}
