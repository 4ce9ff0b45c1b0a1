package strands

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"
)

// NewMemoryStore makes a Store that keeps sessions in memory, for tests and
// for programs that restore sessions while they run.
func NewMemoryStore() StateStore {
	return memoryStore{&memory{logs: map[memoryKey][]Entry{}, states: map[memoryKey]rawJSON{}}, "default"}
}

type memory struct {
	mu     sync.Mutex
	logs   map[memoryKey][]Entry
	states map[memoryKey]rawJSON
}

// memoryKey names a log by its agent, or a state.
type memoryKey struct{ id, name string }

type memoryStore struct {
	*memory
	agent string
}

func (m memoryStore) Scope(agent string) Store { return memoryStore{m.memory, agent} }

func (m memoryStore) LoadState(ctx context.Context, id, name string) (json.RawMessage, error) {
	if err := checkIDs(ctx, id, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	state, ok := m.states[memoryKey{id, name}]
	if !ok {
		return nil, ErrNotFound
	}
	return slices.Clone(state), nil
}

func (m memoryStore) SaveState(ctx context.Context, id, name string, state json.RawMessage) error {
	if err := checkIDs(ctx, id, name); err != nil {
		return err
	}
	if state != nil && !json.Valid(state) {
		return &InputError{Field: "state " + name, Reason: "is not JSON"}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if state == nil {
		delete(m.states, memoryKey{id, name})
		return nil
	}
	m.states[memoryKey{id, name}] = slices.Clone(state)
	return nil
}

func checkIDs(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if err := CheckSessionID(id); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m memoryStore) Load(ctx context.Context, id string) ([]Entry, error) {
	if err := checkIDs(ctx, id, m.agent); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log, ok := m.logs[memoryKey{id, m.agent}]
	if !ok {
		return nil, ErrNotFound
	}
	return cloneEntries(log), nil
}

func (m memoryStore) Append(ctx context.Context, id string, afterSeq int64, entries ...Entry) error {
	if err := checkIDs(ctx, id, m.agent); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[memoryKey{id, m.agent}]
	if int64(len(log)) != afterSeq {
		return ErrConflict
	}
	if slices.ContainsFunc(entries, func(e Entry) bool { return e.Message == nil }) {
		log = slices.Clone(log) // older entries change
	}
	for _, e := range cloneEntries(entries) {
		e.Seq = int64(len(log)) + 1
		for i := range log {
			if e.State != nil && log[i].State != nil {
				log[i].State = new(SessionState)
			}
			if r := e.Redaction; r != nil && log[i].Seq == r.Seq && log[i].Message != nil {
				log[i].Message = new(r.Message.Clone())
			}
		}
		log = append(log, e)
	}
	if len(entries) > 0 {
		m.logs[memoryKey{id, m.agent}] = log
	}
	return nil
}

func (m memoryStore) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.Lock()
		keys := slices.Collect(maps.Keys(m.logs))
		m.mu.Unlock()
		for _, key := range keys {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if key.name == m.agent && !yield(key.id, nil) {
				return
			}
		}
	}
}

func (m memoryStore) Delete(ctx context.Context, id string) error {
	if err := checkIDs(ctx, id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	had := len(m.logs) + len(m.states)
	maps.DeleteFunc(m.logs, func(key memoryKey, _ []Entry) bool { return key.id == id })
	maps.DeleteFunc(m.states, func(key memoryKey, _ rawJSON) bool { return key.id == id })
	if len(m.logs)+len(m.states) == had {
		return ErrNotFound
	}
	return nil
}

// cloneEntries copies entries, so that the store shares nothing with its
// callers.
func cloneEntries(entries []Entry) []Entry {
	entries = slices.Clone(entries)
	for i, e := range entries {
		if e.Message != nil {
			entries[i].Message = new(e.Message.Clone())
		}
		if e.Redaction != nil {
			entries[i].Redaction = &Redaction{Seq: e.Redaction.Seq, Message: e.Redaction.Message.Clone()}
		}
		if e.State != nil {
			entries[i].State = e.State.clone()
		}
	}
	return entries
}

func (s *SessionState) clone() *SessionState {
	c := *s
	c.Values = maps.Clone(s.Values) // a value is never changed in place
	c.Summary = slices.Clone(s.Summary)
	for i, m := range c.Summary {
		c.Summary[i] = m.Clone()
	}
	if c.Pending = clonePtr(s.Pending); c.Pending != nil {
		c.Pending.Results = slices.Clone(c.Pending.Results)
		c.Pending.Interrupts = slices.Clone(c.Pending.Interrupts)
		c.Pending.Responses = slices.Clone(c.Pending.Responses)
	}
	return &c
}
