package sql_test

import (
	"bytes"
	databasesql "database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session"
	"github.com/strandsgo/strands/session/sql"
	"github.com/strandsgo/strands/strandstest"
)

func open(t *testing.T, name string) *sql.Store {
	t.Helper()
	s, err := sql.Open(t.Context(), name)
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

func TestSQLite(t *testing.T) {
	paths := map[strands.Store]string{}
	strandstest.TestStore(t, strandstest.StoreSuite{
		New: func(t *testing.T) strands.Store {
			path := filepath.Join(t.TempDir(), "a ?#%20.db")
			s := open(t, path)
			paths[s] = path
			return s
		},
		Again: func(t *testing.T, s strands.Store) strands.Store { return open(t, paths[s]) },
		Raw: func(t *testing.T, s strands.Store) []byte {
			var all []byte
			for _, suffix := range []string{"", "-wal"} {
				raw, err := os.ReadFile(paths[s] + suffix)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, raw...)
			}
			return all
		},
	})
}

// TestBrokenDatabases: what is wrong is named, and nothing is changed.
func TestBrokenDatabases(t *testing.T) {
	broken := func(what string, err error, path string) {
		t.Helper()
		if e, ok := errors.AsType[*session.FileError](err); !ok || e.Path != path {
			t.Errorf("%s: %v", what, err)
		}
	}
	dir := t.TempDir()
	if _, err := sql.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notes.db")
	text := []byte(strings.Repeat("These are my notes, and no database. ", 100))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sql.Open(t.Context(), path)
	broken("a text", err, path)
	if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, text) {
		t.Errorf("the text was changed: %v", err)
	}
	for _, entry := range []string{`{"message": {"ro`, `{}`, `[1]`} {
		path := filepath.Join(t.TempDir(), "s.db")
		s := open(t, path)
		if err := s.Append(t.Context(), "s", 0, strands.Entry{Message: new(strands.UserMessage(strands.Text("a")))}); err != nil {
			t.Fatal(err)
		}
		db, err := databasesql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `UPDATE strands_entries SET entry = $1`, entry); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Load(t.Context(), "s")
		broken(entry, err, path)
		if err := s.Delete(t.Context(), "s"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
}

// TestPostgreSQL starts a server of its own, or takes the one that
// STRANDS_TEST_POSTGRES=postgres://user@host/database names, whose strands_
// tables it drops.
func TestPostgreSQL(t *testing.T) {
	dsn := os.Getenv("STRANDS_TEST_POSTGRES")
	if dsn == "" {
		dsn = startPostgres(t)
	}
	strandstest.TestStore(t, strandstest.StoreSuite{
		New: func(t *testing.T) strands.Store {
			db, err := databasesql.Open("pgx", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), `DROP TABLE IF EXISTS strands_entries, strands_sessions, strands_states`); err != nil {
				t.Fatal(err)
			}
			return open(t, dsn)
		},
		Again: func(t *testing.T, _ strands.Store) strands.Store { return open(t, dsn) },
	})
}

// What cannot be written is said once, in one line.
func TestErrorsAreOneLine(t *testing.T) {
	s, err := sql.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"delete": s.Delete(t.Context(), "s"),
		"save":   s.SaveState(t.Context(), "s", "graph", []byte("1")),
		"remove": s.SaveState(t.Context(), "s", "graph", nil),
		"append": s.Append(t.Context(), "s", 0),
	} {
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
