package python_test

import (
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/strandsgo/strands/python"
)

func pandasSession(b *testing.B, undo bool) python.Session {
	b.Helper()
	i := &python.Sandboxed{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	s := open(b, i, python.Options{
		Requirements: []string{"pandas>=2"}, Preload: []string{"pandas"}, Libraries: []string{"*"}, Undo: undo,
	})
	exec(b, s, "import pandas as pd\ndf = pd.DataFrame({'a': range(1_000_000), 'b': range(1_000_000)})")
	return s
}

// BenchmarkFork copies a session with pandas and 16 MB of data: until the copy
// is verified and ready, with its first answer, and its end.
func BenchmarkFork(b *testing.B) {
	s := pandasSession(b, false)
	var ready, answered, closed []time.Duration
	for b.Loop() {
		began := time.Now()
		f, err := s.(python.Forker).Fork(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		ready = append(ready, time.Since(began))
		exec(b, f, "y = 1")
		answered = append(answered, time.Since(began))
		began = time.Now()
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		closed = append(closed, time.Since(began))
	}
	b.ReportMetric(percentile(answered, 50), "answered-p50-µs")
	b.ReportMetric(percentile(closed, 50), "close-p50-µs")
	report(b, ready)
}

// BenchmarkUndo is a trivial snippet in such a session that keeps the state
// from before each.
func BenchmarkUndo(b *testing.B) {
	s := pandasSession(b, true)
	var times, undone []time.Duration
	for b.Loop() {
		began := time.Now()
		exec(b, s, "y = 1")
		times = append(times, time.Since(began))
		began = time.Now()
		if _, err := s.(python.Undoer).Undo(b.Context()); err != nil {
			b.Fatal(err)
		}
		undone = append(undone, time.Since(began))
	}
	b.ReportMetric(percentile(undone, 50), "undo-p50-µs")
	report(b, times)
}

func percentile(times []time.Duration, p int) float64 {
	slices.Sort(times)
	return float64(times[len(times)*p/100].Nanoseconds()) / 1000
}
