package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/table"
)

// OpenSQLite opens a database file, or "sqlite:path". Unless o.Write is set,
// SQLite opens the file for reading only, and statements cannot attach other
// files.
func OpenSQLite(ctx context.Context, path string, o Options) (*Store, error) {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "sqlite:"), "//")
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, &strands.InputError{Field: "database " + path, Reason: "there is no such file"}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return New(ctx, newSQLite(abs, o), nameOf(o, path))
}

func newSQLite(path string, o Options) *sqlEngine {
	write, mode := o.Write, "ro"
	if write {
		mode = "rw"
	}
	q := url.Values{"mode": {mode}, "_defensive": {"1"}, "_pragma": {"busy_timeout(5000)", "trusted_schema(0)"}}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		panic(err) // the driver is linked
	}
	return &sqlEngine{
		db: db, commit: write,
		// A reader's BEGIN, or PRAGMA locking_mode, would keep a lock on the file
		// that shuts out those who write to it.
		discard: !write,
		refuse:  sqliteRefuse,
		dialect: SQL{Name: "SQLite", Placeholder: "?", Quote: `"`, Text: "TEXT", Random: "random()"},
		tables:  sqliteTables, columns: sqliteColumns, failure: sqliteError,
		begin: func(ctx context.Context, c *sql.Conn) (tx, error) {
			// ATTACH and VACUUM INTO would open other files, for writing too.
			if _, err := sqlite.Limit(c, sqlitelib.SQLITE_LIMIT_ATTACHED, 0); err != nil {
				return nil, err
			}
			// A value comes whole, before anybody can count its bytes.
			if most := o.mostBytes(); most > 0 {
				if _, err := sqlite.Limit(c, sqlitelib.SQLITE_LIMIT_LENGTH, int(min(most, math.MaxInt32))); err != nil {
					return nil, err
				}
			}
			if !write {
				return single{c}, nil
			}
			t, err := c.BeginTx(ctx, nil)
			if err != nil {
				return nil, err
			}
			return &writing{t, single{c}, false}, nil
		},
	}
}

// everybody are the settings that hold for all databases of this program,
// session stores among them. SQLite has no way to write a name otherwise.
var everybody = regexp.MustCompile(`(?i)(temp|data)_store_directory|(soft|hard)_heap_limit`)

func sqliteRefuse(query string) error {
	if name := everybody.FindString(query); name != "" {
		return fmt.Errorf("%s is refused: it would hold for the whole program", strings.ToLower(name))
	}
	return nil
}

// single is a connection on which a statement is its own transaction. Of
// several statements SQLite runs all, and returns the rows of the last.
type single struct{ *sql.Conn }

func (single) Commit() error   { return nil }
func (single) Rollback() error { return nil }

func sqliteError(_ string, err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch {
		case e.Code()&0xff == sqlitelib.SQLITE_READONLY:
			return errors.New("the database is read-only")
		case strings.Contains(e.Error(), "too many attached databases"):
			return errors.New("other files cannot be attached or written")
		case e.Code()&0xff == sqlitelib.SQLITE_TOOBIG:
			return &table.TooBigError{Limit: "is allowed for one value"}
		}
	}
	return err
}

// writing is a transaction, for what is undone when its result is too large.
// Some settings, and who begins one himself, get none.
type writing struct {
	*sql.Tx
	conn  single
	ended bool
}

// QueryContext implements tx.
func (w *writing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := w.Tx.QueryContext(ctx, query, args...)
	if err != nil && outsideOnly.MatchString(err.Error()) {
		if err := w.Tx.Rollback(); err != nil {
			return nil, err
		}
		w.ended = true
		return w.conn.QueryContext(ctx, query, args...)
	}
	return rows, err
}

// outsideOnly are SQLite's words for what cannot be part of a transaction.
var outsideOnly = regexp.MustCompile(`(within|inside) (a )?transaction`)

// Commit implements tx.
func (w *writing) Commit() error {
	if !w.ended {
		return w.Tx.Commit()
	}
	if w.leftOpen() {
		return errors.New("the transaction was not ended, and is undone; BEGIN, its statements and COMMIT belong into one query")
	}
	return nil
}

// Rollback implements tx.
func (w *writing) Rollback() error {
	if !w.ended {
		return w.Tx.Rollback()
	}
	w.leftOpen()
	return nil
}

// leftOpen undoes what a statement began and did not end: it would be in the
// way of all that follow.
func (w *writing) leftOpen() bool {
	_, err := w.conn.ExecContext(context.Background(), "ROLLBACK")
	return err == nil
}

func sqliteTables(ctx context.Context, c *sql.Conn) ([]Table, error) {
	estimates := map[string]int64{}
	// What ANALYZE left, when it ran; counting could take long.
	if rows, err := scan(ctx, c, `SELECT tbl, CAST(stat AS INTEGER) FROM sqlite_stat1`, nil, func(r *sql.Rows) (Table, error) {
		var t Table
		return t, r.Scan(&t.Name, &t.Rows)
	}); err == nil {
		for _, r := range rows {
			estimates[r.Name] = max(estimates[r.Name], r.Rows)
		}
	}
	const list = `SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`
	return scan(ctx, c, list, nil, func(r *sql.Rows) (Table, error) {
		t := Table{Rows: -1}
		err := r.Scan(&t.Name, &t.Kind)
		if n, ok := estimates[t.Name]; ok {
			t.Rows = n
		}
		return t, err
	})
}

func sqliteColumns(ctx context.Context, c *sql.Conn, name string) ([]Column, error) {
	references := map[string]string{}
	type foreign struct{ table, from, to string }
	keys, err := scan(ctx, c, `SELECT "table", "from", coalesce("to", '') FROM pragma_foreign_key_list(?)`, []any{name}, func(r *sql.Rows) (f foreign, err error) {
		return f, r.Scan(&f.table, &f.from, &f.to)
	})
	if err != nil {
		return nil, err
	}
	for _, f := range keys {
		references[f.from] = fmt.Sprintf("references %s(%s)", f.table, f.to)
	}
	return scan(ctx, c, `SELECT name, type, "notnull", pk FROM pragma_table_info(?)`, []any{name}, func(r *sql.Rows) (Column, error) {
		var col Column
		var notNull, pk int
		err := r.Scan(&col.Name, &col.Type, &notNull, &pk)
		col.Nullable, col.Key = notNull == 0 && pk == 0, references[col.Name]
		if pk > 0 {
			col.Key = strings.TrimSuffix("primary key, "+col.Key, ", ")
		}
		return col, err
	})
}
