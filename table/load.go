package table

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/strandsgo/strands/internal/ticket"
)

// What Python code passes to a function comes from a stranger. Arrow's own IPC
// format is no way for that: its metadata are flatbuffers, and arrow-go
// allocates whatever they claim. So a worker sends the buffers of the columns
// as they are, and behind them a description in JSON, every number of which is
// checked here.

const (
	columnsMIME = "application/vnd.strands.columns"
	maxHeader   = 16 << 20
	maxNulls    = 1 << 24 // rows of a column that takes no room
)

// described is a column as a worker describes it.
type described struct {
	Name      string      `json:"name"`
	Type      string      `json:"type"`
	Unit      string      `json:"unit"`
	Zone      string      `json:"zone"`
	Precision int32       `json:"precision"`
	Scale     int32       `json:"scale"`
	Length    int         `json:"length"`
	Buffers   []*[2]int64 `json:"buffers"` // offset and size; nil = none
	Children  []described `json:"children"`
}

// loadTicket reads the table that a ticket stands for. What lies in memory is
// used where it is.
func loadTicket(d ticket.Data) (Table, error) {
	data := d.Memory
	if data == nil {
		data = make([]byte, d.Size)
		if _, err := io.ReadFull(io.NewSectionReader(d, 0, d.Size), data); err != nil {
			return Table{}, fmt.Errorf("table: reading: %w", err)
		}
	}
	return load(data)
}

// load makes a table of data, whose memory it keeps: buffers, their description,
// and the size of that in 8 bytes.
func load(data []byte) (Table, error) {
	size := len(data)
	if size < 8 {
		return Table{}, errors.New("table: no description")
	}
	data, tail := data[:size-8], data[size-8:]
	n := binary.LittleEndian.Uint64(tail)
	if n > maxHeader || n > uint64(len(data)) {
		return Table{}, fmt.Errorf("table: a description of %d bytes", n)
	}
	data, header := data[:len(data)-int(n)], data[len(data)-int(n):]
	var in struct {
		Rows    int         `json:"rows"`
		Columns []described `json:"columns"`
	}
	if err := json.Unmarshal(header, &in); err != nil {
		return Table{}, fmt.Errorf("table: description: %w", err)
	}
	if in.Rows < 0 || len(in.Columns) == 0 && in.Rows > 0 {
		return Table{}, fmt.Errorf("table: %d rows", in.Rows)
	}
	fields := make([]arrow.Field, len(in.Columns))
	columns := make([]arrow.Array, len(in.Columns))
	for i, d := range in.Columns {
		c, err := d.column(data, 0)
		if err == nil && c.Len() != in.Rows {
			err = fmt.Errorf("%d values in %d rows", c.Len(), in.Rows)
		}
		if err != nil {
			return Table{}, fmt.Errorf("table: column %q: %w", d.Name, err)
		}
		columns[i] = array.MakeFromData(c)
		fields[i] = arrow.Field{Name: d.Name, Type: c.DataType(), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return Table{schema: schema, records: []arrow.RecordBatch{array.NewRecordBatch(schema, columns, int64(in.Rows))}}, nil
}

var errShort = errors.New("a buffer is too short")

// column makes the column that d describes, of buffers in data.
func (d described) column(data []byte, depth int) (*array.Data, error) {
	if depth > deepest {
		return nil, errors.New("nested too deep")
	}
	if d.Length < 0 || d.Length > 8*len(data) && d.Length > maxNulls {
		return nil, fmt.Errorf("%d values", d.Length)
	}
	switch d.Type {
	case "null":
		return array.NewData(arrow.Null, d.Length, []*memory.Buffer{nil}, nil, d.Length, 0), nil
	case "struct", "list", "large_list", "map":
		return d.nested(data, depth)
	case "utf8", "binary", "large_utf8", "large_binary":
		return d.text(data)
	}
	t, err := d.fixedType()
	if err != nil {
		return nil, err
	}
	valid, err := d.validity(data)
	if err != nil {
		return nil, err
	}
	values, err := d.buffer(data, 1, (int64(d.Length)*int64(t.BitWidth())+7)/8)
	if err != nil {
		return nil, err
	}
	return array.NewData(t, d.Length, []*memory.Buffer{valid, values}, nil, nulls(valid, d.Length), 0), nil
}

// buffer returns buffer i, which must have at least least bytes.
func (d described) buffer(data []byte, i int, least int64) (*memory.Buffer, error) {
	if i >= len(d.Buffers) || d.Buffers[i] == nil {
		if least > 0 {
			return nil, errShort
		}
		return memory.NewBufferBytes(nil), nil
	}
	at, n := d.Buffers[i][0], d.Buffers[i][1]
	switch {
	case at < 0 || n < 0 || at > int64(len(data)) || n > int64(len(data))-at:
		return nil, errors.New("a buffer lies outside of the data")
	case at%8 != 0:
		return nil, errors.New("a buffer is not aligned")
	case n < least:
		return nil, errShort
	}
	return memory.NewBufferBytes(data[at : at+n : at+n]), nil
}

// validity returns the bits that say what is not null; nil = everything is.
func (d described) validity(data []byte) (*memory.Buffer, error) {
	if len(d.Buffers) == 0 || d.Buffers[0] == nil {
		return nil, nil
	}
	return d.buffer(data, 0, int64(d.Length+7)/8)
}

func nulls(valid *memory.Buffer, length int) int {
	if valid == nil {
		return 0
	}
	return length - bitutil.CountSetBits(valid.Bytes(), 0, length)
}

var fixedTypes = map[string]arrow.FixedWidthDataType{
	"bool": arrow.FixedWidthTypes.Boolean,
	"int8": &arrow.Int8Type{}, "int16": &arrow.Int16Type{}, "int32": &arrow.Int32Type{}, "int64": &arrow.Int64Type{},
	"uint8": &arrow.Uint8Type{}, "uint16": &arrow.Uint16Type{}, "uint32": &arrow.Uint32Type{}, "uint64": &arrow.Uint64Type{},
	"float32": &arrow.Float32Type{}, "float64": &arrow.Float64Type{}, "date32": &arrow.Date32Type{}, "date64": &arrow.Date64Type{},
}

var units = map[string]arrow.TimeUnit{"s": arrow.Second, "ms": arrow.Millisecond, "us": arrow.Microsecond, "ns": arrow.Nanosecond}

func (d described) fixedType() (arrow.FixedWidthDataType, error) {
	if t := fixedTypes[d.Type]; t != nil {
		return t, nil
	}
	unit, known := units[d.Unit]
	small := unit == arrow.Second || unit == arrow.Millisecond
	fits := func(most int32) bool {
		return d.Precision >= 1 && d.Precision <= most && d.Scale >= -most && d.Scale <= most
	}
	switch {
	case d.Type == "timestamp" && known && len(d.Zone) <= 64:
		return &arrow.TimestampType{Unit: unit, TimeZone: d.Zone}, nil
	case d.Type == "duration" && known:
		return &arrow.DurationType{Unit: unit}, nil
	case d.Type == "time32" && known && small:
		return &arrow.Time32Type{Unit: unit}, nil
	case d.Type == "time64" && known && !small:
		return &arrow.Time64Type{Unit: unit}, nil
	case d.Type == "decimal128" && fits(38):
		return &arrow.Decimal128Type{Precision: d.Precision, Scale: d.Scale}, nil
	case d.Type == "decimal256" && fits(76):
		return &arrow.Decimal256Type{Precision: d.Precision, Scale: d.Scale}, nil
	}
	return nil, fmt.Errorf("the type %.40q", d.Type)
}

// offsets returns buffer 1 as offsets into size values, checked.
func (d described) offsets(data []byte, wide bool, size int64) (*memory.Buffer, error) {
	width := 4
	if wide {
		width = 8
	}
	if d.Length == 0 { // then there need not be any
		return memory.NewBufferBytes(make([]byte, width)), nil
	}
	b, err := d.buffer(data, 1, int64(width)*int64(d.Length+1))
	if err != nil {
		return nil, err
	}
	last := int64(0)
	for i := range d.Length + 1 {
		var at int64
		if wide {
			at = int64(binary.LittleEndian.Uint64(b.Bytes()[i*8:]))
		} else {
			at = int64(int32(binary.LittleEndian.Uint32(b.Bytes()[i*4:])))
		}
		if at < last || at > size {
			return nil, errors.New("an offset leads nowhere")
		}
		last = at
	}
	return b, nil
}

func (d described) text(data []byte) (*array.Data, error) {
	types := map[string]arrow.DataType{
		"utf8": arrow.BinaryTypes.String, "binary": arrow.BinaryTypes.Binary,
		"large_utf8": arrow.BinaryTypes.LargeString, "large_binary": arrow.BinaryTypes.LargeBinary,
	}
	valid, err := d.validity(data)
	if err != nil {
		return nil, err
	}
	values, err := d.buffer(data, 2, 0)
	if err != nil {
		return nil, err
	}
	offsets, err := d.offsets(data, d.Type[:3] == "lar", int64(values.Len()))
	if err != nil {
		return nil, err
	}
	return array.NewData(types[d.Type], d.Length, []*memory.Buffer{valid, offsets, values}, nil, nulls(valid, d.Length), 0), nil
}

func (d described) nested(data []byte, depth int) (*array.Data, error) {
	valid, err := d.validity(data)
	if err != nil {
		return nil, err
	}
	var children []arrow.ArrayData
	var fields []arrow.Field
	for _, c := range d.Children {
		child, err := c.column(data, depth+1)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
		fields = append(fields, arrow.Field{Name: c.Name, Type: child.DataType(), Nullable: true})
	}
	if d.Type == "struct" {
		for _, c := range children {
			if c.Len() != d.Length {
				return nil, errors.New("fields of different lengths")
			}
		}
		return array.NewData(arrow.StructOf(fields...), d.Length, []*memory.Buffer{valid}, children, nulls(valid, d.Length), 0), nil
	}
	if len(children) != 1 {
		return nil, fmt.Errorf("a %s of %d columns", d.Type, len(children))
	}
	offsets, err := d.offsets(data, d.Type == "large_list", int64(children[0].Len()))
	if err != nil {
		return nil, err
	}
	var t arrow.DataType
	switch d.Type {
	case "list":
		t = arrow.ListOf(fields[0].Type)
	case "large_list":
		t = arrow.LargeListOf(fields[0].Type)
	default:
		entry, ok := fields[0].Type.(*arrow.StructType)
		if !ok || entry.NumFields() != 2 || children[0].(*array.Data).Children()[0].NullN() > 0 {
			return nil, errors.New("a map of what are no keys and values")
		}
		t = arrow.MapOf(entry.Field(0).Type, entry.Field(1).Type)
	}
	return array.NewData(t, d.Length, []*memory.Buffer{valid, offsets}, children, nulls(valid, d.Length), 0), nil
}
