package knowledge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxConcepts bounds what a hostile bundle can make us hold.
const maxConcepts = 1_000_000

// load reads the bundle anew, taking from old (which may be nil) and from the
// cache what has not changed.
func (b *Bundle) load(ctx context.Context, old *state) (*state, error) {
	files, folders, problems, err := b.walk(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{problems: problems, folders: folders, byID: make(map[string]*Concept, len(files)), position: make(map[string]int, len(files))}
	for _, f := range files {
		s.files = append(s.files, stamp{f.id + ".md", f.size, f.modTime})
	}
	known := map[string]*Concept{}
	var cached *cache
	if old != nil {
		known = old.byID
	} else if cached = b.readCache(); cached != nil {
		known = cached.concepts
	}
	changed, err := b.readConcepts(ctx, s, files, known)
	if err != nil {
		return nil, err
	}
	s.names = sync.OnceValue(s.nameAll)
	s.link()
	return s, b.buildIndexes(ctx, s, old, cached, changed || len(files) != len(known))
}

type file struct {
	id      string
	size    int64
	modTime int64 // as changedAt has it
}

// changedAt is the time of a file or folder that is read now, in ns, 0 when it
// is too young to tell: the clocks of file systems are coarse, and what changes
// in the same moment bears the same time. It is then read again at the next look.
func changedAt(info fs.FileInfo) int64 {
	if t := info.ModTime(); time.Since(t).Abs() >= lookEvery {
		return t.UnixNano()
	}
	return 0
}

// walk lists the Markdown files that are concepts, sorted by id, and the
// folders.
func (b *Bundle) walk(ctx context.Context) (files []file, folders []stamp, problems []Problem, err error) {
	folded := map[string]string{}
	err = fs.WalkDir(b.place.Load().fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && p == ".":
			return err
		case err != nil:
			problems = append(problems, Problem{File: p, Message: err.Error()})
			return nil
		case d.IsDir():
			if p != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			if info, err := d.Info(); err == nil {
				folders = append(folders, stamp{p, -1, changedAt(info)})
			}
			return nil
		}
		id, isConcept := strings.CutSuffix(p, ".md")
		if !isConcept || d.Name() == "index.md" || d.Name() == "log.md" || strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		f, reason := b.inspect(id, d)
		if first, taken := folded[strings.ToLower(id)]; taken && reason == "" {
			reason = fmt.Sprintf("its id differs from that of %s.md only by case", first)
		}
		if reason != "" {
			problems = append(problems, Problem{File: p, Message: reason})
			return nil
		}
		if len(files) == maxConcepts {
			return fmt.Errorf("more than %d concepts", maxConcepts)
		}
		folded[strings.ToLower(id)] = id
		files = append(files, f)
		return nil
	})
	slices.SortFunc(files, func(x, y file) int { return cmp.Compare(x.id, y.id) })
	return files, folders, problems, err
}

func (b *Bundle) inspect(id string, d fs.DirEntry) (file, string) {
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		return file{}, "a symbolic link; links are not followed"
	case !d.Type().IsRegular():
		return file{}, "not a regular file"
	case !utf8.ValidString(id):
		return file{}, "its name is not UTF-8"
	}
	info, err := d.Info()
	if err != nil {
		return file{}, err.Error()
	}
	if info.Size() > b.opts.MaxFile {
		return file{}, fmt.Sprintf("%d bytes; at most %d are read", info.Size(), b.opts.MaxFile)
	}
	return file{id: id, size: info.Size(), modTime: changedAt(info)}, ""
}

// readConcepts fills s with the concepts of files, in their order, and says
// whether any had to be read.
func (b *Bundle) readConcepts(ctx context.Context, s *state, files []file, known map[string]*Concept) (bool, error) {
	s.concepts = make([]*Concept, len(files))
	found := make([][]Problem, len(files))
	var stale []int
	for i, f := range files {
		if c := known[f.id]; c != nil && c.Size == f.size && c.modTime == f.modTime && f.modTime != 0 {
			s.concepts[i] = c
		} else {
			stale = append(stale, i)
		}
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(stale)) {
		wg.Go(func() {
			for i := range next {
				s.concepts[i], found[i] = b.readConcept(files[i])
			}
		})
	}
	for _, i := range stale {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	for i, c := range s.concepts {
		if c == nil {
			s.problems = append(s.problems, found[i]...)
		} else {
			s.problems = append(s.problems, c.problems...)
		}
	}
	s.concepts = slices.DeleteFunc(s.concepts, func(c *Concept) bool { return c == nil })
	for i, c := range s.concepts {
		s.byID[c.ID], s.position[c.ID] = c, i
	}
	return len(stale) > 0, ctx.Err()
}

const unknownType = "Unknown"

// readConcept parses one file. A file that cannot be read at all gives nil;
// one with bad frontmatter is kept with its text, since that can still answer.
func (b *Bundle) readConcept(f file) (*Concept, []Problem) {
	name := f.id + ".md"
	var problems []Problem
	report := func(format string, args ...any) {
		problems = append(problems, Problem{File: name, Message: fmt.Sprintf(format, args...)})
	}
	text, err := b.readFile(name)
	if err != nil {
		report("%v", err)
		return nil, problems
	}
	if !utf8.Valid(text) {
		report("not valid UTF-8; what is not is shown as \ufffd")
	}
	c := &Concept{ID: f.id, Type: unknownType, Trust: Unverified, Size: f.size, modTime: f.modTime}
	block, body, err := splitFrontmatter(text)
	if err == nil {
		var m meta
		if m, err = parseMeta(block); err == nil {
			m.apply(c)
		}
		for body < len(text) && (text[body] == '\n' || text[body] == '\r') {
			body++ // line numbers count from the first line with text
		}
		c.bodyAt = body
	}
	if err != nil {
		report("%v", err)
	} else if c.Type == "" {
		report("frontmatter has no type")
	}
	c.Type = cmp.Or(valid(c.Type), unknownType)
	c.Title = cmp.Or(valid(c.Title), titleFromID(f.id))
	c.Description = valid(c.Description)
	c.headings, c.links, c.lines = scanBody(f.id, bytes.ToValidUTF8(text[c.bodyAt:], []byte("\ufffd")))
	c.problems = problems
	return c, nil
}

// readFile reads a file whose size may have changed since it was looked at.
func (b *Bundle) readFile(name string) ([]byte, error) {
	f, err := b.place.Load().fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, b.opts.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > b.opts.MaxFile {
		return nil, fmt.Errorf("more than %d bytes", b.opts.MaxFile)
	}
	return text, nil
}

// body reads the text of a concept.
func (b *Bundle) body(c *Concept) (string, error) {
	text, err := b.readFile(c.ID + ".md")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s.md is gone; the bundle is changing, ask again", c.ID)
		}
		return "", err
	}
	text = bytes.ToValidUTF8(text[min(c.bodyAt, len(text)):], []byte("\ufffd"))
	return strings.ReplaceAll(string(text), "\r\n", "\n"), nil
}

func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// link works out who is below whom and who points to whom.
func (s *state) link() {
	s.backlinks = map[string][]backlink{}
	for _, c := range s.concepts {
		for _, l := range c.links {
			if _, ok := s.byID[l.to]; ok && !l.child {
				s.backlinks[l.to] = append(s.backlinks[l.to], backlink{c.ID, l.heading})
			}
		}
	}
	s.tree = growTree(s)
}

// tree is the hierarchy: the children of each concept and folder, in document
// order. Folders are named with a trailing slash; the root is "".
type tree struct {
	children map[string][]string
	parent   map[string]string
}

// growTree places every concept below the one its frontmatter names, else
// below the one that lists it as a subsection, else below the concept with the
// name of its folder, else in that folder.
func growTree(s *state) tree {
	t := tree{children: map[string][]string{}, parent: make(map[string]string, len(s.concepts))}
	listed, place := map[string]string{}, map[string]int{}
	for _, c := range s.concepts {
		for i, l := range c.links {
			if _, ok := s.byID[l.to]; ok && l.child && listed[l.to] == "" {
				listed[l.to], place[l.to] = c.ID, i
			}
		}
	}
	for _, c := range s.concepts {
		t.parent[c.ID] = s.parentOf(c, listed)
	}
	for _, c := range s.concepts {
		if t.inCycle(c.ID) {
			t.parent[c.ID] = folderOf(c.ID)
		}
	}
	folders := map[string]bool{}
	for _, c := range s.concepts {
		p := t.parent[c.ID]
		t.children[p] = append(t.children[p], c.ID)
		for strings.HasSuffix(p, "/") && !folders[p] {
			folders[p] = true
			up := folderOf(strings.TrimSuffix(p, "/"))
			t.parent[p] = up
			t.children[up] = append(t.children[up], p)
			p = up
		}
	}
	for _, kids := range t.children {
		slices.SortStableFunc(kids, func(x, y string) int {
			return cmp.Or(cmp.Compare(s.orderOf(x, place), s.orderOf(y, place)), cmp.Compare(x, y))
		})
	}
	return t
}

func (s *state) parentOf(c *Concept, listed map[string]string) string {
	if _, ok := s.byID[c.parent]; ok && c.parent != c.ID {
		return c.parent
	}
	if p := listed[c.ID]; p != "" {
		return p
	}
	folder := folderOf(c.ID)
	if _, ok := s.byID[strings.TrimSuffix(folder, "/")]; ok {
		return strings.TrimSuffix(folder, "/")
	}
	return folder
}

func (s *state) orderOf(id string, place map[string]int) int {
	if c := s.byID[id]; c != nil && c.order > 0 {
		return c.order
	}
	return place[id]
}

// maxDepth is more than a real hierarchy has; what lies deeper hangs in a
// cycle, or might as well.
const maxDepth = 256

// inCycle says whether going up from id does not end.
func (t *tree) inCycle(id string) bool {
	p := id
	for range maxDepth {
		p = t.parent[p]
		if p == "" || strings.HasSuffix(p, "/") {
			return false
		}
	}
	return true
}

func folderOf(id string) string {
	if d := path.Dir(id); d != "." {
		return d + "/"
	}
	return ""
}
