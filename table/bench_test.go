//go:build unix

package table_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/table"
)

type measured struct {
	A, B, C, D float64
	E, F, G, H int64
}

// numbers is a table of about 100 MB.
func numbers(b *testing.B) (table.Table, int64) {
	rows := make([]measured, 100_000_000/64)
	for i := range rows {
		f, n := float64(i), int64(i)
		rows[i] = measured{f, f, f, f, n, n, n, n}
	}
	t, err := table.FromStructs(rows)
	if err != nil {
		b.Fatal(err)
	}
	return t, int64(len(rows)) * 64
}

func run(b *testing.B, s python.Session, code string) {
	b.Helper()
	for o, err := range s.Exec(b.Context(), code) {
		if err != nil {
			b.Fatal(err)
		}
		if o.Result != nil && o.Result.Err != nil {
			b.Fatal(o.Result.Err, o.Result.Err.Traceback)
		}
	}
}

// BenchmarkFromStructs makes the table, which comes before all the others.
func BenchmarkFromStructs(b *testing.B) {
	rows := make([]measured, 100_000_000/64)
	b.SetBytes(int64(len(rows)) * 64)
	for b.Loop() {
		if _, err := table.FromStructs(rows); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkToPandas is a Go function's table of 100 MB becoming a DataFrame.
func BenchmarkToPandas(b *testing.B) {
	t, size := numbers(b)
	get := strands.NewTool("get", "Gets.", func(context.Context, struct{}) (table.Table, error) { return t, nil })
	benchmark(b, size, "df = get()", "", get)
}

// BenchmarkFromPandas is a DataFrame of 100 MB becoming Arrow records in Go.
func BenchmarkFromPandas(b *testing.B) {
	t, size := numbers(b)
	get := strands.NewTool("get", "Gets.", func(context.Context, struct{}) (table.Table, error) { return t, nil })
	put := strands.NewTool("put", "Puts.", func(_ context.Context, in struct{ T table.Table }) (int, error) { return in.T.Len(), nil })
	benchmark(b, size, "n = put(df)", "df = get()", get, put)
}

// processorTime is what this program and the session have used, in seconds: on
// a busy machine it says more than the clock.
func processorTime(b *testing.B, s python.Session) float64 {
	b.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	var python float64
	for o, err := range s.Exec(b.Context(), "import time; time.process_time()") {
		if err != nil {
			b.Fatal(err)
		}
		if o.Result != nil {
			if _, err := fmt.Sscan(o.Result.Value, &python); err != nil {
				b.Fatal(err)
			}
		}
	}
	return python + float64(own.Utime.Nano()+own.Stime.Nano())/1e9
}

func benchmark(b *testing.B, size int64, code, before string, tools ...strands.Tool) {
	i := &python.Sandboxed{Logger: quiet()}
	defer i.Close()
	s, err := i.Open(b.Context(), withPandas(tools...))
	if err != nil {
		b.Fatal(err)
	}
	run(b, s, before)
	run(b, s, code)
	b.SetBytes(size)
	began := processorTime(b, s)
	for b.Loop() {
		run(b, s, code)
	}
	b.ReportMetric(1000*(processorTime(b, s)-began)/float64(b.N), "cpu-ms/op")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
