package strands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

type rawJSON = json.RawMessage

// Session is one conversation. It belongs to one run at a time: a second Run
// while one is under way fails at once with ErrConcurrentInvocation, and so
// does Call. The other methods are safe for concurrent use, from hooks and
// tools of a run too. Close it; a session that is dropped without is closed
// some time later by the garbage collector's cleanup.
type Session struct {
	id    string
	agent *Agent
	life  *life

	mu      sync.Mutex
	records []record // the history; a record's message is never changed in place
	turn    int
	// uncounted is the number of the last message whose usage no longer says
	// how long the history is.
	uncounted int
	pending   *Pending
	values    map[string]rawJSON
	system    []Part
	tools     *toolset
	hidden    map[string]bool // tools of providers and inputs that were removed
	hooks     []*Hooks
	log       sessionLog
	metrics   Metrics
}

// ID returns the session's id.
func (s *Session) ID() string { return s.id }

// Ask runs prompt and returns the result. After an error of the kind
// *LimitError the partial result is in it.
func (s *Session) Ask(ctx context.Context, prompt string) (*Result, error) {
	return Collect(s.Run(ctx, Prompt(prompt)))
}

// Collect ranges over a run and returns its result.
func Collect(run iter.Seq2[Event, error]) (*Result, error) {
	var res *Result
	for e, err := range run {
		if err != nil {
			return nil, err
		}
		if e.Result != nil {
			res = e.Result
		}
	}
	return res, nil
}

// Cancel stops the run under way; its result has StopCancelled. Nothing
// happens when there is none.
func (s *Session) Cancel() {
	if r := s.run(); r != nil {
		r.cancel(errCancelled)
	}
}

func (s *Session) run() *run {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	return s.life.running
}

// Messages returns a copy of the history. While the run that answers it is
// under way or interrupted, its last message may have tool calls without
// results.
func (s *Session) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return messagesOf(s.records)
}

// Turn counts the runs that began with a new user message. Tools use it to
// notice a new one.
func (s *Session) Turn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn
}

// Pending returns what an interrupted run waits with; nil when none does.
func (s *Session) Pending() *Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clonePtr(s.pending)
}

// Set keeps a value, as JSON, under a key that is not blank; nil deletes it.
// With a Store it is stored with the next messages, or by Close.
func (s *Session) Set(key string, value any) error {
	if strings.TrimSpace(key) == "" {
		return &InputError{Field: "key", Reason: "must not be blank"}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return &InputError{Field: "value of " + key, Reason: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.touched = true
	s.changed()
	if _, given := s.agent.values[key]; value == nil && !given {
		delete(s.values, key)
		return nil
	}
	if s.values == nil {
		s.values = map[string]rawJSON{}
	}
	s.values[key] = raw // null keeps what the agent gives from coming back
	return nil
}

// Get decodes the value of key into v and says whether there was one.
func (s *Session) Get(key string, v any) (bool, error) {
	s.mu.Lock()
	raw, ok := s.values[key]
	s.mu.Unlock()
	if !ok || isNull(raw) {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return true, fmt.Errorf("strands: value of %q: %w", key, err)
	}
	return true, nil
}

func rawValues(values map[string]any) (map[string]rawJSON, error) {
	raw := make(map[string]rawJSON, len(values))
	for k, v := range values {
		if strings.TrimSpace(k) == "" {
			return nil, &InputError{Field: "Config.Values", Reason: "a key is blank"}
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, &InputError{Field: "Config.Values[" + k + "]", Reason: err.Error()}
		}
		raw[k] = b
	}
	return raw, nil
}

// SetSystem replaces the system prompt from the next model call on.
func (s *Session) SetSystem(parts ...Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.system = cloneParts(parts)
}

// AddTools offers more tools from the next model call on. A name that is
// taken is an error, and none is added.
func (s *Session) AddTools(tools ...Tool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ts, err := s.tools.with(tools...)
	if err != nil {
		return err
	}
	s.tools = ts
	return nil
}

// Tool returns the tool of that name that the session offers outside of a
// single run; nil when there is none.
func (s *Session) Tool(name string) Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tools.find(name)
}

// RemoveTool stops offering a tool and says whether it was offered.
func (s *Session) RemoveTool(name string) bool {
	var extra []Tool
	if r := s.run(); r != nil {
		r.mu.Lock()
		extra = r.extra
		r.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tools.find(name) != nil {
		s.tools = s.tools.without(name)
		return true
	}
	if s.hidden[name] || !slices.ContainsFunc(extra, func(t Tool) bool { return t.Spec().Name == name }) {
		return false
	}
	hidden := maps.Clone(s.hidden)
	if hidden == nil {
		hidden = map[string]bool{}
	}
	hidden[name] = true
	s.hidden = hidden
	return true
}

// AddHooks registers hooks for what comes next. The returned func removes them.
func (s *Session) AddHooks(h Hooks) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(slices.Clip(s.hooks), &h)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hooks = slices.DeleteFunc(slices.Clone(s.hooks), func(g *Hooks) bool { return g == &h })
	}
}

// Values returns a copy of all values, as JSON.
func (s *Session) Values() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := maps.Clone(s.values) // what a key holds is replaced, never changed
	maps.DeleteFunc(values, func(_ string, raw rawJSON) bool { return isNull(raw) })
	return values
}

func isNull(raw rawJSON) bool { return string(raw) == "null" }

// System returns a copy of the system prompt.
func (s *Session) System() []Part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cloneParts(s.system)
}

// Tools describes the tools that the session offers outside of a single run.
func (s *Session) Tools() []ToolSpec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tools.specs)
}

// Call runs a tool directly, with its hooks. A '_' in name stands for a '-'
// too. It does not appear in the history; see Record.
func (s *Session) Call(ctx context.Context, name string, input any) (*ToolResult, error) {
	return s.callDirectly(ctx, name, input, nil)
}

// Record is Call that adds what was done to the history, as a user message
// (note, when it is not empty, and what is called), the call, its result and a
// line of the assistant, so that the model knows of it. Of the input only the
// properties that the tool's schema names are recorded. A call that did not
// come to a result is not recorded.
func (s *Session) Record(ctx context.Context, name string, input any, note string) (*ToolResult, error) {
	return s.callDirectly(ctx, name, input, &note)
}

func (s *Session) callDirectly(ctx context.Context, name string, input any, note *string) (*ToolResult, error) {
	raw, err := json.Marshal(input)
	if err != nil {
		return nil, &InputError{Field: "input", Reason: err.Error()}
	}
	if input == nil {
		raw = []byte("{}")
	}
	r, err := s.claim(ctx, Input{}, func() error {
		if s.pending != nil {
			return &InputError{Field: "Call", Reason: "the session is interrupted: answer it, or call Abandon first"}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.direct(name, raw, note)
}

// Close ends the session: it cancels its run and waits for it, then closes
// what was attached, last first. All are attempted; the errors are joined. A
// second call does nothing. A tool or hook of the run must not call it, since
// it would wait for itself.
func (s *Session) Close() error {
	s.agent.house.forget(s.life)
	if s.life.isClosed() {
		return nil
	}
	err := s.life.close()
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	return errors.Join(err, s.store(ctx))
}
