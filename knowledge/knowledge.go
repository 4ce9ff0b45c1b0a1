// Package knowledge lets an agent find its way in large documents. A document
// is a bundle in the Open Knowledge Format: a folder of Markdown files with
// frontmatter, one per concept (github.com/GoogleCloudPlatform/knowledge-catalog,
// okf/SPEC.md, versions 0.1 and 0.2 are read).
//
// A Bundle has four methods that an agent works with: Find ranks concepts for
// a question, Read shows one, whole or in parts, Children and TOC show what
// lies below. Grep finds exact text. They return values whose String is what a
// model should read. Tools offers them as functions.
package knowledge

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a bundle is opened. The zero value is fine.
type Options struct {
	// Name is how the bundle is called in a Library and in texts; "" = the
	// folder's name.
	Name string
	// Index replaces the keyword index. nil = BM25F.
	Index SearchIndex
	// Fuse asks for both, Index and the keyword index, merged by reciprocal
	// rank.
	Fuse bool
	// CacheDir is where the keyword index is kept between programs; "" = below
	// the folder that CacheDir names; "-" = nowhere. A bundle of an fs.FS is never
	// cached.
	CacheDir string
	// MaxFile is the size in bytes above which a file is left out and
	// reported; 0 = 16 MiB.
	MaxFile int64
	// Now is the clock that decides what is stale; nil = time.Now.
	Now func() time.Time
}

// Bundle is an open bundle. It is safe for concurrent use. Bodies are read
// when they are needed.
//
// What changes in its folder is picked up: Find, Read, Children, TOC, Grep and
// Validate look at the times of its folders and files, at most once a second
// and at most at 1,000 of each (of larger bundles, at others each second). A
// bundle of an fs.FS, or with an Index of its own, which may be dear to build,
// is as it was until Refresh.
type Bundle struct {
	name    string
	dir     string // absolute; "" for an fs.FS
	opts    Options
	place   atomic.Pointer[place]
	state   atomic.Pointer[state]
	refresh sync.Mutex    // one Refresh at a time
	looked  atomic.Int64  // when changes were last looked for, ns
	turn    atomic.Uint32 // how often they were
}

// Problem is something wrong with a file of a bundle. It never stops the rest
// from being used.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // from 1; 0 = the whole file
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"` // the format advises against it but allows it
}

// String is "file:line: message".
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	if p.Warning {
		return s + ": warning: " + p.Message
	}
	return s + ": " + p.Message
}

// Open opens the bundle in a folder. Nothing outside of it is ever read, by
// links or otherwise. Files that cannot be used are listed by Problems; an
// error means that there is no bundle to read.
func Open(ctx context.Context, dir string, o Options) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening bundle: %w", err)
	}
	b := &Bundle{name: o.Name, opts: o}
	b.place.Store(&place{root.FS(), root})
	if b.dir, err = filepath.Abs(dir); err != nil {
		b.Close()
		return nil, fmt.Errorf("opening bundle: %w", err)
	}
	if b.name == "" {
		b.name = folderName(dir)
	}
	return b.opened(ctx)
}

// OpenFS opens the bundle at the root of fsys, such as an embed.FS.
func OpenFS(ctx context.Context, fsys fs.FS, o Options) (*Bundle, error) {
	o.CacheDir = "-"
	b := &Bundle{name: o.Name, opts: o}
	b.place.Store(&place{fsys: fsys})
	if b.name == "" {
		b.name = "docs"
	}
	return b.opened(ctx)
}

func (b *Bundle) opened(ctx context.Context) (*Bundle, error) {
	if b.opts.MaxFile == 0 {
		b.opts.MaxFile = 16 << 20
	}
	if b.opts.Now == nil {
		b.opts.Now = time.Now
	}
	if err := b.Refresh(ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("opening bundle %s: %w", b.name, err)
	}
	return b, nil
}

// Refresh picks up now what was added, changed or removed. Calls under way go on with what was there before. After an
// error the bundle is as it was.
func (b *Bundle) Refresh(ctx context.Context) error {
	b.refresh.Lock()
	defer b.refresh.Unlock()
	b.looked.Store(time.Now().UnixNano())
	if err := b.reopen(); err != nil {
		return err
	}
	s, err := b.load(ctx, b.state.Load())
	if err != nil {
		return err
	}
	b.state.Store(s)
	return nil
}

// Close lets go of the folder. Methods that read bodies fail afterwards.
func (b *Bundle) Close() error {
	if p := b.place.Load(); p.root != nil {
		return p.root.Close()
	}
	return nil
}

// Name is Options.Name or its default.
func (b *Bundle) Name() string { return b.name }

// Len is the number of concepts.
func (b *Bundle) Len() int { return len(b.state.Load().concepts) }

// Concept returns the concept with exactly that id.
func (b *Bundle) Concept(id string) (*Concept, bool) {
	c, ok := b.state.Load().byID[id]
	return c, ok
}

// Concepts returns all concepts, sorted by id.
func (b *Bundle) Concepts() []*Concept {
	return append([]*Concept(nil), b.state.Load().concepts...)
}

// Problems lists what was wrong with files when they were last read.
func (b *Bundle) Problems() []Problem {
	return append([]Problem(nil), b.state.Load().problems...)
}

// state is one reading of the bundle; it is not changed once it is stored.
type state struct {
	concepts  []*Concept // sorted by id
	byID      map[string]*Concept
	position  map[string]int // of a concept, by id
	problems  []Problem
	folders   []stamp
	files     []stamp
	tree      tree
	backlinks map[string][]backlink
	keywords  *bm25f // nil when another index replaces it
	index     SearchIndex
	names     func() map[string][]string // see named; made when first asked for
}

type backlink struct {
	from    string
	heading string
}

func folderName(dir string) string {
	dir = strings.TrimRight(dir, "/\\")
	if i := strings.LastIndexAny(dir, "/\\"); i >= 0 {
		dir = dir[i+1:]
	}
	if dir == "" || dir == "." || dir == ".." {
		return "docs"
	}
	return dir
}
