package table_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/table"
)

// withPandas are the options of a session that has DataFrames.
func withPandas(tools ...strands.Tool) python.Options {
	return python.Options{
		Requirements: []string{"pandas>=2", "pyarrow>=15"}, Preload: []string{"pandas", "pyarrow"}, Libraries: []string{"*"},
		Limits:     python.Limits{HostCalls: -1},
		Namespaces: []python.Namespace{{Functions: tools}},
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

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
	for b.Loop() {
		run(b, s, code)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	_ = fmt.Sprint()
}
