package main_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

const askDatabases = `
turns:
  - python: |
      orders = shop.query("SELECT customer, total FROM orders WHERE total > ?", [15])
      people_df = people.query("SELECT * FROM people")
      print(type(orders).__name__, orders.total.sum(), list(people_df.name))
      for attempt in ("DELETE FROM orders", "SELECT * FROM order_lines"):
          try:
              shop.query(attempt)
          except Exception as e:
              print(type(e).__name__, e)
      print(shop.query("SELECT count(*) AS n FROM orders").n[0])
  - text: "{{ stdout 1 }}"
`

// databaseFolder has a SQLite file, a CSV file and a script.
func databaseFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "shop.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE orders (customer TEXT, total REAL); INSERT INTO orders VALUES ('C-1', 10), ('C-2', 20), ('C-1', 30)"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"people.csv": "code,name\nc1,Ada\nc2,Grace\n", "ask.yaml": askDatabases, "broken.csv": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDatabases asks two of them, and plays the recorded run again.
func TestDatabases(t *testing.T) {
	dir := databaseFolder(t)
	asked := []string{"run", "how much?", "--db", "shop.sqlite", "--db", "people=people.csv"}
	first := call{dir: dir, args: append(asked, "-m", "scripted:ask.yaml", "--record", "run.tape")}.run(t)
	if strings.Contains(first.stderr, "cannot be reached") && os.Getenv("CI") == "" {
		t.Skipf("pandas: %s", first.stderr)
	}
	want := "DataFrame 50.0 ['Ada', 'Grace']\nRuntimeError shop: the database is read-only\nRuntimeError shop: SQL logic error: no such table: order_lines"
	if first.code != 0 || !strings.Contains(first.stdout, want) || !strings.HasSuffix(strings.TrimSpace(first.stdout), "\n3") {
		t.Fatalf("exit code %d\n%s\n%s", first.code, first.stdout, first.stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "people.csv"), []byte("code,name\nc1,Someone else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := call{dir: dir, args: append(asked, "--replay", "run.tape")}.run(t)
	if again.code != 0 || !strings.Contains(again.stdout, want) {
		t.Errorf("replayed: exit code %d\n%s\n%s", again.code, again.stdout, again.stderr)
	}
	asked[1] = "how many?"
	other := call{dir: dir, args: append(asked, "--replay", "run.tape")}.run(t)
	if other.code == 0 || !strings.Contains(other.stderr, `it was "how much?" and is "how many?"`) {
		t.Errorf("another question: exit code %d\n%s", other.code, other.stderr)
	}
}

func TestWrongDatabases(t *testing.T) {
	dir := databaseFolder(t)
	for says, args := range map[string][]string{
		"no such file":                     {"--db", "nothing.sqlite"},
		"the file is empty":                {"--db", "broken.csv"},
		"refused":                          {"--db", "crm=postgres://me:secret@127.0.0.1:1/crm"},
		"it looks like mysql://":           {"--db", "mysql://me:secret@nowhere"},
		"is no kind of database":           {"--db", "oracle://me:secret@127.0.0.1/x"},
		"two databases are called shop":    {"--db", "shop.sqlite", "--db", "shop=people.csv"},
		"give --db too":                    {"--db-write"},
		"contradict each other":            {"--record", "a", "--replay", "b"},
		"loading a recorded run: open b: ": {"--replay", "b"},
	} {
		r := call{dir: dir, args: append([]string{"run", "hi", "-m", "scripted:ask.yaml"}, args...)}.run(t)
		if r.code == 0 || !strings.Contains(r.stderr, says) || strings.Contains(r.stderr, "secret") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.stderr)
		}
	}
}
