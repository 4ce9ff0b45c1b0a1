//go:build unix

package data_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/internal/servertest"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
)

const benchRows = 1_000_000

const benchColumns = `i1 integer, i2 integer, i3 integer, f1 double precision, f2 double precision, f3 double precision,
	t1 text, t2 text, d1 date, d2 timestamp`

// BenchmarkFrame brings a million rows of ten columns into a DataFrame: through
// a store into a sandboxed session, and by pandas with the native driver in a
// plain process. The goal is a ratio of 1.2.
//
//	go test ./data -run xxx -bench Frame -benchtime 5x -timeout 30m
func BenchmarkFrame(b *testing.B) {
	file := filepath.Join(b.TempDir(), "bench.sqlite")
	fill(b, "sqlite", file, "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "+
		"SELECT i, i * 7, i %% 100, i / 3.0, i * 1.5, i / 7.0, 'name ' || (i %% 1000), 'text number ' || i, "+
		"date('2020-01-01', '+' || (i %% 1000) || ' days'), datetime('2020-01-01', '+' || i || ' minutes') FROM n")
	benchFrame(b, "sqlite", "sqlite:"+file, "import sqlite3\nconnect = lambda: sqlite3.connect("+fmt.Sprintf("%q", file)+")")

	address := servertest.Postgres(b)
	exec(b, "pgx", address, "CREATE ROLE reader LOGIN IN ROLE pg_read_all_data")
	fill(b, "pgx", address, "INSERT INTO t SELECT i, i * 7, i %% 100, i / 3.0, i * 1.5, i / 7.0, 'name ' || (i %% 1000), 'text number ' || i, "+
		"date '2020-01-01' + (i %% 1000), timestamp '2020-01-01' + i * interval '1 minute' FROM generate_series(1, %d) i")
	_, host, _ := strings.Cut(address, "host=")
	reader := strings.Replace(address, "user=strands", "user=reader", 1)
	benchFrame(b, "postgres", reader, "import psycopg\nconnect = lambda: psycopg.connect(host="+fmt.Sprintf("%q", host)+", user='strands', dbname='postgres')")
}

func fill(b *testing.B, driver, address, rows string) {
	b.Helper()
	exec(b, driver, address, "CREATE TABLE t ("+benchColumns+")", fmt.Sprintf(rows, benchRows))
}

func exec(b *testing.B, driver, address string, statements ...string) {
	b.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			b.Fatal(err)
		}
	}
}

func benchFrame(b *testing.B, name, address, connect string) {
	store, err := data.Open(b.Context(), address, data.Options{Name: "db"})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	const check = "assert df.shape == (1_000_000, 10) and df.i1.sum() == 500_000_500_000, df.shape"
	limits := python.Limits{Memory: 8 << 30}
	b.Run(name+"/ours", func(b *testing.B) {
		box := &python.Sandboxed{}
		defer box.Close()
		s, err := box.Open(b.Context(), python.Options{
			Requirements: []string{"pandas", "pyarrow"}, Preload: []string{"pyarrow", "pandas"}, Libraries: []string{"*"}, Limits: limits,
			Namespaces: []python.Namespace{{Functions: store.Tools()}},
		})
		frames(b, s, err, "import pandas as pd", "df = query('SELECT * FROM t')\n"+check)
	})
	b.Run(name+"/pandas", func(b *testing.B) {
		plain := &python.Exec{}
		defer plain.Close()
		s, err := plain.Open(b.Context(), python.Options{Requirements: []string{"pandas", "pyarrow", "psycopg[binary]"}, Limits: limits})
		frames(b, s, err, "import pandas as pd, warnings\nwarnings.simplefilter('ignore')\n"+connect,
			"with connect() as c: df = pd.read_sql_query('SELECT * FROM t', c)\n"+check)
	})
}

// frames runs code again and again in a session.
func frames(b *testing.B, s python.Session, err error, before, code string) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	run := func(code string) {
		for out, err := range s.Exec(b.Context(), code) {
			if err != nil {
				b.Fatal(err)
			}
			if out.Result != nil && out.Result.Err != nil {
				b.Fatal(out.Result.Err.Traceback)
			}
		}
	}
	run(before)
	for b.Loop() {
		run(code + "\ndel df")
	}
}
