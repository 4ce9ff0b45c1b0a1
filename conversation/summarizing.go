package conversation

import (
	"context"
	"fmt"
	"strings"

	"github.com/strandsgo/strands"
)

// Summarizing replaces the oldest messages by a summary that a model writes,
// when the context overflows or is about to. What that costs counts in the
// run's usage. The history changes only when the summary is there.
type Summarizing struct {
	Ratio     float64       // part of the messages to summarize; 0 = 0.3; held between 0.1 and 0.8
	Keep      int           // recent messages that stay as they are; 0 = 10
	Model     strands.Model // nil = the one of the run
	Prompt    string        // system prompt of the summary; "" = a built-in one
	Threshold float64       // also when the next request is estimated at this part of the context window; 0 = only on overflow
}

const summaryPrompt = `You condense conversations. Write in the third person, as a list of short points under these headings:
topics and what was asked; decisions and facts, with exact numbers, names and identifiers; tools that were run and what came out; what is still open.
Do not address anybody, do not comment, do not answer questions that are in the conversation.`

// summaryMark begins every summary, so that a reader, human or model, knows
// what it is.
const summaryMark = "[Summary of the earlier conversation]\n"

// Manage summarizes when the next request would fill the part Threshold of
// the context window. Failing to is no error: the request may still pass.
func (s Summarizing) Manage(ctx context.Context, c *strands.Conversation) error {
	if err := checkThreshold(s.Threshold); err != nil {
		return err
	}
	if c.Ended || !crowded(c, s.Threshold) {
		return nil
	}
	before := c.Messages
	if err := s.summarize(ctx, c); err != nil {
		c.Messages = before
		return ctx.Err()
	}
	return nil
}

// Reduce summarizes after an overflow.
func (s Summarizing) Reduce(ctx context.Context, c *strands.Conversation, _ error) error {
	return s.summarize(ctx, c)
}

func (s Summarizing) summarize(ctx context.Context, c *strands.Conversation) error {
	n, err := s.split(c.Messages)
	if err != nil {
		return err
	}
	var old, stay []strands.Message
	for i := 0; i < n; i++ {
		if pinned(c.Messages[i]) && asks(c.Messages[i]) {
			stay = append(stay, c.Messages[i])
		} else {
			old = append(old, c.Messages[i])
		}
	}
	if len(old) == 0 {
		return fmt.Errorf("all of the %d oldest messages are pinned", n)
	}
	text, err := s.ask(ctx, c, old)
	if err != nil {
		return fmt.Errorf("summarizing: %w", err)
	}
	summary := strands.UserMessage(strands.Text(summaryMark + text))
	c.Messages = append(append(stay, summary), c.Messages[n:]...)
	return nil
}

// split returns how many messages to summarize: what is left begins with no
// tool result, and no call is parted from its result.
func (s Summarizing) split(msgs []strands.Message) (int, error) {
	ratio := s.Ratio
	if ratio == 0 {
		ratio = .3
	}
	keep := s.Keep
	if keep == 0 {
		keep = 10
	}
	n := max(1, int(float64(len(msgs))*min(max(ratio, .1), .8)))
	n = min(n, len(msgs)-keep)
	if n <= 0 {
		return 0, fmt.Errorf("there are only %d messages, of which %d stay", len(msgs), keep)
	}
	for n < len(msgs) && len(msgs[n].ToolResults()) > 0 {
		n++
	}
	if n >= len(msgs) {
		return 0, fmt.Errorf("none of the %d messages can be parted from the next", len(msgs))
	}
	return n, nil
}

// ask lets the model write the summary. The conversation is handed over as
// text: its tool calls are not to be answered, and a provider would want the
// tools that they name.
func (s Summarizing) ask(ctx context.Context, c *strands.Conversation, old []strands.Message) (string, error) {
	model := s.Model
	if model == nil {
		model = c.Model
	}
	prompt := s.Prompt
	if prompt == "" {
		prompt = summaryPrompt
	}
	req := &strands.Request{
		System:   []strands.Part{strands.Text(prompt)},
		Messages: []strands.Message{strands.UserMessage(strands.Text("Condense this conversation:\n\n" + transcript(old)))},
	}
	for chunk, err := range model.Generate(ctx, req) {
		if err != nil {
			return "", err
		}
		if r := chunk.Reply; r != nil {
			c.Usage = c.Usage.Add(r.Usage)
			text := strings.TrimSpace(r.Message.Text())
			if r.StopReason != strands.StopEndTurn && r.StopReason != strands.StopSequence || text == "" {
				return "", fmt.Errorf("the model gave no summary (%s)", r.StopReason)
			}
			return text, nil
		}
	}
	return "", fmt.Errorf("the model gave no reply")
}

// maxQuoted bounds what one tool result adds to the transcript.
const maxQuoted = 2000

func transcript(msgs []strands.Message) string {
	var b strings.Builder
	for _, m := range msgs {
		for _, p := range m.Parts {
			switch {
			case p.ToolCall != nil:
				fmt.Fprintf(&b, "%s calls %s: %s\n", m.Role, p.ToolCall.Name, p.ToolCall.Input)
			case p.ToolResult != nil:
				text := p.ToolResult.Text()
				if len(text) > maxQuoted {
					text = strings.ToValidUTF8(text[:maxQuoted], "") + " …"
				}
				fmt.Fprintf(&b, "result: %s\n", text)
			case p.Reasoning != nil, p.CachePoint != nil:
			case p.Image != nil, p.Document != nil, p.Video != nil:
				fmt.Fprintf(&b, "%s: [attachment]\n", m.Role)
			default:
				fmt.Fprintf(&b, "%s: %s\n", m.Role, strands.Message{Parts: []strands.Part{p}}.Text())
			}
		}
	}
	return b.String()
}
