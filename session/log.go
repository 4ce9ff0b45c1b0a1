package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
)

// sessionFile is session.json.
type sessionFile struct {
	ID        string `json:"session_id"`
	Type      string `json:"session_type"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

// messageFile is message_<n>.json.
type messageFile struct {
	Message   json.RawMessage `json:"message"`
	ID        int             `json:"message_id"`
	Redacted  json.RawMessage `json:"redact_message"`
	CreatedAt string          `json:"created_at"`
	UpdatedAt string          `json:"updated_at"`
	Mark      *messageMark    `json:"strands_go,omitempty"`
}

// messageMark is what the SDK has no room for.
type messageMark struct {
	Seq      int64             `json:"seq"`
	Time     time.Time         `json:"time"`
	Metadata *strands.Metadata `json:"metadata,omitempty"`
	Message  *strands.Message  `json:"message,omitempty"` // when the SDK's form is not all of it
}

// logFile is strands_go.json. Writing it is what commits an Append: messages
// with higher numbers than Last were left by a writer that was killed.
type logFile struct {
	Version    int                  `json:"version"`
	Last       int64                `json:"last"`
	Messages   int                  `json:"messages"` // how many files
	Next       int                  `json:"next"`     // number of the next one
	StateSeq   int64                `json:"stateSeq,omitempty"`
	StateTime  time.Time            `json:"stateTime,omitzero"`
	State      strands.SessionState `json:"state,omitzero"`
	Redactions []redactionNote      `json:"redactions,omitempty"`
}

type redactionNote struct {
	Seq     int64            `json:"seq"`
	Time    time.Time        `json:"time"`
	Of      int64            `json:"of"`
	Message *strands.Message `json:"message,omitempty"` // when Of is no message
}

// diskLog is a session as it was read.
type diskLog struct {
	entries []strands.Entry
	file    logFile // adapted to what Python did
	adopt   map[int]messageFile
	leftBy  []int // numbers of messages that were never committed
	numbers map[int64]int
	foreign bool // Python changed something
}

func (at *folder) readLog() (logFile, error) {
	var l logFile
	err := readJSON(at.path("strands_go.json"), &l)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return logFile{Version: 1}, nil
	case err == nil && l.Version != 1:
		err = &FileError{at.path("strands_go.json"), fmt.Errorf("version %d is not known here", l.Version)}
	}
	return l, err
}

// scan reads the whole log. What Python added is numbered after what is there.
func (at *folder) scan() (*diskLog, error) {
	var s sessionFile
	if err := readJSON(at.sessionPath(), &s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = &FileError{at.sessionPath(), err}
		}
		return nil, err
	}
	if s.ID != at.id {
		return nil, &FileError{at.sessionPath(), fmt.Errorf("it is of session %q", s.ID)}
	}
	file, err := at.readLog()
	if err != nil {
		return nil, err
	}
	log := &diskLog{file: file, adopt: map[int]messageFile{}, numbers: map[int64]int{}}
	found, err := at.scanMessages(log)
	if err != nil {
		return nil, err
	}
	if err := at.scanState(log); err != nil {
		return nil, err
	}
	log.fill(found)
	return log, nil
}

// scanMessages returns the messages by their numbers in the log.
func (at *folder) scanMessages(log *diskLog) (map[int64]strands.Entry, error) {
	numbers, err := at.messageNumbers()
	if err != nil {
		return nil, err
	}
	files := map[int]messageFile{}
	lastForeign := -1
	for _, n := range numbers {
		var m messageFile
		if err := readJSON(at.message(n), &m); err != nil {
			return nil, err
		}
		if m.Mark == nil {
			lastForeign = n
		}
		files[n] = m
	}
	found := map[int64]strands.Entry{}
	committed, rewritten := log.file, 0
	var prev int64
	for _, n := range numbers {
		m := files[n]
		uncommitted := m.Mark != nil && m.Mark.Seq > committed.Last
		if uncommitted && n > lastForeign {
			log.leftBy = append(log.leftBy, n)
			continue
		}
		e, err := m.entry()
		if err != nil {
			return nil, &FileError{at.message(n), err}
		}
		switch {
		case n >= committed.Next: // Python's
			log.file.Last++
			log.file.Messages++
			log.file.Next = n + 1
			e.Seq, log.foreign = log.file.Last, true
		case m.Mark == nil: // ours, and Python wrote it again
			e.Seq, log.foreign = prev+1, true
			rewritten++
		default:
			e.Seq = m.Mark.Seq
		}
		if e.Seq <= prev {
			return nil, &FileError{at.message(n), fmt.Errorf("entry %d follows entry %d", e.Seq, prev)}
		}
		if m.Mark == nil || m.Mark.Seq != e.Seq {
			m.Mark = &messageMark{Seq: e.Seq, Time: e.Time, Metadata: e.Message.Metadata}
			log.adopt[n] = m
		}
		prev, log.numbers[e.Seq], found[e.Seq] = e.Seq, n, e
	}
	if missing := log.file.Messages - len(found); missing != 0 {
		return nil, &FileError{at.path("messages"), fmt.Errorf("%d of its %d messages are missing", missing, log.file.Messages)}
	}
	if rewritten > 0 && log.file.Last == committed.Last {
		log.file.Last++ // so that whoever has the old text meets a conflict
		log.file.StateSeq, log.file.StateTime = log.file.Last, time.Time{}
	}
	return found, nil
}

func (at *folder) messageNumbers() ([]int, error) {
	names, err := os.ReadDir(at.path("messages"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("strands: read session %s: %w", at.id, err)
	}
	var numbers []int
	for _, name := range names {
		s, ok := strings.CutPrefix(name.Name(), "message_")
		s, json := strings.CutSuffix(s, ".json")
		if !ok || !json {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, &FileError{at.path("messages", name.Name()), errors.New("its name has no number")}
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (m *messageFile) entry() (strands.Entry, error) {
	raw, redacted := m.Message, len(m.Redacted) > 0 && string(m.Redacted) != "null"
	if redacted {
		raw = m.Redacted
	}
	msg, err := fromPython(raw)
	if err != nil {
		return strands.Entry{}, err
	}
	e := strands.Entry{Time: parseTime(m.CreatedAt), Message: &msg}
	if m.Mark == nil || redacted {
		return e, nil
	}
	e.Time = m.Mark.Time
	if m.Mark.Message != nil {
		e.Message = m.Mark.Message
	}
	e.Message.Metadata = m.Mark.Metadata
	return e, nil
}

// scanState takes over the state that Python left in agent.json.
func (at *folder) scanState(log *diskLog) error {
	var a agentFile
	err := readJSON(at.path("agent.json"), &a)
	if errors.Is(err, fs.ErrNotExist) || err == nil && a.Mark != nil {
		return nil
	}
	if err != nil {
		return err
	}
	log.foreign = true
	state, changed, err := changedState(&a, log.file.State)
	if err != nil {
		return &FileError{at.path("agent.json"), err}
	}
	if changed {
		log.file.Last++
		log.file.State, log.file.StateSeq, log.file.StateTime = state, log.file.Last, parseTime(a.UpdatedAt)
	}
	return nil
}

// fill makes the entries of the messages and of what the log file says. What
// is neither was a state that another replaced.
func (log *diskLog) fill(found map[int64]strands.Entry) {
	for seq := int64(1); seq <= log.file.Last; seq++ {
		e, ok := found[seq]
		if !ok {
			e = strands.Entry{Seq: seq, State: new(strands.SessionState)}
		}
		if seq == log.file.StateSeq {
			e.Time, e.State = log.file.StateTime, &log.file.State
		}
		log.entries = append(log.entries, e)
	}
	for _, note := range log.file.Redactions {
		r := strands.Redaction{Seq: note.Of}
		if note.Message != nil {
			r.Message = *note.Message
		} else if e, ok := found[note.Of]; ok {
			r.Message = *e.Message
			r.Message.Metadata = nil
		}
		if 0 < note.Seq && note.Seq <= log.file.Last {
			log.entries[note.Seq-1] = strands.Entry{Seq: note.Seq, Time: note.Time, Redaction: &r}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
