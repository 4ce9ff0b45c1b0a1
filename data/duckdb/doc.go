// Package duckdb opens DuckDB databases as stores of an agent. It is apart from
// package data since it needs cgo: without cgo it is empty, and data.Open says
// what to do. Import it for its effect on data.Open, or use Open:
//
//	import _ "github.com/strandsgo/strands/data/duckdb"
package duckdb
