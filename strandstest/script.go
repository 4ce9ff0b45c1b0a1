// Package strandstest helps to test agents and what they are made of: Script
// is a model that needs no key, TestModel is the suite that every model
// passes.
package strandstest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/strandsgo/strands"
)

// Script is a model that says what it was told to say, turn by turn, in small
// deltas. Its texts can quote what tools really answered; see Turn.Text.
//
// Which turn is next follows from the request alone, so one Script serves any
// number of sessions at once, each from the first turn on: it is the number of
// assistant messages in the history. Tool calls carry their turn in their id
// ("turn3.1"), and messages before the last of these are not counted, so that
// a history that was cut at the front, or that began with messages of others,
// does not lose the place. Turns with an Err leave no message; they are told
// apart by how often the same session asked the same.
//
// Being asked for more turns than there are is a *strands.ModelError. The zero
// Script has no turns.
type Script struct {
	Turns []Turn // not to be changed once the Script is in use
	ID    string // the model's id; "" = "script"

	mu       sync.Mutex
	requests []strands.Request
	tries    map[attempt]int // of turns that come after an Err
}

// Turn is one reply, or one failed attempt at it. What is set comes in the
// order of the fields.
type Turn struct {
	// Reasoning and Text are templates of text/template. These functions quote
	// the answer of the n-th tool call of the history, counted from 1, or from
	// the end when n is negative:
	//
	//	{{ stdout 1 }}                  what the snippet printed
	//	{{ stderr 1 }}                  what it wrote to its error output
	//	{{ error 1 }}                   the traceback of what it raised
	//	{{ value -1 }}                  the value of its last expression
	//	{{ result 1 }}                  the whole answer, of any tool
	//	{{ match 1 "growth: (.*)" }}    of the whole answer, what the regular
	//	                                expression's first group matched
	//	{{ if ok 1 }}…{{ end }}         whether it was no error
	//
	// A quote that finds nothing fails the call: a script never says a number
	// that no code computed.
	Reasoning string
	Text      string

	Python string // code for python_repl, as it is
	Calls  []Call

	Stop  strands.StopReason // "" = tool_use when there are calls, else end_turn
	Usage strands.Usage
	Err   error         // ends the attempt after what the other fields say; the next turn is the next attempt
	Delay time.Duration // before the first delta
}

// Call is a tool call of a Turn.
type Call struct {
	ID    string // "" = made of the turn and the position
	Name  string
	Input any // anything that marshals to a JSON object; nil = {}
}

// pythonTool is the name of the tool that Turn.Python calls.
const pythonTool = "python_repl"

// Describe implements strands.Describer.
func (s *Script) Describe() strands.ModelInfo {
	return strands.ModelInfo{Provider: "scripted", ID: cmp.Or(s.ID, "script")}
}

// Requests returns copies of the requests seen so far, in order.
func (s *Script) Requests() []strands.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Generate implements strands.Model.
func (s *Script) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(strands.Chunk{}, err)
			return
		}
		s.record(req)
		n, turn, err := s.next(ctx, req)
		if err != nil {
			yield(strands.Chunk{}, err)
			return
		}
		if err := wait(ctx, turn.Delay); err != nil {
			yield(strands.Chunk{}, err)
			return
		}
		msg, err := turn.message(n, req)
		if err != nil {
			yield(strands.Chunk{}, s.failed("turn %d: %v", n, err))
			return
		}
		if !stream(ctx, msg, yield) {
			return
		}
		if turn.Err != nil {
			yield(strands.Chunk{}, turn.Err)
			return
		}
		yield(strands.Chunk{Reply: &strands.Reply{
			Message: msg, StopReason: turn.stopReason(), Usage: turn.Usage, Model: cmp.Or(s.ID, "script"),
		}}, nil)
	}
}

func (s *Script) failed(format string, args ...any) error {
	info := s.Describe()
	return &strands.ModelError{
		Kind: strands.ModelBadRequest, Provider: info.Provider, Model: info.ID, Message: fmt.Sprintf(format, args...),
	}
}

func (s *Script) record(req *strands.Request) {
	seen := strands.Request{
		System:     strands.Message{Parts: req.System}.Clone().Parts,
		Messages:   make([]strands.Message, len(req.Messages)),
		Tools:      slices.Clone(req.Tools),
		ToolChoice: req.ToolChoice,
	}
	for i, m := range req.Messages {
		seen.Messages[i] = m.Clone()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, seen)
}

// attempt names a place in a session's script where attempts have to be
// counted.
type attempt struct {
	session string // its id; "" outside of one
	reply   int
	last    string // the message that is answered
}

// next finds the turn that answers req, and its number from 1.
func (s *Script) next(ctx context.Context, req *strands.Request) (int, *Turn, error) {
	reply := replies(req.Messages)
	first, last, ok := s.group(reply)
	if !ok {
		return 0, nil, s.failed("the script has %d replies and was asked for one more; add a turn", reply)
	}
	if first == last {
		return first + 1, &s.Turns[first], nil
	}
	at := attempt{reply: reply}
	if session := strands.SessionFrom(ctx); session != nil {
		at.session = session.ID()
	}
	if len(req.Messages) > 0 {
		text, err := json.Marshal(req.Messages[len(req.Messages)-1])
		if err != nil {
			return 0, nil, fmt.Errorf("reading the request: %w", err)
		}
		at.last = string(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tries == nil {
		s.tries = map[attempt]int{}
	}
	i := min(first+s.tries[at], last)
	s.tries[at]++
	return i + 1, &s.Turns[i], nil
}

// group returns the turns from the first attempt at the given reply (from 0)
// to the one that succeeds.
func (s *Script) group(reply int) (first, last int, ok bool) {
	for i, t := range s.Turns {
		last := i == len(s.Turns)-1
		if t.Err != nil && !last {
			continue
		}
		if reply == 0 {
			return first, i, true
		}
		reply--
		first = i + 1
	}
	return 0, 0, false
}

// replies counts the replies of a script that a history stands for.
func replies(history []strands.Message) int {
	n := 0
	for _, m := range slices.Backward(history) {
		if m.Role != strands.Assistant {
			continue
		}
		for _, c := range m.ToolCalls() {
			var reply, call int
			if _, err := fmt.Sscanf(c.ID, "turn%d.%d", &reply, &call); err == nil {
				return reply + n
			}
		}
		n++
	}
	return n
}

func (t *Turn) stopReason() strands.StopReason {
	switch {
	case t.Stop != "":
		return t.Stop
	case t.Python != "" || len(t.Calls) > 0:
		return strands.StopToolUse
	}
	return strands.StopEndTurn
}

// message is what the turn says in answer to req.
func (t *Turn) message(n int, req *strands.Request) (strands.Message, error) {
	msg := strands.Message{Role: strands.Assistant}
	reasoning, err := quote(t.Reasoning, req.Messages)
	if err != nil {
		return msg, err
	}
	if reasoning != "" {
		msg.Parts = append(msg.Parts, strands.Part{Reasoning: &strands.Reasoning{Text: reasoning}})
	}
	text, err := quote(t.Text, req.Messages)
	if err != nil {
		return msg, err
	}
	calls := t.Calls
	if t.Python != "" {
		calls = slices.Insert(slices.Clone(calls), 0, Call{Name: pythonTool, Input: map[string]any{"code": t.Python}})
	}
	if text != "" || (reasoning == "" && len(calls) == 0) {
		msg.Parts = append(msg.Parts, strands.Text(text))
	}
	reply := replies(req.Messages) + 1
	for i, c := range calls {
		input := json.RawMessage("{}")
		if c.Input != nil {
			if input, err = json.Marshal(c.Input); err != nil {
				return msg, fmt.Errorf("input of %s: %w", c.Name, err)
			}
		}
		id := cmp.Or(c.ID, fmt.Sprintf("turn%d.%d", reply, i+1))
		msg.Parts = append(msg.Parts, strands.Part{ToolCall: &strands.ToolCall{ID: id, Name: c.Name, Input: input}})
	}
	return msg, nil
}

// stream yields the parts of msg in small pieces and says whether there is
// somebody left to listen.
func stream(ctx context.Context, msg strands.Message, yield func(strands.Chunk, error) bool) bool {
	send := func(d strands.Delta) bool {
		if err := ctx.Err(); err != nil {
			yield(strands.Chunk{}, err)
			return false
		}
		return yield(strands.Chunk{Delta: &d}, nil)
	}
	for block, p := range msg.Parts {
		first := true
		whole, delta := p.Text, func(piece string) strands.Delta { return strands.Delta{Block: block, Text: piece} }
		switch {
		case p.Reasoning != nil:
			whole, delta = p.Reasoning.Text, func(piece string) strands.Delta {
				return strands.Delta{Block: block, Reasoning: &strands.Reasoning{Text: piece}}
			}
		case p.ToolCall != nil:
			whole, delta = string(p.ToolCall.Input), func(piece string) strands.Delta {
				d := &strands.ToolCallDelta{Input: piece}
				if first {
					d.ID, d.Name, first = p.ToolCall.ID, p.ToolCall.Name, false
				}
				return strands.Delta{Block: block, ToolCall: d}
			}
		}
		for piece := range pieces(whole) {
			if !send(delta(piece)) {
				return false
			}
		}
	}
	return true
}

// pieces cuts s after every few characters, never inside one.
func pieces(s string) iter.Seq[string] {
	const size = 12
	return func(yield func(string) bool) {
		for s != "" {
			end := min(size, len(s))
			for end < len(s) && !utf8.RuneStart(s[end]) {
				end++
			}
			if !yield(s[:end]) {
				return
			}
			s = s[end:]
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
