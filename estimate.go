package strands

// projectedTokens estimates the input tokens of req: what the model counted
// last, and what was added since; or all of it when it counted nothing yet.
func (s *Session) projectedTokens(req *Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 0
	for i := len(s.records) - 1; i >= 0; i-- {
		m := s.records[i].msg
		if md := m.Metadata; md != nil && md.Usage.Total() > 0 && s.records[i].n > s.uncounted {
			return md.Usage.Total() + size/tokenSize
		}
		size += sizeOf(m.Parts)
	}
	size += sizeOf(req.System)
	for _, t := range req.Tools {
		size += len(t.Name) + len(t.Description) + 2*len(t.InputSchema)
	}
	return size / tokenSize
}

// tokenSize is about how many bytes of text make a token.
const tokenSize = 4

// sizeOf measures parts in bytes of text: JSON counts twice, since it takes
// more tokens, and a picture as one of common size costs.
func sizeOf(parts []Part) int {
	n := 0
	for _, p := range parts {
		n += len(p.Text) + 2*len(p.JSON) + tokenSize
		switch {
		case p.ToolCall != nil:
			n += len(p.ToolCall.Name) + 2*len(p.ToolCall.Input)
		case p.ToolResult != nil:
			n += sizeOf(p.ToolResult.Parts)
		case p.Reasoning != nil:
			n += len(p.Reasoning.Text) + len(p.Reasoning.Redacted)
		case p.Cited != nil:
			n += len(p.Cited.Text)
		case p.Guard != nil:
			n += len(p.Guard.Text)
		case p.Image != nil, p.Document != nil, p.Video != nil:
			n += 1500 * tokenSize
		}
	}
	return n
}

func sizeOfMessages(msgs []Message) int {
	n := 0
	for _, m := range msgs {
		n += sizeOf(m.Parts)
	}
	return n
}
