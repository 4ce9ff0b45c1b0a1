package strands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AsTool offers the agent as a tool with one argument, "input". Each call is
// a session of its own; its events come as ToolOutput.Inner. When the agent
// asks a person, the calling agent's run is interrupted by the same questions,
// and the session waits for the answers: in the calling session, and in the
// agent's Store when it has one, so that another process can go on.
func (a *Agent) AsTool() Tool {
	doc := a.cfg.Description
	if doc == "" {
		doc = "Hands a task over to the agent " + a.cfg.Name + " and returns its answer."
	}
	t := &agentTool{agent: a}
	raw, err := NewRawTool(ToolSpec{
		Name: a.cfg.Name, Description: doc,
		InputSchema: json.RawMessage(`{"type":"object","properties":{"input":{"type":"string","description":"the task, with all that must be known for it"}},"required":["input"],"additionalProperties":false}`),
	}, t.call)
	if err != nil {
		panic(err) // New has checked the name, and the schema is a constant
	}
	return raw
}

type agentTool struct{ agent *Agent }

// waiting is the key under which a session that asks a person waits.
type waiting struct {
	agent  *Agent
	callID string
}

func (t *agentTool) call(ctx context.Context, call *ToolCall) (*ToolResult, error) {
	var in struct {
		Input string `json:"input"`
	}
	if err := json.Unmarshal(call.Input, &in); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Input) == "" {
		return nil, errors.New("invalid input: input: must not be blank")
	}
	s, resumed, err := t.session(ctx, call.ID)
	if err != nil {
		return nil, err
	}
	input := Prompt(in.Input)
	if resumed {
		input = Input{Responses: responses(ctx, s, call.ID)}
	}
	res, err := t.run(ctx, s, input)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("agent %s: %w", t.agent.Name(), err), s.Close())
	}
	if res.StopReason == StopInterrupt {
		return nil, t.interrupted(ctx, s, call.ID, res)
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	if res.Output != nil {
		return &ToolResult{Parts: []Part{{JSON: res.Output}}, Value: json.RawMessage(res.Output)}, nil
	}
	return &ToolResult{Parts: []Part{Text(res.Text())}, Value: res.Text()}, nil
}

// session returns the session that waits for answers to this call, or a new
// one.
func (t *agentTool) session(ctx context.Context, callID string) (s *Session, resumed bool, err error) {
	parent := SessionFrom(ctx)
	if parent == nil {
		return t.agent.NewSession(), false, nil
	}
	if c, ok := parent.life.detach(waiting{t.agent, callID}); ok {
		return c.(*Session), true, nil
	}
	id := innerID(parent.ID(), callID)
	if t.agent.cfg.Store != nil {
		s, err = t.agent.Restore(ctx, id)
		if !errors.Is(err, ErrNotFound) {
			return s, err == nil && s.Pending() != nil, err
		}
	} else if len(Answers(ctx)) > 0 {
		return nil, false, fmt.Errorf("agent %s: what it had done is lost, and it has no store", t.agent.Name())
	}
	s, err = t.agent.NewSessionID(id)
	return s, false, err
}

// innerID is the id of the session for a call, the same in every process.
func innerID(parent, callID string) string {
	clean := strings.Map(func(r rune) rune {
		if sessionID.MatchString(string(r)) {
			return r
		}
		return '_'
	}, callID)
	id := parent + "." + clean
	return id[max(0, len(id)-128):]
}

// run passes the events on.
func (t *agentTool) run(ctx context.Context, s *Session, in Input) (*Result, error) {
	var res *Result
	for e, err := range s.Run(ctx, in) {
		if err != nil {
			return nil, err
		}
		if e.Result != nil {
			res = e.Result
		}
		if err := Emit(ctx, Event{Output: &ToolOutput{Inner: &e}}); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// interrupted keeps s and asks its questions on behalf of the call.
func (t *agentTool) interrupted(ctx context.Context, s *Session, callID string, res *Result) error {
	parent := SessionFrom(ctx)
	if parent == nil {
		return errors.Join(fmt.Errorf("agent %s asks a person, and nobody can answer here", t.agent.Name()), s.Close())
	}
	if _, err := Attach(ctx, parent, waiting{t.agent, callID}, func(context.Context) (*Session, error) { return s, nil }); err != nil {
		return err
	}
	ask := new(InterruptError)
	for _, q := range res.Interrupts {
		q.ID = callID + "/" + q.ID
		q.CallID, q.ParentID = callID, ""
		if sc := scopeFrom(ctx); sc.root.ID != callID {
			q.ParentID = sc.root.ID
		}
		ask.Interrupts = append(ask.Interrupts, q)
	}
	return ask
}

// responses returns the answers to what s asks, under the ids that it knows.
func responses(ctx context.Context, s *Session, callID string) []InterruptResponse {
	given := []InterruptResponse{}
	asked := s.Pending().Interrupts
	for _, a := range Answers(ctx) {
		id, ok := strings.CutPrefix(a.ID, callID+"/")
		if ok && slices.ContainsFunc(asked, func(q Interrupt) bool { return q.ID == id }) {
			given = append(given, InterruptResponse{ID: id, Response: a.Response})
		}
	}
	return given
}
