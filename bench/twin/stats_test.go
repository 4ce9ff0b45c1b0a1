package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
)

// made are runs of 20 tasks of very different size, three trials an arm. Code
// reads half of what tools read; both take as many cycles; tools solve all,
// code all but every fourth.
func made() []Row {
	var rows []Row
	for task := range 20 {
		for trial := range 3 {
			size := 1000 * (task + 1)
			rows = append(rows,
				Row{Task: fmt.Sprintf("set/%02d", task), Arm: armCode, Trial: trial, Solved: task%4 != 0, Cycles: 5 + trial, Time: 1 + float64(task*7%20)/10,
					Usage: strands.Usage{Input: size / 4, CacheRead: size / 4, Output: 100 + 10*(task%3)}},
				Row{Task: fmt.Sprintf("set/%02d", task), Arm: armTools, Trial: trial, Solved: true, Cycles: 5 + trial, Time: 1 + float64(task*3%20)/10,
					Usage: strands.Usage{Input: size, Output: 100 + 10*((task+1)%3)}})
		}
	}
	return rows
}

func line(t *testing.T, lines []Line, name string) Line {
	t.Helper()
	for _, l := range lines {
		if l.Metric == name {
			return l
		}
	}
	t.Fatalf("no line %q", name)
	return Line{}
}

func near(a number, b float64) bool { return math.Abs(float64(a)-b) < 1e-6*math.Max(1, math.Abs(b)) }

func TestCompare(t *testing.T) {
	lines := compare(group(made(), strands.Prices{Input: 2, Output: 10, CacheRead: 0.2}), 1)
	input := line(t, lines, "input tokens")
	if !near(input.Code.Value, 5250) || !near(input.Tools.Value, 10500) || !near(input.Difference.Value, -50) {
		t.Errorf("input: %+v", input)
	}
	// Tasks are drawn in pairs: their sizes differ, and the ratio does not.
	if !near(input.Difference.Low, -50) || !near(input.Difference.High, -50) || !input.Excludes || input.Code.High-input.Code.Low < 1000 {
		t.Errorf("the intervals are not of pairs: %+v", input)
	}
	if l := line(t, lines, "of them cached"); !near(l.Code.Value, 2625) || !math.IsNaN(float64(l.Difference.Value)) || l.Excludes {
		t.Errorf("cached: %+v", l)
	}
	accuracy := line(t, lines, "accuracy")
	if !near(accuracy.Code.Value, 0.75) || !near(accuracy.Difference.Value, -25) || !accuracy.Excludes || accuracy.Claim != 7 ||
		accuracy.Difference.Low > -25 || accuracy.Difference.High < -25 || accuracy.Difference.High-accuracy.Difference.Low > 50 {
		t.Errorf("accuracy: %+v", accuracy)
	}
	if l := line(t, lines, "cycles"); !near(l.Code.Value, 6) || l.Excludes {
		t.Errorf("cycles: %+v", l)
	}
	if l := line(t, lines, "seconds"); l.Excludes || l.Difference.Low >= 0 || l.Difference.High <= 0 {
		t.Errorf("seconds differ by chance: %+v", l)
	}
	// 2625 new and as many cached tokens, and 109.5 of output.
	if l := line(t, lines, "cost"); !near(l.Code.Value, (2625*2+2625*0.2+109.5*10)/1e6) {
		t.Errorf("cost: %+v", l)
	}
	if l := line(t, lines, "success per 1,000 tokens"); !near(l.Code.Value, 750/(5250+109.5)) {
		t.Errorf("success: %+v", l)
	}
	if again := compare(group(made(), strands.Prices{}), 1); fmt.Sprint(line(t, again, "seconds")) != fmt.Sprint(line(t, lines, "seconds")) {
		t.Error("the same seed gives other intervals")
	}
}

// TestTasksCountAlike: a task with more trials does not weigh more.
func TestTasksCountAlike(t *testing.T) {
	rows := []Row{{Task: "a", Arm: armCode, Solved: true}, {Task: "b", Arm: armCode}, {Task: "b", Arm: armCode}, {Task: "b", Arm: armCode}, {Task: "b", Arm: armCode, Failed: "no network"}}
	if l := line(t, compare(group(rows, strands.Prices{}), 1), "accuracy"); !near(l.Code.Value, 0.5) || !math.IsNaN(float64(l.Tools.Value)) {
		t.Errorf("accuracy: %+v", l)
	}
}

func TestReportForms(t *testing.T) {
	r := &Report{Protocol: protocol{Model: "<b>model</b>", Suite: "data", MaxTurns: 50}, Live: true, Trials: 3}
	rows := append(made(), Row{Task: "only/code", Arm: armCode, Solved: true, Cycles: 1}, Row{Task: "set/01", Arm: armCode, Trial: 3, Failed: "no network"})
	r.fill(rows, 1)
	if r.Paired != 20 || len(r.Tasks) != 21 || len(r.Failed) != 1 || len(r.Rows) != 121 {
		t.Errorf("%d pairs, %d tasks, %d failed, %d rows", r.Paired, len(r.Tasks), len(r.Failed), len(r.Rows))
	}
	var text bytes.Buffer
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-50.0 %", "[-50.0, -50.0]", "yes", "-78 %", "not measured: set/01, code, trial 3: no network", "only/code  1/1"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "cost") {
		t.Error("a cost is shown without prices")
	}
	path := filepath.Join(t.TempDir(), "report")
	if err := r.page(path); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"&lt;b&gt;model", "-50.0 %", "<svg", "set/19", "no network", "default-src 'none'"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("no %q in the page", want)
		}
	}
	for _, bad := range []string{"http:", "https:", "<script", "NaN", "ZgotmplZ", "<b>model"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("%q in the page", bad)
		}
	}
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || !json.Valid(raw) || bytes.Contains(raw, []byte("NaN")) {
		t.Errorf("the JSON is not valid: %v", err)
	}
}
