// Package session keeps sessions on disk.
package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session/internal/layout"
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
	// Agent is the id of the agent whose messages a session is. "" is "default",
	// or the only one of the session when it has another: name each when several
	// agents share sessions.
	Agent string
}

var _ strands.StateStore = Files{}

// Load implements strands.Store.
func (f Files) Load(ctx context.Context, id string) ([]strands.Entry, error) {
	log, unlock, err := f.open(ctx, id, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return log.Load(ctx)
}

// Append implements strands.Store. What it has written when it fails half-way
// is not part of the log, except that a message may be redacted already.
func (f Files) Append(ctx context.Context, id string, afterSeq int64, entries ...strands.Entry) error {
	log, unlock, err := f.open(ctx, id, true)
	if err != nil {
		return err
	}
	defer unlock()
	return log.Append(ctx, afterSeq, entries)
}

// Scope implements strands.StateStore.
func (f Files) Scope(agent string) strands.Store { return Files{Dir: f.Dir, Agent: agent} }

// LoadState implements strands.StateStore.
func (f Files) LoadState(ctx context.Context, id, name string) (json.RawMessage, error) {
	at, unlock, err := f.openState(ctx, id, name, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	raw, err := at.Read(ctx, layout.StateName(name))
	switch {
	case err != nil:
		return nil, err
	case raw[0] == nil:
		return nil, strands.ErrNotFound
	case !json.Valid(raw[0]):
		return nil, at.Broken(layout.StateName(name), errors.New("it is not JSON"))
	}
	return raw[0], nil
}

// SaveState implements strands.StateStore.
func (f Files) SaveState(ctx context.Context, id, name string, state json.RawMessage) error {
	if state != nil && !json.Valid(state) {
		return &strands.InputError{Field: "state " + name, Reason: "is not JSON"}
	}
	at, unlock, err := f.openState(ctx, id, name, state != nil)
	if errors.Is(err, strands.ErrNotFound) && state == nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	if state == nil {
		if err := os.RemoveAll(filepath.Dir(at.path(layout.StateName(name)))); err != nil {
			return fmt.Errorf("strands: remove state %s of session %s: %w", name, id, err)
		}
		return syncDir(at.path("multi_agents"))
	}
	objects := map[string][]byte{layout.StateName(name): state}
	session, data, err := layout.SessionFile(id)
	if err != nil {
		return err
	}
	if there, err := exists(at.path(session)); err != nil || !there {
		objects[session] = data
	}
	if err := at.Begin(ctx, "", nil); err != nil {
		return err
	}
	return at.Write(ctx, objects)
}

func (f Files) openState(ctx context.Context, id, name string, write bool) (folder, func(), error) {
	if err := strands.CheckSessionID(name); err != nil {
		return "", nil, fmt.Errorf("name of a state: %w", err)
	}
	return f.lock(ctx, id, write)
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
			there, err := f.exists(ctx, id)
			if errors.Is(err, strands.ErrNotFound) || err == nil && !there {
				continue
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

func (f Files) exists(ctx context.Context, id string) (bool, error) {
	log, unlock, err := f.open(ctx, id, false)
	if err != nil {
		return false, err
	}
	defer unlock()
	return log.Exists(ctx)
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

// open locks a session and finds its agent.
func (f Files) open(ctx context.Context, id string, write bool) (*layout.Log, func(), error) {
	if f.Agent != "" && f.Agent != filepath.Base(f.Agent) {
		return nil, nil, &strands.InputError{Field: "Files.Agent", Reason: fmt.Sprintf("%q must have no path separator", f.Agent)}
	}
	at, unlock, err := f.lock(ctx, id, write)
	if err != nil {
		return nil, nil, err
	}
	log := &layout.Log{Session: id, Agent: f.Agent, Medium: at}
	if err := log.Find(ctx); err != nil {
		unlock()
		return nil, nil, err
	}
	return log, unlock, nil
}

// lock locks a session. For a reader one without a folder is ErrNotFound.
func (f Files) lock(ctx context.Context, id string, write bool) (at folder, unlock func(), err error) {
	if err := strands.CheckSessionID(id); err != nil {
		return at, nil, err
	}
	if err := ctx.Err(); err != nil {
		return at, nil, err
	}
	dir, err := f.dir()
	if err != nil {
		return at, nil, err
	}
	at = folder(filepath.Join(dir, "session_"+id))
	if ok, err := exists(string(at)); err != nil || !ok && !write {
		if err == nil {
			err = strands.ErrNotFound
		}
		return at, nil, err
	}
	unlock, err = lock(ctx, dir, id, write)
	return at, unlock, err
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
