package knowledge_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands/knowledge"
)

// many is a bundle of so many concepts about bananas.
func many(n int) fstest.MapFS {
	all := fstest.MapFS{}
	for i := range n {
		all[fmt.Sprintf("c%02d.md", i)] = &fstest.MapFile{Data: []byte("---\ntype: Section\n---\nbanana\n")}
	}
	return all
}

// A model may ask for -1, which means all: it panicked.
func TestLimitsBelowZeroAreNone(t *testing.T) {
	b, err := knowledge.OpenFS(t.Context(), many(60), knowledge.Options{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := knowledge.NewLibrary(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []knowledge.Source{b, l} {
		for limit, want := range map[int]int{-1: 60, math.MinInt: 60, math.MaxInt: 60, 25: 25} {
			if f, err := source.Find(t.Context(), "banana", knowledge.FindOptions{Limit: limit}); err != nil || len(f.Results) != want {
				t.Errorf("%T: find at most %d: %d, %v", source, limit, len(f.Results), err)
			}
			if g, err := source.Grep(t.Context(), "banana", knowledge.GrepOptions{Max: limit}); err != nil || len(g.Lines) != want || g.Cut != (want < 60) {
				t.Errorf("%T: grep at most %d: %d, %v, %v", source, limit, len(g.Lines), g.Cut, err)
			}
		}
		if c, err := source.TOC(knowledge.TOCOptions{Max: -1}); err != nil || len(c.Entries) < 60 || c.Cut != 0 {
			t.Errorf("%T: toc of all: %+v, %v", source, c, err)
		}
	}
}

// parts is an index of parts of concepts, which names each concept for each.
type parts struct{ ids []string }

func (p *parts) Build(_ context.Context, concepts []knowledge.Document) error {
	p.ids = nil
	for _, c := range concepts {
		p.ids = append(p.ids, c.ID, c.ID)
	}
	return nil
}

func (p *parts) Query(context.Context, string, int) (hits []knowledge.Hit, _ error) {
	for i, id := range p.ids {
		hits = append(hits, knowledge.Hit{ID: id, Score: float64(-i)})
	}
	return hits, nil
}

func TestAConceptIsFoundOnce(t *testing.T) {
	for _, fuse := range []bool{false, true} {
		b, err := knowledge.OpenFS(t.Context(), many(3), knowledge.Options{Index: &parts{}, Fuse: fuse})
		if err != nil {
			t.Fatal(err)
		}
		f, err := b.Find(t.Context(), "banana", knowledge.FindOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range f.Results {
			got += m.ID + " "
		}
		if got != "c00 c01 c02 " {
			t.Errorf("fused %v: %s", fuse, got)
		}
	}
}

// What is closed has not "nothing".
func TestAClosedBundleSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.md"), []byte("---\ntype: Section\n---\nbanana\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := knowledge.Open(t.Context(), dir, knowledge.Options{CacheDir: "-"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := b.Find(t.Context(), "banana", knowledge.FindOptions{}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%v, %v", f, err)
	}
}
