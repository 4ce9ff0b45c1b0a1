package command

import (
	"context"
	"errors"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models"
)

// findModel opens the model of a provider; without a name the first that the
// environment offers.
func findModel(ctx context.Context, name string) (strands.Model, error) {
	m, err := models.Open(ctx, name)
	switch {
	case errors.Is(err, models.ErrNone):
		return nil, noModel([]string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "AWS credentials"})
	case err != nil:
		return nil, usagef("%w", err)
	}
	return m, nil
}
