package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands/knowledge"
)

func TestScores(t *testing.T) {
	s := scores{name: "some"}
	var out strings.Builder
	s.row(&out)
	if out.Len() > 0 {
		t.Errorf("a row of no questions: %s", &out)
	}
	for _, rank := range []int{1, 2, 5, 6, 10, 0, 1, 0} {
		s.add(rank)
	}
	s.row(&out)
	// 2, 4 and 6 of 8; 1 + 1/2 + 1/5 + 1/6 + 1/10 + 1 = 2.9667
	if want := "| some | 8 | 25 % | 50 % | 75 % | 0.371 |\n"; out.String() != want {
		t.Errorf("%s, want %s", &out, want)
	}
}

// TestSets: the sets that are committed are read whole, and ask nothing twice.
func TestSets(t *testing.T) {
	for name, c := range map[string]struct {
		set  string
		size int
	}{"hundred": {hundred, 100}, "development": {development, 46}, "third": {third, 68}} {
		all, err := new(bench).questions(c.set)
		if err != nil || len(all) != c.size {
			t.Errorf("%s: %d questions, %v", name, len(all), err)
		}
		seen := map[string]bool{}
		for _, q := range all {
			if seen[q.manual+q.text] {
				t.Errorf("%s asks %s twice: %s", name, q.manual, q.text)
			}
			seen[q.manual+q.text] = true
		}
	}
}

func TestQuestions(t *testing.T) {
	const set = "# a comment\n\nr\twhat is it?\ta b\tc\r\nbash\tand that?\td\n"
	for first, want := range map[bool]string{
		false: "[{r what is it? [a b c]} {bash and that? [d]}]",
		true:  "[{r what is it? [a b]} {bash and that? [d]}]",
	} {
		got, err := (&bench{first: first}).questions(set)
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("first %v: %v, %v", first, got, err)
		}
	}
	for _, line := range []string{"r what is it? a", "r\twhat is it?", "r\twhat is it?\t ", "perl\twhat is it?\ta", "r\t\ta", "r\twhat?\ta\tb\tc"} {
		if got, err := new(bench).questions(set + line); err == nil || !strings.Contains(err.Error(), "line 5 ") {
			t.Errorf("%q: %v, %v", line, got, err)
		}
	}
}

// TestMeasure asks a small bundle, of which the ranks are plain: who has the
// words more often comes first.
func TestMeasure(t *testing.T) {
	fsys := fstest.MapFS{}
	for i := range 12 {
		fsys[fmt.Sprintf("c%02d.md", i)] = &fstest.MapFile{Data: []byte("---\ntype: T\n---\n" + strings.Repeat("apple ", 40-3*i) + strings.Repeat("pear ", 3*i))}
	}
	const set = "r\tapple\tc00\nr\tapple?\tc02\nr\tan apple\tc07 c01\nr\tthe apple\tc11\n" + "bash\tapple\tc06\nbash\tfig\tc00\n"
	for name, want := range map[string][]string{
		"hundred": {
			"| all | 6 | 17 % | 50 % | 67 % | 0.329 |",
			"| in view while ranking was made | 3 | 33 % | 67 % | 100 % | 0.548 |",
			"| held out | 3 | 0 % | 33 % | 33 % | 0.111 |",
			"| r | 4 | 25 % | 75 % | 75 % | 0.458 |",
			"| bash | 2 | 0 % | 0 % | 50 % | 0.071 |",
			"7\tbash: apple",
		},
		"development": {"| in view while ranking was made | 6 | 17 % |", "0\tr: the apple"},
		"third":       {"| held out | 6 | 17 % |"},
	} {
		var out strings.Builder
		b := bench{misses: true, out: &out, open: func(ctx context.Context, manual string) (*knowledge.Bundle, error) {
			return knowledge.OpenFS(ctx, fsys, knowledge.Options{Name: manual})
		}}
		if err := b.measure(t.Context(), set, name); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", name, w, &out)
			}
		}
		if name != "development" && strings.Contains(out.String(), "the apple") {
			t.Errorf("%s: a question that is held out is listed:\n%s", name, &out)
		}
		if err := b.measure(t.Context(), "r\tapple\tgone\n", name); err == nil || !strings.Contains(err.Error(), "no concept gone") {
			t.Errorf("%s: an answer that is not there: %v", name, err)
		}
	}
}
