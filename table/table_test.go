package table_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/strandsgo/strands/table"
)

// Decimal stands for the types of libraries.
type Decimal struct{ n int64 }

func (d Decimal) String() string { return fmt.Sprintf("%d.%02d", d.n/100, d.n%100) }

type color string

type inner struct {
	X int
	Y *string
}

type everything struct {
	Small  int8           `json:"small"`
	Big    uint64         `json:"big"`
	Real   float32        `json:"real"`
	Name   color          `json:"name"`
	Yes    bool           `json:"yes"`
	At     time.Time      `json:"at"`
	Took   time.Duration  `json:"took"`
	Price  Decimal        `json:"price"`
	Exact  *big.Int       `json:"exact"`
	Raw    []byte         `json:"raw"`
	Tags   []string       `json:"tags"`
	Inner  inner          `json:"inner"`
	Scores map[string]int `json:"scores"`
	Maybe  *int           `json:"maybe"`
	Null   sql.NullInt64  `json:"null"`
	Any    any            `json:"any"`
	Left   int            `json:"-"`
	Embedded
}

// Embedded gives its fields.
type Embedded struct{ Last string }

func some() []everything {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	y, seven := "y", 7
	exact, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	return []everything{{
		Small: -8, Big: math.MaxUint64, Real: 1.5, Name: "red", Yes: true,
		At: time.Date(2026, 7, 1, 12, 30, 0, 123456000, berlin), Took: 90 * time.Second, Price: Decimal{1999}, Exact: exact,
		Raw: []byte{0, 255}, Tags: []string{"a", "b"}, Inner: inner{1, &y}, Scores: map[string]int{"k": 3}, Maybe: &seven,
		Null: sql.NullInt64{Int64: 5, Valid: true}, Any: map[string]any{"z": 1}, Embedded: Embedded{"last"},
	}, {At: time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)}}
}

func TestFromStructs(t *testing.T) {
	tb, err := table.FromStructs(some())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range tb.Schema().Fields() {
		got = append(got, f.Name+" "+f.Type.String())
	}
	want := []string{
		"small int8", "big uint64", "real float32", "name utf8", "yes bool", "at timestamp[us, tz=Europe/Berlin]",
		"took duration[ns]", "price decimal(38, 2)", "exact decimal(38, 0)", "raw binary", "tags list<item: utf8, nullable>",
		"inner struct<X: int64 nullable, Y: utf8 nullable>", "scores map<utf8, int64, items_nullable>", "maybe int64", "null int64", "any utf8", "Last utf8",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("columns\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var rows [][]any
	for r := range tb.Rows() {
		rows = append(rows, r)
	}
	first := some()[0]
	wantRow := []any{
		int64(-8), uint64(math.MaxUint64), 1.5, "red", true, first.At, 90 * time.Second, table.Decimal("19.99"),
		table.Decimal("123456789012345678901234567890"), []byte{0, 255}, []any{"a", "b"}, map[string]any{"X": int64(1), "Y": "y"},
		map[string]any{"k": int64(3)}, int64(7), int64(5), `{"z":1}`, "last",
	}
	for i, v := range rows[0] {
		if w, ok := wantRow[i].(time.Time); ok {
			if !v.(time.Time).Equal(w) || v.(time.Time).Location().String() != "Europe/Berlin" {
				t.Errorf("%s = %v, want %v", got[i], v, w)
			}
		} else if !reflect.DeepEqual(v, wantRow[i]) {
			t.Errorf("%s = %#v, want %#v", got[i], v, wantRow[i])
		}
	}
	for _, i := range []int{8, 9, 10, 12, 13, 14, 15} {
		if rows[1][i] != nil {
			t.Errorf("%s = %v, want null", got[i], rows[1][i])
		}
	}
}

func TestFromStructsTimes(t *testing.T) {
	type row struct{ At time.Time }
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		rows []row
		want string
	}{
		"one zone":     {[]row{{day.In(tokyo)}, {day.In(tokyo)}}, "timestamp[us, tz=Asia/Tokyo]"},
		"two zones":    {[]row{{day.In(tokyo)}, {day}}, "timestamp[us, tz=UTC]"},
		"own zone":     {[]row{{day.In(time.FixedZone("Mine", 60))}}, "timestamp[us, tz=UTC]"},
		"nanoseconds":  {[]row{{day.Add(1)}, {day}}, "timestamp[ns, tz=UTC]"},
		"none":         {nil, "timestamp[us, tz=UTC]"},
		"far from now": {[]row{{time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)}}, "timestamp[us, tz=UTC]"},
	} {
		tb, err := table.FromStructs(tt.rows)
		if err != nil {
			t.Fatal(err)
		}
		if got := tb.Schema().Field(0).Type.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		i := 0
		for r := range tb.Rows() {
			if want := tt.rows[i].At; !strings.HasPrefix(name, "far") && !r[0].(time.Time).Equal(want) {
				t.Errorf("%s: %v, want %v", name, r[0], want)
			}
			i++
		}
	}
}

func TestFromStructsRefuses(t *testing.T) {
	type loop struct{ Next *loop }
	if _, err := table.FromStructs([]int{1}); err == nil || !strings.Contains(err.Error(), "int is no struct") {
		t.Errorf("of ints: %v", err)
	}
	if _, err := table.FromStructs([]struct{ F func() }{{}}); err == nil || !strings.Contains(err.Error(), ".F: a func()") {
		t.Errorf("of functions: %v", err)
	}
	if _, err := table.FromStructs([]struct{ Inside []struct{ V any } }{{[]struct{ V any }{{math.Inf(1)}}}}); err == nil || !strings.Contains(err.Error(), "column Inside") {
		t.Errorf("a value that has no JSON: %v", err)
	}
	if _, err := table.FromStructs([]loop{{}}); err == nil || !strings.Contains(err.Error(), "recursive") {
		t.Errorf("recursive: %v", err)
	}
}

func query(t *testing.T, statements string, query string) *sql.Rows {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	for s := range strings.SplitSeq(statements, ";") {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestFromRows(t *testing.T) {
	rows := query(t, `CREATE TABLE t (id INTEGER, name TEXT, price DECIMAL(10,2), day DATE, at DATETIME, ok BOOLEAN, raw BLOB, mixed, nil);
		INSERT INTO t VALUES (1, 'a', '1.10', '2026-01-02', '2026-01-02 03:04:05', 1, x'00ff', 1, NULL);
		INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		INSERT INTO t VALUES (3, 'b', '2.345', '2026-01-03', '2026-01-02 03:04:05', 0, x'', 2.5, NULL)`,
		"SELECT id, name, CAST(price AS TEXT) AS p, price, day, at, ok, raw, mixed, nil, id FROM t")
	tb, err := table.FromRows(rows, table.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range tb.Schema().Fields() {
		got = append(got, f.Name+" "+f.Type.String())
	}
	want := []string{"id int64", "name utf8", "p utf8", "price float64", "day date32", "at timestamp[us]", "ok bool", "raw binary", "mixed float64", "nil null", "id_2 int64"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("columns %q\nwant    %q", got, want)
	}
	var all [][]any
	for r := range tb.Rows() {
		all = append(all, r)
	}
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	wantRow := []any{int64(1), "a", "1.1", 1.1, day, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), true, []byte{0, 255}, 1.0, nil, int64(1)}
	if len(all) != 3 || !reflect.DeepEqual(all[0], wantRow) {
		t.Errorf("rows %v\nfirst should be %v", all, wantRow)
	}
	for i, v := range all[1] {
		if v != nil {
			t.Errorf("%s of the second row is %v, want null", got[i], v)
		}
	}
	if rows.Next() {
		t.Error("the rows were not closed")
	}
}

const hundred = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 100) SELECT i, 'text ' || i AS s FROM n"

func TestFromRowsLimits(t *testing.T) {
	_, err := table.FromRows(query(t, "SELECT 1", hundred), table.Limits{Rows: 10})
	if e, ok := errors.AsType[*table.TooBigError](err); !ok || e.Rows != 10 || !strings.Contains(err.Error(), "10 rows") {
		t.Errorf("more rows than allowed: %v", err)
	}
	_, err = table.FromRows(query(t, "SELECT 1", hundred), table.Limits{Bytes: 500})
	if e, ok := errors.AsType[*table.TooBigError](err); !ok || e.Rows < 10 || e.Rows > 50 {
		t.Errorf("more bytes than allowed: %v", err)
	}
	cut, err := table.FromRows(query(t, "SELECT 1", hundred), table.Limits{Rows: 10, Cut: true})
	if err != nil || cut.Len() != 10 || !strings.Contains(cut.Note(), "first 10 rows") {
		t.Errorf("cut: %d rows, note %q, %v", cut.Len(), cut.Note(), err)
	}
	exact, err := table.FromRows(query(t, "SELECT 1", hundred), table.Limits{Rows: 100})
	if err != nil || exact.Len() != 100 || exact.Note() != "" {
		t.Errorf("just enough: %d rows, note %q, %v", exact.Len(), exact.Note(), err)
	}
}

func TestChunks(t *testing.T) {
	var sizes []int
	var sum int64
	for c, err := range table.Chunks(query(t, "SELECT 1", hundred), table.Limits{Rows: 30}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Note() != "" {
			t.Errorf("a chunk says %q", c.Note())
		}
		sizes = append(sizes, c.Len())
		for r := range c.Rows() {
			sum += r[0].(int64)
		}
	}
	if !reflect.DeepEqual(sizes, []int{30, 30, 30, 10}) || sum != 5050 {
		t.Errorf("chunks of %v rows, sum %d", sizes, sum)
	}
	rows := query(t, "SELECT 1", hundred)
	for range table.Chunks(rows, table.Limits{Rows: 30}) {
		break
	}
	if rows.Next() {
		t.Error("whoever stops early leaves the rows open")
	}
	count := 0
	for c, err := range table.Chunks(query(t, "SELECT 1", "SELECT 1 AS a WHERE 0"), table.Limits{}) {
		if count++; err != nil || c.Len() != 0 || len(c.Columns()) != 1 {
			t.Errorf("of no rows: %v %v", c, err)
		}
	}
	if count != 1 {
		t.Errorf("no rows are %d chunks, want one with the columns", count)
	}
}

func TestPreview(t *testing.T) {
	tb, err := table.FromRows(query(t, "SELECT 1", hundred), table.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(tb)
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Columns []struct{ Name, Type string }
		Count   int `json:"row_count"`
		Rows    []map[string]any
		Note    string
	}
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	if p.Count != 100 || len(p.Rows) != 20 || p.Columns[1].Type != "utf8" || p.Rows[1]["s"] != "text 2" || p.Note != "the first 20 of 100 rows" {
		t.Errorf("preview %s", b)
	}
	if !bytes.Contains(b, []byte(`{"i":1,"s":"text 1"}`)) {
		t.Errorf("the keys of a row are not in the order of the columns: %s", b)
	}
	big, err := table.FromStructs([]struct{ S string }{{strings.Repeat("x", 1<<20)}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(big); err != nil || len(b) > 1000 {
		t.Errorf("a preview of %d bytes, %v", len(b), err)
	}
}

func TestUnmarshalRows(t *testing.T) {
	var tb table.Table
	if err := json.Unmarshal([]byte(`[{"b": 1, "a": "x"}, {"a": null, "c": true, "b": 2.5, "b": 9}, {}]`), &tb); err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	for r := range tb.Rows() {
		rows = append(rows, r)
	}
	want := [][]any{{1.0, "x", nil}, {2.5, nil, true}, {nil, nil, nil}}
	if !reflect.DeepEqual(tb.Columns(), []string{"b", "a", "c"}) || !reflect.DeepEqual(rows, want) {
		t.Errorf("%v %v", tb.Columns(), rows)
	}
	for _, bad := range []string{`5`, `[1]`, `{"$ticket":"guessed","mime":"x","size":1}`, `{"a":1}`} {
		if err := json.Unmarshal([]byte(bad), &tb); err == nil {
			t.Errorf("%s was taken for a table", bad)
		}
	}
}

func rowsOf(t table.Table) (rows [][]any) {
	for r := range t.Rows() {
		rows = append(rows, r)
	}
	return rows
}
