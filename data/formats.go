package data

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/strandsgo/strands/table"
)

// readCSV reads values between separators: commas, semicolons, tabs or bars,
// whichever the first line has most of.
func readCSV(path, name string) ([]sheet, error) {
	decode, comma, err := looksLike(path)
	if err != nil {
		return nil, err
	}
	open := func() (*os.File, *csv.Reader, *ending, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, nil, err
		}
		end := &ending{from: decode(bufio.NewReaderSize(f, 1<<16))}
		r := csv.NewReader(end)
		r.Comma, r.ReuseRecord, r.FieldsPerRecord, r.LazyQuotes = comma, true, -1, true
		return f, r, end, nil
	}
	f, r, _, err := open()
	if err != nil {
		return nil, err
	}
	header, err := r.Read()
	header = slices.Clone(header)
	f.Close()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	rows := func(yield func([]any, error) bool) {
		f, r, end, err := open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		row := make([]any, 0, len(header))
		open := 0 // the line in which the last value began, if it has more than one
		for n := 0; ; n++ {
			record, err := r.Read()
			if errors.Is(err, io.EOF) {
				if open > 0 && end.char != '"' {
					yield(nil, fmt.Errorf("line %d: a quotation mark is not closed: all the rest would be one value", open))
				}
				return
			}
			open = 0
			if last := len(record) - 1; err == nil && strings.Contains(record[last], "\n") {
				open, _ = r.FieldPos(last)
			}
			row = row[:0]
			for _, v := range record {
				row = append(row, v)
			}
			if err == nil && len(row) > len(header) && strings.Join(record[len(header):], "") != "" {
				line, _ := r.FieldPos(0)
				err = fmt.Errorf("line %d has %d values, the first has %d", line, len(record), len(header))
			}
			if n == 0 && err == nil {
				continue // the names
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
	return []sheet{{name: name, columns: header, rows: rows}}, nil
}

// ending passes on what it reads, and remembers how that ended: after a last
// value of several lines there must be a quotation mark.
type ending struct {
	from io.Reader
	char byte // the last one that ends no line
}

// Read implements io.Reader.
func (e *ending) Read(b []byte) (int, error) {
	n, err := e.from.Read(b)
	if text := bytes.TrimRight(b[:n], "\r\n"); len(text) > 0 {
		e.char = text[len(text)-1]
	}
	return n, err
}

// oldLines ends lines as Unix does where they end as on old Macs.
type oldLines struct{ from io.Reader }

// Read implements io.Reader.
func (o oldLines) Read(b []byte) (int, error) {
	n, err := o.from.Read(b)
	for i, c := range b[:n] {
		if c == '\r' {
			b[i] = '\n'
		}
	}
	return n, err
}

// looksLike finds out the encoding and the separator of a file.
func looksLike(path string) (decode func(io.Reader) io.Reader, comma rune, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	utf8Text := func(r io.Reader) io.Reader {
		return transform.NewReader(r, unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	}
	decode = utf8Text
	r := bufio.NewReaderSize(f, 1<<20)
	first, err := r.Peek(1 << 16)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	if !bytes.HasPrefix(first, []byte{0xff, 0xfe}) && !bytes.HasPrefix(first, []byte{0xfe, 0xff}) {
		valid, err := isUTF8(r)
		if err != nil {
			return nil, 0, err
		}
		if !valid {
			decode = func(r io.Reader) io.Reader { return charmap.Windows1252.NewDecoder().Reader(r) }
		}
	}
	if bytes.ContainsRune(first, '\r') && !bytes.ContainsRune(first, '\n') {
		text := decode
		decode = func(r io.Reader) io.Reader { return oldLines{text(r)} }
		first, _, _ = bytes.Cut(first, []byte("\r"))
	}
	line, _, _ := bytes.Cut(first, []byte("\n"))
	comma = ','
	for _, c := range []rune{';', '\t', '|'} {
		if bytes.Count(line, []byte(string(c))) > bytes.Count(line, []byte(string(comma))) {
			comma = c
		}
	}
	return decode, comma, nil
}

func isUTF8(r *bufio.Reader) (bool, error) {
	for {
		line, err := r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) && !utf8.Valid(line) {
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false, err
		}
	}
}

// readJSON reads a list of objects, or one object on each line. What is nested
// stays as JSON text.
func readJSON(path, name string) ([]sheet, error) {
	var columns []string
	known := map[string]int{}
	for o, err := range objects(path) {
		if err != nil {
			return nil, err
		}
		for _, k := range slices.Sorted(maps.Keys(o)) {
			if _, ok := known[k]; !ok {
				known[k] = len(columns)
				columns = append(columns, k)
			}
		}
	}
	rows := func(yield func([]any, error) bool) {
		row := make([]any, len(columns))
		for o, err := range objects(path) {
			clear(row)
			for k, raw := range o {
				row[known[k]] = jsonCell(raw)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
	return []sheet{{name: name, columns: columns, typed: true, rows: rows}}, nil
}

func objects(path string) iter.Seq2[map[string]json.RawMessage, error] {
	return func(yield func(map[string]json.RawMessage, error) bool) {
		decode, _, err := looksLike(path)
		if err != nil {
			yield(nil, err)
			return
		}
		f, err := os.Open(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(decode(f), 1<<16)
		list, err := startsList(r)
		d := json.NewDecoder(r)
		if list && err == nil {
			_, err = d.Token()
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for n := 1; !list || d.More(); n++ {
			var o map[string]json.RawMessage
			err := d.Decode(&o)
			if !list && errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("object %d: %w; the file must be a list of objects, or have one on each line", n, err)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
		if _, err := d.Token(); err != nil {
			yield(nil, errors.New("the list has no end: the file was cut off"))
		} else if _, err := d.Token(); !errors.Is(err, io.EOF) {
			yield(nil, errors.New("something follows the list; the file must be one list of objects, or have an object on each line"))
		}
	}
}

// startsList skips space, and says whether a list follows.
func startsList(r *bufio.Reader) (bool, error) {
	for {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(c)) {
			return c == '[', r.UnreadByte()
		}
	}
}

// jsonCell is a value of JSON. Whole numbers that an int64 cannot hold stay
// text: they are ids, and a float would change them.
func jsonCell(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return string(raw)
	}
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
		return v.String()
	}
	return string(raw)
}

func readParquet(path, name string) ([]sheet, error) {
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		return nil, fmt.Errorf("it is no Parquet file: %w", err)
	}
	schema, err := pqarrow.FromParquet(r.MetaData().Schema, nil, r.MetaData().KeyValueMetadata())
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	var columns []string
	for _, f := range schema.Fields() {
		columns = append(columns, f.Name)
	}
	rows := func(yield func([]any, error) bool) {
		if err := parquetRows(path, yield); err != nil {
			yield(nil, err)
		}
	}
	return []sheet{{name: name, columns: columns, typed: true, rows: rows}}, nil
}

// parquetRows yields the rows; an error is not yielded, but returned.
func parquetRows(path string, yield func([]any, error) bool) (err error) {
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	const batch = 64 << 10
	fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: batch}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	records, err := fr.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return err
	}
	defer records.Release()
	for records.Next() {
		more, err := yieldRecord(records.RecordBatch(), yield)
		if err != nil || !more {
			return err
		}
	}
	if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func yieldRecord(rec arrow.RecordBatch, yield func([]any, error) bool) (more bool, err error) {
	t, err := table.FromRecords(rec)
	if err != nil {
		return false, err
	}
	for row := range t.Rows() {
		for i, v := range row {
			switch v := v.(type) {
			case []any, map[string]any:
				raw, err := json.Marshal(v)
				if err != nil {
					return false, err
				}
				row[i] = string(raw)
			case fmt.Stringer:
				if _, isTime := v.(interface{ Unix() int64 }); !isTime {
					row[i] = v.String()
				}
			case uint64:
				if row[i] = strconv.FormatUint(v, 10); v <= math.MaxInt64 {
					row[i] = int64(v)
				}
			}
		}
		if !yield(row, nil) {
			return false, nil
		}
	}
	return true, nil
}

// readExcel reads the sheets of a workbook: the first row that is not empty
// has the names of the columns.
func readExcel(path, name string) (_ []sheet, err error) {
	const most = 1 << 30 // bytes of the unpacked workbook
	f, err := excelize.OpenFile(path, excelize.Options{UnzipSizeLimit: most, RawCellValue: true})
	if err != nil {
		return nil, fmt.Errorf("it is no Excel workbook: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	props, err := f.GetWorkbookProps()
	if err != nil {
		return nil, err
	}
	var sheets []sheet
	for _, s := range f.GetSheetList() {
		rows, err := f.GetRows(s)
		if err != nil {
			return nil, fmt.Errorf("sheet %q: %w", s, err)
		}
		top := slices.IndexFunc(rows, func(r []string) bool { return strings.TrimSpace(strings.Join(r, "")) != "" })
		if top < 0 {
			continue
		}
		header, body := rows[top], rows[top+1:]
		for _, cells := range body {
			for i := len(header); i < len(cells); i++ {
				header = append(header, "") // values without a name are values
			}
		}
		dates := dateColumns(f, s, top+2, body, len(header))
		sheets = append(sheets, sheet{name: name + "_" + s, columns: header, rows: excelRows(body, dates, props.Date1904 != nil && *props.Date1904)})
	}
	if len(sheets) == 1 {
		sheets[0].name = name
	}
	if len(sheets) == 0 {
		return nil, fmt.Errorf("%s has no rows", filepath.Base(path))
	}
	return sheets, nil
}

func excelRows(body [][]string, dates []bool, from1904 bool) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for _, cells := range body {
			row := make([]any, len(cells))
			for i, c := range cells {
				row[i] = c
				if i < len(dates) && dates[i] {
					row[i] = excelDate(c, from1904)
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}
