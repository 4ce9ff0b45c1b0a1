package knowledge

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// cacheMagic names the form of the cache file; a change of the form, of the
// tokeniser or of the stemmer changes it.
const cacheMagic = "okf-index-4\n"

// cache is what is kept of a bundle between programs: its concepts without
// bodies, and the keyword index. A file whose size and time are those of the
// cached concept is not read again.
type cache struct {
	concepts map[string]*Concept
	keywords *bm25f
}

// CacheDir is the folder below which this package and knowledge/pdf keep what
// saves time: $STRANDS_CACHE, else "strands" in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("STRANDS_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(user, "strands"), nil
}

// cacheFile returns where the cache of the bundle lies; "" = nowhere.
func (b *Bundle) cacheFile() string {
	if b.dir == "" || b.opts.CacheDir == "-" || b.opts.Index != nil && !b.opts.Fuse {
		return ""
	}
	dir := b.opts.CacheDir
	if dir == "" {
		base, err := CacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(base, "okf")
	}
	sum := sha256.Sum256([]byte(b.dir))
	return filepath.Join(dir, hex.EncodeToString(sum[:12])+".idx")
}

// readCache returns nil when there is no cache that can be used: it only ever
// saves time.
func (b *Bundle) readCache() *cache {
	name := b.cacheFile()
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	c, err := decodeCache(data)
	if err != nil {
		return nil
	}
	return c
}

// writeCache replaces the cache file at once. Failing to is no error.
func (b *Bundle) writeCache(s *state) {
	name := b.cacheFile()
	if name == "" || os.MkdirAll(filepath.Dir(name), 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".idx-*")
	if err != nil {
		return
	}
	_, err = f.Write(encodeCache(s))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

func encodeCache(s *state) []byte {
	e := encoder{buf: append(make([]byte, 0, 1<<20), cacheMagic...)}
	e.int(len(s.concepts))
	for i, c := range s.concepts {
		e.concept(c)
		for _, n := range s.keywords.lengths[i] {
			e.int(int(n))
		}
	}
	e.int(len(s.keywords.postings))
	for _, t := range slices.Sorted(maps.Keys(s.keywords.postings)) {
		p := s.keywords.postings[t]
		e.text(t)
		e.int(p.docs)
		e.text(string(p.data))
	}
	sum := sha256.Sum256(e.buf)
	return append(e.buf, sum[:8]...)
}

func decodeCache(data []byte) (*cache, error) {
	if len(data) < len(cacheMagic)+8 || string(data[:len(cacheMagic)]) != cacheMagic {
		return nil, errDamaged
	}
	body, check := data[:len(data)-8], data[len(data)-8:]
	if sum := sha256.Sum256(body); string(sum[:8]) != string(check) {
		return nil, errDamaged
	}
	d := decoder{text: string(body[len(cacheMagic):])}
	n := d.count(20)
	c := &cache{concepts: make(map[string]*Concept, n), keywords: newBM25F()}
	x := c.keywords
	x.ids, x.lengths = make([]string, n), make([][numFields]uint32, n)
	for i := range n {
		concept := d.concept()
		c.concepts[concept.ID] = concept
		x.ids[i] = concept.ID
		for f := range numFields {
			x.lengths[i][f] = uint32(d.int())
		}
	}
	terms := d.count(3)
	x.postings = make(map[string]postings, terms)
	for range terms {
		t := d.str()
		x.postings[t] = postings{docs: d.int(), data: []byte(d.str())}
	}
	x.averages()
	return c, d.err
}

type encoder struct{ buf []byte }

func (e *encoder) int(n int) { e.buf = binary.AppendUvarint(e.buf, uint64(n)) }

func (e *encoder) text(s ...string) {
	for _, s := range s {
		e.int(len(s))
		e.buf = append(e.buf, s...)
	}
}

func (e *encoder) concept(c *Concept) {
	e.text(c.ID, c.Type, c.Title, c.Description, c.Resource, c.Status, c.Pages, string(c.Trust), c.StaleAfter, c.parent)
	for _, n := range []int{int(c.Size), int(c.modTime), c.order, c.bodyAt, c.lines, len(c.Tags)} {
		e.int(n)
	}
	e.text(c.Tags...)
	e.int(len(c.headings))
	for _, h := range c.headings {
		e.int(h.line)
		e.int(h.depth)
		e.text(h.text)
	}
	e.int(len(c.links))
	for _, l := range c.links {
		e.text(l.to, l.text, l.heading)
		e.int(l.line)
		if l.child {
			e.int(1)
		} else {
			e.int(0)
		}
	}
	e.int(len(c.problems))
	for _, p := range c.problems {
		e.text(p.File, p.Message)
	}
}

var errDamaged = errors.New("damaged cache")

// decoder reads what encoder wrote. After an error it gives zeros.
type decoder struct {
	text string
	err  error
}

func (d *decoder) int() int {
	var n uint64
	for i := range min(len(d.text), binary.MaxVarintLen64) {
		c := d.text[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.text = d.text[i+1:]
			return int(n)
		}
	}
	d.text, d.err = "", errDamaged
	return 0
}

// count reads a number of things of which each takes at least size bytes, so
// that a wrong one cannot make us allocate more than there is.
func (d *decoder) count(size int) int {
	n := d.int()
	if n < 0 || n > math.MaxInt32 || n > len(d.text)/size+1 {
		d.text, d.err = "", errDamaged
		return 0
	}
	return n
}

func (d *decoder) str() string {
	n := d.int()
	if n < 0 || n > len(d.text) {
		d.text, d.err = "", errDamaged
		return ""
	}
	s := d.text[:n]
	d.text = d.text[n:]
	return s
}

func (d *decoder) concept() *Concept {
	c := &Concept{}
	for _, p := range []*string{&c.ID, &c.Type, &c.Title, &c.Description, &c.Resource, &c.Status, &c.Pages, (*string)(&c.Trust), &c.StaleAfter, &c.parent} {
		*p = d.str()
	}
	c.Size, c.modTime = int64(d.int()), int64(d.int())
	c.order, c.bodyAt, c.lines = d.int(), d.int(), d.int()
	for range d.count(1) {
		c.Tags = append(c.Tags, d.str())
	}
	for range d.count(3) {
		c.headings = append(c.headings, heading{d.int(), d.int(), d.str()})
	}
	for range d.count(5) {
		c.links = append(c.links, link{d.str(), d.str(), d.str(), d.int(), d.int() == 1})
	}
	for range d.count(2) {
		c.problems = append(c.problems, Problem{File: d.str(), Message: d.str()})
	}
	return c
}
