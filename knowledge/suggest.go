package knowledge

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// NotFoundError says that there is no concept with that id, and which ones
// may have been meant.
type NotFoundError struct {
	ID          string
	Suggestions []string
}

// Error implements error.
func (e *NotFoundError) Error() string {
	if len(e.Suggestions) == 0 {
		return fmt.Sprintf("concept %q not found; find(words) searches, toc() lists", e.ID)
	}
	return fmt.Sprintf("concept %q not found; did you mean %s?", e.ID, strings.Join(e.Suggestions, ", "))
}

// resolveID returns the id of a concept or folder that is meant: as written,
// without ".md", in another case, or by an unambiguous last part.
func (s *state) resolveID(id string) (string, error) {
	id = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "/"), ".md")
	if _, ok := s.byID[id]; ok {
		return id, nil
	}
	folder := strings.TrimSuffix(id, "/") + "/"
	if _, ok := s.tree.children[folder]; ok {
		return folder, nil
	}
	if _, ok := s.byID[strings.TrimSuffix(id, "/")]; ok {
		return strings.TrimSuffix(id, "/"), nil
	}
	same := s.named(id)
	if len(same) > 0 && strings.EqualFold(same[0], id) {
		return same[0], nil
	}
	if len(same) == 1 {
		return same[0], nil
	}
	if len(same) == 0 {
		same = s.similarIDs(id)
	}
	return "", &NotFoundError{ID: id, Suggestions: same[:min(len(same), 5)]}
}

// named lists the concepts whose id, title or last part of the id is name, in
// any case: those with that id first.
func (s *state) named(name string) []string { return s.names()[strings.ToLower(name)] }

func (s *state) nameAll() map[string][]string {
	all := make(map[string][]string, 2*len(s.concepts))
	for _, c := range s.concepts {
		id, title, last := strings.ToLower(c.ID), strings.ToLower(c.Title), strings.ToLower(path.Base(c.ID))
		all[id] = append([]string{c.ID}, all[id]...)
		if title != id {
			all[title] = append(all[title], c.ID)
		}
		if last != id && last != title {
			all[last] = append(all[last], c.ID)
		}
	}
	return all
}

// similarIDs returns the five ids whose last part or title shares most
// three-letter pieces with id.
func (s *state) similarIDs(id string) []string {
	want := trigrams(path.Base(id))
	var best []Hit
	for _, c := range s.concepts {
		if score := max(overlap(want, trigrams(path.Base(c.ID))), overlap(want, trigrams(c.Title))); score >= .3 {
			best = append(best, Hit{c.ID, score})
		}
	}
	return bestIDs(best, 5)
}

// similar returns up to two terms of the index that look like term and begin
// with the same letter.
func (x *bm25f) similar(term string) []string {
	if len(term) < 4 {
		return nil
	}
	want := trigrams(term)
	var best []Hit
	all := x.sorted()
	from, _ := slices.BinarySearch(all, term[:1])
	for _, t := range all[from:] {
		if t[0] != term[0] {
			break
		}
		if d := len(t) - len(term); d > 3 || d < -3 {
			continue
		}
		if score := overlap(want, trigrams(t)); score >= .5 {
			best = append(best, Hit{t, score})
		}
	}
	return bestIDs(best, 2)
}

func bestIDs(hits []Hit, n int) []string {
	sortHits(hits)
	var ids []string
	for _, h := range hits[:min(len(hits), n)] {
		ids = append(ids, h.ID)
	}
	return ids
}

func trigrams(s string) map[string]bool {
	s = "  " + strings.ToLower(s) + " "
	set := make(map[string]bool, len(s))
	for i := 0; i+3 <= len(s); i++ {
		set[s[i:i+3]] = true
	}
	return set
}

// overlap is the Dice coefficient of two sets.
func overlap(x, y map[string]bool) float64 {
	n := 0
	for t := range x {
		if y[t] {
			n++
		}
	}
	return 2 * float64(n) / float64(len(x)+len(y))
}
