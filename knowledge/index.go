package knowledge

import (
	"cmp"
	"context"
	"slices"
)

// SearchIndex ranks the concepts of a bundle for a question. Build is called
// when the bundle is opened, and again on a new value-free state when it
// changed; Query after it, concurrently.
//
// Query returns ids that Build was given, best first, at most topK of them; of
// one that comes twice the first counts. Scores only need to fall. A question that matches nothing gives none.
type SearchIndex interface {
	Build(ctx context.Context, concepts []Document) error
	Query(ctx context.Context, query string, topK int) ([]Hit, error)
}

// Document is what a SearchIndex is given of a concept.
type Document struct {
	*Concept
	Path string                 // titles of what it lies in, outermost first, joined by " > "
	Body func() (string, error) // reads the text
}

// Hit is one result of a SearchIndex.
type Hit struct {
	ID    string
	Score float64
}

// DefaultTopK is how many results a query asks for when nobody says.
const DefaultTopK = 10

// buildIndexes gives s its indexes: those of old when nothing changed, the
// cached keyword index when it fits, else new ones.
func (b *Bundle) buildIndexes(ctx context.Context, s, old *state, cached *cache, changed bool) error {
	if old != nil && !changed {
		s.keywords, s.index = old.keywords, old.index
		return nil
	}
	docs := b.documents(s)
	if b.opts.Index == nil || b.opts.Fuse {
		if cached != nil && !changed {
			s.keywords = cached.keywords
		} else {
			s.keywords = newBM25F()
			if err := s.keywords.Build(ctx, docs); err != nil {
				return err
			}
			b.writeCache(s)
		}
		s.keywords.weigh(s)
	}
	switch own := b.opts.Index; {
	case own == nil:
		s.index = s.keywords
	default:
		if err := own.Build(ctx, docs); err != nil {
			return err
		}
		s.index = own
		if b.opts.Fuse {
			s.index = fused{s.keywords, own}
		}
	}
	return nil
}

func (b *Bundle) documents(s *state) []Document {
	docs := make([]Document, len(s.concepts))
	for i, c := range s.concepts {
		docs[i] = Document{Concept: c, Path: s.pathOf(c.ID), Body: func() (string, error) { return b.body(c) }}
	}
	return docs
}

// fused merges indexes by reciprocal rank: sum of 1/(60+rank), as Cormack,
// Clarke and Büttcher, SIGIR 2009.
type fused []SearchIndex

const rrfK = 60

func (f fused) Build(context.Context, []Document) error { return nil } // its parts are built

// Query answers with what there is when an index that has its server elsewhere
// fails; the error is a *partialError then.
func (f fused) Query(ctx context.Context, query string, topK int) ([]Hit, error) {
	scores := map[string]float64{}
	var partial error
	for _, index := range f {
		hits, err := index.Query(ctx, query, 5*topK)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			partial = &partialError{err}
			continue
		}
		seen := map[string]bool{}
		for rank, h := range hits {
			if !seen[h.ID] {
				seen[h.ID] = true
				scores[h.ID] += 1 / float64(rrfK+rank+1)
			}
		}
	}
	hits := make([]Hit, 0, len(scores))
	for id, score := range scores {
		hits = append(hits, Hit{id, score})
	}
	sortHits(hits)
	return hits[:min(topK, len(hits))], partial
}

// partialError says why hits are those of some indexes only.
type partialError struct{ error }

// sortHits puts the best first; ties are broken by id, so that the same
// question always gets the same answer.
func sortHits(hits []Hit) {
	slices.SortFunc(hits, func(x, y Hit) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID))
	})
}
