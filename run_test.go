package strands_test

import (
	"context"
	"errors"
	"testing"

	"github.com/strandsgo/strands"
)

type cityArgs struct {
	City string `json:"city" jsonschema:"name of the city"`
}

func weather() strands.Tool {
	return strands.NewTool("weather", "Current weather.", func(_ context.Context, a cityArgs) (string, error) {
		if a.City == "Atlantis" {
			return "", errors.New("no such city")
		}
		return "sunny in " + a.City, nil
	})
}

func TestToolCallThenText(t *testing.T) {
	m := &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("It is sunny.")}}
	a := newAgent(t, strands.Config{Model: m, Tools: []strands.Tool{weather()}, SystemPrompt: "Be brief."})
	s := a.NewSession()
	res, err := s.Ask(t.Context(), "Weather in Oslo?")
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != "It is sunny." || res.StopReason != strands.StopEndTurn || res.Cycles != 2 || res.Usage.Total() != 30 {
		t.Errorf("result %s", show(res))
	}
	msgs := s.Messages()
	if len(msgs) != 4 || msgs[2].ToolResults()[0].Text() != "sunny in Oslo" {
		t.Errorf("history %s", show(msgs))
	}
	valid(t, s)
	if got := m.seen[0].System; len(got) != 1 || got[0].Text != "Be brief." {
		t.Errorf("system %v", got)
	}
	if u := res.Tools["weather"]; u.Calls != 1 || u.Errors != 0 {
		t.Errorf("tool use %+v", u)
	}
}
