package knowledge

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// The fields of a concept in the keyword index, with the weight of a match
// and how much a long field counts against it (BM25F: Robertson, Zaragoza,
// Taylor, CIKM 2004). The weights, and those below, were chosen on the half in
// view of the hundred questions of bench/retrieval, whose README says what
// others do.
const (
	fieldTitle = iota
	fieldPath
	fieldAbout    // tags and description
	fieldHeadings // of the body
	fieldBody
	numFields
)

var (
	fieldWeight = [numFields]float64{12, 3, 3, 5, 1}
	fieldLength = [numFields]float64{.4, .4, .4, .7, .6}
)

const (
	bm25K1 = 8 // usual is 1.2 to 2; the weights above multiply the counts

	// linkWeight is how much being linked to from other concepts counts: what
	// many mention is what a plain question means more often. 0 loses .03 of MRR.
	linkWeight = .05

	// coverWeight is how much it counts to have all of a question rather than
	// much of one word; .25 to .7 do as well.
	coverWeight = .5

	// covered is the count of a word, by field and length, from which a document
	// has it in full: one mention in a text of average length is 1.
	covered = .5
)

// bm25f is the keyword index: for each term a list of (document, count in
// each field), varint coded. It is not changed after Build.
type bm25f struct {
	ids      []string
	lengths  [][numFields]uint32 // terms in each field of each document
	average  [numFields]float64
	postings map[string]postings
	prior    []float64 // of each document, a factor; nil = 1

	sorted func() []string // the terms, sorted; made when first asked for
}

type postings struct {
	docs int    // how many there are
	data []byte // document number (delta), bit set of fields, counts
}

func newBM25F() *bm25f {
	x := &bm25f{postings: map[string]postings{}}
	x.sorted = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(x.postings)) })
	return x
}

// weigh sets the priors by how many concepts link to each.
func (x *bm25f) weigh(s *state) {
	x.prior = make([]float64, len(x.ids))
	for i, id := range x.ids {
		x.prior[i] = 1 + linkWeight*math.Log1p(float64(len(s.backlinks[id])))
	}
}

// Build reads and indexes all concepts, on all processors.
func (x *bm25f) Build(ctx context.Context, docs []Document) error {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(docs)/64))
	x.ids = make([]string, len(docs))
	x.lengths = make([][numFields]uint32, len(docs))
	parts := make([]map[string]*builder, workers)
	var wg sync.WaitGroup
	for w := range workers {
		parts[w] = map[string]*builder{}
		wg.Go(func() {
			for i := len(docs) * w / workers; i < len(docs)*(w+1)/workers && ctx.Err() == nil; i++ {
				x.ids[i] = docs[i].ID
				x.lengths[i] = add(parts[w], i, &docs[i])
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	x.merge(parts)
	x.averages()
	return nil
}

// builder collects the postings of a term.
type builder struct {
	docs   int
	first  int
	last   int
	data   []byte // without the number of the first document
	counts [numFields]uint32
}

// add counts the terms of one document. A body that cannot be read is left
// out; its concept is found by the other fields.
func add(part map[string]*builder, doc int, d *Document) (lengths [numFields]uint32) {
	body, _ := d.Body()
	var heads strings.Builder
	for _, h := range d.headings {
		heads.WriteString(h.text + " ")
	}
	texts := [numFields]string{d.Title, d.Path, strings.Join(d.Tags, " ") + " " + d.Description, heads.String(), prose(body)}
	touched := make([]*builder, 0, 256)
	for f, text := range texts {
		terms(text, func(t string) {
			lengths[f]++
			b := part[t]
			if b == nil {
				b = &builder{first: -1}
				part[strings.Clone(t)] = b
			}
			if b.counts == [numFields]uint32{} {
				touched = append(touched, b)
			}
			b.counts[f]++
		})
	}
	for _, b := range touched {
		if b.first < 0 {
			b.first = doc
		} else {
			b.data = binary.AppendUvarint(b.data, uint64(doc-b.last))
		}
		b.last = doc
		b.docs++
		b.data = appendCounts(b.data, b.counts)
		b.counts = [numFields]uint32{}
	}
	return lengths
}

// prose cuts off the lists of links at the end of a body that a converter made:
// they are the titles of other concepts.
func prose(body string) string {
	for _, list := range []string{"\n## See also\n* [", "\n## Subsections\n* ["} {
		body, _, _ = strings.Cut(body, list)
	}
	return body
}

func appendCounts(data []byte, counts [numFields]uint32) []byte {
	var set byte
	for f, n := range counts {
		if n > 0 {
			set |= 1 << f
		}
	}
	data = append(data, set)
	for _, n := range counts {
		if n > 0 {
			data = binary.AppendUvarint(data, uint64(n))
		}
	}
	return data
}

// merge joins what the workers built; each has a range of documents, in order.
func (x *bm25f) merge(parts []map[string]*builder) {
	last := map[string]int{}
	for _, part := range parts {
		for t, b := range part {
			p := x.postings[t]
			p.data = binary.AppendUvarint(p.data, uint64(b.first-last[t]))
			p.data = append(p.data, b.data...)
			p.docs += b.docs
			x.postings[t] = p
			last[t] = b.last
		}
	}
}

func (x *bm25f) averages() {
	for f := range numFields {
		sum := 0.0
		for i := range x.lengths {
			sum += float64(x.lengths[i][f])
		}
		x.average[f] = max(1, sum/float64(max(1, len(x.lengths))))
	}
}

// idf is how much a term says: log(1 + (N-n+.5)/(n+.5)).
func (x *bm25f) idf(term string) float64 {
	n := float64(x.postings[term].docs)
	if n == 0 {
		return 0
	}
	return x.rarity(n)
}

// rarity is how much something says that is in n documents.
func (x *bm25f) rarity(n float64) float64 {
	return math.Log(1 + (float64(len(x.ids))-n+.5)/(n+.5))
}

// ceiling is what a document would score that had the words of a query beyond
// measure. Words that are in no document count as if they were in one.
func (x *bm25f) ceiling(words string) float64 {
	sum := 0.0
	for _, c := range x.concerns(words) {
		sum += x.gravity(c)
	}
	return max(sum*(bm25K1+1)*(1+coverWeight), 1e-9)
}

// gravity is how much a concern counts in its question.
func (x *bm25f) gravity(c concern) float64 {
	docs := 0.0
	for _, v := range c.variants {
		docs += v.weight * float64(x.postings[v.term].docs)
	}
	return c.weight * x.rarity(min(max(docs, 1), float64(len(x.ids))))
}

// scratch is what a query counts in, all zero between queries, which are
// frequent while bundles are large.
type scratch struct {
	scores []float64
	counts []float64 // of one concern
	covers []float64 // the gravity of the concerns each document has
}

var scratches sync.Pool

func newScratch(n int) *scratch {
	s, _ := scratches.Get().(*scratch)
	if s == nil || cap(s.scores) < n {
		s = &scratch{make([]float64, n), make([]float64, n), make([]float64, n)}
	}
	s.scores, s.counts, s.covers = s.scores[:n], s.counts[:n], s.covers[:n]
	return s
}

// Query ranks by the sum over the concerns; a document needs only one of them.
func (x *bm25f) Query(ctx context.Context, query string, topK int) ([]Hit, error) {
	s := newScratch(len(x.ids))
	var touched, counted []int32
	all := 0.0
	for _, c := range x.concerns(query) {
		if err := ctx.Err(); err != nil {
			return nil, err // what was counted in is left to the collector
		}
		counted = counted[:0]
		for _, v := range c.variants {
			counted = x.count(v, s.counts, counted)
		}
		gravity := x.gravity(c)
		all += gravity
		for _, doc := range counted {
			tf := s.counts[doc]
			s.counts[doc] = 0
			if s.scores[doc] == 0 {
				touched = append(touched, doc)
			}
			s.scores[doc] += gravity * tf * (bm25K1 + 1) / (tf + bm25K1)
			s.covers[doc] += gravity * min(1, tf/covered)
		}
	}
	for _, doc := range touched {
		s.scores[doc] *= 1 + coverWeight*s.covers[doc]/all
	}
	hits := x.best(s.scores, touched, topK)
	for _, doc := range touched {
		s.scores[doc], s.covers[doc] = 0, 0
	}
	scratches.Put(s)
	return hits, nil
}

// best returns the topK of the documents that were touched.
func (x *bm25f) best(scores []float64, touched []int32, topK int) []Hit {
	hit := func(doc int32) Hit {
		score := scores[doc]
		if x.prior != nil {
			score *= x.prior[doc]
		}
		return Hit{x.ids[doc], score}
	}
	if topK > 1000 { // as many as there are: sorting is cheaper than inserting
		hits := make([]Hit, 0, len(touched))
		for _, doc := range touched {
			hits = append(hits, hit(doc))
		}
		sortHits(hits)
		return hits[:min(len(hits), topK)]
	}
	hits := make([]Hit, 0, topK+1)
	for _, doc := range touched {
		hits = keepBest(hits, hit(doc), topK)
	}
	return hits
}

// count adds how often, and in which fields, each document has a term.
func (x *bm25f) count(v variant, counts []float64, touched []int32) []int32 {
	doc := 0
	for data := x.postings[v.term].data; len(data) > 0; {
		delta, n := binary.Uvarint(data)
		if n <= 0 || doc+int(delta) >= len(counts) || len(data) <= n {
			return touched // a damaged cache
		}
		doc += int(delta)
		set := data[n]
		data = data[n+1:]
		tf := 0.0
		for f := range numFields {
			if set&(1<<f) == 0 {
				continue
			}
			count, n := binary.Uvarint(data)
			if n <= 0 {
				return touched
			}
			data = data[n:]
			norm := 1 - fieldLength[f] + fieldLength[f]*float64(x.lengths[doc][f])/x.average[f]
			tf += fieldWeight[f] * float64(count) / norm
		}
		if counts[doc] == 0 {
			touched = append(touched, int32(doc))
		}
		counts[doc] += v.weight * tf
	}
	return touched
}

// keepBest inserts h into the sorted best topK.
func keepBest(best []Hit, h Hit, topK int) []Hit {
	better := func(x, y Hit) int { return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID)) }
	if len(best) == topK && (topK == 0 || better(best[topK-1], h) <= 0) {
		return best
	}
	i, _ := slices.BinarySearchFunc(best, h, better)
	best = slices.Insert(best, i, h)
	return best[:min(len(best), topK)]
}
