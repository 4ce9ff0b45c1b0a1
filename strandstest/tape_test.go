package strandstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

type place struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Mark  []byte    `json:"mark"`
}

type findPlace struct {
	Name string `json:"name"`
}

// travel is an agent whose tools count how often they are really called, and
// keep what a hook saw of their native results.
type travel struct {
	calls  int
	values []any
	prompt string
	doc    string
}

func (tr *travel) run(t *testing.T, tape *strandstest.Tape, model strands.Model, ask string) (*strands.Session, error) {
	t.Helper()
	find := strands.NewTool("find", "Finds a place."+tr.doc, func(_ context.Context, in findPlace) (place, error) {
		tr.calls++
		if in.Name == "<Atlantis> & co" {
			return place{}, errors.New("it sank")
		}
		return place{in.Name, time.Date(1900, 1, 2, 3, 4, 5, 0, time.UTC), []byte{1, 2}}, nil
	})
	list := strands.NewTool("list", "Lists places.", func(context.Context, struct{}) (iter.Seq[place], error) {
		tr.calls++
		return func(yield func(place) bool) {
			for _, n := range []string{"Rome", "Oslo"} {
				if !yield(place{Name: n}) {
					return
				}
			}
		}, nil
	})
	seen := strands.Hooks{AfterToolCall: func(_ context.Context, e *strands.AfterToolCall) error {
		tr.values = append(tr.values, e.Result.Value)
		return nil
	}}
	agent, err := strands.New(strands.Config{
		Model: tape.Model(model), SystemPrompt: "You know places." + tr.prompt, Sequential: true,
		Tools: []strands.Tool{find, list}, Hooks: []strands.Hooks{seen, tape.Hooks()},
		Retry: strands.RetryPolicy{Attempts: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := agent.NewSession()
	t.Cleanup(func() { s.Close() })
	_, err = s.Ask(t.Context(), ask)
	return s, err
}

func travelScript() *strandstest.Script {
	return &strandstest.Script{Turns: []strandstest.Turn{
		{Text: "I look.", Calls: []strandstest.Call{
			{Name: "find", Input: findPlace{"Rome"}}, {Name: "find", Input: findPlace{"<Atlantis> & co"}}, {Name: "list"},
		}},
		{Text: "Rome is there: {{ match 1 `name\":\"(\\w+)` }}.", Usage: strands.Usage{Input: 10, Output: 3}},
	}}
}

func recordTravel(t *testing.T) (string, *travel, *strands.Session) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "travel.tape")
	tape, err := strandstest.Record(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := new(travel)
	s, err := tr.run(t, tape, travelScript(), "Where is Rome?")
	if err != nil {
		t.Fatal(err)
	}
	if err := tape.Close(); err != nil {
		t.Fatal(err)
	}
	if tr.calls != 3 {
		t.Fatalf("%d calls were made", tr.calls)
	}
	return path, tr, s
}

func TestReplay(t *testing.T) {
	path, was, first := recordTravel(t)
	tape := strandstest.Replay(t, path)
	is := new(travel)
	again, err := is.run(t, tape, nil, "Where is Rome?")
	if err != nil {
		t.Fatal(err)
	}
	if is.calls != 0 {
		t.Errorf("%d tools were really called", is.calls)
	}
	want, got := asJSON(t, plain(first.Messages())), asJSON(t, plain(again.Messages()))
	if got != want {
		t.Errorf("the replay ended as\n%s\nthe run as\n%s", got, want)
	}
	if asJSON(t, was.values) != asJSON(t, is.values) || len(is.values) == 0 {
		t.Errorf("native results were\n%#v\nand are\n%#v", was.values, is.values)
	}
	for i, v := range was.values {
		if _, ok := v.(place); ok {
			if _, same := is.values[i].(place); !same {
				t.Errorf("result %d is a %T", i, is.values[i])
			}
		}
	}
}

// plain are messages without what the clock says.
func plain(all []strands.Message) []strands.Message {
	for i := range all {
		all[i].Metadata = nil
	}
	return all
}

// TestReplayDiffers: whatever changed is named.
func TestReplayDiffers(t *testing.T) {
	path, _, _ := recordTravel(t)
	for name, c := range map[string]struct {
		travel travel
		ask    string
		says   []string
	}{
		"prompt":   {travel{prompt: " All of them."}, "Where is Rome?", []string{"the request.System[0].text differs at character 16", `"You know places. All of them."`}},
		"function": {travel{doc: " On maps."}, "Where is Rome?", []string{"the request.Tools[0].description", "On maps."}},
		"question": {travel{}, "Where is Oslo?", []string{"the request.Messages[0].parts[0].text differs at character 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			tape, err := strandstest.LoadTape(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.travel.run(t, tape, nil, c.ask)
			if !errors.Is(err, strandstest.ErrDiffers) {
				t.Fatalf("the error is %v", err)
			}
			for _, w := range c.says {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in: %v", w, err)
				}
			}
			if err := tape.Close(); !errors.Is(err, strandstest.ErrDiffers) || !strings.Contains(err.Error(), "2 model calls and 3 tool calls") {
				t.Errorf("what was not played: %v", err)
			}
		})
	}
}

// TestReplayCallDiffers: the tools are called otherwise than they were.
func TestReplayCallDiffers(t *testing.T) {
	path, _, _ := recordTravel(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(raw), `{"call":{"name":"find","input":{"name":"Rome"}`, `{"call":{"name":"find","input":{"name":"Roma"}`, 1)
	if other == string(raw) {
		t.Fatalf("no such call in %s", raw)
	}
	if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	tape, err := strandstest.LoadTape(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = new(travel).run(t, tape, nil, "Where is Rome?")
	if !errors.Is(err, strandstest.ErrDiffers) || !strings.Contains(err.Error(), `the input of find.name differs at character 3: it was "Roma" and is "Rome"`) {
		t.Errorf("the error is %v", err)
	}
}

func TestReplayErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "failed.tape")
	tape, err := strandstest.Record(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := &strands.ModelError{Kind: strands.ModelRefused, Provider: "p", Message: "no"}
	script := &strandstest.Script{Turns: []strandstest.Turn{{Text: "I ", Err: refused}}}
	_, was := new(travel).run(t, tape, script, "Where?")
	if err := tape.Close(); err != nil {
		t.Fatal(err)
	}
	_, is := new(travel).run(t, strandstest.Replay(t, path), nil, "Where?")
	me, ok := errors.AsType[*strands.ModelError](is)
	if !ok || me.Kind != strands.ModelRefused || is.Error() != was.Error() {
		t.Errorf("the error was %v and is %v", was, is)
	}
}

func TestBrokenTapes(t *testing.T) {
	for name, c := range map[string]struct{ content, says string }{
		"empty":       {"", "it is empty"},
		"foreign":     {"{\"turns\":[]}\n", "it is no recording of version 1"},
		"later":       {"{\"begin\":{\"version\":2}}\n", "it is no recording of version 1"},
		"cut":         {"{\"begin\":{\"version\":1}}\n{\"model\":{\"sa", "line 2"},
		"not whole":   {"{\"begin\":{\"version\":1}}\n{\"model\":{\"same\":3}}\n", "line 2: the model call is not whole"},
		"no such run": {"-", "no such file"},
	} {
		path := filepath.Join(t.TempDir(), "t.tape")
		if c.content != "-" {
			if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := strandstest.LoadTape(path); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
