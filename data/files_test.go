package data_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/xuri/excelize/v2"

	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/table"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func all(t *testing.T, s *data.Store, query string) []string {
	t.Helper()
	tb, err := s.Query(t.Context(), query)
	return texts(t, tb, err)
}

func TestCSV(t *testing.T) {
	s := open(t, write(t, "sales.csv", "id,Name,amount,day,zip,at,mixed,none\n1,\"Ada, B\",10.5,2024-05-01,00501,2024-05-01 10:00:00,1,\n2,Zoë,-3,,10001,,x,\n"), data.Options{})
	tb, err := s.Describe(t.Context(), "sales")
	wantRows(t, texts(t, tb, err), "id INTEGER true ", "Name TEXT true ", "amount REAL true ", "day DATE true ", "zip TEXT true ", "at TIMESTAMP true ", "mixed TEXT true ", "none TEXT true ")
	wantRows(t, all(t, s, "SELECT * FROM sales"),
		"1 Ada, B 10.5 2024-05-01 00:00:00 +0000 UTC 00501 2024-05-01 10:00:00 +0000 UTC 1 <nil>",
		"2 Zoë -3 <nil> 10001 <nil> x <nil>")
	wantRows(t, all(t, s, "SELECT day FROM sales WHERE day >= '2024-04-01'"), "2024-05-01 00:00:00 +0000 UTC")
	if !strings.Contains(s.Instructions(), "sales is a copy of files in SQLite") {
		t.Error(s.Instructions())
	}
}

func TestCSVForms(t *testing.T) {
	for name, content := range map[string]string{
		"semicolons": "a;b\n1;x\n", "tabs": "a\tb\n1\tx\n", "with a mark": "\ufeffa,b\n1,x\n", "of Windows": "a,b\r\n1,x\r\n",
		"of old Macs": "a,b\r1,x\r", "UTF-16": "\xff\xfea\x00,\x00b\x00\n\x001\x00,\x00x\x00\n\x00", "a short row": "a,b,c\n1,x\n", "an empty line": "a,b\n\n1,x\n",
	} {
		s := open(t, write(t, "t.csv", content), data.Options{})
		if got := all(t, s, "SELECT a, b FROM t"); len(got) != 1 || got[0] != "1 x" {
			t.Errorf("%s: %q", name, got)
		}
	}
	lines := open(t, write(t, "t.csv", "a,b\n1,\"two\nlines\"\n2,5\" pipe\n3,\"last\none\"\n"), data.Options{})
	wantRows(t, all(t, lines, "SELECT a, replace(b, char(10), '/') FROM t"), "1 two/lines", `2 5" pipe`, "3 last/one")
	zones := open(t, write(t, "t.csv", "at\n2024-05-01T10:00:00+02:00\n2024-05-01T09:30:00Z\n"), data.Options{})
	wantRows(t, all(t, zones, "SELECT at FROM t ORDER BY at"), "2024-05-01 08:00:00 +0000 UTC", "2024-05-01 09:30:00 +0000 UTC")
	reserved := open(t, write(t, "sqlite_t.csv", "a\n1\n"), data.Options{})
	wantRows(t, all(t, reserved, "SELECT a FROM _sqlite_t"), "1")
	latin := open(t, write(t, "t.csv", "name\nZo\xeb\n"), data.Options{})
	wantRows(t, all(t, latin, "SELECT name FROM t"), "Zoë")
}

func TestJSON(t *testing.T) {
	for _, content := range []string{
		`[{"id": 1, "tags": ["a"], "ok": true}, {"id": 2, "price": 1.5, "ok": null}]`,
		"{\"id\": 1, \"tags\": [\"a\"], \"ok\": true}\n{\"id\": 2, \"price\": 1.5, \"ok\": null}\n",
	} {
		s := open(t, write(t, "things.json", content), data.Options{})
		wantRows(t, all(t, s, "SELECT id, tags, ok, price FROM things"), `1 ["a"] true <nil>`, "2 <nil> <nil> 1.5")
	}
}

func TestJSONForms(t *testing.T) {
	for name, content := range map[string]string{
		"space before": " \n[{\"a\": 1}]", "with a mark": "\ufeff[{\"a\": 1}]\n", "a line with a mark": "\ufeff{\"a\": 1}", "UTF-16": "\xff\xfe{\x00\"\x00a\x00\"\x00:\x001\x00}\x00",
	} {
		s := open(t, write(t, "t.json", content), data.Options{})
		if got := all(t, s, "SELECT a FROM t"); len(got) != 1 || got[0] != "1" {
			t.Errorf("%s: %q", name, got)
		}
	}
	s := open(t, write(t, "t.json", "[{\"id\": 18446744073709551615, \"name\": \"Zo\xeb\", \"n\": 1e3}]"), data.Options{})
	wantRows(t, all(t, s, "SELECT id, name, n FROM t"), "18446744073709551615 Zoë 1000")
}

func TestParquet(t *testing.T) {
	type row struct {
		ID   int64         `json:"id"`
		Name string        `json:"name"`
		At   time.Time     `json:"at"`
		Cost table.Decimal `json:"cost"`
		Tags []string      `json:"tags"`
		Hash uint64        `json:"hash"`
	}
	tb, err := table.FromStructs([]row{{1, "Ada", time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC), "1.50", []string{"x"}, 1 << 63}, {2, "Grace", time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC), "2.25", nil, 7}})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := pqarrow.NewFileWriter(tb.Schema(), &file, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for rec := range tb.Records() {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, write(t, "people.parquet", file.String()), data.Options{})
	wantRows(t, all(t, s, "SELECT id, name, at, cost, tags, hash FROM people"),
		`1 Ada 2024-05-01 10:00:00 +0000 UTC 1.50 ["x"] 9223372036854775808`, "2 Grace 2024-06-01 00:00:00 +0000 UTC 2.25 <nil> 7")
}

func TestExcel(t *testing.T) {
	f := excelize.NewFile()
	style, err := f.NewStyle(&excelize.Style{NumFmt: 14})
	if err != nil {
		t.Fatal(err)
	}
	for cell, v := range map[string]any{"A2": "who", "B2": "when", "C2": "spent", "A3": "Ada", "C3": 10.25, "A4": "Grace", "C4": 7} {
		if err := f.SetCellValue("Sheet1", cell, v); err != nil {
			t.Fatal(err)
		}
	}
	for cell, days := range map[string]float64{"B3": 45413, "B4": 45444} {
		if err := f.SetCellValue("Sheet1", cell, days); err != nil {
			t.Fatal(err)
		}
		if err := f.SetCellStyle("Sheet1", cell, cell, style); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.NewSheet("Other"); err != nil {
		t.Fatal(err)
	}
	if err := f.SetCellValue("Other", "A1", "x"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "book.xlsx")
	if err := f.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, data.Options{})
	wantRows(t, all(t, s, "SELECT * FROM book_Sheet1"), "Ada 2024-05-01 00:00:00 +0000 UTC 10.25", "Grace 2024-06-01 00:00:00 +0000 UTC 7")
	wantRows(t, all(t, s, "SELECT count(*) FROM book_Other"), "0")
}

// TestExcelCells: what stands in cells, whatever stands around them.
func TestExcelCells(t *testing.T) {
	for _, c := range []struct {
		format   string
		from1904 bool
		days     float64
		want     string
	}{
		{"dd/mm/yyyy", false, 45413, "2024-05-01 00:00:00 +0000 UTC"},
		{"d-mmm;@", false, 45413, "2024-05-01 00:00:00 +0000 UTC"},
		{"dd/mm/yyyy", true, 45413 - 1462, "2024-05-01 00:00:00 +0000 UTC"},
		{`0.0,,"M";[Red]-0.0,,"M"`, false, 2500000, "2500000"},
		{`0 "days of the month"`, false, 7, "7"},
		{`0\d\m`, false, 7, "7"},
	} {
		f := excelize.NewFile()
		style, err := f.NewStyle(&excelize.Style{CustomNumFmt: &c.format})
		if err != nil {
			t.Fatal(err)
		}
		// The first row has no value, the second one more than there are names.
		for i, row := range [][]any{{"who", "v"}, {"Ada"}, {"Grace", c.days, "beyond"}} {
			if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "book.xlsx")
		err = errors.Join(f.SetCellStyle("Sheet1", "B3", "B3", style),
			f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &c.from1904}), f.SaveAs(path))
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, open(t, path, data.Options{}), "SELECT who, v, column3 FROM book"); len(got) != 2 || got[0] != "Ada <nil> <nil>" || got[1] != "Grace "+c.want+" beyond" {
			t.Errorf("%s: %q", c.format, got)
		}
	}
}

func TestSeveralFiles(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // programs of other tests make copies at the same time
	a, b := write(t, "t.csv", "x\n1\n"), write(t, "t.csv", "x\n2\n")
	s, err := data.OpenFiles(t.Context(), data.Options{Name: "both"}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, all(t, s, "SELECT t.x, t_2.x FROM t, t_2"), "1 2")
	if copies, err := os.ReadDir(temp); err != nil || len(copies) != 1 {
		t.Fatalf("there are the copies %v, %v", copies, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("Close leaves %v, %v", left, err)
	}
}

func TestBrokenFiles(t *testing.T) {
	for name, c := range map[string]struct{ content, says string }{
		"a.csv":     {"", "the file is empty"},
		"b.csv":     {"a,b\n1,2,3\n", "line 2 has 3 values, the first has 2"},
		"c.csv":     {"a,b\n1,\"open\n2,x\n3,y\n", "line 2: a quotation mark is not closed"},
		"c.json":    {`[{"a": 1}, {"a": 2}`, "the list has no end"},
		"d.json":    {`[{"a": 1}] [{"a": 2}]`, "something follows the list"},
		"a.json":    {`[{"a": 1}, 7]`, "object 2"},
		"b.json":    {`{"a": `, "object 1"},
		"a.parquet": {"PAR1 no", "no Parquet file"},
		"a.xlsx":    {"PK no", "no Excel workbook"},
		"a.sqlite":  {"this is no database at all, but text that is long enough to be read", "not a database"},
	} {
		_, err := data.Open(t.Context(), write(t, name, c.content), data.Options{})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
