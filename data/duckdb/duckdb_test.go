//go:build cgo

package duckdb_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/data"
	_ "github.com/strandsgo/strands/data/duckdb"
	"github.com/strandsgo/strands/table"
)

func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR, total DECIMAL(10,2), day DATE, seen TIMESTAMP, big HUGEINT);
		INSERT INTO orders VALUES (1, 'C-1', 10.5, '2024-05-01', '2024-05-01 10:00:00', 170141183460469231731687303715884105727), (2, 'C-2', NULL, NULL, NULL, NULL);
		CREATE VIEW two AS SELECT 2 AS n`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string, o data.Options) *data.Store {
	t.Helper()
	s, err := data.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func lines(t *testing.T, tb table.Table, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for row := range tb.Rows() {
		all = append(all, strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
	}
	return all
}

func TestDuckDB(t *testing.T) {
	s := open(t, file(t), data.Options{Limits: table.Limits{Rows: 1000}})
	brief := open(t, file(t), data.Options{Timeout: time.Second})
	for name, c := range map[string]struct {
		got  func() (table.Table, error)
		want []string
	}{
		"tables":   {func() (table.Table, error) { return s.Tables(t.Context()) }, []string{"orders table 2", "two view <nil>"}},
		"describe": {func() (table.Table, error) { return s.Describe(t.Context(), "two") }, []string{"n INTEGER true "}},
		"query": {func() (table.Table, error) { return s.Query(t.Context(), "SELECT * FROM orders WHERE id < ?", 2) },
			[]string{"1 C-1 10.5 2024-05-01 00:00:00 +0000 UTC 2024-05-01 10:00:00 +0000 UTC 170141183460469231731687303715884105727"}},
		"profile": {func() (table.Table, error) { return s.Profile(t.Context(), "two") }, []string{"n INTEGER 1 0 1 2 2 2 "}},
	} {
		tb, err := c.got()
		if got := lines(t, tb, err); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		s           *data.Store
		query, says string
	}{
		"endless": {brief, "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7", "stopped after 1s"},
		"large":   {s, "SELECT * FROM range(100000000000)", "more than 1000 rows"},
		"wrong":   {s, "SELECT * FROM order_lines", "order_lines"},
	} {
		if _, err := c.s.Query(t.Context(), c.query); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDuckDBGoesOn: a transaction that failed is over with its statement.
func TestDuckDBGoesOn(t *testing.T) {
	s := open(t, file(t), data.Options{})
	for _, q := range []string{"BEGIN", "SELECT nothing FROM orders", "INSERT INTO orders (id) VALUES (9)"} {
		_, _ = s.Query(t.Context(), q)
	}
	tb, err := s.Query(t.Context(), "SELECT count(*) FROM orders")
	if got := lines(t, tb, err); len(got) != 1 || got[0] != "2" {
		t.Errorf("%q", got)
	}
}

// TestDuckDBIsConfined: each attack works where access is not taken away.
func TestDuckDBIsConfined(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret.csv")
	if err := os.WriteFile(secret, []byte("word\nxyzzy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	attacks := map[string]string{
		"read_text": "SELECT content FROM read_text('" + secret + "')",
		"read_csv":  "SELECT * FROM '" + secret + "'",
		"glob":      "SELECT * FROM glob('" + dir + "/*')",
		"copy":      "COPY (SELECT 1) TO '" + dir + "/out.csv'",
		"attach":    "ATTACH '" + dir + "/new.duckdb' AS evil",
		"export":    "EXPORT DATABASE '" + dir + "/export'",
	}
	free, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	for name, attack := range attacks {
		if _, err := free.Exec(attack); err != nil {
			t.Errorf("%s fails unconfined too: %v", name, err)
		}
	}
	for _, o := range []data.Options{{}, {Write: true}} {
		s := open(t, file(t), o)
		for name, attack := range attacks {
			for _, first := range []string{"SET enable_external_access = true", "SET lock_configuration = false", "RESET enable_external_access"} {
				_, _ = s.Query(t.Context(), first)
			}
			if _, err := s.Query(t.Context(), attack); err == nil {
				t.Errorf("%s is let through (writer: %v)", name, o.Write)
			}
		}
		for _, change := range []string{"INSERT INTO orders (id) VALUES (9)", "DROP VIEW two"} {
			if _, err := s.Query(t.Context(), change); (err == nil) != o.Write {
				t.Errorf("%s: %v (writer: %v)", change, err, o.Write)
			}
		}
	}
}
