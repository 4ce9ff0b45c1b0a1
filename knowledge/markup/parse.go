package markup

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"

	htmltomarkdown "github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// document is one source file as Markdown.
type document struct {
	name  string // below the source, with slashes
	title string
	front yaml.Node // the mapping; zero when there is none
	body  string
	index bool // it stands for its folder
}

// parse reads a file into Markdown.
func parse(name string, data []byte) (*document, error) {
	d := &document{name: name}
	base := strings.ToLower(strings.TrimSuffix(path.Base(name), path.Ext(name)))
	d.index = base == "index" || base == "readme" || base == "_index" || base == "home"
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	var err error
	if ext := strings.ToLower(path.Ext(name)); ext == ".html" || ext == ".htm" {
		err = d.fromHTML(text)
	} else {
		d.fromMarkdown(text)
	}
	if err != nil {
		return nil, err
	}
	if d.title == "" {
		d.title = firstHeading(d.body)
	}
	if d.title == "" && d.index {
		d.title = path.Base(path.Dir(name))
	}
	if d.title == "" || d.title == "." {
		d.title = strings.NewReplacer("_", " ", "-", " ").Replace(strings.TrimSuffix(path.Base(name), path.Ext(name)))
	}
	return d, nil
}

const maxFront = 64 << 10

// fromMarkdown takes the frontmatter off. What is none stays in the text.
func (d *document) fromMarkdown(text string) {
	d.body = text
	rest, ok := strings.CutPrefix(text, "---\n")
	if !ok {
		return
	}
	block, body, ok := strings.Cut(rest, "\n---\n")
	if !ok || len(block) > maxFront {
		return
	}
	var doc yaml.Node
	if yaml.Unmarshal([]byte(block), &doc) != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return
	}
	d.front, d.body = *doc.Content[0], body
	d.title = d.value("title")
}

// value returns a text of the frontmatter.
func (d *document) value(key string) string {
	for i := 0; i+1 < len(d.front.Content); i += 2 {
		if n := d.front.Content[i+1]; d.front.Content[i].Value == key && n.Kind == yaml.ScalarNode {
			return n.Value
		}
	}
	return ""
}

// fromHTML converts the main part of a page: <main> or the only <article>, else
// the body without navigation. The parser refuses what is nested too deep.
func (d *document) fromHTML(text string) error {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("it is no HTML: %w", err)
	}
	var main, article, title *html.Node
	articles := 0
	var drop []*html.Node
	var visit func(n *html.Node)
	visit = func(n *html.Node) {
		switch n.DataAtom {
		case atom.Title:
			if title == nil {
				title = n
			}
		case atom.Main:
			main = n
		case atom.Article:
			article = n
			articles++
		case atom.Nav, atom.Script, atom.Style, atom.Noscript, atom.Template:
			drop = append(drop, n)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c)
		}
	}
	visit(root)
	if title != nil && title.FirstChild != nil {
		d.title = strings.Join(strings.Fields(title.FirstChild.Data), " ")
	}
	for _, n := range drop {
		n.Parent.RemoveChild(n)
	}
	top := root
	if main != nil {
		top = main
	} else if articles == 1 {
		top = article
	}
	conv := htmltomarkdown.NewConverter(htmltomarkdown.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
	md, err := conv.ConvertNode(top)
	if err != nil {
		return fmt.Errorf("it cannot be converted: %w", err)
	}
	d.body = string(md) + "\n"
	if strings.TrimSpace(d.body) == "" {
		return errors.New("it has no text")
	}
	return nil
}

// eachLine calls do with every line, with its end, and whether it is in a code
// fence.
func eachLine(text string, do func(line string, code bool)) {
	fence := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		run := len(trimmed) - len(strings.TrimLeft(trimmed, "`"))
		mark := "`"
		if run < 3 {
			run, mark = len(trimmed)-len(strings.TrimLeft(trimmed, "~")), "~"
		}
		switch {
		case fence == "" && run >= 3:
			fence = strings.Repeat(mark, run)
			do(line, true)
			continue
		case fence != "" && run >= len(fence) && fence[:1] == mark && strings.Trim(trimmed, mark+" \r\n") == "":
			fence = ""
			do(line, true)
			continue
		}
		do(line, fence != "")
	}
}

// heading returns the level and the text of a heading line; 0 = it is none.
func heading(line string) (level int, text string) {
	trimmed := strings.TrimRight(line, "\r\n")
	level = len(trimmed) - len(strings.TrimLeft(trimmed, "#"))
	if level < 1 || level > 6 || len(trimmed) > level && trimmed[level] != ' ' && trimmed[level] != '\t' {
		return 0, ""
	}
	text = strings.TrimSpace(strings.Trim(trimmed[level:], "# \t"))
	return level, linkText.ReplaceAllString(strings.NewReplacer("*", "", "`", "").Replace(text), "$1")
}

func firstHeading(body string) string {
	found := ""
	eachLine(body, func(line string, code bool) {
		if level, text := heading(line); found == "" && !code && level == 1 {
			found = text
		}
	})
	return found
}

// countWords counts runs without blanks that have a letter or digit.
func countWords(s string) int {
	n := 0
	for w := range strings.FieldsSeq(s) {
		if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}
