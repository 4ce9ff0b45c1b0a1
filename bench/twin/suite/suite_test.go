package suite

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/servertest"
)

func TestGiven(t *testing.T) {
	for answer, want := range map[string]string{
		"It is so.\nAnswer: 12.50":             "12.50",
		"Answer: 3\nNo, wait.\n**Answer:** 4":  "4",
		"**Answer: `Ada Adler 0`**\n":          "Ada Adler 0",
		"12":                                   "12",
		"I found 12.\nIt may be 13.":           "-",
		"The answer is 12, or 13.\nAnswer 14.": "-",
	} {
		got, ok := given(answer)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%q gives %q, want %q", answer, got, want)
		}
	}
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		task   Task
		answer string
		right  bool
	}{
		{number("", "", 12.345, 1), "12.3", true},
		{number("", "", 12.345, 1), "12.4", false},
		{number("", "", 12.345, 1), "about 12.3", false},
		{number("", "", 12, 0), "12", true},
		{number("", "", 12, 0), "12.0", true},
		{number("", "", 12, 0), "12.4", false},
		{number("", "", 1200, 0), "1,200", false},
		{number("", "", 12, 0), "12, 13", false},
		{name("", "", "Ada Adler 0"), "ada adler 0", true},
		{name("", "", "Ada Adler 0"), "Ada Adler 0 or Ben Adler 1", false},
		{names("", "", []string{"a", "b"}), "`a`,  b", true},
		{names("", "", []string{"a", "b"}), "b, a", false},
		{names("", "", []string{"a", "b"}), "a, b, c", false},
	} {
		if ok, why, err := c.task.Check(t.Context(), "Answer: "+c.answer); ok != c.right || err != nil || ok == (why != "") {
			t.Errorf("%q: %t, %q, %v", c.answer, ok, why, err)
		}
	}
}

// wants are the right answers, as the reasons for wrong ones tell them.
func wants(t *testing.T, s *Suite) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, task := range s.Tasks() {
		ok, why, err := task.Check(t.Context(), "Answer: -1")
		_, want, found := strings.Cut(why, " is not ")
		if ok || err != nil || !found {
			t.Errorf("%s: %t, %q, %v", task.ID, ok, why, err)
		}
		if all[task.ID] != "" {
			t.Errorf("two tasks are called %s", task.ID)
		}
		all[task.ID] = want
		if ok, why, _ := task.Check(t.Context(), "So:\nAnswer: "+strings.Trim(want, `"`)); !ok {
			t.Errorf("%s: its own answer is wrong: %s", task.ID, why)
		}
		if strings.Contains(task.Question, want) {
			t.Errorf("%s tells its answer", task.ID)
		}
	}
	return all
}

func open(t *testing.T, name string, o Options) *Suite {
	t.Helper()
	o.Dir = t.TempDir()
	s, err := Open(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSuites(t *testing.T) {
	for name, size := range map[string][2]int{"data": {6, 36}, "catalogue": {1, 12}} {
		first := open(t, name, Options{Seed: 1, Scale: 0.0005})
		if got := [2]int{len(first.Sets), len(first.Tasks())}; got != size {
			t.Errorf("%s has %v sets and tasks, want %v", name, got, size)
		}
		answers := wants(t, first)
		if again := wants(t, open(t, name, Options{Seed: 1, Scale: 0.0005})); fmt.Sprint(again) != fmt.Sprint(answers) {
			t.Errorf("%s: the same seed gives %v and %v", name, answers, again)
		}
		if other := wants(t, open(t, name, Options{Seed: 2, Scale: 0.0005})); fmt.Sprint(other) == fmt.Sprint(answers) {
			t.Errorf("%s: another seed gives the same", name)
		}
		zero := 0
		for _, want := range answers {
			if want == "0" || want == "0.00" || want == "0.0" || want == `""` {
				zero++
			}
		}
		if zero > 0 {
			t.Errorf("%s: %d answers are nothing: %v", name, zero, answers)
		}
	}
}

func TestCatalogueSizes(t *testing.T) {
	for _, n := range []int{5, 50, 500} {
		names := map[string]bool{}
		kits := Catalogue(1, n)
		for _, k := range kits {
			for _, f := range k.Functions {
				names[f.Spec().Name] = true
			}
		}
		if len(names) != n || len(kits) != min(n, 16) {
			t.Errorf("%d functions in %d services, want %d", len(names), len(kits), n)
		}
	}
}

// TestPostgres: the same data in a server gives the same sums.
func TestPostgres(t *testing.T) {
	server := servertest.Postgres(t)
	admin, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	if _, err := admin.Exec(t.Context(), "CREATE ROLE bench LOGIN CREATEDB"); err != nil {
		t.Fatal(err)
	}
	server = strings.Replace(server, "user=strands", "user=bench", 1)
	in := open(t, "data", Options{Seed: 1, Scale: 0.0003, Postgres: server})
	out := open(t, "data", Options{Seed: 1, Scale: 0.0003})
	ask := func(s *Suite) string {
		for _, k := range s.Set("shop").Toolkits {
			for _, o := range k.Objects {
				if o.Name != "sales" {
					continue
				}
				for _, m := range o.Methods {
					if m.Spec().Name != "query" {
						continue
					}
					r, err := m.Call(t.Context(), &strands.ToolCall{Name: "query", Input: []byte(`{"sql": "select count(*) as n, cast(sum(quantity) as integer) as q, min(day) as first, cast(sum(case when status = 'paid' then 1 else 0 end) as integer) as paid from orders"}`)})
					if err != nil || r.IsError {
						t.Fatalf("%v, %v", r, err)
					}
					_, rows, _ := strings.Cut(r.Text(), `"rows"`)
					return rows
				}
			}
		}
		t.Fatal("there is no query")
		return ""
	}
	if a, b := ask(in), ask(out); a != b || a == "" {
		t.Errorf("PostgreSQL says %s, SQLite %s", a, b)
	}
}
