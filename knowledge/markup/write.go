package markup

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/strandsgo/strands/knowledge/internal/bundle"
)

// part is a concept: a document, or one of its sections.
type part struct {
	doc     *document
	title   string
	body    string
	parent  int // index; -1 = none
	section bool
}

// write makes the files of the bundle in dir.
func (c *converter) write(ctx context.Context, dir string) error {
	ids, parts := map[string]string{}, []part{} // ids of documents by file name
	var names bundle.Names
	var nodes []bundle.Node
	for _, d := range c.docs {
		ids[d.name] = names.Take(idOf(d))
	}
	orders := map[int]int{}
	for _, d := range c.docs {
		first := len(parts)
		for i, p := range split(d, c.o.Split) {
			n := bundle.Node{ID: ids[d.name], Title: p.title, Parent: -1}
			if i > 0 {
				p.parent += first
				n.Parent = p.parent
				n.ID = names.Below(nodes[p.parent].ID, p.title)
			}
			n.Description = cmp.Or(frontOf(d, i, "description"), describe(p.body))
			orders[n.Parent]++
			n.Order = orders[n.Parent]
			parts, nodes = append(parts, p), append(nodes, n)
		}
	}
	kids := map[int][]bundle.Node{}
	for _, n := range nodes {
		kids[n.Parent] = append(kids[n.Parent], bundle.Node{ID: n.ID, Title: n.Title})
	}
	now := time.Now().UTC().Format(time.RFC3339)
	for i, p := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.concept(dir, nodes, kids[i], i, p, ids, now); err != nil {
			return err
		}
		c.report.WordsKept += countWords(p.body)
	}
	c.report.Concepts = len(parts)
	return bundle.Indexes(dir, c.title, nodes)
}

// idOf names a document by its path. "index" and "log" are reserved by the
// format: the first stands for its folder.
func idOf(d *document) string {
	dir, base := path.Split(strings.TrimSuffix(d.name, path.Ext(d.name)))
	var folders []string
	for f := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if f != "" {
			folders = append(folders, bundle.Slug(f))
		}
	}
	if d.index && len(folders) > 0 {
		return strings.Join(folders, "/")
	}
	return strings.Join(append(folders, bundle.Slug(base)), "/")
}

func frontOf(d *document, part int, key string) string {
	if part > 0 {
		return ""
	}
	return d.value(key)
}

// split cuts a document of more than limit bytes at its headings of the first
// two levels. Every line is in exactly one part; the first one has what comes
// before the first of those headings.
func split(d *document, limit int) []part {
	parts := []part{{doc: d, title: d.title, parent: -1}}
	if limit < 0 || len(d.body) <= limit {
		parts[0].body = d.body
		return parts
	}
	var text strings.Builder
	chapter := 0 // the part of the last heading of level 1
	flush := func() { parts[len(parts)-1].body += text.String(); text.Reset() }
	eachLine(d.body, func(line string, code bool) {
		level, title := heading(line)
		own := !code && (level == 1 || level == 2) && title != ""
		if own && level == 1 && title == d.title && len(parts) == 1 {
			own = false // the title of the whole
		}
		if own {
			flush()
			p := part{doc: d, title: title, section: true}
			if level == 2 {
				p.parent = chapter
			} else {
				chapter = len(parts)
			}
			parts = append(parts, p)
		}
		text.WriteString(line)
	})
	flush()
	return parts
}

var (
	linkText = regexp.MustCompile(`\[([^\[\]]*)\]\([^()]*\)`)
	target   = regexp.MustCompile(`(\]\()(<[^<>\n]*>|[^\s()<>]*)([\s)])|^( {0,3}\[[^\[\]\n]+\]:\s*)(\S+)`)
)

func (c *converter) concept(dir string, nodes, kids []bundle.Node, i int, p part, ids map[string]string, now string) error {
	n := nodes[i]
	body := relink(p, n.ID, ids)
	if len(kids) > 0 {
		body = strings.TrimRight(body, "\n") + "\n\n## Subsections\n" + bundle.List(path.Dir(n.ID), kids)
	}
	resource := p.doc.name
	if c.o.Resource != "" {
		resource = strings.TrimSuffix(c.o.Resource, "/") + "/" + p.doc.name
	}
	f := bundle.Front{
		Type: "Document", Title: p.title, Description: n.Description, Resource: resource,
		Generated: bundle.By{By: Version, At: now}, Sources: []bundle.Source{{ID: "document", Resource: resource, Title: p.doc.title}},
		Level: 1, Order: n.Order,
	}
	if p.section {
		f.Type, f.Level, f.Parent = "Section", 2, nodes[n.Parent].ID
	}
	head, err := merged(f, &p.doc.front, p.section)
	if err != nil {
		return err
	}
	return bundle.WriteFile(dir, n.ID+".md", "---\n"+head+"---\n\n"+strings.TrimLeft(body, "\n"))
}

// merged is the author's frontmatter, with what it lacks filled in; sections
// have only ours.
func merged(f bundle.Front, author *yaml.Node, section bool) (string, error) {
	var ours yaml.Node
	if err := ours.Encode(f); err != nil {
		return "", err
	}
	if !section && author.Kind == yaml.MappingNode {
		all := *author
		all.Content = slices.Clone(author.Content)
		for i := 0; i+1 < len(ours.Content); i += 2 {
			if !slices.ContainsFunc(keys(author), func(k string) bool { return k == ours.Content[i].Value }) {
				all.Content = append(all.Content, ours.Content[i], ours.Content[i+1])
			}
		}
		ours = all
	}
	head, err := yaml.Marshal(&ours)
	return string(head), err
}

func keys(m *yaml.Node) []string {
	var all []string
	for i := 0; i+1 < len(m.Content); i += 2 {
		if v := m.Content[i+1]; v.Kind != yaml.ScalarNode || v.Value != "" {
			all = append(all, m.Content[i].Value)
		}
	}
	return all
}

// relink points the links of a part to where the documents are now.
func relink(p part, id string, ids map[string]string) string {
	var b strings.Builder
	eachLine(p.body, func(line string, code bool) {
		if !code && strings.Contains(line, "]") {
			line = target.ReplaceAllStringFunc(line, func(s string) string {
				m := target.FindStringSubmatch(s)
				if m[4] != "" {
					return m[4] + moved(p.doc.name, id, m[5], ids)
				}
				return m[1] + moved(p.doc.name, id, m[2], ids) + m[3]
			})
		}
		b.WriteString(line)
	})
	return b.String()
}

// moved turns the target of a link in the file from into one in the concept
// id; what is no link to another document stays.
func moved(from, id, to string, ids map[string]string) string {
	plain, fragment, _ := strings.Cut(strings.Trim(to, "<>"), "#")
	file, err := url.PathUnescape(plain)
	if err != nil || file == "" || strings.Contains(file, ":") {
		return to
	}
	if strings.HasPrefix(file, "/") {
		file = strings.TrimPrefix(path.Clean(file), "/")
	} else {
		file = path.Join(path.Dir(from), file)
	}
	for _, guess := range []string{file, file + ".md", file + ".html", file + "/index.md", file + "/README.md", file + "/index.html"} {
		known, ok := ids[guess]
		if !ok {
			continue
		}
		if fragment != "" {
			fragment = "#" + fragment
		}
		link := bundle.Link(path.Dir(id), "", known)
		return strings.TrimSuffix(link[len("[](<"):], ">)") + fragment
	}
	return to
}

// describe is the first sentence of prose.
func describe(body string) string {
	var prose []string
	done := false
	eachLine(body, func(line string, code bool) {
		text := strings.TrimSpace(line)
		level, _ := heading(line)
		if text == "" || code || level > 0 || strings.ContainsAny(text[:1], "|<!>-*=[") {
			done = done || len(prose) > 0
			return
		}
		if !done {
			prose = append(prose, linkText.ReplaceAllString(text, "$1"))
		}
	})
	text := strings.Join(prose, " ")
	if i := strings.Index(text, ". "); i > 20 && i < 200 {
		return text[:i+1]
	}
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
		text = fmt.Sprint(text[:max(strings.LastIndexByte(text, ' '), 1)], " …")
	}
	return text
}
