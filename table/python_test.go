package table_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
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

// session opens a session with pandas and pyarrow that offers tools.
func session(t *testing.T, tools ...strands.Tool) python.Session {
	t.Helper()
	i := &python.Sandboxed{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	s, err := i.Open(t.Context(), withPandas(tools...))
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Skipf("pandas and pyarrow: the package index cannot be reached: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// result runs code and returns its result, whatever that is.
func result(t *testing.T, s python.Session, code string) *python.Result {
	t.Helper()
	var res *python.Result
	for o, err := range s.Exec(t.Context(), code) {
		if err != nil {
			t.Fatal(err)
		}
		res = o.Result
	}
	return res
}

// good runs code that must succeed: its assertions are the test.
func good(t *testing.T, s python.Session, code string) *python.Result {
	t.Helper()
	res := result(t, s, code)
	if res.Err != nil {
		t.Fatalf("%v\n%s", res.Err, res.Err.Traceback)
	}
	return res
}

func tool[Out any](name string, f func() (Out, error)) strands.Tool {
	return strands.NewTool(name, "Gives.", func(context.Context, struct{}) (Out, error) { return f() })
}

// taker is a tool that keeps the tables it is given.
func taker(got *[]table.Table) strands.Tool {
	return strands.NewTool("put", "Takes.", func(_ context.Context, in struct {
		Data table.Table `json:"data"`
	}) (int, error) {
		*got = append(*got, in.Data)
		return in.Data.Len(), nil
	})
}

func TestATableArrivesAsDataFrame(t *testing.T) {
	s := session(t, tool("get", func() (table.Table, error) { return table.FromStructs(some()) }))
	good(t, s, `
import pandas as pd, datetime, decimal
df = get()
assert type(df) is pd.DataFrame and len(df) == 2, df
a, b = df.iloc[0], df.iloc[1]
berlin = a["at"].tzinfo
assert str(df["at"].dtype) == "datetime64[us, Europe/Berlin]", df["at"].dtype
assert a["at"] == pd.Timestamp("2026-07-01 12:30:00.123456", tz="Europe/Berlin"), a["at"]
assert a["took"] == pd.Timedelta(seconds=90)
assert a["price"] == decimal.Decimal("19.99") and type(a["price"]) is decimal.Decimal
assert a["exact"] == decimal.Decimal("123456789012345678901234567890")
assert a["big"] == 2**64 - 1 and a["small"] == -8 and a["real"] == 1.5
assert a["name"] == "red" and a["yes"] == True and a["raw"] == b"\0\xff"
assert list(a["tags"]) == ["a", "b"] and a["inner"] == {"X": 1, "Y": "y"} and a["scores"] == {"k": 3}
assert df["maybe"].dtype == "Int64" and a["maybe"] == 7 and b["maybe"] is pd.NA, df["maybe"]
assert a["any"] == '{"z":1}' and a["Last"] == "last"
assert b["exact"] is None and b["raw"] is None and b["tags"] is None`)
	res := good(t, s, "help(get)")
	if !strings.Contains(res.Stdout, "get() -> DataFrame") {
		t.Errorf("the signature says %s", res.Stdout)
	}
}

func TestADataFrameCanBeChanged(t *testing.T) {
	type row struct {
		A, B float64
		N    *int64
		S    string
	}
	s := session(t, tool("get", func() (table.Table, error) { return table.FromStructs(make([]row, 1000)) }))
	good(t, s, `
df = get()
df.loc[0, "A"] = 5.0
df["B"] += 2
df.iloc[3, 0] = 7.5
df["N"] = df["N"].fillna(3)
df.loc[df["A"] > 6, "S"] = "x"
df.sort_values("A", inplace=True)
assert df["A"].sum() == 12.5 and df["B"].sum() == 2000 and df["N"].sum() == 3000 and (df["S"] == "x").sum() == 1
fresh = get()
assert fresh["A"].sum() == 0 and fresh["B"].sum() == 0`)
}

func TestADataFrameArrivesAsRecords(t *testing.T) {
	var got []table.Table
	s := session(t, taker(&got))
	good(t, s, `
import pandas as pd, pyarrow as pa, datetime, decimal, numpy as np
df = pd.DataFrame({
    "n": [1, 2], "f": [0.5, np.nan], "s": ["a", None], "d": [decimal.Decimal("1.10"), None],
    "at": pd.to_datetime(["2026-01-02 03:04:05", None]), "tz": pd.to_datetime(["2026-01-02 03:04:05+01:00", None]),
    "day": [datetime.date(2026, 1, 2), None], "b": [b"x", None], "l": [[1], None], "c": pd.Categorical(["u", "v"])})
assert put(df) == 2
assert put(data=df[df["n"] == 2]) == 1
assert put(df.groupby("c", observed=True)["n"].sum()) == 2
assert put(pa.table({"x": [1, 2, 3]})) == 3
assert put([{"x": 1}, {"x": None}]) == 2
assert put({"x": [1], "y": ["z"]}) == 1
assert put(pd.DataFrame({"x": []})) == 0`)
	want := [][]any{
		{int64(1), 0.5, "a", table.Decimal("1.10"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
			time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), []byte("x"), []any{int64(1)}, "u"},
		{int64(2), nil, nil, nil, nil, nil, nil, nil, nil, "v"},
	}
	rows := rowsOf(got[0])
	for _, r := range rows {
		for i, v := range r {
			if at, ok := v.(time.Time); ok {
				r[i] = at.UTC()
			}
		}
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("rows\n%v\nwant\n%v", rows, want)
	}
	columns := []string{}
	for _, tb := range got[1:] {
		columns = append(columns, strings.Join(tb.Columns(), ","))
	}
	if want := []string{"n,f,s,d,at,tz,day,b,l,c", "c,n", "x", "x", "x,y", "x"}; !reflect.DeepEqual(columns, want) {
		t.Errorf("columns %q, want %q: a number of a row is no column, a name is", columns, want)
	}
	res := result(t, s, `put(pd.DataFrame({"mixed": [1, "a", b"c"]}))`)
	if res.Err == nil || !strings.Contains(res.Err.Message, "mixed") {
		t.Errorf("a column of anything: %v", res.Err)
	}
}

func TestWhatComesBackIsWhatWasSent(t *testing.T) {
	var got []table.Table
	sent, err := table.FromStructs(some())
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, tool("get", func() (table.Table, error) { return sent, nil }), taker(&got))
	good(t, s, "put(get())")
	want, back := fmt.Sprintf("%v", rowsOf(sent)), fmt.Sprintf("%v", rowsOf(got[0]))
	if want != back {
		t.Errorf("came back as\n%s\nwant\n%s", back, want)
	}
}

func TestChunksAreAGenerator(t *testing.T) {
	ended := make(chan bool, 10)
	chunks := tool("chunks", func() (iter.Seq2[table.Table, error], error) {
		return func(yield func(table.Table, error) bool) {
			defer func() { ended <- true }()
			for c, err := range table.Chunks(query(t, "SELECT 1", hundred), table.Limits{Rows: 30}) {
				if !yield(c, err) {
					return
				}
			}
		}, nil
	})
	s := session(t, chunks)
	res := good(t, s, "print([len(df) for df in chunks()], sum(df['i'].sum() for df in chunks()))\nhelp(chunks)")
	if !strings.HasPrefix(res.Stdout, "[30, 30, 30, 10] 5050\n") || !strings.Contains(res.Stdout, "Iterator[DataFrame]") {
		t.Errorf("printed %s", res.Stdout)
	}
	good(t, s, "for df in chunks():\n    break\ndel df")
	for range 3 {
		<-ended
	}
}

func TestANoteIsAWarning(t *testing.T) {
	s := session(t, tool("get", func() (table.Table, error) {
		return table.FromRows(query(t, "SELECT 1", hundred), table.Limits{Rows: 10, Cut: true})
	}))
	res := good(t, s, "df = get()\nprint(len(df), df.attrs['note'])")
	if !strings.Contains(res.Stdout, "10 only the first 10 rows") || !strings.Contains(res.Stderr, "only the first 10 rows are here") {
		t.Errorf("stdout %q, stderr %q", res.Stdout, res.Stderr)
	}
}

// TestBigDataIsBounded: what a session holds on to counts against its memory,
// and what it lets go does not.
func TestBigDataIsBounded(t *testing.T) {
	tb, err := table.FromStructs(make([]struct{ A, B, C, D int64 }, 1<<20)) // 32 MiB
	if err != nil {
		t.Fatal(err)
	}
	i := &python.Sandboxed{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	session(t) // for its skip
	o := withPandas(tool("get", func() (table.Table, error) { return tb, nil }))
	o.Limits.Memory = 1 << 30
	s, err := i.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	res := result(t, s, "kept = []\nfor _ in range(60): kept.append(get())")
	if res.Err == nil || res.StateLost || !strings.Contains(res.Err.Type+res.Err.Message, "MemoryError") && !strings.Contains(res.Err.Message, "limit of 1 GiB") {
		t.Fatalf("sixty tables of 32 MiB in 1 GiB: %v, lost %v", res.Err, res.StateLost)
	}
	good(t, s, "n = len(kept)\nassert n > 2, n\nkept.clear()\nfor _ in range(30): kept = get()")
}

func TestWithoutPyarrow(t *testing.T) {
	type row struct {
		ID    int       `json:"id"`
		Price Decimal   `json:"price"`
		At    time.Time `json:"at"`
		Raw   []byte    `json:"raw"`
		F     *float64  `json:"f"`
	}
	nan := 0.0
	nan /= nan
	var got []table.Table
	i := &python.Sandboxed{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	s, err := i.Open(t.Context(), python.Options{Namespaces: []python.Namespace{{Functions: []strands.Tool{
		tool("get", func() (table.Table, error) {
			return table.FromStructs([]row{{1, Decimal{110}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), []byte("x"), &nan}, {2, Decimal{5}, time.Time{}, nil, nil}})
		}),
		taker(&got),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	good(t, s, `
import datetime, decimal
rows = get()
assert type(rows) is list and len(rows) == 2, rows
assert rows[0] == {"id": 1, "price": decimal.Decimal("1.10"), "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), "raw": b"x", "f": None}, rows[0]
assert list(rows[0]) == ["id", "price", "at", "raw", "f"] and rows[0].price * 2 == decimal.Decimal("2.20")
assert rows[1].raw is None
assert put([{"a": 1, "b": "x"}, {"a": 2.5}]) == 2
assert put({"a": [1, 2, 3]}) == 3
assert put(rows) == 2`)
	if want := [][]any{{1.0, "x"}, {2.5, nil}}; !reflect.DeepEqual(rowsOf(got[0]), want) {
		t.Errorf("rows %v, want %v", rowsOf(got[0]), want)
	}
}

// TestPandasWithoutPyarrow: a DataFrame all the same, with its types.
func TestPandasWithoutPyarrow(t *testing.T) {
	type row struct {
		ID    int       `json:"id"`
		Name  *string   `json:"name"`
		At    time.Time `json:"at"`
		Price Decimal   `json:"price"`
	}
	var got []table.Table
	i := &python.Sandboxed{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	o := withPandas(tool("get", func() (table.Table, error) {
		a := "a"
		day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		return table.FromStructs([]row{{1, &a, day, Decimal{110}}, {2, nil, day.AddDate(0, 0, 1), Decimal{5}}})
	}), taker(&got))
	o.Requirements, o.Preload = []string{"pandas>=2"}, []string{"pandas"}
	s, err := i.Open(t.Context(), o)
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Skipf("pandas: the package index cannot be reached: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	good(t, s, `
import pandas as pd, decimal, importlib.util
assert importlib.util.find_spec("pyarrow") is None
df = get()
assert type(df) is pd.DataFrame and list(df.columns) == ["id", "name", "at", "price"], df
assert str(df["at"].dtype).startswith("datetime64[") and str(df["at"].dtype).endswith("UTC]") and df["id"].dtype == "int64", df.dtypes
assert df["price"][0] == decimal.Decimal("1.10") and pd.isna(df["name"][1])
df["n"] = pd.array([None, 3], dtype="Int64")
df["naive"] = df["at"].dt.tz_localize(None)
assert put(df) == 2 and put(df[df["id"] > 5]) == 0`)
	want := "[id int64 name utf8 at timestamp[us, tz=UTC] price utf8 n int64 naive timestamp[us]]"
	var columns []string
	for _, f := range got[0].Schema().Fields() {
		columns = append(columns, f.Name+" "+f.Type.String())
	}
	if fmt.Sprint(columns) != want {
		t.Errorf("columns %v, want %s", columns, want)
	}
	if row := rowsOf(got[0])[1]; row[0] != int64(2) || row[1] != nil || row[4] != int64(3) || row[5] != time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC) {
		t.Errorf("the second row is %v", row)
	}
}

// TestAttachmentsOfATool: a tool may attach the bytes of a table itself.
func TestAttachmentsOfATool(t *testing.T) {
	tb, err := table.FromStructs([]struct{ A int }{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := tb.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	raw, err := strands.NewRawTool(strands.ToolSpec{Name: "raw", Description: "Gives.", InputSchema: []byte(`{"type":"object"}`)},
		func(context.Context, *strands.ToolCall) (*strands.ToolResult, error) {
			return &strands.ToolResult{Parts: []strands.Part{strands.Text("two rows")}, Attachments: []strands.Attachment{
				{MIME: table.MIME, Size: int64(b.Len()), Data: bytes.NewReader(b.Bytes())},
				{MIME: "text/plain", Size: 3, Data: strings.NewReader("abc")},
			}}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, raw)
	good(t, s, `df, text = raw()
assert list(df["A"]) == [1, 2] and text == b"abc"`)
}
