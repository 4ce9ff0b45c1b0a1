// Package frame is the wire format between a session's host and its worker,
// as docs/protocol.md describes it. The host's Reader takes the worker for
// hostile: type, state and length are checked before anything is allocated.
package frame

import (
	"errors"
	"fmt"
)

// Type is the type byte of a frame.
type Type byte

// What the host sends.
const (
	Configure Type = 'C'
	Exec      Type = 'E'
	Reply     Type = 'R'
	List      Type = 'L'
	Get       Type = 'G'
	Put       Type = 'W'
	Fork      Type = 'F'
	News      Type = 'N' // of the output folder, since the fork
)

// What the worker sends.
const (
	Ready    Type = 'H'
	Stdout   Type = 'o'
	Stderr   Type = 'e'
	Value    Type = 'v'
	Picture  Type = 'p'
	Written  Type = 'f' // a file of the output folder
	Call     Type = 'k'
	Room     Type = 'm' // for the big data of a call to come
	Piece    Type = 'b' // of that data, where it cannot be written there
	Unwanted Type = 'q' // no more items of a stream
	Done     Type = 'd'
	Listing  Type = 'l'
	Data     Type = 'g'
	Stored   Type = 'w' // a file was put
	Failed   Type = 'x'
	Forked   Type = 't' // or why not
	Told     Type = 'n' // the news
)

// The types that may come in each state of a session.
const (
	WhileStarting = string(Ready)
	WhileRunning  = string(Stdout) + string(Stderr) + string(Value) + string(Picture) +
		string(Written) + string(Call) + string(Room) + string(Piece) + string(Unwanted) + string(Done)
	WhileListing = string(Listing) + string(Failed)
	WhileGetting = string(Data) + string(Failed)
	WhilePutting = string(Stored) + string(Failed)
	WhileForking = string(Forked)
	WhileTelling = string(Told)
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// MaxData is the most a frame carries of a file in either direction.
const MaxData = 1 * mib

// RunID names a request. The worker must echo it.
type RunID [8]byte

const (
	headerLen = 5
	runLen    = len(RunID{})
)

// maxBody is the most bytes after the run id that a worker may send.
func (t Type) maxBody() (n int, known bool) {
	switch t {
	case Ready:
		return 4 * kib, true
	case Stdout, Stderr:
		return 64 * kib, true
	case Value, Done, Listing, Data, Told:
		return mib, true
	case Picture:
		return 32 * mib, true
	case Written, Stored, Failed, Forked:
		return 8 * kib, true
	case Call:
		return 16 * mib, true
	case Room:
		return 12, true
	case Piece:
		return 4 + mib, true
	case Unwanted:
		return 4, true
	}
	return 0, false
}

// A Violation is a breach of the protocol. The worker cannot be trusted any
// more and has to be killed.
type Violation struct{ Reason string }

// Error implements error.
func (v *Violation) Error() string { return "protocol violation: " + v.Reason }

// Violationf makes a Violation.
func Violationf(format string, args ...any) error {
	return &Violation{fmt.Sprintf(format, args...)}
}

// IsViolation says whether err is a breach of the protocol rather than the end
// of the stream.
func IsViolation(err error) bool {
	_, ok := errors.AsType[*Violation](err)
	return ok
}
