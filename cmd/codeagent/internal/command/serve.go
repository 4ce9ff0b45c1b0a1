package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/python"
)

// request is a line that exec --session reads.
type request struct {
	Session string  `json:"session"` // a fork; "" = the first session
	Code    *string `json:"code"`
	Reset   bool    `json:"reset"`
	Fork    bool    `json:"fork"`
	Undo    bool    `json:"undo"`
	Close   bool    `json:"close"` // of a fork
}

// serving answers the lines of exec --session.
type serving struct {
	ctx    context.Context
	env    *environment
	folder *show.Folder
	out    io.Writer

	sessions map[string]python.Session // by the name that lines give them
	forks    int                       // made so far
}

// maxLine is the longest request line.
const maxLine = 16 << 20

// serve answers until the input ends. A line that makes no sense is answered
// with an error, and the session goes on.
func (s *serving) serve(in io.Reader) (err error) {
	sess, err := s.env.interpreter.Open(s.ctx, s.env.options)
	if err != nil {
		return unavailable(err)
	}
	defer func() { err = errors.Join(err, sess.Close()) }() // and its forks
	s.sessions = map[string]python.Session{"": sess}
	enc := encoder(s.out)
	for line, err := range lines(s.ctx, in) {
		if err != nil {
			return err
		}
		answer, err := s.answer(line)
		if err != nil {
			return err
		}
		if err := enc.Encode(answer); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
	}
	return nil
}

const lineForm = `a line must be {"code": "..."}, {"reset": true}, {"fork": true}, {"undo": true} or {"close": true}, ` +
	`and may have a "session"`

func (s *serving) answer(line []byte) (any, error) {
	var r request
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return refuse("%s: %v", lineForm, err), nil
	}
	if rest, err := io.ReadAll(dec.Buffered()); err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return refuse("one object a line, but more follows: %.40q", bytes.TrimSpace(rest)), nil
	}
	sess, ok := s.sessions[r.Session]
	wants := 0
	for _, asked := range []bool{r.Code != nil, r.Reset, r.Fork, r.Undo, r.Close} {
		if asked {
			wants++
		}
	}
	switch {
	case wants > 1:
		return refuse("a line holds one of code, reset, fork, undo and close"), nil
	case wants == 0:
		return refuse("%s", lineForm), nil
	case !ok:
		return refuse("there is no session %q: {\"fork\": true} makes one and answers its name", r.Session), nil
	case r.Reset:
		return map[string]bool{"reset": true}, sess.Reset(s.ctx)
	case r.Fork:
		return s.fork(sess)
	case r.Undo:
		return s.undo(sess)
	case r.Close:
		return s.close(r.Session)
	}
	res, err := collect(s.ctx, sess, *r.Code)
	if err != nil {
		return nil, err
	}
	return res, save(s.ctx, sess, s.folder, res)
}

// refuse is the answer to a line that makes no sense, in the form of a result.
func refuse(format string, args ...any) *python.Result {
	return &python.Result{Err: &python.Exception{Type: "RequestError", Message: fmt.Sprintf(format, args...)}}
}

// lines yields the lines of in that are not empty, until it or ctx ends. A
// read that is under way when ctx ends is left to the end of the program:
// there is no way to stop it.
func lines(ctx context.Context, in io.Reader) func(func([]byte, error) bool) {
	type read struct {
		line []byte
		err  error
	}
	return func(yield func([]byte, error) bool) {
		reads, wanted := make(chan read, 1), make(chan struct{})
		defer close(wanted)
		go func() {
			sc := bufio.NewScanner(in)
			sc.Buffer(make([]byte, 64<<10), maxLine)
			for range wanted {
				if !sc.Scan() {
					err := sc.Err()
					if err == nil {
						err = io.EOF
					}
					reads <- read{err: err}
					return
				}
				reads <- read{line: bytes.Clone(sc.Bytes())}
			}
		}()
		for {
			select {
			case wanted <- struct{}{}:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
			select {
			case r := <-reads:
				if r.err == io.EOF {
					return
				}
				if errors.Is(r.err, bufio.ErrTooLong) {
					yield(nil, usagef("a line of standard input has more than %d MiB: write what is large into a file", maxLine>>20))
					return
				}
				if r.err != nil {
					yield(nil, fmt.Errorf("reading standard input: %w", r.err))
					return
				}
				if len(bytes.TrimSpace(r.line)) > 0 && !yield(r.line, nil) {
					return
				}
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}
