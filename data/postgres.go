package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/table"
)

// OpenPostgres opens a PostgreSQL database by its URL. Unless o.Write is set,
// every statement runs in a read-only transaction, which does not keep
// accounts with the right to it from writing files or running programs on the
// server: those, superusers among them, are refused. A role that was put on
// for the statement would not help, since the statement can put it off.
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
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		if most := o.mostBytes(); most > 0 { // a row comes whole, before anybody can count its bytes
			f.SetMaxBodyLen(int(min(most+1<<20, math.MaxInt32)))
		}
		return f
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionResetSession(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "DISCARD ALL") // settings that a statement left
		return err
	}))
	e := &sqlEngine{
		db: db, commit: o.Write,
		dialect: SQL{Name: "PostgreSQL", Placeholder: "$1, $2", Quote: `"`, Text: "text", Random: "random()"},
		columns: postgresColumns, name: postgresName, failure: postgresError,
		begin: func(ctx context.Context, c *sql.Conn) (tx, error) { return postgresBegin(ctx, c, o.Write) },
		tables: func(ctx context.Context, c *sql.Conn) ([]Table, error) {
			if !o.Write { // that it is refused is said when the store is opened
				if err := postgresRights(ctx, c); err != nil {
					return nil, err
				}
			}
			return postgresTables(ctx, c)
		},
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
		return t, nil
	}
	if err := postgresRights(ctx, t); err != nil {
		return nil, errors.Join(err, t.Rollback())
	}
	return t, nil
}

// postgresRights is an error for an account that could do more than write to
// the database, which is all that a read-only transaction keeps it from.
func postgresRights(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) error {
	const ask = `SELECT current_user, rolsuper OR EXISTS (SELECT FROM pg_roles r
		WHERE r.rolname IN ('pg_execute_server_program', 'pg_write_server_files') AND pg_has_role(r.oid, 'MEMBER'))
		FROM pg_roles WHERE rolname = session_user`
	var user string
	var more bool
	if err := q.QueryRowContext(ctx, ask).Scan(&user, &more); err != nil {
		return err
	}
	if more {
		return fmt.Errorf("the account %q may write files and run programs on the server, also when it only reads; "+
			"use one that may not: CREATE ROLE reader LOGIN PASSWORD '…' IN ROLE pg_read_all_data", user)
	}
	return nil
}

func postgresError(query string, err error) error {
	if large := (*pgproto3.ExceededMaxBodyLenErr)(nil); errors.As(err, &large) {
		return &table.TooBigError{Limit: "is allowed for one row"}
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	const readOnly = "25006"
	if e.Code == readOnly {
		return errors.New("the database is read-only")
	}
	text := e.Message
	if e.Hint != "" {
		text += ". " + e.Hint
	}
	if runes := []rune(query); e.Position > 0 && int(e.Position) <= len(runes) {
		text += fmt.Sprintf(" (at %q)", clip(string(runes[e.Position-1:]), 30))
	}
	return errors.New(text)
}

func postgresTables(ctx context.Context, c *sql.Conn) ([]Table, error) {
	const list = `SELECT CASE WHEN n.nspname = ANY (current_schemas(false)) THEN table_name ELSE schema_name || '.' || table_name END,
		CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
		CASE WHEN c.relkind = 'v' THEN -1 ELSE c.reltuples::bigint END
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
		LATERAL (SELECT CASE WHEN c.relname ~ '[."]' THEN quote_ident(c.relname) ELSE c.relname END AS table_name,
			CASE WHEN n.nspname ~ '[."]' THEN quote_ident(n.nspname) ELSE n.nspname END AS schema_name) AS names
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

// postgresName is a name of postgresTables as SQL has it: there, names with
// dots or quotation marks in them are quoted.
func postgresName(name string) string {
	var parts []string
	for _, p := range postgresParts.FindAllString(name, -1) {
		if p[0] != '"' {
			p = pgx.Identifier{p}.Sanitize()
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ".")
}

var postgresParts = regexp.MustCompile(`"(?:[^"]|"")+"|[^."]+`)

// clip is the beginning of s.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
