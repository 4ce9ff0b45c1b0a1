package layout

import (
	"bytes"
	"encoding/json"
	"time"

	strands "github.com/strandsgo/strands"
)

// agentFile is agent.json. The SDK keeps only keys that it knows when it
// writes the file again: no mark then says that its state is the newer one.
type agentFile struct {
	ID        string                     `json:"agent_id"`
	State     map[string]json.RawMessage `json:"state"`
	Manager   map[string]json.RawMessage `json:"conversation_manager_state"`
	Internal  map[string]json.RawMessage `json:"_internal_state"`
	CreatedAt string                     `json:"created_at"`
	UpdatedAt string                     `json:"updated_at"`
	Mark      *agentMark                 `json:"strands_go"`
}

// agentMark says of which entry the state in agent.json is; 0 = of none.
type agentMark struct {
	Seq int64 `json:"seq"`
}

type pyInterrupts struct {
	Interrupts map[string]pyInterrupt     `json:"interrupts"`
	Context    map[string]json.RawMessage `json:"context"`
	Activated  bool                       `json:"activated"`
	Execution  *pyExecution               `json:"pending_tool_execution,omitempty"`
}

type pyInterrupt struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Reason   any    `json:"reason"`
	Response any    `json:"response"`
}

type pyExecution struct {
	Message json.RawMessage   `json:"assistant_message"`
	Results []json.RawMessage `json:"completed_tool_results"`
}

// put brings state into the file; calls is the message with the tool calls
// that state.Pending is about. What else the file holds stays.
func (a *agentFile) put(state strands.SessionState, calls *strands.Message) error {
	a.State = state.Values
	if a.State == nil {
		a.State = map[string]json.RawMessage{}
	}
	if err := a.putManager(state); err != nil {
		return err
	}
	in := pyInterrupts{Interrupts: map[string]pyInterrupt{}, Context: map[string]json.RawMessage{}}
	if p := state.Pending; p != nil {
		in.Activated = true
		for _, q := range p.Interrupts {
			in.Interrupts[q.ID] = pyInterrupt{ID: q.ID, Name: q.Name, Reason: q.Reason}
		}
		for _, r := range p.Responses {
			if q, ok := in.Interrupts[r.ID]; ok {
				q.Response = r.Response
				in.Interrupts[r.ID] = q
			}
		}
		in.Execution = &pyExecution{Message: json.RawMessage(`{"role":"assistant","content":[]}`), Results: []json.RawMessage{}}
		if calls != nil {
			m, _ := toPython(*calls)
			if err := set(&in.Execution.Message, m); err != nil {
				return err
			}
		}
		for _, r := range p.Results {
			var raw json.RawMessage
			if err := set(&raw, toResult(r)); err != nil {
				return err
			}
			in.Execution.Results = append(in.Execution.Results, raw)
		}
	}
	if a.Internal == nil {
		a.Internal = map[string]json.RawMessage{"model_state": json.RawMessage("{}")}
	}
	return setKey(a.Internal, "interrupt_state", in)
}

// putManager writes the state of a conversation manager. The SDK restores it
// only into a manager of that name.
func (a *agentFile) putManager(state strands.SessionState) error {
	if a.Manager == nil {
		a.Manager = map[string]json.RawMessage{}
	}
	const sliding, summarizing = `"SlidingWindowConversationManager"`, `"SummarizingConversationManager"`
	name := a.Manager["__name__"]
	switch {
	case len(state.Summary) > 0:
		name = json.RawMessage(summarizing)
	case len(name) == 0:
		name = json.RawMessage(sliding)
	}
	a.Manager["__name__"] = name
	switch string(name) {
	case summarizing:
		delete(a.Manager, "model_call_count")
		if err := setKey(a.Manager, "summary_message", joined(state.Summary)); err != nil {
			return err
		}
	case sliding:
		if _, ok := a.Manager["model_call_count"]; !ok {
			a.Manager["model_call_count"] = json.RawMessage("0")
		}
	}
	return setKey(a.Manager, "removed_message_count", state.Dropped)
}

// joined makes one message of a summary, since the SDK has room for one.
func joined(summary []strands.Message) *pyMessage {
	if len(summary) == 0 {
		return nil
	}
	all := strands.Message{Role: summary[0].Role}
	for _, m := range summary {
		all.Parts = append(all.Parts, m.Parts...)
	}
	p, _ := toPython(all)
	return &p
}

func set(to *json.RawMessage, v any) (err error) {
	*to, err = json.Marshal(v)
	return err
}

func setKey(m map[string]json.RawMessage, key string, v any) error {
	raw, err := json.Marshal(v)
	m[key] = raw
	return err
}

// state reads what the SDK left in the file.
func (a *agentFile) state() (strands.SessionState, error) {
	var s strands.SessionState
	if len(a.State) > 0 {
		s.Values = map[string]json.RawMessage{}
	}
	for key, v := range a.State {
		s.Values[key] = compact(v)
	}
	if raw, ok := a.Manager["removed_message_count"]; ok {
		if err := json.Unmarshal(raw, &s.Dropped); err != nil {
			return s, err
		}
	}
	if raw := a.Manager["summary_message"]; len(raw) > 0 && string(raw) != "null" {
		m, err := fromPython(raw)
		if err != nil {
			return s, err
		}
		s.Summary = []strands.Message{m}
	}
	raw := a.Internal["interrupt_state"]
	if len(raw) == 0 {
		return s, nil
	}
	var in pyInterrupts
	if err := json.Unmarshal(raw, &in); err != nil || !in.Activated {
		return s, err
	}
	var err error
	s.Pending, err = in.pending()
	return s, err
}

func (in pyInterrupts) pending() (*strands.Pending, error) {
	p := &strands.Pending{Interrupts: []strands.Interrupt{}}
	for _, id := range sortedKeys(in.Interrupts) {
		q := in.Interrupts[id]
		p.Interrupts = append(p.Interrupts, strands.Interrupt{ID: id, Name: q.Name, Reason: q.Reason})
		if q.Response != nil {
			p.Responses = append(p.Responses, strands.InterruptResponse{ID: id, Response: q.Response})
		}
	}
	if in.Execution == nil {
		return p, nil
	}
	for _, raw := range in.Execution.Results {
		block, err := json.Marshal(map[string]json.RawMessage{"toolResult": raw})
		if err != nil {
			return nil, err
		}
		part, err := fromBlock(block)
		if err != nil {
			return nil, err
		}
		p.Results = append(p.Results, *part.ToolResult)
	}
	return p, nil
}

// changedState returns the state in a file that the SDK wrote, or false when
// it is the one that was there before. Parts that the SDK left alone keep what
// its layout has no room for.
func changedState(a *agentFile, was strands.SessionState) (strands.SessionState, bool, error) {
	is, err := a.state()
	if err != nil {
		return is, false, err
	}
	var old agentFile
	if err := old.put(was, nil); err != nil {
		return is, false, err
	}
	seen, err := old.state() // was, as the SDK saw it
	if err != nil {
		return is, false, err
	}
	if same(is, seen) {
		return was, false, nil
	}
	if same(is.Summary, seen.Summary) {
		is.Summary = was.Summary
	}
	if same(is.Pending, seen.Pending) {
		is.Pending = was.Pending
	}
	return is, true, nil
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// encode returns the file as it was, with the keys that are known replaced.
func (a *agentFile) encode(was map[string]json.RawMessage, now time.Time) ([]byte, error) {
	a.UpdatedAt = formatTime(now)
	if a.CreatedAt == "" {
		a.CreatedAt = a.UpdatedAt
	}
	return encodeOver(was, a)
}

// encodeOver encodes the object v, with the keys of was that v has not.
func encodeOver(was map[string]json.RawMessage, v any) ([]byte, error) {
	known, err := Encode(v)
	if err != nil || len(was) == 0 {
		return known, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(known, &keys); err != nil {
		return nil, err
	}
	for key, value := range was {
		if _, ok := keys[key]; !ok {
			keys[key] = value
		}
	}
	return Encode(keys)
}
