package table_test

import (
	"errors"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/table"
)

type mixed struct {
	F    float64
	N    int64
	B    bool
	S    string
	Null *int64
}

// tall is a table whose columns take more than huge pages begin at.
func tall(t *testing.T) table.Table {
	t.Helper()
	rows := make([]mixed, 1<<20)
	for i := range rows {
		rows[i] = mixed{float64(i), int64(i), i%2 == 0, "x", nil}
	}
	one := int64(1)
	rows[7].Null = &one
	tb, err := table.FromStructs(rows)
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// TestADataFrameIsLikeAnyOther: its memory is the session's own, whatever is
// done with it.
func TestADataFrameIsLikeAnyOther(t *testing.T) {
	tb := tall(t)
	get := tool("get", func() (table.Table, error) { return tb, nil })
	s := session(t, get)
	good(t, s, `
import pandas as pd, numpy as np, pickle, gc
df = get()
assert df.shape == (1 << 20, 5) and str(df["F"].dtype) == "float64" and df["Null"].isna().sum() == (1 << 20) - 1
for name in "FNB":
    values = df[name].to_numpy()
    assert values.flags.aligned and values.flags.c_contiguous, name
    df.loc[3, name] = values.dtype.type(1)
    df.iloc[-1, df.columns.get_loc(name)] = values.dtype.type(0)
df["F"] *= 2
df.loc[5:6, ["F", "N"]] = -1
df["S"] = df["S"].str.upper()
df["new"] = df["F"] + df["N"]
assert (df["F"][3], df["N"][5], df["N"].iloc[-1], df["S"][0], df["new"][4]) == (2.0, -1, 0, "X", 12.0), df.head(8)
again = pickle.loads(pickle.dumps(df))
pd.testing.assert_frame_equal(df, again)
part = df["F"][10:20]  # keeps what it needs
del df, values, again
gc.collect()
assert list(part) == [2.0 * i for i in range(10, 20)]
other = get()
pd.testing.assert_series_equal(other["F"], pd.Series(np.arange(1 << 20, dtype=float), name="F"))`)
	second := session(t, get)
	good(t, second, "df = get()\nassert df['F'].sum() == float((1 << 20) - 1) * (1 << 19) and df['N'][5] == 5")
	want := []any{float64(5), int64(5), false, "x", nil}
	i := 0
	for row := range tb.Rows() {
		if i == 5 && !reflect.DeepEqual(row, want) {
			t.Errorf("the host's row is %v, want %v", row, want)
		}
		i++
	}
}

// resident is the memory of the session's process, in kB.
const resident = `
def resident():
    with open("/proc/self/status") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("RssAnon", "RssShmem", "RssFile")))
`

// TestADataFrameLetsGo: its memory is that of the process while a column lives,
// and then it is not.
func TestADataFrameLetsGo(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	tb, err := table.FromStructs(make([]struct{ A, B, C, D int64 }, 2<<20)) // 64 MiB
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, tool("get", func() (table.Table, error) { return tb, nil }))
	good(t, s, resident+`
import gc
get()
gc.collect()
empty = resident()
df = get()
full = resident()
assert full - empty > 60_000, (empty, full)
column = df["C"]
del df
gc.collect()
assert column.sum() == 0 and resident() - empty > 60_000, (empty, resident())
del column
gc.collect()
assert resident() - empty < 8_000, (empty, resident())`)
}

// TestForksOfADataFrame: each has its own.
func TestForksOfADataFrame(t *testing.T) {
	tb := tall(t)
	i := &python.Sandboxed{Logger: quiet()}
	t.Cleanup(func() { i.Close() })
	o := withPandas(tool("get", func() (table.Table, error) { return tb, nil }))
	o.Undo = true
	s, err := i.Open(t.Context(), o)
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Skipf("pandas and pyarrow: the package index cannot be reached: %v", err)
	}
	if e, ok := errors.AsType[*python.IsolationError](err); ok {
		t.Skipf("sessions cannot be forked here: %v", e)
	}
	if err != nil {
		t.Fatal(err)
	}
	good(t, s, "df = get()\ndf.loc[0, 'F'] = 1.0")
	good(t, s, "df.loc[0, 'F'] = 2.0\ndf.loc[9, 'S'] = 'changed'\nfresh = get()\nfresh.loc[0, 'F'] = 3.0")
	if _, err := s.(python.Undoer).Undo(t.Context()); err != nil {
		if strings.Contains(err.Error(), "fork") {
			t.Skipf("sessions cannot be forked here: %v", err)
		}
		t.Fatal(err)
	}
	good(t, s, "assert (df.loc[0, 'F'], df.loc[9, 'S'], df.loc[1, 'F']) == (1.0, 'x', 1.0) and 'fresh' not in globals(), df.head()\ndf.loc[1, 'F'] = 5.0")
	good(t, s, "assert list(df['F'][:3]) == [1.0, 5.0, 2.0]")
}
