package strands_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strandsgo/strands"
)

// chaos is a model, a set of tools and hooks that do all that can go wrong, by
// one source of randomness.
type chaos struct {
	t   *testing.T
	mu  sync.Mutex
	rnd *rand.Rand
	ids int
}

// n returns a number below max.
func (c *chaos) n(max int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(max)
}

func (c *chaos) pause(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(c.n(3)) * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Generate checks what it is asked as a strict provider does.
func (c *chaos) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		if err := strands.Validate(req.Messages); err != nil {
			c.t.Errorf("request: %v in %s", err, outline(req.Messages))
		}
		for i, m := range req.Messages {
			if (m.Role == strands.User) != (i%2 == 0) {
				c.t.Errorf("request: roles do not alternate in %s", outline(req.Messages))
			}
		}
		if err := c.pause(ctx); err != nil {
			yield(strands.Chunk{}, err)
			return
		}
		if !yield(strands.Chunk{Delta: &strands.Delta{Text: "…"}}, nil) {
			return
		}
		switch c.n(20) {
		case 0:
			yield(strands.Chunk{}, errors.New("odd"))
			return
		case 1:
			yield(strands.Chunk{}, &strands.ModelError{Kind: strands.ModelThrottled})
			return
		case 2:
			yield(strands.Chunk{}, &strands.ModelError{Kind: strands.ModelOverflow})
			return
		case 3:
			panic("model")
		}
		yield(strands.Chunk{Reply: c.reply()}, nil)
	}
}

func (c *chaos) reply() *strands.Reply {
	r := &strands.Reply{StopReason: pick(c, strands.StopEndTurn, strands.StopEndTurn, strands.StopToolUse, strands.StopToolUse, strands.StopMaxTokens, strands.StopRefusal, strands.StopPause, "")}
	if c.n(20) == 0 {
		r.RedactInput = "[redacted]"
	}
	var acc strands.Accumulator
	for b := range c.n(5) {
		d := strands.Delta{Block: b}
		switch c.n(5) {
		case 0:
			d.Text = pick(c, "hello", " ", "")
		case 1:
			d.Reasoning = &strands.Reasoning{Text: pick(c, "hm", ""), Signature: pick(c, "s", "")}
		default:
			c.ids++
			id := fmt.Sprint("c", c.ids)
			d.ToolCall = &strands.ToolCallDelta{ID: pick(c, id, id, id, "", "same"), Name: pick(c, "tool", "tool", "tool", "stream", "repl", "none", "not valid", ""),
				Input: pick(c, `{}`, `{}`, `{}`, ``, `{"x":`, `[1]`, `{"y":2}`)}
		}
		acc.Add(&d)
	}
	r.Message = acc.Message()
	return r
}

func pick[T any](c *chaos, from ...T) T { return from[c.n(len(from))] }

// act is what a tool or a hook does.
func (c *chaos) act(ctx context.Context, calm int) error {
	switch c.n(8 + calm) {
	case 0:
		return errors.New("failed")
	case 1:
		panic("panicked")
	case 2:
		if c.n(3) == 0 {
			return strands.Fatal(errors.New("fatal"))
		}
	case 3:
		if strands.CallFrom(ctx) != nil {
			_, err := strands.RequestInput(ctx, "ok?", nil)
			return err
		}
	case 4:
		return strands.Emit(ctx, strands.Event{Output: &strands.ToolOutput{Stdout: "x"}})
	case 5:
		return c.pause(ctx)
	case 6:
		if s := strands.SessionFrom(ctx); c.n(4) == 0 {
			return s.Set("k", c.n(100))
		}
	}
	return nil
}

func (c *chaos) tools() []strands.Tool {
	type in struct {
		X int `json:"x,omitempty"`
	}
	tool := strands.NewTool("tool", "", func(ctx context.Context, _ in) (string, error) {
		return pick(c, "ok", "", " "), c.act(ctx, 0)
	})
	stream := strands.NewTool("stream", "", func(ctx context.Context, _ in) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			for i := range c.n(4) {
				if !yield(i, c.act(ctx, 20)) {
					return
				}
			}
		}, nil
	})
	repl := strands.NewTool("repl", "", func(ctx context.Context, _ in) (string, error) {
		for range c.n(4) {
			if _, err := strands.Invoke(ctx, tool, &strands.ToolCall{Name: "tool"}); err != nil && c.n(2) == 0 {
				return "", err
			}
			for res, err := range strands.InvokeStream(ctx, stream.(strands.StreamTool), &strands.ToolCall{Name: "stream"}) {
				if err != nil || res.IsError || c.n(5) == 0 {
					break
				}
			}
		}
		return "ran", nil
	})
	return []strands.Tool{tool, stream, repl}
}

func (c *chaos) hooks() strands.Hooks {
	const calm = 200
	return strands.Hooks{
		BeforeInvocation: func(ctx context.Context, e *strands.BeforeInvocation) error { return c.act(ctx, calm) },
		AfterInvocation: func(ctx context.Context, e *strands.AfterInvocation) error {
			if c.n(20) == 0 {
				e.Resume = new(strands.Prompt("more"))
			}
			return c.act(ctx, calm)
		},
		MessageAdded:    func(ctx context.Context, e *strands.MessageAdded) error { return c.act(ctx, calm) },
		BeforeModelCall: func(ctx context.Context, e *strands.BeforeModelCall) error { return c.act(ctx, calm) },
		AfterModelCall: func(ctx context.Context, e *strands.AfterModelCall) error {
			e.Retry = c.n(20) == 0
			return c.act(ctx, calm)
		},
		BeforeToolCall: func(ctx context.Context, e *strands.BeforeToolCall) error {
			if c.n(10) == 0 {
				e.Cancel = "no"
			}
			return c.act(ctx, 30)
		},
		AfterToolCall: func(ctx context.Context, e *strands.AfterToolCall) error {
			e.Retry = c.n(10) == 0
			if c.n(10) == 0 {
				e.Result = pick(c, nil, &strands.ToolResult{}, &strands.ToolResult{CallID: "x", Parts: []strands.Part{strands.Text("y")}})
			}
			return c.act(ctx, 30)
		},
	}
}

// Manage and Reduce drop some of the oldest messages.
func (c *chaos) Manage(ctx context.Context, conv *strands.Conversation) error {
	if len(conv.Messages) > 12 {
		return c.Reduce(ctx, conv, nil)
	}
	return nil
}

func (c *chaos) Reduce(_ context.Context, conv *strands.Conversation, _ error) error {
	for i := 2; i < len(conv.Messages); i++ {
		if m := conv.Messages[i]; m.Role == strands.User && len(m.ToolResults()) == 0 {
			conv.Messages = conv.Messages[i:]
			break
		}
	}
	return nil
}

// run does one run, and perhaps stops it somehow.
func (c *chaos) run(s *strands.Session) {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	if c.n(4) == 0 {
		defer time.AfterFunc(time.Duration(c.n(10))*time.Second, pick(c, cancel, s.Cancel)).Stop()
	}
	in := pick(c, strands.Prompt("go"), strands.Prompt("go"), strands.Input{})
	if p := s.Pending(); p != nil {
		in = strands.Input{}
		for _, q := range p.Interrupts {
			if c.n(3) > 0 {
				in.Responses = append(in.Responses, strands.InterruptResponse{ID: q.ID, Response: "yes"})
			}
		}
		if c.n(10) == 0 {
			_ = s.Abandon(ctx) // its hooks may fail
			return
		}
	}
	stopAt, n, ended := c.n(60), 0, false
	defer func() {
		if p := recover(); p != nil && p != "mine" {
			panic(p)
		}
	}()
	for e, err := range s.Run(ctx, in) {
		if ended {
			c.t.Error("something came after the end")
		}
		ended = err != nil || e.Result != nil
		if n++; n == stopAt {
			switch c.n(4) {
			case 0:
				cancel()
			case 1:
				s.Cancel()
			case 2:
				panic("mine")
			default:
				return
			}
		}
	}
	if !ended {
		c.t.Error("the run had neither a result nor an error")
	}
}

func TestHistoriesStayValidWhateverHappens(t *testing.T) {
	for seed := range 400 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &chaos{t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 1))}
				store := neverOrphaned{strands.NewMemoryStore(), t}
				cfg := strands.Config{Model: c, Tools: c.tools(), Hooks: []strands.Hooks{c.hooks()}, Conversation: c, Store: store,
					MaxParallel: c.n(3), Sequential: c.n(4) == 0, Logger: slog.New(slog.DiscardHandler), Limits: strands.Limits{Turns: 10}}
				if c.n(3) == 0 {
					cfg.Output = strands.OutputOf[forecast]()
				}
				a, err := strands.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				s := a.NewSession()
				for range 8 {
					c.run(s)
					if s.Pending() == nil {
						valid(t, s)
					}
					r, err := a.Restore(t.Context(), s.ID())
					if errors.Is(err, strands.ErrNotFound) && len(s.Messages()) == 0 {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					if got, want := outline(r.Messages()), outline(s.Messages()); got != want || (r.Pending() == nil) != (s.Pending() == nil) {
						t.Fatalf("restored %s\nwant     %s", got, want)
					}
					if c.n(3) == 0 { // go on as another process does
						if err := s.Close(); err != nil {
							t.Fatal(err)
						}
						s = r
					} else {
						r.Close()
					}
				}
			})
		})
	}
}
