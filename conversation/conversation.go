// Package conversation keeps histories within what a model can take. Its
// managers have no state: one serves any number of sessions, and what must be
// remembered is kept in the session.
package conversation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/strandsgo/strands"
)

// defaultWindow is assumed of a model that does not say how much it takes.
const defaultWindow = 200_000

// Pin marks a message so that no manager of this package drops or summarizes
// it. It returns a copy.
func Pin(m strands.Message) strands.Message {
	m = m.Clone()
	if m.Metadata == nil {
		m.Metadata = &strands.Metadata{}
	}
	if m.Metadata.Custom == nil {
		m.Metadata.Custom = map[string]any{}
	}
	m.Metadata.Custom["pinned"] = true
	return m
}

func pinned(m strands.Message) bool {
	return m.Metadata != nil && m.Metadata.Custom["pinned"] == true
}

// SlidingWindow keeps the last messages. It never parts a tool call from its
// result, and a history always begins with something the user said: when only
// tool calls are left, with the last question before them.
type SlidingWindow struct {
	Size       int     // messages; 0 = 40
	NoTruncate bool    // do not shorten tool results when the context overflows
	Every      int     // also before every nth model call of a session; 0 = only at the end of a run
	Threshold  float64 // also when the next request is estimated at this part of the context window; 0 = never
}

// Manage drops the oldest messages when there are more than Size.
func (w SlidingWindow) Manage(_ context.Context, c *strands.Conversation) error {
	if err := checkThreshold(w.Threshold); err != nil {
		return err
	}
	if w.Size < 0 || w.Every < 0 {
		return &strands.InputError{Field: "SlidingWindow", Reason: "Size and Every must not be negative"}
	}
	if !c.Ended && crowded(c, w.Threshold) {
		if shorter, ok := cut(c.Messages, w.size()); ok {
			c.Messages = shorter
		}
		return nil
	}
	due, err := w.due(c)
	if err != nil || !due || len(c.Messages) <= w.size() {
		return err
	}
	if shorter, ok := cut(c.Messages, w.size()); ok {
		c.Messages = shorter
	}
	return nil
}

// callsKey counts the model calls of a session for Every.
const callsKey = "conversation.calls"

func (w SlidingWindow) due(c *strands.Conversation) (bool, error) {
	if c.Ended || w.Every == 0 {
		return c.Ended, nil
	}
	calls := 0
	if _, err := c.Session.Get(callsKey, &calls); err != nil {
		return false, err
	}
	calls++
	return calls%w.Every == 0, c.Session.Set(callsKey, calls)
}

// Reduce shortens tool results, the largest first, until the history is a
// third smaller; when there is nothing to shorten it drops messages.
func (w SlidingWindow) Reduce(_ context.Context, c *strands.Conversation, _ error) error {
	if !w.NoTruncate {
		if shorter, ok := truncateResults(c.Messages); ok {
			c.Messages = shorter
			return nil
		}
	}
	shorter, ok := cut(c.Messages, w.size())
	if !ok {
		return fmt.Errorf("none of the %d messages can be dropped", len(c.Messages))
	}
	c.Messages = shorter
	return nil
}

func (w SlidingWindow) size() int {
	if w.Size == 0 {
		return 40
	}
	return w.Size
}

func checkThreshold(t float64) error {
	if t < 0 || t > 1 {
		return &strands.InputError{Field: "Threshold", Reason: fmt.Sprintf("%v is not between 0 and 1", t)}
	}
	return nil
}

// crowded says whether the next request is estimated to fill the part
// threshold of the context window.
func crowded(c *strands.Conversation, threshold float64) bool {
	window := c.Window
	if window == 0 {
		window = defaultWindow
	}
	return threshold > 0 && float64(c.Tokens) >= threshold*float64(window)
}

// cut returns a valid history of about size messages from the end, and the
// pinned ones before; false when nothing can go.
func cut(msgs []strands.Message, size int) ([]strands.Message, bool) {
	from := len(msgs) - size
	if from <= 0 { // there is room, but it is needed
		from = min(2, len(msgs))
	}
	start := -1
	for i := from; i < len(msgs); i++ {
		if asks(msgs[i]) {
			start = i
			break
		}
	}
	if start < 0 {
		return cutToCalls(msgs, from)
	}
	return keepPinned(msgs, start, msgs[start:])
}

// cutToCalls is cut for a history that ends in tool calls only: the last
// question before them stays.
func cutToCalls(msgs []strands.Message, from int) ([]strands.Message, bool) {
	for i := from; i < len(msgs); i++ {
		if len(msgs[i].ToolCalls()) == 0 {
			continue
		}
		for q := i - 1; q >= 0; q-- {
			if asks(msgs[q]) {
				if q == i-1 {
					return keepPinned(msgs, q, msgs[q:])
				}
				return keepPinned(msgs, q, append([]strands.Message{msgs[q]}, msgs[i:]...))
			}
		}
	}
	return nil, false
}

// asks says whether a history can begin with m.
func asks(m strands.Message) bool {
	return m.Role == strands.User && len(m.ToolResults()) == 0
}

// keepPinned puts the pinned messages before start in front of tail, each with
// the message it cannot be without; false when nothing is dropped.
func keepPinned(msgs []strands.Message, start int, tail []strands.Message) ([]strands.Message, bool) {
	var kept []strands.Message
	for i := 0; i < start; i++ {
		switch m := msgs[i]; {
		case !pinned(m):
		case len(m.ToolCalls()) > 0 && i+1 < start:
			kept = append(kept, m, msgs[i+1])
		case len(m.ToolResults()) > 0 && i > 0 && !pinned(msgs[i-1]):
			kept = append(kept, msgs[i-1], m)
		case len(m.ToolResults()) == 0 && len(m.ToolCalls()) == 0:
			kept = append(kept, m)
		}
	}
	if len(kept) > 0 && kept[0].Role != strands.User {
		kept = append([]strands.Message{strands.UserMessage(strands.Text("[Earlier messages were left out.]"))}, kept...)
	}
	result := append(kept, tail...)
	return result, len(result) < len(msgs)
}

const (
	longResult = 400 // characters of a tool result's text above which it is shortened
	keepEnd    = 200 // characters that stay at each end
	cutMark    = "... [truncated:"
)

// truncateResults shortens the largest parts of tool results until the results
// have two thirds of their size; false when there was nothing to shorten.
// Pinned messages stay.
func truncateResults(msgs []strands.Message) ([]strands.Message, bool) {
	type place struct{ message, part, inner, size int }
	var places []place
	total := 0
	for i, m := range msgs {
		for j, p := range m.Parts {
			if p.ToolResult == nil || pinned(m) {
				continue
			}
			for k, inner := range p.ToolResult.Parts {
				total += weight(inner)
				if shortened, ok := shorten(inner); ok {
					places = append(places, place{i, j, k, weight(inner) - weight(shortened)})
				}
			}
		}
	}
	if len(places) == 0 {
		return nil, false
	}
	slices.SortStableFunc(places, func(x, y place) int { return y.size - x.size })
	msgs = slices.Clone(msgs)
	cloned := map[int]bool{}
	saved := 0
	for _, at := range places {
		if saved > 0 && saved*3 >= total {
			break
		}
		if !cloned[at.message] {
			msgs[at.message], cloned[at.message] = msgs[at.message].Clone(), true
		}
		inner := msgs[at.message].Parts[at.part].ToolResult.Parts
		inner[at.inner], _ = shorten(inner[at.inner])
		saved += at.size
	}
	return msgs, true
}

func weight(p strands.Part) int {
	n := len(p.Text) + len(p.JSON)
	for _, m := range []*strands.Media{p.Image, p.Document, p.Video} {
		if m != nil {
			n += 6000 // what the tokens of a picture would be as text
		}
	}
	return n
}

// shorten cuts the middle out of a long text and names a picture in words;
// false when p is short already.
func shorten(p strands.Part) (strands.Part, bool) {
	for kind, m := range map[string]*strands.Media{"image": p.Image, "document": p.Document, "video": p.Video} {
		if m != nil {
			return strands.Text(fmt.Sprintf("[%s: %s, %d bytes]", kind, m.MIME, len(m.Data))), true
		}
	}
	text := p.Text
	if p.JSON != nil {
		text = string(p.JSON)
	}
	n := utf8.RuneCountInString(text)
	if n <= longResult || strings.Contains(text, cutMark) {
		return p, false
	}
	runes := []rune(text)
	return strands.Text(fmt.Sprintf("%s%s %d characters removed] ...%s",
		string(runes[:keepEnd]), cutMark, n-2*keepEnd, string(runes[n-keepEnd:]))), true
}
