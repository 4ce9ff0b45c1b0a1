package wire

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	strands "github.com/strandsgo/strands"
)

// A Provider is what the calls of one model have in common. It is not changed
// once there are calls.
type Provider struct {
	Name, Model string
	Key         string                            // cut out of answers that report an error: some tell what they were sent
	IdleTimeout time.Duration                     // how long the server may be silent; 0 = IdleTimeout, negative = for ever
	Hints       map[strands.ModelErrorKind]string // what the user can do about a kind of error
	Invalid     error                             // why no call can be made
	// Quiet is for an SDK that writes to the program's log when a connection
	// breaks: to it the answer just ends. Fail and Cut know better.
	Quiet bool
}

// Refuse makes the error of a request that is not sent because it cannot
// succeed.
func (p *Provider) Refuse(format string, args ...any) error {
	return &strands.ModelError{
		Kind: strands.ModelBadRequest, Provider: p.Name, Model: p.Model, Message: fmt.Sprintf(format, args...),
	}
}

// Cannot is the error of a part that the protocol has no room for.
func (p *Provider) Cannot(part strands.Part) error {
	return p.Refuse("%s cannot be sent to this provider; leave it out", nameOf(part))
}

// NoKey is the error of a Config without credentials.
func (p *Provider) NoKey(remedy string) error {
	return &strands.ModelError{Kind: strands.ModelAuth, Provider: p.Name, Model: p.Model, Message: "no credentials; " + remedy}
}

// A Runner makes one call: it writes deltas and returns the reply, or an error
// that came from Call or Provider, or that of Writer.Send.
type Runner func(ctx context.Context, call *Call, w *Writer) (*strands.Reply, error)

// Generate makes the sequence of a strands.Model of a Runner.
func (p *Provider) Generate(ctx context.Context, req *strands.Request, run Runner) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		if p.Invalid != nil {
			yield(strands.Chunk{}, p.Invalid)
			return
		}
		ctx, call := p.Begin(ctx)
		defer call.End()
		call.heaviest = heaviest(req)
		w := &Writer{call: call, yield: yield}
		reply, err := w.collect(ctx, run)
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(strands.Chunk{}, err)
		default:
			yield(strands.Chunk{Reply: reply}, nil)
		}
	}
}

// Writer hands deltas to the consumer and collects what they say.
type Writer struct {
	call  *Call
	yield func(strands.Chunk, error) bool
	acc   strands.Accumulator
	parts []strands.Part // before those of acc

	block, turns int  // where the last delta belonged, and how often that changed
	away         bool // the consumer has the delta
}

// maxTurns bounds how often a reply goes from one part to another: a small
// event can begin one, and each takes room.
const maxTurns = 100_000

// errStopped ends a Runner whose consumer has left.
var errStopped = errors.New("the consumer has left")

// Send hands on a delta. After an error the Runner must return it.
func (w *Writer) Send(d *strands.Delta) error {
	if d.Block != w.block {
		w.block = d.Block
		if w.turns++; w.turns > maxTurns {
			return w.call.provider.Refuse("the answer has more than %d parts and was not read to its end", maxTurns)
		}
	}
	w.acc.Add(d)
	w.away = true
	more := w.yield(strands.Chunk{Delta: d}, nil)
	if w.away = false; !more {
		return errStopped
	}
	return nil
}

// collect runs run. An SDK that panics over an answer (genai does, over a null
// in it) has read a broken one; the consumer's panics are the consumer's.
func (w *Writer) collect(ctx context.Context, run Runner) (reply *strands.Reply, err error) {
	defer func() {
		if w.away {
			return
		}
		if p := recover(); p != nil {
			reply, err = nil, w.call.Broken("the answer cannot be read: panic: %v", p)
		}
	}()
	if reply, err = run(ctx, w.call, w); err != nil {
		return nil, err
	}
	switch reply.StopReason {
	case strands.StopInterrupt, strands.StopCancelled, strands.StopLimit: // those of a run
		return nil, w.call.Broken("no reply ends with %q", reply.StopReason)
	}
	reply.Usage = counted(reply.Usage)
	return reply, nil
}

// counted is u without what nobody can have counted: sums of it would be
// negative, and so within every limit.
func counted(u strands.Usage) strands.Usage {
	const most = 1 << 40
	for _, n := range []*int{&u.Input, &u.Output, &u.CacheRead, &u.CacheWrite, &u.Reasoning} {
		*n = min(max(*n, 0), most)
	}
	return u
}

// Put adds a part that is no text, such as a picture, after what was sent
// until now.
func (w *Writer) Put(p strands.Part) {
	w.parts = append(w.Parts(), p)
	w.acc = strands.Accumulator{}
}

// Parts returns the parts of the reply until now.
func (w *Writer) Parts() []strands.Part { return append(w.parts, w.acc.Message().Parts...) }
