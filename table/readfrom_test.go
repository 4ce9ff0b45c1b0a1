package table_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/strandsgo/strands/table"
)

func TestReadFrom(t *testing.T) {
	was, err := table.FromValues([]string{"n", "name"}, slices.Values([][]any{{int64(1), "Ada"}, {nil, "Grace"}}))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := was.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	var is table.Table
	if _, err := is.ReadFrom(&b); err != nil {
		t.Fatal(err)
	}
	got := slices.Collect(is.Rows())
	if !slices.Equal(is.Columns(), was.Columns()) || len(got) != 2 || got[0][0] != int64(1) || got[1][0] != nil || got[1][1] != "Grace" {
		t.Errorf("the table came back as %v %v", is.Columns(), got)
	}
	if _, err := is.ReadFrom(bytes.NewReader([]byte("no stream"))); err == nil {
		t.Error("a text is no stream")
	}
}
