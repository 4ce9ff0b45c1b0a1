// Package sql keeps sessions in a database: SQLite, or PostgreSQL.
package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // "pgx"
	"modernc.org/sqlite"               // "sqlite"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session"
)

// Store is a strands.Store in a database. What a redaction replaces is gone
// for every query; from SQLite's files too, as soon as no other process reads
// them. PostgreSQL frees the space when it vacuums the table. A file that is no
// database, and an entry that is none of a session, are a *session.FileError.
type Store struct {
	db       *sql.DB
	place    string // for errors
	postgres bool
	agent    string
}

var _ strands.StateStore = (*Store)(nil)

const schema = `
CREATE TABLE IF NOT EXISTS strands_sessions (
	id TEXT PRIMARY KEY,
	last BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS strands_entries (
	session TEXT NOT NULL REFERENCES strands_sessions(id) ON DELETE CASCADE,
	seq BIGINT NOT NULL,
	kind TEXT NOT NULL,
	entry TEXT NOT NULL,
	PRIMARY KEY (session, seq)
);
CREATE TABLE IF NOT EXISTS strands_states (
	session TEXT NOT NULL,
	name TEXT NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (session, name)
);`

// key is the id of a log in the tables: that of the session, and of the agent
// when it is not the default one. No id has a slash.
func (s *Store) key(id string) (string, error) {
	if err := strands.CheckSessionID(id); err != nil {
		return "", err
	}
	if s.agent == defaultAgent {
		return id, nil
	}
	if err := strands.CheckSessionID(s.agent); err != nil {
		return "", fmt.Errorf("id of an agent: %w", err)
	}
	return id + "/" + s.agent, nil
}

const defaultAgent = "default"

// ofSession is the condition of what belongs to session $1.
const ofSession = `(id = $1 OR substr(id, 1, length($1) + 1) = $1 || '/')`

// Open opens a database and makes the tables that are missing. A name that
// begins with "postgres://" or "postgresql://" is PostgreSQL's, any other the
// path of a SQLite file.
func Open(ctx context.Context, name string) (*Store, error) {
	s := &Store{postgres: strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://"), agent: defaultAgent}
	driver := "pgx"
	s.place = "PostgreSQL" // the address may hold a password
	if !s.postgres {
		driver, s.place = "sqlite", name
		name = "file:" + (&url.URL{Path: name}).EscapedPath() + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
			"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=secure_delete(1)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, fmt.Errorf("strands: open session database: %w", err)
	}
	s.db = db
	if err := s.setUp(ctx); err != nil {
		if e, ok := errors.AsType[*sqlite.Error](err); ok && (e.Code() == notADatabase || e.Code() == corrupt) {
			err = &session.FileError{Path: s.place, Err: err}
		}
		return nil, errors.Join(fmt.Errorf("strands: open session database %s: %w", s.place, err), db.Close())
	}
	return s, nil
}

// Codes of SQLite.
const (
	corrupt      = 11
	notADatabase = 26
)

// setUp makes the tables. PostgreSQL cannot do that twice at once.
func (s *Store) setUp(ctx context.Context) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if s.postgres {
			if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7377142)`); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, schema)
		return err
	})
}

// Close closes the database, for the stores that Scope made too.
func (s *Store) Close() error { return s.db.Close() }

// Scope implements strands.StateStore.
func (s *Store) Scope(agent string) strands.Store {
	return &Store{db: s.db, place: s.place, postgres: s.postgres, agent: agent}
}

func (s *Store) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Load implements strands.Store.
func (s *Store) Load(ctx context.Context, id string) ([]strands.Entry, error) {
	key, err := s.key(id)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT seq, entry FROM strands_entries WHERE session = $1 ORDER BY seq`, key)
	if err != nil {
		return nil, fmt.Errorf("strands: load session %s: %w", id, err)
	}
	defer rows.Close()
	var entries []strands.Entry
	for rows.Next() {
		var seq int64
		var raw string
		if err := rows.Scan(&seq, &raw); err != nil {
			return nil, fmt.Errorf("strands: load session %s: %w", id, err)
		}
		var e strands.Entry
		if err := json.Unmarshal([]byte(raw), &e); err != nil {
			return nil, &session.FileError{Path: s.place, Err: fmt.Errorf("entry %d of session %s: %w", seq, id, err)}
		}
		e.Seq = seq
		if e.Message == nil && e.State == nil && e.Redaction == nil {
			return nil, &session.FileError{Path: s.place, Err: fmt.Errorf("entry %d of session %s is empty", seq, id)}
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("strands: load session %s: %w", id, err)
	}
	if len(entries) == 0 {
		return nil, strands.ErrNotFound
	}
	return entries, nil
}

// row is an entry as it is stored.
type row struct{ kind, entry string }

func newRow(e strands.Entry) (row, error) {
	kind := "message"
	switch {
	case e.State != nil:
		kind = "state"
	case e.Redaction != nil:
		kind = "redaction"
	}
	raw, err := json.Marshal(e)
	return row{kind, string(raw)}, err
}

// Append implements strands.Store.
func (s *Store) Append(ctx context.Context, id string, afterSeq int64, entries ...strands.Entry) error {
	key, err := s.key(id)
	if err != nil {
		return err
	}
	rows := make([]row, len(entries))
	erases := false
	for i, e := range entries {
		var err error
		e.Seq = afterSeq + int64(i) + 1
		if rows[i], err = newRow(e); err != nil {
			return fmt.Errorf("strands: store entry %d of session %s: %w", e.Seq, id, err)
		}
		erases = erases || e.Redaction != nil
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := claim(ctx, tx, key, afterSeq, len(entries)); err != nil {
			return err
		}
		for i, r := range rows {
			if err := insert(ctx, tx, key, afterSeq+int64(i)+1, r, entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && erases {
		err = s.erase(ctx)
	}
	if err != nil && !errors.Is(err, strands.ErrConflict) {
		err = fmt.Errorf("strands: append to session %s: %w", id, err)
	}
	return err
}

// claim moves the end of a log, which no other transaction can do meanwhile.
func claim(ctx context.Context, tx *sql.Tx, id string, after int64, n int) error {
	if after == 0 && n > 0 {
		if _, err := tx.ExecContext(ctx, `INSERT INTO strands_sessions (id, last) VALUES ($1, 0) ON CONFLICT DO NOTHING`, id); err != nil {
			return err
		}
	}
	res, err := tx.ExecContext(ctx, `UPDATE strands_sessions SET last = $1 WHERE id = $2 AND last = $3`, after+int64(n), id, after)
	if err != nil {
		return err
	}
	moved, err := res.RowsAffected()
	if err == nil && moved == 0 && (after != 0 || n > 0) {
		err = strands.ErrConflict
	}
	return err
}

func insert(ctx context.Context, tx *sql.Tx, id string, seq int64, r row, e strands.Entry) error {
	switch {
	case e.State != nil:
		if _, err := tx.ExecContext(ctx, `UPDATE strands_entries SET entry = '{"state":{}}' WHERE session = $1 AND kind = 'state' AND entry <> '{"state":{}}'`, id); err != nil {
			return err
		}
	case e.Redaction != nil:
		if err := redact(ctx, tx, id, e.Redaction); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO strands_entries (session, seq, kind, entry) VALUES ($1, $2, $3, $4)`, id, seq, r.kind, r.entry)
	return err
}

func redact(ctx context.Context, tx *sql.Tx, id string, r *strands.Redaction) error {
	var old string
	err := tx.QueryRowContext(ctx, `SELECT entry FROM strands_entries WHERE session = $1 AND seq = $2 AND kind = 'message'`, id, r.Seq).Scan(&old)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var was struct{ Time time.Time }
	if err := json.Unmarshal([]byte(old), &was); err != nil {
		return err
	}
	raw, err := json.Marshal(strands.Entry{Seq: r.Seq, Time: was.Time, Message: &r.Message})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE strands_entries SET entry = $1 WHERE session = $2 AND seq = $3`, string(raw), id, r.Seq)
	return err
}

// erase empties SQLite's write-ahead log, which still has the old pages.
func (s *Store) erase(ctx context.Context) error {
	if s.postgres {
		return nil
	}
	_, err := s.db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return err
}

// List implements strands.Store.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ids, err := s.ids(ctx)
		if err != nil {
			yield("", fmt.Errorf("strands: list sessions: %w", err))
			return
		}
		for _, key := range ids {
			id, agent, ok := strings.Cut(key, "/")
			if !ok {
				agent = defaultAgent
			}
			if agent == s.agent && !yield(id, nil) {
				return
			}
		}
	}
}

// ids reads all at once, so that a slow reader of List holds no connection.
func (s *Store) ids(ctx context.Context) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id FROM strands_sessions`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Delete implements strands.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := strands.CheckSessionID(id); err != nil {
		return err
	}
	err := s.change(ctx, func(tx *sql.Tx) error {
		gone := int64(0)
		for _, statement := range []string{`DELETE FROM strands_sessions WHERE ` + ofSession, `DELETE FROM strands_states WHERE session = $1`} {
			res, err := tx.ExecContext(ctx, statement, id)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			gone += n
		}
		if gone == 0 {
			return strands.ErrNotFound
		}
		return nil
	})
	if errors.Is(err, strands.ErrNotFound) {
		return err
	}
	if err == nil {
		err = s.erase(ctx)
	}
	if err != nil {
		return fmt.Errorf("strands: delete session %s: %w", id, err)
	}
	return nil
}

// LoadState implements strands.StateStore.
func (s *Store) LoadState(ctx context.Context, id, name string) (json.RawMessage, error) {
	if err := checkState(id, name); err != nil {
		return nil, err
	}
	var state string
	err := s.db.QueryRowContext(ctx, `SELECT state FROM strands_states WHERE session = $1 AND name = $2`, id, name).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, strands.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("strands: load state %s of session %s: %w", name, id, err)
	}
	return json.RawMessage(state), nil
}

// SaveState implements strands.StateStore.
func (s *Store) SaveState(ctx context.Context, id, name string, state json.RawMessage) error {
	if err := checkState(id, name); err != nil {
		return err
	}
	var err error
	switch {
	case state == nil:
		_, err = s.db.ExecContext(ctx, `DELETE FROM strands_states WHERE session = $1 AND name = $2`, id, name)
	case !json.Valid(state):
		return &strands.InputError{Field: "state " + name, Reason: "is not JSON"}
	default:
		_, err = s.db.ExecContext(ctx, `INSERT INTO strands_states (session, name, state) VALUES ($1, $2, $3)
			ON CONFLICT (session, name) DO UPDATE SET state = excluded.state`, id, name, string(state))
	}
	if err == nil {
		err = s.erase(ctx)
	}
	if err != nil {
		return fmt.Errorf("strands: save state %s of session %s: %w", name, id, err)
	}
	return nil
}

func checkState(id, name string) error {
	if err := strands.CheckSessionID(id); err != nil {
		return err
	}
	if err := strands.CheckSessionID(name); err != nil {
		return fmt.Errorf("name of a state: %w", err)
	}
	return nil
}
