package session_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session"
	"github.com/strandsgo/strands/strandstest"
)

func TestFiles(t *testing.T) {
	strandstest.TestStore(t, strandstest.StoreSuite{
		New: func(t *testing.T) strands.Store { return session.Files{Dir: t.TempDir()} },
		Again: func(_ *testing.T, s strands.Store) strands.Store {
			return session.Files{Dir: s.(session.Files).Dir}
		},
		Raw: func(t *testing.T, s strands.Store) []byte {
			var all []byte
			err := filepath.WalkDir(s.(session.Files).Dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				raw, err := os.ReadFile(path)
				all = append(all, raw...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		},
	})
}
