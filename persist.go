package strands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"
)

// sessionLog is what a session knows about its log in the store.
type sessionLog struct {
	writing sync.Mutex // one Append at a time

	// The rest is guarded by Session.mu.
	last         int64 // Seq of the last entry written
	count        int   // messages in the log and in unsaved
	unsaved      []unsaved
	touched      bool // there was a run: a session that was only made is not stored
	stateChanged bool
	stateVersion int
	dropped      int       // of the log's messages, from the front
	summary      []Message // stand in for the dropped ones
}

// unsaved is an entry that is not in the store yet: message number n, or a
// redaction.
type unsaved struct {
	n         int
	msg       Message
	redaction *Redaction
}

var sessionID = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

// CheckSessionID says whether id is one that a Store takes: an *InputError
// otherwise.
func CheckSessionID(id string) error {
	if !sessionID.MatchString(id) {
		return &InputError{Field: "session id", Reason: fmt.Sprintf("%q must be 1 to 128 of letters, digits, '-', '_' and '.', which is not first", id)}
	}
	return nil
}

// append adds m to the history, and to what must be stored.
func (s *Session) append(m Message) {
	s.log.count++
	s.records = append(s.records, record{msg: m, n: s.log.count})
	if s.agent.cfg.Store != nil {
		s.log.unsaved = append(s.log.unsaved, unsaved{n: s.log.count, msg: m})
	}
}

// store writes what is not stored yet. It is called only when the calls of the
// last message have their results, or questions that they wait for: then the
// log never ends with calls that nothing answers.
func (s *Session) store(ctx context.Context) error {
	to := s.agent.cfg.Store
	if to == nil {
		return nil
	}
	s.log.writing.Lock()
	defer s.log.writing.Unlock()
	s.mu.Lock()
	entries, taken := s.entries()
	after, version := s.log.last, s.log.stateVersion
	s.mu.Unlock()
	if len(entries) == 0 {
		return nil
	}
	if err := to.Append(ctx, s.id, after, entries...); err != nil {
		return fmt.Errorf("strands: store session %s: %w", s.id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.last += int64(len(entries))
	for i, u := range s.log.unsaved[:taken] {
		for j := len(s.records) - 1; j >= 0; j-- {
			if u.n > 0 && s.records[j].n == u.n {
				s.records[j].seq = after + int64(i) + 1
				break
			}
		}
	}
	s.log.unsaved = slices.Delete(s.log.unsaved, 0, taken)
	if s.log.stateVersion == version {
		s.log.stateChanged = false
	}
	return nil
}

// entries returns what to write, and how many of s.log.unsaved are in it.
func (s *Session) entries() ([]Entry, int) {
	l := &s.log
	if !l.touched {
		return nil, 0
	}
	now := time.Now().UTC()
	var entries []Entry
	for _, u := range l.unsaved {
		e := Entry{Time: now, Redaction: u.redaction}
		if u.redaction == nil {
			e.Message = new(u.msg)
		}
		entries = append(entries, e)
	}
	if l.stateChanged {
		entries = append(entries, Entry{Time: now, State: &SessionState{
			Values: maps.Clone(s.values), Dropped: l.dropped, Summary: l.summary, Pending: clonePtr(s.pending),
		}})
	}
	return entries, len(l.unsaved)
}

// redact replaces the user's last message by text. Results of tools stay
// results, so that their calls are answered.
func (s *Session) redact(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, rec := range slices.Backward(s.records) {
		if rec.msg.Role != User {
			continue
		}
		m := UserMessage()
		for _, res := range rec.msg.ToolResults() {
			m.Parts = append(m.Parts, Part{ToolResult: &ToolResult{CallID: res.CallID, IsError: res.IsError, Parts: []Part{Text(text)}}})
		}
		if len(m.Parts) == 0 {
			m.Parts = []Part{Text(text)}
		}
		s.records[i].msg = m
		s.redactStored(rec, m)
		return
	}
}

func (s *Session) redactStored(rec record, m Message) {
	if s.agent.cfg.Store == nil {
		return
	}
	for i, u := range s.log.unsaved {
		if rec.n > 0 && u.n == rec.n {
			s.log.unsaved[i].msg = m
			return
		}
	}
	if rec.seq > 0 {
		s.log.unsaved = append(s.log.unsaved, unsaved{redaction: &Redaction{Seq: rec.seq, Message: m}})
		return
	}
	for i, old := range s.log.summary {
		if sameMessage(old, rec.msg) {
			s.log.summary = slices.Clone(s.log.summary)
			s.log.summary[i] = m
			s.changed()
		}
	}
}

// changed notes that the state must be stored.
func (s *Session) changed() {
	s.log.stateChanged = true
	s.log.stateVersion++
}

// Restore brings the conversation with that id back from Config.Store, with
// broken pairs of tool calls and results repaired; a missing one is
// ErrNotFound. NewSessionID begins one under a chosen id.
func (a *Agent) Restore(ctx context.Context, id string) (*Session, error) {
	if a.cfg.Store == nil {
		return nil, &InputError{Field: "Config.Store", Reason: "is needed to restore a session"}
	}
	if err := CheckSessionID(id); err != nil {
		return nil, err
	}
	entries, err := a.cfg.Store.Load(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("strands: restore session %s: %w", id, err)
	}
	s := a.newSession(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.replay(entries); err != nil {
		return nil, errors.Join(fmt.Errorf("strands: restore session %s: %w", id, err), s.life.close())
	}
	return s, nil
}

// replay makes the session what entries say.
func (s *Session) replay(entries []Entry) error {
	s.records, s.log.unsaved, s.log.count = nil, nil, 0
	var state SessionState
	for _, e := range entries {
		switch {
		case e.Seq != s.log.last+1:
			return fmt.Errorf("entry %d follows entry %d", e.Seq, s.log.last)
		case e.Message != nil:
			s.log.count++
			s.records = append(s.records, record{msg: *e.Message, seq: e.Seq, n: s.log.count})
		case e.State != nil:
			state = *e.State
		case e.Redaction != nil:
			for i := range s.records {
				if s.records[i].seq == e.Redaction.Seq {
					s.records[i].msg = e.Redaction.Message
				}
			}
		}
		s.log.last = e.Seq
	}
	for _, rec := range s.records {
		if role := rec.msg.Role; role != User && role != Assistant {
			return &InputError{Field: fmt.Sprintf("entry %d", rec.seq), Reason: fmt.Sprintf("the role %q is not one of a conversation's", role)}
		}
	}
	if state.Dropped < 0 || state.Dropped > len(s.records) {
		return fmt.Errorf("%d messages are dropped of %d", state.Dropped, len(s.records))
	}
	s.log.touched = true
	s.log.dropped, s.log.summary, s.uncounted = state.Dropped, state.Summary, state.Dropped
	records := make([]record, 0, len(state.Summary)+len(s.records))
	for _, m := range state.Summary {
		records = append(records, record{msg: m})
	}
	s.records = repair(append(records, s.records[state.Dropped:]...))
	s.values = maps.Clone(s.agent.values) // a plugin may be newer than the session
	if s.values == nil {
		s.values = map[string]rawJSON{}
	}
	maps.Copy(s.values, state.Values)
	if state.Pending != nil && len(openCalls(s.records)) > 0 {
		s.pending = state.Pending
	}
	return nil
}
