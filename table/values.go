package table

import (
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// FromValues makes a table of rows of Go values, as Rows yields them: nil,
// bool, numbers, strings, []byte, time.Time and Decimal. A column has the type
// that all its values have; of mixed ones it is floats, or text. A row that
// has not as many values as there are columns is an error.
func FromValues(columns []string, rows iter.Seq[[]any]) (Table, error) {
	made := make([]*column, len(columns))
	for i := range made {
		made[i] = newColumn(0)
	}
	count := 0
	for row := range rows {
		if len(row) != len(columns) {
			return Table{}, fmt.Errorf("table: row %d has %d values for %d columns", count+1, len(row), len(columns))
		}
		for i, v := range row {
			made[i].append(v)
		}
		count++
	}
	fields := make([]arrow.Field, len(made))
	arrays := make([]arrow.Array, len(made))
	for i, c := range made {
		arrays[i] = c.finish()
		fields[i] = arrow.Field{Name: columns[i], Type: arrays[i].DataType(), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return Table{schema: schema, records: []arrow.RecordBatch{array.NewRecordBatch(schema, arrays, int64(count))}}, nil
}
