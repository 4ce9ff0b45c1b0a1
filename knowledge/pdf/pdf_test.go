package pdf_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/pdf"
)

// converted makes a bundle of p and opens it.
func converted(t *testing.T, p *paper, o pdf.Options) (*knowledge.Bundle, *pdf.Report, string) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "bundle")
	report, err := pdf.Convert(t.Context(), p.file(t), dst, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := knowledge.Open(t.Context(), dst, knowledge.Options{CacheDir: "-"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	problems, err := b.Validate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !p.Warning {
			t.Error("not conformant: ", p)
		}
	}
	return b, report, dst
}

// bodies reads all concepts, without their lists of subsections and links.
func bodies(t *testing.T, b *knowledge.Bundle) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, c := range b.Concepts() {
		r, err := b.Read(c.ID, knowledge.ReadOptions{MaxTokens: -1})
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(r.Text, "## Subsections")
		text, _, _ = strings.Cut(text, "## See also")
		text = markup.ReplaceAllString(text, "")
		all[c.ID] = strings.Join(strings.Fields(text), " ")
	}
	return all
}

// markup is what the converter adds to the words of a document.
var markup = regexp.MustCompile("(?m)^(#{1,2} |```)")

func wantBodies(t *testing.T, b *knowledge.Bundle, want map[string]string) {
	t.Helper()
	got := bodies(t, b)
	for id, text := range want {
		if g, ok := got[id]; !ok || g != text {
			t.Errorf("%s: %q (there: %v), want %q", id, g, ok, text)
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			t.Errorf("unexpected concept %s: %q", id, got[id])
		}
	}
}

// TestDestinations: every kind of destination cuts where it points, sections
// of one page are apart, and what is before the first bookmark is kept.
func TestDestinations(t *testing.T) {
	p := &paper{title: "Guide", sheets: []sheet{
		lines(700, "A word before.", "Alpha", "one", "Beta", "two"),
		lines(700, "tail of beta", "Gamma", "three", "", "Delta", "four"),
		lines(700, "Epsilon", "five"),
	}, outline: []mark{
		{title: "Alpha", dest: "[P0 /XYZ 0 690 0]", kids: []mark{{title: "Beta", dest: "[P0 /FitH 662]"}}},
		{title: "Gamma", dest: "[P1 /XYZ null 690 null]"},
		{title: "Delta", dest: "[P1 /FitBH 650]"},
		{title: "Epsilon", dest: "[P2 /Fit]"},
		{title: "Nowhere"},
	}}
	b, report, _ := converted(t, p, pdf.Options{})
	wantBodies(t, b, map[string]string{
		"front_matter": "A word before.",
		"alpha":        "Alpha one",
		"alpha/beta":   "Beta two tail of beta",
		"gamma":        "Gamma three",
		"delta":        "Delta four",
		"epsilon":      "Epsilon five",
		"nowhere":      "",
	})
	if report.Concepts != 7 || report.Pages != 3 || report.WordsIn != 16 || report.WordsKept != 16 {
		t.Errorf("%+v", report)
	}
	toc, err := b.TOC(knowledge.TOCOptions{Depth: 2})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range toc.Entries {
		order = append(order, fmt.Sprint(e.Depth, e.ID))
	}
	if want := []string{"0front_matter", "0alpha", "1alpha/beta", "0gamma", "0delta", "0epsilon", "0nowhere"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	c, _ := b.Concept("alpha/beta")
	if c.Type != "Topic" || c.Pages != "1-2" || c.Title != "Beta" {
		t.Errorf("%+v", c)
	}
}

// TestTitles: titles that clash, are reserved, or have no ASCII letter.
func TestTitles(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "Index", "a", "Log", "b", "Usage", "c", "usage", "d", "Usage", "e", "+++", "f", "@@", "g")}}
	for i, title := range []string{"Index", "Log", "Usage", "usage", "Usage", "+++", "Überblick 日本"} {
		p.outline = append(p.outline, mark{title: title, dest: fmt.Sprintf("[P0 /XYZ 0 %d 0]", 708-28*i)})
	}
	b, _, _ := converted(t, p, pdf.Options{})
	wantBodies(t, b, map[string]string{
		"index_section": "Index a", "log_section": "Log b", "usage": "Usage c", "usage-2": "usage d", "usage-3": "Usage e",
		"section": "+++ f", "überblick_日本": "@@ g",
	})
}

// TestOutlineShapes: deep, out of order, with pages that are not there.
func TestOutlineShapes(t *testing.T) {
	deep := mark{title: "Level 12", dest: "[P0 /Fit]"}
	for i := 11; i > 0; i-- {
		deep = mark{title: fmt.Sprint("Level ", i), dest: "[P0 /Fit]", kids: []mark{deep}}
	}
	p := &paper{sheets: []sheet{lines(700, "Ground"), lines(700, "First"), lines(700, "Second")}, outline: []mark{
		{title: "Second", dest: "[P2 /Fit]"},
		{title: "First", dest: "[P1 /Fit]"},
		{title: "Missing", dest: "[99 0 R /Fit]"},
		deep,
	}}
	b, report, _ := converted(t, p, pdf.Options{})
	got := bodies(t, b)
	if got["second"] != "Second" || got["first"] != "First" || len(got) != 15 || report.WordsKept != 3 || report.WordsIn != 3 {
		t.Errorf("%v, %+v", got, report)
	}
	deepest := 0
	for _, c := range b.Concepts() {
		deepest = max(deepest, strings.Count(c.ID, "/"))
		if c.Title == "Level 12" {
			if r, err := b.Read(c.ID, knowledge.ReadOptions{}); err != nil || !strings.HasSuffix(r.Parent, "level_11") {
				t.Errorf("parent of level 12: %+v, %v", r, err)
			}
		}
	}
	if deepest > 8 {
		t.Errorf("folders %d deep", deepest)
	}
}

// TestSameTitleAsItsChapter: a section called as its chapter is no cycle.
func TestSameTitleAsItsChapter(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "Introduction", "text")}, outline: []mark{
		{title: "Introduction", dest: "[P0 /Fit]", kids: []mark{{title: "Introduction", dest: "[P0 /Fit]"}, {title: "More", dest: "[P0 /XYZ 0 690 0]"}}},
	}}
	for range 5 {
		p.outline = append(p.outline, mark{title: "Example"})
	}
	_, report, _ := converted(t, p, pdf.Options{})
	if report.Concepts != 8 || len(report.Problems) != 0 {
		t.Errorf("%+v", report)
	}
}

// TestOutlineCycles end, with the problem reported, through both modes.
func TestOutlineCycles(t *testing.T) {
	modes := map[string]pdf.Options{"in process": {}, "worker": workerOptions(t)}
	for name, change := range map[string]func(p *paper, o map[int][]byte){
		"sibling": func(p *paper, o map[int][]byte) {
			o[p.marks[1]] = fmt.Appendf(nil, "<< /Title (B) /Next %d 0 R >>", p.marks[0])
		},
		"child": func(p *paper, o map[int][]byte) {
			o[p.marks[1]] = fmt.Appendf(nil, "<< /Title (B) /First %d 0 R >>", p.marks[0])
		},
		"both": func(p *paper, o map[int][]byte) {
			o[p.marks[1]] = fmt.Appendf(nil, "<< /Title (B) /First %d 0 R /Next %d 0 R >>", p.marks[0], p.marks[0])
		},
	} {
		for mode, options := range modes {
			t.Run(name+", "+mode, func(t *testing.T) {
				p := &paper{sheets: []sheet{lines(700, "A", "text")}, outline: []mark{{title: "A", dest: "[P0 /Fit]"}, {title: "B"}}}
				p.after = func(o map[int][]byte) { change(p, o) }
				_, report, _ := converted(t, p, options)
				if report.WordsKept != 2 || len(report.Problems) == 0 || !strings.Contains(report.Problems[0], "circles") || report.Concepts > 5000 {
					t.Errorf("%+v", report)
				}
			})
		}
	}
}

func TestNoOutline(t *testing.T) {
	p := &paper{}
	for i := range 12 {
		p.sheets = append(p.sheets, lines(700, "word"+strings.Repeat("x", i)))
	}
	b, report, _ := converted(t, p, pdf.Options{})
	if got := bodies(t, b); len(got) != 2 || !strings.HasPrefix(got["pages_11_to_12"], "wordxxxxxxxxxx ") {
		t.Errorf("%v", got)
	}
	if len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "no bookmarks") {
		t.Errorf("%+v", report)
	}
}

// TestRunningHeads: heads and page numbers go, numbers in tables stay.
func TestRunningHeads(t *testing.T) {
	p := &paper{}
	for i := range 6 {
		s := lines(700, fmt.Sprintf("%d.5 %d %d", i, i, i), "text"+strings.Repeat("x", i))
		s.texts = slices.Insert(s.texts, 0, text{x: 72, y: 770, size: 8, s: "User's Guide"}, text{x: 300, y: 755, size: 8, s: fmt.Sprintf("Chapter%s %d", strings.Repeat("y", i), i+7)})
		s.texts = append(s.texts, text{x: 300, y: 30, size: 8, s: fmt.Sprint(i + 7)})
		p.sheets = append(p.sheets, s)
	}
	b, report, _ := converted(t, p, pdf.Options{})
	if got := bodies(t, b)["pages_1_to_6"]; strings.Contains(got, "Guide") || strings.Contains(got, "Chapter") || !strings.Contains(got, "3.5 3 3 textxxx") {
		t.Errorf("%q", got)
	}
	if report.WordsIn != 24 {
		t.Errorf("%+v", report)
	}
}

// TestWordsOnce: whatever the outline, each word of the document is in exactly
// one concept.
func TestWordsOnce(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			p, all := randomPaper(r)
			b, report, _ := converted(t, p, pdf.Options{Workers: 1 + r.IntN(3)})
			count := map[string]int{}
			for _, text := range bodies(t, b) {
				for w := range strings.FieldsSeq(text) {
					count[w]++
				}
			}
			for _, w := range all {
				if count[w] != 1 {
					t.Errorf("%s is there %d times", w, count[w])
				}
			}
			if report.WordsIn != len(all) || report.WordsKept != len(all) || len(count) != len(all) {
				t.Errorf("%+v, %d words in, %d out", report, len(all), len(count))
			}
		})
	}
}

// randomPaper makes a document of words that are all different, and a wild
// outline of it.
func randomPaper(r *rand.Rand) (*paper, []string) {
	p := &paper{}
	var words []string
	word := func() string {
		s, n := "w", len(words)
		for ; n > 0; n /= 26 {
			s += string(rune('a' + n%26))
		}
		words = append(words, s+"q")
		return s + "q"
	}
	for range 1 + r.IntN(8) {
		var s sheet
		for y := 780 - r.Float64()*100; y > 20; y -= 12 + r.Float64()*100 {
			line := word()
			for range r.IntN(8) {
				line += " " + word()
			}
			s.texts = append(s.texts, text{x: 40 + r.Float64()*100, y: y, size: 6 + r.Float64()*8, s: line, font: []string{"", "mono"}[r.IntN(2)]})
		}
		p.sheets = append(p.sheets, s)
	}
	var some func(depth int) []mark
	some = func(depth int) []mark {
		var marks []mark
		for range r.IntN(5) {
			m := mark{title: []string{"Index", "Other", "", words[r.IntN(len(words))]}[r.IntN(4)]}
			page, y := r.IntN(len(p.sheets)+1), r.IntN(900)-50
			m.dest = fmt.Sprintf([]string{"", "[P%d /Fit]", "[P%d /FitH %d]", "[P%d /XYZ 3 %d 0]"}[r.IntN(4)]+"%.0s%.0s", page, y)
			if strings.Contains(m.dest, "%!") || m.dest != "" && !strings.HasSuffix(m.dest, "]") {
				m.dest = fmt.Sprintf("[P%d /XYZ 0 %d 0]", page, y)
			}
			if depth < 4 {
				m.kids = some(depth + 1)
			}
			marks = append(marks, m)
		}
		return marks
	}
	p.outline = some(0)
	return p, words
}

func TestText(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "# no heading", "[x](y.md) and ](z.md)", "~~~", "--- rule", "user-defined")}}
	b, _, _ := converted(t, p, pdf.Options{})
	r, err := b.Read("pages_1_to_1", knowledge.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.SeeAlso) != 0 {
		t.Errorf("text became links: %v", r.SeeAlso)
	}
	for _, want := range []string{`\# no heading`, `\[x]`, `\~~~`, `\--- rule`, "user-defined"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("%q is not in\n%s", want, r.Text)
		}
	}
}

func TestOptions(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "One", strings.Repeat("a", 40), "Two", "b"), lines(700, "c")}, outline: []mark{
		{title: "One", dest: "[P0 /Fit]", kids: []mark{{title: "Two", dest: "[P0 /XYZ 0 682 0]"}}},
	}}
	b, report, _ := converted(t, p, pdf.Options{MaxLevels: 1, MaxChars: 20, MaxPages: 1, TypeNames: map[int]string{1: "Chapter"}, Title: "Doc", Resource: "https://example.org/d.pdf"})
	got := bodies(t, b)
	if len(got) != 1 || !strings.Contains(got["one"], "[cut after 20 characters]") || report.WordsKept >= report.WordsIn {
		t.Errorf("%v %+v", got, report)
	}
	if c, _ := b.Concept("one"); c.Type != "Chapter" || c.Resource != "https://example.org/d.pdf" {
		t.Errorf("%+v", c)
	}
}

// TestEncrypted documents open with their password.
func TestEncrypted(t *testing.T) {
	for _, aes := range []bool{false, true} {
		p := &paper{sheets: []sheet{lines(700, "secret text")}, password: "open sesame", aes: aes}
		b, _, _ := converted(t, p, pdf.Options{Password: "open sesame"})
		if got := bodies(t, b)["pages_1_to_1"]; got != "secret text" {
			t.Errorf("AES %v: %q", aes, got)
		}
	}
}

// TestBadFiles: each ends in a typed error of one line and leaves nothing,
// through both modes.
func TestBadFiles(t *testing.T) {
	good := (&paper{sheets: []sheet{lines(700, "text")}}).bytes()
	locked := (&paper{sheets: []sheet{lines(700, "secret text")}, password: "open sesame"}).file(t)
	sealed := (&paper{sheets: []sheet{lines(700, "secret text")}, password: "open sesame", aes: true}).file(t)
	flipped := slices.Clone(good)
	for i := 0; i < len(flipped); i += 3 {
		flipped[i] ^= 0x55
	}
	for name, c := range map[string]struct {
		file, password, want string
	}{
		"empty":               {file: fileOf(t, nil), want: "no PDF"},
		"html":                {file: fileOf(t, []byte("<!doctype html><title>404</title>")), want: "no PDF"},
		"cut":                 {file: fileOf(t, good[:len(good)/3]), want: "PDF"},
		"flipped":             {file: fileOf(t, flipped), want: "PDF"},
		"image":               {file: (&paper{sheets: []sheet{{image: true}}, outline: []mark{{title: "A", dest: "[P0 /Fit]"}}}).file(t), want: "pictures"},
		"no pages":            {file: (&paper{}).file(t), want: "no pages"},
		"no password":         {file: locked, want: "give its password"},
		"wrong password":      {file: locked, password: "x", want: "password is wrong"},
		"AES, no password":    {file: sealed, want: "give its password"},
		"AES, wrong password": {file: sealed, password: "x", want: "password is wrong"},
		"folder":              {file: t.TempDir(), want: "no regular file"},
	} {
		for mode, o := range map[string]pdf.Options{"worker": workerOptions(t), "in process": {}} {
			t.Run(name+", "+mode, func(t *testing.T) {
				parent := t.TempDir()
				o.Password = c.password
				_, err := pdf.Convert(t.Context(), c.file, filepath.Join(parent, "b"), o)
				e, ok := errors.AsType[*pdf.Error](err)
				if !ok || !strings.Contains(e.Reason, c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, c.want)
				}
				if left, _ := os.ReadDir(parent); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
	if _, err := pdf.Convert(t.Context(), filepath.Join(t.TempDir(), "none.pdf"), filepath.Join(t.TempDir(), "b"), pdf.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestAgain: what is unchanged is left alone, what changed replaces the old
// bundle, what is not ours is refused, and a failure leaves what was there.
func TestAgain(t *testing.T) {
	dir := t.TempDir()
	dst := filepath.Join(dir, "bundle")
	write := func(s string) string { return (&paper{sheets: []sheet{lines(700, s)}}).file(t) }
	convert := func(src string, o pdf.Options) *pdf.Report {
		t.Helper()
		o.Resource = "r.pdf"
		report, err := pdf.Convert(t.Context(), src, dst, o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	one := write("one")
	if convert(one, pdf.Options{}).Unchanged {
		t.Error("new and unchanged")
	}
	extra := filepath.Join(dst, "extra.md")
	if err := os.WriteFile(extra, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := convert(one, pdf.Options{Workers: 1}); !r.Unchanged || r.WordsKept != 1 {
		t.Errorf("same source: %+v", r)
	}
	if convert(one, pdf.Options{MaxChars: 99}).Unchanged {
		t.Error("other options: unchanged")
	}
	if _, err := os.Stat(extra); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of the old bundle: %v", err)
	}
	if convert(one, pdf.Options{MaxChars: 99, Force: true}).Unchanged {
		t.Error("forced: unchanged")
	}
	convert(write("two"), pdf.Options{})
	bad := fileOf(t, []byte("junk"))
	if _, err := pdf.Convert(t.Context(), bad, dst, pdf.Options{}); err == nil {
		t.Error("junk was converted")
	}
	text, err := os.ReadFile(filepath.Join(dst, "pages_1_to_1.md"))
	if err != nil || !strings.Contains(string(text), "two") {
		t.Errorf("after a failure: %q, %v", text, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pdf.Convert(ctx, one, dst, pdf.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	mine := filepath.Join(dir, "mine")
	if err := os.Mkdir(mine, 0o755); err != nil {
		t.Fatal(err)
	}
	convertTo := func() error { _, err := pdf.Convert(t.Context(), one, mine, pdf.Options{}); return err }
	if err := os.WriteFile(filepath.Join(mine, "diary.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := convertTo(); err == nil || !strings.Contains(err.Error(), "not made by a conversion") {
		t.Errorf("foreign folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(mine, "diary.txt")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(mine, "diary.txt")); err != nil {
		t.Fatal(err)
	}
	if err := convertTo(); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestPageLabelsAndProgress(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "a"), lines(700, "b"), lines(700, "c")}, labels: "0 << /S /r >> 2 << /S /D >>",
		outline: []mark{{title: "A", dest: "[P0 /Fit]"}, {title: "C", dest: "[P2 /Fit]"}}}
	var last, calls int
	_, _, dst := converted(t, p, pdf.Options{Progress: func(done, total int) { last, calls = done, calls+1 }})
	for file, want := range map[string]string{"a.md": "page_labels: i-ii", "c.md": `page_labels: "1"`} {
		if text, err := os.ReadFile(filepath.Join(dst, file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, %v", file, text, err)
		}
	}
	if last != 3 || calls != 3 {
		t.Errorf("progress: %d calls, the last %d", calls, last)
	}
}
