package python

import (
	"context"
	"strings"
	"sync"
)

// callLog remembers the host calls of the last snippet of a REPL, for the case
// that it is interrupted by a question and cannot go on.
type callLog struct {
	mu    sync.Mutex
	names []string
	more  bool
}

const loggedCalls = 50

type callLogKey struct{}

// watch starts a new list and returns a context in which calls are noted.
func (l *callLog) watch(ctx context.Context) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names, l.more = nil, false
	return context.WithValue(ctx, callLogKey{}, l)
}

// goOn is watch without a new list.
func (l *callLog) goOn(ctx context.Context) context.Context {
	return context.WithValue(ctx, callLogKey{}, l)
}

// parks says whether a snippet run with ctx is to wait when a host call asks a
// person, instead of being interrupted: its caller will come back for it.
func parks(ctx context.Context) bool {
	_, ok := ctx.Value(callLogKey{}).(*callLog)
	return ok
}

// note adds the call of a function to the list in ctx, if there is one.
func note(ctx context.Context, name string) {
	l, ok := ctx.Value(callLogKey{}).(*callLog)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.names) == loggedCalls {
		l.more = true
		return
	}
	l.names = append(l.names, name)
}

// any says whether a call was noted for the last snippet.
func (l *callLog) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.names) > 0
}

func (l *callLog) list() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.names, ", ")
	if l.more {
		s += ", …"
	}
	return s
}
