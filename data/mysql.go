package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/go-sql-driver/mysql"

	"github.com/strandsgo/strands"
)

// OpenMySQL opens a MySQL or MariaDB database by its URL,
// "mysql://user:password@host:3306/database". Unless o.Write is set, every
// statement runs in a read-only transaction, in which files of the server can
// still be read by an account with the right to do so (FILE): use one without.
func OpenMySQL(ctx context.Context, address string, o Options) (*Store, error) {
	cfg, err := mysqlConfig(address)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, &strands.InputError{Field: "database " + redacted(address), Reason: "the address is wrong; it looks like mysql://user:password@host:3306/database"}
	}
	e := &sqlEngine{
		db: sql.OpenDB(connector), commit: o.Write, discard: true, hangUp: true,
		dialect: SQL{Name: "MySQL", Placeholder: "?", Quote: "`", Text: "CHAR", Random: "rand()"},
		tables:  mysqlTables, columns: mysqlColumns, failure: mysqlError,
		begin: func(ctx context.Context, c *sql.Conn) (tx, error) { return mysqlBegin(ctx, c, o.Write) },
	}
	if !o.Write {
		e.refuse = mysqlReads
	}
	return New(ctx, e, nameOf(o, cfg.DBName))
}

// mysqlReads is an error for what is no statement that reads. The transaction
// keeps such a statement from writing; but MariaDB takes a whole program as
// one statement, BEGIN NOT ATOMIC …, which can end the transaction and begin
// another. The first word tells what a statement is. A file on the server is
// no part of a transaction either; SELECT's words for that cannot be written
// otherwise.
func mysqlReads(query string) error {
	if word := mysqlFiles.FindString(query); word != "" {
		return fmt.Errorf("the database is read-only: %s is refused, it writes a file on the server", strings.ToUpper(word))
	}
	switch word := mysqlFirst(query); strings.ToUpper(word) {
	case "(", "SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN":
		return nil
	}
	return errors.New("the database is read-only: a statement begins with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN")
}

var mysqlFiles = regexp.MustCompile(`(?i)(out|dump)file`)

// mysqlFirst is the first word behind space and comments; "" when it is not
// certain to be what the server takes for it.
func mysqlFirst(query string) string {
	if strings.ContainsRune(query, 0) { // ends a comment
		return ""
	}
	for {
		query = strings.TrimLeft(query, " \t\r\n")
		switch {
		case strings.HasPrefix(query, "#"), strings.HasPrefix(query, "-- "):
			_, query, _ = strings.Cut(query, "\n")
		case strings.HasPrefix(query, "/*!"), strings.HasPrefix(query, "/*M!"): // are executed by some versions
			return ""
		case strings.HasPrefix(query, "/*"):
			_, query, _ = strings.Cut(query[2:], "*/")
		case strings.HasPrefix(query, "("):
			return "("
		default:
			return query[:len(query)-len(strings.TrimLeftFunc(query, unicode.IsLetter))]
		}
	}
}

func mysqlConfig(address string) (*mysql.Config, error) {
	bad := &strands.InputError{Field: "database " + redacted(address), Reason: "the address is wrong; it looks like mysql://user:password@host:3306/database"}
	u, err := url.Parse(address)
	if err != nil || strings.Trim(u.Path, "/") == "" {
		return nil, bad
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.DBName, cfg.ParseTime = u.User.Username(), strings.Trim(u.Path, "/"), true
	cfg.Passwd, _ = u.User.Password()
	cfg.Logger = quiet{}
	cfg.Net, cfg.Addr = "tcp", u.Host
	if socket := u.Query().Get("socket"); socket != "" {
		cfg.Net, cfg.Addr = "unix", socket
	} else if u.Hostname() == "" {
		return nil, bad
	} else if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	if mode := u.Query().Get("tls"); mode != "" {
		cfg.TLSConfig = mode
	}
	return cfg, nil
}

// quiet keeps the driver from writing to standard error; its errors say it.
type quiet struct{}

// Print implements mysql.Logger.
func (quiet) Print(...any) {}

func mysqlBegin(ctx context.Context, c *sql.Conn, write bool) (tx, error) {
	if end, ok := ctx.Deadline(); ok {
		// The server would go on after we left. MariaDB and MySQL have different
		// names for it; older servers have none.
		left := time.Until(end) + serverGrace
		if _, err := c.ExecContext(ctx, fmt.Sprintf("SET SESSION max_statement_time = %f", left.Seconds())); err != nil {
			_, _ = c.ExecContext(ctx, fmt.Sprintf("SET SESSION max_execution_time = %d", left.Milliseconds()))
		}
	}
	if !write {
		// For statements that end the transaction before they begin, such as
		// CREATE TABLE.
		if _, err := c.ExecContext(ctx, "SET SESSION TRANSACTION READ ONLY"); err != nil {
			return nil, err
		}
	}
	t, err := c.BeginTx(ctx, &sql.TxOptions{ReadOnly: !write})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func mysqlError(_ string, err error) error {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return err
	}
	const readOnly = 1792
	if e.Number == readOnly {
		return errors.New("the database is read-only")
	}
	return errors.New(e.Message)
}

func mysqlTables(ctx context.Context, c *sql.Conn) ([]Table, error) {
	const list = `SELECT table_name, CASE WHEN table_type LIKE '%VIEW' THEN 'view' ELSE 'table' END, coalesce(table_rows, -1)
		FROM information_schema.tables WHERE table_schema = database() ORDER BY 1`
	return scan(ctx, c, list, nil, func(r *sql.Rows) (t Table, err error) { return t, r.Scan(&t.Name, &t.Kind, &t.Rows) })
}

func mysqlColumns(ctx context.Context, c *sql.Conn, name string) ([]Column, error) {
	const list = `SELECT c.column_name, c.column_type, c.is_nullable = 'YES', concat_ws(', ',
			CASE c.column_key WHEN 'PRI' THEN 'primary key' WHEN 'UNI' THEN 'unique' END,
			(SELECT concat('references ', k.referenced_table_name, '(', k.referenced_column_name, ')') FROM information_schema.key_column_usage k
			WHERE k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name
			AND k.referenced_table_name IS NOT NULL LIMIT 1))
		FROM information_schema.columns c WHERE c.table_schema = database() AND c.table_name = ? ORDER BY c.ordinal_position`
	return scan(ctx, c, list, []any{name}, func(r *sql.Rows) (col Column, err error) {
		return col, r.Scan(&col.Name, &col.Type, &col.Nullable, &col.Key)
	})
}
