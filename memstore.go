package strands

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
)

// NewMemoryStore makes a Store that keeps sessions in memory, for tests and
// for programs that restore sessions while they run.
func NewMemoryStore() Store { return &memoryStore{logs: map[string][]Entry{}} }

type memoryStore struct {
	mu   sync.Mutex
	logs map[string][]Entry
}

func (m *memoryStore) Load(ctx context.Context, id string) ([]Entry, error) {
	if err := CheckSessionID(id); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log, ok := m.logs[id]
	if !ok {
		return nil, ErrNotFound
	}
	return cloneEntries(log), ctx.Err()
}

func (m *memoryStore) Append(ctx context.Context, id string, afterSeq int64, entries ...Entry) error {
	if err := CheckSessionID(id); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[id]
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
		m.logs[id] = log
	}
	return nil
}

func (m *memoryStore) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.Lock()
		ids := slices.Collect(maps.Keys(m.logs))
		m.mu.Unlock()
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if !yield(id, nil) {
				return
			}
		}
	}
}

func (m *memoryStore) Delete(ctx context.Context, id string) error {
	if err := CheckSessionID(id); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.logs[id]; !ok {
		return ErrNotFound
	}
	delete(m.logs, id)
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
