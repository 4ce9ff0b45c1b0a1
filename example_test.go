package strands_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log"

	"github.com/strandsgo/strands"
)

// scripted is a model that gives prepared replies. A program has one of the
// packages below models instead.
type scripted []strands.Message

func (s *scripted) Generate(context.Context, *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		m := (*s)[0]
		*s = (*s)[1:]
		yield(strands.Chunk{Reply: &strands.Reply{Message: m, StopReason: strands.StopEndTurn}}, nil)
	}
}

func wants(id, tool, input string) strands.Message {
	return strands.AssistantMessage(strands.Part{ToolCall: &strands.ToolCall{ID: id, Name: tool, Input: json.RawMessage(input)}})
}

func replies(text string) strands.Message { return strands.AssistantMessage(strands.Text(text)) }

func Example() {
	type investment struct {
		Invested float64 `json:"invested" jsonschema:"what was paid"`
		Returned float64 `json:"returned" jsonschema:"what came back"`
	}
	roi := strands.NewTool("calculate_roi", "Return on investment as a percentage.",
		func(_ context.Context, in investment) (string, error) {
			if in.Invested == 0 {
				return "", fmt.Errorf("nothing was invested")
			}
			return fmt.Sprintf("%.0f %%", (in.Returned-in.Invested)/in.Invested*100), nil
		})

	agent, err := strands.New(strands.Config{
		Model: &scripted{
			wants("1", "calculate_roi", `{"invested": 1000, "returned": 1250}`),
			replies("You gained 25 %."),
		},
		SystemPrompt: "You are a finance assistant.",
		Tools:        []strands.Tool{roi},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()

	res, err := agent.Ask(context.Background(), "What is the ROI of 1000 that became 1250?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output: You gained 25 %.
}

func ExampleSession_Run() {
	agent, err := strands.New(strands.Config{
		Model: &scripted{wants("1", "weather", `{"city": "Oslo"}`), replies("Take no umbrella.")},
		Tools: []strands.Tool{weather()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()

	s := agent.NewSession()
	for e, err := range s.Run(context.Background(), strands.Prompt("Umbrella?")) {
		switch {
		case err != nil:
			log.Fatal(err)
		case e.ToolStart != nil:
			fmt.Println("calls", e.ToolStart.Name, string(e.ToolStart.Input))
		case e.ToolEnd != nil:
			fmt.Println("gets", e.ToolEnd.Result.Text())
		case e.Result != nil:
			fmt.Println("says", e.Result.Text())
		}
	}
	// Output:
	// calls weather {"city": "Oslo"}
	// gets sunny in Oslo
	// says Take no umbrella.
}

func ExampleAskFor() {
	type trip struct {
		City string `json:"city"`
		Days int    `json:"days" jsonschema:"length of the trip"`
	}
	agent, err := strands.New(strands.Config{Model: &scripted{wants("1", "trip", `{"city": "Oslo", "days": 3}`)}})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()

	t, err := strands.AskFor[trip](context.Background(), agent.NewSession(), "I'd like a long weekend in Oslo.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Days, "days in", t.City)
	// Output: 3 days in Oslo
}

func ExampleRequestInput() {
	approve := strands.Hooks{BeforeToolCall: func(ctx context.Context, e *strands.BeforeToolCall) error {
		answer, err := strands.RequestInput(ctx, "approval", "May I call "+e.Call.Name+"?")
		if err != nil {
			return err
		}
		if answer != "yes" {
			e.Cancel = "The user does not allow it."
		}
		return nil
	}}
	agent, err := strands.New(strands.Config{
		Model: &scripted{wants("1", "weather", `{"city": "Oslo"}`), replies("Sunny!")},
		Tools: []strands.Tool{weather()},
		Hooks: []strands.Hooks{approve},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()

	s := agent.NewSession()
	res, err := s.Ask(context.Background(), "Weather?")
	if err != nil {
		log.Fatal(err)
	}
	question := res.Interrupts[0]
	fmt.Println(res.StopReason, "-", question.Reason)

	res, err = strands.Collect(s.Run(context.Background(), strands.Input{
		Responses: []strands.InterruptResponse{{ID: question.ID, Response: "yes"}},
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output:
	// interrupt - May I call weather?
	// Sunny!
}

func ExampleAgent_Restore() {
	config := strands.Config{
		Model: &scripted{replies("Hello, Ada."), replies("You are Ada.")},
		Store: strands.NewMemoryStore(),
	}
	agent, err := strands.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()
	s, err := agent.NewSessionID("ada")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.Ask(context.Background(), "I am Ada."); err != nil {
		log.Fatal(err)
	}
	s.Close()

	s, err = agent.Restore(context.Background(), "ada") // later, perhaps elsewhere
	if err != nil {
		log.Fatal(err)
	}
	res, err := s.Ask(context.Background(), "Who am I?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(s.Messages()), "messages:", res.Text())
	// Output: 4 messages: You are Ada.
}
