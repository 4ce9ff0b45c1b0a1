package agentcore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/strandsgo/strands"
)

// acceptsStream says whether the caller asked for events.
func acceptsStream(req *http.Request) bool {
	for part := range strings.SplitSeq(req.Header.Get("Accept"), ",") {
		if kind, _, err := mime.ParseMediaType(part); err == nil && kind == "text/event-stream" {
			return true
		}
	}
	return false
}

// streamFailure is the last event of a stream that failed: the status has been
// sent by then. The keys are those of AgentCore's own SDK.
type streamFailure struct {
	Error   string `json:"error"`
	Type    string `json:"error_type"`
	Message string `json:"message"`
}

func failureOf(err error) streamFailure {
	return streamFailure{err.Error(), errorType(err), "An error occurred during streaming"}
}

// errorType is a stable name for what went wrong.
func errorType(err error) string {
	if m, ok := errors.AsType[*strands.ModelError](err); ok {
		return "ModelError." + string(m.Kind)
	}
	if _, ok := errors.AsType[*strands.LimitError](err); ok {
		return "LimitError"
	}
	if _, ok := errors.AsType[*strands.InputError](err); ok {
		return "InputError"
	}
	if errors.Is(err, strands.ErrConcurrentInvocation) {
		return "ConcurrentInvocation"
	}
	return "Error"
}

// streamPatience is goPatience of a stream, in which no model's first word is
// that early.
const streamPatience = 50 * time.Millisecond

// stream answers with server-sent events. When the caller leaves, the run is
// cancelled by the request's context.
func (r *Runtime) stream(w http.ResponseWriter, req *http.Request, s *strands.Session, in strands.Input) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w).Flush
	begun, early := time.Now(), dropsEarlyAnswers(req.UserAgent())
	send := func(v any) error {
		if early {
			time.Sleep(streamPatience - time.Since(begun))
			early = false
		}
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", body); err != nil {
			return err
		}
		return flush()
	}
	if err := r.say(s.Run(req.Context(), in), send); err != nil && req.Context().Err() == nil {
		r.cfg.Logger.WarnContext(req.Context(), "an invocation failed", "error", err, "session", s.ID(), "request", RequestFrom(req.Context()).ID)
		_ = send(failureOf(err)) // the caller may be gone
	}
}

// say sends the text of a run as it comes, and what is not text at the end.
func (r *Runtime) say(run func(func(strands.Event, error) bool), send func(any) error) error {
	var said paragraphs
	for e, err := range run {
		if err != nil {
			return err
		}
		switch text := said.next(e); {
		case text != "":
			err = send(text)
		case e.Result != nil:
			if a, isText := answer(e.Result).(string); !isText || a == "" {
				err = send(answer(e.Result))
			}
		}
		if err != nil {
			return fmt.Errorf("writing to the caller: %w", err)
		}
	}
	return nil
}

// paragraphs sets the texts of successive messages apart: what the model says
// before it runs code, and what it says afterwards.
type paragraphs struct{ spoken, over bool }

// next is what to send for an event; "" = nothing.
func (p *paragraphs) next(e strands.Event) string {
	switch {
	case e.Message != nil && e.Message.Role == strands.Assistant:
		p.over = p.spoken
	case e.Delta != nil && e.Delta.Text != "":
		text := e.Delta.Text
		if p.over && !strings.HasPrefix(text, "\n") {
			text = "\n\n" + text
		}
		p.spoken, p.over = true, false
		return text
	}
	return ""
}

// maxMessage is the size of a WebSocket message that is read.
const maxMessage = 1 << 20

// webSocket holds a conversation: each message is a payload as of
// /invocations; text comes as JSON strings, and {"result": …} ends each turn.
func (r *Runtime) webSocket(w http.ResponseWriter, req *http.Request) {
	r.talks.Add(1)
	defer r.talks.Done()
	session, release, err := r.session(req.Context(), req.Header.Get(SessionHeader))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	defer release()
	conn, err := websocket.Accept(w, req, nil)
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxMessage)
	ctx, gone := context.WithCancel(req.Context())
	messages, over := make(chan []byte), make(chan struct{})
	go func() {
		defer close(over)
		defer gone()
		hear(ctx, conn, messages)
	}()
	defer func() {
		gone()
		_ = conn.CloseNow()
		<-over
	}()
	r.talk(ctx, conn, session, messages)
}

// hear passes messages on until the client is gone. It listens while a turn
// runs, too: else nobody would answer the pings by which clients see that the
// server lives, nor see that the client has left.
func hear(ctx context.Context, conn *websocket.Conn, messages chan<- []byte) {
	for {
		_, body, err := conn.Read(ctx)
		if err != nil {
			return // closed, gone or too large
		}
		select {
		case messages <- body:
		case <-ctx.Done():
			return
		}
	}
}

// talk answers messages until the client leaves, which ends its turn, or the
// server is to end, which does not.
func (r *Runtime) talk(ctx context.Context, conn *websocket.Conn, session *strands.Session, messages <-chan []byte) {
	for {
		var body []byte
		select {
		case <-ctx.Done():
			return
		case <-r.stopping:
			_ = conn.Close(websocket.StatusGoingAway, "the server is ending")
			return
		case body = <-messages:
		}
		in, err := readPayload(body)
		var res *strands.Result
		if err == nil {
			res, err = r.turn(ctx, conn, session, in)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.cfg.Logger.WarnContext(ctx, "an invocation failed", "error", err, "session", session.ID(), "request", RequestFrom(ctx).ID)
			err = wsjson.Write(ctx, conn, failureOf(err))
		} else {
			err = wsjson.Write(ctx, conn, map[string]any{"result": answer(res)})
		}
		if err != nil {
			return
		}
	}
}

// turn runs one message of a WebSocket.
func (r *Runtime) turn(ctx context.Context, conn *websocket.Conn, s *strands.Session, in strands.Input) (*strands.Result, error) {
	var res *strands.Result
	var said paragraphs
	for e, err := range s.Run(ctx, in) {
		if err != nil {
			return nil, err
		}
		if text := said.next(e); text != "" {
			if err := wsjson.Write(ctx, conn, text); err != nil {
				return nil, err
			}
		}
		if e.Result != nil {
			res = e.Result
		}
	}
	return res, nil
}
