package pdf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge/pdf"
)

// TestOriginal has a row for each documented behaviour of the Python original's
// conversion that is no defect; TestOptions has its limits.
func TestOriginal(t *testing.T) {
	p := &paper{sheets: []sheet{lines(700, "One", "first"), lines(700, "Deep", "second"), lines(700, "Deeper", "third"), lines(700, "Two", "last")}, outline: []mark{
		{title: "One", dest: "[P0 /Fit]", kids: []mark{{title: "Deep", dest: "[P1 /Fit]", kids: []mark{{title: "Deeper & down", dest: "[P2 /Fit]"}}}}},
		{title: "Two", dest: "[P3 /Fit]"},
	}}
	b, report, dir := converted(t, p, pdf.Options{})
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	kind := func(id string) string {
		c, ok := b.Concept(id)
		if !ok {
			t.Fatalf("no concept %s among %v", id, bodies(t, b))
		}
		return c.Type
	}
	index := file("index.md")
	for what, ok := range map[string]bool{
		"a concept for each bookmark":                    report.Concepts == 4 && b.Len() == 4,
		"the pages are counted":                          report.Pages == 4,
		"the first level is a Service":                   kind("one") == "Service" && kind("two") == "Service",
		"the second a Topic":                             kind("one/deep") == "Topic",
		"the third a Section":                            kind("one/deep/deeper_down") == "Section",
		"ids are titles in small letters and underlines": strings.Contains(file("one/deep/deeper_down.md"), "title: Deeper & down"),
		"a concept has the text of its pages":            bodies(t, b)["one/deep"] == "Deep second",
		"parents list their subsections":                 strings.Contains(file("one.md"), "## Subsections\n* [Deep](<one/deep.md>)"),
		"leaves have no such list":                       !strings.Contains(file("two.md"), "Subsections"),
		"pages are named":                                strings.Contains(file("two.md"), "pages: \"4\"") || strings.Contains(file("two.md"), "pages: 4"),
		"the index lists the first level, in order":      strings.Index(index, "[One](<one.md>)") > 0 && strings.Index(index, "[Two](<two.md>)") > strings.Index(index, "[One](<one.md>)"),
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
	if t.Failed() {
		t.Log(index, file("one.md"), file("two.md"))
	}
}
