package pdf_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/pdf"
)

func body(t *testing.T, b *knowledge.Bundle, id string) string {
	t.Helper()
	r, err := b.Read(id, knowledge.ReadOptions{MaxTokens: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r.Text
}

// TestCode: lines of fixed pitch are fenced, as far to the right as they stand;
// prose that begins and ends with code is prose.
func TestCode(t *testing.T) {
	courier := func(x, y float64, s string) text { return text{x: x, y: y, size: 10, font: "mono", s: s} }
	s := sheet{texts: []text{
		{x: 72, y: 700, size: 10, s: "Usage is this."},
		courier(90, 686, "if x:"), courier(114, 672, "f(x)  # *not* [a](b.md)"), courier(90, 640, "g"),
		courier(90, 628, "name"), courier(90+6*12, 628, "kind of"), courier(90+6*24, 628, "size"),
		courier(72, 620, "f"), {x: 80, y: 620, size: 10, s: "is a function, which calls"}, courier(205, 620, "g"),
		{x: 72, y: 600, size: 10, s: "The end."},
	}}
	b, report, _ := converted(t, &paper{sheets: []sheet{s}}, pdf.Options{})
	got := body(t, b, "pages_1_to_1")
	want := "Usage is this.\n```\nif x:\n    f(x)  # *not* [a](b.md)\n\ng\nname        kind of     size\n```\nf is a function, which calls g\n\nThe end."
	if strings.TrimSpace(got) != want {
		t.Errorf("%q, want\n%q", got, want)
	}
	if report.WordsIn != report.WordsKept {
		t.Errorf("%+v", report)
	}
}

// TestSeeAlso: links to other sections are listed apart from the subsections;
// those of contents and of an index are not.
func TestSeeAlso(t *testing.T) {
	p := &paper{sheets: []sheet{
		lines(700, "Contents", "Alpha", "Beta"),
		lines(700, "Alpha", "see Beta or Alpha", "Below", "text"),
		lines(700, "Beta", "what"),
	}, outline: []mark{
		{title: "Alpha", dest: "[P1 /XYZ 0 710 0]", kids: []mark{{title: "Below", dest: "[P1 /XYZ 0 682 0]"}}},
		{title: "Beta", dest: "[P2 /XYZ 0 710 0]"},
	}}
	p.sheets[0].links = []link{{72, 684, 50, 10, "[P1 /XYZ 0 710 0]"}, {72, 670, 50, 10, "[P2 /XYZ 0 710 0]"}}
	p.sheets[1].links = []link{
		{72, 684, 50, 10, "[P2 /XYZ 0 700 0]"}, {72, 684, 50, 10, "[P1 /XYZ 0 710 0]"}, // Beta, and itself
		{72, 684, 50, 10, "[P1 /XYZ 0 682 0]"}, {72, 656, 9, 10, "[P9 /Fit]"}, // its child, and nowhere
	}
	b, _, _ := converted(t, p, pdf.Options{})
	for id, want := range map[string][]string{"alpha": {"beta"}, "front_matter": nil, "beta": nil} {
		if r, err := b.Read(id, knowledge.ReadOptions{}); err != nil || !slices.Equal(r.SeeAlso, want) {
			t.Errorf("%s: see also %v, want %v (%v)", id, r.SeeAlso, want, err)
		}
	}
	if r, _ := b.Read("beta", knowledge.ReadOptions{}); !slices.Equal(r.Backlinks, []string{"alpha"}) {
		t.Errorf("linked from %v", r.Backlinks)
	}
	if c, err := b.Children("alpha"); err != nil || len(c.Entries) != 1 || c.Entries[0].ID != "alpha/below" {
		t.Errorf("%v, %v", c, err)
	}
}

// TestIndexes: every folder has one, with the descriptions, in the order of the
// document.
func TestIndexes(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "Zoo", "All of the animals live here. More of it.", "Bear A big one", "Bears sleep in winter.", "Ant", "Small.")}, outline: []mark{
		{title: "Zoo", dest: "[P0 /Fit]", kids: []mark{{title: "Bear", dest: "[P0 /XYZ 0 682 0]"}, {title: "Ant", dest: "[P0 /XYZ 0 654 0]"}}},
	}}
	_, _, dst := converted(t, p, pdf.Options{Title: "Book"})
	for file, want := range map[string]string{
		"index.md":     "---\nokf_version: \"0.2\"\n---\n# Book\n\n* [Zoo](<zoo.md>) - All of the animals live here.\n",
		"zoo/index.md": "# Zoo\n\n* [Bear](<bear.md>) - A big one: Bears sleep in winter.\n* [Ant](<ant.md>) - Small.\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dst, file)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
}

// TestHeadings: without bookmarks, lines in large type are the outline, and
// within a section they are headings.
func TestHeadings(t *testing.T) {
	p := &paper{}
	for i := range 4 {
		s := lines(600, strings.Split(strings.Repeat("some text;", 12), ";")...)
		s.texts = s.texts[:12]
		s.texts = append([]text{{x: 72, y: 700, size: 20, s: fmt.Sprint("Chapter ", string(rune('A'+i)))}, {x: 72, y: 650, size: 14, s: "A part"}}, s.texts...)
		p.sheets = append(p.sheets, s)
	}
	b, report, _ := converted(t, p, pdf.Options{})
	if report.Concepts != 8 || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "large type") || report.WordsIn != report.WordsKept {
		t.Errorf("%+v", report)
	}
	if r, err := b.Read("chapter_c/a_part", knowledge.ReadOptions{}); err != nil || r.Path != "Chapter C" || !strings.HasPrefix(r.Text, "# A part\n\nsome text\n") {
		t.Errorf("%+v, %v", r, err)
	}
	for i := range p.sheets { // now with bookmarks for the chapters
		p.outline = append(p.outline, mark{title: fmt.Sprint("Chapter ", string(rune('A'+i))), dest: fmt.Sprintf("[P%d /Fit]", i)})
	}
	p.objects, p.marks = nil, nil
	b, _, _ = converted(t, p, pdf.Options{})
	if text := body(t, b, "chapter_b"); !strings.HasPrefix(text, "# Chapter B\n\n## A part\n") {
		t.Errorf("%q", text)
	}
}

// TestPrintedNumbers: pages without labels have the numbers printed on them.
func TestPrintedNumbers(t *testing.T) {
	p := &paper{outline: []mark{{title: "Start", dest: "[P1 /Fit]"}}}
	for i := range 6 {
		s := lines(700, "Start", "text"+strings.Repeat("x", i))
		if i > 0 {
			s.texts = append(s.texts, text{x: 300, y: 30, size: 8, s: fmt.Sprint(i + 40)})
		}
		p.sheets = append(p.sheets, s)
	}
	b, _, _ := converted(t, p, pdf.Options{})
	if c, ok := b.Concept("start"); !ok || c.Pages != "41-45" {
		t.Errorf("%+v", c)
	}
}

// TestResume: what was read before a conversion was stopped is not read again.
func TestResume(t *testing.T) {
	p := &paper{}
	for i := range 600 {
		p.sheets = append(p.sheets, lines(700, fmt.Sprint("page", i)))
	}
	src, dst := p.file(t), filepath.Join(t.TempDir(), "b")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := pdf.Convert(ctx, src, dst, pdf.Options{Workers: 1, Progress: func(done, _ int) {
		if done == 400 {
			cancel()
		}
	}})
	if err == nil {
		t.Fatal("not stopped")
	}
	if _, err := os.Stat(dst); err == nil {
		t.Error("half a bundle is there")
	}
	var first int
	report, err := pdf.Convert(t.Context(), src, dst, pdf.Options{Workers: 1, Progress: func(done, _ int) {
		if first++; first == 25 && done != 400 { // 25 chunks of 16 pages
			t.Errorf("after 25 reports %d pages", done)
		}
	}})
	if err != nil || report.WordsKept != 600 {
		t.Fatalf("%+v, %v", report, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dst)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	b, err := knowledge.Open(t.Context(), dst, knowledge.Options{CacheDir: "-"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if text := body(t, b, "pages_391_to_400"); !strings.Contains(text, "page390\npage391\n") {
		t.Errorf("%q", text)
	}
}
