package knowledge

import (
	"context"
	"fmt"
	"strings"
)

// Contents is a part of the hierarchy, in document order: the answer of TOC
// and Children.
type Contents struct {
	Of      string         `json:"of,omitempty"` // id of what they lie below; "" = the bundle
	Title   string         `json:"title,omitempty"`
	Total   int            `json:"total"` // concepts in the bundle, or children
	Entries []ContentsItem `json:"entries"`
	Cut     int            `json:"cut,omitempty"` // entries left out by the budget
}

// ContentsItem is one line of Contents.
type ContentsItem struct {
	ID     string `json:"id"` // ends in a slash for a folder without a concept of its own
	Title  string `json:"title"`
	Depth  int    `json:"depth"` // 0 = directly below
	Below  int    `json:"below"` // children it has
	Tokens int    `json:"tokens,omitempty"`
	Note   string `json:"note,omitempty"`
}

// TOCOptions say how much of the hierarchy to show.
type TOCOptions struct {
	Under string // id or folder; "" = all
	Depth int    // levels; 0 = 1
	Max   int    // lines; 0 = 100, negative = no bound
}

// TOC shows the hierarchy from the top, or from below one entry.
func (b *Bundle) TOC(o TOCOptions) (*Contents, error) {
	s := b.current(context.Background())
	under := ""
	if o.Under != "" {
		id, err := s.resolveID(o.Under)
		if err != nil {
			return nil, err
		}
		under = id
	}
	c := &Contents{Of: under, Title: b.name, Total: len(s.concepts)}
	if under != "" {
		c.Title = s.titleOf(under)
	}
	b.grow(s, c, under, 0, max(o.Depth, 1), atMost(o.Max, 100))
	return c, nil
}

// Children lists what lies directly below a concept or folder.
func (b *Bundle) Children(id string) (*Contents, error) {
	s := b.current(context.Background())
	id, err := s.resolveID(id)
	if err != nil {
		return nil, err
	}
	kids := s.tree.children[id]
	c := &Contents{Of: id, Title: s.titleOf(id), Total: len(kids)}
	b.grow(s, c, id, 0, 1, 200)
	return c, nil
}

func (b *Bundle) grow(s *state, c *Contents, id string, depth, levels, limit int) {
	for _, kid := range s.tree.children[id] {
		if len(c.Entries) >= limit {
			c.Cut++
			continue
		}
		item := ContentsItem{ID: kid, Title: s.titleOf(kid), Depth: depth, Below: len(s.tree.children[kid])}
		if concept := s.byID[kid]; concept != nil {
			item.Tokens, item.Note = concept.tokens(), concept.notes(b.opts.Now())
		}
		c.Entries = append(c.Entries, item)
		if depth+1 < levels {
			b.grow(s, c, kid, depth+1, levels, limit)
		}
	}
}

// String is what a model should read.
func (c *Contents) String() string {
	var b strings.Builder
	switch {
	case c.Of == "":
		fmt.Fprintf(&b, "%s: %d concepts", c.Title, c.Total)
	case len(c.Entries) == 0:
		fmt.Fprintf(&b, "%q has no subsections. Use read(%q) to see its content.", c.Title, c.Of)
	default:
		fmt.Fprintf(&b, "Children of %q:", c.Title)
	}
	for _, e := range c.Entries {
		fmt.Fprintf(&b, "\n%s- %s: %s", strings.Repeat("  ", e.Depth), e.ID, e.Title)
		if e.Below > 0 {
			fmt.Fprintf(&b, " (%d below)", e.Below)
		}
		if e.Note != "" {
			fmt.Fprintf(&b, " [%s]", e.Note)
		}
	}
	if c.Cut > 0 {
		fmt.Fprintf(&b, "\n… and %d more; look below one of them with children(id)", c.Cut)
	}
	return b.String()
}

func (s *state) titleOf(id string) string {
	if c := s.byID[id]; c != nil {
		return c.Title
	}
	return titleFromID(strings.TrimSuffix(id, "/"))
}

// pathOf joins the titles of what id lies in, outermost first.
func (s *state) pathOf(id string) string {
	var titles []string
	for p := s.tree.parent[id]; p != "" && len(titles) < maxDepth; p = s.tree.parent[p] {
		titles = append(titles, s.titleOf(p))
	}
	for i, j := 0, len(titles)-1; i < j; i, j = i+1, j-1 {
		titles[i], titles[j] = titles[j], titles[i]
	}
	return strings.Join(titles, " > ")
}

// isBelow says whether id lies somewhere below above, an id or a folder
// without its slash.
func (s *state) isBelow(id, above string) bool {
	if strings.HasPrefix(id, above+"/") {
		return true
	}
	n := 0
	for p := s.tree.parent[id]; p != "" && n < maxDepth; p = s.tree.parent[p] {
		if strings.TrimSuffix(p, "/") == above {
			return true
		}
		n++
	}
	return false
}

// siblings returns the neighbours of id in document order; "" at the ends.
func (s *state) siblings(id string) (previous, next string) {
	kids := s.tree.children[s.tree.parent[id]]
	for i, k := range kids {
		if k != id {
			continue
		}
		if i > 0 {
			previous = kids[i-1]
		}
		if i+1 < len(kids) {
			next = kids[i+1]
		}
	}
	return previous, next
}
