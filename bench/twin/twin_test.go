package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// withPandas makes the environment that tasks about data run in. It needs a
// package index the first time.
var pandas = sync.OnceValue(func() error {
	p := &python.Sandboxed{}
	defer p.Close()
	f := suite.Frames
	return p.Prepare(context.Background(), python.Options{Libraries: f.Libraries, Requirements: f.Requirements, Preload: f.Preload})
})

func withPandas(t *testing.T) {
	t.Helper()
	err := pandas()
	if e, ok := errors.AsType[*pyenv.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Skip("no package index (with CI=true this is a failure): ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// scale is that of the committed recordings and scripts.
const scale = "0.0003"

// twin runs the command and returns its report and what it printed.
func twin(t *testing.T, args ...string) (Report, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	var out bytes.Buffer
	err := run(t.Context(), append([]string{"--scale", scale, "--trials", "1", "--json", path}, args...), &out, io.Discard)
	var r Report
	if raw, readErr := os.ReadFile(path); readErr == nil {
		// Numbers that are none are null, and become 0 here.
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r, out.String(), err
}

func solved(t *testing.T, r Report, err error, tasks int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2*tasks || r.Paired != tasks {
		t.Errorf("%d runs of %d tasks in both arms, want %d", len(r.Rows), r.Paired, tasks)
	}
	for _, row := range r.Rows {
		if !row.Solved || row.Cycles < 2 {
			t.Errorf("%s, %s: %s (%d cycles)", row.Task, row.Arm, row.outcome(), row.Cycles)
		}
	}
}

// TestReplay plays the committed recordings: Python runs, models and
// functions do not.
func TestReplay(t *testing.T) {
	withPandas(t)
	for name, tasks := range map[string]int{"data": 6, "catalogue": 3} {
		t.Run(name, func(t *testing.T) {
			r, out, err := twin(t, "--suite", name, "--replay", "testdata/tapes")
			solved(t, r, err, tasks)
			if r.Live || !strings.Contains(out, "say nothing about models") {
				t.Errorf("a replay passes for a measurement:\n%s", out)
			}
		})
	}
}

// TestScripts: the scripted model solves tasks with the real stores and
// functions, and what is recorded of it can be played.
func TestScripts(t *testing.T) {
	withPandas(t)
	tapes := t.TempDir()
	for name, tasks := range map[string]int{"data": 6, "catalogue": 3} {
		r, _, err := twin(t, "--suite", name, "--model", "script:testdata/scripts", "--record", tapes)
		solved(t, r, err, tasks)
	}
	r, _, err := twin(t, "--suite", "data", "--replay", tapes)
	solved(t, r, err, 6)
}

// TestSolutions: code that has the stores and functions only comes to the
// answers of the generators, for all tasks that have no script above.
func TestSolutions(t *testing.T) {
	withPandas(t)
	for name, tasks := range map[string]int{"data": 30, "catalogue": 9} {
		r, _, err := twin(t, "--suite", name, "--arm", "code", "--model", "script:testdata/solutions")
		if err != nil || len(r.Rows) != tasks {
			t.Fatalf("%s: %d runs, %v", name, len(r.Rows), err)
		}
		for _, row := range r.Rows {
			if !row.Solved {
				t.Errorf("%s: %s", row.Task, row.Why)
			}
		}
	}
}

// TestReplayNoticesChanges: a prompt or a function that changed is named.
func TestReplayNoticesChanges(t *testing.T) {
	p := &python.Sandboxed{}
	defer p.Close()
	s, err := suite.Open(t.Context(), "catalogue", suite.Options{Seed: 1, Want: func(id string) bool { return id == "catalogue/newest" }})
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{suite: s, interpreter: p, maxTurns: 9, timeout: 10 * time.Minute, replay: "testdata/tapes"}
	set := s.Sets[0]
	asked := set.Tasks[0]
	for _, arm := range []string{armCode, armTools} {
		if row, err := r.one(t.Context(), job{asked, arm, 0}); err != nil || !row.Solved {
			t.Fatalf("unchanged: %+v, %v", row, err)
		}
		differs := func(task suite.Task, what string) {
			t.Helper()
			row, err := r.one(t.Context(), job{task, arm, 0})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(row.Failed, "differs from its recording") || !strings.Contains(row.Failed, "differs at character") || !strings.Contains(row.Failed, what) {
				t.Errorf("%s, %s: the run failed by %q", arm, what, row.Failed)
			}
		}
		twice := asked
		twice.Question = "Twice. " + asked.Question
		differs(twice, "Twice.")
		set.Toolkits[0].UsageInstructions = "Ask the service politely."
		differs(asked, "service")
		set.Toolkits[0].UsageInstructions = ""
	}
}

func TestResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	args := []string{"--suite", "catalogue", "--model", "script:testdata/scripts", "--runs", path, "--parallel", "1", "--arm", "code"}
	first, _, err := twin(t, args...)
	if err != nil || len(first.Rows) != 3 {
		t.Fatalf("%d runs, %v", len(first.Rows), err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	if len(lines) != 5 { // the protocol, three runs, nothing
		t.Fatalf("the file has %d lines:\n%s", len(lines), raw)
	}
	// It ended while the third run was being written.
	half := append(bytes.Join(lines[:3], nil), bytes.Repeat([]byte("x"), 9000)...)
	if err := os.WriteFile(path, half, 0o644); err != nil {
		t.Fatal(err)
	}
	second, _, err := twin(t, args...)
	if err != nil || len(second.Rows) != 3 || second.Rows[0].Time != first.Rows[0].Time {
		t.Fatalf("%d runs, %v", len(second.Rows), err)
	}
	again, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(again, bytes.Join(lines[:3], nil)) || bytes.Count(again, []byte("\n")) != 4 || bytes.Contains(again, []byte("xxx")) {
		t.Errorf("resuming made of\n%s\nthis:\n%s", half, again)
	}
	if _, _, err := twin(t, append(args, "--max-turns", "7")...); err == nil || !strings.Contains(err.Error(), "another measurement") {
		t.Errorf("runs with other limits are mixed: %v", err)
	}
}

// stopAfter ends a context after some lines of progress.
type stopAfter struct {
	lines int
	stop  context.CancelFunc
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if s.lines--; s.lines == 0 {
		s.stop()
	}
	return len(p), nil
}

func TestStopKeepsWhatIsDone(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	var out bytes.Buffer
	err := run(ctx, []string{"--suite", "catalogue", "--model", "script:testdata/scripts", "--trials", "1", "--parallel", "1", "--runs", path}, &out, &stopAfter{2, stop})
	if err == nil || !strings.Contains(err.Error(), "stopped after 2 of 6 runs") {
		t.Errorf("the error is %v", err)
	}
	if !strings.Contains(out.String(), ": 2 runs, 1 tasks in both arms") {
		t.Errorf("the report is\n%s", &out)
	}
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Count(raw, []byte("\n")) != 3 {
		t.Errorf("kept is %s, %v", raw, err)
	}
}

func TestBadInput(t *testing.T) {
	empty := t.TempDir()
	text := filepath.Join(empty, "notes.txt")
	if err := os.WriteFile(text, []byte("hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := []string{"--model", "script:testdata/scripts"}
	for want, args := range map[string][]string{
		"give --model provider/id":                {"--suite", "data"},
		"--arm both-of-them: take code":           append(script, "--arm", "both-of-them"),
		"not both":                                {"--record", "a", "--replay", "b"},
		"flag provided but not defined: -trails":  {"--trails", "3"},
		`"data" is not a flag`:                    append(script, "data"),
		"at least 1":                              append(script, "--trials", "0"),
		"at most 1":                               append(script, "--scale", "2"),
		"--timeout is a time":                     append(script, "--timeout", "-1s"),
		"syntax error in pattern":                 append(script, "--tasks", "["),
		"no task is left":                         append(script, "--suite", "catalogue", "--tasks", "shop/*"),
		"no folders called query_*":               append(script, "--suite", empty),
		"--model: ":                               {"--suite", "catalogue", "--model", "nowhere/none"},
		"has no results of this program":          append(script, "--suite", "catalogue", "--runs", text),
		"PostgreSQL at 127.0.0.1:1 cannot":        append(script, "--suite", "data", "--postgres", "postgres://me:secret@127.0.0.1:1/x"),
		"database ships: ":                        append(script, "--suite", "testdata/dab", "--postgres", "postgres://me:secret@127.0.0.1:1/x"),
		"--postgres is no address like scheme://": append(script, "--suite", "testdata/dab", "--postgres", "localhost"),
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: the error is %v, want %q on one line", args, err, want)
		}
	}
}

// TestPromptSizes: many functions cost the code arm no more than few do.
func TestPromptSizes(t *testing.T) {
	sizes := map[int][2]int{}
	for _, n := range []int{5, 50, 500} {
		for i, tools := range []bool{false, true} {
			size, err := promptTokens(t.Context(), 1, n, tools)
			if err != nil {
				t.Fatal(err)
			}
			both := sizes[n]
			both[i] = size
			sizes[n] = both
		}
		t.Logf("%d functions: code %d, tools %d", n, sizes[n][0], sizes[n][1])
	}
	if code, tools := sizes[500][0], sizes[500][1]; code > 1500 || code < 300 || tools < 10*code {
		t.Errorf("500 functions take %d tokens as code and %d as tools", code, tools)
	}
	if sizes[50][0] < 2*sizes[5][0] {
		t.Errorf("50 functions should be shown whole: %v", sizes)
	}
}

// TestHowRunsEnd: what is measured, and what is not.
func TestHowRunsEnd(t *testing.T) {
	p := &python.Sandboxed{}
	defer p.Close()
	s, err := suite.Open(t.Context(), "catalogue", suite.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	call := strandstest.Turn{Calls: []strandstest.Call{{Name: "count_audits", Input: map[string]string{"status": "late"}}}}
	failing := func(kind strands.ModelErrorKind) *strandstest.Script {
		return &strandstest.Script{Turns: []strandstest.Turn{{Err: &strands.ModelError{Kind: kind, Message: "so it is"}}}}
	}
	for name, c := range map[string]struct {
		model        *strandstest.Script
		stop, failed string
		fatal        bool
	}{
		"no answer":    {model: &strandstest.Script{Turns: []strandstest.Turn{{Text: "I do not know."}}}},
		"turns":        {model: &strandstest.Script{Turns: []strandstest.Turn{call, call, call, call}}, stop: "turns"},
		"time":         {model: &strandstest.Script{Turns: []strandstest.Turn{{Text: "Late.", Delay: time.Hour}}}, stop: "time"},
		"context":      {model: failing(strands.ModelOverflow), stop: "context"},
		"bad request":  {model: failing(strands.ModelBadRequest), failed: "so it is"},
		"no such key":  {model: failing(strands.ModelAuth), fatal: true},
		"no such name": {model: failing(strands.ModelNotFound), fatal: true},
	} {
		limit := 10 * time.Minute
		if c.stop == "time" {
			limit = 300 * time.Millisecond
		}
		r := &runner{
			suite: s, interpreter: p, maxTurns: 3, timeout: limit,
			model: func(string, suite.Task) (strands.Model, error) { return c.model, nil },
		}
		row, err := r.one(t.Context(), job{s.Tasks()[0], armTools, 0})
		if row.Solved || row.Stop != c.stop || (err != nil) != c.fatal || (row.Failed == "") != (c.failed == "") || !strings.Contains(row.Failed, c.failed) {
			t.Errorf("%s: %+v, %v", name, row, err)
		}
		if name == "turns" && (row.Cycles != 3 || row.Calls != 3) {
			t.Errorf("%d cycles and %d calls are counted", row.Cycles, row.Calls)
		}
	}
}
