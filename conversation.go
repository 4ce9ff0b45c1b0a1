package strands

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A ConversationManager keeps the history within what the model can take. It
// has no state of its own: what it must remember it keeps in the session's
// values. One serves any number of sessions at once.
//
// Manage comes before each model call and at the end of each run. Reduce comes
// after a model has refused a request as too long: it must make the messages
// shorter, else the run ends with the model's error. Both change the history
// by setting c.Messages to another slice; what they return is checked with
// Validate and committed only when they returned no error. Messages that are
// kept are kept as they are. The last message, and a tool call apart from its
// results, cannot go. An error of either ends the run.
type ConversationManager interface {
	Manage(ctx context.Context, c *Conversation) error
	Reduce(ctx context.Context, c *Conversation, cause error) error
}

// Conversation is what a ConversationManager works on.
type Conversation struct {
	Session  *Session
	Messages []Message // writable: what to go on with
	Model    Model     // of the run, for a manager that lets it summarize
	Tokens   int       // estimate of the next request's input
	Window   int       // the model's context window in tokens; 0 = unknown
	Ended    bool      // the run has ended: no model call follows
	Usage    Usage     // writable: what the manager's own model calls cost
}

// conversation is what the manager sees now.
func (r *run) conversation() *Conversation {
	c := &Conversation{Session: r.s, Messages: r.s.Messages(), Model: r.chat()}
	if req, err := r.request(); err == nil {
		c.Tokens = r.s.projectedTokens(req)
	}
	c.Window = Describe(c.Model).ContextWindow
	return c
}

// manage lets the manager change the history when nothing is wrong.
func (r *run) manage(ctx context.Context, ended bool) error {
	m := r.s.agent.cfg.Conversation
	if m == nil || len(r.s.openCalls()) > 0 {
		return nil
	}
	c := r.conversation()
	c.Ended = ended
	before := slices.Clone(c.Messages)
	err := m.Manage(ctx, c)
	r.addUsage(Describe(r.model()).ID, c.Usage)
	if err != nil {
		return fmt.Errorf("strands: conversation manager: %w", err)
	}
	if slices.EqualFunc(before, c.Messages, sameMessage) {
		return nil
	}
	return r.s.SetMessages(c.Messages)
}

// recover lets the manager shorten the history after err, when that is an
// overflow of the context.
func (r *run) recover(err error, recoveries *int) (bool, error) {
	m := r.s.agent.cfg.Conversation
	me, ok := errors.AsType[*ModelError](err)
	if !ok || me.Kind != ModelOverflow || m == nil {
		return false, nil
	}
	if met(*recoveries, r.limits.Recoveries) {
		return false, fmt.Errorf("%w: %w", r.limit("recoveries from a context that was too long", r.limits.Recoveries), err)
	}
	*recoveries++
	c := r.conversation()
	size := sizeOfMessages(c.Messages)
	reduceErr := m.Reduce(r.ctx, c, err)
	r.addUsage(Describe(r.model()).ID, c.Usage)
	if reduceErr != nil {
		return false, fmt.Errorf("strands: conversation manager: %w (because of %w)", reduceErr, err)
	}
	if sizeOfMessages(c.Messages) >= size {
		return false, fmt.Errorf("strands: the history could not be made shorter: %w", err)
	}
	return true, r.s.SetMessages(c.Messages)
}

// SetMessages replaces the history by messages, which must be valid (see
// Validate). Tool calls that a run is about to answer must stay last. Those
// that are copies of messages of the history (what Messages returns) keep
// their place in the store; the others are stored as what stands for all that
// came before.
func (s *Session) SetMessages(messages []Message) error {
	if err := validate(messages); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	open := openCalls(s.records)
	last := Message{}
	if len(messages) > 0 {
		last = messages[len(messages)-1]
	}
	if len(open) > 0 && !sameMessage(last, s.records[len(s.records)-1].msg) || len(open) == 0 && len(last.ToolCalls()) > 0 {
		return &InputError{Field: "messages", Reason: "the last message must be the one whose tool calls wait for results, if there is one"}
	}
	kept := 0
	for kept < min(len(messages), len(s.records)) &&
		sameMessage(messages[len(messages)-1-kept], s.records[len(s.records)-1-kept].msg) {
		kept++
	}
	prefix, suffix := messages[:len(messages)-kept], s.records[len(s.records)-kept:]
	s.log.dropped = s.log.count
	for _, rec := range suffix {
		if rec.n > 0 {
			s.log.dropped = rec.n - 1
			break
		}
	}
	s.log.summary = nil
	records := make([]record, 0, len(messages))
	for _, m := range prefix {
		m = m.Clone()
		s.log.summary = append(s.log.summary, m)
		records = append(records, record{msg: m})
	}
	s.records = append(records, suffix...)
	s.uncounted = s.log.count
	s.changed()
	return nil
}

// sameMessage says whether a and b share their parts: then neither was changed
// since one was copied from the other.
func sameMessage(a, b Message) bool {
	return a.Role == b.Role && len(a.Parts) == len(b.Parts) && (len(a.Parts) == 0 || &a.Parts[0] == &b.Parts[0])
}
