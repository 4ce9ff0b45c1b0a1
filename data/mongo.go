package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/table"
)

const (
	sampledDocuments = 200    // looked at for the fields of a collection
	profiledDocs     = 10_000 // of a larger collection a part is profiled
)

// mongoEngine reads collections. It has no way to write but two aggregation
// stages, $out and $merge, which it refuses wherever they stand: unlike SQL, a
// pipeline is data whose stages are its keys, and cannot hide them. Give it an
// account with the role read, too.
type mongoEngine struct {
	client *mongo.Client
	db     *mongo.Database
	write  bool
}

// OpenMongo opens a MongoDB database by its URL, which must name the database:
// "mongodb://user:password@host/database". o.Write allows the stages $out and
// $merge.
func OpenMongo(ctx context.Context, address string, o Options) (*Store, error) {
	bad := &strands.InputError{Field: "database " + redacted(address), Reason: "the address is wrong; it looks like mongodb://user:password@host:27017/database"}
	opts := options.Client().ApplyURI(address).SetServerSelectionTimeout(connectTimeout)
	if opts.Validate() != nil {
		return nil, bad // the driver's error may hold the password
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(address, "mongodb+srv://"), "mongodb://"), "/")
	name, _, _ := strings.Cut(path, "?")
	if name == "" {
		return nil, bad
	}
	// Documents inside become maps, which are JSON in a DataFrame.
	client, err := mongo.Connect(opts.SetBSONOptions(&options.BSONOptions{DefaultDocumentM: true}))
	if err != nil {
		return nil, bad
	}
	return New(ctx, &mongoEngine{client, client.Database(name), o.Write}, nameOf(o, name))
}

// Close implements Engine.
func (e *mongoEngine) Close() error { return e.client.Disconnect(context.Background()) }

// Tables implements Engine.
func (e *mongoEngine) Tables(ctx context.Context) ([]Table, error) {
	names, err := e.db.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Table
	for _, n := range names {
		if strings.HasPrefix(n, "system.") {
			continue
		}
		t := Table{Name: n, Kind: "collection", Rows: -1}
		if count, err := e.db.Collection(n).EstimatedDocumentCount(ctx); err == nil {
			t.Rows = count
		}
		all = append(all, t)
	}
	return all, nil
}

// Columns implements Engine: the fields of some documents.
func (e *mongoEngine) Columns(ctx context.Context, name string) ([]Column, error) {
	docs, err := e.documents(ctx, name, sampledDocuments)
	if err != nil {
		return nil, err
	}
	var all []Column
	for _, f := range fieldsOf(docs) {
		types := map[string]bool{}
		missing := false
		for _, d := range docs {
			if v, ok := d[f]; ok && v != nil {
				types[typeName(v)] = true
			} else {
				missing = true
			}
		}
		c := Column{Name: f, Type: strings.Join(slices.Sorted(maps.Keys(types)), " or "), Nullable: missing}
		if f == "_id" {
			c.Key = "primary key"
		}
		all = append(all, c)
	}
	return all, nil
}

func (e *mongoEngine) documents(ctx context.Context, name string, limit int) ([]bson.M, error) {
	cursor, err := e.db.Collection(name).Find(ctx, bson.D{}, options.Find().SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	var docs []bson.M
	return docs, cursor.All(ctx, &docs)
}

// fieldsOf are the names of fields, _id first, the others by name.
func fieldsOf(docs []bson.M) []string {
	known := map[string]bool{}
	for _, d := range docs {
		for k := range d {
			known[k] = true
		}
	}
	_, hasID := known["_id"]
	delete(known, "_id")
	names := slices.Sorted(maps.Keys(known))
	if hasID {
		names = append([]string{"_id"}, names...)
	}
	return names
}

func typeName(v any) string {
	switch v.(type) {
	case bson.ObjectID:
		return "objectid"
	case bson.DateTime:
		return "date"
	case bson.M, bson.D:
		return "object"
	case bson.A:
		return "array"
	case bson.Decimal128:
		return "decimal"
	case string:
		return "string"
	case int32, int64:
		return "int"
	case float64:
		return "double"
	case bool:
		return "bool"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "bson.")
}

// Query implements Engine: the language of this database is none.
func (e *mongoEngine) Query(context.Context, string, []any, table.Limits) (table.Table, error) {
	return table.Table{}, errors.New("MongoDB has no SQL; use find or aggregate")
}

type findInput struct {
	Collection string          `json:"collection"`
	Filter     json.RawMessage `json:"filter,omitempty" jsonschema:"such as {\"year\": {\"$gte\": 2020}}"`
	Projection json.RawMessage `json:"projection,omitempty" jsonschema:"such as {\"name\": 1}"`
	Sort       json.RawMessage `json:"sort,omitempty" jsonschema:"such as {\"year\": -1}"`
	Limit      int64           `json:"limit,omitempty"`
}

type aggregateInput struct {
	Collection string          `json:"collection"`
	Pipeline   json.RawMessage `json:"pipeline" jsonschema:"a list of stages"`
}

func (e *mongoEngine) tools(s *Store) []strands.Tool {
	return []strands.Tool{
		strands.NewTool("find", "Finds documents. Nested values come as JSON text, ids as text; in a filter write an id as {\"$oid\": \"…\"} and a date as {\"$date\": \"2024-05-01T00:00:00Z\"}.",
			func(ctx context.Context, in findInput) (table.Table, error) {
				return bounded(ctx, s, func(ctx context.Context) (table.Table, error) { return e.find(ctx, in, s.options.Limits) })
			}),
		strands.NewTool("aggregate", "Runs an aggregation pipeline.", func(ctx context.Context, in aggregateInput) (table.Table, error) {
			return bounded(ctx, s, func(ctx context.Context) (table.Table, error) { return e.aggregate(ctx, in, s.options.Limits) })
		}),
	}
}

func (e *mongoEngine) find(ctx context.Context, in findInput, l table.Limits) (table.Table, error) {
	opts := options.Find()
	filter := bson.D{}
	for _, p := range []struct {
		name string
		raw  json.RawMessage
		to   *bson.D
		set  func(any)
	}{
		{"filter", in.Filter, &filter, func(any) {}},
		{"projection", in.Projection, new(bson.D), func(v any) { opts.SetProjection(v) }},
		{"sort", in.Sort, new(bson.D), func(v any) { opts.SetSort(v) }},
	} {
		if len(p.raw) == 0 || string(p.raw) == "null" {
			continue
		}
		if err := bson.UnmarshalExtJSON(p.raw, false, p.to); err != nil {
			return table.Table{}, fmt.Errorf("%s is no document: %w", p.name, err)
		}
		p.set(*p.to)
	}
	if in.Limit > 0 {
		opts.SetLimit(in.Limit)
	}
	if err := e.known(ctx, in.Collection); err != nil {
		return table.Table{}, err
	}
	cursor, err := e.db.Collection(in.Collection).Find(ctx, filter, opts)
	if err != nil {
		return table.Table{}, mongoError(err)
	}
	return e.read(ctx, cursor, l)
}

func (e *mongoEngine) aggregate(ctx context.Context, in aggregateInput, l table.Limits) (table.Table, error) {
	var doc struct{ Pipeline []bson.D }
	whole := slices.Concat([]byte(`{"pipeline":`), in.Pipeline, []byte("}"))
	if err := bson.UnmarshalExtJSON(whole, false, &doc); err != nil {
		return table.Table{}, fmt.Errorf("pipeline is no list of stages: %w", err)
	}
	if stage := writingStage(doc.Pipeline); stage != "" && !e.write {
		return table.Table{}, fmt.Errorf("the database is read-only: %s is refused", stage)
	}
	if err := e.known(ctx, in.Collection); err != nil {
		return table.Table{}, err
	}
	cursor, err := e.db.Collection(in.Collection).Aggregate(ctx, doc.Pipeline)
	if err != nil {
		return table.Table{}, mongoError(err)
	}
	return e.read(ctx, cursor, l)
}

// known is an error for a collection that is not there: to MongoDB it is an
// empty one.
func (e *mongoEngine) known(ctx context.Context, name string) error {
	there, err := e.db.ListCollectionNames(ctx, bson.D{{Key: "name", Value: name}})
	if err != nil || len(there) > 0 {
		return mongoError(err)
	}
	all, err := e.Tables(ctx)
	if err != nil {
		return err
	}
	return missing(name, all)
}

// writingStage finds a stage that writes, at any depth.
func writingStage(v any) string {
	switch v := v.(type) {
	case []bson.D:
		for _, d := range v {
			if s := writingStage(d); s != "" {
				return s
			}
		}
	case bson.D:
		for _, e := range v {
			if e.Key == "$out" || e.Key == "$merge" {
				return e.Key
			}
			if s := writingStage(e.Value); s != "" {
				return s
			}
		}
	case bson.A:
		for _, x := range v {
			if s := writingStage(x); s != "" {
				return s
			}
		}
	}
	return ""
}

// mongoError leaves of a server's error what it says.
func mongoError(err error) error {
	if e, ok := errors.AsType[mongo.CommandError](err); ok {
		return errors.New(e.Message)
	}
	return err
}

const defaultDocuments = 1_000_000

// read makes a table of a cursor. Fields that differ in their types become
// text, nested ones JSON.
func (e *mongoEngine) read(ctx context.Context, cursor *mongo.Cursor, l table.Limits) (_ table.Table, err error) {
	defer func() { err = errors.Join(err, cursor.Close(context.WithoutCancel(ctx))) }()
	rows, size := l.Rows, l.Bytes
	if rows == 0 {
		rows = defaultDocuments
	}
	if size == 0 {
		size = defaultBytes
	}
	var docs []bson.M
	read := int64(0)
	for cursor.Next(ctx) {
		read += int64(len(cursor.Current))
		if rows > 0 && len(docs) >= rows {
			return table.Table{}, &table.TooBigError{Rows: len(docs), Limit: fmt.Sprintf("%d documents", rows)}
		}
		if size > 0 && read > size {
			return table.Table{}, &table.TooBigError{Rows: len(docs), Limit: fmt.Sprintf("%d MiB", size>>20)}
		}
		var d bson.M
		if err := cursor.Decode(&d); err != nil {
			return table.Table{}, err
		}
		docs = append(docs, d)
	}
	if err := cursor.Err(); err != nil {
		return table.Table{}, mongoError(err)
	}
	return tableOf(docs)
}

// tableOf makes a column of each field.
func tableOf(docs []bson.M) (table.Table, error) {
	names := fieldsOf(docs)
	rows := make([][]any, len(docs))
	for i, d := range docs {
		rows[i] = make([]any, len(names))
		for j, n := range names {
			v, err := cell(d[n])
			if err != nil {
				return table.Table{}, fmt.Errorf("field %s: %w", n, err)
			}
			rows[i][j] = v
		}
	}
	return table.FromValues(names, slices.Values(rows))
}

// cell is a value as a DataFrame can hold it.
func cell(v any) (any, error) {
	switch v := v.(type) {
	case bson.ObjectID:
		return v.Hex(), nil
	case bson.DateTime:
		return v.Time().UTC(), nil
	case bson.Decimal128:
		return table.Decimal(v.String()), nil
	case bson.Binary:
		return v.Data, nil
	case int32:
		return int64(v), nil
	case nil, string, bool, int64, float64:
		return v, nil
	case bson.M, bson.D, bson.A:
		raw, err := bson.MarshalExtJSON(bson.M{"v": v}, false, false)
		if err != nil {
			return nil, err
		}
		var out struct{ V json.RawMessage }
		err = json.Unmarshal(raw, &out)
		return string(out.V), err
	}
	return fmt.Sprint(v), nil
}

// profile is made of some documents.
func (e *mongoEngine) profile(ctx context.Context, name string, columns []Column) ([]columnProfile, string, error) {
	docs, err := e.documents(ctx, name, profiledDocs)
	if err != nil {
		return nil, "", mongoError(err)
	}
	all := make([]columnProfile, len(columns))
	for i, c := range columns {
		all[i] = columnProfile{Column: c.Name, Type: c.Type, Rows: int64(len(docs))}
		if err := profileField(docs, &all[i]); err != nil {
			return nil, "", err
		}
	}
	note := ""
	if len(docs) == profiledDocs {
		note = fmt.Sprintf("this is about the first %d documents", profiledDocs)
	}
	return all, note, nil
}

func (e *mongoEngine) distinct(ctx context.Context, name, column string, limit int) ([]string, error) {
	docs, err := e.documents(ctx, name, profiledDocs)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, d := range docs {
		if v, err := cell(d[column]); err == nil && v != nil {
			known[fmt.Sprint(v)] = true
		}
	}
	values := slices.Sorted(maps.Keys(known))
	return values[:min(len(values), limit)], nil
}
