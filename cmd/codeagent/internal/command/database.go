package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/data"
)

// databaseFlags are the databases that code may ask.
type databaseFlags struct {
	db    []string
	write bool
}

func (f *databaseFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.db, "db", nil, "let the code query a database: [NAME=]ADDRESS with an address like postgres://…, mysql://…, mongodb://…,\nor a file: .sqlite, .csv, .json, .parquet, .xlsx (repeatable; brings pandas)")
	fs.BoolVar(&f.write, "db-write", false, "let the code change what is in these databases")
}

// frames brings what query results are shown as.
var frames = codeagent.Toolkit{
	Libraries:          []string{"pandas.*", "numpy.*"},
	Requirements:       []string{"pandas", "pyarrow"},
	Preload:            []string{"pyarrow", "pandas"},
	InitializationCode: "import pandas as pd",
}

// databases opens them as objects of the REPL.
func (f *databaseFlags) databases(ctx context.Context, logger *slog.Logger) (kits []codeagent.Toolkit, stores []*data.Store, err error) {
	if f.write && len(f.db) == 0 {
		return nil, nil, usagef("--db-write is for --db; give --db too")
	}
	defer func() {
		if err == nil {
			return
		}
		for _, s := range stores {
			err = errors.Join(err, s.Close())
		}
		stores = nil
	}()
	taken := map[string]bool{}
	for _, d := range f.db {
		name, address := databaseName(d)
		s, err := data.Open(ctx, address, data.Options{Name: name, Write: f.write, Logger: logger})
		if err != nil {
			return nil, stores, fmt.Errorf("--db: %w", err)
		}
		stores = append(stores, s)
		name = pythonName(s.Name())
		if taken[name] {
			return nil, stores, usagef("--db: two databases are called %s; name one, as in --db other=ADDRESS", name)
		}
		taken[name] = true
		kits = append(kits, codeagent.ObjectOf(name, s))
	}
	if len(stores) > 0 {
		data.Relate(stores...)
		kits = append([]codeagent.Toolkit{frames}, kits...)
	}
	return kits, stores, nil
}

// databaseName takes the name off the front of a --db.
func databaseName(s string) (name, address string) {
	name, address, ok := strings.Cut(s, "=")
	if !ok || strings.ContainsAny(name, ":/.\\?") {
		return "", s // the = belongs to the address
	}
	return name, address
}

// pythonName is s as the name of an object of the REPL.
func pythonName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return "db_" + s
	}
	return s
}
