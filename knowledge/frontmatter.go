package knowledge

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFrontmatter bounds the block, which is parsed as YAML: real ones have
// hundreds of bytes.
const maxFrontmatter = 64 << 10

var (
	errNoFrontmatter = errors.New("no frontmatter: the first line must be ---")
	errUnterminated  = fmt.Errorf("frontmatter is not closed by a line --- within %d bytes", maxFrontmatter)
)

// splitFrontmatter finds the block between the two lines "---" and the offset
// of the body after it. Only whole lines count: "---" inside a value does not
// end the block. A byte order mark and CRLF are accepted.
func splitFrontmatter(text []byte) (block []byte, body int, err error) {
	rest := bytes.TrimPrefix(text, []byte("\ufeff"))
	at := len(text) - len(rest)
	line, next := cutLine(text, at)
	if string(line) != "---" {
		return nil, 0, errNoFrontmatter
	}
	begin := next
	for at = begin; at < len(text) && at-begin <= maxFrontmatter; at = next {
		line, next = cutLine(text, at)
		if string(line) == "---" {
			return text[begin:at], next, nil
		}
	}
	return nil, 0, errUnterminated
}

// cutLine returns the line at offset at without its end and trailing blanks,
// and the offset of the next one.
func cutLine(text []byte, at int) (line []byte, next int) {
	end := bytes.IndexByte(text[at:], '\n')
	if end < 0 {
		return bytes.TrimRight(text[at:], " \t\r"), len(text)
	}
	return bytes.TrimRight(text[at:at+end], " \t\r"), at + end + 1
}

// meta is the part of a frontmatter that this package understands. Timestamps
// stay the author's text: a YAML 1.1 reader would rewrite them.
type meta struct {
	node *yaml.Node // of the mapping; nil when there is none
}

func parseMeta(block []byte) (meta, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(block, &doc); err != nil {
		return meta{}, fmt.Errorf("frontmatter: %w", err)
	}
	if len(doc.Content) == 0 {
		return meta{}, errors.New("frontmatter is empty; it needs at least a type")
	}
	m := doc.Content[0]
	if m.Kind != yaml.MappingNode {
		return meta{}, errors.New("frontmatter is not a mapping of keys to values")
	}
	return meta{node: m}, nil
}

// get returns the value of a key; nil when there is none. Aliases are not
// followed, so that they cannot multiply.
func (m meta) get(key string) *yaml.Node {
	if m.node == nil {
		return nil
	}
	for i := 0; i+1 < len(m.node.Content); i += 2 {
		if m.node.Content[i].Value == key {
			return m.node.Content[i+1]
		}
	}
	return nil
}

func (m meta) text(key string) string {
	if n := m.get(key); n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return strings.TrimSpace(n.Value)
	}
	return ""
}

func (m meta) number(key string) int {
	n, _ := strconv.Atoi(m.text(key))
	return n
}

// list reads a sequence of texts; a single text is a list of one.
func (m meta) list(key string) []string {
	n := m.get(key)
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		if s := m.text(key); s != "" {
			return []string{s}
		}
		return nil
	}
	var l []string
	for _, e := range n.Content {
		if n.Kind == yaml.SequenceNode && e.Kind == yaml.ScalarNode && e.Value != "" {
			l = append(l, e.Value)
		}
	}
	return l
}

// trust derives the tier from the verified entries; a bare mapping is a list
// of one.
func (m meta) trust() Trust {
	n := m.get("verified")
	if n == nil {
		return Unverified
	}
	entries := n.Content
	if n.Kind == yaml.MappingNode {
		entries = []*yaml.Node{n}
	}
	tier := Unverified
	for _, e := range entries {
		if e.Kind != yaml.MappingNode {
			continue
		}
		switch by := (meta{e}).text("by"); {
		case strings.HasPrefix(by, "human:"):
			return HumanReviewed
		case by != "":
			tier = MachineConfirmed
		}
	}
	return tier
}

// apply fills c from the frontmatter.
func (m meta) apply(c *Concept) {
	c.Type = m.text("type")
	c.Title = m.text("title")
	c.Description = m.text("description")
	c.Tags = m.list("tags")
	c.Resource = m.text("resource")
	c.Status = strings.ToLower(m.text("status"))
	c.StaleAfter = m.text("stale_after")
	c.Pages = m.text("page_labels")
	if c.Pages == "" {
		c.Pages = m.text("pages")
	}
	c.Trust = m.trust()
	c.parent = strings.TrimSuffix(strings.TrimPrefix(m.text("parent"), "/"), ".md")
	c.order = m.number("order")
}
