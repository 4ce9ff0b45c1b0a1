package knowledge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Library is several bundles behind one set of methods. The id of a concept
// is the bundle's name, a slash, and its id there. It is safe for concurrent
// use and does not own the bundles.
type Library struct {
	bundles []*Bundle
}

// NewLibrary joins bundles. Their names must differ.
func NewLibrary(bundles ...*Bundle) (*Library, error) {
	seen := map[string]bool{}
	for _, b := range bundles {
		if seen[b.name] {
			return nil, fmt.Errorf("two bundles are named %q; give one another Options.Name", b.name)
		}
		seen[b.name] = true
	}
	return &Library{slices.Clone(bundles)}, nil
}

// Find asks every bundle, or those that an under: filter names, and merges their
// answers. Scores of different collections do not compare: with keyword indexes
// the share counts of what a concept could have scored at best, with others
// the rank.
func (l *Library) Find(ctx context.Context, query string, o FindOptions) (*Found, error) {
	all := &Found{Query: query}
	missing := map[string]int{}
	bundles, inside := l.route(query)
	byShare := !slices.ContainsFunc(bundles, func(b *Bundle) bool { return b.opts.Index != nil })
	for i, b := range bundles {
		f, err := b.Find(ctx, inside[i], o)
		if err != nil {
			return nil, err
		}
		ceiling := 1.0
		if s := b.state.Load(); byShare {
			ceiling = s.keywords.ceiling(parseQuestion(inside[i]).words)
		}
		for rank, m := range f.Results {
			m.ID = b.name + "/" + m.ID
			m.Path = strings.TrimSuffix(b.name+" > "+m.Path, " > ")
			if m.Score /= ceiling; !byShare {
				m.Score = 1 / float64(rrfK+rank+1)
			}
			all.Results = append(all.Results, m)
		}
		for _, w := range f.Missing {
			missing[w]++
		}
		all.Near = append(all.Near, f.Near...)
		all.Problem = cmp.Or(all.Problem, f.Problem)
	}
	slices.SortStableFunc(all.Results, func(x, y Match) int { return cmp.Compare(y.Score, x.Score) })
	all.Results = all.Results[:min(len(all.Results), atMost(o.Limit, 5))]
	for w, n := range missing {
		if n == len(bundles) {
			all.Missing = append(all.Missing, w)
		}
	}
	slices.Sort(all.Missing)
	if len(all.Missing) == 0 {
		all.Near = nil
	}
	return all, nil
}

// route says which bundles a query is for, and what to ask each: an under:
// filter may begin with the name of one.
func (l *Library) route(query string) (bundles []*Bundle, inside []string) {
	for _, b := range l.bundles {
		q, elsewhere := query, false
		for _, under := range parseQuestion(query).under {
			name, rest, _ := strings.Cut(strings.TrimPrefix(under, "/"), "/")
			if !slices.ContainsFunc(l.bundles, func(b *Bundle) bool { return b.name == name }) {
				continue // an id within the bundles
			}
			if elsewhere = elsewhere || name != b.name; rest != "" {
				rest = "under:" + rest
			}
			q = strings.Replace(q, "under:"+under, rest, 1)
		}
		if !elsewhere {
			bundles, inside = append(bundles, b), append(inside, q)
		}
	}
	return bundles, inside
}

// pick finds the bundle an id belongs to. Without a bundle's name the id is
// looked for in all of them.
func (l *Library) pick(id string) (*Bundle, string, error) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(id, "/"), "/")
	for _, b := range l.bundles {
		if b.name == name {
			return b, rest, nil
		}
	}
	var not *NotFoundError
	var suggestions []string
	for _, b := range l.bundles {
		_, err := b.state.Load().resolveID(id)
		if err == nil {
			return b, id, nil
		}
		if errors.As(err, &not) {
			for _, s := range not.Suggestions {
				suggestions = append(suggestions, b.name+"/"+s)
			}
		}
	}
	return nil, "", &NotFoundError{ID: id, Suggestions: suggestions[:min(len(suggestions), 5)]}
}

// Read shows a concept of one of the bundles.
func (l *Library) Read(id string, o ReadOptions) (*Reading, error) {
	b, id, err := l.pick(id)
	if err != nil {
		return nil, err
	}
	r, err := b.Read(id, o)
	if err != nil {
		return nil, err
	}
	c := *r.Concept
	c.ID = b.name + "/" + c.ID
	r.Concept = &c
	prefix(b.name, r.SeeAlso)
	prefix(b.name, r.Backlinks)
	for _, p := range []*string{&r.Parent, &r.Previous, &r.Next} {
		if *p != "" {
			*p = b.name + "/" + *p
		}
	}
	return r, nil
}

func prefix(name string, ids []string) {
	for i := range ids {
		ids[i] = name + "/" + ids[i]
	}
}

// Children lists what lies directly below a concept, folder or bundle.
func (l *Library) Children(id string) (*Contents, error) {
	b, id, err := l.pick(id)
	if err != nil {
		return nil, err
	}
	var c *Contents
	if id == "" {
		c, err = b.TOC(TOCOptions{})
	} else {
		c, err = b.Children(id)
	}
	return prefixed(b, c), err
}

// TOC shows the bundles, or the hierarchy of what is under one entry.
func (l *Library) TOC(o TOCOptions) (*Contents, error) {
	if o.Under != "" {
		b, id, err := l.pick(o.Under)
		if err != nil {
			return nil, err
		}
		o.Under = id
		c, err := b.TOC(o)
		return prefixed(b, c), err
	}
	all := &Contents{Title: "Library"}
	for _, b := range l.bundles {
		c, err := b.TOC(o)
		if err != nil {
			return nil, err
		}
		all.Total += c.Total
		all.Cut += c.Cut
		all.Entries = append(all.Entries, ContentsItem{ID: b.name + "/", Title: b.name, Below: c.Total})
		for _, e := range prefixed(b, c).Entries {
			e.Depth++
			all.Entries = append(all.Entries, e)
		}
	}
	return all, nil
}

func prefixed(b *Bundle, c *Contents) *Contents {
	if c == nil {
		return nil
	}
	c.Of = b.name + "/" + c.Of
	for i := range c.Entries {
		c.Entries[i].ID = b.name + "/" + c.Entries[i].ID
	}
	return c
}

// Grep finds matching lines in all bundles, or in the one that Under names.
func (l *Library) Grep(ctx context.Context, pattern string, o GrepOptions) (*Grepped, error) {
	bundles := l.bundles
	if o.Under != "" {
		b, id, err := l.pick(o.Under)
		if err != nil {
			return nil, err
		}
		bundles, o.Under = []*Bundle{b}, id
	}
	all := &Grepped{Pattern: pattern}
	limit := atMost(o.Max, 50)
	for _, b := range bundles {
		o.Max = limit - len(all.Lines)
		if o.Max <= 0 {
			all.Cut = true
			break
		}
		g, err := b.Grep(ctx, pattern, o)
		if err != nil {
			return nil, err
		}
		for _, line := range g.Lines {
			line.ID = b.name + "/" + line.ID
			all.Lines = append(all.Lines, line)
		}
		all.Cut = all.Cut || g.Cut
	}
	return all, nil
}
