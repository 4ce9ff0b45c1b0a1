//go:build !unix

package sql_test

import "testing"

func startPostgres(t *testing.T) string {
	t.Skip("no server is started here; set STRANDS_TEST_POSTGRES")
	return ""
}
