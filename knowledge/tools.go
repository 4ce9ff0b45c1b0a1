package knowledge

import (
	"context"
	"fmt"
	"strings"

	"github.com/strandsgo/strands"
)

// Source is what the tools read from: a Bundle or a Library.
type Source interface {
	Find(ctx context.Context, query string, o FindOptions) (*Found, error)
	Read(id string, o ReadOptions) (*Reading, error)
	Children(id string) (*Contents, error)
	TOC(o TOCOptions) (*Contents, error)
	Grep(ctx context.Context, pattern string, o GrepOptions) (*Grepped, error)
}

type findInput struct {
	Query string `json:"query"`
	Limit int    `json:"limit,omitempty"`
}

type readInput struct {
	ID        string `json:"id"`
	FromLine  int    `json:"from_line,omitempty"`
	ToLine    int    `json:"to_line,omitempty"`
	Heading   string `json:"heading,omitempty"`
	MaxTokens int    `json:"max_tokens,omitempty"`
}

type childrenInput struct {
	ID string `json:"id"`
}

type tocInput struct {
	Under string `json:"under,omitempty"`
	Depth int    `json:"depth,omitempty"`
}

type grepInput struct {
	Pattern    string `json:"pattern"`
	Under      string `json:"under,omitempty"`
	IgnoreCase bool   `json:"ignore_case,omitempty"`
	Limit      int    `json:"limit,omitempty"`
}

// Tools returns find, read, children, toc and grep over src. Each answers
// with text that a model can act on; an unknown id is an error with
// suggestions.
func Tools(src Source) []strands.Tool {
	return []strands.Tool{
		strands.NewTool("find", `Ranks sections for a question, 5 unless limited; the query may hold type:X tag:X under:ID and "a phrase".`, func(ctx context.Context, in findInput) (string, error) {
			return text(src.Find(ctx, in.Query, FindOptions{Limit: in.Limit}))
		}),
		strands.NewTool("read", "Shows a section or part of it, 8,000 tokens at most unless max_tokens says otherwise.", func(_ context.Context, in readInput) (string, error) {
			return text(src.Read(in.ID, ReadOptions{Lines: [2]int{in.FromLine, in.ToLine}, Heading: in.Heading, MaxTokens: in.MaxTokens}))
		}),
		strands.NewTool("children", "Lists the subsections of a section.", func(_ context.Context, in childrenInput) (string, error) {
			return text(src.Children(in.ID))
		}),
		strands.NewTool("toc", "Shows the table of contents, 1 level unless depth is given.", func(_ context.Context, in tocInput) (string, error) {
			return text(src.TOC(TOCOptions{Under: in.Under, Depth: in.Depth}))
		}),
		strands.NewTool("grep", "Finds lines by a regular expression (RE2), 50 unless limited.", func(ctx context.Context, in grepInput) (string, error) {
			return text(src.Grep(ctx, in.Pattern, GrepOptions{Under: in.Under, IgnoreCase: in.IgnoreCase, Max: in.Limit}))
		}),
	}
}

func text[T fmt.Stringer](v T, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return v.String(), nil
}

// Tools offers the bundle as functions of the REPL, or as JSON tools.
func (b *Bundle) Tools() []strands.Tool { return Tools(b) }

// Tools offers the bundles as functions of the REPL, or as JSON tools.
func (l *Library) Tools() []strands.Tool { return Tools(l) }

// Instructions tells a model how to find its way.
func (b *Bundle) Instructions() string {
	return fmt.Sprintf("%s (%d sections). %s", b.name, b.Len(), instructions)
}

// Instructions tells a model how to find its way.
func (l *Library) Instructions() string {
	var names []string
	for _, b := range l.bundles {
		names = append(names, fmt.Sprintf("%s (%d sections)", b.name, b.Len()))
	}
	return strings.Join(names, ", ") + ". " + instructions
}

const instructions = "Start with print(find(question in your words)), then read(id). " +
	"grep is for exact names; toc() and children(id) when find finds nothing. Quote ids you rely on."
