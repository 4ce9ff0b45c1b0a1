package strands_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/strandsgo/strands"
)

type forecast struct {
	City string `json:"city"`
	High int    `json:"high"`
}

func TestStructuredOutput(t *testing.T) {
	good := call("o", "forecast", `{"city":"Oslo","high":21.0}`)
	bad := call("o", "forecast", `{"city":"Oslo"}`)
	const plain = `{"city":"Oslo","high":21}`
	limit := "strands: the run met its limit of 3 attempts at a valid answer"
	for name, c := range map[string]struct {
		turns []turn
		want  string // the error; "" = 21 degrees in Oslo
		calls int
		check func(m *script, s *strands.Session) bool
	}{
		"at once":             {[]turn{calls(good)}, "", 1, func(m *script, s *strands.Session) bool { return len(m.seen[0].Tools) == 2 && len(s.Messages()) == 3 }},
		"beside another tool": {[]turn{calls(good, call("w", "weather", plain))}, "", 1, func(m *script, s *strands.Session) bool { return len(s.Messages()[2].Parts) == 2 }},
		"after feedback": {[]turn{calls(bad), calls(good)}, "", 2, func(m *script, s *strands.Session) bool {
			return s.Messages()[2].ToolResults()[0].Text() == `invalid input: missing ["high"]`
		}},
		"forced": {[]turn{says("It will be warm."), calls(good)}, "", 2, func(m *script, s *strands.Session) bool {
			return len(m.seen[1].Tools) == 1 && m.seen[1].ToolChoice.Tool == "forecast" && strings.Contains(s.Messages()[2].Text(), "forecast")
		}},
		"as text when forced":   {[]turn{says("It will be warm."), says("```json\n" + plain + "\n```")}, "", 2, nil},
		"never":                 {[]turn{says("a"), says("b"), says("c"), says("d"), says("e")}, limit, 4, nil},
		"never valid":           {[]turn{calls(bad), calls(bad), calls(bad), calls(bad)}, limit, 3, nil},
		"stopped by the filter": {[]turn{{msg: strands.AssistantMessage(strands.Text("no")), stop: strands.StopContentFiltered}}, "strands: the run stopped (content_filtered) before it had the answer", 1, nil},
	} {
		m := &script{turns: c.turns}
		s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}}).NewSession()
		got, err := strands.AskFor[forecast](t.Context(), s, "Forecast for Oslo?")
		switch {
		case c.want == "" && (err != nil || got != forecast{"Oslo", 21}):
			t.Errorf("%s: %v %v", name, got, err)
		case c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("%s: %v", name, err)
		}
		if len(m.seen) != c.calls || c.check != nil && !c.check(m, s) {
			t.Errorf("%s: %d model calls, history %s", name, len(m.seen), show(s.Messages()))
		}
		valid(t, s)
	}
}

func TestOutputOfAnAgent(t *testing.T) {
	m := &script{turns: []turn{says("hm"), calls(call("o", "forecast", `{"city":"Oslo","high":21}`)), says("hm"), says(`{"ok":true}`)}}
	a := newAgent(t, strands.Config{Model: m, Output: strands.OutputOf[forecast](), OutputPrompt: "As JSON, please."})
	s := a.NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || res.StopReason != strands.StopToolUse || s.Messages()[2].Text() != "As JSON, please." {
		t.Fatal(res, err)
	}
	sameJSON(t, string(res.Output), `{"city":"Oslo","high":21}`)

	in := strands.Prompt("other")
	in.Output = &strands.OutputSpec{Name: "other", Schema: []byte(`{"type":"object","properties":{"ok":{"type":"boolean"}}}`)}
	in.OutputPrompt = "Now!"
	if res, err = strands.Collect(s.Run(t.Context(), in)); err != nil || string(res.Output) != `{"ok":true}` {
		t.Error(res, err)
	}
	if got := m.seen[3].Messages; got[len(got)-1].Text() != "Now!" {
		t.Errorf("request %s", show(got))
	}

	for name, o := range map[string]*strands.OutputSpec{
		"name":   {Name: "a b", Schema: []byte(`{"type":"object"}`)},
		"schema": {Name: "ab", Schema: []byte(`{"type":"string"}`)},
	} {
		in.Output = o
		_, runErr := strands.Collect(s.Run(t.Context(), in))
		_, newErr := strands.New(strands.Config{Model: m, Output: o})
		for _, err := range []error{runErr, newErr} {
			if _, ok := errors.AsType[*strands.InputError](err); !ok {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	in.Output = strands.OutputOf[forecast]()
	in.Tools = []strands.Tool{(&strandsTool{name: "forecast"}).tool(t)}
	if _, err := strands.Collect(s.Run(t.Context(), in)); err == nil {
		t.Error("a tool of that name was there already")
	}
}

func TestOutputGivenBesideAnInterrupt(t *testing.T) {
	var n atomic.Int32
	m := &script{turns: []turn{calls(call("o", "forecast", `{"city":"Oslo","high":21}`), call("g", "guarded", `{}`))}}
	s := newAgent(t, strands.Config{Model: m, Output: strands.OutputOf[forecast](), Tools: []strands.Tool{counted("guarded", &n)}, Hooks: []strands.Hooks{approval("guarded")}}).NewSession()
	res, err := s.Ask(t.Context(), "go")
	if err != nil || res.StopReason != strands.StopInterrupt {
		t.Fatal(res, err)
	}
	if res, err = strands.Collect(s.Run(t.Context(), respond(res.Interrupts[0].ID, "yes"))); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, string(res.Output), `{"city":"Oslo","high":21}`)
	if n.Load() != 1 {
		t.Errorf("the guarded tool ran %d times", n.Load())
	}
}

type strandsTool struct{ name string }

func (s *strandsTool) tool(t *testing.T) strands.Tool {
	tool, err := strands.NewRawTool(strands.ToolSpec{Name: s.name, InputSchema: []byte(`{"type":"object"}`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}
