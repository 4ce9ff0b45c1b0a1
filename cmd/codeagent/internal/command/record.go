package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// recordFlags write a run to a file, or play one again.
type recordFlags struct {
	record, replay string
}

func (f *recordFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.record, "record", "", "write to a file what the model and the functions answer; it holds all that the model sees")
	fs.StringVar(&f.replay, "replay", "", "play such a file again, without model and functions; what differs is an error")
}

// open returns the model to ask, and the tape, which is nil when neither flag
// is given.
func (f *recordFlags) open(ctx context.Context, name string) (strands.Model, *strandstest.Tape, error) {
	switch {
	case f.record != "" && f.replay != "":
		return nil, nil, usagef("--record and --replay contradict each other; leave one out")
	case f.replay != "":
		tape, err := strandstest.LoadTape(f.replay)
		if err != nil {
			return nil, nil, &exit{exitUsage, err}
		}
		return tape.Model(nil), tape, nil
	}
	model, err := openModel(ctx, name)
	if err != nil || f.record == "" {
		return model, nil, err
	}
	tape, err := strandstest.Record(f.record)
	if err != nil {
		return nil, nil, &exit{exitUsage, err}
	}
	return tape.Model(model), tape, nil
}

// taped makes cfg one whose runs can be repeated.
func taped(cfg *codeagent.Config, tape *strandstest.Tape) {
	if tape == nil {
		return
	}
	cfg.Hooks = append(cfg.Hooks, tape.Hooks())
	cfg.Fixed = &python.Fixed{Seed: tape.Seed(), Time: tape.Time()}
}
