package pdf_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/pdf"
)

// A document becomes a bundle, a concept for each bookmark.
func ExampleConvert() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	bundle := filepath.Join(dir, "my_bundle")
	report, err := pdf.Convert(ctx, "testdata/guide.pdf", bundle, pdf.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Concepts, "concepts,", report.WordsKept, "of", report.WordsIn, "words")

	b, err := knowledge.Open(ctx, bundle, knowledge.Options{CacheDir: "-"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	toc, err := b.TOC(knowledge.TOCOptions{Depth: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(toc)
	// Output:
	// 3 concepts, 16 of 16 words
	// my_bundle: 3 concepts
	// - travel: Travel (2 below)
	//   - travel/meals: Meals
	//   - travel/trains: Trains
}

// A program that converts what it does not trust is its own worker: it is
// started again with another argument, and ended when a document takes too
// much time or memory.
func ExampleWorker() {
	if len(os.Args) == 2 && os.Args[1] == "convert-worker" {
		if err := pdf.Worker(context.Background(), os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	report, err := pdf.Convert(context.Background(), "testdata/guide.pdf", filepath.Join(dir, "guide"), pdf.Options{Worker: []string{exe, "convert-worker"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Concepts)
	// Output: 3
}
