package strands

// projectedTokens estimates the input tokens of req: what the model counted
// last, and what was added since; or all of it when it counted nothing yet.
func (s *Session) projectedTokens(req *Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := 0
	for i := len(s.records) - 1; i >= 0; i-- {
		m := s.records[i].msg
		if md := m.Metadata; md != nil && md.Usage.Total() > 0 && s.records[i].n > s.uncounted {
			return md.Usage.Total() + added
		}
		added += estimateParts(m.Parts)
	}
	added += estimateParts(req.System)
	for _, t := range req.Tools {
		added += (len(t.Name)+len(t.Description))/4 + len(t.InputSchema)/2
	}
	return added
}

// estimateParts counts roughly: four bytes of text make a token, two of JSON.
func estimateParts(parts []Part) int {
	n := 0
	for _, p := range parts {
		n += len(p.Text)/4 + len(p.JSON)/2 + 1
		switch {
		case p.ToolCall != nil:
			n += len(p.ToolCall.Name)/4 + len(p.ToolCall.Input)/2
		case p.ToolResult != nil:
			n += estimateParts(p.ToolResult.Parts)
		case p.Reasoning != nil:
			n += len(p.Reasoning.Text) / 4
		case p.Cited != nil:
			n += len(p.Cited.Text) / 4
		case p.Guard != nil:
			n += len(p.Guard.Text) / 4
		case p.Image != nil, p.Document != nil, p.Video != nil:
			n += 1500 // what a picture of common size costs
		}
	}
	return n
}

func estimateMessages(msgs []Message) int {
	n := 0
	for _, m := range msgs {
		n += estimateParts(m.Parts)
	}
	return n
}
