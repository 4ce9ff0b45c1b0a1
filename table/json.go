package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/strandsgo/strands/internal/ticket"
)

const (
	previewRows  = 20
	previewBytes = 8 << 10 // of the rows in it
)

// JSONSchema says how a table looks in the arguments of a tool: a model writes
// rows, Python code passes a DataFrame.
func (Table) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":["array","object"],"items":{"type":"object"},"format":"dataframe"}`)
}

// MarshalJSON writes a preview for a model: the columns with their types, the
// number of rows and the first of them. The whole of a table is not written as
// JSON; Rows has it.
func (t Table) MarshalJSON() ([]byte, error) {
	type field struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	p := struct {
		Columns []field           `json:"columns"`
		Length  int               `json:"row_count"`
		Rows    []json.RawMessage `json:"rows"`
		Note    string            `json:"note,omitempty"`
	}{Columns: []field{}, Length: t.Len(), Rows: []json.RawMessage{}, Note: t.note}
	if t.schema != nil {
		for _, f := range t.schema.Fields() {
			p.Columns = append(p.Columns, field{f.Name, f.Type.String()})
		}
	}
	size := 0
	for _, r := range t.records {
		for i := 0; i < int(r.NumRows()) && len(p.Rows) < previewRows && size < previewBytes; i++ {
			row, err := jsonRow(r, i)
			if err != nil {
				return nil, err
			}
			size += len(row)
			p.Rows = append(p.Rows, row)
		}
	}
	if len(p.Rows) < p.Length && p.Note == "" {
		p.Note = fmt.Sprintf("the first %d of %d rows", len(p.Rows), p.Length)
	}
	return json.Marshal(p)
}

const previewCell = 200 // bytes

// jsonRow writes a row as an object, its keys in the order of the columns.
func jsonRow(r arrow.RecordBatch, row int) ([]byte, error) {
	b := []byte{'{'}
	for i, c := range r.Columns() {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(r.ColumnName(i))
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(c.GetOneForMarshal(row))
		if err != nil {
			return nil, fmt.Errorf("table: column %s: %w", r.ColumnName(i), err)
		}
		if len(value) > previewCell {
			if value, err = json.Marshal(fmt.Sprintf("(%d bytes) %.100s…", len(value), value)); err != nil {
				return nil, err
			}
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// UnmarshalJSON reads what a call brings: a table that Python code passes, or a
// list of row objects that a model writes. Errors say what is wrong with it.
func (t *Table) UnmarshalJSON(b []byte) error {
	if d, ok := ticket.Redeem(b); ok {
		if d.MIME != columnsMIME {
			return fmt.Errorf("a table was expected and %s came", d.MIME)
		}
		read, err := loadTicket(d)
		if err == nil {
			*t = read
		}
		return err
	}
	if string(b) == "null" {
		return nil
	}
	read, err := fromJSON(b)
	if err == nil {
		*t = read
	}
	return err
}

// Columns are the names of the columns, for readers that do not know Arrow.
func (t Table) Columns() []string {
	var names []string
	if t.schema != nil {
		for _, f := range t.schema.Fields() {
			names = append(names, f.Name)
		}
	}
	return names
}

// Rows yields the rows, with Go values: numbers, strings, []byte, time.Time,
// Decimal, []any, map[string]any and nil. The slice is the caller's.
func (t Table) Rows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, r := range t.records {
			for i := range int(r.NumRows()) {
				row := make([]any, r.NumCols())
				for c, column := range r.Columns() {
					row[c] = valueAt(column, i)
				}
				if !yield(row) {
					return
				}
			}
		}
	}
}

// fromJSON reads a list of objects, or columns and rows as Python without
// pyarrow sends them. Columns come in the order of their first appearance.
func fromJSON(b []byte) (Table, error) {
	g := grid{columns: map[string]*column{}}
	read := g.readRows
	if bytes.HasPrefix(b, []byte{'{'}) {
		read = g.readGrid
	}
	if err := read(b); err != nil {
		return Table{}, err
	}
	return g.table(), nil
}

// grid collects rows by the names of their columns.
type grid struct {
	names   []string
	columns map[string]*column
	count   int
}

// column returns the column called name, making it with nulls in the rows
// before.
func (g *grid) column(name string, hint kind) *column {
	c := g.columns[name]
	if c == nil {
		c = newColumn(hint)
		g.columns[name] = c
		g.names = append(g.names, name)
	}
	c.fill(g.count)
	return c
}

func (g *grid) readRows(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("a table must be a list of row objects")
	}
	for ; d.More(); g.count++ {
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return fmt.Errorf("row %d of the table is no object", g.count+1)
		}
		for d.More() {
			t, err := d.Token()
			if err != nil {
				return err
			}
			var v any
			if err := d.Decode(&v); err != nil {
				return err
			}
			c := g.column(t.(string), kindNone)
			if c.len() == g.count { // else the key is there twice
				c.append(fromNumber(v))
			}
		}
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	return nil
}

// readGrid reads {"columns":[[name, type],…], "rows":[[value,…],…]}.
func (g *grid) readGrid(b []byte) error {
	var in struct {
		Columns [][2]string `json:"columns"`
		Rows    [][]any     `json:"rows"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&in); err != nil || in.Columns == nil {
		return errors.New("a table must be a list of row objects")
	}
	for _, c := range in.Columns {
		g.column(c[0], hintOf(c[1]))
	}
	if len(g.names) != len(in.Columns) {
		return errors.New("two columns of the table have one name")
	}
	for _, row := range in.Rows {
		if len(row) != len(g.names) {
			return fmt.Errorf("row %d of the table has %d of %d values", g.count+1, len(row), len(g.names))
		}
		for i, v := range row {
			g.columns[g.names[i]].append(fromNumber(v))
		}
		g.count++
	}
	return nil
}

func (g *grid) table() Table {
	fields := make([]arrow.Field, len(g.names))
	arrays := make([]arrow.Array, len(g.names))
	for i, name := range g.names {
		c := g.columns[name]
		c.fill(g.count)
		arrays[i] = c.finish()
		fields[i] = arrow.Field{Name: name, Type: arrays[i].DataType(), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return Table{schema: schema, records: []arrow.RecordBatch{array.NewRecordBatch(schema, arrays, int64(g.count))}}
}

// fill adds nulls for rows in which the column was missing.
func (c *column) fill(rows int) {
	for c.len() < rows {
		c.append(nil)
	}
}

func (c *column) len() int {
	if c.values == nil {
		return c.nulls
	}
	return c.values.Len()
}

func fromNumber(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, _ := n.Float64() // the decoder has checked that it is a number
	return f
}
