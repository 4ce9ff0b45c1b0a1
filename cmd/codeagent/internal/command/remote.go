package command

import (
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
)

// remoteFlags are those of --interpreter agentcore.
type remoteFlags struct {
	region     string
	identifier string
	life       time.Duration
}

func (f *remoteFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.region, "region", "", "of agentcore (default: $AWS_REGION, else us-east-1)")
	fs.StringVar(&f.identifier, "identifier", "", "code interpreter of agentcore (default: "+agentcore.SystemInterpreter+")")
	fs.DurationVar(&f.life, "session-timeout", 0, "how long a session of agentcore may live, from its start (default 15m)")
}

// check refuses what has no effect.
func (f *remoteFlags) check(cmd *cobra.Command, p *pythonFlags) error {
	if p.interpreter.value != "agentcore" {
		for _, name := range []string{"region", "identifier", "session-timeout"} {
			if cmd.Flags().Changed(name) {
				return usagef("--%s is for --interpreter agentcore only; leave it out", name)
			}
		}
		return nil
	}
	switch {
	case cmd.Flags().Changed("session-timeout") && (f.life < time.Second || f.life > 8*time.Hour || f.life%time.Second != 0):
		return usagef("--session-timeout %v: give whole seconds, at most 8h", f.life)
	case p.isolation.text != "":
		return usagef("--isolation is about this machine; with --interpreter agentcore leave it out")
	case len(p.allow) > 0 || len(p.require) > 0:
		return usagef("--allow and --require have no effect on agentcore, which has the packages installed there; leave them out")
	case p.processes || p.disk != 0:
		return usagef("--processes and --disk have no effect on agentcore; leave them out")
	}
	return nil
}

func (f *remoteFlags) backend(logger *slog.Logger) python.Interpreter {
	return &agentcore.Interpreter{Region: f.region, Identifier: f.identifier, SessionTimeout: f.life, Logger: logger}
}
