package command

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

//go:embed demo.yaml
var demoScript []byte

//go:embed demo_plain.yaml
var demoPlainScript []byte

const demoQuestion = `Analyze the following sales data:
- Product A: [100, 120, 95, 140, 160, 180, 200]
- Product B: [80, 85, 90, 95, 100, 105, 110]
- Product C: [200, 180, 220, 190, 240, 260, 280]
Please visualize the sales trends and calculate growth rates.`

const demoNotice = `The model of this demo is scripted: its words were written in advance. The Python is real: it runs now, on this
machine, and every number in the answer is quoted from what it printed.`

func newDemo(ctl *interrupts) *cobra.Command {
	var f pythonFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show an agent at work, without a key",
		Long: "Analyze the sales of three products: growth rates, and a chart that is saved to --out. The model is scripted, the\n" +
			"Python it writes is run. Without a package index there are growth rates and no chart.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			ctx, done := ctl.begin(cmd.Context())
			defer done()
			return f.demo(ctx, cmd)
		},
	}
	f.addBackend(cmd)
	return cmd
}

func (f *pythonFlags) demo(ctx context.Context, cmd *cobra.Command) (err error) {
	out, errOut := cmd.OutOrStdout(), cmd.ErrOrStderr()
	f.toolkits = toolkitNames()
	env, err := f.environment(errOut)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.interpreter.Close()) }()
	fmt.Fprintf(out, "%s\n\nQuestion: %s\n\n", demoNotice, demoQuestion)

	script := demoScript
	noChart := ready(ctx, env)
	if noChart != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		script, f.toolkits, env.options = demoPlainScript, nil, python.Options{Progress: env.options.Progress}
		if err := ready(ctx, env); err != nil {
			return unavailable(err)
		}
	}
	kits, err := toolkitsOf(f.toolkits)
	if err != nil {
		return err
	}
	model, err := strandstest.ParseScript("demo", script)
	if err != nil {
		return err
	}
	chart := ""
	if err := f.demoRun(ctx, cmd, kits, model, env.interpreter, func(path string) { chart = path }); err != nil {
		return err
	}
	switch {
	case noChart != nil:
		fmt.Fprintf(out, "\nThere is no chart: %s\n", oneLine(noChart))
	case chart != "":
		fmt.Fprintf(out, "\nThe chart is %s\n", chart)
	}
	return nil
}

func (f *pythonFlags) demoRun(ctx context.Context, cmd *cobra.Command, kits []codeagent.Toolkit, model strands.Model,
	backend python.Interpreter, saved func(string)) (err error) {
	folder := &show.Folder{Dir: f.out, Saved: saved}
	p, err := printer(cmd, false, folder)
	if err != nil {
		return err
	}
	a, err := codeagent.New(codeagent.Config{
		Model: model, SystemPrompt: "You are a data analyst.", Toolkits: kits, Interpreter: backend,
		Timeout: f.timeout, Logger: slog.New(warnings{cmd.ErrOrStderr()}),
	})
	if err != nil {
		return err
	}
	t := &talk{agent: a, session: a.NewSession(), backend: backend, printer: p}
	defer func() { err = errors.Join(err, t.close()) }()
	return t.answer(ctx, demoQuestion)
}

// ready opens a session and closes it again: what it takes is made then, and
// what is missing is known before the model begins to speak.
func ready(ctx context.Context, env *environment) error {
	sess, err := env.interpreter.Open(ctx, env.options)
	if err != nil {
		return err
	}
	return sess.Close()
}
