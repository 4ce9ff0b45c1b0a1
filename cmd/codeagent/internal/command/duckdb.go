//go:build cgo && duckdb

package command

import _ "github.com/strandsgo/strands/data/duckdb" // --db with .duckdb files; its library is large
