package command

import (
	"context"

	"github.com/strandsgo/strands"
)

func findModel(_ context.Context, spec string) (strands.Model, error) {
	if spec != "" {
		return nil, usagef("unknown model %q: there is scripted:FILE", spec)
	}
	return nil, noModel(nil)
}
