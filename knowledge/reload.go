package knowledge

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	lookEvery  = time.Second
	lookAtOnce = 1000 // files, and folders; of more, each time others in turn
)

// place is the folder of a bundle as it is now: a converter that runs again
// puts another in its place.
type place struct {
	fsys fs.FS
	root *os.Root // nil for an fs.FS
}

// stamp is how a file or folder was when it was last read.
type stamp struct {
	name    string
	size    int64 // -1 = a folder
	modTime int64 // as changedAt has it
}

// current returns the state that a method works with. When the last look is a
// second old it looks whether something changed, and if so reads it first;
// other calls go on meanwhile.
func (b *Bundle) current(ctx context.Context) *state {
	s := b.state.Load()
	if b.dir == "" || b.opts.Index != nil {
		return s
	}
	now, last := time.Now().UnixNano(), b.looked.Load()
	if now-last < int64(lookEvery) || !b.looked.CompareAndSwap(last, now) {
		return s
	}
	if b.changed(s) && b.Refresh(ctx) == nil { // else what there was still answers
		return b.state.Load()
	}
	return s
}

// changed looks at the times of folders and files. Folders tell what was added
// and removed, files what was written in place.
func (b *Bundle) changed(s *state) bool {
	if b.moved() {
		return true
	}
	turn := int(b.turn.Add(1) - 1)
	for _, all := range [][]stamp{s.folders, s.files} {
		for i := range min(len(all), lookAtOnce) {
			old := all[(turn*lookAtOnce+i)%len(all)]
			now, err := os.Lstat(filepath.Join(b.dir, filepath.FromSlash(old.name)))
			if err != nil || now.ModTime().UnixNano() != old.modTime || old.size >= 0 && now.Size() != old.size {
				return true
			}
		}
	}
	return false
}

// moved says whether another folder has the bundle's name now.
func (b *Bundle) moved() bool {
	p := b.place.Load()
	if p.root == nil {
		return false
	}
	open, err := p.root.Stat(".")
	if err != nil {
		return false // closed
	}
	named, err := os.Stat(b.dir)
	return err == nil && !os.SameFile(open, named)
}

// reopen follows the bundle's name to another folder. The old one is closed by
// the collector, when no call reads from it any more.
func (b *Bundle) reopen() error {
	if !b.moved() {
		return nil
	}
	root, err := os.OpenRoot(b.dir)
	if err == nil {
		b.place.Store(&place{root.FS(), root})
	}
	return err
}
