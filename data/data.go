// Package data offers databases and files to an agent: SQLite, PostgreSQL,
// MySQL, MongoDB and tables in files; DuckDB is in data/duckdb, since it needs
// cgo. A Store has the functions query, tables, describe and profile, or find
// and aggregate for MongoDB; in the REPL their results are DataFrames.
//
//	sales, err := data.Open(ctx, "sales.sqlite", data.Options{})
//	crm, err := data.Open(ctx, "postgres://…", data.Options{Name: "crm"})
//	data.Relate(sales, crm)
//	agent, err := codeagent.New(codeagent.Config{
//		Toolkits: []codeagent.Toolkit{codeagent.DataAnalysis, codeagent.ObjectOf("sales", sales), codeagent.ObjectOf("crm", crm)}, …
//	})
//
// Connections and credentials stay in this process. Unless Options.Write is
// set, it is the database that refuses to change anything; where it has gaps,
// an account that could use them is refused (PostgreSQL), or a query by its
// first word (MariaDB).
package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/table"
)

// Options say what an agent may ask of a store. The zero value is fine.
type Options struct {
	// Name is how texts call the store; "" = that of its database or file.
	Name string
	// Write lets the agent change data. See the package for what refuses it
	// otherwise.
	Write bool
	// Limits bound the result of a query: more is an error that says so, and
	// undoes what the query changed, unless Limits.Cut. Zero fields mean
	// 10,000,000 rows and 256 MiB.
	Limits table.Limits
	// Timeout of a query; 0 = 60 s, negative = none.
	Timeout time.Duration
	Logger  *slog.Logger // nil = slog.Default()
}

// mostBytes is the size a result may have, and so a value of it; 0 = any.
func (o Options) mostBytes() int64 {
	if o.Limits.Bytes == 0 {
		return defaultBytes
	}
	return max(0, o.Limits.Bytes)
}

const (
	defaultBytes   = 256 << 20 // as table.Limits has it
	defaultTimeout = time.Minute
	connectTimeout = 10 * time.Second
)

// Engine is a database as a Store uses it. Implementations are safe for
// concurrent use; a query ends with its ctx and leaves no connection behind.
type Engine interface {
	// Tables lists tables and views.
	Tables(ctx context.Context) ([]Table, error)
	// Columns describes a table that Tables named.
	Columns(ctx context.Context, name string) ([]Column, error)
	// Query runs one statement.
	Query(ctx context.Context, query string, params []any, l table.Limits) (table.Table, error)
	Close() error
}

// Dialect is an optional method of an Engine that speaks SQL.
type Dialect interface {
	Dialect() SQL
}

// SQL is what differs between databases.
type SQL struct {
	Name        string // "SQLite", "PostgreSQL"
	Placeholder string // how parameters look, for the reader: "?", "$1, $2"
	Quote       string // what stands around a name: `"`
	Text        string // the type that a value is cast to, to compare it: "TEXT"
	Random      string // expression to order by for a random sample; "" = none
}

// Table is a table or a view.
type Table struct {
	Name string
	Kind string // "table", "view", "collection"
	Rows int64  // as the database estimates; -1 = unknown
}

// Column is a column of a table.
type Column struct {
	Name, Type string
	Nullable   bool
	Key        string // "primary key", "references customers(id)", …; "" = none
}

// A Store is one database, or some files, as an agent sees it. Its methods may
// be used concurrently.
type Store struct {
	name    string
	engine  Engine
	options Options

	mu      sync.Mutex
	others  []*Store // that its tables may be joined with
	listed  []Table  // for Instructions, when it was opened
	samples map[string]sample
}

// New makes a store of an engine, and asks it for its tables. The store closes
// the engine, also when New fails.
func New(ctx context.Context, e Engine, o Options) (*Store, error) {
	s := &Store{name: cmp.Or(o.Name, "data"), engine: e, options: o, samples: map[string]sample{}}
	if s.options.Timeout == 0 {
		s.options.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errNoAnswer)
	defer cancel()
	var err error
	if s.listed, err = e.Tables(ctx); err != nil {
		return nil, errors.Join(s.explain(ctx, err), e.Close())
	}
	return s, nil
}

// Relate tells stores of each other, so that profile finds columns by which
// their tables can be joined.
func Relate(stores ...*Store) {
	for _, s := range stores {
		s.mu.Lock()
		s.others = slices.DeleteFunc(slices.Clone(stores), func(o *Store) bool { return o == s })
		s.mu.Unlock()
	}
}

// Name is how texts call the store.
func (s *Store) Name() string { return s.name }

// Close ends the connections. Queries under way fail.
func (s *Store) Close() error { return s.engine.Close() }

// Opener opens a store of one kind.
type Opener func(ctx context.Context, address string, o Options) (*Store, error)

var (
	openersMu sync.RWMutex
	openers   = map[string]Opener{
		"sqlite": OpenSQLite, "postgres": OpenPostgres, "postgresql": OpenPostgres,
		"mysql": OpenMySQL, "mariadb": OpenMySQL, "mongodb": OpenMongo, "mongodb+srv": OpenMongo,
	}
	extensions = map[string]string{".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite"}
)

// Register makes Open know another kind of store: by the scheme of addresses,
// and by the extensions of files (".duckdb"). It is for init functions.
func Register(scheme string, open Opener, fileExtensions ...string) {
	openersMu.Lock()
	defer openersMu.Unlock()
	openers[scheme] = open
	for _, e := range fileExtensions {
		extensions[e] = scheme
	}
}

// Open opens a store by its address: a URL such as
// "postgres://user:password@host/database", "mysql://…", "mongodb://…" or
// "sqlite:path", or a file: SQLite by its extension, else CSV, TSV, JSON,
// Parquet or Excel. The error never holds the password.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	scheme, ok := schemeOf(address)
	openersMu.RLock()
	open := openers[scheme]
	openersMu.RUnlock()
	switch {
	case open != nil:
		return open(ctx, address, o)
	case ok && scheme == "duckdb":
		return nil, &strands.InputError{Field: "database " + redacted(address), Reason: "DuckDB needs cgo and is not built in; build codeagent with CGO_ENABLED=1 and -tags duckdb, or import data/duckdb"}
	case ok && strings.Contains(address, "://"):
		return nil, &strands.InputError{Field: "database " + redacted(address), Reason: fmt.Sprintf(
			"%q is no kind of database; it is one of %s, or a file", scheme, strings.Join(kinds(), ", "))}
	case isFile(address):
		return OpenFiles(ctx, o, address)
	}
	if _, err := os.Stat(address); err != nil {
		return nil, &strands.InputError{Field: "database " + redacted(address), Reason: "there is no such file, and it is no address such as postgres://user:password@host/database"}
	}
	return nil, &strands.InputError{Field: "database " + address, Reason: fmt.Sprintf(
		"files with the extension %q are not known; they are %s", filepath.Ext(address), strings.Join(fileKinds(), ", "))}
}

// schemeOf is the scheme of an address, or the kind of database that a file
// is by its extension.
func schemeOf(address string) (string, bool) {
	if scheme, _, ok := strings.Cut(address, ":"); ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\.`) {
		return strings.ToLower(scheme), true
	}
	ext := strings.ToLower(filepath.Ext(address))
	if ext == ".duckdb" {
		return "duckdb", true
	}
	openersMu.RLock()
	defer openersMu.RUnlock()
	scheme, ok := extensions[ext]
	return scheme, ok
}

func kinds() []string {
	openersMu.RLock()
	defer openersMu.RUnlock()
	var all []string
	for k := range openers {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// redacted is an address without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		scheme, _, _ := strings.Cut(address, ":")
		return scheme + ":…"
	}
	return u.Redacted()
}

// nameOf is the name of a store whose caller gave none.
func nameOf(o Options, database string) Options {
	base := strings.TrimSuffix(filepath.Base(database), filepath.Ext(database))
	if o.Name == "" && base != "." && base != "/" {
		o.Name = base
	}
	return o
}
