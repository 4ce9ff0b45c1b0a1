package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	Writer   string            `json:"writer,omitempty"`  // makes the file differ from what others would write
}

// logFile is strands_go.json.
type logFile struct {
	Version    int                  `json:"version"`
	Last       int64                `json:"last"`
	Messages   int                  `json:"messages"` // how many files
	Next       int                  `json:"next"`     // number of the next one
	StateSeq   int64                `json:"stateSeq,omitempty"`
	StateTime  time.Time            `json:"stateTime,omitzero"`
	State      strands.SessionState `json:"state,omitzero"`
	Redactions []redactionNote      `json:"redactions,omitempty"`
	Writer     string               `json:"writer,omitempty"` // who wrote it, or is about to
}

type redactionNote struct {
	Seq     int64            `json:"seq"`
	Time    time.Time        `json:"time"`
	Of      int64            `json:"of"`
	Message *strands.Message `json:"message,omitempty"` // when Of is no message
}

// maxEntries bounds a log, so that a broken count is not taken for a number of
// entries to make.
const maxEntries = 1 << 20

// scanned is a session as it was read.
type scanned struct {
	entries   []strands.Entry
	committed logFile // as it was read
	file      logFile // adapted to what Python did
	adopt     map[int]messageFile
	leftBy    []int // numbers of messages that were never committed
	numbers   map[int64]int
	foreign   bool // Python changed something
}

func (l *Log) readLog(ctx context.Context) (logFile, error) {
	file := logFile{Version: 1}
	if _, err := l.read(ctx, l.name(logName), &file); err != nil {
		return file, err
	}
	if file.Version != 1 {
		return file, l.Medium.Broken(l.name(logName), fmt.Errorf("version %d is not known here", file.Version))
	}
	if file.Last < 0 || file.Last > maxEntries || file.Messages < 0 || file.Next < 0 {
		return file, l.Medium.Broken(l.name(logName), errors.New("its counts cannot be"))
	}
	file.Writer = ""
	return file, nil
}

// scan reads the whole log. What Python added is numbered after what is there.
func (l *Log) scan(ctx context.Context) (*scanned, error) {
	file, err := l.readLog(ctx)
	if err != nil {
		return nil, err
	}
	var s sessionFile
	found, err := l.read(ctx, sessionName, &s)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, l.Medium.Broken(sessionName, errors.New("it is missing"))
	case s.ID != l.Session:
		return nil, l.Medium.Broken(sessionName, fmt.Errorf("it is of session %q", s.ID))
	}
	log := &scanned{committed: file, file: file, adopt: map[int]messageFile{}, numbers: map[int64]int{}}
	entries, err := l.scanMessages(ctx, log)
	if err != nil {
		return nil, err
	}
	if err := l.scanState(ctx, log); err != nil {
		return nil, err
	}
	log.fill(entries)
	return log, nil
}

// scanMessages returns the messages by their numbers in the log.
func (l *Log) scanMessages(ctx context.Context, log *scanned) (map[int64]strands.Entry, error) {
	numbers, files, err := l.readMessages(ctx)
	if err != nil {
		return nil, err
	}
	lastForeign := -1
	for _, n := range numbers {
		if files[n].Mark == nil {
			lastForeign = n
		}
	}
	found := map[int64]strands.Entry{}
	rewritten := 0
	var prev int64
	for _, n := range numbers {
		m, isNew := files[n], n >= log.committed.Next
		if isNew && m.Mark != nil && n > lastForeign { // else Python has seen it, and took it for one
			log.leftBy = append(log.leftBy, n)
			continue
		}
		e, err := m.entry()
		if err != nil {
			return nil, l.Medium.Broken(l.message(n), err)
		}
		switch {
		case isNew: // Python's
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
			return nil, l.Medium.Broken(l.message(n), fmt.Errorf("entry %d follows entry %d", e.Seq, prev))
		}
		if m.Mark == nil || m.Mark.Seq != e.Seq {
			m.Mark = &messageMark{Seq: e.Seq, Time: e.Time, Metadata: e.Message.Metadata}
			log.adopt[n] = m
		}
		prev, log.numbers[e.Seq], found[e.Seq] = e.Seq, n, e
	}
	if missing := log.file.Messages - len(found); missing != 0 {
		return nil, l.Medium.Broken(l.name("messages"), fmt.Errorf("%d of its %d messages are missing", missing, log.file.Messages))
	}
	if rewritten > 0 && log.file.Last == log.committed.Last {
		log.file.Last++ // so that whoever has the old text meets a conflict
		log.file.StateSeq, log.file.StateTime = log.file.Last, time.Time{}
	}
	return found, nil
}

// readMessages returns the files of the messages, and their numbers in order.
func (l *Log) readMessages(ctx context.Context) ([]int, map[int]messageFile, error) {
	numbers, err := l.messageNumbers(ctx)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = l.message(n)
	}
	raws, err := l.Medium.Read(ctx, names...)
	if err != nil {
		return nil, nil, err
	}
	files := make(map[int]messageFile, len(numbers))
	for i, n := range numbers {
		var m messageFile
		if raws[i] == nil {
			continue // removed meanwhile; one that belongs to the log will be missed
		}
		if err := l.decode(names[i], raws[i], &m); err != nil {
			return nil, nil, err
		}
		files[n] = m
	}
	return slices.DeleteFunc(numbers, func(n int) bool { _, ok := files[n]; return !ok }), files, nil
}

func (l *Log) messageNumbers(ctx context.Context) ([]int, error) {
	names, err := l.Medium.List(ctx, l.name("messages"))
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, name := range names {
		s, ok := strings.CutPrefix(name, "message_")
		s, json := strings.CutSuffix(s, ".json")
		if !ok || !json {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, l.Medium.Broken(l.name("messages", name), errors.New("its name has no number"))
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
func (l *Log) scanState(ctx context.Context, log *scanned) error {
	var a agentFile
	found, err := l.read(ctx, l.name(agentName), &a)
	if err != nil || !found || a.Mark != nil {
		return err
	}
	log.foreign = true
	state, changed, err := changedState(&a, log.file.State)
	if err != nil {
		return l.Medium.Broken(l.name(agentName), err)
	}
	if changed {
		log.file.Last++
		log.file.State, log.file.StateSeq, log.file.StateTime = state, log.file.Last, parseTime(a.UpdatedAt)
	}
	return nil
}

// fill makes the entries of the messages and of what the log file says. What
// is neither was a state that another replaced.
func (log *scanned) fill(found map[int64]strands.Entry) {
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
