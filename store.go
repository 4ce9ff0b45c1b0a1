package strands

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// A Store keeps sessions as append-only logs. It is safe for concurrent use,
// between processes too when its medium is shared.
//
// Load returns the entries in order, Seq counting from 1 without gaps;
// ErrNotFound when there is none. Append writes all entries or none, after the
// entry numbered afterSeq (0 = a new log): when that is not the last one it
// writes nothing and returns ErrConflict. What Append has returned survives a
// crash. It numbers the entries itself. A Redaction replaces the message it
// names in place, so that the original is gone from the medium. So is a State
// when a later one replaces it, since it may quote the original: Load gives an
// empty one instead. JSON values may come back spaced otherwise. List yields
// the ids in no particular order. Delete of a missing id is ErrNotFound.
// Ids are not empty, at most 128 bytes and hold only letters, digits, '-', '_'
// and '.', not first; anything else is an *InputError.
type Store interface {
	Load(ctx context.Context, id string) ([]Entry, error)
	Append(ctx context.Context, id string, afterSeq int64, entries ...Entry) error
	List(ctx context.Context) iter.Seq2[string, error]
	Delete(ctx context.Context, id string) error
}

// StateStore is what a Store may offer beside: more than one log in a session,
// and JSON documents with names, such as the state of a graph of agents.
// Delete of a session takes all of it. Names of agents and documents follow the
// rule of ids.
type StateStore interface {
	Store
	// Scope returns the store of the logs of one agent in the same sessions. The
	// store itself is that of the agent "default".
	Scope(agent string) Store
	// LoadState returns a document; ErrNotFound when there is none.
	LoadState(ctx context.Context, id, name string) (json.RawMessage, error)
	// SaveState replaces a document, whole or not at all; nil removes it.
	SaveState(ctx context.Context, id, name string, state json.RawMessage) error
}

// Entry is one line of a session's log. Exactly one of Message, State and
// Redaction is set.
type Entry struct {
	Seq       int64         `json:"seq"`
	Time      time.Time     `json:"time"`
	Message   *Message      `json:"message,omitempty"`
	State     *SessionState `json:"state,omitempty"` // replaces the one before
	Redaction *Redaction    `json:"redaction,omitempty"`
}

// SessionState is what a session knows beside its messages.
type SessionState struct {
	Values  map[string]json.RawMessage `json:"values,omitempty"`  // Session.Set
	Dropped int                        `json:"dropped,omitempty"` // messages no longer in the history, from the front
	Summary []Message                  `json:"summary,omitempty"` // stand in for the dropped ones
	Pending *Pending                   `json:"pending,omitempty"` // of an interrupted run
}

// Pending is what an interrupted run waits with: the finished results of the
// last message's tool calls, and the questions.
type Pending struct {
	Results    []ToolResult        `json:"results,omitempty"`
	Interrupts []Interrupt         `json:"interrupts"`
	Responses  []InterruptResponse `json:"responses,omitempty"` // given so far
}

// Redaction replaces the message of the entry numbered Seq.
type Redaction struct {
	Seq     int64   `json:"seq"`
	Message Message `json:"message"`
}
