//go:build cgo && duckdb

package dab

import _ "github.com/strandsgo/strands/data/duckdb" // its library is large

const hasDuckDB = true
