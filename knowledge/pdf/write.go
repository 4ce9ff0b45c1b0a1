package pdf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// front is the frontmatter of a concept, in the order in which it is written.
type front struct {
	Type        string   `yaml:"type"`
	Title       string   `yaml:"title"`
	Description string   `yaml:"description,omitempty"`
	Resource    string   `yaml:"resource"`
	Generated   by       `yaml:"generated"`
	Sources     []source `yaml:"sources"`
	Pages       string   `yaml:"pages,omitempty"`
	PageLabels  string   `yaml:"page_labels,omitempty"`
	Level       int      `yaml:"level"`
	Parent      string   `yaml:"parent,omitempty"`
	Order       int      `yaml:"order"`
}

type by struct {
	By string `yaml:"by"`
	At string `yaml:"at"`
}

type source struct {
	ID       string `yaml:"id"`
	Resource string `yaml:"resource"`
	Title    string `yaml:"title"`
}

// stage has the bundle made beside its place, and moves it there when it is
// whole.
func stage(dst string, mark manifest, make func(tmp string) (*Report, error)) (_ *Report, err error) {
	dst = filepath.Clean(dst)
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dst), "."+filepath.Base(dst)+".making-")
	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	report, err := make(tmp)
	if err != nil {
		return nil, err
	}
	mark.Report = *report
	data, err := json.MarshalIndent(mark, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(tmp, manifestName), data, 0o644)
	}
	if err == nil {
		err = os.Chmod(tmp, 0o755)
	}
	if err == nil {
		err = replace(tmp, dst)
	}
	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	return report, nil
}

// replace moves tmp to dst. What was at dst goes last, so that there is always
// one of the two.
func replace(tmp, dst string) error {
	old := tmp + ".old"
	if err := os.Rename(dst, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, dst); err != nil {
		return errors.Join(err, os.Rename(old, dst))
	}
	return os.RemoveAll(old)
}

type writer struct {
	dir      string
	doc      *document
	o        Options
	clean    *cleaner
	sections []section
	ids      []string
	kids     map[int][]int // by parent; -1 = the bundle
	now      time.Time
	title    string
}

func (w *writer) bundle() (*Report, error) {
	w.title = cmp.Or(w.o.Title, w.doc.title, strings.TrimSuffix(w.o.Resource, ".pdf"))
	w.name()
	report := &Report{Pages: len(w.doc.pages), Concepts: len(w.sections), WordsIn: w.words()}
	for i, p := range w.doc.pages {
		if p.failed != "" {
			report.Problems = append(report.Problems, fmt.Sprintf("page %d could not be read: %s", i+1, p.failed))
		}
	}
	if report.WordsIn == 0 {
		return nil, &Error{File: w.o.Resource, Reason: "it has no text: its pages are pictures; run a text recognition over it first"}
	}
	if w.doc.cut {
		report.Problems = append(report.Problems, "its bookmarks are too many, too deep, or go round in circles; not all became concepts")
	}
	if len(w.doc.outline) == 0 {
		report.Problems = append(report.Problems, fmt.Sprintf("the document has no bookmarks; each concept is %d pages", blockPages))
	}
	order := map[int]int{}
	for i := range w.sections {
		parent := w.sections[i].parent
		order[parent]++
		kept, err := w.concept(i, order[parent])
		if err != nil {
			return nil, err
		}
		report.WordsKept += kept
	}
	return report, w.indexes()
}

const (
	maxSlug   = 60 // bytes of one part of an id
	maxFolder = 8  // levels of folders; deeper concepts lie in the last
)

// name gives every section an id: below its parent's, unlike all others even
// when case is folded.
func (w *writer) name() {
	taken := map[string]bool{}
	w.ids = make([]string, len(w.sections))
	w.kids = map[int][]int{}
	for i, s := range w.sections {
		w.kids[s.parent] = append(w.kids[s.parent], i)
		folder := ""
		if s.parent >= 0 {
			folder = w.ids[s.parent] + "/"
			if strings.Count(folder, "/") > maxFolder {
				folder = path.Dir(w.ids[s.parent]) + "/"
			}
		}
		base := slug(s.title)
		id := folder + base
		for n := 2; taken[strings.ToLower(id)]; n++ {
			id = fmt.Sprintf("%s%s-%d", folder, base, n)
		}
		taken[strings.ToLower(id)] = true
		w.ids[i] = id
	}
}

// slug makes a file name of a title: its letters and digits, whatever the
// script, in lower case. "index" and "log" are reserved by the format.
func slug(title string) string {
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

// words counts those of the document, running heads aside, without regard to
// how it is carved.
func (w *writer) words() int {
	n := 0
	lines, _ := flatten(w.doc)
	for _, l := range lines {
		n += countWords(w.clean.line(l.text))
	}
	return n
}

// concept writes one section and returns how many words of the document are in
// it.
func (w *writer) concept(i, order int) (kept int, err error) {
	s := &w.sections[i]
	text, note := w.limit(s)
	kept = countWords(text)
	text += note
	description := firstSentence(text)
	if kids := w.kids[i]; len(kids) > 0 {
		text += "\n## Subsections\n" + w.list(path.Dir(w.ids[i]), kids)
	}
	f := front{
		Type: w.typeName(s.level), Title: s.title, Description: description, Resource: w.o.Resource,
		Generated: by{Version, w.now.Format(time.RFC3339)}, Sources: []source{{"document", w.o.Resource, w.title}},
		Level: s.level + 1, Order: order,
	}
	if s.parent >= 0 {
		f.Parent = w.ids[s.parent]
	}
	if s.first > 0 {
		f.Pages, f.PageLabels = pageRange(fmt.Sprint(s.first), fmt.Sprint(s.last)), pageRange(w.doc.pages[s.first-1].label, w.doc.pages[s.last-1].label)
	}
	head, err := yaml.Marshal(f)
	if err != nil {
		return 0, err
	}
	file := filepath.Join(w.dir, filepath.FromSlash(w.ids[i])+".md")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return 0, err
	}
	return kept, os.WriteFile(file, []byte("---\n"+string(head)+"---\n\n"+text), 0o644)
}

// limit makes the body of a section and cuts it to what the options allow;
// note says so.
func (w *writer) limit(s *section) (text, note string) {
	lines := s.lines
	if w.o.MaxPages > 0 && s.last-s.first >= w.o.MaxPages {
		lines = slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.page+1 >= s.first+w.o.MaxPages })
		note = fmt.Sprintf("\n[cut after %d pages]\n", w.o.MaxPages)
	}
	text = w.clean.body(lines)
	if runes := []rune(text); w.o.MaxChars > 0 && len(runes) > w.o.MaxChars {
		return string(runes[:w.o.MaxChars]), fmt.Sprintf("\n[cut after %d characters]\n", w.o.MaxChars)
	}
	return text, note
}

func (w *writer) typeName(level int) string {
	if name := w.o.TypeNames[level+1]; name != "" {
		return name
	}
	if w.o.TypeNames != nil || level > 1 {
		return "Section"
	}
	return []string{"Service", "Topic"}[level]
}

func pageRange(first, last string) string {
	if first == last || last == "" {
		return first
	}
	return first + "-" + last
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if i := strings.Index(text, ". "); i > 20 && i < 200 {
		return text[:i+1]
	}
	if len(text) > 160 {
		text = strings.ToValidUTF8(text[:160], "")
		if i := strings.LastIndexByte(text, ' '); i > 0 {
			text = text[:i]
		}
		text += " …"
	}
	return text
}

// list links to sections from a file in folder.
func (w *writer) list(folder string, sections []int) string {
	var b strings.Builder
	for _, k := range sections {
		target, err := filepath.Rel(filepath.FromSlash(folder), filepath.FromSlash(w.ids[k]+".md"))
		if err != nil {
			target = "/" + w.ids[k] + ".md"
		}
		title := strings.NewReplacer("[", `\[`, "]", `\]`).Replace(w.sections[k].title)
		fmt.Fprintf(&b, "* [%s](<%s>)\n", title, filepath.ToSlash(target))
	}
	return b.String()
}

// indexes writes the index of the bundle, in document order.
func (w *writer) indexes() error {
	text := "---\nokf_version: \"0.2\"\n---\n# " + w.title + "\n\n" + w.list(".", w.kids[-1])
	return os.WriteFile(filepath.Join(w.dir, "index.md"), []byte(text), 0o644)
}
