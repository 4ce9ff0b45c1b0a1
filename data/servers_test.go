//go:build unix

package data_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/internal/servertest"
	"github.com/strandsgo/strands/table"
)

// run executes statements through a store that may write.
func run(t *testing.T, s *data.Store, script string) {
	t.Helper()
	for _, statement := range strings.Split(script, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := s.Query(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// postgresClerk starts PostgreSQL and returns the addresses of a superuser and
// of an account that may do all to the database, and nothing to the server.
func postgresClerk(t *testing.T) (super, clerk string) {
	t.Helper()
	super = servertest.Postgres(t)
	run(t, open(t, super, data.Options{Write: true}), "CREATE ROLE clerk LOGIN;\nGRANT ALL ON DATABASE postgres TO clerk;\nGRANT ALL ON SCHEMA public TO clerk")
	return super, strings.Replace(super, "user=strands", "user=clerk", 1)
}

func TestPostgres(t *testing.T) {
	_, address := postgresClerk(t)
	admin := open(t, address, data.Options{Write: true})
	run(t, admin, `
CREATE TABLE customers (id serial PRIMARY KEY, code text UNIQUE NOT NULL, since timestamptz, spent numeric(10,2), tags text[], extra jsonb, ok boolean, born date);
INSERT INTO customers (code, since, spent, tags, extra, ok, born) VALUES ('C-1', '2024-05-01 10:00+02', 10.50, '{a,b}', '{"x": [1]}', true, '1990-01-02'), ('C-2', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer text REFERENCES customers(code));
INSERT INTO orders VALUES (1, 'C-1'), (2, 'C-1');
CREATE SCHEMA old;
CREATE VIEW old.two AS SELECT 2 AS n`)
	s := open(t, address, data.Options{Name: "crm", Limits: table.Limits{Rows: 1000}})
	brief := open(t, address, data.Options{Timeout: time.Second})
	small := open(t, address, data.Options{Limits: table.Limits{Bytes: 1 << 20}})
	tb, err := s.Tables(t.Context())
	wantRows(t, texts(t, tb, err), "customers table <nil>", "old.two view <nil>", "orders table <nil>")
	tb, err = s.Describe(t.Context(), "orders")
	wantRows(t, texts(t, tb, err), "id integer false primary key", "customer text true references customers(code)")
	tb, err = s.Query(t.Context(), "SELECT id, code, since, spent, tags, extra, ok, born FROM customers WHERE id >= $1 ORDER BY id", 1)
	wantRows(t, texts(t, tb, err),
		`1 C-1 2024-05-01 08:00:00 +0000 UTC 10.50 {a,b} {"x": [1]} true 1990-01-02 00:00:00 +0000 UTC`,
		"2 C-2 <nil> <nil> <nil> <nil> <nil> <nil>")
	tb, err = s.Profile(t.Context(), "orders")
	wantRows(t, texts(t, tb, err), "id integer 2 0 2 1 2 1, 2 ", "customer text 2 0 1 C-1 C-1 C-1 ×2 ")
	tb, err = s.Profile(t.Context(), "old.two")
	wantRows(t, texts(t, tb, err), "n integer 1 0 1 2 2 2 ")
	tb, err = s.Profile(t.Context(), "customers")
	if got := texts(t, tb, err); !strings.Contains(got[1], "orders.customer") && !strings.Contains(got[5], "extra jsonb 2 1 1") {
		t.Errorf("the profile is %q", got)
	}

	for name, c := range map[string]struct {
		s           *data.Store
		query, says string
	}{
		"no such table":  {s, "SELECT * FROM order_lines", `relation "order_lines" does not exist (at "order_lines")`},
		"no such column": {s, "SELECT kode FROM customers", "Perhaps you meant"},
		"endless":        {brief, "SELECT pg_sleep(3600)", "stopped after 1s"},
		"large":          {s, "SELECT repeat('x', 1000), generate_series(1, 100000000)", "more than 1000 rows"},
		"late":           {s, "SELECT 1 / (500 - n) FROM generate_series(1, 1000) n", "crm: division by zero"},
		"other letters":  {s, "SELECT 'éé', kode FROM orders", `(at "kode FROM orders")`},
		"one large row":  {small, "SELECT repeat('x', 3000000)", "more than is allowed for one row"},
	} {
		if _, err := c.s.Query(t.Context(), c.query); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cutResult(t, address, "CREATE TABLE t (n int)", "INSERT INTO t SELECT generate_series(1, 1000) RETURNING n")
	const working = "pg_stat_activity WHERE application_name = 'strands' AND state = 'active' AND pid <> pg_backend_pid()"
	for start := time.Now(); count(t, admin, working) != "0"; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("the server still works on what was given up")
		}
	}
}

// TestPostgresNames: what tables lists is what describe and profile take.
func TestPostgresNames(t *testing.T) {
	_, address := postgresClerk(t)
	run(t, open(t, address, data.Options{Write: true}), `CREATE TABLE "a.b" (n int);
CREATE TABLE "Order ""Items""" (n int);
CREATE SCHEMA "s.s";
CREATE TABLE "s.s".t (n int);
CREATE TABLE "s.s"."t.t" (n int)`)
	s := open(t, address, data.Options{})
	tb, err := s.Tables(t.Context())
	wantRows(t, texts(t, tb, err), `"Order ""Items""" table <nil>`, `"a.b" table <nil>`, `"s.s"."t.t" table <nil>`, `"s.s".t table <nil>`)
	for row := range tb.Rows() {
		tb, err := s.Describe(t.Context(), row[0].(string))
		wantRows(t, texts(t, tb, err), "n integer true ")
		tb, err = s.Profile(t.Context(), row[0].(string))
		wantRows(t, texts(t, tb, err), "n integer 0 0 0    ")
	}
}

// TestPostgresReadOnly: each statement works for one who may write.
func TestPostgresReadOnly(t *testing.T) {
	_, address := postgresClerk(t)
	admin := open(t, address, data.Options{Write: true})
	run(t, admin, "CREATE TABLE t (n int);\nINSERT INTO t VALUES (1)")
	s := open(t, address, data.Options{})
	for name, attack := range map[string]string{
		"insert":   "INSERT INTO t VALUES (2)",
		"with":     "WITH x AS (DELETE FROM t RETURNING n) SELECT * FROM x",
		"create":   "CREATE TABLE evil (n int)",
		"truncate": "TRUNCATE t",
		"setval":   "CREATE SEQUENCE evil_seq",
		"do":       "DO $$ BEGIN INSERT INTO t VALUES (3); END $$",
	} {
		for _, first := range []string{
			"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SELECT set_config('default_transaction_read_only', 'off', false)",
			"SET TRANSACTION READ WRITE", "COMMIT",
		} {
			_, _ = s.Query(t.Context(), first) // what may open the door
		}
		if _, err := s.Query(t.Context(), attack); err == nil {
			t.Errorf("%s is let through", name)
		}
		if _, err := s.Query(t.Context(), "COMMIT; "+attack); err == nil {
			t.Errorf("%s is let through behind COMMIT", name)
		}
		if n := count(t, admin, "t"); n != "1" {
			t.Errorf("%s left %s rows", name, n)
		}
		if _, err := admin.Query(t.Context(), attack); err != nil {
			t.Errorf("%s fails for a writer too: %v", name, err)
		}
		run(t, admin, "DELETE FROM t;\nINSERT INTO t VALUES (1);\nDROP TABLE IF EXISTS evil;\nDROP SEQUENCE IF EXISTS evil_seq")
	}
}

// TestPostgresAccounts: to read a file, or to run a program, is no writing to
// the database. What may do so is refused, also when it gets the right later.
func TestPostgresAccounts(t *testing.T) {
	super, clerk := postgresClerk(t)
	admin := open(t, super, data.Options{Write: true})
	file := filepath.Join(os.TempDir(), "strands-data-copied-"+filepath.Base(t.TempDir()))
	defer os.Remove(file)
	program := "COPY (SELECT 1) TO PROGRAM 'cat > " + file + "'"
	attack := "DO $x$ BEGIN SET TRANSACTION READ ONLY; SET ROLE NONE; EXECUTE $y$" + program + "$y$; END $x$"
	run(t, admin, attack)
	if err := os.Remove(file); err != nil {
		t.Fatalf("a superuser's program wrote nothing; this proves nothing: %v", err)
	}
	s := open(t, clerk, data.Options{})
	for _, q := range []string{attack, program, "SELECT pg_read_file('/etc/passwd')", "SET ROLE strands"} {
		if _, err := s.Query(t.Context(), q); err == nil {
			t.Errorf("%s is let through", q)
		}
	}
	const refused = "may write files and run programs on the server"
	if _, err := data.Open(t.Context(), super, data.Options{}); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("a superuser: %v", err)
	}
	run(t, admin, "CREATE ROLE between;\nGRANT pg_execute_server_program TO between;\nGRANT between TO clerk")
	if _, err := s.Query(t.Context(), program); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("a role that was given meanwhile: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the program ran")
	}
}

func TestMySQL(t *testing.T) {
	address := servertest.MariaDB(t)
	admin := open(t, address, data.Options{Write: true})
	run(t, admin, "CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, code varchar(20) UNIQUE NOT NULL, since datetime, spent decimal(10,2), born date, note blob);\n"+
		"INSERT INTO customers (code, since, spent, born, note) VALUES ('C-1', '2024-05-01 10:00:00', 10.50, '1990-01-02', x'00ff'), ('C-2', NULL, NULL, NULL, NULL);\n"+
		"CREATE TABLE orders (id int PRIMARY KEY, customer varchar(20) REFERENCES customers(code));\nINSERT INTO orders VALUES (1, 'C-1'), (2, 'C-1')")
	s := open(t, address, data.Options{Limits: table.Limits{Rows: 1000}})
	brief := open(t, address, data.Options{Timeout: time.Second})
	tb, err := s.Describe(t.Context(), "orders")
	wantRows(t, texts(t, tb, err), "id int(11) false primary key", "customer varchar(20) true references customers(code)")
	tb, err = s.Query(t.Context(), "SELECT id, code, since, spent, born, note FROM customers WHERE id >= ? ORDER BY id", 1)
	wantRows(t, texts(t, tb, err), "1 C-1 2024-05-01 10:00:00 +0000 UTC 10.50 1990-01-02 00:00:00 +0000 UTC [0 255]", "2 C-2 <nil> <nil> <nil> <nil>")
	tb, err = s.Profile(t.Context(), "orders")
	wantRows(t, texts(t, tb, err), "id int(11) 2 0 2 1 2 1, 2 ", "customer varchar(20) 2 0 1 C-1 C-1 C-1 ×2 ")
	run(t, admin, "CREATE TABLE odd (at time, some set('p','q'), shape geometry);\nINSERT INTO odd VALUES ('-12:30:00', 'p,q', point(1, 2)), (NULL, NULL, NULL)")
	tb, err = s.Query(t.Context(), "SELECT at, some FROM odd LIMIT 1")
	wantRows(t, texts(t, tb, err), "-12:30:00 p,q")
	tb, err = s.Profile(t.Context(), "odd")
	if got := texts(t, tb, err); len(got) != 3 || got[2] != "shape geometry 2 1 1 25 bytes 25 bytes  " {
		t.Errorf("the profile is %q", got)
	}
	for name, c := range map[string]struct {
		s           *data.Store
		query, says string
	}{
		"no such table": {s, "SELECT * FROM order_lines", "order_lines' doesn't exist"},
		"endless":       {brief, "SELECT sleep(3600)", "stopped after 1s"},
		"large":         {s, "SELECT a.seq FROM seq_1_to_1000000 a, seq_1_to_1000000 b", "more than 1000 rows"},
	} {
		if _, err := c.s.Query(t.Context(), c.query); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cutResult(t, address, "CREATE TABLE t (n int)", "INSERT INTO t SELECT seq FROM seq_1_to_1000 RETURNING n")
	for range 50 { // the driver's own way to give up reads the rest of it, now and then
		if _, err := s.Query(t.Context(), "SELECT a.seq FROM seq_1_to_1000000 a, seq_1_to_1000000 b"); err == nil || !strings.Contains(err.Error(), "more than 1000 rows") {
			t.Fatalf("a large result: %v", err)
		}
	}
	// MariaDB takes a program as one statement, and that may end the transaction.
	const program = "BEGIN NOT ATOMIC SET SESSION TRANSACTION READ WRITE; COMMIT; DELETE FROM orders; COMMIT; END"
	run(t, admin, "CREATE TABLE copy AS SELECT * FROM orders")
	if _, err := admin.Query(t.Context(), program); err != nil || count(t, admin, "orders") != "0" {
		t.Fatalf("the program deletes nothing; this proves nothing: %v", err)
	}
	run(t, admin, "INSERT INTO orders SELECT * FROM copy")
	if _, err := admin.Query(t.Context(), "SELECT 1 INTO OUTFILE 'proof'"); err != nil {
		t.Fatalf("an account with the right to it writes no file; this proves nothing: %v", err)
	}
	for _, attack := range []string{"SELECT 1 INTO OUTFILE 'evil'", "SELECT 1 INTO/**/dumpfile 'evil'", "(SELECT 1 /*!INTO*/ OutFile 'evil')"} {
		if _, err := s.Query(t.Context(), attack); err == nil || !strings.Contains(err.Error(), "writes a file on the server") {
			t.Errorf("%s: %v", attack, err)
		}
	}
	for _, query := range []string{"(SELECT 1)", "-- why\n# and\n/* how */ select 1", "SHOW TABLES", "WITH x AS (SELECT 1) SELECT * FROM x", "DESC orders", "VALUES (1)"} {
		if _, err := s.Query(t.Context(), query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	for name, attack := range map[string]string{
		"insert": "INSERT INTO orders VALUES (3, 'x')", "create": "CREATE TABLE evil (n int)", "truncate": "TRUNCATE TABLE orders",
		"set": "SET GLOBAL max_error_count = 17", "two": "SELECT 1; DELETE FROM orders", "program": program, "comment": "/* SELECT */ " + program,
		"executed comment": "/*! BEGIN NOT ATOMIC */" + strings.TrimPrefix(program, "BEGIN NOT ATOMIC"), "empty comment": "--\n" + program + "\n-- SELECT",
		"with": "WITH x AS (SELECT 1) " + program, "long comment": "/* */" + program + "/* */ SELECT 1", "in a program": "EXECUTE IMMEDIATE '" + program + "'",
	} {
		for _, first := range []string{"SET SESSION TRANSACTION READ WRITE", "SET SESSION tx_read_only = 0", "COMMIT"} {
			_, _ = s.Query(t.Context(), first)
		}
		if _, err := s.Query(t.Context(), attack); err == nil {
			t.Errorf("%s is let through", name)
		}
		if n := count(t, admin, "orders"); n != "2" {
			t.Errorf("%s left %s rows", name, n)
		}
	}
}

func TestMongo(t *testing.T) {
	address := servertest.MongoDB(t)
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(context.Background())
	people := client.Database("test").Collection("people")
	at := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	if _, err := people.InsertMany(t.Context(), []any{
		bson.M{"_id": 1, "name": "Ada", "since": at, "address": bson.M{"city": "London"}, "tags": bson.A{"x"}},
		bson.M{"_id": 2, "name": "Grace", "age": 40}, bson.M{"_id": 3, "name": "Edsger", "age": "old"},
	}); err != nil {
		t.Fatal(err)
	}
	s := open(t, address, data.Options{Limits: table.Limits{Rows: 3}})
	if _, err := s.Query(t.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "use find or aggregate") {
		t.Errorf("SQL: %v", err)
	}
	call := func(name, input string) (table.Table, error) {
		for _, tool := range s.Tools() {
			if tool.Spec().Name == name {
				r, err := tool.Call(t.Context(), &strands.ToolCall{Input: []byte(input)})
				if err != nil {
					return table.Table{}, err
				}
				return r.Value.(table.Table), nil
			}
		}
		t.Fatalf("there is no tool %s", name)
		return table.Table{}, nil
	}
	tb, err := call("tables", `{}`)
	wantRows(t, texts(t, tb, err), "people collection 3")
	tb, err = call("describe", `{"table": "people"}`)
	wantRows(t, texts(t, tb, err), "_id int false primary key", "address object true ", "age int or string true ", "name string false ", "since date true ", "tags array true ")
	tb, err = call("find", `{"collection": "people", "filter": {"since": {"$gte": {"$date": "2024-01-01T00:00:00Z"}}}}`)
	wantRows(t, texts(t, tb, err), `1 {"city":"London"} Ada 2024-05-01 10:00:00 +0000 UTC ["x"]`)
	tb, err = call("find", `{"collection": "people", "projection": {"age": 1}, "sort": {"_id": -1}, "limit": 2}`)
	wantRows(t, texts(t, tb, err), "3 old", "2 40")
	tb, err = call("aggregate", `{"collection": "people", "pipeline": [{"$match": {"_id": {"$gt": 1}}}, {"$count": "n"}]}`)
	wantRows(t, texts(t, tb, err), "2")
	tb, err = call("profile", `{"table": "people"}`)
	if got := texts(t, tb, err); len(got) != 6 || got[3] != "name string 3 0 3 Ada Grace Ada, Edsger, Grace " {
		t.Errorf("the profile is %q", got)
	}
	for name, c := range map[string]struct{ tool, input, says string }{
		"missing":  {"find", `{"collection": "person"}`, `there is no table "person"; there are people`},
		"nothing":  {"aggregate", `{"collection": "", "pipeline": []}`, `there is no table ""`},
		"filter":   {"find", `{"collection": "people", "filter": [1]}`, "filter is no document"},
		"operator": {"find", `{"collection": "people", "filter": {"a": {"$nope": 1}}}`, "$nope"},
		"pipeline": {"aggregate", `{"collection": "people", "pipeline": {}}`, "pipeline is no list"},
		"out":      {"aggregate", `{"collection": "people", "pipeline": [{"$out": "copy"}]}`, "read-only: $out is refused"},
		"merge":    {"aggregate", `{"collection": "people", "pipeline": [{"$facet": {"x": [{"$merge": {"into": "copy"}}]}}]}`, "$merge is refused"},
	} {
		if _, err := call(c.tool, c.input); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := people.InsertOne(t.Context(), bson.M{"name": "one more"}); err != nil {
		t.Fatal(err)
	}
	if _, err := call("find", `{"collection": "people"}`); err == nil || !strings.Contains(err.Error(), "more than 3 documents") {
		t.Errorf("too much: %v", err)
	}
}
