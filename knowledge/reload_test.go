package knowledge_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands/knowledge"
)

// TestReload: what happens in the folder is seen a second later, by itself;
// before, files are not looked at.
func TestReload(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "b")
	write := func(dir, id, text string) {
		t.Helper()
		name := filepath.Join(dir, filepath.FromSlash(id)+".md")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("---\ntype: T\n---\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(dir, "a", "one")
	write(dir, "sub/b", "two")
	synctest.Test(t, func(t *testing.T) {
		b, err := knowledge.Open(t.Context(), dir, knowledge.Options{CacheDir: "-"})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		found := func(query string) string {
			f, err := b.Find(t.Context(), query, knowledge.FindOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return ids(f)
		}
		for _, change := range []struct {
			what        string
			do          func()
			query, want string
		}{
			{"a file is added", func() { write(dir, "sub/c", "three") }, "three", "sub/c"},
			{"a file is written in place", func() { write(dir, "a", "fourth text") }, "fourth", "a"},
			{"a file is removed", func() { os.Remove(filepath.Join(dir, "sub", "b.md")) }, "two", ""},
			{"the folder is replaced", func() {
				write(filepath.Join(parent, "new"), "d", "five")
				os.Rename(dir, filepath.Join(parent, "old"))
				os.Rename(filepath.Join(parent, "new"), dir)
			}, "five", "d"},
		} {
			before := found(change.query)
			change.do()
			if got := found(change.query); got != before && got != "" { // what is gone cannot be shown
				t.Errorf("%s: seen at once: %q", change.what, got)
			}
			time.Sleep(time.Second) // of the bubble's clock
			if got := found(change.query); got != change.want {
				t.Errorf("%s: %q found %q; want %q", change.what, change.query, got, change.want)
			}
		}
		if c, err := b.Read("d", knowledge.ReadOptions{}); err != nil || !strings.Contains(c.Text, "five") {
			t.Errorf("%+v, %v", c, err)
		}
		os.RemoveAll(dir) // the last that was read still answers
		time.Sleep(time.Second)
		if _, err := b.TOC(knowledge.TOCOptions{}); err != nil || b.Len() != 1 {
			t.Errorf("%d concepts, %v", b.Len(), err)
		}
	})
}

// TestReloadSeesTheSameTime: a file system whose clock is coarse gives what
// changes twice in a moment one time, and the second change is seen, too.
func TestReloadSeesTheSameTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write := func(id, text string) {
			t.Helper()
			name, now := filepath.Join(dir, id+".md"), time.Now()
			if err := os.WriteFile(name, []byte("---\ntype: T\n---\n"+text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, changed := range []string{name, dir} {
				if err := os.Chtimes(changed, now, now); err != nil {
					t.Fatal(err)
				}
			}
		}
		write("a", "one")
		b, err := knowledge.Open(t.Context(), dir, knowledge.Options{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		write("a", "two") // as long as it was
		write("b", "three")
		time.Sleep(time.Second) // of the bubble's clock
		for query, want := range map[string]string{"one": "", "two": "a", "three": "b"} {
			if f, err := b.Find(t.Context(), query, knowledge.FindOptions{}); err != nil || ids(f) != want {
				t.Errorf("%q found %q, %v; want %q", query, ids(f), err, want)
			}
		}
	})
}

// TestGrepEnds: a search that nobody waits for ends, and one over many
// concepts is in their order and no longer than asked.
func TestGrepEnds(t *testing.T) {
	fsys := manual()
	for i := range 600 {
		fsys["many/c"+string(rune('a'+i/26%26))+string(rune('a'+i%26))+strings.Repeat("x", i/676)+".md"] = concept("type: T", "needle\nneedle")
	}
	b := open(t, fsys, knowledge.Options{})
	g, err := b.Grep(t.Context(), "needle", knowledge.GrepOptions{Max: 1101})
	if err != nil || len(g.Lines) != 1101 || !g.Cut {
		t.Fatalf("%d lines, %v, %v", len(g.Lines), g.Cut, err)
	}
	for i, l := range g.Lines[1:] {
		if before := g.Lines[i]; before.ID > l.ID || before.ID == l.ID && before.Line >= l.Line {
			t.Fatalf("%v before %v", before, l)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Grep(ctx, "needle", knowledge.GrepOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
