package pdf

import (
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// chunkPages is how many pages one instance reads at a time, and how many are
// lost when it is stopped.
const chunkPages = 16

// spool keeps pages that were read, so that a conversion which is stopped need
// not read them again. Failing to keep them is no error.
type spool struct {
	dir   string // "" = keeps nothing
	pages int
}

// spoolFrom is the length of a document from which on a spool is worth it.
const spoolFrom = 500 // pages

func newSpool(dir string, d *document) *spool {
	if len(d.pages) < spoolFrom || os.MkdirAll(dir, 0o755) != nil {
		dir = ""
	}
	return &spool{dir, len(d.pages)}
}

// The kept form of page and line.
type (
	keptPage struct {
		Label  string
		Height float64
		Failed string
		Lines  []keptLine
		Jumps  []keptJump
	}
	keptLine struct {
		Text                     string
		Top, Left, Size, Advance float64
		Mono, Bold               bool
	}
	keptJump struct {
		Top, Target float64
		Page        int
	}
)

func (s *spool) file(from int) string { return filepath.Join(s.dir, fmt.Sprintf("%06d", from)) }

// save keeps the pages from the given one on.
func (s *spool) save(from int, pages []page) {
	if s.dir == "" {
		return
	}
	var kept []keptPage
	for _, p := range pages {
		k := keptPage{Label: p.label, Height: p.height, Failed: p.failed}
		for _, l := range p.lines {
			k.Lines = append(k.Lines, keptLine{l.text, l.top, l.left, l.size, l.advance, l.mono, l.bold})
		}
		for _, j := range p.jumps {
			k.Jumps = append(k.Jumps, keptJump{j.top, j.target, j.page})
		}
		kept = append(kept, k)
	}
	tmp := s.file(from) + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return
	}
	if errors.Join(gob.NewEncoder(f).Encode(kept), f.Close()) == nil {
		_ = os.Rename(tmp, s.file(from)) // not kept, then
	}
}

// load fills pages from what was kept, and says whether it was.
func (s *spool) load(from int, pages []page) bool {
	if s.dir == "" {
		return false
	}
	f, err := os.Open(s.file(from))
	if err != nil {
		return false
	}
	defer f.Close()
	var kept []keptPage
	if gob.NewDecoder(f).Decode(&kept) != nil || len(kept) != len(pages) {
		return false
	}
	for i, k := range kept {
		p := page{label: k.Label, height: k.Height, failed: k.Failed}
		for _, l := range k.Lines {
			p.lines = append(p.lines, line{text: l.Text, top: l.Top, left: l.Left, size: l.Size, page: from + i, advance: l.Advance, mono: l.Mono, bold: l.Bold})
		}
		for _, j := range k.Jumps {
			p.jumps = append(p.jumps, jump{top: j.Top, page: j.Page, target: j.Target})
		}
		pages[i] = p
	}
	return true
}
