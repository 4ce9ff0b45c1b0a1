package command

import (
	"cmp"
	"context"
	"errors"
	"os"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models"
)

// findModel opens the model of a provider; without a name that of
// $STRANDS_MODEL, else the first that the environment offers.
func findModel(ctx context.Context, name string) (strands.Model, error) {
	m, err := models.Open(ctx, cmp.Or(name, os.Getenv("STRANDS_MODEL")))
	switch {
	case errors.Is(err, models.ErrNone):
		return nil, noModel([]string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "AWS credentials"})
	case err != nil:
		return nil, usagef("%w", err)
	}
	return m, nil
}
