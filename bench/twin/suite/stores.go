package suite

import (
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite"
)

// sheet is a table before it is in a store. Its values are string, int,
// float64 or nil; a column has values of one type, and none that is nil only.
type sheet struct {
	name    string
	columns []string
	rows    [][]any
}

// file is where sheets are kept: SQLite for any number of them, else CSV,
// JSON or Parquet for one.
type file struct {
	name   string // of the store
	format string // "sqlite", "csv", "json", "parquet"
	sheets []sheet
}

// write writes the store into a folder, and returns its address.
func (f file) write(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, f.name+"."+f.format)
	var err error
	switch f.format {
	case "sqlite":
		err = writeSQLite(ctx, path, f.sheets)
	case "csv":
		err = writeCSV(path, f.sheets[0])
	case "json":
		err = writeJSON(path, f.sheets[0])
	case "parquet":
		err = writeParquet(path, f.sheets[0])
	}
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return path, nil
}

// sqlTypes are the types of the columns, in SQL that both databases know.
func (s sheet) sqlTypes() string {
	var b strings.Builder
	for i, c := range s.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		switch s.sample(i).(type) {
		case int:
			b.WriteString(c + " BIGINT")
		case float64:
			b.WriteString(c + " DOUBLE PRECISION")
		default:
			b.WriteString(c + " TEXT")
		}
	}
	return b.String()
}

// sample is a value of a column.
func (s sheet) sample(column int) any {
	for _, r := range s.rows {
		if r[column] != nil {
			return r[column]
		}
	}
	return nil
}

func writeSQLite(ctx context.Context, path string, sheets []sheet) (err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	for _, s := range sheets {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE "+s.name+" ("+s.sqlTypes()+")"); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, "INSERT INTO "+s.name+" VALUES (?"+strings.Repeat(", ?", len(s.columns)-1)+")")
		if err != nil {
			return err
		}
		for _, r := range s.rows {
			if _, err := insert.ExecContext(ctx, r...); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// writePostgres puts sheets into a database of their own, and returns its
// address.
func writePostgres(ctx context.Context, server, name string, sheets []sheet) (_ string, err error) {
	at, err := url.Parse(server)
	if err != nil {
		return "", errors.New("the address of PostgreSQL is no URL like postgres://user:password@host/database")
	}
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", fmt.Errorf("PostgreSQL at %s cannot be reached: %w", at.Host, firstLine(err))
	}
	defer func() { err = errors.Join(err, admin.Close(ctx)) }()
	for _, q := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := admin.Exec(ctx, q); err != nil {
			return "", fmt.Errorf("making the database %s: %w", name, err)
		}
	}
	at.Path = "/" + name
	db, err := pgx.Connect(ctx, at.String())
	if err != nil {
		return "", firstLine(err)
	}
	defer func() { err = errors.Join(err, db.Close(ctx)) }()
	for _, s := range sheets {
		if _, err := db.Exec(ctx, "CREATE TABLE "+s.name+" ("+s.sqlTypes()+")"); err != nil {
			return "", err
		}
		if _, err := db.CopyFrom(ctx, pgx.Identifier{s.name}, s.columns, pgx.CopyFromRows(s.rows)); err != nil {
			return "", err
		}
	}
	return at.String(), nil
}

// firstLine is an error without the list of all that was tried.
func firstLine(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}

// create makes a file and lets f write it.
func create(path string, f func(*os.File) error) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f(out), out.Close())
}

func writeCSV(path string, s sheet) error {
	return create(path, func(out *os.File) error {
		w := csv.NewWriter(out)
		if err := w.Write(s.columns); err != nil {
			return err
		}
		record := make([]string, len(s.columns))
		for _, r := range s.rows {
			for i, v := range r {
				record[i] = ""
				if v != nil {
					record[i] = fmt.Sprint(v)
				}
			}
			if err := w.Write(record); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	})
}

func writeJSON(path string, s sheet) error {
	objects := make([]map[string]any, len(s.rows))
	for i, r := range s.rows {
		objects[i] = make(map[string]any, len(r))
		for c, v := range r {
			objects[i][s.columns[c]] = v
		}
	}
	raw, err := json.Marshal(objects)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

func writeParquet(path string, s sheet) error {
	fields := make([]arrow.Field, len(s.columns))
	for i, c := range s.columns {
		fields[i] = arrow.Field{Name: c, Type: arrow.BinaryTypes.String, Nullable: true}
		switch s.sample(i).(type) {
		case int:
			fields[i].Type = arrow.PrimitiveTypes.Int64
		case float64:
			fields[i].Type = arrow.PrimitiveTypes.Float64
		}
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	for _, r := range s.rows {
		for i, v := range r {
			switch v := v.(type) {
			case nil:
				b.Field(i).AppendNull()
			case int:
				b.Field(i).(*array.Int64Builder).Append(int64(v))
			case float64:
				b.Field(i).(*array.Float64Builder).Append(v)
			case string:
				b.Field(i).(*array.StringBuilder).Append(v)
			}
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	return create(path, func(out *os.File) error {
		w, err := pqarrow.NewFileWriter(batch.Schema(), keepOpen{out}, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
		if err != nil {
			return err
		}
		return errors.Join(w.Write(batch), w.Close())
	})
}

// keepOpen hides Close: the Parquet writer would close the file, too.
type keepOpen struct{ f *os.File }

// Write implements io.Writer.
func (k keepOpen) Write(p []byte) (int, error) { return k.f.Write(p) }
