package table_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/strandsgo/strands/table"
)

type fieldsA struct {
	ID   int `json:"a_id"`
	Name string
}

type fieldsB struct {
	ID   int `json:"b_id"`
	Name string
}

type unexported struct{ Deep int }

type loop struct {
	*loop
	N int
}

// The columns are what encoding/json would write: none is lost because another
// has its Go name, none is there twice, none that was left out.
func TestColumnsAreThoseOfJSON(t *testing.T) {
	for name, test := range map[string]struct {
		row   any
		table func() (table.Table, error)
	}{
		"two embedded, told apart by tags": of(struct {
			fieldsA
			fieldsB
		}{}),
		"hidden in Go only": of(struct {
			fieldsA
			ID int `json:"id"`
		}{}),
		"embedded with a name": of(struct {
			Fields `json:"base"`
			X      int
		}{}),
		"left out": of(struct {
			Fields `json:"-"`
			X      int
		}{}),
		"the tag decides": of(struct {
			Fields
			Other
		}{}),
		"the shallower decides": of(struct {
			Other
			B int `json:"Deep"`
		}{}),
		"by a pointer":         of(struct{ *Fields }{&Fields{}}),
		"unexported, embedded": of(struct{ unexported }{}),
		"a loop":               of(loop{loop: &loop{}}),
	} {
		raw, err := json.Marshal(test.row)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		made, err := test.table()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := map[string]bool{}
		for _, f := range made.Schema().Fields() {
			if _, ok := want[f.Name]; !ok || got[f.Name] {
				t.Errorf("%s: a column %s, of %s", name, f.Name, raw)
			}
			got[f.Name] = true
		}
		if len(got) != len(want) {
			t.Errorf("%s: the columns %v of %s", name, got, raw)
		}
	}
}

// Fields and Other have a field of the same name in JSON.
type Fields struct{ Deep, Own int }

// Other has the tag.
type Other struct {
	Tagged int `json:"Deep"`
}

func of[T any](row T) struct {
	row   any
	table func() (table.Table, error)
} {
	return struct {
		row   any
		table func() (table.Table, error)
	}{row, func() (table.Table, error) { return table.FromStructs([]T{row}) }}
}

// A zero Time, which many rows have, beside one of now: nanoseconds since 1970
// hold no year 1.
func TestFarTimesStayWhatTheyAre(t *testing.T) {
	now := time.Date(2026, 11, 21, 17, 0, 0, 123456789, time.UTC)
	for _, far := range []time.Time{{}, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(-44, 3, 15, 0, 0, 0, 999, time.UTC)} {
		made, err := table.FromStructs([]struct{ At time.Time }{{far}, {now}})
		if err != nil {
			t.Fatal(err)
		}
		for row := range made.Rows() {
			at := row[0].(time.Time)
			if !at.Equal(far.Truncate(time.Microsecond)) && !at.Equal(now.Truncate(time.Microsecond)) {
				t.Errorf("%v is neither %v nor %v", at, far, now)
			}
		}
	}
	if _, err := table.FromStructs([]struct{ At time.Time }{{time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)}}); err == nil || !strings.Contains(err.Error(), "300000") {
		t.Errorf("the year 300,000: %v", err)
	}
}

func TestNilKeysAreAnError(t *testing.T) {
	for name, made := range map[string]func() (table.Table, error){
		"a pointer": func() (table.Table, error) {
			return table.FromStructs([]struct{ M map[*int]int }{{map[*int]int{nil: 1}}})
		},
		"any": func() (table.Table, error) {
			return table.FromStructs([]struct{ M map[any]int }{{map[any]int{nil: 1}}})
		},
		"a null of SQL, nested": func() (table.Table, error) {
			return table.FromStructs([]struct{ M []map[sql.NullString]int }{{[]map[sql.NullString]int{{{}: 1}}}})
		},
	} {
		if _, err := made(); err == nil || !strings.Contains(err.Error(), "column M: a map has a key that is nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a struct embeds may make one value of it.
func TestStructsThatAreOneValue(t *testing.T) {
	_, err := table.FromStructs([]struct {
		time.Time
		X int
	}{{}})
	if err == nil || !strings.Contains(err.Error(), "embedded") {
		t.Errorf("an embedded time: %v", err)
	}
	if _, err := table.FromStructs([]big.Int{{}}); err == nil || !strings.Contains(err.Error(), "big.Int is one value") {
		t.Errorf("big.Int: %v", err)
	}
}

// One byte of Latin-1 kept the whole table from being read in Python.
func TestTextIsUTF8(t *testing.T) {
	const latin, want = "caf\xe9", "caf\uFFFD"
	structs, err := table.FromStructs([]struct {
		S    string
		Any  any
		List []string
		Map  map[string]string
	}{{latin, latin, []string{latin}, map[string]string{latin: latin}}})
	if err != nil {
		t.Fatal(err)
	}
	values, err := table.FromValues([]string{"s", "mixed"}, slices.Values([][]any{{latin, 1}, {latin, latin}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []table.Table{structs, values} {
		for row := range made.Rows() {
			if text := fmt.Sprint(row); !utf8.ValidString(text) || !strings.Contains(text, want) {
				t.Errorf("%q", text)
			}
		}
	}
}
