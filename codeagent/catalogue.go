package codeagent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/pydecl"
	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/python"
)

// searchTool finds what the prompt has no room for.
const searchTool = "search_functions"

const (
	listLimit   = 3_000 // characters of the list of modules: with the words around it under 1,000 tokens
	lineLimit   = 120   // characters of one module
	searchLimit = 10    // functions that a search lists, unless it asks for more
)

// catalogue is all that the REPL offers, by module, when it is too much to be
// shown. It is not changed once it is made.
type catalogue struct {
	shelves []catalogueShelf
	offers  map[string]offer // by name
	index   knowledge.SearchIndex
}

// catalogueShelf is one toolkit's namespace, or one module.
type catalogueShelf struct {
	name, description string
	offers            []offer
}

// offer is a function, a method of an object, or a class.
type offer struct {
	name, module, signature, doc string
}

// newCatalogue collects what toolkits offer.
func newCatalogue(toolkits []Toolkit, modules []*source) (*catalogue, error) {
	c := &catalogue{offers: map[string]offer{}, index: knowledge.NewKeywordIndex()}
	for _, t := range toolkits {
		if len(t.Functions)+len(t.Objects) > 0 {
			c.add(t.Name, t.Description, stubNames(t.namespace()))
		}
		for range t.Modules {
			description, _, _ := strings.Cut(modules[0].decl.Doc, "\n")
			c.add(modules[0].name, description, modules[0].public())
			modules = modules[1:]
		}
	}
	var docs []knowledge.Document
	for _, s := range c.shelves {
		for _, o := range s.offers {
			c.offers[o.name] = o
			words := strings.Map(func(r rune) rune {
				if r == '_' || r == '.' {
					return ' '
				}
				return r
			}, o.module+" "+o.name)
			docs = append(docs, knowledge.Document{
				Concept: &knowledge.Concept{ID: o.name, Title: words, Description: firstLine(o.doc)}, Path: s.description,
				Body: func() (string, error) { return o.signature + "\n" + o.doc, nil },
			})
		}
	}
	// In memory, with nobody waiting: there is nothing to cancel.
	if err := c.index.Build(context.Background(), docs); err != nil {
		return nil, fmt.Errorf("indexing the functions of the toolkits: %w", err)
	}
	return c, nil
}

func (c *catalogue) add(module, description string, decls []pydecl.Decl) {
	s := catalogueShelf{name: module, description: description}
	for _, d := range decls {
		methods := slices.DeleteFunc(slices.Clone(d.Decls), func(m pydecl.Decl) bool {
			return m.Kind != pydecl.Func || strings.HasPrefix(m.Name, "_")
		})
		if d.Kind == pydecl.Func || len(methods) == 0 {
			s.offers = append(s.offers, offer{d.Name, module, d.Name + d.Signature, d.Doc})
			continue
		}
		for _, m := range methods {
			name := d.Name + "." + m.Name
			s.offers = append(s.offers, offer{name, module, name + m.Signature, m.Doc})
		}
	}
	c.shelves = append(c.shelves, s)
}

// list is a line for each module, and "… and 7 more" when there are too many.
func (c *catalogue) list() string {
	var b strings.Builder
	for i, s := range c.shelves {
		line := s.line()
		if b.Len()+len(line) > listLimit {
			fmt.Fprintf(&b, "- … and %d more\n", len(c.shelves)-i)
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

func (s *catalogueShelf) line() string {
	var b strings.Builder
	b.WriteString("- ")
	if s.name != "" {
		b.WriteString(s.name + ", ")
	}
	noun := "functions"
	if len(s.offers) == 1 {
		noun = "function"
	}
	fmt.Fprintf(&b, "%d %s: ", len(s.offers), noun)
	if s.description != "" {
		return clipped(b.String()+firstLine(s.description), lineLimit) + "\n"
	}
	for i, o := range s.offers {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len()+len(o.name) > lineLimit {
			b.WriteString("…")
			break
		}
		b.WriteString(o.name)
	}
	return b.String() + "\n"
}

type searchFunctionsInput struct {
	Words string `json:"words" jsonschema:"what the function should do"`
	Limit int    `json:"limit,omitempty" jsonschema:"at most so many; 10 when left out"`
}

// tool makes search_functions.
func (c *catalogue) tool() strands.Tool {
	return strands.NewTool(searchTool, "Lists the functions that fit a task, best first, as text to print.",
		func(ctx context.Context, in searchFunctionsInput) (string, error) {
			limit := in.Limit
			if limit <= 0 {
				limit = searchLimit
			}
			hits, err := c.index.Query(ctx, in.Words, limit)
			if err != nil {
				return "", err
			}
			if len(hits) == 0 {
				return fmt.Sprintf("No function fits %q. Try other words; the modules are:\n%s", in.Words, c.list()), nil
			}
			var b strings.Builder
			for _, h := range hits {
				o := c.offers[h.ID]
				b.WriteString(o.signature)
				if o.module != "" {
					b.WriteString("  # " + o.module)
				}
				if line := firstLine(o.doc); line != "" {
					b.WriteString("\n    " + clipped(line, lineLimit))
				}
				b.WriteByte('\n')
			}
			return b.String(), nil
		})
}

// disclose decides what the prompt shows: all declarations, or, when they are
// longer than the limit, a list of modules, and a function to search them.
func (p *plan) disclose(cfg *Config) error {
	docs := p.documentation(cfg.Toolkits)
	limit := cfg.DocLimit
	if limit == 0 {
		limit = defaultDocLimit
	}
	if limit < 0 || utf8.RuneCountInString(docs) <= limit {
		p.docs = docs
		return nil
	}
	c, err := newCatalogue(cfg.Toolkits, p.modules)
	if err != nil {
		return err
	}
	p.catalogue = c
	p.options.Namespaces = append(p.options.Namespaces, python.Namespace{Functions: []strands.Tool{c.tool()}})
	return python.CheckNamespaces(p.options.Namespaces)
}

// section is the part of the prompt that stands for the declarations.
func (c *catalogue) section() string {
	return fmt.Sprintf("All %d functions of these modules are names of your code, as are objects and classes. They are too many to show:\n%s"+
		"print(%s(\"words of the task\")) lists those that fit, with their signatures; help(name) prints one whole. Search before you write code of your own.\n",
		len(c.offers), c.list(), searchTool)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// clipped is s with at most limit bytes.
func clipped(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}
