package sql_test

import (
	databasesql "database/sql"
	"os"
	"path/filepath"
	"testing"

	strands "github.com/strandsgo/strands"
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
