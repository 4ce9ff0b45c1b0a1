package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/strandsgo/strands"
)

// OpenPostgres opens a PostgreSQL database by its URL. Unless o.Write is set,
// every statement runs in a read-only transaction, for superusers with the
// rights of pg_read_all_data only: such a transaction alone would let them
// write files. Use an account that can read what the agent may see.
func OpenPostgres(ctx context.Context, address string, o Options) (*Store, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// The error of pgx may hold the password.
		return nil, &strands.InputError{Field: "database " + redacted(address), Reason: "the address is wrong; it looks like postgres://user:password@host:5432/database"}
	}
	// A statement at a time: with the simple protocol "COMMIT; DELETE …" would
	// leave the read-only transaction.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 0, 0
	cfg.RuntimeParams["application_name"] = "strands"
	db := stdlib.OpenDB(*cfg, stdlib.OptionResetSession(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "DISCARD ALL") // settings that a statement left
		return err
	}))
	e := &sqlEngine{
		db: db, commit: o.Write,
		dialect: SQL{Name: "PostgreSQL", Placeholder: "$1, $2", Quote: `"`, Text: "text", Random: "random()"},
		tables:  postgresTables, columns: postgresColumns, name: postgresName,
		begin: func(ctx context.Context, c *sql.Conn) (tx, error) { return postgresBegin(ctx, c, o.Write) },
	}
	return New(ctx, e, nameOf(o, cfg.Database))
}

func postgresBegin(ctx context.Context, c *sql.Conn, write bool) (tx, error) {
	t, err := c.BeginTx(ctx, &sql.TxOptions{ReadOnly: !write})
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok { // else the server would go on after we left
		limit := fmt.Sprintf("SET LOCAL statement_timeout = %d", (time.Until(end) + serverGrace).Milliseconds())
		if _, err := t.ExecContext(ctx, limit); err != nil {
			return nil, errors.Join(err, t.Rollback())
		}
	}
	if write {
		return postgresTx{t}, nil
	}
	var super bool
	if err := t.QueryRowContext(ctx, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&super); err != nil {
		return nil, errors.Join(err, t.Rollback())
	}
	if super {
		if _, err := t.ExecContext(ctx, `SET LOCAL ROLE pg_read_all_data`); err != nil {
			return nil, errors.Join(err, t.Rollback())
		}
	}
	return postgresTx{t}, nil
}

type postgresTx struct{ *sql.Tx }

// QueryContext implements tx.
func (t postgresTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.Tx.QueryContext(ctx, query, args...)
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return rows, err
	}
	const readOnly = "25006"
	if e.Code == readOnly {
		return nil, errors.New("the database is read-only")
	}
	text := e.Message
	if e.Hint != "" {
		text += ". " + e.Hint
	}
	if e.Position > 0 && int(e.Position) <= len(query) {
		text += fmt.Sprintf(" (at %q)", clip(query[e.Position-1:], 30))
	}
	return nil, errors.New(text)
}

func postgresTables(ctx context.Context, c *sql.Conn) ([]Table, error) {
	const list = `SELECT CASE WHEN n.nspname = ANY (current_schemas(false)) THEN c.relname ELSE n.nspname || '.' || c.relname END,
		CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
		CASE WHEN c.relkind = 'v' THEN -1 ELSE c.reltuples::bigint END
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
		AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_t%'
		ORDER BY 1`
	return scan(ctx, c, list, nil, func(r *sql.Rows) (t Table, err error) { return t, r.Scan(&t.Name, &t.Kind, &t.Rows) })
}

func postgresColumns(ctx context.Context, c *sql.Conn, name string) ([]Column, error) {
	const list = `SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
		coalesce((SELECT string_agg(CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique'
			ELSE 'references ' || k.confrelid::regclass || '(' || (SELECT f.attname FROM pg_attribute f WHERE f.attrelid = k.confrelid
				AND f.attnum = k.confkey[array_position(k.conkey, a.attnum)]) || ')' END, ', ' ORDER BY k.contype DESC)
			FROM pg_constraint k WHERE k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey) AND k.contype IN ('p', 'u', 'f')), '')
		FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`
	return scan(ctx, c, list, []any{postgresName(name)}, func(r *sql.Rows) (col Column, err error) {
		return col, r.Scan(&col.Name, &col.Type, &col.Nullable, &col.Key)
	})
}

// postgresName is a name of postgresTables as SQL has it.
func postgresName(name string) string {
	return pgx.Identifier(strings.SplitN(name, ".", 2)).Sanitize()
}

// clip is the beginning of s.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
