//go:build cgo

package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/table"
)

func init() { data.Register("duckdb", Open, ".duckdb", ".ddb") }

// Open opens a database file, or "duckdb:path". Statements cannot reach files,
// the network or extensions, and cannot change that; unless o.Write is set the
// file is opened for reading only.
func Open(ctx context.Context, path string, o data.Options) (*data.Store, error) {
	path = strings.TrimPrefix(path, "duckdb:")
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, &strands.InputError{Field: "database " + path, Reason: "there is no such file"}
	}
	mode := "READ_ONLY"
	if o.Write {
		mode = "READ_WRITE"
	}
	connector, err := duckdb.NewConnector(path+"?access_mode="+mode, func(c driver.ExecerContext) error {
		// What is not allowed is settled before the first statement of others.
		for _, s := range []string{
			"SET enable_external_access = false", "SET autoinstall_known_extensions = false",
			"SET autoload_known_extensions = false", "SET lock_configuration = true",
		} {
			if _, err := c.ExecContext(ctx, s, nil); err != nil && !locked(err) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	if o.Name == "" {
		o.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return data.New(ctx, &engine{sql.OpenDB(connector), o.Write}, o)
}

// locked: the settings belong to the database, and its first connection has
// made them.
func locked(err error) bool {
	return strings.Contains(err.Error(), "configuration has been locked")
}

// engine implements data.Engine.
type engine struct {
	db    *sql.DB
	write bool
}

// Dialect implements data.Dialect.
func (*engine) Dialect() data.SQL {
	return data.SQL{Name: "DuckDB", Placeholder: "?", Quote: `"`, Text: "VARCHAR", Random: "random()"}
}

// Close implements data.Engine.
func (e *engine) Close() error { return e.db.Close() }

// Tables implements data.Engine.
func (e *engine) Tables(ctx context.Context) ([]data.Table, error) {
	rows, err := e.db.QueryContext(ctx, `SELECT table_name, 'table', estimated_size FROM duckdb_tables() WHERE NOT internal
		UNION ALL SELECT view_name, 'view', -1 FROM duckdb_views() WHERE NOT internal ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []data.Table
	for rows.Next() {
		var t data.Table
		if err := rows.Scan(&t.Name, &t.Kind, &t.Rows); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// Columns implements data.Engine.
func (e *engine) Columns(ctx context.Context, name string) ([]data.Column, error) {
	rows, err := e.db.QueryContext(ctx, `SELECT c.column_name, c.data_type, c.is_nullable, coalesce((SELECT string_agg(CASE k.constraint_type
			WHEN 'FOREIGN KEY' THEN 'references ' || k.referenced_table || '(' || k.referenced_column_names[1] || ')' ELSE lower(k.constraint_type) END, ', ')
			FROM duckdb_constraints() k WHERE k.table_name = c.table_name AND list_contains(k.constraint_column_names, c.column_name)
			AND k.constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY')), '')
		FROM duckdb_columns() c WHERE c.table_name = ? AND NOT c.internal ORDER BY c.column_index`, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []data.Column
	for rows.Next() {
		var c data.Column
		if err := rows.Scan(&c.Name, &c.Type, &c.Nullable, &c.Key); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// Query implements data.Engine.
func (e *engine) Query(ctx context.Context, query string, params []any, l table.Limits) (table.Table, error) {
	if strings.TrimSpace(query) == "" {
		return table.Table{}, errors.New("the query is empty")
	}
	c, err := e.db.Conn(ctx)
	if err != nil {
		return table.Table{}, err
	}
	defer func() {
		if !e.write { // a transaction that a reader began, and that failed, would refuse all that follows
			_ = c.Raw(func(any) error { return driver.ErrBadConn })
		}
		c.Close()
	}()
	rows, err := c.QueryContext(ctx, limited(query, l), params...)
	if err != nil && strings.Contains(err.Error(), "Parser Error") {
		rows, err = c.QueryContext(ctx, query, params...) // no SELECT, or the error that is about what was written
	}
	if err != nil {
		return table.Table{}, err
	}
	return table.FromRows(rows, l)
}

const defaultRows = 10_000_000 // as table.Limits has it

// limited is a query with one row more than is allowed: the driver has the
// whole result in memory before the first row is read.
func limited(query string, l table.Limits) string {
	rows := l.Rows
	if rows == 0 {
		rows = defaultRows
	}
	if rows < 0 {
		return query
	}
	return fmt.Sprintf("SELECT * FROM (\n%s\n) LIMIT %d", strings.TrimRight(query, "; \t\r\n"), rows+1)
}
