package data

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/strandsgo/strands/table"
)

const (
	sampledValues  = 2_000 // distinct values of a column that are compared
	sampledColumns = 200   // of all stores together
	sampleAge      = 5 * time.Minute
	enoughShared   = 0.5 // of a column's values, to be called a join key
	mostJoins      = 3   // that a profile names for a column
)

// sample is some of the distinct values of a column: by their normal form, one
// as it is written.
type sample struct {
	values map[string]string
	taken  time.Time
}

// candidate is a column that may hold the same values.
type candidate struct {
	store         *Store
	table, column string
	key           bool
}

// findJoins fills in JoinsTo. It is help, not an answer: what cannot be looked
// at in time is left out.
func (s *Store) findJoins(ctx context.Context, name string, columns []columnProfile) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errTooLong)
	defer cancel()
	s.mu.Lock()
	stores := append([]*Store{s}, s.others...)
	s.mu.Unlock()
	var others []candidate
	for _, o := range stores {
		others = append(others, o.candidates(ctx, func(t string) bool { return o != s || t != name })...)
	}
	for i := range columns {
		c := &columns[i]
		if c.Distinct < 2 || !joinable(c.Type) {
			continue
		}
		mine := s.sampleOf(ctx, name, c.Column)
		var found []string
		for _, m := range matches(ctx, c.Column, mine, others) {
			found = append(found, m.describe(s))
		}
		c.JoinsTo = strings.Join(found, "; ")
	}
}

// candidates are the columns that something may be joined with.
func (s *Store) candidates(ctx context.Context, in func(table string) bool) []candidate {
	tables, err := s.engine.Tables(ctx)
	if err != nil {
		return nil
	}
	var all []candidate
	for _, t := range tables {
		if !in(t.Name) {
			continue
		}
		columns, err := s.engine.Columns(ctx, t.Name)
		if err != nil {
			continue
		}
		for _, c := range columns {
			if joinable(c.Type) && len(all) < sampledColumns {
				all = append(all, candidate{s, t.Name, c.Name, strings.Contains(c.Key, "primary") || strings.Contains(c.Key, "unique")})
			}
		}
	}
	return all
}

// joinable says whether values of a type identify something.
func joinable(typ string) bool {
	typ = strings.ToLower(typ)
	for _, no := range []string{"float", "double", "real", "numeric", "decimal", "bool", "date", "time", "json", "bytea", "blob", "binary", "array", "[]"} {
		if strings.Contains(typ, no) {
			return false
		}
	}
	return true
}

type match struct {
	candidate
	share float64
	exact bool // without a change of the values
}

func (m match) describe(from *Store) string {
	where := m.table + "." + m.column
	if m.store != from {
		where = m.store.name + ": " + where
	}
	how := ""
	if !m.exact {
		how = ", written differently"
	}
	return fmt.Sprintf("%s (%.0f%% of values%s)", where, m.share*100, how)
}

// matches are the columns with the most values of mine, best first. Of numbers
// the name must be alike too: small ones are everywhere.
func matches(ctx context.Context, column string, mine sample, others []candidate) []match {
	if len(mine.values) == 0 {
		return nil
	}
	numbers := onlyNumbers(mine.values)
	var found []match
	for _, o := range others {
		if numbers && !alike(column, o.column, o.table) {
			continue
		}
		theirs := o.store.sampleOf(ctx, o.table, o.column)
		shared, exact := 0, 0
		for v, written := range mine.values {
			if as, ok := theirs.values[v]; ok {
				shared++
				if as == written {
					exact++
				}
			}
		}
		if share := float64(shared) / float64(len(mine.values)); share >= enoughShared {
			found = append(found, match{o, share, exact == shared})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(b.rank(), a.rank()))
	})
	return found[:min(len(found), mostJoins)]
}

// rank prefers keys, and values that need no change.
func (m match) rank() (n int) {
	if m.key {
		n += 2
	}
	if m.exact {
		n++
	}
	return n
}

// alike says whether a column of numbers may mean what another one does:
// customer_id and id of customers, or cust_no and customer_no.
func alike(a, b, ofTable string) bool {
	stem := func(s string) string {
		s = normal(s)
		for _, end := range []string{"id", "no", "nr", "number", "key", "code", "ref"} {
			s = strings.TrimSuffix(s, end)
		}
		return strings.TrimSuffix(s, "s")
	}
	x, y := stem(a), stem(b)
	if y == "" {
		y = stem(ofTable)
	}
	return x == y || x != "" && y != "" && (strings.HasPrefix(x, y) || strings.HasPrefix(y, x))
}

func onlyNumbers(values map[string]string) bool {
	for v := range values {
		if strings.TrimLeft(v, "0123456789") != "" {
			return false
		}
	}
	return true
}

// sampleOf returns distinct values of a column; none when they cannot be read.
func (s *Store) sampleOf(ctx context.Context, name, column string) sample {
	key := name + "\x00" + column
	s.mu.Lock()
	known, ok := s.samples[key]
	s.mu.Unlock()
	if ok && time.Since(known.taken) < sampleAge {
		return known
	}
	taken := sample{values: map[string]string{}, taken: time.Now()}
	values, err := s.distinct(ctx, name, column)
	if err != nil {
		return taken
	}
	for _, v := range values {
		if n := normal(v); n != "" {
			taken.values[n] = v
		}
	}
	s.mu.Lock()
	s.samples[key] = taken
	s.mu.Unlock()
	return taken
}

// distinct reads values as text. They are the least ones, so that two columns
// with the same values give the same sample.
func (s *Store) distinct(ctx context.Context, name, column string) ([]string, error) {
	if own, ok := s.engine.(interface {
		distinct(ctx context.Context, name, column string, limit int) ([]string, error)
	}); ok {
		return own.distinct(ctx, name, column, sampledValues)
	}
	d, ok := s.engine.(Dialect)
	if !ok {
		return nil, nil
	}
	p := sqlProfiler{s.engine, d.Dialect()}
	col := p.sql.quoted(column)
	query := fmt.Sprintf("SELECT DISTINCT CAST(%s AS %s) FROM (SELECT %s FROM %s LIMIT %d) AS sampled WHERE %s IS NOT NULL ORDER BY 1 LIMIT %d",
		col, p.sql.Text, col, p.table(name), profiledRows/10, col, sampledValues)
	t, err := s.engine.Query(ctx, query, nil, table.Limits{})
	if err != nil {
		return nil, err
	}
	var values []string
	for row := range t.Rows() {
		values = append(values, fmt.Sprint(row[0]))
	}
	return values, nil
}

// normal is what stays of a value, or of a name, when it is written in another
// way: lower case, letters and digits only, numbers without leading zeros.
func normal(s string) string {
	var b strings.Builder
	inNumber, zeros := false, 0
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			continue
		}
		digit := unicode.IsDigit(r)
		if zeros > 0 && !digit {
			b.WriteByte('0')
			zeros = 0
		}
		if r == '0' && !inNumber {
			zeros++
			continue
		}
		inNumber, zeros = digit, 0
		b.WriteRune(unicode.ToLower(r))
	}
	if zeros > 0 {
		b.WriteByte('0')
	}
	return b.String()
}
