package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strandsgo/strands"
)

// sheet is a table in a file. Its rows can be read more than once; a value is
// nil, a bool, an int64, a float64, a time.Time, []byte or a string.
type sheet struct {
	name    string
	columns []string
	typed   bool // the values have their types; else texts are looked at
	rows    iter.Seq2[[]any, error]
}

// readers of files, by extension.
var readers = map[string]func(path, name string) ([]sheet, error){
	".csv": readCSV, ".tsv": readCSV, ".txt": readCSV, ".json": readJSON, ".jsonl": readJSON, ".ndjson": readJSON,
	".parquet": readParquet, ".xlsx": readExcel, ".xlsm": readExcel,
}

func fileKinds() []string {
	all := make([]string, 0, len(readers)+len(extensions))
	for k := range readers {
		all = append(all, k)
	}
	for k := range extensions {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && readers[strings.ToLower(filepath.Ext(path))] != nil
}

// OpenFiles makes one store of files: CSV and TSV, JSON (a list of objects, or
// one on each line), Parquet and Excel. Each becomes a table named like the
// file, of a workbook each sheet does. They are copied into a SQLite database
// in the folder for temporary files, which Close removes; later changes of the
// files are not seen. Text that is not UTF-8 is read as Windows-1252.
func OpenFiles(ctx context.Context, o Options, paths ...string) (_ *Store, err error) {
	if len(paths) == 0 {
		return nil, &strands.InputError{Field: "paths", Reason: "name at least one file"}
	}
	dir, err := os.MkdirTemp("", "strands-data-")
	if err != nil {
		return nil, fmt.Errorf("loading files: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	file := filepath.Join(dir, "files.sqlite")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)")
	if err != nil {
		return nil, fmt.Errorf("loading files: %w", err)
	}
	l := loader{db: db, taken: map[string]bool{}}
	for _, p := range paths {
		if err = l.load(ctx, p); err != nil {
			return nil, errors.Join(fmt.Errorf("loading %s: %w", p, err), db.Close())
		}
	}
	if err = db.Close(); err != nil {
		return nil, fmt.Errorf("loading files: %w", err)
	}
	e := newSQLite(file, o)
	e.after = func() error { return os.RemoveAll(dir) }
	e.dialect.Name = "a copy of files in SQLite"
	return New(ctx, e, nameOf(o, paths[0]))
}

// loader copies sheets into a database.
type loader struct {
	db    *sql.DB
	taken map[string]bool // names of tables, in lower case
}

func (l *loader) load(ctx context.Context, path string) error {
	ext := strings.ToLower(filepath.Ext(path))
	read := readers[ext]
	if read == nil {
		return &strands.InputError{Field: "file " + path, Reason: fmt.Sprintf("%q is none of %s", ext, strings.Join(fileKinds(), ", "))}
	}
	sheets, err := read(path, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	if err != nil {
		return err
	}
	for _, s := range sheets {
		if len(s.columns) == 0 {
			return fmt.Errorf("%s has no columns", s.name)
		}
		if err := l.copy(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) copy(ctx context.Context, s sheet) error {
	kinds := make([]cellKind, len(s.columns))
	for row, err := range s.rows {
		if err != nil {
			return err
		}
		for i := range kinds {
			if i < len(row) {
				kinds[i] = kinds[i].with(row[i], s.typed)
			}
		}
	}
	name := s.name
	if strings.HasPrefix(strings.ToLower(name), "sqlite_") { // SQLite keeps those for itself
		name = "_" + name
	}
	name = unique(name, l.taken)
	dialect := SQL{Quote: `"`}
	taken := map[string]bool{}
	var columns, marks []string
	for i, c := range s.columns {
		if c = strings.TrimSpace(c); c == "" {
			c = fmt.Sprintf("column%d", i+1)
		}
		columns = append(columns, dialect.quoted(unique(c, taken))+" "+kinds[i].declared())
		marks = append(marks, "?")
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect after Commit
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("CREATE TABLE %s (%s)", dialect.quoted(name), strings.Join(columns, ", "))); err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%s)", dialect.quoted(name), strings.Join(marks, ", ")))
	if err != nil {
		return err
	}
	defer insert.Close()
	n := int64(0)
	values := make([]any, len(kinds))
	for row, err := range s.rows {
		if err != nil {
			return err
		}
		for i := range values {
			values[i] = nil
			if i < len(row) {
				values[i] = kinds[i].value(row[i], s.typed)
			}
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return fmt.Errorf("row %d of %s: %w", n+1, name, err)
		}
		n++
	}
	return tx.Commit()
}

func unique(name string, taken map[string]bool) string {
	base := name
	for n := 2; taken[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	taken[strings.ToLower(name)] = true
	return name
}

// cellKind is what all values of a column are.
type cellKind int

const (
	empty cellKind = iota
	wholeNumber
	number
	truth
	day
	instant
	binary
	words
)

func (k cellKind) declared() string {
	switch k {
	case wholeNumber:
		return "INTEGER"
	case number:
		return "REAL"
	case truth:
		return "BOOLEAN"
	case day:
		return "DATE"
	case instant:
		return "TIMESTAMP"
	case binary:
		return "BLOB"
	}
	return "TEXT"
}

// with is the kind of a column that has v too.
func (k cellKind) with(v any, typed bool) cellKind {
	next := kindOf(v, typed)
	switch {
	case next == empty, next == k:
		return k
	case k == empty:
		return next
	case k == wholeNumber && next == number, k == number && next == wholeNumber:
		return number
	case k == day && next == instant, k == instant && next == day:
		return instant
	}
	return words
}

func kindOf(v any, typed bool) cellKind {
	switch v := v.(type) {
	case nil:
		return empty
	case bool:
		return truth
	case int64:
		return wholeNumber
	case float64:
		return number
	case time.Time:
		return instant
	case []byte:
		return binary
	case string:
		if typed {
			return words
		}
		return kindOfText(strings.TrimSpace(v))
	}
	return words
}

// kindOfText looks at a text. "007" is no number: it would not come back.
func kindOfText(s string) cellKind {
	if s == "" {
		return empty
	}
	digits := strings.TrimPrefix(s, "-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return words
	}
	if _, err := strconv.ParseInt(s, 10, 64); err == nil && s[0] != '+' {
		return wholeNumber
	}
	if digits != "" && (digits[0] >= '0' && digits[0] <= '9' || digits[0] == '.') && !strings.ContainsAny(s, "_xXpP") {
		if len(strings.Trim(digits, "0123456789")) == 0 {
			return words // a whole number that is too large
		}
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return number
		}
	}
	if _, err := time.Parse(time.DateOnly, s); err == nil {
		return day
	}
	if _, ok := parseInstant(s); ok {
		return instant
	}
	return words
}

func parseInstant(s string) (time.Time, bool) {
	for _, layout := range []string{time.DateTime, time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// value is v as it is stored in a column of kind k.
func (k cellKind) value(v any, typed bool) any {
	s, isText := v.(string)
	if !isText {
		if k == words && v != nil {
			return fmt.Sprint(v)
		}
		if t, ok := v.(time.Time); ok {
			return storedInstant(t)
		}
		return v
	}
	if typed || k == words {
		return v
	}
	s = strings.TrimSpace(s)
	switch k {
	case wholeNumber:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
	case number:
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
	case day:
		if s != "" {
			return s
		}
	case instant:
		if t, ok := parseInstant(s); ok {
			return storedInstant(t)
		}
		if s != "" {
			return s + " 00:00:00"
		}
	}
	return nil
}

// storedInstant is a time as SQLite compares it: as text, so all in one zone.
func storedInstant(t time.Time) string {
	return t.UTC().Format("2006-01-02 15:04:05.999999999-07:00")
}
