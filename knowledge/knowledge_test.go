package knowledge_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/strandsgo/strands/knowledge"
)

func concept(front, body string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("---\n" + front + "\n---\n" + body)}
}

// manual is a small bundle with everything in it that matters: folders, a
// subsections list, see-also links, order, trust, staleness.
func manual() fstest.MapFS {
	return fstest.MapFS{
		"index.md":              {Data: []byte("---\nokf_version: \"0.2\"\n---\n# Manual\n* [Install](install.md) - how to install\n")},
		"log.md":                {Data: []byte("# Log\n## 2026-05-01\n* **Creation** of it all\n")},
		"install.md":            concept("type: Topic\ntitle: Installation\ndescription: How to install the program.\norder: 1\ntags: [setup, linux]", "# Installing\n\nRun the installer.\nUse `--enable-64` on large machines.\n\n## Subsections\n- [On Linux](install/linux.md)\n- [On macOS](install/macos.md)\n"),
		"install/linux.md":      concept("type: Section\ntitle: On Linux\nverified: {by: \"human:ada\", at: 2026-01-01T00:00:00Z}", "Use the package manager of your distribution.\nSee [statistics](/stats/regression.md) and [nothing](gone.md).\n"),
		"install/macos.md":      concept("type: Section\ntitle: On macOS\nstatus: deprecated\nstale_after: 2026-02-01T00:00:00+00:00", "Use the disk image.\n"),
		"stats/regression.md":   concept("type: Function\ntitle: 'lm --- linear models'\ndescription: Fits linear regression models by least squares.", "# Usage\n\n```\nlm(formula, data) [x](install.md)\n```\n\n# Details\nOrdinary least squares by QR decomposition.\nThe residuals are returned.\n\n# See also\n[installation](../install.md#top \"read it\")\n"),
		"stats/clustering.md":   concept("type: Function\ntitle: kmeans\ntags: [setup]", "Partitions points into k clusters, which minimises the sum of squares.\n"),
		"stats/deep/nested.md":  concept("type: Note\ntitle: Nested", "Deep.\n"),
		"README.md":             {Data: []byte("No frontmatter here, but text about frobnication.\n")},
		".git/config.md":        {Data: []byte("never seen")},
		"stats/not-a-concept.c": {Data: []byte("int main;")},
	}
}

func open(t testing.TB, fsys fstest.MapFS, o knowledge.Options) *knowledge.Bundle {
	t.Helper()
	b, err := knowledge.OpenFS(t.Context(), fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func clock() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }

func ids(f *knowledge.Found) string {
	var l []string
	for _, r := range f.Results {
		l = append(l, r.ID)
	}
	return strings.Join(l, " ")
}

func TestFind(t *testing.T) {
	b := open(t, manual(), knowledge.Options{Now: clock})
	for _, c := range []struct{ query, first string }{
		{"how do I install it on a linux distribution?", "install/linux"},
		{"fit a linear regression", "stats/regression"},
		{"regressions", "stats/regression"}, // stemmed
		{"which option for big machines: --enable-64", "install"},
		{"kmeans", "stats/clustering"},
		{"STATS/REGRESSION", "stats/regression"}, // an id, in any case
		{"frobnication", "README"},
		{"type:Function squares", "stats/regression"},
		{"under:install use", "install/linux"}, // the deprecated one comes after
		{`"minimises the sum"`, "stats/clustering"},
		{"tag:setup type:function", "stats/clustering"},
	} {
		f, err := b.Find(t.Context(), c.query, knowledge.FindOptions{})
		if err != nil {
			t.Fatalf("%q: %v", c.query, err)
		}
		if len(f.Results) == 0 || f.Results[0].ID != c.first {
			t.Errorf("%q found %s; want %s first", c.query, ids(f), c.first)
		}
	}
}

func TestFindSaysWhatIsMissing(t *testing.T) {
	b := open(t, manual(), knowledge.Options{})
	f, err := b.Find(t.Context(), "regresion zzzz", knowledge.FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Results) != 0 || strings.Join(f.Missing, " ") != "regresion zzzz" || len(f.Near) == 0 || f.Near[0] != "regress" {
		t.Errorf("got %d results, missing %q, near %q", len(f.Results), f.Missing, f.Near)
	}
	if s := f.String(); !strings.Contains(s, "No concepts found") || !strings.Contains(s, "regress") {
		t.Errorf("text: %s", s)
	}
	for _, empty := range []string{"", "   ", "?!", `"`} {
		if f, err := b.Find(t.Context(), empty, knowledge.FindOptions{}); err != nil || len(f.Results) != 0 {
			t.Errorf("%q: %v, %v", empty, f, err)
		}
	}
}

func TestSnippetNamesItsLines(t *testing.T) {
	b := open(t, manual(), knowledge.Options{})
	f, err := b.Find(t.Context(), "QR decomposition residuals", knowledge.FindOptions{Limit: 1})
	if err != nil || len(f.Results) != 1 {
		t.Fatal(f, err)
	}
	m := f.Results[0]
	r, err := b.Read(m.ID, knowledge.ReadOptions{Lines: m.Lines})
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(r.Text) != m.Snippet || !strings.Contains(m.Snippet, "QR decomposition") {
		t.Errorf("lines %v are %q, the snippet is %q", m.Lines, r.Text, m.Snippet)
	}
}

func TestHierarchy(t *testing.T) {
	b := open(t, manual(), knowledge.Options{Now: clock})
	children := func(id string) string {
		c, err := b.Children(id)
		if err != nil {
			t.Fatal(err)
		}
		var l []string
		for _, e := range c.Entries {
			l = append(l, e.ID)
		}
		return strings.Join(l, " ")
	}
	for id, want := range map[string]string{
		"install":          "install/linux install/macos",
		"stats":            "stats/clustering stats/deep/ stats/regression",
		"stats/":           "stats/clustering stats/deep/ stats/regression",
		"stats/regression": "", // a see-also is no child, and neither is a link in a fence
	} {
		if got := children(id); got != want {
			t.Errorf("children(%q) = %q, want %q", id, got, want)
		}
	}
	toc, err := b.TOC(knowledge.TOCOptions{Depth: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := "docs: 7 concepts\n- README: README\n- stats/: stats (3 below)\n  - stats/clustering: kmeans\n  - stats/deep/: deep (1 below)\n" +
		"  - stats/regression: lm --- linear models\n- install: Installation (2 below)\n  - install/linux: On Linux [human-reviewed]\n" +
		"  - install/macos: On macOS [DEPRECATED, STALE since 2026-02-01T00:00:00+00:00]"
	if toc.String() != want {
		t.Errorf("toc:\n%s\nwant:\n%s", toc, want)
	}
}

func TestRead(t *testing.T) {
	b := open(t, manual(), knowledge.Options{Now: clock})
	r, err := b.Read("install/linux", knowledge.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Path != "Installation" || r.Next != "install/macos" || r.Previous != "" || strings.Join(r.SeeAlso, " ") != "stats/regression install/gone" {
		t.Errorf("%+v", r)
	}
	if r, err = b.Read("stats/regression.md", knowledge.ReadOptions{Heading: "Details"}); err != nil || strings.TrimSpace(r.Text) != "# Details\nOrdinary least squares by QR decomposition.\nThe residuals are returned." {
		t.Errorf("section: %v, %v", r, err)
	}
	if r.Backlinks[0] != "install/linux" {
		t.Errorf("backlinks: %v", r.Backlinks)
	}
	if r, err = b.Read("stats/regression", knowledge.ReadOptions{Lines: [2]int{8, 9}}); err != nil || !strings.Contains(r.String(), "[lines 8-9 of 12; go on with from_line=10]") {
		t.Errorf("lines: %v, %v", r, err)
	}
	if _, err := b.Read("stats/regression", knowledge.ReadOptions{Lines: [2]int{90, 99}}); err == nil {
		t.Error("lines past the end were read")
	}
}

func TestReadInPartsLosesNothing(t *testing.T) {
	var body strings.Builder
	for i := range 500 {
		fmt.Fprintf(&body, "line %d of the long section\n", i)
	}
	b := open(t, fstest.MapFS{"long.md": concept("type: T", body.String())}, knowledge.Options{})
	var all []string
	for part := 1; ; part++ {
		r, err := b.Read("long", knowledge.ReadOptions{Part: part, MaxTokens: 300})
		if err != nil {
			if part < 5 {
				t.Fatal(err)
			}
			break
		}
		all = append(all, r.Text)
	}
	if got := strings.Join(all, "\n") + "\n"; got != body.String() {
		t.Errorf("%d parts have %d bytes of %d", len(all), len(got), body.Len())
	}
}

func TestDidYouMean(t *testing.T) {
	b := open(t, manual(), knowledge.Options{})
	for id, want := range map[string]string{"stats/regresion": "stats/regression", "tables/kmean": "stats/clustering", "instal": "install"} {
		_, err := b.Read(id, knowledge.ReadOptions{})
		not, ok := errors.AsType[*knowledge.NotFoundError](err)
		if !ok || len(not.Suggestions) == 0 || not.Suggestions[0] != want {
			t.Errorf("%q: %v; want a suggestion of %s", id, err, want)
		}
	}
	for _, id := range []string{"Regression", "/stats/regression.md", "kmeans"} {
		if _, err := b.Read(id, knowledge.ReadOptions{}); err != nil {
			t.Errorf("%q is not ambiguous: %v", id, err)
		}
	}
	if _, err := b.Read("stats", knowledge.ReadOptions{}); err == nil || !strings.Contains(err.Error(), "children") {
		t.Errorf("a folder: %v", err)
	}
}

func TestGrep(t *testing.T) {
	b := open(t, manual(), knowledge.Options{})
	g, err := b.Grep(t.Context(), `least\s+SQUARES`, knowledge.GrepOptions{IgnoreCase: true})
	if err != nil || len(g.Lines) != 1 || g.Lines[0] != (knowledge.GrepLine{ID: "stats/regression", Line: 8, Text: "Ordinary least squares by QR decomposition."}) {
		t.Errorf("%+v, %v", g, err)
	}
	if g, _ := b.Grep(t.Context(), "e", knowledge.GrepOptions{Max: 3}); len(g.Lines) != 3 || !g.Cut {
		t.Errorf("capped: %+v", g)
	}
	if g, _ := b.Grep(t.Context(), "package", knowledge.GrepOptions{Under: "stats"}); len(g.Lines) != 0 {
		t.Errorf("under stats: %+v", g)
	}
	if _, err := b.Grep(t.Context(), "(", knowledge.GrepOptions{}); err == nil {
		t.Error("a broken pattern was accepted")
	}
}

func TestBadFilesDoNotPoisonTheBundle(t *testing.T) {
	fsys := manual()
	fsys["yaml.md"] = concept("type: [", "searchable zebra text")
	fsys["list.md"] = concept("- a\n- b", "more")
	fsys["bytes.md"] = &fstest.MapFile{Data: []byte("---\ntype: T\n---\nbad \xff\xfe bytes about giraffes")}
	fsys["open.md"] = &fstest.MapFile{Data: []byte("---\ntype: T\nnever closed")}
	fsys["huge.md"] = &fstest.MapFile{Data: make([]byte, 3000)}
	fsys["INSTALL.md"] = concept("type: T", "differs by case")
	fsys["bom.md"] = &fstest.MapFile{Data: []byte("\ufeff---\r\ntype: Bom\r\ntitle: With BOM\r\n---\r\ntext\r\n")}
	fsys["bomb.md"] = concept("type: T\na: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ntags: *d", "boom")
	b := open(t, fsys, knowledge.Options{MaxFile: 2000})
	var files []string
	for _, p := range b.Problems() {
		files = append(files, p.File)
	}
	if got, want := strings.Join(files, " "), "huge.md install.md README.md bytes.md list.md open.md yaml.md"; got != want {
		t.Errorf("problems in %s\nwant          %s", got, want)
	}
	for query, want := range map[string]string{"zebra": "yaml", "giraffes": "bytes", "regression": "stats/regression"} {
		if f, err := b.Find(t.Context(), query, knowledge.FindOptions{Limit: 1}); err != nil || ids(f) != want {
			t.Errorf("%q: %s, %v", query, ids(f), err)
		}
	}
	if c, ok := b.Concept("bom"); !ok || c.Type != "Bom" || c.Title != "With BOM" {
		t.Errorf("BOM and CRLF: %+v", c)
	}
}

func TestNothingOutsideIsRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.md", "---\ntype: T\n---\nthe secret password")
	if err := os.Mkdir(filepath.Join(dir, "bundle"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("bundle/ok.md", "---\ntype: T\n---\nfine")
	for name, target := range map[string]string{"out.md": "../secret.md", "abs.md": filepath.Join(dir, "secret.md"), "dangling.md": "nowhere", "up": ".."} {
		if err := os.Symlink(target, filepath.Join(dir, "bundle", name)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := knowledge.Open(t.Context(), filepath.Join(dir, "bundle"), knowledge.Options{CacheDir: "-"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if g, _ := b.Grep(t.Context(), "password", knowledge.GrepOptions{}); len(g.Lines) != 0 || b.Len() != 1 {
		t.Errorf("%d concepts, %+v", b.Len(), g)
	}
	if len(b.Problems()) != 3 {
		t.Errorf("problems: %v", b.Problems())
	}
	if _, err := b.Read("../secret", knowledge.ReadOptions{}); err == nil {
		t.Error("read above the root")
	}
	if _, err := knowledge.Open(t.Context(), filepath.Join(dir, "missing"), knowledge.Options{}); err == nil {
		t.Error("a missing folder was opened")
	}
}

func TestCacheAndRefresh(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	for name, f := range manual() {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, clock(), clock()); err != nil { // what is younger than a second is read again
			t.Fatal(err)
		}
	}
	reopen := func() *knowledge.Bundle {
		t.Helper()
		b, err := knowledge.Open(t.Context(), dir, knowledge.Options{Name: "m", CacheDir: cache, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	answers := func(b *knowledge.Bundle) string {
		var all strings.Builder
		for _, q := range []string{"linear regression squares", "install linux", "kmeans", "nothingmatches"} {
			f, err := b.Find(t.Context(), q, knowledge.FindOptions{})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, f)
		}
		toc, _ := b.TOC(knowledge.TOCOptions{Depth: 9})
		fmt.Fprintln(&all, toc, b.Problems())
		return all.String()
	}
	cold := answers(reopen())
	b := reopen()
	if warm := answers(b); warm != cold {
		t.Errorf("from the cache:\n%s\ncold:\n%s", warm, cold)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Fatalf("cache folder: %v, %v", entries, err)
	}
	name := filepath.Join(cache, entries[0].Name())
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{nil, good[:len(good)/2], append(append([]byte{}, good[:200]...), good[201:]...)} {
		if err := os.WriteFile(name, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := answers(reopen()); got != cold {
			t.Errorf("with a damaged cache of %d bytes the answers changed", len(damage))
		}
	}
	page := filepath.Join(dir, "stats", "new.md")
	if err := os.WriteFile(page, []byte("---\ntype: T\ntitle: Quaternions\n---\nrotations"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, _ := b.Find(t.Context(), "quaternion", knowledge.FindOptions{}); ids(f) != "stats/new" {
		t.Errorf("after refresh: %s", ids(f))
	}
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := answers(b); got != cold {
		t.Error("after removing the page again the answers differ")
	}
}

func TestConcurrentUse(t *testing.T) {
	b := open(t, manual(), knowledge.Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				f, err := b.Find(t.Context(), "linear regression", knowledge.FindOptions{})
				if err != nil || len(f.Results) == 0 || f.Results[0].ID != "stats/regression" {
					t.Errorf("%v, %v", f, err)
				}
				if err := b.Refresh(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// lastWord ranks by the id alone: enough to see who is asked.
type lastWord struct{ ids []string }

func (l *lastWord) Build(_ context.Context, docs []knowledge.Document) error {
	l.ids = nil
	for _, d := range docs {
		if _, err := d.Body(); err != nil {
			return err
		}
		l.ids = append(l.ids, d.ID)
	}
	return nil
}

func (l *lastWord) Query(_ context.Context, query string, topK int) ([]knowledge.Hit, error) {
	var hits []knowledge.Hit
	for _, id := range l.ids {
		if strings.HasSuffix(id, query) {
			hits = append(hits, knowledge.Hit{ID: id, Score: 1})
		}
	}
	return hits[:min(topK, len(hits))], nil
}

func TestCustomIndexReplacesOrFuses(t *testing.T) {
	b := open(t, manual(), knowledge.Options{Index: &lastWord{}})
	if f, _ := b.Find(t.Context(), "ing", knowledge.FindOptions{}); ids(f) != "stats/clustering" {
		t.Errorf("replaced: %s", ids(f))
	}
	if f, _ := b.Find(t.Context(), "residuals", knowledge.FindOptions{}); ids(f) != "" {
		t.Errorf("the keyword index still answers: %s", ids(f))
	}
	b = open(t, manual(), knowledge.Options{Index: &lastWord{}, Fuse: true})
	if f, _ := b.Find(t.Context(), "linux", knowledge.FindOptions{}); !strings.HasPrefix(ids(f), "install/linux") {
		t.Errorf("fused: %s", ids(f))
	}
	if f, _ := b.Find(t.Context(), "residuals", knowledge.FindOptions{}); ids(f) != "stats/regression" {
		t.Errorf("fused, keywords only: %s", ids(f))
	}
}

func TestLibrary(t *testing.T) {
	one := open(t, manual(), knowledge.Options{Name: "one"})
	two := open(t, fstest.MapFS{"pie.md": concept("type: Recipe\ntitle: Apple pie", "Bake a linear pie.")}, knowledge.Options{Name: "two"})
	l, err := knowledge.NewLibrary(one, two)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.Find(t.Context(), "linear", knowledge.FindOptions{})
	if err != nil || !strings.Contains(ids(f), "two/pie") || !strings.Contains(ids(f), "one/stats/regression") {
		t.Errorf("%s, %v", ids(f), err)
	}
	for query, want := range map[string]string{"least squares": "one/stats/regression", "under:two linear": "two/pie", "under:one/stats/ linear": "one/stats/regression", "under:stats squares": "one/stats/regression one/stats/clustering"} {
		if f, err := l.Find(t.Context(), query, knowledge.FindOptions{}); err != nil || !strings.HasPrefix(ids(f), want) || strings.HasPrefix(query, "under:two") != strings.Contains(ids(f), "two/") {
			t.Errorf("%q: %s, %v", query, ids(f), err)
		}
	}
	r, err := l.Read("two/pie", knowledge.ReadOptions{})
	if err != nil || r.ID != "two/pie" || !strings.Contains(r.Text, "Bake") {
		t.Errorf("%+v, %v", r, err)
	}
	if c, err := l.Children("one/install"); err != nil || c.Entries[0].ID != "one/install/linux" {
		t.Errorf("%v, %v", c, err)
	}
	if toc, err := l.TOC(knowledge.TOCOptions{}); err != nil || toc.Total != 8 {
		t.Errorf("%v, %v", toc, err)
	}
	if g, err := l.Grep(t.Context(), "Bake|disk", knowledge.GrepOptions{}); err != nil || len(g.Lines) != 2 {
		t.Errorf("%v, %v", g, err)
	}
	if _, err := l.Read("two/pi", knowledge.ReadOptions{}); err == nil {
		t.Error("a wrong id was read")
	}
	if _, err := knowledge.NewLibrary(one, one); err == nil {
		t.Error("two bundles of one name were joined")
	}
}

func TestValidate(t *testing.T) {
	fsys := manual()
	fsys["stats/index.md"] = &fstest.MapFile{Data: []byte("---\nx: 1\n---\n# Stats\n* no link\n")}
	fsys["stats/log.md"] = &fstest.MapFile{Data: []byte("# Log\n## May 1st\n")}
	b := open(t, fsys, knowledge.Options{})
	problems, err := b.Validate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var hard []string
	for _, p := range problems {
		if !p.Warning {
			hard = append(hard, p.String())
		}
	}
	want := []string{
		"README.md: no frontmatter: the first line must be ---",
		"stats/index.md:1: an index has no frontmatter, except okf_version in that of the root",
		"stats/index.md:5: an entry of an index is a link: * [Title](url) - description",
		"stats/log.md:2: a log's headings are dates: ## 2006-01-02",
	}
	if strings.Join(hard, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(hard, "\n"), strings.Join(want, "\n"))
	}
}
