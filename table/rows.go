package table

import (
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Limits bound what is read of a query. Zero means the default, negative none.
type Limits struct {
	Rows  int   // 10,000,000
	Bytes int64 // of data, about; 256 MiB
	// Cut keeps the rows within the limits and says so in Note. Otherwise more
	// is a *TooBigError: a table that lacks rows gives wrong sums.
	Cut bool
	// Abandon is called when rows are left unread, before they are closed: to
	// cancel the query, since most drivers would read what is left. nil = not.
	Abandon func()
}

const (
	defaultRows  = 10_000_000
	defaultBytes = 256 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Rows == 0 {
		l.Rows = defaultRows
	}
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	return l
}

// TooBigError says that a query has more rows than its limits allow.
type TooBigError struct {
	Rows  int    // that were read
	Limit string // the limit that was reached: "10000000 rows", "256 MiB"
}

// Error implements error. The text tells a model what to do.
func (e *TooBigError) Error() string {
	return fmt.Sprintf("the result is larger than %s (%d rows were read); aggregate, filter or add a LIMIT", e.Limit, e.Rows)
}

// FromRows reads rows into a table and closes them. The types of the columns
// are those that the database declares and the values have: integers and
// floats, decimals that stay exact, text, bytes, dates, timestamps with and
// without a zone, true and false; null stays null. A column of mixed values
// becomes floats, or text. Memory is bounded by l; more is a *TooBigError
// unless l.Cut.
func FromRows(rows *sql.Rows, l Limits) (_ Table, err error) {
	var r *rowReader
	defer func() {
		if r != nil && r.more && l.Abandon != nil {
			l.Abandon()
			_ = rows.Close() // it fails because of that
			return
		}
		err = errors.Join(err, rows.Close())
	}()
	if r, err = newRowReader(rows); err != nil {
		return Table{}, err
	}
	return r.table(l.withDefaults())
}

// Chunks reads rows as tables of about the size of l, one after the other, and
// closes them: for results that shall not be in memory as a whole. As the
// output of a tool it is a generator of DataFrames in Python. Limits.Cut has no
// meaning here; the default of Limits.Rows is 100,000 and of Limits.Bytes 16
// MiB.
func Chunks(rows *sql.Rows, l Limits) iter.Seq2[Table, error] {
	if l.Rows == 0 {
		l.Rows = 100_000
	}
	if l.Bytes == 0 {
		l.Bytes = 16 << 20
	}
	l.Cut = true
	return func(yield func(Table, error) bool) {
		r, err := newRowReader(rows)
		for first := true; err == nil && (first || r.more); first = false {
			var t Table
			if t, err = r.table(l); err == nil && !yield(t.WithNote(""), nil) {
				_ = rows.Close() // nobody is left to tell
				return
			}
		}
		if err = errors.Join(err, rows.Close()); err != nil {
			yield(Table{}, err)
		}
	}
}

// rowReader reads the rows of a query.
type rowReader struct {
	rows  *sql.Rows
	names []string
	hints []kind
	dest  []any // pointers to values
	more  bool  // dest holds a row that belongs to the next table
}

func newRowReader(rows *sql.Rows) (*rowReader, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("table: reading the columns: %w", err)
	}
	r := &rowReader{rows: rows}
	taken := map[string]bool{}
	for i, t := range types {
		name := t.Name()
		if name == "" {
			name = fmt.Sprintf("column%d", i+1)
		}
		for n, base := 2, name; taken[name]; n++ { // a join may have two of a name
			name = fmt.Sprintf("%s_%d", base, n)
		}
		taken[name] = true
		r.names = append(r.names, name)
		r.hints = append(r.hints, hintOf(t.DatabaseTypeName()))
		r.dest = append(r.dest, new(any))
	}
	return r, nil
}

// table reads rows until a limit is reached.
func (r *rowReader) table(l Limits) (Table, error) {
	columns := make([]*column, len(r.names))
	for i := range columns {
		columns[i] = newColumn(r.hints[i])
	}
	count, size, note := 0, int64(0), ""
	for r.more || r.rows.Next() {
		if !r.more {
			if err := r.rows.Scan(r.dest...); err != nil {
				return Table{}, fmt.Errorf("table: reading row %d: %w", count+1, err)
			}
		}
		r.more = false
		if limit := l.reached(count, size); limit != "" {
			r.more = true
			if !l.Cut {
				return Table{}, &TooBigError{count, limit}
			}
			note = fmt.Sprintf("only the first %d rows are here: the result is larger than %s", count, limit)
			break
		}
		for i, c := range columns {
			size += c.append(*r.dest[i].(*any))
		}
		count++
	}
	if err := r.rows.Err(); err != nil {
		return Table{}, fmt.Errorf("table: reading rows: %w", err)
	}
	if l.Bytes > 0 && size > l.Bytes && !l.Cut { // by the last row, which may be all there is
		return Table{}, &TooBigError{count, l.reached(count, size)}
	}
	fields := make([]arrow.Field, len(columns))
	arrays := make([]arrow.Array, len(columns))
	for i, c := range columns {
		arrays[i] = c.finish()
		fields[i] = arrow.Field{Name: r.names[i], Type: arrays[i].DataType(), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return Table{schema: schema, note: note, records: []arrow.RecordBatch{array.NewRecordBatch(schema, arrays, int64(count))}}, nil
}

// reached names the limit that the next row would exceed; "" when there is
// none.
func (l Limits) reached(rows int, size int64) string {
	switch {
	case l.Rows > 0 && rows >= l.Rows:
		return fmt.Sprintf("%d rows", l.Rows)
	case l.Bytes > 0 && size >= l.Bytes:
		if l.Bytes < 1<<20 {
			return fmt.Sprintf("%d bytes", l.Bytes)
		}
		return fmt.Sprintf("%d MiB", l.Bytes>>20)
	}
	return ""
}
