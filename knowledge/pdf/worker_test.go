package pdf_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge/pdf"
)

// TestMain makes the test program its own worker.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "convert-worker" {
		if err := pdf.Worker(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 4 && (os.Args[1] == "convert-here" || os.Args[1] == "convert-in-worker") {
		convertAlone(os.Args[1] == "convert-in-worker", os.Args[2], os.Args[3])
		os.Exit(0)
	}
	if len(os.Args) == 2 && os.Args[1] == "babble" {
		fmt.Println(strings.Repeat("x", 3<<20))
		os.Exit(0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each program of the tests ends a second later
	os.Exit(m.Run())
}

// convertAlone is a program that converts and prints the outcome.
func convertAlone(worker bool, src, dst string) {
	var opt pdf.Options
	if worker {
		opt.Worker = []string{os.Args[0], "convert-worker"}
	}
	var o outcome
	var err error
	o.Report, err = pdf.Convert(context.Background(), src, dst, opt)
	if e, ok := errors.AsType[*pdf.Error](err); ok {
		o.Reason = e.Reason
	} else if err != nil {
		o.Other = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(o) // the test misses it
}

// outcome is what a program that converts says about it.
type outcome struct {
	Report *pdf.Report
	Reason string // of a pdf.Error
	Other  string // of another
}

func workerOptions(t *testing.T) pdf.Options {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return pdf.Options{Worker: []string{exe, "convert-worker"}}
}

func TestWorker(t *testing.T) {
	o := workerOptions(t)
	calls := 0
	o.Progress = func(_, _ int) { calls++ }
	b, report, _ := converted(t, &paper{sheets: []sheet{lines(700, "hello"), lines(700, "there")}}, o)
	if bodies(t, b)["pages_1_to_2"] != "hello there" || report.WordsKept != 2 || calls != 2 {
		t.Errorf("%+v, %d calls", report, calls)
	}
}

// TestDeadWorker: a program that is no worker is an error, and leaves nothing.
func TestDeadWorker(t *testing.T) {
	parent := t.TempDir()
	dead := workerOptions(t)
	dead.Worker = []string{dead.Worker[0], "-test.run=^$"}
	_, err := pdf.Convert(t.Context(), (&paper{sheets: []sheet{lines(700, "x")}}).file(t), filepath.Join(parent, "b"), dead)
	if _, ok := errors.AsType[*pdf.Error](err); !ok {
		t.Errorf("a worker that is none: %v", err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestBabblingWorker: a worker that says more than is read is an error, and
// neither waits for the other.
func TestBabblingWorker(t *testing.T) {
	o := workerOptions(t)
	o.Worker[1] = "babble"
	_, err := pdf.Convert(t.Context(), (&paper{sheets: []sheet{lines(700, "x")}}).file(t), filepath.Join(t.TempDir(), "b"), o)
	if err == nil || !strings.Contains(err.Error(), "what the worker says") {
		t.Error(err)
	}
}

// TestManyBadPages: however many pages cannot be read, the others are there,
// and the report is short.
func TestManyBadPages(t *testing.T) {
	const bad = 2000
	p := &paper{sheets: []sheet{lines(700, "hello there")}}
	p.after = func(objects map[int][]byte) {
		for n, o := range objects {
			if bytes.Contains(o, []byte("/Type /Pages")) {
				objects[n] = fmt.Appendf(nil, "<< /Type /Pages /Count %d /Kids [5 0 R%s] >>", 1+bad, strings.Repeat(" 9999 0 R", bad))
			}
		}
	}
	_, report, _ := converted(t, p, workerOptions(t))
	if report.Pages != 1+bad || report.WordsKept != 2 || len(report.Problems) != 2 || !strings.HasPrefix(report.Problems[0], "pages 2 to 2001 could not be read") {
		t.Errorf("%+v", report)
	}
}

// TestWorkerCompilesBeforeTheClock: the first word, after which a page may take
// only so long, comes when the module is compiled.
func TestWorkerCompilesBeforeTheClock(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("STRANDS_CACHE", cache)
	job := fmt.Sprintf(`{"Source":%q,"Dir":%q,"Workers":1,"Memory":%d}`, (&paper{sheets: []sheet{lines(700, "x")}}).file(t), t.TempDir(), 192<<20)
	out := &firstWrite{look: func() []string {
		compiled, _ := filepath.Glob(filepath.Join(cache, "wazero", "*", "*"))
		return compiled
	}}
	if err := pdf.Worker(t.Context(), strings.NewReader(job), out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.first, "Started") || len(out.seen) == 0 {
		t.Errorf("the first word is %q, when the cache holds %v", out.first, out.seen)
	}
}

// firstWrite looks at something when it is first written to.
type firstWrite struct {
	look  func() []string
	first string
	seen  []string
}

func (w *firstWrite) Write(b []byte) (int, error) {
	if w.first == "" {
		w.first, w.seen = string(b), w.look()
	}
	return len(b), nil
}
