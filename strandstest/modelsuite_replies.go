package strandstest

import (
	"encoding/json"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
)

// hello is the shortest request.
func hello() *strands.Request {
	return &strands.Request{Messages: []strands.Message{strands.UserMessage(strands.Text("What is 2 ** 10?"))}}
}

// withTools is a request with two tools.
func withTools() *strands.Request {
	req := hello()
	req.Tools = []strands.ToolSpec{
		{
			Name: "python_repl", Description: "Runs Python code.",
			InputSchema: json.RawMessage(`{"type":"object","properties":{"code":{"type":"string","description":"The code."},"approve":{"type":"boolean"}},"required":["code"]}`),
		},
		{Name: "now", Description: "Tells the time.", InputSchema: json.RawMessage(`{"type":"object","properties":{}}`)},
	}
	return req
}

func callPart(id, name, input string) strands.Part {
	return strands.Part{ToolCall: &strands.ToolCall{ID: id, Name: name, Input: json.RawMessage(input)}}
}

// answer is an ordinary answer of parts.
func answer(parts ...strands.Part) Answer {
	a := Answer{
		Parts: parts, StopReason: strands.StopEndTurn, Model: "model-of-the-server",
		Usage: strands.Usage{Input: 12, Output: 5},
	}
	for _, p := range parts {
		if p.ToolCall != nil {
			a.StopReason = strands.StopToolUse
		}
	}
	return a
}

const poem = "Größe, naïve, 数え上げ, 🐍 and \\ \"quotes\"\nover\tlines: "

// replies are answers and what must come of them.
func (s *ModelSuite) replies() map[string]Answer {
	all := map[string]Answer{
		"text":           answer(strands.Text("1024")),
		"unicode":        answer(strands.Text(strings.Repeat(poem, 3))),
		"one tool":       answer(callPart("call_1", "python_repl", `{"code":"print(2 ** 10)\n","approve":true}`)),
		"parallel tools": answer(callPart("call_1", "python_repl", `{"code":"a = 1"}`), callPart("call_2", "now", `{}`), callPart("call_3", "python_repl", `{"code":"b = \"\\u00e9\""}`)),
		"text and tool":  answer(strands.Text("Let me see. "), callPart("call_1", "python_repl", `{"code":"2 ** 10"}`)),
		"nothing at all": answer(),
	}
	thought := func(r strands.Reasoning) strands.Part { return strands.Part{Reasoning: &r} }
	if s.has(Reasoning) {
		all["reasoning"] = answer(thought(strands.Reasoning{Text: "Powers of two …"}), strands.Text("1024"))
		all["reasoning and tool"] = answer(thought(strands.Reasoning{Text: "I compute it."}), callPart("call_1", "python_repl", `{"code":"2 ** 10"}`))
	}
	if s.has(Reasoning) && s.has(Signatures) {
		all["signed reasoning"] = answer(thought(strands.Reasoning{Text: "Powers of two …", Signature: "c2lnbmVkLWJ5LW1l"}), strands.Text("1024"))
	}
	if s.has(Redacted) {
		all["redacted reasoning"] = answer(thought(strands.Reasoning{Redacted: []byte("c2VhbGVkIHRob3VnaHRz")}), strands.Text("1024"))
	}
	if s.has(ReplyImages) {
		all["image"] = answer(strands.Text("Here: "), strands.Part{Image: &strands.Media{MIME: "image/png", Data: tinyPNG}})
	}
	if s.Citation != nil {
		all["citations"] = answer(strands.Part{Cited: &strands.Cited{Text: "The grass is green.", Citations: []strands.Citation{*s.Citation}}})
	}
	return all
}

func (s *ModelSuite) testReplies(t *testing.T) {
	for name, a := range s.replies() {
		s.scenario(t, name, func(t *testing.T, r *rig) {
			r.play(whole(s.Play(a)))
			o := r.generate(t.Context(), withTools())
			reply := o.mustReply(t)
			s.sameReply(t, reply, a)
			if len(o.deltas) == 0 && len(a.Parts) > 0 {
				t.Error("the reply came without deltas")
			}
			if n := len(r.arrived()); n != 1 {
				t.Errorf("%d requests were sent for one call", n)
			}
			r.expectQuiet()
		})
	}
	if s.has(BrokenInputs) {
		s.testBrokenInput(t)
	}
}

// sameReply compares a reply with what the server said.
func (s *ModelSuite) sameReply(t *testing.T, got *strands.Reply, want Answer) {
	t.Helper()
	parts := want.Parts
	if !s.has(CallIDs) { // then the provider makes them up
		parts = strands.Message{Parts: parts}.Clone().Parts
		ids := map[string]bool{}
		for i, c := range got.Message.ToolCalls() {
			if c.ID == "" || ids[c.ID] {
				t.Errorf("the made up id %q of a tool call is empty or used twice", c.ID)
			}
			ids[c.ID] = true
			if wanted := (strands.Message{Parts: parts}).ToolCalls(); i < len(wanted) {
				wanted[i].ID = c.ID
			}
		}
	}
	sameParts(t, got.Message.Parts, parts)
	if got.StopReason != want.StopReason {
		t.Errorf("stop reason %q, want %q", got.StopReason, want.StopReason)
	}
	if got.Model != want.Model && s.has(ModelNames) || got.Model == "" {
		t.Errorf("model %q, want %q", got.Model, want.Model)
	}
}

// expectQuiet fails when something still runs.
func (r *rig) expectQuiet() {
	r.t.Helper()
	for _, stack := range r.leftovers() {
		r.t.Errorf("a goroutine outlived the call:\n%s", stack)
	}
}

func (s *ModelSuite) testBrokenInput(t *testing.T) {
	s.scenario(t, "broken tool input", func(t *testing.T, r *rig) {
		a := answer(callPart("call_1", "python_repl", `{"code": oops}`))
		r.play(whole(s.Play(a)))
		reply := r.generate(t.Context(), withTools()).mustReply(t)
		s.sameInput(t, reply, `"{\"code\": oops}"`)
	})
	if !s.has(Stops(strands.StopMaxTokens)) {
		return
	}
	s.scenario(t, "tool input cut short", func(t *testing.T, r *rig) {
		a := answer(callPart("call_1", "python_repl", `{"code": "prin`))
		a.StopReason = strands.StopMaxTokens
		r.play(whole(s.Play(a)))
		reply := r.generate(t.Context(), withTools()).mustReply(t)
		s.sameInput(t, reply, `"{\"code\": \"prin"`)
		if reply.StopReason != strands.StopMaxTokens {
			t.Errorf("stop reason %q", reply.StopReason)
		}
	})
}

func (s *ModelSuite) sameInput(t *testing.T, reply *strands.Reply, want string) {
	t.Helper()
	calls := reply.Message.ToolCalls()
	if len(calls) != 1 {
		t.Fatalf("%d tool calls, want 1", len(calls))
	}
	if got := string(calls[0].Input); got != want {
		t.Errorf("the input of the call is %s, want it as a JSON string: %s", got, want)
	}
}

func (s *ModelSuite) testStopReasons(t *testing.T) {
	for _, stop := range []strands.StopReason{
		strands.StopEndTurn, strands.StopMaxTokens, strands.StopSequence, strands.StopContentFiltered,
		strands.StopGuardrail, strands.StopRefusal, strands.StopPause,
	} {
		if !s.has(Stops(stop)) {
			continue
		}
		s.scenario(t, string(stop), func(t *testing.T, r *rig) {
			a := answer(strands.Text("So far"))
			a.StopReason = stop
			r.play(whole(s.Play(a)))
			s.sameReply(t, r.generate(t.Context(), hello()).mustReply(t), a)
		})
	}
}

func (s *ModelSuite) testUsage(t *testing.T) {
	s.scenario(t, "all", func(t *testing.T, r *rig) {
		a := answer(strands.Text("1024"))
		a.Usage = strands.Usage{Input: 1000, Output: 200}
		if s.has(CacheRead) {
			a.Usage.CacheRead = 3000
		}
		if s.has(CacheWrite) {
			a.Usage.CacheWrite = 400
		}
		if s.has(ReasoningTokens) {
			a.Usage.Reasoning = 50
		}
		r.play(whole(s.Play(a)))
		if got := r.generate(t.Context(), hello()).mustReply(t).Usage; got != a.Usage {
			t.Errorf("usage is %+v, want %+v", got, a.Usage)
		}
	})
}
