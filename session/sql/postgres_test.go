//go:build unix

package sql_test

import (
	"testing"

	"github.com/strandsgo/strands/internal/servertest"
)

// startPostgres starts a server that is reached by a socket only, and returns
// its address.
func startPostgres(t *testing.T) string {
	t.Helper()
	return servertest.Postgres(t)
}
