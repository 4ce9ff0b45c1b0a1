package python

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"

	"github.com/strandsgo/strands"
)

var (
	bulkType  = reflect.TypeFor[bulk]()
	bytesType = reflect.TypeFor[Bytes]()
)

// attachment is an Attachment as a value.
type attachment struct{ strands.Attachment }

// MIME implements bulk.
func (a attachment) MIME() string { return a.Attachment.MIME }

// WriteTo implements bulk.
func (a attachment) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, io.NewSectionReader(a.Data, 0, a.Size))
	if err == nil && n < a.Size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// tabular is a table that can be read without Arrow.
type tabular interface {
	Columns() []string
	Rows() iter.Seq[[]any]
}

// bulk writes a value that is big data: Arrow data where the worker can read
// it, else the rows of a table; anything else as bytes.
func (e *encoder) bulk(v bulk, depth int) error {
	arrow := v.MIME() == arrowMIME
	if t, ok := v.(tabular); ok && arrow && (e.parcel == nil || !e.parcel.arrow) {
		return e.table(t, depth)
	}
	tag := "bytes"
	if arrow && e.parcel != nil && e.parcel.arrow {
		tag = "arrow"
	}
	if _, known := v.(attachment); known || e.parcel == nil {
		// Reading an attachment may fail, or be slow: once, and before anything
		// is announced.
		var b bytes.Buffer
		if _, err := v.WriteTo(&b); err != nil {
			return err
		}
		return e.attach(tag, b.Bytes())
	}
	var size measured
	if _, err := v.WriteTo(&size); err != nil {
		return err
	}
	return e.refer(tag, int64(size), func(w io.Writer) error {
		_, err := v.WriteTo(w)
		return err
	})
}

// bytes writes bytes: into the parcel when they are many.
func (e *encoder) bytes(b []byte) error {
	if len(b) < bigBytes {
		e.tag("bytes", base64.StdEncoding.EncodeToString(b))
		return nil
	}
	return e.attach("bytes", b)
}

// attach puts b into the parcel, if there is one.
func (e *encoder) attach(tag string, b []byte) error {
	if e.parcel == nil || len(b) == 0 {
		e.tag("bytes", base64.StdEncoding.EncodeToString(b))
		return nil
	}
	return e.refer(tag, int64(len(b)), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// refer writes where in the parcel the data is.
func (e *encoder) refer(tag string, size int64, write func(io.Writer) error) error {
	at, err := e.parcel.add(size, write)
	if err == nil {
		fmt.Fprintf(e, `{"$%s":[%d,%d]}`, tag, at, size)
	}
	return err
}

const maxTableJSON = 64 << 20

var errNoArrow = errors.New("the table is too large to be written as text; add pyarrow to the requirements of the session")

// table writes a table as its columns' names and its rows.
func (e *encoder) table(t tabular, depth int) error {
	e.WriteString(`{"$table":[`)
	if err := e.plain(reflect.ValueOf(append([]string{}, t.Columns()...))); err != nil {
		return err
	}
	e.WriteString(`,[`)
	begin, first := e.Len(), true
	for row := range t.Rows() {
		if !first {
			e.WriteByte(',')
		}
		first = false
		for i, v := range row {
			if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
				row[i] = nil
			}
		}
		if err := e.value(reflect.ValueOf(row), depth+2); err != nil {
			return err
		}
		if e.Len()-begin > maxTableJSON {
			return errNoArrow
		}
	}
	e.WriteString(`]]}`)
	return nil
}
