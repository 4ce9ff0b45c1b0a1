package strands

// record is a message of the history with its place in the session's log.
type record struct {
	msg Message
	seq int64 // of its entry; 0 = not stored
	n   int   // its number among the log's messages, from 1; 0 = not in the log
}

func messagesOf(records []record) []Message {
	msgs := make([]Message, len(records))
	for i, r := range records {
		msgs[i] = r.msg
	}
	return msgs
}

// openCalls returns the tool calls of the last message; nil when there are none.
func openCalls(records []record) []*ToolCall {
	if len(records) == 0 {
		return nil
	}
	return records[len(records)-1].msg.ToolCalls()
}

// forModel returns the messages as a model is given them: without metadata,
// and those of one role that follow each other joined, since most providers
// refuse them.
func forModel(records []record) []Message {
	msgs := make([]Message, 0, len(records)+1)
	for _, r := range records {
		m := Message{Role: r.msg.Role, Parts: r.msg.Parts}
		if n := len(msgs); n > 0 && msgs[n-1].Role == m.Role {
			joined := make([]Part, 0, len(msgs[n-1].Parts)+len(m.Parts))
			msgs[n-1].Parts = append(append(joined, msgs[n-1].Parts...), m.Parts...)
			continue
		}
		msgs = append(msgs, m)
	}
	return msgs
}
