// Retrieval measures how well find answers a hundred plainly asked questions
// over three manuals of Debian:
//
//	apt-get install r-doc-pdf c++-annotations-pdf gnuplot-doc
//	go run ./bench/retrieval
//	go run ./bench/retrieval -embed http://localhost:11434/api/embed -model all-minilm
//
// The second command fuses the keyword index with embeddings of a server.
// The manuals are converted into the cache folder at the first run. The ranking
// was made with one half of the questions in view; the other half is held out.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/embedding"
	"github.com/strandsgo/strands/knowledge/pdf"
)

//go:embed questions.tsv
var questions string

var manuals = map[string]string{
	"r":         "/usr/share/R/doc/manual/fullrefman.pdf",
	"cplusplus": "/usr/share/doc/c++-annotations/cplusplus.pdf",
	"gnuplot":   "/usr/share/doc/gnuplot/gnuplot.pdf",
}

func main() {
	misses := flag.Bool("misses", false, "list the questions of the half in view whose answer is not among the first five")
	root := flag.String("root", "/", "folder below which the manuals are installed")
	var index embedding.Index
	flag.StringVar(&index.URL, "embed", "", "URL of a server of embeddings, to be fused with the keyword index")
	flag.StringVar(&index.Model, "model", "", "of that server")
	alone := flag.Bool("alone", false, "embeddings without the keyword index")
	flag.Parse()
	options := func() knowledge.Options { return knowledge.Options{} }
	if index.URL != "" {
		options = func() knowledge.Options {
			return knowledge.Options{Index: &embedding.Index{URL: index.URL, Model: index.Model}, Fuse: !*alone}
		}
	}
	if err := measure(context.Background(), *root, options, *misses); err != nil {
		fmt.Fprintln(os.Stderr, "retrieval:", err)
		os.Exit(1)
	}
}

// scores of a set of questions.
type scores struct {
	asked, at1, at5, at10 int
	reciprocal            float64
}

func (s *scores) add(rank int) { // from 1; 0 = not found
	s.asked++
	if rank == 0 {
		return
	}
	s.reciprocal += 1 / float64(rank)
	for n, count := range map[int]*int{1: &s.at1, 5: &s.at5, 10: &s.at10} {
		if rank <= n {
			*count++
		}
	}
}

func (s *scores) row(name string) {
	percent := func(n int) string { return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(s.asked)) }
	fmt.Printf("| %s | %d | %s | %s | %s | %.3f |\n", name, s.asked, percent(s.at1), percent(s.at5), percent(s.at10), s.reciprocal/float64(s.asked))
}

func measure(ctx context.Context, root string, options func() knowledge.Options, misses bool) error {
	bundles := map[string]*knowledge.Bundle{}
	seen := map[string]int{}
	var all, view, held scores
	each := map[string]*scores{}
	for line := range strings.Lines(questions) {
		manual, question, ids, ok := fields(line)
		if !ok {
			continue
		}
		b := bundles[manual]
		if b == nil {
			var err error
			if b, err = open(ctx, filepath.Join(root, manuals[manual]), manual, options()); err != nil {
				return err
			}
			defer b.Close()
			bundles[manual], each[manual] = b, &scores{}
		}
		rank, first, err := ask(ctx, b, question, ids)
		if err != nil {
			return err
		}
		all.add(rank)
		each[manual].add(rank)
		if seen[manual]++; seen[manual]%2 == 0 {
			held.add(rank)
			continue
		}
		view.add(rank)
		if misses && (rank == 0 || rank > 5) {
			fmt.Printf("%d\t%s: %s\n\twant %s\n\tgot  %s\n", rank, manual, question, strings.Join(ids, " "), strings.Join(first, " "))
		}
	}
	fmt.Println("| questions | n | R@1 | R@5 | R@10 | MRR |\n|---|---|---|---|---|---|")
	all.row("all")
	view.row("in view while ranking was made")
	held.row("held out")
	for _, name := range []string{"r", "cplusplus", "gnuplot"} {
		each[name].row(name)
	}
	return nil
}

func fields(line string) (manual, question string, ids []string, ok bool) {
	f := strings.Split(strings.TrimSpace(line), "\t")
	if len(f) != 3 || strings.HasPrefix(line, "#") {
		return "", "", nil, false
	}
	return f[0], f[1], strings.Fields(f[2]), true
}

// open opens the bundle of a manual, which is made when it is not there.
func open(ctx context.Context, file, name string, o knowledge.Options) (*knowledge.Bundle, error) {
	cache, err := knowledge.CacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "retrieval", name)
	if _, err := pdf.Convert(ctx, file, dir, pdf.Options{}); err != nil {
		return nil, fmt.Errorf("%w; apt-get install r-doc-pdf c++-annotations-pdf gnuplot-doc", err)
	}
	return knowledge.Open(ctx, dir, o)
}

// ask returns the rank of the first answer among the first ten.
func ask(ctx context.Context, b *knowledge.Bundle, question string, ids []string) (rank int, first []string, err error) {
	for _, id := range ids {
		if _, ok := b.Concept(id); !ok {
			return 0, nil, fmt.Errorf("%s has no concept %s; the questions are for Debian 12's manuals", b.Name(), id)
		}
	}
	f, err := b.Find(ctx, question, knowledge.FindOptions{Limit: 10})
	if err != nil {
		return 0, nil, err
	}
	for i, m := range f.Results {
		if first = append(first, m.ID); rank == 0 && slices.Contains(ids, m.ID) {
			rank = i + 1
		}
	}
	return rank, first[:min(5, len(first))], nil
}
