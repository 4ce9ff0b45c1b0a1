// Knowledge measures the conversion of manuals against pdftotext, in turns on
// the same machine: time, memory, and which words are kept.
//
//	go run ./bench/knowledge [-runs 3] MANUAL.pdf...
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/strandsgo/strands/knowledge/pdf"
)

func main() {
	runs := flag.Int("runs", 3, "conversions of each manual; the best counts")
	one := flag.String("convert", "", "internal: make this bundle of the one argument, print the report")
	flag.Parse()
	err := errors.New("name manuals to convert, like /usr/share/R/doc/manual/fullrefman.pdf of Debian's r-doc-pdf")
	switch {
	case *one != "":
		err = convert(flag.Arg(0), *one)
	case flag.NArg() > 0:
		err = compare(flag.Args(), *runs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "knowledge:", err)
		os.Exit(1)
	}
}

func convert(src, dst string) error {
	report, err := pdf.Convert(context.Background(), src, dst, pdf.Options{})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

func compare(manuals []string, runs int) error {
	fmt.Println("| manual | pages | concepts | conversion | peak memory | pdftotext | ratio | words kept exactly once | more often |\n|---|---|---|---|---|---|---|---|---|")
	for _, m := range manuals {
		if err := measure(m, runs); err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
	}
	return nil
}

// measure converts one manual and has pdftotext read it, in turns.
func measure(manual string, runs int) error {
	dir, err := os.MkdirTemp("", "bench-knowledge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	text := filepath.Join(dir, "manual.txt")
	var ours, theirs []time.Duration
	var peak int64
	var report pdf.Report
	bundle := ""
	for i := range runs {
		bundle = filepath.Join(dir, fmt.Sprint("bundle", i))
		out, took, memory, err := run(exe, "-convert", bundle, manual)
		if err != nil {
			return err
		}
		ours, peak = append(ours, took), max(peak, memory)
		if err := json.Unmarshal(out, &report); err != nil {
			return err
		}
		if _, took, _, err = run("pdftotext", manual, text); err != nil {
			return fmt.Errorf("%w (Debian: apt-get install poppler-utils)", err)
		}
		theirs = append(theirs, took)
	}
	once, more, err := keptOnce(text, bundle, report.HeadWords)
	if err != nil {
		return err
	}
	a, b := slices.Min(ours), slices.Min(theirs)
	fmt.Printf("| %s | %d | %d | %.2f s | %d MB | %.2f s | %.2f | %.2f %% | %.2f %% |\n", filepath.Base(manual), report.Pages, report.Concepts,
		a.Seconds(), peak>>20, b.Seconds(), a.Seconds()/b.Seconds(), once, more)
	return nil
}

func run(name string, args ...string) (out []byte, took time.Duration, memory int64, err error) {
	cmd := exec.Command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err = cmd.Run()
	took = time.Since(began)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%s: %w: %s", name, err, cmp.Or(strings.TrimSpace(stderr.String()), "no message"))
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		memory = u.Maxrss << 10
	}
	return stdout.Bytes(), took, memory, nil
}

// generated is what the converter itself writes into a concept.
var generated = regexp.MustCompile(`(?s)\A---\n.*?\n---\n|\n## See also\n\* \[.*|\n## Subsections\n\* \[.*`)

// keptOnce compares the words that pdftotext finds, running heads aside, with
// those of a bundle: how many percent are there as often, and how many more
// are there than that.
func keptOnce(text, bundle string, heads int) (once, more float64, err error) {
	data, err := os.ReadFile(text)
	if err != nil {
		return 0, 0, err
	}
	want, total := count(strings.ReplaceAll(string(data), "-\n", "")) // its hyphens at the ends of lines
	var all strings.Builder
	err = filepath.WalkDir(bundle, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".md") || d.Name() == "index.md" {
			return err
		}
		body, err := os.ReadFile(p)
		all.WriteString(generated.ReplaceAllString(string(body), "") + "\n")
		return err
	})
	got, _ := count(all.String())
	same, extra := 0, 0
	for w, n := range want {
		same += min(n, got[w])
	}
	for w, n := range got {
		extra += max(0, n-want[w])
	}
	return 100 * float64(same) / float64(total-heads), 100 * float64(extra) / float64(total-heads), err
}

// count folds words to their letters and digits. A hyphen within a word joins
// it, since it may have been one at the end of a line.
func count(text string) (words map[string]int, total int) {
	words = map[string]int{}
	text = strings.NewReplacer("-", "", "\u00ad", "", "‐", "", "ﬁ", "fi", "ﬂ", "fl", "ﬀ", "ff", "ﬃ", "ffi", "ﬄ", "ffl").Replace(text)
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		words[strings.ToLower(w)]++
		total++
	}
	return words, total
}
