package markup_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/markup"
)

// wiki writes files to a folder of the test.
func wiki(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func converted(t *testing.T, src string, o markup.Options) (*knowledge.Bundle, *markup.Report, string) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "bundle")
	report, err := markup.Convert(t.Context(), src, dst, o)
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

func ids(b *knowledge.Bundle) []string {
	var all []string
	for _, c := range b.Concepts() {
		all = append(all, c.ID)
	}
	return all
}

func TestFolder(t *testing.T) {
	b, report, dst := converted(t, wiki(t, map[string]string{
		"README.md":              "# The wiki\n\nAll about [boats](Boats/Sailing%20Boats.md#rig) and [rules](rules.html).\n",
		"Boats/README.md":        "---\ntype: Chapter\ntags: [sea]\nreviewer: ada\n---\n# Boats\n\nThings that float on water and carry people.\n",
		"Boats/Sailing Boats.md": "# Sailing boats\n\nBack to [the start](../README.md), [abroad](https://example.org), ![](x.png)\n\n```\n[not a link](../rules.html)\n```\n",
		"rules.html":             "<html><head><title>Rules of the road</title></head><body><nav><a href=x>menu</a></nav><main><h1>Rules</h1><p>Keep <b>right</b>, see <a href='Boats/'>boats</a>.</p><pre><code>if x:\n    y</code></pre><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></main></body></html>",
		"log.md":                 "# Log\n\nA page that is called as a reserved file.\n",
		".git/HEAD.md":           "hidden",
		"picture.png":            "no text",
	}), markup.Options{Resource: "https://wiki.example/"})
	if want := []string{"boats", "boats/sailing_boats", "log_section", "readme", "rules"}; !slices.Equal(ids(b), want) {
		t.Errorf("%v, want %v", ids(b), want)
	}
	if report.Concepts != 5 || report.Files != 5 || report.WordsKept != report.WordsIn || len(report.Problems) != 0 {
		t.Errorf("%+v", report)
	}
	for id, want := range map[string][]string{"readme": {"boats/sailing_boats", "rules"}, "boats/sailing_boats": {"readme"}, "rules": {"boats"}} {
		if r, err := b.Read(id, knowledge.ReadOptions{}); err != nil || !slices.Equal(r.SeeAlso, want) {
			t.Errorf("%s links to %v, want %v (%v)", id, r.SeeAlso, want, err)
		}
	}
	c, _ := b.Concept("boats")
	if c.Type != "Chapter" || c.Title != "Boats" || !slices.Equal(c.Tags, []string{"sea"}) || c.Description != "Things that float on water and carry people." || c.Resource != "https://wiki.example/Boats/README.md" {
		t.Errorf("%+v", c)
	}
	if text, _ := os.ReadFile(filepath.Join(dst, "boats.md")); !strings.Contains(string(text), "reviewer: ada") {
		t.Errorf("a key of the author is gone:\n%s", text)
	}
	r, err := b.Read("rules", knowledge.ReadOptions{})
	if err != nil || r.Title != "Rules of the road" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, want := range []string{"# Rules", "**right**", "```\nif x:\n    y\n```", "| a"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("%q is not in\n%s", want, r.Text)
		}
	}
	if strings.Contains(r.Text, "menu") {
		t.Error("the navigation was kept")
	}
}

// TestSplit: a long file becomes a concept for each of its sections, and no
// word is lost or doubled.
// TestEncodings: the words of a file are kept, whatever it is written in.
func TestEncodings(t *testing.T) {
	const page = "<html><head><meta charset=%s><title>t</title></head><body><p>%s</p></body></html>"
	b, _, _ := converted(t, wiki(t, map[string]string{
		"latin.md": "Caf\xe9 \x80", "utf16.md": "\xff\xfeC\x00a\x00f\x00\xe9\x00 \x00\xac\x20", "utf8.md": "Café €",
		"german.html": fmt.Sprintf(page, "iso-8859-1", "Caf\xe9 \x80"), "russian.html": fmt.Sprintf(page, "koi8-r", "\xf0\xf2\xe9\xf7\xe5\xf4"),
	}), markup.Options{})
	for _, c := range b.Concepts() {
		want := "Café €"
		if c.ID == "russian" {
			want = "ПРИВЕТ"
		}
		if r, err := b.Read(c.ID, knowledge.ReadOptions{}); err != nil || !strings.Contains(r.Text, want) {
			t.Errorf("%s: %q, %v", c.ID, r.Text, err)
		}
	}
}

func TestSplit(t *testing.T) {
	var text strings.Builder
	text.WriteString("# Manual\n\nfirst0\n")
	for i := range 5 {
		fmt.Fprintf(&text, "\n## Part %d\n\n%s\n\n### Below\n\n```\n# no heading %d\n```\n\nSee [part](#part-1) and [other](other.md).\n", i, strings.Repeat(fmt.Sprintf("word%d ", i), 100), i)
	}
	src := wiki(t, map[string]string{"guide/manual.md": text.String(), "guide/other.md": "x"})
	b, report, _ := converted(t, src, markup.Options{Split: 1000})
	want := []string{"guide/manual", "guide/manual/part_0", "guide/manual/part_1", "guide/manual/part_2", "guide/manual/part_3", "guide/manual/part_4", "guide/other"}
	if !slices.Equal(ids(b), want) || report.WordsIn != report.WordsKept {
		t.Fatalf("%v, %+v", ids(b), report)
	}
	for i := range 5 {
		r, err := b.Read(fmt.Sprint("guide/manual/part_", i), knowledge.ReadOptions{})
		if err != nil || r.Parent != "guide/manual" || strings.Count(r.Text, fmt.Sprintf("word%d ", i)) != 100 || !slices.Equal(r.SeeAlso, []string{"guide/other"}) {
			t.Errorf("part %d: %+v, %v", i, r, err)
		}
	}
	if b, _, _ := converted(t, src, markup.Options{Split: -1}); b.Len() != 2 {
		t.Errorf("not to be split, but %v", ids(b))
	}
}

func TestBadSources(t *testing.T) {
	deep := strings.Repeat("<div>", 100_000) + "x"
	src := wiki(t, map[string]string{"good.md": "fine", "deep.html": deep, "big.md": strings.Repeat("x", 3000), "bytes.md": "a \xff b", "front.md": "---\ntype: [\n---\ntext", "empty.html": ""})
	if err := os.Symlink("/etc/passwd", filepath.Join(src, "link.md")); err != nil {
		t.Fatal(err)
	}
	b, report, _ := converted(t, src, markup.Options{MaxFile: 2000})
	if want := []string{"bytes", "front", "good"}; !slices.Equal(ids(b), want) {
		t.Errorf("%v, want %v", ids(b), want)
	}
	if got := strings.Join(report.Problems, "\n"); len(report.Problems) != 3 || !strings.Contains(got, "big.md: it has more than 2000 bytes") {
		t.Errorf("problems:\n%s", got)
	}
	if b, report, _ := converted(t, wiki(t, map[string]string{"good.md": "fine", "deep.html": deep}), markup.Options{}); b.Len() != 1 || !strings.Contains(report.Problems[0], "exceeds") {
		t.Errorf("%+v", report)
	}
	for name, src := range map[string]string{
		"no such kind": filepath.Join(wiki(t, map[string]string{"x.doc": "x"}), "x.doc"),
		"nothing":      wiki(t, map[string]string{"x.doc": "x"}),
		"all bad":      wiki(t, map[string]string{"x.html": ""}),
	} {
		parent := t.TempDir()
		_, err := markup.Convert(t.Context(), src, filepath.Join(parent, "b"), markup.Options{})
		if _, ok := errors.AsType[*markup.Error](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(parent); len(left) != 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
}

func TestAgain(t *testing.T) {
	src := wiki(t, map[string]string{"a.md": "one"})
	_, _, dst := converted(t, src, markup.Options{})
	again := func() *markup.Report {
		t.Helper()
		r, err := markup.Convert(t.Context(), src, dst, markup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if !again().Unchanged {
		t.Error("the same source was converted again")
	}
	if err := os.WriteFile(filepath.Join(src, "a.md"), []byte("two words"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := again(); r.Unchanged || r.WordsKept != 2 {
		t.Errorf("%+v", r)
	}
}
