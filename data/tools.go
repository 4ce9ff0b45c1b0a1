package data

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/table"
)

type queryInput struct {
	SQL    string          `json:"sql" jsonschema:"one statement"`
	Params json.RawMessage `json:"params,omitempty" jsonschema:"a list of values for the placeholders"`
}

type tableInput struct {
	Table string `json:"table"`
}

// Tools are the functions of the store: query, tables, describe and profile;
// of MongoDB find and aggregate instead of query.
func (s *Store) Tools() []strands.Tool {
	tools := []strands.Tool{
		strands.NewTool("tables", "The tables with their kinds and about how many rows they have.", func(ctx context.Context, _ struct{}) (table.Table, error) {
			return s.Tables(ctx)
		}),
		strands.NewTool("describe", "The columns of a table: names, types, keys.", func(ctx context.Context, in tableInput) (table.Table, error) {
			return s.Describe(ctx, in.Table)
		}),
		strands.NewTool("profile", "What is in each column of a table: nulls, distinct values, least, greatest and frequent values, and columns of other tables and stores that hold the same values.",
			func(ctx context.Context, in tableInput) (table.Table, error) { return s.Profile(ctx, in.Table) }),
	}
	if own, ok := s.engine.(interface{ tools(s *Store) []strands.Tool }); ok {
		return slices.Concat(own.tools(s), tools)
	}
	query := strands.NewTool("query", "Runs one SQL statement and returns its rows.", func(ctx context.Context, in queryInput) (table.Table, error) {
		params, err := paramsOf(in.Params)
		if err != nil {
			return table.Table{}, err
		}
		return s.Query(ctx, in.SQL, params...)
	})
	return append([]strands.Tool{query}, tools...)
}

// Instructions tell a model what the store is.
func (s *Store) Instructions() string {
	var b strings.Builder
	kind := "a MongoDB database"
	if d, ok := s.engine.(Dialect); ok {
		sql := d.Dialect()
		kind = fmt.Sprintf("%s; write its SQL, with parameters as %s", sql.Name, sql.Placeholder)
	}
	fmt.Fprintf(&b, "%s is %s.", s.name, kind)
	if !s.options.Write {
		b.WriteString(" It is read-only.")
	}
	const most = 30
	for i, t := range s.listed {
		switch {
		case i == most:
			fmt.Fprintf(&b, ", and %d more", len(s.listed)-most)
		case i > most:
		case i == 0:
			b.WriteString(" Tables: " + t.Name)
		default:
			b.WriteString(", " + t.Name)
		}
	}
	if len(s.listed) > 0 {
		b.WriteByte('.')
	}
	b.WriteString(" Aggregate in the database rather than fetch a large result.")
	return b.String()
}

// paramsOf reads the parameters of a query. Whole numbers stay whole.
func paramsOf(raw json.RawMessage) ([]any, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var params []any
	if err := d.Decode(&params); err != nil {
		return nil, errors.New("params must be a list with a value for each placeholder, such as [10, \"Rome\"]")
	}
	for i, p := range params {
		switch p := p.(type) {
		case json.Number:
			if n, err := p.Int64(); err == nil {
				params[i] = n
			} else if f, err := p.Float64(); err == nil {
				params[i] = f
			}
		case map[string]any, []any:
			return nil, fmt.Errorf("parameter %d is a list or dict; pass its values one by one, or as JSON text", i+1)
		}
	}
	return params, nil
}

// Query runs one statement.
func (s *Store) Query(ctx context.Context, query string, params ...any) (table.Table, error) {
	return bounded(ctx, s, func(ctx context.Context) (table.Table, error) {
		return s.engine.Query(ctx, query, params, s.options.Limits)
	})
}

// Tables lists tables and views.
func (s *Store) Tables(ctx context.Context) (table.Table, error) {
	all, err := bounded(ctx, s, s.engine.Tables)
	if err != nil {
		return table.Table{}, err
	}
	type row struct {
		Table string `json:"table"`
		Kind  string `json:"kind"`
		Rows  *int64 `json:"about_rows"`
	}
	rows := make([]row, len(all))
	for i, t := range all {
		rows[i] = row{Table: t.Name, Kind: t.Kind}
		if t.Rows >= 0 {
			rows[i].Rows = &t.Rows
		}
	}
	return table.FromStructs(rows)
}

// Describe lists the columns of a table.
func (s *Store) Describe(ctx context.Context, name string) (table.Table, error) {
	columns, err := s.columns(ctx, name)
	if err != nil {
		return table.Table{}, err
	}
	type row struct {
		Column   string `json:"column"`
		Type     string `json:"type"`
		Nullable bool   `json:"nullable"`
		Key      string `json:"key"`
	}
	rows := make([]row, len(columns))
	for i, c := range columns {
		rows[i] = row{c.Name, c.Type, c.Nullable, c.Key}
	}
	return table.FromStructs(rows)
}

// columns describes a table; of one that is not there the error names those
// with a similar name.
func (s *Store) columns(ctx context.Context, name string) ([]Column, error) {
	return bounded(ctx, s, func(ctx context.Context) ([]Column, error) {
		all, err := s.engine.Tables(ctx)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(t Table) bool { return t.Name == name }) {
			return nil, missing(name, all)
		}
		return s.engine.Columns(ctx, name)
	})
}

func missing(name string, all []Table) error {
	var near, names []string
	for _, t := range all {
		names = append(names, t.Name)
		if strings.Contains(normal(t.Name), normal(name)) || strings.Contains(normal(name), normal(t.Name)) {
			near = append(near, t.Name)
		}
	}
	const most = 20
	if near == nil {
		near = names[:min(len(names), most)]
	}
	if len(near) == 0 {
		return fmt.Errorf("there is no table %q; there are none at all", name)
	}
	return fmt.Errorf("there is no table %q; there are %s", name, strings.Join(near, ", "))
}

// bounded runs something that asks the database, within the time of a query.
func bounded[T any](ctx context.Context, s *Store, ask func(context.Context) (T, error)) (T, error) {
	cancel := context.CancelFunc(func() {})
	if s.options.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, s.options.Timeout, errTooLong)
	}
	defer cancel()
	v, err := ask(ctx)
	return v, s.explain(ctx, err)
}

var (
	errTooLong  = errors.New("it took too long")
	errNoAnswer = errors.New("there is no answer")
)

// explain says of an error what a model, or a person, can do about it.
func (s *Store) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // where this process stood still, the server's own limit was faster
	}
	var big *table.TooBigError
	switch {
	case errors.Is(context.Cause(ctx), errTooLong):
		return fmt.Errorf("%s: the query was stopped after %s; ask for less, or aggregate in the database", s.name, s.options.Timeout.Round(time.Millisecond))
	case errors.Is(context.Cause(ctx), errNoAnswer):
		return fmt.Errorf("%s: no answer for %s; is the server reachable? %w", s.name, connectTimeout, err)
	case errors.As(err, &big):
		return fmt.Errorf("%s: the result has more than %s; aggregate in the database, or add LIMIT", s.name, cmp.Or(big.Limit, "is allowed"))
	}
	return fmt.Errorf("%s: %w", s.name, oneLine{err})
}

// oneLine is an error as a line of text: some drivers list all they tried.
type oneLine struct{ error }

func (e oneLine) Error() string {
	var lines []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

func (e oneLine) Unwrap() error { return e.error }
