//go:build !cgo || !duckdb

package dab

const hasDuckDB = false
