package data

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/strandsgo/strands/table"
)

// sqlEngine is a database behind database/sql.
type sqlEngine struct {
	db      *sql.DB
	dialect SQL
	// begin starts the transaction of a statement, which cannot write unless
	// it is allowed. Its end is the rollback or commit.
	begin   func(ctx context.Context, c *sql.Conn) (tx, error)
	tables  func(ctx context.Context, c *sql.Conn) ([]Table, error)
	columns func(ctx context.Context, c *sql.Conn, name string) ([]Column, error)
	commit  bool                      // what statements change stays
	discard bool                      // a connection is used for one statement only
	hangUp  bool                      // it is closed at once when rows are left unread
	name    func(table string) string // as SQL has it; nil = quoted
	// refuse is asked about a query before it is sent; nil = send all.
	refuse func(query string) error
	// failure says what the driver's error of a query means.
	failure func(query string, err error) error
	after   func() error
}

func (e *sqlEngine) tableName(name string) string {
	if e.name == nil {
		return e.dialect.quoted(name)
	}
	return e.name(name)
}

// serverGrace is how much longer than we a server waits before it stops a
// statement: the better error is ours.
const serverGrace = time.Second

// tx is a *sql.Tx, or a connection that needs none.
type tx interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	Commit() error
	Rollback() error
}

// Dialect implements Dialect.
func (e *sqlEngine) Dialect() SQL { return e.dialect }

// Close implements Engine.
func (e *sqlEngine) Close() error {
	err := e.db.Close()
	if e.after != nil {
		err = errors.Join(err, e.after())
	}
	return err
}

func (e *sqlEngine) Tables(ctx context.Context) (_ []Table, err error) {
	c, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return e.tables(ctx, c)
}

func (e *sqlEngine) Columns(ctx context.Context, name string) (_ []Column, err error) {
	c, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return e.columns(ctx, c, name)
}

// Query runs one statement in a transaction of its own.
func (e *sqlEngine) Query(ctx context.Context, query string, params []any, l table.Limits) (_ table.Table, err error) {
	if strings.TrimSpace(query) == "" {
		return table.Table{}, errors.New("the query is empty")
	}
	if e.refuse != nil {
		if err := e.refuse(query); err != nil {
			return table.Table{}, err
		}
	}
	// A result that is not read to its end is given up by cancelling, not by
	// reading the rest of it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := e.db.Conn(ctx)
	if err != nil {
		return table.Table{}, err
	}
	defer func() {
		if e.discard {
			_ = c.Raw(func(any) error { return driver.ErrBadConn })
		}
		c.Close()
	}()
	t, err := e.begin(ctx, c)
	if err != nil {
		return table.Table{}, err
	}
	rows, err := t.QueryContext(ctx, query, params...)
	if err != nil {
		return table.Table{}, errors.Join(e.failure(query, err), undone(t))
	}
	given := false
	if !e.commit || !l.Cut { // else what the statement changed has to stay, and it is not over before its last row
		l.Abandon = func() {
			given = true
			if e.hangUp {
				// MySQL's driver may take the end of the rows for the end of the query,
				// before it has seen that ctx has ended: it would read the rest.
				_ = c.Raw(hangUp)
			}
			cancel()
		}
	}
	result, err := table.FromRows(rows, l)
	if err != nil || !e.commit {
		undo := undone(t)
		if given { // with its connection
			undo = nil
		}
		return result, errors.Join(e.failure(query, err), undo)
	}
	return result, t.Commit()
}

// hangUp closes a driver's connection.
func hangUp(conn any) error {
	if c, ok := conn.(driver.Conn); ok {
		_ = c.Close() // in the midst of an answer it cannot say good-bye
	}
	return nil
}

// undone rolls back; that nothing is left to roll back is fine.
func undone(t tx) error {
	if err := t.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("ending the transaction: %w", err)
	}
	return nil
}

// scan reads rows of a catalogue query.
func scan[T any](ctx context.Context, c *sql.Conn, query string, args []any, read func(*sql.Rows) (T, error)) (_ []T, err error) {
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []T
	for rows.Next() {
		v, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// quoted is a name as an identifier.
func (d SQL) quoted(name string) string {
	return d.Quote + strings.ReplaceAll(name, d.Quote, d.Quote+d.Quote) + d.Quote
}
