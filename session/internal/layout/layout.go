// Package layout keeps the logs of a session as the Python SDK's session
// managers do: a JSON object for each message, one for the agent and one for
// the session. Where the objects lie is a Medium's matter, so that a folder and
// a bucket hold the same.
//
// What the SDK has no room for is under the key "strands_go", and in an object
// strands_go.json beside each agent.json. Writing that one is what commits an
// Append: messages with its next number or a higher one, that have our mark,
// were left by a writer that did not come so far.
package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
)

// A Medium holds the objects of one session for one operation. Names are
// relative to the session, with slashes.
type Medium interface {
	// Read returns objects; nil in place of one that is missing.
	Read(ctx context.Context, names ...string) ([][]byte, error)
	// List returns the names of what is directly in a folder, without the
	// folder's; none when it is missing.
	List(ctx context.Context, folder string) ([]string, error)
	// Begin comes after all Reads and before the first Write. Where no lock
	// keeps other writers away it puts claim in place of the object named, which
	// makes what they do afterwards fail, and fails with strands.ErrConflict when
	// another was faster.
	Begin(ctx context.Context, name string, claim []byte) error
	// Write puts an object in place of what was read, or of nothing, whole or not
	// at all, all of them in any order. They survive a crash when it returns. ErrAgain
	// says that something was in the way which a new attempt would see.
	Write(ctx context.Context, objects map[string][]byte) error
	// Remove removes objects that were read.
	Remove(ctx context.Context, names []string) error
	// Broken makes an error of what is wrong with an object.
	Broken(name string, err error) error
}

// Log is the log of one agent of a session.
type Log struct {
	Session string // id
	Agent   string // id; "" = see Find
	Medium  Medium
	Writer  string // marks what this operation writes, where others may write at once; "" = nobody else can
}

// Find names the agent when none is named: "default", or the only one of the
// session when it has another.
func (l *Log) Find(ctx context.Context) error {
	if l.Agent != "" {
		return nil
	}
	names, err := l.Medium.List(ctx, "agents")
	if err != nil {
		return err
	}
	var ids []string
	for _, n := range names {
		if id, ok := strings.CutPrefix(n, "agent_"); ok {
			ids = append(ids, id)
		}
	}
	switch {
	case len(ids) == 0 || slices.Contains(ids, "default"):
		l.Agent = "default"
	case len(ids) == 1:
		l.Agent = ids[0]
	default:
		slices.Sort(ids)
		return &strands.InputError{Field: "Agent", Reason: fmt.Sprintf("must name one of the agents of session %s: %s", l.Session, strings.Join(ids, ", "))}
	}
	return nil
}

const (
	sessionName = "session.json"
	agentName   = "agent.json"
	logName     = "strands_go.json"
)

func (l *Log) name(parts ...string) string {
	return path.Join(append([]string{"agents", "agent_" + l.Agent}, parts...)...)
}

func (l *Log) message(n int) string { return l.name("messages", fmt.Sprintf("message_%d.json", n)) }

// StateName is where the SDK keeps the state of a multi-agent of that id.
func StateName(id string) string { return "multi_agents/multi_agent_" + id + "/multi_agent.json" }

// Exists says whether there is a log: one of Go that was committed, or one of
// Python.
func (l *Log) Exists(ctx context.Context) (bool, error) {
	file, err := l.readLog(ctx)
	if err != nil || file.Last > 0 {
		return err == nil, err
	}
	var a agentFile
	found, err := l.read(ctx, l.name(agentName), &a)
	return found && err == nil && a.Mark == nil, err
}

// Load returns the entries; strands.ErrNotFound when there is no log.
func (l *Log) Load(ctx context.Context) ([]strands.Entry, error) {
	if ok, err := l.Exists(ctx); err != nil || !ok {
		if err == nil {
			err = strands.ErrNotFound
		}
		return nil, err
	}
	log, err := l.scan(ctx)
	if err != nil {
		return nil, err
	}
	return log.entries, nil
}

// read decodes the object of that name, if there is one.
func (l *Log) read(ctx context.Context, name string, v any) (bool, error) {
	raw, err := l.Medium.Read(ctx, name)
	if err != nil || raw[0] == nil {
		return false, err
	}
	return true, l.decode(name, raw[0], v)
}

func (l *Log) decode(name string, raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return l.Medium.Broken(name, err)
	}
	return nil
}

// Encode writes JSON as the Python SDK does: indented, nothing escaped that
// need not be.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("strands: write session: %w", err)
	}
	return b.Bytes(), nil
}

// SessionFile returns what the SDK wants to find of a new session, and under
// which name.
func SessionFile(id string) (name string, data []byte, err error) {
	now := formatTime(time.Now())
	data, err = Encode(sessionFile{id, "AGENT", now, now})
	return sessionName, data, err
}

// The SDK's times have microseconds and an offset.
const pyTime = "2006-01-02T15:04:05.000000-07:00"

func formatTime(t time.Time) string { return t.UTC().Format(pyTime) }

// parseTime reads a time of the SDK; one that cannot be read is zero, since
// nothing depends on it.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
