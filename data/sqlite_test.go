package data_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/table"
)

const shopSQL = `
CREATE TABLE customers (id INTEGER PRIMARY KEY, code TEXT UNIQUE, name TEXT NOT NULL, joined DATE);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT REFERENCES customers(code), total REAL, note BLOB);
CREATE VIEW big AS SELECT * FROM orders WHERE total > 50;
INSERT INTO customers VALUES (1, 'C-001', 'Ada', '2024-05-01'), (2, 'C-002', 'Grace', NULL), (3, 'C-003', 'Edsger', '2024-07-01');
INSERT INTO orders VALUES (1, 'C-001', 10.5, NULL), (2, 'C-001', 99, x'00ff'), (3, 'C-003', 20, NULL), (4, NULL, 1, NULL);
`

func sqliteFile(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, address string, o data.Options) *data.Store {
	t.Helper()
	s, err := data.Open(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// texts is a table as lines of text.
func texts(t *testing.T, tb table.Table, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for row := range tb.Rows() {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
	}
	return lines
}

func wantRows(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSQLite(t *testing.T) {
	s := open(t, sqliteFile(t, shopSQL), data.Options{})
	tb, err := s.Tables(t.Context())
	wantRows(t, texts(t, tb, err), "big view <nil>", "customers table <nil>", "orders table <nil>")
	tb, err = s.Describe(t.Context(), "orders")
	wantRows(t, texts(t, tb, err), "id INTEGER false primary key", "customer TEXT true references customers(code)", "total REAL true ", "note BLOB true ")
	tb, err = s.Query(t.Context(), "SELECT name, joined, sum(total) AS spent FROM customers c LEFT JOIN orders o ON o.customer = c.code WHERE c.id < ? GROUP BY c.id ORDER BY c.id", 3)
	wantRows(t, texts(t, tb, err), "Ada 2024-05-01 00:00:00 +0000 UTC 109.5", "Grace <nil> <nil>")
	if got := tb.Columns(); !slices.Equal(got, []string{"name", "joined", "spent"}) {
		t.Errorf("the columns are %v", got)
	}
	for _, want := range []string{"shop is SQLite", "parameters as ?", "read-only", "Tables: big, customers, orders."} {
		if !strings.Contains(s.Instructions(), want) {
			t.Errorf("no %q in %s", want, s.Instructions())
		}
	}
}

func TestProfile(t *testing.T) {
	shop := open(t, sqliteFile(t, shopSQL), data.Options{})
	// The other store writes the same codes in another way.
	crm := open(t, sqliteFile(t, `CREATE TABLE people (ref TEXT, age INTEGER);
		INSERT INTO people VALUES ('c001', 40), ('C 002', 50), ('c-003', 60), ('c-004', 3)`), data.Options{Name: "crm"})
	data.Relate(shop, crm)
	tb, err := shop.Profile(t.Context(), "orders")
	wantRows(t, texts(t, tb, err),
		"id INTEGER 4 0 4 1 4 1, 2, 3, 4 ",
		"customer TEXT 4 1 2 C-001 C-003 C-001 ×2, C-003 customers.code (100% of values); crm: people.ref (100% of values, written differently); big.customer (50% of values)",
		"total REAL 4 0 4 1 99 1.0, 10.5, 20.0, 99.0 ",
		"note BLOB 4 3 1 2 bytes 2 bytes \x00\ufffd ", // as text, which a DataFrame has in UTF-8 only
	)
}

// TestSQLiteReadOnly: each statement first works on a store that may write.
func TestSQLiteReadOnly(t *testing.T) {
	dir := t.TempDir()
	attacks := map[string]string{
		"insert":      "INSERT INTO customers VALUES (9, 'x', 'y', NULL)",
		"update":      "UPDATE customers SET name = 'x'",
		"delete":      "DELETE FROM orders",
		"create":      "CREATE TABLE evil (x)",
		"drop":        "DROP TABLE orders",
		"two at once": "SELECT 1; DELETE FROM orders",
		"returning":   "DELETE FROM orders RETURNING id",
		"pragma":      "PRAGMA user_version = 7",
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			path := sqliteFile(t, shopSQL)
			before := read(t, path)
			s := open(t, path, data.Options{})
			for _, first := range []string{"PRAGMA query_only = 0", "PRAGMA writable_schema = 1", "SELECT 1"} {
				_, _ = s.Query(t.Context(), first) // what may open the door
			}
			_, err := s.Query(t.Context(), attack)
			if now := read(t, path); now != before {
				t.Errorf("the file changed; the error is %v", err)
			}
			writer := open(t, path, data.Options{Write: true})
			if _, err := writer.Query(t.Context(), attack); err != nil {
				t.Errorf("it fails for a writer too: %v", err)
			}
			if read(t, path) == before {
				t.Error("it changes nothing for a writer either; this proves nothing")
			}
		})
	}
	for name, attack := range map[string]string{
		"attach":      "ATTACH DATABASE '" + dir + "/new.sqlite' AS evil",
		"vacuum into": "VACUUM INTO '" + dir + "/copy.sqlite'",
		"extension":   "SELECT load_extension('/lib/x86_64-linux-gnu/libm.so.6')",
	} {
		s := open(t, sqliteFile(t, shopSQL), data.Options{})
		if _, err := s.Query(t.Context(), attack); err == nil {
			t.Errorf("%s is let through", name)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files were made: %v, %v", left, err)
	}
}

// TestSQLiteSettingsOfAll: what a query sets holds for its own database.
func TestSQLiteSettingsOfAll(t *testing.T) {
	other, err := sql.Open("sqlite", sqliteFile(t, shopSQL))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for setting, value := range map[string]string{"temp_store_directory": t.TempDir(), "soft_heap_limit": "77777777"} {
		get := func() (now string) {
			if err := other.QueryRow("PRAGMA " + setting).Scan(&now); err != nil && !errors.Is(err, sql.ErrNoRows) {
				t.Fatal(err)
			}
			return now
		}
		set := func(value string) {
			db, err := sql.Open("sqlite", sqliteFile(t, shopSQL))
			if err == nil {
				_, err = db.Exec("PRAGMA " + setting + " = '" + value + "'")
				err = errors.Join(err, db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		before := get()
		set(value)
		if get() != value {
			t.Errorf("%s: one database's is not another's; this proves nothing", setting)
		}
		set(before)
		for _, write := range []bool{false, true} {
			s := open(t, sqliteFile(t, shopSQL), data.Options{Write: write})
			for _, query := range []string{"PRAGMA %s = '%s'", "select 1; pragma main./**/\"%s\"('%s')", "EXPLAIN PRAGMA [%s] = '%s'"} {
				_, err := s.Query(t.Context(), fmt.Sprintf(query, strings.ToUpper(setting), value))
				if err == nil || !strings.Contains(err.Error(), setting+" is refused") {
					t.Errorf("%s: %v", query, err)
				}
			}
		}
		if now := get(); now != before {
			t.Errorf("%s was %q and is %q", setting, before, now)
		}
	}
}

// TestSQLiteReaderLocksNothing: what a reader's statement leaves behind does not
// keep others from writing.
func TestSQLiteReaderLocksNothing(t *testing.T) {
	path := sqliteFile(t, shopSQL)
	s := open(t, path, data.Options{})
	for _, first := range []string{"BEGIN", "PRAGMA locking_mode = EXCLUSIVE", "SAVEPOINT x"} {
		_, _ = s.Query(t.Context(), first)
		if n := count(t, s, "orders"); n != "4" {
			t.Errorf("%s orders", n)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE orders SET total = total + 1"); err != nil {
			t.Errorf("after a reader's %s: %v", first, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSQLiteOneLargeRow: a limit holds for the first row, too.
func TestSQLiteOneLargeRow(t *testing.T) {
	s := open(t, sqliteFile(t, shopSQL), data.Options{Limits: table.Limits{Bytes: 1 << 20}})
	for query, says := range map[string]string{
		"SELECT zeroblob(1 << 21)":                          "more than is allowed for one value",
		"SELECT id, zeroblob(id << 18) FROM orders LIMIT 4": "more than 1 MiB",
		"SELECT zeroblob(600000), zeroblob(600000)":         "more than 1 MiB",
		"SELECT zeroblob(1000 << id * id) FROM orders":      "more than is allowed for one value",
	} {
		if _, err := s.Query(t.Context(), query); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "

func TestSQLiteBadInput(t *testing.T) {
	path := sqliteFile(t, shopSQL)
	s := open(t, path, data.Options{Limits: table.Limits{Rows: 1000}})
	brief := open(t, path, data.Options{Timeout: 300 * time.Millisecond})
	for name, c := range map[string]struct {
		s           *data.Store
		query, says string
	}{
		"empty":         {s, " ", "the query is empty"},
		"syntax":        {s, "SELEC 1", "syntax error"},
		"no such table": {s, "SELECT * FROM order_lines", "no such table: order_lines"},
		"endless":       {brief, endless + "count(*) FROM n", "stopped after 300ms"},
		"large":         {s, endless + "i FROM n", "more than 1000 rows"},
	} {
		if _, err := c.s.Query(t.Context(), c.query); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Describe(t.Context(), "order"); err == nil || !strings.Contains(err.Error(), `no table "order"; there are orders`) {
		t.Errorf("a wrong name: %v", err)
	}
	// The store is as good as before.
	tb, err := s.Query(t.Context(), "SELECT count(*) FROM orders")
	wantRows(t, texts(t, tb, err), "4")
}

// late is an engine whose server stops a query just when its time is over.
type late struct{ ends chan struct{} }

func (late) Tables(context.Context) ([]data.Table, error)           { return nil, nil }
func (late) Columns(context.Context, string) ([]data.Column, error) { return nil, nil }
func (late) Close() error                                           { return nil }
func (e late) Query(context.Context, string, []any, table.Limits) (table.Table, error) {
	<-e.ends
	return table.Table{}, errors.New("canceling statement due to statement timeout")
}

// TestWhoStopsAQuery: it is told in our words, also when the server's word
// comes before our clock's.
func TestWhoStopsAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 { // timers of one moment go off in any order
			e := late{make(chan struct{})}
			s, err := data.New(t.Context(), e, data.Options{Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() { close(e.ends) })
			if _, err := s.Query(t.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "stopped after 1s") {
				t.Fatal(err)
			}
		}
	})
	// What the caller's own limit stops is no server that cannot be reached.
	synctest.Test(t, func(t *testing.T) {
		e := late{make(chan struct{})}
		s, err := data.New(t.Context(), e, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { close(e.ends) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Query(ctx, "SELECT 1"); err == nil || strings.Contains(err.Error(), "reachable") {
			t.Error(err)
		}
	})
}

// deaf is an engine whose server never answers.
type deaf struct{ late }

func (deaf) Tables(ctx context.Context) ([]data.Table, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := data.New(t.Context(), deaf{}, data.Options{}); err == nil || !strings.Contains(err.Error(), "is the server reachable?") {
			t.Error(err)
		}
	})
}

// cutResult: what a statement changed stays when its result is cut, and is undone when
// a result that is too large is an error. make is a table t of one column n,
// insert puts a thousand rows into it and returns them.
func cutResult(t *testing.T, address, make, insert string) {
	t.Helper()
	admin := open(t, address, data.Options{Write: true})
	if _, err := admin.Query(t.Context(), make); err != nil {
		t.Fatal(err)
	}
	cut := open(t, address, data.Options{Write: true, Limits: table.Limits{Rows: 3, Cut: true}})
	tb, err := cut.Query(t.Context(), insert)
	if got := texts(t, tb, err); len(got) != 3 || !strings.Contains(tb.Note(), "only the first 3 rows") {
		t.Errorf("%q, %q", got, tb.Note())
	}
	if n := count(t, admin, "t"); n != "1000" {
		t.Errorf("%s of 1000 rows were kept", n)
	}
	tb, err = cut.Query(t.Context(), "SELECT n FROM t")
	if got := texts(t, tb, err); len(got) != 3 {
		t.Errorf("a cut SELECT has the rows %q", got)
	}
	reader := open(t, address, data.Options{Limits: table.Limits{Rows: 3, Cut: true}})
	tb, err = reader.Query(t.Context(), "SELECT n FROM t")
	if got := texts(t, tb, err); len(got) != 3 {
		t.Errorf("a reader's cut SELECT has the rows %q", got)
	}
	strict := open(t, address, data.Options{Write: true, Limits: table.Limits{Rows: 3}})
	if _, err := strict.Query(t.Context(), insert); err == nil || !strings.Contains(err.Error(), "more than 3 rows") {
		t.Errorf("too large a result: %v", err)
	}
	if n := count(t, admin, "t"); n != "1000" {
		t.Errorf("%s rows, when 1000 more were refused", n)
	}
}

func count(t *testing.T, s *data.Store, of string) string {
	t.Helper()
	tb, err := s.Query(t.Context(), "SELECT count(*) FROM "+of)
	return texts(t, tb, err)[0]
}

func TestSQLiteCut(t *testing.T) {
	cutResult(t, sqliteFile(t, shopSQL), "CREATE TABLE t (n INTEGER)",
		"INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n RETURNING n")
}

// TestSQLiteWithoutTransaction: a writer can do what no transaction allows.
func TestSQLiteWithoutTransaction(t *testing.T) {
	path := sqliteFile(t, shopSQL)
	s := open(t, path, data.Options{Write: true})
	for _, statement := range []string{
		"PRAGMA synchronous = OFF", "PRAGMA journal_mode = WAL", "BEGIN; DELETE FROM orders WHERE id = 1; COMMIT",
	} {
		if _, err := s.Query(t.Context(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if n := count(t, open(t, path, data.Options{}), "orders"); n != "3" {
		t.Errorf("%s orders", n)
	}
	// One that is left open is in nobody's way.
	for statement, says := range map[string]string{
		"BEGIN": "belong into one query", "BEGIN; DELETE FROM orders": "belong into one query", "BEGIN; DELETE FROM orders; DELETE FROM elsewhere": "no such table",
	} {
		if _, err := s.Query(t.Context(), statement); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", statement, err)
		}
		if n := count(t, s, "orders"); n != "3" {
			t.Errorf("after %s there are %s orders", statement, n)
		}
	}
}

func TestOpenBadAddresses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "notes.doc")
	if err := os.WriteFile(text, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, says := range map[string]string{
		"nothing.sqlite":                        "no such file",
		"nothing.csv":                           "no such file",
		"oracle://u:secret@host/db":             `"oracle" is no kind of database`,
		"postgres://u:secret@127.0.0.1:1/db":    "refused",
		"postgres://u:secret@127.0.0.1:port/db": "it looks like postgres://",
		"mysql://u:secret@127.0.0.1:1/db":       "refused",
		"mysql://u:secret@127.0.0.1":            "it looks like mysql://",
		"mongodb://u:secret@127.0.0.1":          "it looks like mongodb://",
		"duckdb:some.db":                        "",
		text:                                    `extension ".doc"`,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := data.Open(ctx, address, data.Options{})
		cancel()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
		if strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: more than a line: %v", address, err)
		}
		var input *strands.InputError
		if strings.HasPrefix(says, "it looks") && !errors.As(err, &input) {
			t.Errorf("%s: %T", address, err)
		}
	}
}
