package table

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// ReadFrom implements io.ReaderFrom for what WriteTo wrote. It is for data that
// is trusted, such as the file of a recorded run: what a stranger writes can
// make it allocate what the stream claims to hold. The count is not known, and
// 0.
func (t *Table) ReadFrom(r io.Reader) (int64, error) {
	stream, err := ipc.NewReader(r)
	if err != nil {
		return 0, fmt.Errorf("table: reading an Arrow stream: %w", err)
	}
	defer stream.Release()
	made := Table{schema: stream.Schema()}
	var records []arrow.RecordBatch
	for stream.Next() {
		rec := stream.RecordBatch()
		rec.Retain()
		records = append(records, rec)
	}
	if err := stream.Err(); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("table: reading an Arrow stream: %w", err)
	}
	made.records = records
	*t = made
	return 0, nil
}
