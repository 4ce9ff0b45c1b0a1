package strands_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
)

func throttled(n int, after time.Duration) []turn {
	var turns []turn
	for range n {
		turns = append(turns, turn{err: &strands.ModelError{Kind: strands.ModelThrottled, Provider: "script", RetryAfter: after}})
	}
	return turns
}

func TestRetryDelays(t *testing.T) {
	const s = time.Second
	always := strands.RetryPolicy{Retry: func(error) bool { return true }}
	for name, c := range map[string]struct {
		turns  []turn
		policy strands.RetryPolicy
		want   []time.Duration
		ok     bool
	}{
		"twice":           {append(throttled(2, 0), says("ok")), strands.RetryPolicy{}, []time.Duration{4 * s, 8 * s}, true},
		"forever":         {throttled(9, 0), strands.RetryPolicy{}, []time.Duration{4 * s, 8 * s, 16 * s, 32 * s, 64 * s}, false},
		"Retry-After":     {append(throttled(2, 30*s), says("ok")), strands.RetryPolicy{}, []time.Duration{30 * s, 30 * s}, true},
		"too long a wait": {append(throttled(1, time.Hour), says("ok")), strands.RetryPolicy{}, []time.Duration{240 * s}, true},
		"capped":          {throttled(9, 0), strands.RetryPolicy{Attempts: 5, MaxDelay: 10 * s}, []time.Duration{4 * s, 8 * s, 10 * s, 10 * s}, false},
		"none":            {throttled(9, 0), strands.RetryPolicy{Attempts: 1}, nil, false},
		"not temporary":   {[]turn{{err: &strands.ModelError{Kind: strands.ModelAuth}}}, strands.RetryPolicy{}, nil, false},
		"own predicate":   {[]turn{{err: errors.New("odd")}, says("ok")}, always, []time.Duration{4 * s}, true},
		"not a retry":     {[]turn{{err: errors.New("odd")}}, strands.RetryPolicy{}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, err := strands.New(strands.Config{Model: &script{turns: c.turns}, Retry: c.policy})
				if err != nil {
					t.Fatal(err)
				}
				sess := a.NewSession()
				var slept []time.Duration
				var told time.Time
				var failure error
				for e, err := range sess.Run(t.Context(), strands.Prompt("go")) {
					if !told.IsZero() { // the event comes before the sleep
						slept = append(slept, time.Since(told))
						told = time.Time{}
					}
					if e.Retry != nil {
						if e.Retry.Attempt != len(slept)+1 || e.Retry.Reason == "" {
							t.Errorf("retry %s", show(e.Retry))
						}
						told = time.Now()
					}
					failure = err
				}
				if (failure == nil) != c.ok {
					t.Errorf("error %v", failure)
				}
				if len(slept) != len(c.want) {
					t.Fatalf("slept %v, want %v", slept, c.want)
				}
				for i, d := range slept {
					if d != c.want[i] {
						t.Errorf("slept %v, want %v", slept, c.want)
					}
				}
				valid(t, sess)
			})
		})
	}
}

func TestRetrySleepCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := strands.New(strands.Config{Model: &script{turns: throttled(9, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := a.NewSession().Ask(ctx, "go"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		s := a.NewSession()
		time.AfterFunc(time.Second, s.Cancel)
		if res, err := s.Ask(t.Context(), "go"); err != nil || res.StopReason != strands.StopCancelled {
			t.Error(res, err)
		}
		a.Close()
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := strands.New(strands.Config{Model: &script{turns: throttled(6, 0)}, Retry: strands.RetryPolicy{Jitter: true}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, _ = a.NewSession().Ask(t.Context(), "go")
		if took := time.Since(start); took >= 124*time.Second || took == 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestLimits(t *testing.T) {
	loop := func() []turn {
		var turns []turn
		for range 60 {
			turns = append(turns, calls(call("", "weather", `{"city":"Oslo"}`)))
		}
		return turns
	}
	for name, c := range map[string]struct {
		limits strands.Limits
		calls  int
		max    int
	}{
		"turns":             {strands.Limits{}, 50, 50},
		"own turns":         {strands.Limits{Turns: 3}, 3, 3},
		"total tokens":      {strands.Limits{TotalTokens: 40}, 3, 40},
		"output tokens":     {strands.Limits{OutputTokens: 20}, 4, 20},
		"no limit of turns": {strands.Limits{Turns: -1, TotalTokens: 15 * 55}, 55, 15 * 55},
	} {
		m := &script{turns: loop()}
		s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, Limits: c.limits}).NewSession()
		_, err := s.Ask(t.Context(), "go")
		le, ok := errors.AsType[*strands.LimitError](err)
		if !ok || le.Max != c.max || len(m.seen) != c.calls || le.Result == nil || le.Result.Cycles != c.calls || le.Result.StopReason != strands.StopLimit {
			t.Errorf("%s: %v after %d calls", name, err, len(m.seen))
		}
		valid(t, s)
		in := strands.Input{Limits: strands.Limits{Turns: 1}} // goes on where it stopped
		if _, err := strands.Collect(s.Run(t.Context(), in)); err == nil {
			t.Errorf("%s: the run's own limit was not met", name)
		}
	}
}

func TestMaxTokensLeavesTheSessionUsable(t *testing.T) {
	cut := turn{msg: strands.AssistantMessage(strands.Text("Let me see."), call("1", "weather", `{"city":"O`), call("", "", ``)), stop: strands.StopMaxTokens}
	m := &script{turns: []turn{cut, says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}}).NewSession()
	_, err := s.Ask(t.Context(), "go")
	le, ok := errors.AsType[*strands.LimitError](err)
	if !ok || le.Result.StopReason != strands.StopMaxTokens {
		t.Fatal(err)
	}
	if parts := le.Result.Message.Parts; len(parts) != 3 || parts[2].Text == "" {
		t.Errorf("message %s", show(parts))
	}
	valid(t, s)
	if _, err := s.Ask(t.Context(), "again"); err != nil {
		t.Error(err)
	}
}

func TestStopReasons(t *testing.T) {
	oslo := call("1", "weather", `{"city":"Oslo"}`)
	for name, c := range map[string]struct {
		first turn
		want  strands.StopReason
		ran   bool
	}{
		"end with calls":      {turn{msg: strands.AssistantMessage(oslo), stop: strands.StopEndTurn}, strands.StopEndTurn, true},
		"no reason":           {turn{msg: strands.AssistantMessage(oslo)}, strands.StopEndTurn, true},
		"tool use, no calls":  {turn{msg: strands.AssistantMessage(strands.Text("hm")), stop: strands.StopToolUse}, strands.StopEndTurn, false},
		"sequence":            {turn{msg: strands.AssistantMessage(strands.Text("hm")), stop: strands.StopSequence}, strands.StopSequence, false},
		"filtered with calls": {turn{msg: strands.AssistantMessage(oslo), stop: strands.StopContentFiltered}, strands.StopContentFiltered, false},
		"refusal":             {turn{msg: strands.AssistantMessage(), stop: strands.StopRefusal}, strands.StopRefusal, false},
		"pause":               {turn{msg: strands.AssistantMessage(strands.Text("hm")), stop: strands.StopPause}, strands.StopEndTurn, true},
	} {
		m := &script{turns: []turn{c.first, says("done")}}
		s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}}).NewSession()
		res, err := s.Ask(t.Context(), "go")
		if err != nil || res.StopReason != c.want || (len(m.seen) == 2) != c.ran {
			t.Errorf("%s: %v %v after %d calls", name, res, err, len(m.seen))
		}
		valid(t, s)
	}
}

func TestABrokenModelIsAnError(t *testing.T) {
	panics := &script{turns: []turn{{do: func(context.Context) error { panic("oh no") }}}}
	s := newAgent(t, strands.Config{Model: panics}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err == nil {
		t.Error("the panic was lost")
	}
	for _, m := range []chunks{{}, {reply("a"), reply("b")}, {reply("a"), {Delta: &strands.Delta{Text: "x"}}}} {
		s := newAgent(t, strands.Config{Model: m, Retry: strands.RetryPolicy{Attempts: 1}}).NewSession()
		_, err := s.Ask(t.Context(), "go")
		if me, ok := errors.AsType[*strands.ModelError](err); !ok || me.Kind != strands.ModelTransient {
			t.Errorf("%d chunks: %v", len(m), err)
		}
		valid(t, s)
	}
}

func TestGuardrailRedactsTheInput(t *testing.T) {
	refused := turn{msg: strands.AssistantMessage(strands.Text("I cannot.")), stop: strands.StopGuardrail, redact: "[redacted]"}
	m := &script{turns: []turn{refused, calls(call("1", "weather", `{"city":"Oslo"}`)), refused}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}}).NewSession()
	for _, q := range []string{"secret", "weather?"} {
		if res, err := s.Ask(t.Context(), q); err != nil || res.StopReason != strands.StopGuardrail {
			t.Fatal(res, err)
		}
	}
	msgs := s.Messages()
	if msgs[0].Text() != "[redacted]" || msgs[4].ToolResults()[0].Text() != "[redacted]" || msgs[2].Text() != "weather?" {
		t.Errorf("history %s", show(msgs))
	}
	valid(t, s)
}

// dear is a conversation manager that uses tokens to drop two messages.
type dear struct{}

func (dear) Manage(context.Context, *strands.Conversation) error { return nil }

func (dear) Reduce(_ context.Context, c *strands.Conversation, _ error) error {
	c.Messages, c.Usage = c.Messages[2:], strands.Usage{Input: 100}
	return nil
}

func TestRecoveryCountsForTheLimits(t *testing.T) {
	m := &script{turns: []turn{{err: &strands.ModelError{Kind: strands.ModelOverflow}}, says("late")}}
	s := newAgent(t, strands.Config{
		Model: m, Conversation: dear{}, Limits: strands.Limits{TotalTokens: 50},
		Messages: []strands.Message{strands.UserMessage(strands.Text("old")), strands.AssistantMessage(strands.Text("old"))},
	}).NewSession()
	_, err := s.Ask(t.Context(), "go")
	if le, ok := errors.AsType[*strands.LimitError](err); !ok || le.Result.Usage.Input != 100 || len(m.seen) != 1 {
		t.Errorf("%v after %d calls", err, len(m.seen))
	}
	valid(t, s)
}

// helpless is a conversation manager that fails.
type helpless struct{ dear }

var errHelpless = errors.New("nothing can go")

func (helpless) Reduce(context.Context, *strands.Conversation, error) error { return errHelpless }

func TestRecoveryThatFails(t *testing.T) {
	overflow := &strands.ModelError{Kind: strands.ModelOverflow, Message: "too long"}
	m := &script{turns: []turn{{err: overflow}}}
	_, err := newAgent(t, strands.Config{Model: m, Conversation: helpless{}}).Ask(t.Context(), "go")
	if !errors.Is(err, errHelpless) || !errors.Is(err, overflow) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
