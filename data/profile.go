package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands/table"
)

const (
	profiledRows = 1_000_000 // of a larger table a part is looked at
	shownValues  = 5         // frequent values of a column
	valueClip    = 40        // characters of a value
)

// columnProfile is a row of a profile.
type columnProfile struct {
	Column   string `json:"column"`
	Type     string `json:"type"`
	Rows     int64  `json:"rows"`
	Nulls    int64  `json:"nulls"`
	Distinct int64  `json:"distinct"`
	Least    string `json:"min"`
	Greatest string `json:"max"`
	Frequent string `json:"frequent"`
	JoinsTo  string `json:"joins_to"`
}

// Profile tells of each column what is in it: how many nulls and distinct
// values, the least, the greatest and the most frequent ones, and which
// columns of other tables and of related stores hold the same values, also when
// they are written differently. Of more than a million rows it looks at a
// million, and notes it.
func (s *Store) Profile(ctx context.Context, name string) (table.Table, error) {
	columns, err := s.columns(ctx, name)
	if err != nil {
		return table.Table{}, err
	}
	profiler, ok := s.engine.(interface {
		profile(ctx context.Context, name string, columns []Column) ([]columnProfile, string, error)
	})
	if !ok {
		d, ok := s.engine.(Dialect)
		if !ok {
			return table.Table{}, errors.New("this store cannot be profiled")
		}
		profiler = sqlProfiler{s.engine, d.Dialect()}
	}
	type found struct {
		rows []columnProfile
		note string
	}
	f, err := bounded(ctx, s, func(ctx context.Context) (f found, err error) {
		f.rows, f.note, err = profiler.profile(ctx, name, columns)
		return f, err
	})
	if err != nil {
		return table.Table{}, err
	}
	s.findJoins(ctx, name, f.rows)
	t, err := table.FromStructs(f.rows)
	return t.WithNote(f.note), err
}

// sqlProfiler profiles by SQL.
type sqlProfiler struct {
	engine Engine
	sql    SQL
}

func (p sqlProfiler) profile(ctx context.Context, name string, columns []Column) ([]columnProfile, string, error) {
	from := fmt.Sprintf("(SELECT * FROM %s LIMIT %d) AS profiled", p.table(name), profiledRows)
	all := make([]columnProfile, len(columns))
	note := ""
	for i, c := range columns {
		all[i] = columnProfile{Column: c.Name, Type: c.Type}
		if err := p.column(ctx, from, &all[i]); err != nil {
			return nil, "", fmt.Errorf("profiling the column %s: %w", c.Name, err)
		}
		if all[i].Rows == profiledRows {
			note = fmt.Sprintf("the table may be larger: this is about %d of its rows", profiledRows)
		}
	}
	return all, note, nil
}

// table is a name of Tables as SQL has it: with a schema before a dot, or a
// dot in it.
func (p sqlProfiler) table(name string) string {
	if t, ok := p.engine.(interface{ tableName(string) string }); ok {
		return t.tableName(name)
	}
	return p.sql.quoted(name)
}

// column fills in c. Values are compared as text where the type has no order.
func (p sqlProfiler) column(ctx context.Context, from string, c *columnProfile) error {
	col := p.sql.quoted(c.Column)
	text := fmt.Sprintf("CAST(%s AS %s)", col, p.sql.Text)
	counts, err := p.one(ctx, fmt.Sprintf("SELECT count(*), count(%s), count(DISTINCT %s), min(%s), max(%s) FROM %s", col, col, col, col, from))
	if err != nil {
		counts, err = p.one(ctx, fmt.Sprintf("SELECT count(*), count(%s), count(DISTINCT %s), min(%s), max(%s) FROM %s", col, text, text, text, from))
	}
	if err != nil {
		return err
	}
	c.Rows, c.Nulls, c.Distinct = whole(counts[0]), whole(counts[0])-whole(counts[1]), whole(counts[2])
	c.Least, c.Greatest = shown(counts[3]), shown(counts[4])
	frequent, err := p.engine.Query(ctx, fmt.Sprintf("SELECT %s, count(*) FROM %s WHERE %s IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %d", text, from, col, shownValues), nil, table.Limits{})
	if err != nil {
		return ctx.Err() // else the type has no text
	}
	var values []string
	for row := range frequent.Rows() {
		if whole(row[1]) == 1 {
			values = append(values, shown(row[0]))
		} else {
			values = append(values, fmt.Sprintf("%s ×%d", shown(row[0]), whole(row[1])))
		}
	}
	c.Frequent = strings.Join(values, ", ")
	return nil
}

func (p sqlProfiler) one(ctx context.Context, query string) ([]any, error) {
	t, err := p.engine.Query(ctx, query, nil, table.Limits{})
	if err != nil {
		return nil, err
	}
	for row := range t.Rows() {
		return row, nil
	}
	return nil, errors.New("no row came back")
}

func whole(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case uint64:
		return int64(v)
	case float64:
		return int64(v)
	}
	return 0
}

// shown is a value as text of one short line.
func shown(v any) string {
	if v == nil {
		return ""
	}
	if b, ok := v.([]byte); ok {
		return fmt.Sprintf("%d bytes", len(b))
	}
	text := fmt.Sprint(v)
	if t, ok := v.(interface{ Format(string) string }); ok {
		text = strings.TrimSuffix(t.Format("2006-01-02 15:04:05"), " 00:00:00")
	}
	return clip(strings.Join(strings.Fields(text), " "), valueClip)
}

// profileField fills in c from documents.
func profileField[D ~map[string]any](docs []D, c *columnProfile) error {
	counts := map[any]int64{}
	var least, greatest any
	for _, d := range docs {
		v, err := cell(d[c.Column])
		if err != nil {
			return err
		}
		if v == nil {
			c.Nulls++
			continue
		}
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		counts[v]++
		if least == nil || before(v, least) {
			least = v
		}
		if greatest == nil || before(greatest, v) {
			greatest = v
		}
	}
	c.Distinct, c.Least, c.Greatest = int64(len(counts)), shown(least), shown(greatest)
	values := slices.SortedFunc(maps.Keys(counts), func(a, b any) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(shown(a), shown(b)))
	})
	var frequent []string
	for _, v := range values[:min(len(values), shownValues)] {
		if counts[v] == 1 {
			frequent = append(frequent, shown(v))
		} else {
			frequent = append(frequent, fmt.Sprintf("%s ×%d", shown(v), counts[v]))
		}
	}
	c.Frequent = strings.Join(frequent, ", ")
	return nil
}

// before orders values of one type by their size, others by their text.
func before(a, b any) bool {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return a < b
		}
	case float64:
		if b, ok := b.(float64); ok {
			return a < b
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return a.Before(b)
		}
	}
	return fmt.Sprint(a) < fmt.Sprint(b)
}
