package table_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"

	_ "modernc.org/sqlite"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/table"
)

// A query whose rows are a DataFrame in Python, and a preview for a model that
// calls the tool itself.
func ExampleFromRows() {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	sales := strands.NewTool("sales", "Sales by month.", func(ctx context.Context, _ struct{}) (table.Table, error) {
		rows, err := db.QueryContext(ctx, "SELECT 'January' AS month, 1250 AS total UNION ALL SELECT 'February', NULL")
		if err != nil {
			return table.Table{}, err
		}
		return table.FromRows(rows, table.Limits{Rows: 1_000_000})
	})
	res, err := sales.Call(context.Background(), &strands.ToolCall{Input: json.RawMessage(`{}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Text())
	// Output:
	// {"columns":[{"name":"month","type":"utf8"},{"name":"total","type":"int64"}],"row_count":2,"rows":[{"month":"January","total":1250},{"month":"February","total":null}]}
}

// A result that is larger than memory is a generator of DataFrames.
func ExampleChunks() {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	numbers := func(ctx context.Context, _ struct{}) (iter.Seq2[table.Table, error], error) {
		rows, err := db.QueryContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 250) SELECT i FROM n")
		if err != nil {
			return nil, err
		}
		return table.Chunks(rows, table.Limits{Rows: 100}), nil
	}
	_ = strands.NewTool("numbers", "Numbers, in parts.", numbers) // for df in numbers(): …
	chunks, err := numbers(context.Background(), struct{}{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for t, err := range chunks {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(t.Len())
	}
	// Output:
	// 100
	// 100
	// 50
}

// A function that is given a DataFrame reads its columns as Arrow arrays, or
// its rows as Go values.
func ExampleTable_Rows() {
	total := strands.NewTool("total", "The sum of a column.", func(_ context.Context, in struct {
		Data   table.Table `json:"data"`
		Column string      `json:"column"`
	}) (float64, error) {
		sum := 0.0
		for row := range in.Data.Rows() {
			for i, name := range in.Data.Columns() {
				if n, ok := row[i].(int64); ok && name == in.Column {
					sum += float64(n)
				}
			}
		}
		return sum, nil
	})
	// Python code writes total(df, "n"); a model that calls the tool itself writes rows.
	res, err := total.Call(context.Background(), &strands.ToolCall{Input: json.RawMessage(`{"data":[{"n":1},{"n":2},{"n":null}],"column":"n"}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Text())
	// Output: 3
}
