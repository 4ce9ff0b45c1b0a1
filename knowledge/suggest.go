package knowledge

import (
	"fmt"
	"path"
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
	var same []string
	for _, c := range s.concepts {
		if strings.EqualFold(c.ID, id) {
			return c.ID, nil
		}
		if strings.EqualFold(path.Base(c.ID), id) || strings.EqualFold(c.Title, id) {
			same = append(same, c.ID)
		}
	}
	if len(same) == 1 {
		return same[0], nil
	}
	if len(same) == 0 {
		same = s.similarIDs(id)
	}
	return "", &NotFoundError{ID: id, Suggestions: same[:min(len(same), 5)]}
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

// similar returns up to two terms of the index that look like term.
func (x *bm25f) similar(term string) []string {
	if len(term) < 4 {
		return nil
	}
	want := trigrams(term)
	var best []Hit
	for t := range x.postings {
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
