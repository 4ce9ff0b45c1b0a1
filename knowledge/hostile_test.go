package knowledge_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge"
)

// TestBigFiles: files of 16 MiB, in the forms that cost most, open, are found
// and read within bounds. Smaller ones under the race detector.
func TestBigFiles(t *testing.T) {
	const limit = 16 << 20 / slower
	dir := t.TempDir()
	head := "---\ntype: T\ntitle: "
	for name, text := range map[string]string{
		"lines.md":    head + "lines\n---\n" + strings.Repeat("w\n", limit/2-50),
		"line.md":     head + "line\n---\n" + strings.Repeat("needle ", 2_300_000/slower),
		"links.md":    head + "links\n---\n" + strings.Repeat("[a](b.md)\n", 1_600_000/slower),
		"brackets.md": head + "brackets\n---\n" + strings.Repeat("[", limit-100),
		"headings.md": head + "headings\n---\n" + strings.Repeat("# h\n", 4_000_000/slower),
		"yaml.md":     "---\n" + strings.Repeat("a: &a [*a]\n", 1_000_000/slower),
		"larger.md":   head + "larger\n---\n" + strings.Repeat("x", limit+1000),
		"small.md":    head + "small\n---\nneedle in a small file\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := knowledge.Open(t.Context(), dir, knowledge.Options{CacheDir: "-", MaxFile: limit})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var files []string
	for _, p := range b.Problems() {
		files = append(files, p.File)
	}
	if got := strings.Join(files, " "); got != "larger.md yaml.md" {
		t.Errorf("problems in %s", got)
	}
	f, err := b.Find(t.Context(), "needle", knowledge.FindOptions{})
	if err != nil || !strings.Contains(ids(f), "small") || !strings.Contains(ids(f), "line") {
		t.Errorf("%s, %v", ids(f), err)
	}
	for _, c := range b.Concepts() {
		r, err := b.Read(c.ID, knowledge.ReadOptions{})
		if err != nil || len(r.Text) > 8000*4+100 {
			t.Errorf("%s: %d bytes, %v", c.ID, len(r.Text), err)
		}
	}
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.Sys > 1<<30 {
		t.Errorf("%d MiB of memory", m.Sys>>20)
	}
}

// TestStrangeNames: ids that differ by case, names that are no UTF-8, a folder
// called like a concept, an index that is a folder.
func TestStrangeNames(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Guide.md": "---\ntype: T\n---\none", "guide.md": "---\ntype: T\n---\ntwo", "a\xffb.md": "---\ntype: T\n---\nthree",
		"folder.md/inside.md": "---\ntype: T\n---\nfour", "index.md/x.md": "---\ntype: T\n---\nfive", "log.md": "\xff\xfe",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Skip("this file system takes no such names: ", err)
		}
	}
	b, err := knowledge.Open(t.Context(), dir, knowledge.Options{CacheDir: "-"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var all bytes.Buffer
	for _, c := range b.Concepts() {
		all.WriteString(c.ID + " ")
	}
	if all.String() != "Guide folder.md/inside index.md/x " || len(b.Problems()) != 2 {
		t.Errorf("%s, problems %v", all.String(), b.Problems())
	}
	if _, err := b.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}
