// Package session keeps sessions on disk.
package session

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	strands "github.com/strandsgo/strands"
)

// Files is a strands.Store on disk, in the layout of the Python SDK's
// FileSessionManager: what either writes the other can load. Go and Python may
// take turns with a session; they must not have it open at the same time,
// since Python takes no lock. Processes and goroutines of Go may.
//
// What the layout has no room for is under the key "strands_go", and in a file
// strands_go.json beside each agent.json; Python passes over both. A session
// with a broken file is a *FileError.
type Files struct {
	// Dir holds the sessions; it is made when it is missing. "" is
	// ~/.strands/sessions, as in Python. It must be a local file system: locks
	// are advisory file locks.
	Dir string
	// Agent is the id of the agent whose messages a session is. "" is the only
	// one of the session, or "default" when it has none.
	Agent string
}

var _ strands.Store = Files{}

// Load implements strands.Store.
func (f Files) Load(ctx context.Context, id string) ([]strands.Entry, error) {
	at, unlock, err := f.open(ctx, id, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	log, err := at.scan()
	if err != nil {
		return nil, err
	}
	return log.entries, nil
}

// Append implements strands.Store. What it has written when it fails half-way
// is not part of the log, except that a message may be redacted already.
func (f Files) Append(ctx context.Context, id string, afterSeq int64, entries ...strands.Entry) error {
	at, unlock, err := f.open(ctx, id, true)
	if errors.Is(err, strands.ErrNotFound) && afterSeq != 0 {
		return strands.ErrConflict
	}
	if err != nil {
		return err
	}
	defer unlock()
	return at.append(afterSeq, entries)
}

// List implements strands.Store. Sessions with ids that a Store does not take
// are passed over.
func (f Files) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		dir, err := f.dir()
		if err != nil {
			yield("", err)
			return
		}
		names, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield("", fmt.Errorf("strands: list sessions: %w", err))
			return
		}
		for _, n := range names {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			id, ok := strings.CutPrefix(n.Name(), "session_")
			if !ok || strands.CheckSessionID(id) != nil {
				continue
			}
			_, unlock, err := f.open(ctx, id, false)
			if errors.Is(err, strands.ErrNotFound) {
				continue
			}
			if err == nil {
				unlock()
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// Delete implements strands.Store. All agents of the session go.
func (f Files) Delete(ctx context.Context, id string) error {
	if err := strands.CheckSessionID(id); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := f.dir()
	if err != nil {
		return err
	}
	session := filepath.Join(dir, "session_"+id)
	if ok, err := exists(session); err != nil || !ok {
		if err == nil {
			err = strands.ErrNotFound
		}
		return err
	}
	unlock, err := lock(ctx, dir, id, true)
	if err != nil {
		return err
	}
	defer unlock()
	trash, err := os.MkdirTemp(dir, ".deleted_*")
	if err != nil {
		return fmt.Errorf("strands: delete session %s: %w", id, err)
	}
	err = os.Rename(session, filepath.Join(trash, "session")) // all of it, or nothing
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(strands.ErrNotFound, os.Remove(trash))
	}
	return errors.Join(err, syncDir(dir), os.RemoveAll(trash))
}

func (f Files) dir() (string, error) {
	if f.Dir != "" {
		return f.Dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &strands.InputError{Field: "Files.Dir", Reason: "must be set: there is no home folder"}
	}
	return filepath.Join(home, ".strands", "sessions"), nil
}

// open locks a session and finds the folder of its agent. For a reader a
// session that was never wholly written is ErrNotFound.
func (f Files) open(ctx context.Context, id string, write bool) (at folder, unlock func(), err error) {
	if err := strands.CheckSessionID(id); err != nil {
		return at, nil, err
	}
	if err := ctx.Err(); err != nil {
		return at, nil, err
	}
	if f.Agent != "" && f.Agent != filepath.Base(f.Agent) {
		return at, nil, &strands.InputError{Field: "Files.Agent", Reason: fmt.Sprintf("%q must have no path separator", f.Agent)}
	}
	dir, err := f.dir()
	if err != nil {
		return at, nil, err
	}
	at = folder{id: id, session: filepath.Join(dir, "session_"+id)}
	if ok, err := exists(at.session); err != nil || !ok && !write {
		if err == nil {
			err = strands.ErrNotFound
		}
		return at, nil, err
	}
	unlock, err = lock(ctx, dir, id, write)
	if err != nil {
		return at, nil, err
	}
	if err = at.find(f.Agent); err == nil && !write {
		err = at.written()
	}
	if err != nil {
		unlock()
		return at, nil, err
	}
	return at, unlock, nil
}

// lock keeps other processes, and other goroutines, from session id. The lock
// files are a few for all sessions and stay: one that came and went with its
// session could be locked by two at once.
func lock(ctx context.Context, dir, id string, write bool) (unlock func(), err error) {
	locks := filepath.Join(dir, ".locks")
	if err := makeDir(locks); err != nil {
		return nil, fmt.Errorf("strands: lock session %s: %w", id, err)
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	l := flock.New(filepath.Join(locks, fmt.Sprintf("%02x", h.Sum32()%64)))
	try := l.TryRLockContext
	if write {
		try = l.TryLockContext
	}
	if _, err := try(ctx, 2*time.Millisecond); err != nil {
		return nil, fmt.Errorf("strands: lock session %s: %w", id, err)
	}
	return func() { _ = l.Close() }, nil
}

// folder is a session on disk, with the agent that is its log.
type folder struct {
	id, session  string
	agent, agDir string
}

func (at *folder) find(agent string) error {
	agents := filepath.Join(at.session, "agents")
	if agent == "" {
		names, err := os.ReadDir(agents)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("strands: session %s: %w", at.id, err)
		}
		var ids []string
		for _, n := range names {
			if id, ok := strings.CutPrefix(n.Name(), "agent_"); ok {
				ids = append(ids, id)
			}
		}
		switch len(ids) {
		case 0:
			agent = "default"
		case 1:
			agent = ids[0]
		default:
			slices.Sort(ids)
			return &strands.InputError{Field: "Files.Agent", Reason: fmt.Sprintf("must name one of the agents of session %s: %s", at.id, strings.Join(ids, ", "))}
		}
	}
	at.agent, at.agDir = agent, filepath.Join(agents, "agent_"+agent)
	return nil
}

// written says whether there is a log: one of Go that was committed, or one of
// Python.
func (at *folder) written() error {
	if ok, err := exists(at.path("strands_go.json")); ok || err != nil {
		return err
	}
	var a agentFile
	err := readJSON(at.path("agent.json"), &a)
	if errors.Is(err, fs.ErrNotExist) || err == nil && a.Mark != nil {
		return strands.ErrNotFound
	}
	return err
}

func (at *folder) path(names ...string) string {
	return filepath.Join(append([]string{at.agDir}, names...)...)
}

func (at *folder) message(n int) string {
	return at.path("messages", fmt.Sprintf("message_%d.json", n))
}
