package openai

import (
	"context"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/internal/wire"
)

func (m *Model) streamResponses(context.Context, *wire.Call, *strands.Request, func(*strands.Delta) bool) (*strands.Reply, error) {
	return nil, wire.Refuse(provider, m.cfg.Model, "the Responses API is not spoken yet")
}
