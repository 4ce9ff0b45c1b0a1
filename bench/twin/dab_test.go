package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands/python"
)

// TestDAB runs a folder in the layout of the Data Agent Benchmark. The second
// answer of the code arm is wrong on purpose.
func TestDAB(t *testing.T) {
	withPandas(t)
	tapes, submission := t.TempDir(), filepath.Join(t.TempDir(), "submission.json")
	r, out, err := twin(t, "--suite", "testdata/dab", "--model", "script:testdata/scripts", "--hints", "--record", tapes, "--submission", submission)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, row := range r.Rows {
		got[row.Task+" "+row.Arm] = row.Solved
		if !row.Solved && row.Why != "rye is not in the answer" {
			t.Errorf("%s is not solved: %s", row.Task, row.Why)
		}
	}
	want := map[string]bool{"bakery/1 code": true, "bakery/1 tools": true, "bakery/2 code": false, "bakery/2 tools": true}
	if len(got) != len(want) {
		t.Errorf("the runs are %v", got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: solved is %t", k, got[k])
		}
	}
	if !strings.Contains(out, "skipped harbour: it needs PostgreSQL: load its dump into a server and give --postgres") {
		t.Errorf("no word about what was skipped:\n%s", out)
	}
	raw, err := os.ReadFile(submission)
	if err != nil {
		t.Fatal(err)
	}
	var answers []map[string]string
	if err := json.Unmarshal(raw, &answers); err != nil || len(answers) != 2 {
		t.Fatalf("the submission is %s, %v", raw, err)
	}
	if a := answers[0]; a["dataset"] != "bakery" || a["query"] != "1" || a["run"] != "0" || !strings.Contains(a["answer"], "16.25") {
		t.Errorf("the first answer is %v", a)
	}
	outOfReach(t, filepath.Join(tapes, "bakery", "1", "code.0.tape"))
}

// outOfReach looks at what the agent was told and has found: its code looked
// for the answers in the whole file system that it sees.
func outOfReach(t *testing.T, tape string) {
	t.Helper()
	raw, err := os.ReadFile(tape)
	if err != nil {
		t.Fatal(err)
	}
	begin, _, _ := strings.Cut(string(raw), "answer:") // of the model's last code
	for _, want := range []string{"seen: []", "Names in sales_db have capital letters."} {
		if !strings.Contains(begin, want) {
			t.Errorf("no %q in\n%s", want, begin)
		}
	}
	for _, secret := range []string{"16.25", "testdata", "query_bakery"} {
		if strings.Contains(begin, secret) {
			t.Errorf("%q was told to the agent", secret)
		}
	}
}

// TestDABAnswersCannotBeRead: code that knows where the answers lie can read
// them without the sandbox, and not in it.
func TestDABAnswersCannotBeRead(t *testing.T) {
	path, err := filepath.Abs("testdata/dab/query_bakery/query1/ground_truth.csv")
	if err != nil {
		t.Fatal(err)
	}
	read := func(i python.Interpreter) python.Result {
		t.Helper()
		defer i.Close()
		s, err := i.Open(t.Context(), python.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for out, err := range s.Exec(t.Context(), fmt.Sprintf("print(open(%q).read())", path)) {
			if err != nil {
				t.Fatal(err)
			}
			if out.Result != nil {
				return *out.Result
			}
		}
		t.Fatal("no result")
		return python.Result{}
	}
	if r := read(&python.Exec{}); !strings.Contains(r.Stdout, "16.25") {
		t.Fatalf("without the sandbox it cannot be read either: %+v", r)
	}
	if r := read(&python.Sandboxed{}); r.Err == nil || strings.Contains(r.Stdout, "16.25") {
		t.Errorf("the sandbox lets it be read: %+v", r)
	}
}

// TestDABFilesMissing: each file that a task needs.
func TestDABFilesMissing(t *testing.T) {
	for _, name := range []string{"db_config.yaml", "db_description.txt", "query1/query.json", "query1/validate.py", "query1/ground_truth.csv"} {
		dir := filepath.Join(t.TempDir(), "dab")
		if err := os.CopyFS(dir, os.DirFS("testdata/dab")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "query_bakery", name)); err != nil {
			t.Fatal(err)
		}
		_, _, err := twin(t, "--suite", dir, "--model", "script:testdata/scripts")
		if err == nil || !strings.HasSuffix(err.Error(), name+" is missing") || !strings.Contains(err.Error(), "dataset bakery") {
			t.Errorf("without %s the error is %v", name, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "dab")
	if err := os.CopyFS(dir, os.DirFS("testdata/dab")); err != nil {
		t.Fatal(err)
	}
	pointer := []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
	if err := os.WriteFile(filepath.Join(dir, "query_bakery/query_dataset/sales.db"), pointer, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := twin(t, "--suite", dir, "--model", "script:testdata/scripts"); err == nil || !strings.Contains(err.Error(), "sales.db is not downloaded") {
		t.Errorf("with a pointer of Git LFS the error is %v", err)
	}
}
