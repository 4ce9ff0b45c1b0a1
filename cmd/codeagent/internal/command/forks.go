package command

import (
	"errors"
	"fmt"

	"github.com/strandsgo/strands/python"
)

// fork copies a session and answers the name of the copy.
func (s *serving) fork(sess python.Session) (any, error) {
	f, ok := sess.(python.Forker)
	if !ok {
		return refuse("this backend's sessions cannot be forked"), nil
	}
	copied, err := f.Fork(s.ctx)
	if e, ok := errors.AsType[*python.ForkError](err); ok {
		return refuse("%s", e.Reason), nil
	}
	if err != nil {
		return nil, err
	}
	s.forks++
	name := fmt.Sprintf("f%d", s.forks)
	s.sessions[name] = copied
	return map[string]string{"fork": name}, nil
}

// undo drops what the last code did, and answers what stays done.
func (s *serving) undo(sess python.Session) (any, error) {
	u, ok := sess.(python.Undoer)
	if !ok {
		return refuse("this backend's sessions cannot undo anything"), nil
	}
	if !s.env.options.Undo && !s.env.options.Atomic {
		return refuse("the state from before a line is not kept: start exec with --undo"), nil
	}
	undone, err := u.Undo(s.ctx)
	if e, ok := errors.AsType[*python.ForkError](err); ok {
		return refuse("%s", e.Reason), nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"undo": true, "not_undone": undone}, nil
}

// close ends a fork.
func (s *serving) close(name string) (any, error) {
	if name == "" {
		return refuse("the first session ends with the input; close names a fork"), nil
	}
	sess := s.sessions[name]
	delete(s.sessions, name)
	return map[string]bool{"close": true}, sess.Close()
}
