package strands_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
)

type city struct {
	Name   string   `json:"name"`
	People int      `json:"people"`
	Rivers []string `json:"rivers,omitempty"`
}

func TestPartialObjectsWhileStreaming(t *testing.T) {
	answer := `{"name":"Oslo","people":709037,"rivers":["Alna","Aker"]}`
	answered := calls(call("1", "city", answer))
	answered.deltas = []strands.Delta{{Text: "Here it is."}, {Block: 1, ToolCall: &strands.ToolCallDelta{ID: "1", Name: "city"}}}
	for _, piece := range []string{`{"na`, `me":"Os`, ``, `lo","people":709`, `037,"rivers":["Al`, `na","Aker"]}`} {
		answered.deltas = append(answered.deltas, strands.Delta{Block: 1, ToolCall: &strands.ToolCallDelta{Input: piece}})
	}
	a := newAgent(t, strands.Config{Model: &script{turns: []turn{answered}}})
	in := strands.Prompt("Tell me about Oslo.")
	in.Output = strands.OutputOf[city]()
	var seen []string
	for e, err := range a.Run(t.Context(), in) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Partial != nil {
			var c city
			if err := json.Unmarshal(e.Partial.JSON, &c); err != nil {
				t.Fatalf("%s: %v", e.Partial.JSON, err)
			}
			seen = append(seen, string(e.Partial.JSON))
		}
		if e.Result != nil && string(e.Result.Output) != answer {
			t.Errorf("result %s", e.Result.Output)
		}
	}
	want := []string{`{"name":"Os"}`, `{"name":"Oslo"}`, `{"name":"Oslo","people":709037,"rivers":["Al"]}`, answer}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("partial objects %q, want %q", seen, want)
	}
}

func TestAskForOnAnAgentAndASession(t *testing.T) {
	m := &script{turns: []turn{calls(call("1", "city", `{"name":"Oslo","people":1}`)), calls(call("2", "city", `{"name":"Bergen","people":2}`))}}
	a := newAgent(t, strands.Config{Model: m})
	s := a.NewSession()
	one, err := strands.AskFor[city](t.Context(), s, "first")
	two, err2 := strands.AskFor[city](t.Context(), a, "second")
	if err != nil || err2 != nil || one.Name != "Oslo" || two.Name != "Bergen" {
		t.Errorf("%v %v, %v %v", one, err, two, err2)
	}
	if len(m.seen[1].Messages) != 1 || len(s.Messages()) != 3 {
		t.Errorf("the agent's question was asked in a session that was there: %s", show(m.seen[1].Messages))
	}
}

func TestExtractLeavesTheSessionAsItIs(t *testing.T) {
	m := &script{turns: []turn{
		says("Oslo has 709037 people."),
		calls(call("1", "city", `{"name":"Oslo","people":"many"}`)), calls(call("2", "city", `{"name":"Oslo","people":709037}`)),
		calls(call("3", "city", `{"name":"Oslo","people":1}`)), says("Bye."),
	}}
	a := newAgent(t, strands.Config{Model: m, SystemPrompt: "Be brief.", Tools: []strands.Tool{weather()}, Store: strands.NewMemoryStore()})
	s := a.NewSession()
	if _, err := strands.Extract[city](t.Context(), s, ""); !isInput(err) {
		t.Errorf("without prompt and history: %v", err)
	}
	if _, err := s.Ask(t.Context(), "Tell me about Oslo."); err != nil {
		t.Fatal(err)
	}
	before := s.Messages()
	c, err := strands.Extract[city](t.Context(), s, "")
	if err != nil || c.People != 709037 {
		t.Fatalf("%v, %v", c, err)
	}
	if c, err = strands.Extract[city](t.Context(), s, "Be exact."); err != nil || c.People != 1 {
		t.Fatalf("%v, %v", c, err)
	}
	if !reflect.DeepEqual(s.Messages(), before) || s.Turn() != 1 {
		t.Errorf("the session was changed: %s", show(s.Messages()))
	}
	req := m.seen[1]
	if len(req.Tools) != 1 || req.ToolChoice.Tool != "city" || len(req.Messages) != 3 || req.System[0].Text != "Be brief." {
		t.Errorf("asked with %s", show(req))
	}
	if last := m.seen[3].Messages; last[len(last)-1].Text() != "Be exact." {
		t.Errorf("the prompt was not asked: %s", show(last))
	}
	if u := s.Metrics(); u.Usage.Input != 40 || u.Cycles != 4 || u.Runs != 1 {
		t.Errorf("metrics %s", show(u))
	}
	if _, err := s.Ask(t.Context(), "Bye."); err != nil {
		t.Fatal(err)
	}
	if again, err := a.Restore(t.Context(), s.ID()); err != nil || len(again.Messages()) != 4 {
		t.Errorf("restored %v, %v", again, err)
	}
}

func isInput(err error) bool {
	_, ok := errors.AsType[*strands.InputError](err)
	return ok
}

func TestResultRoundTrip(t *testing.T) {
	m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), calls(call("2", "city", `{"name":"Oslo","people":1}`))}}
	a := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, Output: strands.OutputOf[city]()})
	res, err := a.Ask(t.Context(), "go")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"output":{"name":"Oslo","people":1}`) {
		t.Errorf("the output is not readable: %s", b)
	}
	again := new(strands.Result)
	if err := json.Unmarshal(b, again); err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(again)
	if err != nil || string(twice) != string(b) || again.String() != res.String() {
		t.Errorf("%v\n%s\n%s", err, b, twice)
	}
}

func TestStringOfAResult(t *testing.T) {
	said := strands.AssistantMessage(strands.Text("a"), strands.Part{Reasoning: &strands.Reasoning{Text: "hidden"}}, strands.Part{Cited: &strands.Cited{Text: "b"}})
	for _, c := range []struct {
		res  strands.Result
		want string
	}{
		{strands.Result{Message: said}, "ab"},
		{strands.Result{}, ""},
		{strands.Result{Message: said, Output: []byte(`{"x":1}`)}, `{"x":1}`},
		{strands.Result{Message: said, Output: []byte(`{}`), Interrupts: []strands.Interrupt{{ID: "1", Name: "sure", Reason: "it costs"}}}, "waiting for an answer to sure (1): it costs\n"},
	} {
		if got := c.res.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestPartialObjectsOfALongAnswer: what they cost grows with the answer, not
// with its square. Each of the deltas once was a partial object.
func TestPartialObjectsOfALongAnswer(t *testing.T) {
	rivers := slices.Repeat([]string{"a river like others"}, 20_000)
	raw, err := json.Marshal(city{Name: "Oslo", Rivers: rivers})
	if err != nil {
		t.Fatal(err)
	}
	answered := calls(call("1", "city", string(raw)))
	answered.deltas = []strands.Delta{{ToolCall: &strands.ToolCallDelta{ID: "1", Name: "city"}}}
	for piece := range slices.Chunk(raw, 4) {
		answered.deltas = append(answered.deltas, strands.Delta{ToolCall: &strands.ToolCallDelta{Input: string(piece)}})
	}
	in := strands.Prompt("Tell me about Oslo.")
	in.Output = strands.OutputOf[city]()
	n, size := 0, 0
	for e, err := range newAgent(t, strands.Config{Model: &script{turns: []turn{answered}}}).Run(t.Context(), in) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Partial != nil {
			n, size = n+1, len(e.Partial.JSON)
		}
	}
	if n < 100 || n > 2000 || size < len(raw)*9/10 {
		t.Errorf("%d partial objects of %d deltas, the last of %d bytes of %d", n, len(answered.deltas), size, len(raw))
	}
}
