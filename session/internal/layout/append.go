package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	strands "github.com/strandsgo/strands"
)

// ErrAgain is what Medium.Write returns when a late writer left something
// where nothing was.
var ErrAgain = errors.New("something else was written here meanwhile")

// attempts bounds how often an Append makes way for late writers, of which
// each can be in the way once.
const attempts = 5

// Append adds entries: the objects of messages first, then agent.json for
// Python, and at last the log file, which makes them count.
func (l *Log) Append(ctx context.Context, afterSeq int64, entries []strands.Entry) error {
	err := l.append(ctx, afterSeq, entries, false)
	for i := 1; errors.Is(err, ErrAgain) && i < attempts; i++ {
		err = l.append(ctx, afterSeq, entries, true)
	}
	if errors.Is(err, ErrAgain) {
		return strands.ErrConflict
	}
	return err
}

func (l *Log) append(ctx context.Context, afterSeq int64, entries []strands.Entry, thorough bool) error {
	log, err := l.prepare(ctx, entries, thorough)
	if err != nil {
		return err
	}
	if log.file.Last != afterSeq {
		return strands.ErrConflict
	}
	if len(entries) == 0 {
		return nil
	}
	if log.file.Last+int64(len(entries)) > maxEntries {
		return &strands.InputError{Field: "session " + l.Session, Reason: fmt.Sprintf("is full: it has %d of %d entries; begin a new one", log.file.Last, maxEntries)}
	}
	b, err := l.batch(ctx, log, entries)
	if err != nil {
		return err
	}
	return l.write(ctx, log, b)
}

// prepare reads what must be known before entries can be added: only the log
// file as a rule, everything when Python or a killed writer was here or when a
// message must be found.
func (l *Log) prepare(ctx context.Context, entries []strands.Entry, thorough bool) (*scanned, error) {
	file, err := l.readLog(ctx)
	if err != nil {
		return nil, err
	}
	var a agentFile
	found, err := l.read(ctx, l.name(agentName), &a)
	if err != nil {
		return nil, err
	}
	if file.Last == 0 && (!found || a.Mark != nil) {
		left, _, err := l.readMessages(ctx) // by a writer that was killed in its first Append
		return &scanned{committed: file, file: file, leftBy: left}, err
	}
	more, err := l.Medium.Read(ctx, l.message(file.Next))
	if err != nil {
		return nil, err
	}
	plain := !thorough && more[0] == nil && found && a.Mark != nil
	for _, e := range entries {
		plain = plain && e.Redaction == nil && (e.State == nil || e.State.Pending == nil)
	}
	if plain {
		return &scanned{committed: file, file: file}, nil
	}
	return l.scan(ctx)
}

// batch is what one Append writes.
type batch struct {
	files map[int]messageFile // of messages that are new or replaced
	calls *strands.Message    // the last message, for Python
	state bool
}

// batch numbers the entries and brings log.file to what it will be.
func (l *Log) batch(ctx context.Context, log *scanned, entries []strands.Entry) (*batch, error) {
	b := &batch{files: map[int]messageFile{}, state: log.foreign}
	for n, m := range log.adopt {
		b.files[n] = m
	}
	if log.numbers == nil {
		log.numbers = map[int64]int{}
	}
	for _, e := range log.entries {
		if e.Message != nil {
			b.calls = e.Message
		}
	}
	f := &log.file
	for _, e := range entries {
		f.Last++
		switch {
		case e.Message != nil:
			m, err := l.newMessageFile(e, f.Last, f.Next)
			if err != nil {
				return nil, err
			}
			b.files[f.Next], log.numbers[f.Last], b.calls = m, f.Next, e.Message
			f.Messages++
			f.Next++
		case e.State != nil:
			f.State, f.StateSeq, f.StateTime, b.state = *e.State, f.Last, e.Time, true
		case e.Redaction != nil:
			note := redactionNote{Seq: f.Last, Time: e.Time, Of: e.Redaction.Seq}
			n, ok := log.numbers[note.Of]
			if !ok {
				note.Message = &e.Redaction.Message
			} else if err := l.redact(ctx, b, n, note.Of, e.Redaction.Message); err != nil {
				return nil, err
			}
			f.Redactions = append(f.Redactions, note)
		}
	}
	return b, nil
}

// redact puts m in the place of message n, and leaves nothing of it.
func (l *Log) redact(ctx context.Context, b *batch, n int, seq int64, m strands.Message) error {
	old, ok := b.files[n]
	if !ok {
		if _, err := l.read(ctx, l.message(n), &old); err != nil {
			return err
		}
	}
	when := parseTime(old.CreatedAt)
	if old.Mark != nil {
		when = old.Mark.Time
	}
	file, err := l.newMessageFile(strands.Entry{Time: when, Message: &m}, seq, n)
	file.CreatedAt, file.UpdatedAt = old.CreatedAt, formatTime(time.Now())
	b.files[n] = file
	return err
}

func (l *Log) newMessageFile(e strands.Entry, seq int64, n int) (messageFile, error) {
	p, exact := toPython(*e.Message)
	mark := &messageMark{Seq: seq, Time: e.Time, Metadata: e.Message.Metadata, Writer: l.Writer}
	if !exact {
		m := *e.Message
		m.Metadata = nil
		mark.Message = &m
	}
	if md := e.Message.Metadata; md != nil {
		raw, err := json.Marshal(map[string]any{
			"usage": map[string]int{"inputTokens": md.Usage.Input, "outputTokens": md.Usage.Output, "totalTokens": md.Usage.Total(),
				"cacheReadInputTokens": md.Usage.CacheRead, "cacheWriteInputTokens": md.Usage.CacheWrite},
			"metrics": map[string]int64{"latencyMs": time.Duration(md.Latency).Milliseconds()},
			"custom":  md.Custom,
		})
		if err != nil {
			return messageFile{}, fmt.Errorf("strands: store the metadata of a message: %w", err)
		}
		p.Metadata = raw
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return messageFile{}, fmt.Errorf("strands: store a message: %w", err)
	}
	at := formatTime(e.Time)
	return messageFile{Message: raw, ID: n, CreatedAt: at, UpdatedAt: at, Mark: mark}, nil
}

// write encodes everything before the first object is touched.
func (l *Log) write(ctx context.Context, log *scanned, b *batch) error {
	objects := map[string][]byte{}
	if log.committed.Last == 0 {
		if err := l.addSession(ctx, objects); err != nil {
			return err
		}
	}
	for n, m := range b.files {
		data, err := Encode(m)
		if err != nil {
			return err
		}
		objects[l.message(n)] = data
	}
	agent, err := l.agentFile(ctx, log, b)
	if err != nil {
		return err
	}
	log.file.Writer, log.committed.Writer = l.Writer, l.Writer
	commit, err := Encode(log.file)
	if err != nil {
		return err
	}
	claim, err := Encode(log.committed)
	if err != nil {
		return err
	}
	m := l.Medium
	if err := m.Begin(ctx, l.name(logName), claim); err != nil {
		return err
	}
	var left []string
	for _, n := range log.leftBy {
		if name := l.message(n); objects[name] == nil {
			left = append(left, name)
		}
	}
	if err := m.Remove(ctx, left); err != nil {
		return err
	}
	if err := m.Write(ctx, objects); err != nil {
		return err
	}
	if agent != nil {
		if err := m.Write(ctx, map[string][]byte{l.name(agentName): agent}); err != nil {
			return err
		}
	}
	return m.Write(ctx, map[string][]byte{l.name(logName): commit})
}

// addSession adds session.json, unless there is one.
func (l *Log) addSession(ctx context.Context, objects map[string][]byte) error {
	raw, err := l.Medium.Read(ctx, sessionName)
	if err != nil || raw[0] != nil {
		return err
	}
	name, data, err := SessionFile(l.Session)
	objects[name] = data
	return err
}

// agentFile returns what agent.json must be; nil when it need not be written.
func (l *Log) agentFile(ctx context.Context, log *scanned, b *batch) ([]byte, error) {
	var a agentFile
	var was map[string]json.RawMessage
	found, err := l.read(ctx, l.name(agentName), &was)
	if err == nil && found {
		_, err = l.read(ctx, l.name(agentName), &a)
	}
	if err != nil {
		return nil, err
	}
	if found && !b.state && a.Mark != nil && a.Mark.Seq == log.file.StateSeq {
		return nil, nil
	}
	a.ID, a.Mark = l.Agent, &agentMark{log.file.StateSeq}
	if err := a.put(log.file.State, b.calls); err != nil {
		return nil, err
	}
	return a.encode(was, time.Now())
}
