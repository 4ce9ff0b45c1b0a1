package knowledge

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// The fields of a concept in the keyword index, with the weight of a match
// and how much a long field counts against it (BM25F: Robertson, Zaragoza,
// Taylor, CIKM 2004). The weights were chosen on manuals, see
// docs/benchmarks.md.
const (
	fieldTitle = iota
	fieldPath
	fieldAbout // tags, type, description
	fieldBody
	numFields
)

var (
	fieldWeight = [numFields]float64{6, 2, 2, 1}
	fieldLength = [numFields]float64{.4, .4, .4, .75}
)

const bm25K1 = 1.2

// bm25f is the keyword index: for each term a list of (document, count in
// each field), varint coded. It is not changed after Build.
type bm25f struct {
	ids      []string
	lengths  [][numFields]uint32 // terms in each field of each document
	average  [numFields]float64
	postings map[string]postings
}

type postings struct {
	docs int    // how many there are
	data []byte // document number (delta), bit set of fields, counts
}

func newBM25F() *bm25f { return &bm25f{postings: map[string]postings{}} }

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
	texts := [numFields]string{d.Title, d.Path, strings.Join(d.Tags, " ") + " " + d.Type + " " + d.Description, body}
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
	return math.Log(1 + (float64(len(x.ids))-n+.5)/(n+.5))
}

// scratch holds a query's scores, all zero between queries, which are frequent
// while bundles are large.
var scratch sync.Pool

// Query ranks by the sum over the terms; a document needs only one of them.
func (x *bm25f) Query(ctx context.Context, query string, topK int) ([]Hit, error) {
	pooled, _ := scratch.Get().(*[]float64)
	if pooled == nil || cap(*pooled) < len(x.ids) {
		pooled = new(make([]float64, len(x.ids)))
	}
	scores := (*pooled)[:len(x.ids)]
	var touched []int32
	for _, t := range queryTerms(query) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		touched = x.score(t, scores, touched)
	}
	hits := make([]Hit, 0, topK+1)
	for _, doc := range touched {
		hits = keepBest(hits, Hit{x.ids[doc], scores[doc]}, topK)
		scores[doc] = 0
	}
	scratch.Put(pooled)
	return hits, nil
}

// score adds what term says to each document that has it.
func (x *bm25f) score(term string, scores []float64, touched []int32) []int32 {
	idf := x.idf(term)
	doc := 0
	for data := x.postings[term].data; len(data) > 0; {
		delta, n := binary.Uvarint(data)
		if n <= 0 || doc+int(delta) >= len(scores) || len(data) <= n {
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
		if scores[doc] == 0 {
			touched = append(touched, int32(doc))
		}
		scores[doc] += idf * tf * (bm25K1 + 1) / (tf + bm25K1)
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
