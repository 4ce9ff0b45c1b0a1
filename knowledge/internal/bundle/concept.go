// Package bundle writes knowledge bundles: names for concepts, their files, the
// indexes of folders, and the way by which a bundle appears whole or not at
// all.
package bundle

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// Front is the frontmatter of a concept, in the order in which it is written.
type Front struct {
	Type        string   `yaml:"type"`
	Title       string   `yaml:"title"`
	Description string   `yaml:"description,omitempty"`
	Resource    string   `yaml:"resource"`
	Tags        []string `yaml:"tags,omitempty"`
	Generated   By       `yaml:"generated"`
	Sources     []Source `yaml:"sources"`
	Pages       string   `yaml:"pages,omitempty"`
	PageLabels  string   `yaml:"page_labels,omitempty"`
	Level       int      `yaml:"level"`
	Parent      string   `yaml:"parent,omitempty"`
	Order       int      `yaml:"order"`
}

// By says what made a concept, and when.
type By struct {
	By string `yaml:"by"`
	At string `yaml:"at"`
}

// Source is what a concept was made of.
type Source struct {
	ID       string `yaml:"id"`
	Resource string `yaml:"resource"`
	Title    string `yaml:"title"`
}

// Node is a concept of the bundle to be.
type Node struct {
	ID          string
	Title       string
	Description string
	Parent      int // index; -1 = none
	Order       int // among its siblings, from 1
}

// Write writes the file of a concept into the bundle at dir.
func Write(dir, id string, f Front, body string) error {
	head, err := yaml.Marshal(f)
	if err != nil {
		return err
	}
	return WriteFile(dir, id+".md", "---\n"+string(head)+"---\n\n"+body)
}

// WriteFile writes a file of the bundle at dir, whose name has slashes.
func WriteFile(dir, name, text string) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

const (
	maxSlug   = 60 // bytes of one part of an id
	maxFolder = 8  // levels of folders; deeper concepts lie in the last
)

// Names gives out ids that differ even when case is folded. The zero value is
// ready.
type Names struct{ taken map[string]bool }

// Below returns an id for a title below the concept parent; "" = at the top.
func (n *Names) Below(parent, title string) string {
	folder := ""
	if parent != "" {
		if folder = parent + "/"; strings.Count(folder, "/") > maxFolder {
			folder = path.Dir(parent) + "/"
		}
	}
	return n.Take(folder + Slug(title))
}

// Take returns id, with a number when it is taken.
func (n *Names) Take(id string) string {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	free := id
	for i := 2; n.taken[strings.ToLower(free)]; i++ {
		free = fmt.Sprintf("%s-%d", id, i)
	}
	n.taken[strings.ToLower(free)] = true
	return free
}

// Slug makes a file name of a title: its letters and digits, whatever the
// script, in lower case. "index" and "log" are reserved by the format.
func Slug(title string) string {
	s := norm.NFC.String(title)
	s = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return '_'
	}, s)
	for strings.Contains(s, "__") {
		s = strings.ReplaceAll(s, "__", "_")
	}
	if len(s) > maxSlug {
		s = strings.ToValidUTF8(s[:maxSlug], "")
	}
	s = strings.Trim(s, "_")
	switch s {
	case "":
		return "section"
	case "index", "log":
		return s + "_section"
	}
	return s
}

// Link returns "[title](target)" from a file in folder to the concept id.
func Link(folder, title, id string) string {
	target, err := filepath.Rel(filepath.FromSlash(folder), filepath.FromSlash(id+".md"))
	if err != nil {
		target = "/" + id + ".md"
	}
	title = strings.NewReplacer("[", `\[`, "]", `\]`, "\n", " ").Replace(title)
	return fmt.Sprintf("[%s](<%s>)", title, filepath.ToSlash(target))
}

// List links to nodes from a file in folder, a line each.
func List(folder string, nodes []Node) string {
	var b strings.Builder
	for _, n := range nodes {
		b.WriteString("* " + Link(folder, n.Title, n.ID))
		if n.Description != "" {
			b.WriteString(" - " + oneLine(n.Description))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Indexes writes the index.md of every folder of the bundle at dir. Each lists
// what lies in the folder, in the order of the document, and the folders below
// that no concept of it stands for.
func Indexes(dir, title string, nodes []Node) error {
	byFolder := map[string][]Node{"": nil}
	owner := map[string]string{} // title of the concept that a folder belongs to
	for _, n := range nodes {
		owner[n.ID] = n.Title
	}
	for _, n := range nodes {
		byFolder[parentOf(n.ID)] = append(byFolder[parentOf(n.ID)], n)
	}
	for _, folder := range slices.Collect(maps.Keys(byFolder)) {
		for ; folder != ""; folder = parentOf(folder) {
			byFolder[parentOf(folder)] = byFolder[parentOf(folder)] // also those that hold folders only
		}
	}
	below := map[string][]string{}
	for folder := range byFolder {
		if folder != "" && owner[folder] == "" {
			below[parentOf(folder)] = append(below[parentOf(folder)], folder)
		}
	}
	for folder, list := range byFolder {
		text, name := "", title
		if folder == "" {
			text = "---\nokf_version: \"0.2\"\n---\n"
		} else if name = owner[folder]; name == "" {
			name = path.Base(folder)
		}
		from := folder
		if from == "" {
			from = "."
		}
		text += "# " + oneLine(name) + "\n\n" + List(from, list)
		slices.Sort(below[folder])
		for _, sub := range below[folder] {
			text += fmt.Sprintf("* [%s](<%s/>)\n", path.Base(sub), path.Base(sub))
		}
		if err := WriteFile(dir, path.Join(folder, "index.md"), text); err != nil {
			return err
		}
	}
	return nil
}

// parentOf is the folder of an id or a folder; "" = the root.
func parentOf(id string) string {
	if dir := path.Dir(id); dir != "." {
		return dir
	}
	return ""
}
