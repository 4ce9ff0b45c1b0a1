package table_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
	"github.com/strandsgo/strands/table"
)

func TestFirst(t *testing.T) {
	i := &python.Sandboxed{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	defer i.Close()
	type row struct {
		ID   int64
		Name string
		At   time.Time
		F    *float64
		N    *int64
	}
	f, n := 1.5, int64(7)
	get := strands.NewTool("get", "Gets.", func(ctx context.Context, in struct{}) (table.Table, error) {
		return table.FromStructs([]row{{1, "a", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), &f, nil}, {2, "b", time.Now(), nil, &n}})
	})
	put := strands.NewTool("put", "Puts.", func(ctx context.Context, in struct{ Data table.Table }) (string, error) {
		return fmt.Sprint(in.Data.Schema(), in.Data.Len()), nil
	})
	s, err := i.Open(t.Context(), python.Options{
		Requirements: []string{"pandas>=2", "pyarrow>=15"}, Preload: []string{"pandas", "pyarrow"}, Libraries: []string{"*"},
		Namespaces: []python.Namespace{{Functions: []strands.Tool{get, put}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{
		"help(get); help(put)",
		"df = get(); print(df, df.dtypes)",
		"print(put(df))",
		"print(put(df[['ID','F']].head(1)))",
	} {
		for o, err := range s.Exec(context.Background(), c) {
			if err != nil {
				t.Fatal(err)
			}
			if o.Result != nil {
				fmt.Println(o.Result.Stdout, o.Result.Stderr, o.Result.Err)
				if o.Result.Err != nil {
					fmt.Println(o.Result.Err.Traceback)
				}
			}
		}
	}
}
