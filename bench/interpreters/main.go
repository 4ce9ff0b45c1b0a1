// Interpreters measures the REPL of this module beside other ways to run a
// model's Python, in one run on one machine, and prints a table in Markdown.
// It installs the others by itself, from PyPI and npm, into the cache folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// aCase is one thing that is measured.
type aCase struct {
	name  string
	title string
	count int    // samples of a whole run
	bytes bool   // the samples are bytes, not seconds
	rate  int64  // bytes moved in one sample; 0 = no rate is shown
	goal  string // of ours, as the project set it
}

var cases = []aCase{
	{name: "ready", title: "session ready, bare", count: 40},
	{name: "ready-pandas", title: "session ready with numpy and pandas", count: 40, goal: "p50 ≤ 8 ms, p99 ≤ 20 ms; pool ≤ 1 ms"},
	{name: "snippet", title: "trivial snippet", count: 2000, goal: "p50 ≤ 40 µs"},
	{name: "cpu", title: "processor-bound pure Python", count: 15, goal: "≥ 30 times strands-sandboxed"},
	{name: "groupby", title: "pandas group-by, 1,000,000 rows", count: 30},
	{name: "calls", title: "host call (of 1,000)", count: 15, goal: "p50 ≤ 35 µs"},
	{name: "big", title: "100 MiB into the session", count: 12, rate: big, goal: "≥ 1.5 GB/s"},
	{name: "memory", title: "idle session with pandas", count: 20, bytes: true, goal: "≤ 8 MB"},
	{name: "kill", title: "from kill to dead, in a loop", count: 20, goal: "≤ 10 ms"},
}

// peer is one interpreter.
type peer interface {
	// measure returns samples in seconds, or bytes; skipped says why not.
	measure(ctx context.Context, c aCase, count int) (samples []float64, skipped string, err error)
}

type column struct {
	name string
	peer peer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "interpreters:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	fs := flag.NewFlagSet("interpreters", flag.ContinueOnError)
	fs.SetOutput(progress)
	names := fs.String("peers", "", "comma-separated, of "+strings.Join(peerNames, ", ")+" (default: all)")
	only := fs.String("cases", "", "comma-separated, of "+strings.Join(caseNames(), ", ")+" (default: all, and the thousand sessions)")
	samples := fs.Int("samples", 0, "of each case (default: as many as each needs)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	chosen, err := pick(*names, peerNames)
	if err != nil {
		return err
	}
	which, err := pick(*only, append(caseNames(), "thousand"))
	if err != nil {
		return err
	}
	note := func(format string, args ...any) { fmt.Fprintf(progress, "interpreters: "+format+"\n", args...) }
	columns, close, err := columns(ctx, chosen, note)
	defer close()
	if err != nil {
		return err
	}
	t := &table{columns: columns}
	for _, c := range cases {
		if !slices.Contains(which, c.name) {
			continue
		}
		count := c.count
		if *samples > 0 {
			count = *samples
		}
		row := row{aCase: c}
		for _, col := range columns {
			note("%s: %s", c.title, col.name)
			began := time.Now()
			got, skipped, err := col.peer.measure(ctx, c, count)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil { // one case must not take the others with it
				got, skipped = nil, "it fails: "+err.Error()
			}
			slices.Sort(got)
			row.cells = append(row.cells, cell{samples: got, skipped: skipped})
			note("  %d samples in %v %s", len(got), time.Since(began).Round(time.Millisecond), skipped)
		}
		t.rows = append(t.rows, row)
	}
	thousand := ""
	if slices.Contains(which, "thousand") && slices.Contains(chosen, peerNames[0]) {
		note("1,000 idle sessions with pandas")
		if thousand, err = manySessions(ctx, 1000); err != nil {
			return fmt.Errorf("1,000 sessions: %w", err)
		}
	}
	_, err = io.WriteString(out, machine(columns)+"\n"+t.markdown()+thousand)
	return err
}

func caseNames() (names []string) {
	for _, c := range cases {
		names = append(names, c.name)
	}
	return names
}

// pick reads a comma-separated choice; "" is everything.
func pick(text string, of []string) ([]string, error) {
	if text == "" {
		return of, nil
	}
	chosen := strings.Split(text, ",")
	for _, name := range chosen {
		if !slices.Contains(of, name) {
			return nil, fmt.Errorf("%q is not known: choose of %s", name, strings.Join(of, ", "))
		}
	}
	return chosen, nil
}
