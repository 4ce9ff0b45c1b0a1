// Package table lets tools take and return tables of any size. A Table is Arrow
// data: made of records, of a slice of structs or of the rows of a query, it
// arrives in Python as a pandas DataFrame, and a DataFrame given to a function
// whose argument is a Table arrives as Arrow records. Between the two it
// travels as it lies in memory and is never written as text.
//
//	strands.NewTool("sales", "All sales.", func(ctx context.Context, _ struct{}) (table.Table, error) {
//		rows, err := db.QueryContext(ctx, "SELECT * FROM sales")
//		if err != nil {
//			return table.Table{}, err
//		}
//		return table.FromRows(rows, table.Limits{})
//	})
//
// The same tool called by a model as a JSON tool answers with a preview: the
// columns, the number of rows and the first of them.
//
// # Big data
//
// A table is written once, to where the session reads it: 100 MB become a
// DataFrame in about 40 ms of processor time, and nothing else is copied in
// Python but text and null integers. That needs pandas and
// pyarrow among the requirements of the session; preload both, importing pyarrow
// takes a tenth of a second. Without pyarrow a DataFrame is made of rows that
// travel as text, up to 64 MiB of it; without pandas it is a pyarrow.Table, and
// with neither a list of objects with attributes.
//
// Dates become datetime64, instants keep their zone, decimals are
// decimal.Decimal, and null integers and bools have the types Int64 and boolean
// that can be null. In the other direction an index with a name becomes columns;
// one without is left out.
//
// One message carries at most 1 GiB, and what a session holds on to counts
// against Limits.Memory. For more, yield tables: an iter.Seq2[Table, error], as
// Chunks makes it of a query, is a generator of DataFrames in Python.
package table

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// Table is a sequence of Arrow records of one schema. It is never changed after
// it was made and can be copied, shared and used concurrently. The zero Table
// has no columns. As an argument of a tool it is required, *Table is optional.
//
// A table keeps its records alive; those of an allocator that counts
// references are released by Release.
type Table struct {
	schema  *arrow.Schema
	records []arrow.RecordBatch
	note    string
}

// FromRecords makes a table of records, which it retains. All have the schema
// of the first.
func FromRecords(records ...arrow.RecordBatch) (Table, error) {
	if len(records) == 0 {
		return Table{}, nil
	}
	t := Table{schema: records[0].Schema()}
	for i, r := range records {
		if !r.Schema().Equal(t.schema) {
			return Table{}, fmt.Errorf("table: record %d has another schema than the first", i)
		}
	}
	for _, r := range records {
		r.Retain()
	}
	t.records = slices.Clone(records)
	return t, nil
}

// Schema returns the columns; nil when there are none.
func (t Table) Schema() *arrow.Schema { return t.schema }

// Len is the number of rows.
func (t Table) Len() int {
	n := int64(0)
	for _, r := range t.records {
		n += r.NumRows()
	}
	return int(n)
}

// Note is what the reader of the table must know, such as that rows were left
// out; "" = nothing. A model sees it with the preview, Python code as a warning
// and as df.attrs["note"].
func (t Table) Note() string { return t.note }

// WithNote returns the table with another note.
func (t Table) WithNote(note string) Table {
	t.note = note
	return t
}

// Records yields the records. They are the table's: retain what is to outlive
// a Release.
func (t Table) Records() iter.Seq[arrow.RecordBatch] { return slices.Values(t.records) }

// Release gives the records back to the allocator they are from. The table must
// not be used afterwards. Tables that this package made need no Release.
func (t Table) Release() {
	for _, r := range t.records {
		r.Release()
	}
}

// MIME is the format that WriteTo writes.
const MIME = "application/vnd.apache.arrow.stream"

// MIME implements the part of python that hands big data over.
func (Table) MIME() string { return MIME }

const noteKey = "strands.note" // in the metadata of the schema

// WriteTo writes the table as an Arrow IPC stream.
func (t Table) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	schema := t.schema
	if schema == nil {
		schema = arrow.NewSchema(nil, nil)
	}
	if t.note != "" {
		meta := schema.Metadata().ToMap()
		meta[noteKey] = t.note
		whole := arrow.MetadataFrom(meta)
		schema = arrow.NewSchema(schema.Fields(), &whole)
	}
	out := ipc.NewWriter(counted, ipc.WithSchema(schema))
	var err error
	for _, r := range t.records {
		if err = out.Write(r); err != nil {
			break
		}
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return counted.n, fmt.Errorf("table: writing Arrow data: %w", err)
	}
	return counted.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
