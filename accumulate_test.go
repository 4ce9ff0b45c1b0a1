package strands_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
)

func TestAccumulator(t *testing.T) {
	type d = strands.Delta
	think := func(block int, r strands.Reasoning) d { return d{Block: block, Reasoning: &r} }
	tool := func(block int, c strands.ToolCallDelta) d { return d{Block: block, ToolCall: &c} }
	for name, c := range map[string]struct {
		deltas []d
		want   string
	}{
		"nothing":         {nil, `null`},
		"text":            {[]d{{Text: "Hel"}, {Text: "lo"}}, `[{"text":"Hello"}]`},
		"blank":           {[]d{{Text: " \n"}, {Block: 1, Text: "a"}}, `[{"text":"a"}]`},
		"order of blocks": {[]d{{Block: 2, Text: "b"}, {Block: 1, Text: "a"}}, `[{"text":"a"},{"text":"b"}]`},
		"two signatures": {[]d{think(0, strands.Reasoning{Text: "hm"}), think(0, strands.Reasoning{Text: "!", Signature: "s1"}), think(1, strands.Reasoning{Text: "oh", Signature: "s2"})},
			`[{"reasoning":{"text":"hm!","signature":"s1"}},{"reasoning":{"text":"oh","signature":"s2"}}]`},
		"redacted":       {[]d{think(0, strands.Reasoning{Redacted: []byte("x")}), think(0, strands.Reasoning{Redacted: []byte("y")})}, `[{"reasoning":{"redacted":"eA=="}},{"reasoning":{"redacted":"eQ=="}}]`},
		"signature only": {[]d{think(0, strands.Reasoning{Signature: "s"})}, `[{"reasoning":{"signature":"s"}}]`},
		"citations": {[]d{{Text: "It is so."}, {Citation: &strands.Citation{Title: "A"}}, {Citation: &strands.Citation{Title: "B"}}, {Block: 1, Text: "Plain."}},
			`[{"cited":{"text":"It is so.","citations":[{"title":"A"},{"title":"B"}]}},{"text":"Plain."}]`},
		"interleaved calls": {[]d{
			tool(1, strands.ToolCallDelta{ID: "a", Name: "f", Signature: "s"}), tool(2, strands.ToolCallDelta{ID: "b", Name: "g"}),
			tool(1, strands.ToolCallDelta{Input: `{"x"`}), tool(2, strands.ToolCallDelta{Input: ``}), tool(1, strands.ToolCallDelta{Input: `:1}`}), {Block: 0, Text: "t"}},
			`[{"text":"t"},{"toolCall":{"id":"a","name":"f","signature":"s","input":{"x":1}}},{"toolCall":{"id":"b","name":"g","input":{}}}]`},
		"broken input": {[]d{tool(0, strands.ToolCallDelta{ID: "a", Name: "f", Input: `{"x":`})}, `[{"toolCall":{"id":"a","name":"f","input":"{\"x\":"}}]`},
		"no input":     {[]d{tool(0, strands.ToolCallDelta{ID: "a", Name: "f", Input: ` null`})}, `[{"toolCall":{"id":"a","name":"f","input":{}}}]`},
		"JSON in JSON": {[]d{tool(0, strands.ToolCallDelta{ID: "a", Name: "f", Input: `"{\"x\":1}"`})}, `[{"toolCall":{"id":"a","name":"f","input":{"x":1}}}]`},
		"no object":    {[]d{tool(0, strands.ToolCallDelta{ID: "a", Name: "f", Input: `[1]`})}, `[{"toolCall":{"id":"a","name":"f","input":"[1]"}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			var acc strands.Accumulator
			for _, d := range c.deltas {
				acc.Add(&d)
			}
			m := acc.Message()
			if m.Role != strands.Assistant {
				t.Error(m.Role)
			}
			sameJSON(t, show(m.Parts), c.want)
		})
	}
}

func TestBrokenInputOfAStreamIsAnErrorResult(t *testing.T) {
	var acc strands.Accumulator
	acc.Add(&strands.Delta{ToolCall: &strands.ToolCallDelta{ID: "1", Name: "weather", Input: `{"city":"Os`}})
	r := results(t, strands.Config{Tools: []strands.Tool{weather()}}, acc.Message().Parts...)
	if want := "The tool was not run: its input is not valid JSON: unexpected end of JSON input"; !r[0].IsError || r[0].Text() != want {
		t.Errorf("result %s", show(r[0]))
	}
}

func TestValidate(t *testing.T) {
	user, assistant, text := strands.UserMessage, strands.AssistantMessage, strands.Text
	res := func(id string, parts ...strands.Part) strands.Part {
		return strands.Part{ToolResult: &strands.ToolResult{CallID: id, Parts: parts}}
	}
	ok := text("x")
	q, tool := user(ok), assistant(call("1", "t", `{}`))
	for want, msgs := range map[string][]strands.Message{
		"": {q, tool, user(res("1", ok), ok), user(ok), assistant(ok), assistant(ok)},
		"strands: message 0: the first message must be the user's":                                        {assistant(ok)},
		`strands: message 0: the role "system" must be "user" or "assistant"`:                             {{Role: "system", Parts: []strands.Part{ok}}},
		"strands: message 1: it has no parts":                                                             {q, assistant()},
		"strands: message 0: part 1: it is empty":                                                         {user(ok, text(" "))},
		"strands: message 0: part 0: it has more than one field":                                          {user(strands.Part{Text: "a", JSON: []byte("1")})},
		"strands: message 0: part 0: JSON must be valid and inside a tool result":                         {user(strands.Part{JSON: []byte("1")})},
		"strands: message 1: its tool calls have no results":                                              {q, tool},
		`strands: message 2: part 0 must be the result of tool call "1"`:                                  {q, tool, user(ok)},
		`strands: message 2: the result of tool call "2" is missing`:                                      {q, assistant(call("1", "t", `{}`), call("2", "t", `{}`)), user(res("1", ok))},
		`strands: message 0: part 0 answers no tool call of the message before`:                           {user(res("1", ok))},
		`strands: message 2: part 0: the result of tool call "1" is empty`:                                {q, tool, user(res("1"))},
		`strands: message 3: there is another tool call "1"`:                                              {q, tool, user(res("1", ok)), tool, user(res("1", ok))},
		`strands: message 1: part 0: the input of tool call "1" is not a JSON object`:                     {q, assistant(call("1", "t", `[]`))},
		`strands: message 1: part 0: the tool call has no id`:                                             {q, assistant(call("", "t", `{}`))},
		"strands: message 0: part 0: only an assistant's message has tool calls":                          {user(call("1", "t", `{}`))},
		"strands: message 0: part 0: exactly one of Data and URI must be set":                             {user(strands.Part{Image: &strands.Media{MIME: "image/png"}})},
		"strands: message 1: part 0: only a user's message has tool results":                              {q, assistant(res("1", ok))},
		"strands: message 1: part 0: reasoning must not be empty, and only an assistant's message has it": {q, assistant(strands.Part{Reasoning: &strands.Reasoning{}})},
	} {
		got := ""
		if err := strands.Validate(msgs); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := strands.New(strands.Config{Model: &script{}})
		if err != nil {
			t.Fatal(err)
		}
		s := a.NewSession()
		var opened atomic.Int32
		open := func(ctx context.Context) (closer, error) {
			time.Sleep(time.Second)
			if opened.Add(1) == 1 {
				return nil, errors.New("not yet")
			}
			return func() error { return nil }, nil
		}
		var wg sync.WaitGroup
		for range 5 { // all wait for the first, which fails
			wg.Go(func() {
				if _, err := strands.Attach(t.Context(), s, "k", open); err == nil || err.Error() != "not yet" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for range 5 {
			wg.Go(func() {
				if _, err := strands.Attach(t.Context(), s, "k", open); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if opened.Load() != 2 {
			t.Errorf("opened %d times", opened.Load())
		}
		if _, err := strands.Attach(t.Context(), s, "k", func(context.Context) (io.ReadCloser, error) { return nil, nil }); err == nil {
			t.Error("a value of another type was returned")
		}

		// One who waits is not stopped by the end of the opener's context.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := func(ctx context.Context) (closer, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(3 * time.Second):
				return func() error { return nil }, nil
			}
		}
		wg.Go(func() {
			if _, err := strands.Attach(ctx, s, "slow", slow); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		if _, err := strands.Attach(t.Context(), s, "slow", slow); err != nil {
			t.Error(err)
		}
		wg.Wait()

		// Close ends an open that is under way, and closes nothing twice.
		wg.Go(func() {
			if _, err := strands.Attach(t.Context(), s, "hangs", func(ctx context.Context) (closer, error) { <-ctx.Done(); return nil, ctx.Err() }); err == nil {
				t.Error("attached to a closed session")
			}
		})
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if _, err := strands.Attach(t.Context(), s, "k", open); !errors.Is(err, strands.ErrClosed) {
			t.Error(err)
		}
		if _, err := strands.Attach(t.Context(), nil, "k", open); err == nil {
			t.Error("attached to nothing")
		}
	})
}

func TestAttachInsideARun(t *testing.T) {
	opened, closed := 0, 0
	tool := strands.NewTool("count", "", func(ctx context.Context, _ none) (int, error) {
		n, err := strands.Attach(ctx, strands.SessionFrom(ctx), "counter", func(ctx context.Context) (*counter, error) {
			opened++
			return &counter{closed: &closed}, strands.Emit(ctx, strands.Event{Output: &strands.ToolOutput{Progress: "opening"}})
		})
		if err != nil {
			return 0, err
		}
		n.n++
		return n.n, nil
	})
	m := &script{turns: []turn{calls(call("1", "count", `{}`)), calls(call("2", "count", `{}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{tool}}).NewSession()
	progress := ""
	for e, err := range s.Run(t.Context(), strands.Prompt("go")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Output != nil {
			progress += e.Output.CallID + e.Output.Progress
		}
	}
	if got := outline(s.Messages()); got != "go / [1] / 1=1 / [2] / 2=2 / ok" || progress != "1opening" {
		t.Error(got, progress)
	}
	if err := s.Close(); err != nil || opened != 1 || closed != 1 {
		t.Error(err, opened, closed)
	}
}

type counter struct {
	n      int
	closed *int
}

func (c *counter) Close() error { *c.closed++; return nil }

func TestNewRefusesMistakes(t *testing.T) {
	m := &script{}
	for field, cfg := range map[string]strands.Config{
		"Config.Model":     {},
		"Config.Name":      {Model: m, Name: "my agent"},
		"Config.System":    {Model: m, SystemPrompt: "a", System: []strands.Part{strands.Text("b")}},
		"Config.System[0]": {Model: m, System: []strands.Part{{}}},
		"Tools":            {Model: m, Tools: []strands.Tool{weather(), weather()}},
		"message 0":        {Model: m, Messages: []strands.Message{{}}},
		"Config.Values[c]": {Model: m, Values: map[string]any{"c": make(chan int)}},
		"Config.Values":    {Model: m, Values: map[string]any{" ": 1}},
		"Config.Providers": {Model: m, Providers: []strands.ToolProvider{nil}},
	} {
		_, err := strands.New(cfg)
		if ie, ok := errors.AsType[*strands.InputError](err); !ok || ie.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestInputMistakesChangeNothing(t *testing.T) {
	m := &script{}
	a := newAgent(t, strands.Config{Model: m})
	text := strands.Text("a")
	for name, in := range map[string]strands.Input{
		"nothing":        {},
		"two inputs":     {Parts: []strands.Part{text}, Messages: []strands.Message{strands.UserMessage(text)}},
		"a blank prompt": strands.Prompt(" "),
		"a result":       {Parts: []strands.Part{{ToolResult: &strands.ToolResult{CallID: "1", Parts: []strands.Part{text}}}}},
		"a role":         {Messages: []strands.Message{{Role: "tool", Parts: []strands.Part{text}}}},
		"assistant":      {Messages: []strands.Message{strands.AssistantMessage(text)}},
		"responses":      respond("x", 1),
		"a tool twice":   {Parts: []strands.Part{text}, Tools: []strands.Tool{weather(), weather()}},
	} {
		s := a.NewSession()
		_, err := strands.Collect(s.Run(t.Context(), in))
		if _, ok := errors.AsType[*strands.InputError](err); !ok || len(s.Messages()) != 0 || s.Turn() != 0 {
			t.Errorf("%s: %v, history %s", name, err, show(s.Messages()))
		}
	}
	if len(m.seen) != 0 {
		t.Error("the model was asked")
	}
}

func TestProviders(t *testing.T) {
	boom := errors.New("unreachable")
	m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("ok")}}
	s := newAgent(t, strands.Config{Model: m, Providers: []strands.ToolProvider{provider{tools: []strands.Tool{weather()}}}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); err != nil || outline(s.Messages()) != "go / [1] / 1=sunny in Oslo / ok" {
		t.Error(err, outline(s.Messages()))
	}
	s = newAgent(t, strands.Config{Model: m, Providers: []strands.ToolProvider{provider{err: boom}}}).NewSession()
	if _, err := s.Ask(t.Context(), "go"); !errors.Is(err, boom) {
		t.Error(err)
	}
}

func TestTurns(t *testing.T) {
	m := &script{turns: []turn{says("1"), says("2"), says("3")}}
	s := newAgent(t, strands.Config{Model: m}).NewSession()
	for i, in := range []strands.Input{strands.Prompt("a"), {}, strands.Prompt("b")} {
		if _, err := strands.Collect(s.Run(t.Context(), in)); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 1, 2}[i]; s.Turn() != want {
			t.Errorf("run %d: turn %d, want %d", i, s.Turn(), want)
		}
	}
}

func TestSessionsOfOneAgentAreIndependent(t *testing.T) {
	a := newAgent(t, strands.Config{Model: echo{}, Tools: []strands.Tool{weather()}})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			s := a.NewSession()
			for j := range 5 {
				q := fmt.Sprint(i, ".", j)
				if res, err := s.Ask(t.Context(), q); err != nil || res.Text() != q || len(s.Messages()) != 2*j+2 {
					t.Error(res, err)
				}
			}
		})
	}
	wg.Wait()
}
