package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing/fstest"

	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/knowledge"
)

// world is a generated dataset.
type world struct {
	files    []file
	handbook map[string]string // Markdown by file name, for the rules of the house
	tasks    []Task
}

// draw is a source of random choices.
type draw struct{ *rand.Rand }

func (d draw) one(of ...string) string { return of[d.IntN(len(of))] }

// between draws from low to high, both included.
func (d draw) between(low, high int) int { return low + d.IntN(high-low+1) }

// datasets are the generators, by name. Each gets the rows that its largest
// table is to have.
var datasets = []struct {
	name string
	make func(d draw, rows int) world
}{
	{"shop", shop},
	{"clinic", clinic},
	{"fleet", fleet},
	{"support", support},
	{"energy", energy},
	{"library", lending},
}

// leastRows keeps the questions answerable at the smallest scale.
const leastRows = 300

func openData(ctx context.Context, o Options) (_ *Suite, err error) {
	s := &Suite{Name: "data"}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	rows := max(int(o.Scale*1e6), leastRows)
	for i, ds := range datasets {
		w := ds.make(draw{rand.New(rand.NewPCG(o.Seed, uint64(i)))}, rows)
		set := &Set{Name: ds.name}
		for _, t := range w.tasks {
			t.ID, t.Set = ds.name+"/"+t.ID, ds.name
			if o.Want == nil || o.Want(t.ID) {
				set.Tasks = append(set.Tasks, t)
			}
		}
		if len(set.Tasks) == 0 {
			continue
		}
		s.Sets = append(s.Sets, set)
		if err := w.open(ctx, set, o); err != nil {
			return nil, fmt.Errorf("dataset %s: %w", ds.name, err)
		}
	}
	return s, nil
}

// open writes the stores of w and opens them for set.
func (w world) open(ctx context.Context, set *Set, o Options) error {
	dir := filepath.Join(o.Dir, set.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	set.Toolkits = []codeagent.Toolkit{Frames}
	var stores []*data.Store
	for _, f := range w.files {
		address, err := f.place(ctx, dir, set.Name, o)
		if err != nil {
			return err
		}
		store, err := data.Open(ctx, address, data.Options{Name: f.name})
		if err != nil {
			return err
		}
		set.OnClose(store.Close)
		stores = append(stores, store)
		set.Toolkits = append(set.Toolkits, codeagent.ObjectOf(f.name, store))
	}
	data.Relate(stores...)
	pages := fstest.MapFS{}
	for name, text := range w.handbook {
		pages[name+".md"] = &fstest.MapFile{Data: []byte(text)}
	}
	book, err := knowledge.OpenFS(ctx, pages, knowledge.Options{Name: "handbook"})
	if err != nil {
		return fmt.Errorf("the handbook: %w", err)
	}
	set.OnClose(book.Close)
	set.Toolkits = append(set.Toolkits, codeagent.KnowledgeOf(book))
	return nil
}

// place writes a store where it belongs.
func (f file) place(ctx context.Context, dir, set string, o Options) (string, error) {
	if f.format == "sqlite" && o.Postgres != "" {
		return writePostgres(ctx, o.Postgres, "twin_"+set, f.sheets)
	}
	return f.write(ctx, dir)
}

// Frames brings what results of queries are shown as in Python.
var Frames = codeagent.Toolkit{
	Libraries:          []string{"pandas.*", "numpy.*"},
	Requirements:       []string{"pandas", "pyarrow"},
	Preload:            []string{"pyarrow", "pandas"},
	InitializationCode: "import pandas as pd",
}

// page is a page of a handbook.
func page(title, text string) string {
	return "---\ntype: Rule\ntitle: " + title + "\ndescription: " + title + "\n---\n\n# " + title + "\n\n" + text + "\n"
}

// best are the keys with the greatest values, n of them; of equal ones the
// alphabetically first come first.
func best[V cmp.Ordered](m map[string]V, n int) []string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	return keys[:min(n, len(keys))]
}

const onTie = " On a tie take the alphabetically first."
