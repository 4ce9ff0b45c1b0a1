package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/pdf"
)

// TestMain makes the test program the process that converts, as main does.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "convert-worker" {
		if err := pdf.Worker(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestAsk plays the script over small bundles that have the sections it reads:
// its last words quote what its code found in both.
func TestAsk(t *testing.T) {
	t.Setenv("HANDBOOK_MODEL", "")
	parent := t.TempDir()
	var bundles []*knowledge.Bundle
	for name, text := range map[string]string{
		"r/the_stats_package/lm": "# Fitting linear models\n\n## Usage\nlm(formula, data)\n\n## Details\nBy least squares.\n",
		"cplusplus/exceptions/functions_that_cannot_throw_exceptions_the_noexcept_keyword": "A function promises not to throw exceptions by noexcept.\n",
	} {
		file := filepath.Join(parent, filepath.FromSlash(name)+".md")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("---\ntype: Section\n---\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		folder, _, _ := strings.Cut(name, "/")
		b, err := knowledge.Open(t.Context(), filepath.Join(parent, folder), knowledge.Options{CacheDir: "-"})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		bundles = append(bundles, b)
	}
	both, err := knowledge.NewLibrary(bundles...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := ask(t.Context(), &out, both, question); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1. r/the_stats_package/lm", "1. cplusplus/exceptions/functions_that", "its usage begins with `lm(formula, data"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "By least squares") {
		t.Error("more was read than the heading that was asked for")
	}
}

// TestOpen makes the bundle of a manual once, in another process, and says what
// to do when there is none.
func TestOpen(t *testing.T) {
	manuals := t.TempDir()
	if _, err := open(t.Context(), manuals, "r", "R"); err == nil || !strings.Contains(err.Error(), "fetch.sh") {
		t.Errorf("without a manual: %v", err)
	}
	guide, err := os.ReadFile("../../knowledge/pdf/testdata/guide.pdf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(manuals, "r.pdf"), guide, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b, err := open(t.Context(), manuals, "r", "R")
		if err != nil {
			t.Fatal(err)
		}
		if b.Len() == 0 || b.Name() != "r" {
			t.Errorf("%s has %d concepts", b.Name(), b.Len())
		}
		b.Close()
	}
}
