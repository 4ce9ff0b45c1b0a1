package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	strands "github.com/strandsgo/strands"
)

func (at *folder) sessionPath() string { return filepath.Join(at.session, "session.json") }

// append adds entries: the files of messages first, then agent.json for
// Python, and at last the log file, which makes them count.
func (at *folder) append(afterSeq int64, entries []strands.Entry) error {
	log, err := at.prepare(entries)
	if err != nil {
		return err
	}
	if log.file.Last != afterSeq {
		return strands.ErrConflict
	}
	if len(entries) == 0 {
		return nil
	}
	b, err := at.batch(log, entries)
	if err != nil {
		return err
	}
	if err := at.write(log, b); err != nil {
		return fmt.Errorf("strands: write session %s: %w", at.id, err)
	}
	return nil
}

// prepare reads what must be known before entries can be added: only the log
// file as a rule, everything when Python or a killed writer was here or when a
// message must be found.
func (at *folder) prepare(entries []strands.Entry) (*diskLog, error) {
	err := at.written()
	if errors.Is(err, strands.ErrNotFound) {
		left, err := at.messageNumbers() // by a writer that was killed in its first Append
		return &diskLog{file: logFile{Version: 1}, leftBy: left}, err
	}
	if err != nil {
		return nil, err
	}
	file, err := at.readLog()
	if err != nil {
		return nil, err
	}
	var a agentFile
	if err := readJSON(at.path("agent.json"), &a); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	more, err := exists(at.message(file.Next))
	if err != nil {
		return nil, err
	}
	plain := true
	for _, e := range entries {
		plain = plain && e.Redaction == nil && (e.State == nil || e.State.Pending == nil)
	}
	if plain && !more && a.Mark != nil {
		return &diskLog{file: file}, nil
	}
	return at.scan()
}

// batch is what one Append writes.
type batch struct {
	files map[int]messageFile // of messages that are new or replaced
	calls *strands.Message    // the last message, for Python
	state bool
}

// batch numbers the entries and brings log.file to what it will be.
func (at *folder) batch(log *diskLog, entries []strands.Entry) (*batch, error) {
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
	l := &log.file
	for _, e := range entries {
		l.Last++
		switch {
		case e.Message != nil:
			m, err := newMessageFile(e, l.Last, l.Next)
			if err != nil {
				return nil, err
			}
			b.files[l.Next], log.numbers[l.Last], b.calls = m, l.Next, e.Message
			l.Messages++
			l.Next++
		case e.State != nil:
			l.State, l.StateSeq, l.StateTime, b.state = *e.State, l.Last, e.Time, true
		case e.Redaction != nil:
			note := redactionNote{Seq: l.Last, Time: e.Time, Of: e.Redaction.Seq}
			n, ok := log.numbers[note.Of]
			if !ok {
				note.Message = &e.Redaction.Message
			} else if err := at.redact(b, n, note.Of, e.Redaction.Message); err != nil {
				return nil, err
			}
			l.Redactions = append(l.Redactions, note)
		}
	}
	return b, nil
}

// redact puts m in the place of message n, and leaves nothing of it.
func (at *folder) redact(b *batch, n int, seq int64, m strands.Message) error {
	old, ok := b.files[n]
	if !ok {
		if err := readJSON(at.message(n), &old); err != nil {
			return err
		}
	}
	when := parseTime(old.CreatedAt)
	if old.Mark != nil {
		when = old.Mark.Time
	}
	file, err := newMessageFile(strands.Entry{Time: when, Message: &m}, seq, n)
	file.CreatedAt, file.UpdatedAt = old.CreatedAt, formatTime(time.Now())
	b.files[n] = file
	return err
}

func newMessageFile(e strands.Entry, seq int64, n int) (messageFile, error) {
	p, exact := toPython(*e.Message)
	mark := &messageMark{Seq: seq, Time: e.Time, Metadata: e.Message.Metadata}
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

// write encodes everything before the first file is touched.
func (at *folder) write(log *diskLog, b *batch) error {
	data := map[int][]byte{}
	for n, m := range b.files {
		var err error
		if data[n], err = encode(m); err != nil {
			return err
		}
	}
	commit, err := encode(log.file)
	if err != nil {
		return err
	}
	agent, err := at.agentFile(log, b)
	if err != nil {
		return err
	}
	if err := at.begin(); err != nil {
		return err
	}
	for _, n := range log.leftBy {
		if err := os.Remove(at.message(n)); err != nil {
			return err
		}
	}
	for n, d := range data {
		if err := writeFile(at.agDir, at.message(n), d); err != nil {
			return err
		}
	}
	if err := syncDir(at.path("messages")); err != nil {
		return err
	}
	if agent != nil {
		if err := writeFile(at.agDir, at.path("agent.json"), agent); err != nil {
			return err
		}
		if err := syncDir(at.agDir); err != nil {
			return err
		}
	}
	if err := writeFile(at.agDir, at.path("strands_go.json"), commit); err != nil {
		return err
	}
	return syncDir(at.agDir)
}

// begin makes what a session needs before its first message, and removes what
// a killed writer left.
func (at *folder) begin() error {
	if err := makeDir(at.path("messages")); err != nil {
		return err
	}
	if err := makeDir(filepath.Join(at.session, "multi_agents")); err != nil {
		return err
	}
	if err := sweep(at.agDir); err != nil {
		return err
	}
	if ok, err := exists(at.sessionPath()); ok || err != nil {
		return err
	}
	now := formatTime(time.Now())
	data, err := encode(sessionFile{at.id, "AGENT", now, now})
	if err != nil {
		return err
	}
	if err := writeFile(at.agDir, at.sessionPath(), data); err != nil {
		return err
	}
	return syncDir(at.session)
}

// agentFile returns what agent.json must be; nil when it need not be written.
func (at *folder) agentFile(log *diskLog, b *batch) ([]byte, error) {
	var a agentFile
	var was map[string]json.RawMessage
	err := readJSON(at.path("agent.json"), &was)
	if err == nil {
		err = readJSON(at.path("agent.json"), &a)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && !b.state && a.Mark != nil && a.Mark.Seq == log.file.StateSeq {
		return nil, nil
	}
	a.ID, a.Mark = at.agent, &agentMark{log.file.StateSeq}
	if err := a.put(log.file.State, b.calls); err != nil {
		return nil, err
	}
	return a.encode(was, time.Now())
}
