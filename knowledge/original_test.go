package knowledge_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands/knowledge"
)

// TestOriginal has a row for each documented behaviour of the Python original's
// knowledge module that is no defect. Conversion is in knowledge/pdf
// (TestOptions, TestSubsections).
func TestOriginal(t *testing.T) {
	fsys := fstest.MapFS{
		"index.md":     {Data: []byte("# All\n* [A](a.md) - first\n")},
		"sub/index.md": {Data: []byte("# Sub\n")},
		"sub/log.md":   {Data: []byte("# Log\n")},
		"a.md":         concept("type: Service\ntitle: Alpha\ndescription: The first.\ntags: [x, y]\nresource: https://example.com/a", "\n\n\nFirst line.\n\n## Subsections\n- [B](sub/b.md)\n- [gone](gone.md)\n"),
		"sub/b.md":     concept("title: Beta\ntags: one tag", "See [A](../a.md), [again](/a.md#there), [out](../../out.md), [web](https://example.com/x.md), [log](log.md), [C](/c.md).\n"),
		"c.md":         concept("type: Topic", "Nothing points on from here.\n"),
	}
	for i := range 12 {
		fsys["many/m"+string(rune('a'+i))+".md"] = concept("type: Note", "A needle.")
	}
	b := open(t, fsys, knowledge.Options{})
	get := func(id string) *knowledge.Concept {
		c, ok := b.Concept(id)
		if !ok {
			t.Fatalf("no concept %s", id)
		}
		return c
	}
	read := func(id string) string { return must(b.Read(id, knowledge.ReadOptions{})).String() }
	find := func(query string, limit int) *knowledge.Found {
		f, err := b.Find(t.Context(), query, knowledge.FindOptions{Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	_, notFound := b.Read("sub/bb", knowledge.ReadOptions{})
	seeAlso := must(b.Read("sub/b", knowledge.ReadOptions{})).SeeAlso
	for what, ok := range map[string]bool{
		"the id is the path without .md":                 get("sub/b").ID == "sub/b",
		"index.md and log.md are no concepts, anywhere":  b.Len() == 15,
		"without a type it is Unknown":                   get("sub/b").Type == "Unknown",
		"without a title it is the last part of the id":  strings.EqualFold(get("c").Title, "c"),
		"description and resource are kept":              get("a").Description == "The first." && get("a").Resource == "https://example.com/a",
		"without a description it is empty":              get("c").Description == "",
		"tags are a list":                                strings.Join(get("a").Tags, ",") == "x,y",
		"a tag alone is a list of one":                   strings.Join(get("sub/b").Tags, ",") == "one tag",
		"empty lines above the body are cut":             must(b.Read("a", knowledge.ReadOptions{Lines: [2]int{1, 1}})).Text == "First line.",
		"links: each once, in order, of this bundle":     strings.Join(seeAlso, " ") == "a c",
		"backlinks are shown":                            strings.Contains(read("c"), "Linked from: sub/b"),
		"read shows title, type, tags and the body":      has(read("a"), "# Alpha", "type: Service", "tags: x, y", "First line."),
		"an unknown id is answered with those like it":   notFound != nil && has(notFound.Error(), `concept "sub/bb" not found`, "did you mean", "sub/b"),
		"children lists what is below, with titles":      has(must(b.Children("a")).String(), `Children of "Alpha":`, "- sub/b: Beta"),
		"children of a leaf says so, and what to do":     has(must(b.Children("c")).String(), `has no subsections. Use read("c") to see its content.`),
		"toc counts the concepts, top level first":       has(must(b.TOC(knowledge.TOCOptions{})).String(), "15 concepts", "- a: Alpha"),
		"find shows five by default":                     len(find("needle", 0).Results) == 5,
		"and as many as are asked for":                   len(find("needle", 12).Results) == 12,
		"ties are always in the same order":              ids(find("needle", 3)) == "many/ma many/mb many/mc",
		"find names id, type and title":                  has(find("first line", 0).String(), "1. a: Alpha [Service]"),
		"nothing found is said, with the query":          strings.HasPrefix(find("zzyzx", 0).String(), `No concepts found matching "zzyzx".`),
		"the default of a search index is ten":           knowledge.DefaultTopK == 10,
		"a question of several words needs not have all": len(find("needle haystack", 0).Results) == 5,
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

// must is for what the test cannot go on without.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func has(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}
