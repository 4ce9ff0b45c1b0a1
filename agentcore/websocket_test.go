package agentcore_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
)

// ponderer is a model that says when it was asked, and when its caller let go.
type ponderer struct {
	entered, left chan struct{}
	release       chan struct{}
}

func (m *ponderer) Generate(ctx context.Context, _ *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		m.entered <- struct{}{}
		select {
		case <-m.release:
			yield(strands.Chunk{Reply: &strands.Reply{Message: strands.AssistantMessage(strands.Text("done")), StopReason: strands.StopEndTurn}}, nil)
		case <-ctx.Done():
			m.left <- struct{}{}
			yield(strands.Chunk{}, context.Cause(ctx))
		}
	}
}

// talk begins a turn over a WebSocket.
func talk(t *testing.T) (*ponderer, *websocket.Conn) {
	t.Helper()
	model := &ponderer{make(chan struct{}), make(chan struct{}, 1), make(chan struct{})}
	agent, err := strands.New(strands.Config{Model: model})
	if err != nil {
		t.Fatal(err)
	}
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent, Logger: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(runtime)
	t.Cleanup(func() {
		server.Close()
		if err := errors.Join(runtime.Close(), agent.Close()); err != nil {
			t.Error(err)
		}
	})
	conn, _, err := websocket.Dial(t.Context(), server.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	if err := wsjson.Write(t.Context(), conn, map[string]string{"prompt": "x"}); err != nil {
		t.Fatal(err)
	}
	<-model.entered
	return model, conn
}

// Python's websockets asks every 20 seconds, and leaves when nobody answers.
func TestPingsAreAnsweredInATurn(t *testing.T) {
	model, conn := talk(t)
	heard := make(chan string, 2)
	go func() {
		for range cap(heard) {
			_, text, err := conn.Read(t.Context())
			if err != nil {
				text = []byte(err.Error())
			}
			heard <- string(text)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	// A message that comes in a turn is answered after it.
	if err := wsjson.Write(ctx, conn, map[string]string{"prompt": "y"}); err != nil {
		t.Fatal(err)
	}
	for turn := range cap(heard) {
		if turn > 0 {
			<-model.entered
		}
		model.release <- struct{}{}
		if got := <-heard; got != "{\"result\":\"done\"}\n" {
			t.Errorf("%q", got)
		}
	}
}

// Who leaves in the middle of a turn ends it.
func TestWhoLeavesASocketEndsItsTurn(t *testing.T) {
	for _, leave := range []func(*websocket.Conn) error{
		(*websocket.Conn).CloseNow,
		func(c *websocket.Conn) error { return c.Close(websocket.StatusNormalClosure, "") },
	} {
		model, conn := talk(t)
		if err := leave(conn); err != nil {
			t.Error(err)
		}
		select {
		case <-model.left:
		case <-time.After(time.Minute):
			t.Fatal("the turn goes on")
		}
	}
}
