package knowledge

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Validate checks the bundle against the format. Entries that are no warnings
// are what makes it non-conformant: a concept without frontmatter that
// parses, or without a type, or an index.md or log.md of another structure.
func (b *Bundle) Validate(ctx context.Context) ([]Problem, error) {
	s := b.current(ctx)
	problems := slices.Clone(s.problems)
	for _, c := range s.concepts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		problems = append(problems, b.validateConcept(s, c)...)
	}
	err := fs.WalkDir(b.place.Load().fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && p != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() && (d.Name() == "index.md" || d.Name() == "log.md") {
			problems = append(problems, b.validateReserved(p)...)
		}
		return ctx.Err()
	})
	return problems, err
}

func (b *Bundle) validateConcept(s *state, c *Concept) []Problem {
	file := c.ID + ".md"
	var problems []Problem
	warn := func(line int, format string, args ...any) {
		problems = append(problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...), Warning: true})
	}
	text, err := b.readFile(file)
	if err != nil {
		return problems
	}
	above := bytes.Count(text[:min(c.bodyAt, len(text))], []byte("\n"))
	for _, l := range c.links {
		if _, ok := s.byID[l.to]; !ok && len(s.tree.children[l.to]) == 0 {
			warn(above+l.line, "link to %s, which is not in the bundle", l.to)
		}
	}
	block, _, err := splitFrontmatter(text)
	if err != nil {
		return problems
	}
	m, err := parseMeta(block)
	if err != nil {
		return problems
	}
	if m.text("title") == "" {
		warn(1, "no title")
	}
	if m.text("description") == "" {
		warn(1, "no description")
	}
	if status := m.text("status"); status != "" && status != "draft" && status != "stable" && status != "deprecated" {
		warn(m.line("status"), "status %q is none of draft, stable, deprecated", status)
	}
	if at := m.text("stale_after"); at != "" {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			warn(m.line("stale_after"), "stale_after %q is no ISO 8601 time with an offset", at)
		}
	}
	if n := m.get("sources"); n != nil && n.Kind == yaml.SequenceNode {
		for _, e := range n.Content {
			if (meta{e}).text("resource") == "" {
				warn(e.Line+1, "a source without resource")
			}
		}
	}
	return problems
}

// line is the line of a key in the file; the frontmatter begins on line 2.
func (m meta) line(key string) int {
	if n := m.get(key); n != nil {
		return n.Line + 1
	}
	return 1
}

var (
	logHeading = regexp.MustCompile(`^## \d{4}-\d{2}-\d{2}$`)
	indexEntry = regexp.MustCompile(`^\s*[*-] \[.*\]\(.*\)`)
)

// validateReserved checks an index.md or a log.md.
func (b *Bundle) validateReserved(file string) []Problem {
	text, err := b.readFile(file)
	if err != nil {
		return []Problem{{File: file, Message: err.Error()}}
	}
	var problems []Problem
	report := func(line int, format string, args ...any) {
		problems = append(problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
	}
	isLog := path.Base(file) == "log.md"
	block, body, err := splitFrontmatter(text)
	if err == nil && !isLog {
		if m, err := parseMeta(block); err != nil {
			report(1, "%v", err)
		} else if file != "index.md" || len(m.node.Content) != 2 || m.text("okf_version") == "" {
			report(1, "an index has no frontmatter, except okf_version in that of the root")
		}
	}
	n := strings.Count(string(text[:body]), "\n")
	for line := range strings.Lines(string(text[body:])) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "" || headingDepth(line) == 1:
		case isLog && headingDepth(line) == 2 && !logHeading.MatchString(line):
			report(n, "a log's headings are dates: ## 2006-01-02")
		case !isLog && headingDepth(line) == 0 && (strings.HasPrefix(line, "* ") || strings.HasPrefix(line, "- ")) && !indexEntry.MatchString(line):
			report(n, "an entry of an index is a link: * [Title](url) - description")
		}
	}
	return problems
}
