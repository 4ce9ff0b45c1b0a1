package strands_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
)

// results runs one reply with these calls and returns their results.
func results(t *testing.T, cfg strands.Config, parts ...strands.Part) []*strands.ToolResult {
	t.Helper()
	m := &script{turns: []turn{calls(parts...), says("done")}}
	cfg.Model = m
	a, err := strands.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s := a.NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	valid(t, s)
	if err := strands.Validate(m.seen[1].Messages); err != nil {
		t.Errorf("the second request: %v", err)
	}
	return s.Messages()[2].ToolResults()
}

func TestWhatAModelReadsOfFailures(t *testing.T) {
	var log strings.Builder
	cfg := strands.Config{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Tools: []strands.Tool{
			weather(),
			strands.NewTool("panics", "", func(context.Context, none) (string, error) { panic("oh no") }),
			strands.NewTool("exits", "", func(context.Context, none) (string, error) { runtime.Goexit(); return "", nil }),
			strands.NewTool("nothing", "", func(context.Context, none) (*strands.ToolResult, error) { return nil, nil }),
			strands.NewTool("blank", "", func(context.Context, none) (string, error) { return " ", nil }),
		},
	}
	got := results(t, cfg,
		call("1", "weather", `{"city":"Atlantis"}`),
		call("2", "panics", `{}`),
		call("3", "no_such", `{}`),
		call("4", "not a name", `{}`),
		call("5", "weather", `{"town":"Oslo"}`),
		call("6", "weather", `{"city": "Os`),
		call("7", "weather", `["Oslo"]`),
		call("8", "nothing", `{}`),
		call("9", "blank", ``),
		call("10", "weather", `{"city":"Oslo"}`),
		call("11", "exits", `{}`),
		call("10", "weather", `{"city":"Rome"}`),
	)
	want := []string{
		"no such city",
		"panic: oh no",
		"Unknown tool: no_such. There are: weather, panics, exits, nothing, blank.",
		"The tool name is invalid: it must be 1 to 64 of a-z A-Z 0-9 _ -.",
		`invalid input: `,
		"The tool was not run: its input is not valid JSON: unexpected end of JSON input",
		"The tool was not run: its input must be a JSON object.",
		"The tool returned nothing.",
		"(no output)",
		"sunny in Oslo",
		"The tool ended its goroutine.",
		"sunny in Rome",
	}
	if len(got) != len(want) {
		t.Fatalf("%d results", len(got))
	}
	for i, r := range got {
		if r.Value != nil {
			t.Errorf("the history keeps the value %v", r.Value)
		}
		if !strings.HasPrefix(r.Text(), want[i]) || r.IsError == (strings.HasPrefix(want[i], "sunny") || i == 8) {
			t.Errorf("result %d: error %v, %q, want %q", i+1, r.IsError, r.Text(), want[i])
		}
	}
	if got[9].CallID == got[11].CallID {
		t.Error("two calls kept one id")
	}
	if !strings.Contains(log.String(), "toolcall_test.go") {
		t.Errorf("the stack is not in the log: %s", log.String())
	}
}

func TestParallelCallsAndTheirOrder(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  strands.Config
		most int32
		took time.Duration
		ends string
	}{
		"default":    {strands.Config{}, 8, 12 * time.Second, ""},
		"two":        {strands.Config{MaxParallel: 2}, 2, 0, ""},
		"sequential": {strands.Config{Sequential: true}, 1, 55 * time.Second, "0 1 2 3 4 5 6 7 8 9 "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var live, most atomic.Int32
				type args struct {
					Seconds int `json:"seconds"`
				}
				tool := strands.NewTool("wait", "", func(_ context.Context, a args) (int, error) {
					n := live.Add(1)
					defer live.Add(-1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(time.Duration(a.Seconds) * time.Second)
					return a.Seconds, nil
				})
				var parts []strands.Part
				for i := range 10 {
					parts = append(parts, call(fmt.Sprint(i), "wait", fmt.Sprintf(`{"seconds":%d}`, 10-i)))
				}
				c.cfg.Model, c.cfg.Tools = &script{turns: []turn{calls(parts...), says("done")}}, []strands.Tool{tool}
				a, err := strands.New(c.cfg)
				if err != nil {
					t.Fatal(err)
				}
				s := a.NewSession()
				start, ends := time.Now(), ""
				for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
					if err != nil {
						t.Fatal(err)
					}
					if e.ToolEnd != nil {
						ends += e.ToolEnd.Call.ID + " "
					}
				}
				if most.Load() != c.most {
					t.Errorf("%d at once, want %d", most.Load(), c.most)
				}
				if took := time.Since(start); c.took != 0 && took > c.took {
					t.Errorf("took %v", took)
				}
				if c.ends != "" && ends != c.ends {
					t.Errorf("ended in the order %s", ends)
				}
				if c.ends == "" && strings.HasPrefix(ends, "0 1 ") {
					t.Errorf("ends came in the order of the calls: %s", ends)
				}
				for i, r := range s.Messages()[2].ToolResults() {
					if r.CallID != fmt.Sprint(i) || r.Text() != fmt.Sprint(10-i) {
						t.Errorf("result %d is %s", i, show(r))
					}
				}
			})
		})
	}
}

func TestToolTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var live atomic.Int32
		got := results(t, strands.Config{ToolTimeout: 5 * time.Second, Tools: []strands.Tool{sleeper(&live)}}, call("1", "sleep", `{}`))
		if !got[0].IsError || !strings.HasPrefix(got[0].Text(), "the tool was stopped after 5s") {
			t.Errorf("result %s", show(got[0]))
		}
	})
}

func TestFatalEndsTheRun(t *testing.T) {
	boom := errors.New("disk gone")
	for _, nested := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var live atomic.Int32
			fatal := strands.NewTool("fatal", "", func(context.Context, none) (string, error) { return "", strands.Fatal(boom) })
			outer := strands.NewTool("outer", "", func(ctx context.Context, _ none) (string, error) {
				if _, err := strands.Invoke(ctx, fatal, &strands.ToolCall{Name: "fatal"}); !errors.Is(err, boom) {
					t.Errorf("Invoke gave %v", err)
				}
				return "swallowed", nil
			})
			name := "fatal"
			if nested {
				name = "outer"
			}
			m := &script{turns: []turn{calls(call("1", "sleep", `{}`), call("2", name, `{}`))}}
			a, err := strands.New(strands.Config{Model: m, Tools: []strands.Tool{fatal, outer, sleeper(&live)}})
			if err != nil {
				t.Fatal(err)
			}
			s := a.NewSession()
			if _, err := s.Ask(t.Context(), "go"); !errors.Is(err, boom) {
				t.Errorf("error %v", err)
			}
			valid(t, s)
			if live.Load() != 0 {
				t.Error("the other tool still runs")
			}
		})
	}
}

func TestInvoke(t *testing.T) {
	outer := strands.NewTool("outer", "", func(ctx context.Context, _ none) (string, error) {
		me := strands.CallFrom(ctx)
		if me == nil || me.ID != "1" || strands.SessionFrom(ctx) == nil {
			t.Errorf("running call %v", me)
		}
		var texts []string
		for _, input := range []string{`{"city":"Oslo"}`, `{"city":"Atlantis"}`, `{}`} {
			c := &strands.ToolCall{Name: "weather", Input: json.RawMessage(input)}
			res, err := strands.Invoke(ctx, weather(), c)
			if err != nil {
				return "", err
			}
			if c.ParentID != "1" || c.ID == "" || res.CallID != c.ID {
				t.Errorf("call %s got result %s", show(c), show(res))
			}
			texts = append(texts, fmt.Sprint(res.IsError, " ", res.Text()))
		}
		res, err := strands.Invoke(ctx, nil, &strands.ToolCall{Name: "gone"})
		if err != nil {
			return "", err
		}
		return strings.Join(append(texts, res.Text()), "; "), nil
	})
	var before, after atomic.Int32
	m := &script{turns: []turn{calls(call("1", "outer", `{}`)), says("done")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{outer}, Hooks: []strands.Hooks{{
		BeforeToolCall: func(_ context.Context, e *strands.BeforeToolCall) error { before.Add(1); return nil },
		AfterToolCall:  func(_ context.Context, e *strands.AfterToolCall) error { after.Add(1); return nil },
	}}}).NewSession()
	starts, ends := 0, 0
	var res *strands.Result
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ToolStart != nil && e.ToolStart.ParentID == "1" {
			starts++
		}
		if e.ToolEnd != nil && e.ToolEnd.Call.ParentID == "1" {
			ends++
		}
		res = e.Result
	}
	want := `false sunny in Oslo; true no such city; true invalid input: missing ["city"]; unknown tool: gone`
	if got := s.Messages()[2].ToolResults()[0].Text(); !strings.EqualFold(strings.TrimSuffix(got, "."), want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if starts != 4 || ends != 4 || before.Load() != 5 || after.Load() != 5 {
		t.Errorf("%d starts, %d ends, %d before, %d after", starts, ends, before.Load(), after.Load())
	}
	if u := res.Tools["weather"]; u.Calls != 3 || u.Errors != 2 {
		t.Errorf("tool use %+v", res.Tools)
	}
}

func TestInvokeStream(t *testing.T) {
	numbers := strands.NewTool("numbers", "", func(context.Context, none) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			for i := 1; i <= 3; i++ {
				if !yield(i, nil) {
					return
				}
			}
			yield(0, errors.New("no more"))
		}, nil
	}).(strands.StreamTool)
	read := func(ctx context.Context, most int) string {
		got := ""
		for res, err := range strands.InvokeStream(ctx, numbers, &strands.ToolCall{Name: "numbers"}) {
			if err != nil {
				return got + err.Error()
			}
			got += res.Text() + " "
			if most--; most == 0 {
				break
			}
		}
		return got
	}
	var all, some string
	outer := strands.NewTool("outer", "", func(ctx context.Context, _ none) (string, error) {
		all, some = read(ctx, 0), read(ctx, 2)
		return "ok", nil
	})
	var after atomic.Int32
	m := &script{turns: []turn{calls(call("1", "outer", `{}`)), says("done")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{outer}, Hooks: []strands.Hooks{{
		AfterToolCall: func(_ context.Context, e *strands.AfterToolCall) error {
			after.Add(1)
			e.Retry = e.Call.Name == "numbers"
			return nil
		},
	}}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string][2]string{"in a run": {all, some}, "outside": {read(t.Context(), 0), read(t.Context(), 2)}} {
		if got != [2]string{"1 2 3 no more ", "1 2 "} {
			t.Errorf("%s: %q", where, got)
		}
	}
	if after.Load() != 3 {
		t.Errorf("%d calls ended", after.Load())
	}
}

func TestOutsideOfARun(t *testing.T) {
	ctx := t.Context()
	if strands.SessionFrom(ctx) != nil || strands.CallFrom(ctx) != nil || strands.Answers(ctx) != nil {
		t.Error("there is a run")
	}
	if err := strands.Emit(ctx, strands.Event{}); err != nil {
		t.Error(err)
	}
	res, err := strands.Invoke(ctx, weather(), &strands.ToolCall{Input: json.RawMessage(`{"city":"Oslo"}`)})
	if err != nil || res.Text() != "sunny in Oslo" {
		t.Error(res, err)
	}
	res, err = strands.Invoke(ctx, weather(), &strands.ToolCall{Input: json.RawMessage(`{"city":"Atlantis"}`)})
	if err != nil || !res.IsError {
		t.Error(res, err)
	}
	if _, err := strands.RequestInput(ctx, "ok?", nil); err == nil {
		t.Error("RequestInput without a run")
	}
}

func TestCallRunsAToolDirectly(t *testing.T) {
	hooked := 0
	s := newAgent(t, strands.Config{Model: &script{}, Tools: []strands.Tool{weather()}, Hooks: []strands.Hooks{{
		BeforeToolCall: func(context.Context, *strands.BeforeToolCall) error { hooked++; return nil },
	}}}).NewSession()
	res, err := s.Call(t.Context(), "weather", cityArgs{"Oslo"})
	if err != nil || res.Text() != "sunny in Oslo" || hooked != 1 || len(s.Messages()) != 0 {
		t.Error(res, err, hooked)
	}
	if _, err := s.Call(t.Context(), "none", nil); err == nil {
		t.Error("an unknown tool was called")
	}
	if res, err := s.Call(t.Context(), "weather", nil); err != nil || !res.IsError {
		t.Error(res, err)
	}
}
