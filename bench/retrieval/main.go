// Retrieval measures how well find answers plainly asked questions over manuals
// of Debian; README.md says how the questions and their answers were chosen:
//
//	apt-get install r-doc-pdf c++-annotations-pdf gnuplot-doc octave-doc postgresql-doc-15 bash-doc
//	go run ./bench/retrieval                 # the hundred questions
//	go run ./bench/retrieval -set development
//	go run ./bench/retrieval -set third      # those no ranking was ever made with
//	go run ./bench/retrieval -embed http://localhost:11434/api/embed -model all-minilm
//
// The last command fuses the keyword index with embeddings of a server. The
// manuals are converted into the cache folder at the first run.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/embedding"
	"github.com/strandsgo/strands/knowledge/markup"
	"github.com/strandsgo/strands/knowledge/pdf"
)

//go:embed questions.tsv
var hundred string

//go:embed development.tsv
var development string

//go:embed third.tsv
var third string

var manuals = map[string]string{
	"r":          "/usr/share/R/doc/manual/fullrefman.pdf",
	"cplusplus":  "/usr/share/doc/c++-annotations/cplusplus.pdf",
	"gnuplot":    "/usr/share/doc/gnuplot/gnuplot.pdf",
	"postgresql": "/usr/share/doc/postgresql-doc-15/html",
	"bash":       "/usr/share/doc/bash-doc/bashref.pdf",
	"octave":     "/usr/share/doc/octave/octave.pdf",
}

// bench is what is asked for on the command line.
type bench struct {
	root    string
	first   bool // only the answers of the first reading
	misses  bool
	options func() knowledge.Options
	out     io.Writer
	open    func(ctx context.Context, manual string) (*knowledge.Bundle, error)
}

func main() {
	b := bench{out: os.Stdout}
	b.open = b.convert
	set := flag.String("set", "hundred", "which questions: hundred, development or third")
	flag.BoolVar(&b.misses, "misses", false, "list the questions of the half in view whose answer is not among the first five")
	flag.BoolVar(&b.first, "first", false, "only the answers of the first reading of the manuals")
	flag.StringVar(&b.root, "root", "/", "folder below which the manuals are installed")
	url := flag.String("embed", "", "URL of a server of embeddings, to be fused with the keyword index")
	model := flag.String("model", "", "of that server")
	alone := flag.Bool("alone", false, "embeddings without the keyword index")
	flag.Parse()
	b.options = func() knowledge.Options {
		if *url == "" {
			return knowledge.Options{}
		}
		return knowledge.Options{Index: &embedding.Index{URL: *url, Model: *model}, Fuse: !*alone}
	}
	questions, ok := map[string]string{"hundred": hundred, "development": development, "third": third}[*set]
	if !ok {
		fmt.Fprintln(os.Stderr, "retrieval: -set is hundred, development or third")
		os.Exit(2)
	}
	if err := b.measure(context.Background(), questions, *set); err != nil {
		fmt.Fprintln(os.Stderr, "retrieval:", err)
		os.Exit(1)
	}
}

// scores of a set of questions.
type scores struct {
	name                  string
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

func (s *scores) row(out io.Writer) {
	if s.asked == 0 {
		return
	}
	percent := func(n int) string { return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(s.asked)) }
	fmt.Fprintf(out, "| %s | %d | %s | %s | %s | %.3f |\n", s.name, s.asked, percent(s.at1), percent(s.at5), percent(s.at10), s.reciprocal/float64(s.asked))
}

// measure asks all questions of a set. Of the hundred, every second one of a
// manual is held out; of the third set all are, and none for development.
func (b *bench) measure(ctx context.Context, questions, set string) error {
	asked, err := b.questions(questions)
	if err != nil {
		return fmt.Errorf("the set %s: %w", set, err)
	}
	bundles := map[string]*knowledge.Bundle{}
	all, view, rest := &scores{name: "all"}, &scores{name: "in view while ranking was made"}, &scores{name: "held out"}
	each := map[string]*scores{}
	rows := []*scores{all, view, rest}
	for _, q := range asked {
		if bundles[q.manual] == nil {
			opened, err := b.open(ctx, q.manual)
			if err != nil {
				return err
			}
			defer opened.Close()
			bundles[q.manual], each[q.manual] = opened, &scores{name: q.manual}
			rows = append(rows, each[q.manual])
		}
		rank, first, err := ask(ctx, bundles[q.manual], q)
		if err != nil {
			return err
		}
		all.add(rank)
		each[q.manual].add(rank)
		if set == "third" || set == "hundred" && each[q.manual].asked%2 == 0 {
			rest.add(rank)
			continue
		}
		view.add(rank)
		if b.misses && (rank == 0 || rank > 5) {
			fmt.Fprintf(b.out, "%d\t%s: %s\n\twant %s\n\tgot  %s\n", rank, q.manual, q.text, strings.Join(q.ids, " "), strings.Join(first, " "))
		}
	}
	fmt.Fprintln(b.out, "| questions | n | R@1 | R@5 | R@10 | MRR |\n|---|---|---|---|---|---|")
	for _, s := range rows {
		s.row(b.out)
	}
	return nil
}

// question is a line of a set.
type question struct {
	manual, text string
	ids          []string // of the concepts that answer it
}

// questions reads a set: a line has a manual, a question, the ids that answer
// it and those that were added later, with tabs between.
func (b *bench) questions(set string) ([]question, error) {
	var all []question
	n := 0
	for line := range strings.Lines(set) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < 3 || len(f) > 4 || manuals[f[0]] == "" || f[1] == "" || strings.TrimSpace(f[2]) == "" {
			return nil, fmt.Errorf("line %d is not a manual, a question and ids with tabs between: %q", n, line)
		}
		q := question{manual: f[0], text: f[1], ids: strings.Fields(f[2])}
		if len(f) > 3 && !b.first {
			q.ids = append(q.ids, strings.Fields(f[3])...)
		}
		all = append(all, q)
	}
	return all, nil
}

// convert opens the bundle of a manual, which is made when it is not there.
func (b *bench) convert(ctx context.Context, name string) (*knowledge.Bundle, error) {
	cache, err := knowledge.CacheDir()
	if err != nil {
		return nil, err
	}
	source, dir := filepath.Join(b.root, manuals[name]), filepath.Join(cache, "retrieval", name)
	if strings.HasSuffix(source, ".pdf") {
		_, err = pdf.Convert(ctx, source, dir, pdf.Options{})
	} else {
		_, err = markup.Convert(ctx, source, dir, markup.Options{})
	}
	if err != nil {
		return nil, fmt.Errorf("%w; apt-get install r-doc-pdf c++-annotations-pdf gnuplot-doc octave-doc postgresql-doc-15 bash-doc", err)
	}
	return knowledge.Open(ctx, dir, b.options())
}

// ask returns the rank of the first answer among the first ten.
func ask(ctx context.Context, b *knowledge.Bundle, q question) (rank int, first []string, err error) {
	for _, id := range q.ids {
		if _, ok := b.Concept(id); !ok {
			return 0, nil, fmt.Errorf("%s has no concept %s; the questions are for Debian 12's manuals", b.Name(), id)
		}
	}
	f, err := b.Find(ctx, q.text, knowledge.FindOptions{Limit: 10})
	if err != nil {
		return 0, nil, err
	}
	for i, m := range f.Results {
		if first = append(first, m.ID); rank == 0 && slices.Contains(q.ids, m.ID) {
			rank = i + 1
		}
	}
	return rank, first[:min(5, len(first))], nil
}
