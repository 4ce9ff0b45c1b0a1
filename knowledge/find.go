package knowledge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// FindOptions narrow a search. The zero value asks for five results from
// everywhere.
type FindOptions struct {
	Limit int // results; 0 = 5, negative = no bound
}

// atMost reads a limit of which 0 is the usual one and a negative is none.
func atMost(limit, usual int) int {
	const plenty = 1 << 28 // that doubles in 32 bits
	if limit < 0 {
		return plenty
	}
	return min(cmp.Or(limit, usual), plenty)
}

// Found is the answer of Find.
type Found struct {
	Query   string   `json:"query"`
	Results []Match  `json:"results"`
	Missing []string `json:"missing,omitempty"` // words of the question that are nowhere in the bundle
	Near    []string `json:"near,omitempty"`    // words of the bundle that look like those
	Problem string   `json:"problem,omitempty"` // why these are found by their words only, although Options.Fuse asks for more
}

// Match is one concept found.
type Match struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Type    string  `json:"type"`
	Path    string  `json:"path"` // titles of what it lies in; "" = nothing
	Pages   string  `json:"pages"`
	Score   float64 `json:"score"`
	Snippet string  `json:"snippet"`
	Lines   [2]int  `json:"lines"`  // of the snippet in the body, from 1, both included
	Tokens  int     `json:"tokens"` // what reading all of it costs, estimated
	Note    string  `json:"note,omitempty"`
}

// question is a query taken apart: words to rank by, and filters
// (type:X tag:X under:X "a phrase").
type question struct {
	words   string
	types   []string
	tags    []string
	under   []string
	phrases []string
}

func parseQuestion(query string) question {
	var q question
	var words []string
	for query = strings.TrimSpace(query); query != ""; query = strings.TrimSpace(query) {
		if query[0] == '"' {
			if phrase, rest, ok := strings.Cut(query[1:], `"`); ok {
				q.phrases = append(q.phrases, strings.ToLower(strings.Join(strings.Fields(phrase), " ")))
				words = append(words, phrase)
				query = rest
				continue
			}
		}
		word, rest, _ := strings.Cut(query, " ")
		query = rest
		key, value, _ := strings.Cut(word, ":")
		switch {
		case key == "type" && value != "":
			q.types = append(q.types, strings.ToLower(value))
		case key == "tag" && value != "":
			q.tags = append(q.tags, strings.ToLower(value))
		case key == "under" && value != "":
			q.under = append(q.under, strings.TrimSuffix(value, "/"))
		default:
			words = append(words, word)
		}
	}
	q.words = strings.Join(words, " ")
	return q
}

func (q *question) filtered() bool {
	return len(q.types)+len(q.tags)+len(q.under)+len(q.phrases) > 0
}

// Find ranks the concepts for a question in words. The query may hold filters:
// type:Function tag:sales under:stats/models "an exact phrase". A concept
// whose id or title is the query comes first. Nothing found is no error.
func (b *Bundle) Find(ctx context.Context, query string, o FindOptions) (*Found, error) {
	s := b.current(ctx)
	limit := atMost(o.Limit, 5)
	q := parseQuestion(query)
	found := &Found{Query: query}
	hits, err := b.candidates(ctx, s, q, limit)
	if partial, ok := errors.AsType[*partialError](err); ok {
		found.Problem = partial.Error()
	} else if err != nil {
		return nil, err
	}
	look := s.lookFor(q.words)
	for _, h := range hits {
		c := s.byID[h.ID]
		if c == nil {
			continue
		}
		text, err := b.body(c)
		if errors.Is(err, fs.ErrClosed) {
			return nil, fmt.Errorf("searching %s: %w", b.name, err)
		}
		if err != nil || !containsAll(c, text, q.phrases) {
			continue
		}
		m := Match{ID: c.ID, Title: c.Title, Type: c.Type, Path: s.pathOf(c.ID), Pages: c.Pages, Score: h.Score, Tokens: c.tokens(), Note: c.notes(b.opts.Now())}
		m.Snippet, m.Lines = snippet(text, look)
		if found.Results = append(found.Results, m); len(found.Results) == limit {
			break
		}
	}
	if s.keywords != nil {
		found.Missing, found.Near = s.keywords.unknown(q.words)
	}
	return found, nil
}

// unknown returns the words of which no term is in the index, and terms that
// look like theirs.
func (x *bm25f) unknown(text string) (words, near []string) {
	for w := range strings.FieldsSeq(text) {
		parts := queryTerms(w)
		if len(parts) == 0 || slices.ContainsFunc(parts, func(t string) bool { return x.postings[t].docs > 0 || stopWords[t] }) {
			continue
		}
		words = append(words, strings.Trim(w, ".,;:!?()\"'"))
		for _, t := range parts {
			near = append(near, x.similar(t)...)
		}
	}
	return words, near
}

// candidates returns what may be shown, best first: more than limit, since
// phrases are looked up afterwards. With a *partialError they are those of some
// indexes.
func (b *Bundle) candidates(ctx context.Context, s *state, q question, limit int) ([]Hit, error) {
	want := min(max(DefaultTopK, 2*limit), len(s.concepts))
	if q.filtered() {
		want = len(s.concepts)
	}
	var hits []Hit
	var err error
	if strings.TrimSpace(q.words) != "" {
		hits, err = s.index.Query(ctx, q.words, want)
		if _, ok := errors.AsType[*partialError](err); err != nil && !ok {
			return nil, fmt.Errorf("searching %s: %w", b.name, err)
		}
	} else if q.filtered() {
		for _, c := range s.concepts {
			hits = append(hits, Hit{ID: c.ID})
		}
	}
	seen := map[string]bool{} // an index of parts may name a concept for each
	hits = slices.DeleteFunc(hits, func(h Hit) bool {
		c := s.byID[h.ID]
		if c == nil || seen[h.ID] || !q.admits(s, c) {
			return true
		}
		seen[h.ID] = true
		return false
	})
	for i := range hits {
		if s.byID[hits[i].ID].Status == "deprecated" {
			hits[i].Score /= 2 // shown, but after what replaced it
		}
	}
	slices.SortStableFunc(hits, func(x, y Hit) int { return cmp.Compare(y.Score, x.Score) })
	return exactFirst(s, q, hits), err
}

func (q *question) admits(s *state, c *Concept) bool {
	if len(q.types) > 0 && !slices.Contains(q.types, strings.ToLower(c.Type)) {
		return false
	}
	for _, tag := range q.tags {
		if !slices.ContainsFunc(c.Tags, func(t string) bool { return strings.EqualFold(t, tag) }) {
			return false
		}
	}
	for _, u := range q.under {
		if c.ID != u && !s.isBelow(c.ID, u) {
			return false
		}
	}
	return true
}

// exactFirst moves the concept that the query names by id or title to the
// front.
func exactFirst(s *state, q question, hits []Hit) []Hit {
	name := strings.TrimSpace(q.words)
	for _, id := range s.named(name) {
		c := s.byID[id]
		if !strings.EqualFold(id, name) && !strings.EqualFold(c.Title, name) || !q.admits(s, c) {
			continue
		}
		i := slices.IndexFunc(hits, func(h Hit) bool { return h.ID == id })
		h := Hit{ID: id}
		if i >= 0 {
			h = hits[i]
			hits = slices.Delete(hits, i, i+1)
		}
		if len(hits) > 0 {
			h.Score = max(h.Score, hits[0].Score)
		}
		return slices.Insert(hits, 0, h)
	}
	return hits
}

func containsAll(c *Concept, text string, phrases []string) bool {
	if len(phrases) == 0 {
		return true
	}
	all := strings.ToLower(strings.Join(strings.Fields(c.Title+" "+c.Description+" "+text), " "))
	for _, p := range phrases {
		if !strings.Contains(all, p) {
			return false
		}
	}
	return true
}

const (
	snippetLines = 4
	snippetBytes = 400

	snippetSearch = 256 << 10 // bytes of a body that are searched for it
)

// lookFor says which terms make a snippet, and how much each.
func (s *state) lookFor(words string) map[string]float64 {
	weight := map[string]float64{}
	if s.keywords == nil {
		for _, t := range queryTerms(words) {
			weight[t] = 1
		}
		return weight
	}
	for _, c := range s.keywords.concerns(words) {
		for _, v := range c.variants {
			weight[v.term] = max(weight[v.term], v.weight*c.weight*s.keywords.idf(v.term), .01)
		}
	}
	return weight
}

// snippet returns the few lines of text that say most about the terms, by
// their weights, and where they stand. Without any of the terms it is the
// beginning.
func snippet(text string, weight map[string]float64) (string, [2]int) {
	text = text[:min(len(text), snippetSearch)]
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	best, bestScore := 0, -1.0
	var found []hitTerm // in the lines of the window
	var like beginnings
	for t := range weight {
		like.add(t)
	}
	for i := range lines {
		from := i
		tokens(lines[i], func(raw string) {
			if like.mayHold(raw) {
				token(raw, func(t string) {
					if weight[t] > 0 {
						found = append(found, hitTerm{i, t})
					}
				})
			}
		})
		for len(found) > 0 && found[0].line <= i-snippetLines {
			found = found[1:]
		}
		if len(found) > 0 {
			from = found[0].line // begin with a line that says something
		}
		score := 0.0
		for n, h := range found {
			if !slices.ContainsFunc(found[:n], func(g hitTerm) bool { return g.term == h.term }) {
				score += weight[h.term]
			}
		}
		if score > bestScore && strings.TrimSpace(lines[from]) != "" {
			best, bestScore = from, score
		}
	}
	return cutSnippet(lines, best)
}

type hitTerm struct {
	line int
	term string
}

func cutSnippet(lines []string, from int) (string, [2]int) {
	to, size := from, 0
	for to < len(lines) && to < from+snippetLines && size < snippetBytes {
		size += len(lines[to])
		to++
	}
	for to > from+1 && strings.TrimSpace(lines[to-1]) == "" {
		to--
	}
	text := strings.TrimSpace(strings.Join(lines[from:to], "\n"))
	if len(text) > snippetBytes {
		text = strings.ToValidUTF8(text[:snippetBytes], "") + " …"
	}
	return text, [2]int{from + 1, to}
}

// String is what a model should read.
func (f *Found) String() string {
	var b strings.Builder
	if len(f.Results) == 0 {
		fmt.Fprintf(&b, "No concepts found matching %q.", f.Query)
	} else {
		fmt.Fprintf(&b, "Best %d for %q (read(id) shows one):", len(f.Results), f.Query)
	}
	for i, m := range f.Results {
		fmt.Fprintf(&b, "\n%d. %s: %s [%s]", i+1, m.ID, m.Title, m.Type)
		if m.Path != "" {
			fmt.Fprintf(&b, "\n   in %s", m.Path)
		}
		fmt.Fprintf(&b, "\n   %s", m.facts())
		if m.Snippet != "" {
			fmt.Fprintf(&b, "\n   lines %d-%d: %s", m.Lines[0], m.Lines[1], strings.ReplaceAll(m.Snippet, "\n", "\n     "))
		}
	}
	if f.Problem != "" {
		fmt.Fprintf(&b, "\nFound by their words only, since the search by meaning failed: %s.", f.Problem)
	}
	if len(f.Missing) > 0 {
		fmt.Fprintf(&b, "\nNowhere in the documents: %s.", strings.Join(f.Missing, ", "))
		if len(f.Near) > 0 {
			fmt.Fprintf(&b, " Similar words that are: %s.", strings.Join(f.Near, ", "))
		}
	}
	return b.String()
}

func (m *Match) facts() string {
	s := fmt.Sprintf("about %d tokens", m.Tokens)
	if m.Pages != "" {
		s += ", pages " + m.Pages
	}
	if m.Note != "" {
		s += ", " + m.Note
	}
	return s
}
