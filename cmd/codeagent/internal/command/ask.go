package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// askFlags are those of the commands that ask a model.
type askFlags struct {
	pythonFlags
	model     string
	system    string
	keepState bool
	json      bool
	maxTurns  int
	docs      []string
	offer     offerFlags
	tape      recordFlags // run only
}

func (f *askFlags) add(cmd *cobra.Command) {
	f.pythonFlags.add(cmd)
	f.addArtifacts(cmd)
	fs := cmd.Flags()
	fs.Var(&f.disk, "disk", "size of the session's folders, --data from S3 included, like 64M (default 256M)")
	fs.StringVarP(&f.model, "model", "m", "", "provider/id, or scripted:FILE (default: $STRANDS_MODEL, else found from the keys in the environment)")
	fs.StringVar(&f.system, "system", "", "what the agent is for")
	fs.BoolVar(&f.keepState, "keep-state", false, "keep what the code defines from one question to the next")
	fs.BoolVar(&f.json, "json", false, "print one event object a line")
	fs.StringArrayVar(&f.docs, "docs", nil, "folder of a knowledge bundle that the model may look things up in (repeatable)")
	fs.IntVar(&f.maxTurns, "max-turns", 0, "replies of the model to one question (default 50)")
	f.offer.add(cmd)
}

// talk is a session with an agent, and where it is shown.
type talk struct {
	agent   *strands.Agent
	session *strands.Session
	backend python.Interpreter
	printer show.Printer
	data    *given
	kept    bool         // pictures are, and listed at the end
	docs    func() error // closes the bundles; nil = there are none
	offer   *offered
	tel     *telemetry
	tape    *strandstest.Tape // nil = the run is not recorded or replayed
}

// open makes the agent the flags describe and a session with it.
func (f *askFlags) open(cmd *cobra.Command) (*talk, error) {
	folder := &show.Folder{Dir: f.out}
	p, err := printer(cmd, f.json, folder)
	if err != nil {
		return nil, err
	}
	t, err := f.prepare(cmd, folder)
	if err != nil {
		return nil, err
	}
	t.printer, t.session = p, t.agent.NewSession()
	return t, nil
}

// prepare makes the agent the flags describe. Its code's files are saved to
// folder; nil = they are not.
func (f *askFlags) prepare(cmd *cobra.Command, folder *show.Folder) (*talk, error) {
	if err := f.check(cmd); err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("max-turns") && f.maxTurns <= 0 {
		return nil, usagef("--max-turns %d: the model needs at least 1", f.maxTurns)
	}
	kits, err := toolkitsOf(f.toolkits)
	if err != nil {
		return nil, err
	}
	model, tape, err := f.tape.open(cmd.Context(), f.model)
	if err != nil {
		return nil, err
	}
	errOut := cmd.ErrOrStderr()
	docs, shut, err := docsOf(cmd.Context(), f.docs)
	if err != nil {
		return nil, err
	}
	t := &talk{backend: f.backend(errOut), docs: shut, tape: tape}
	cfg := codeagent.Config{
		Model:        model,
		SystemPrompt: f.system,
		Toolkits:     append(kits, docs...),
		Interpreter:  t.backend,
		KeepState:    f.keepState,
		Timeout:      f.timeout,
		Limits:       strands.Limits{Turns: f.maxTurns},
		Logger:       slogTo(errOut),
	}
	if folder != nil {
		cfg.Interpreter = saving{t.backend, folder, errOut}
	}
	taped(&cfg, tape)
	if err := f.equip(cmd.Context(), &cfg, t, errOut); err != nil {
		return nil, errors.Join(err, t.close())
	}
	if t.agent, err = codeagent.New(cfg); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// equip adds the data that the code is given, the keeper of what it makes, what
// else is offered, and where telemetry goes.
func (f *askFlags) equip(ctx context.Context, cfg *codeagent.Config, t *talk, errOut io.Writer) error {
	keeper, err := f.keeper(errOut)
	if err != nil {
		return err
	}
	if t.tel, err = openTelemetry(ctx, errOut); err != nil {
		return err
	}
	cfg.Telemetry = t.tel.Telemetry
	if t.offer, err = f.offer.open(ctx, t.backend, cfg.Logger); err != nil {
		return err
	}
	cfg.Toolkits, cfg.Providers = append(cfg.Toolkits, t.offer.kits...), t.offer.providers
	if keeper != nil {
		cfg.Interpreter, cfg.Artifacts, t.kept = t.backend, keeper, true
	}
	progress := func(s string) { fmt.Fprintln(errOut, "codeagent:", show.Clean(s)) }
	if t.data, err = f.dataFlags.open(ctx, t.backend, int64(f.disk), progress); err != nil {
		return err
	}
	cfg.Binds, cfg.Inputs, cfg.PythonLimits.Disk = t.data.binds, t.data.inputs, t.data.left(int64(f.disk))
	return nil
}

func (t *talk) close() error {
	var err error
	if t.session != nil {
		err = t.session.Close()
	}
	if t.agent != nil {
		err = errors.Join(err, t.agent.Close())
	}
	err = errors.Join(err, t.offer.Close(), t.tel.close())
	if t.docs != nil {
		err = errors.Join(err, t.docs())
	}
	if t.tape != nil {
		err = errors.Join(err, t.tape.Close())
	}
	return errors.Join(err, t.backend.Close(), t.data.close())
}

// openModel finds the model that spec names, or that the environment offers.
func openModel(ctx context.Context, spec string) (strands.Model, error) {
	if file, ok := strings.CutPrefix(spec, "scripted:"); ok {
		m, err := strandstest.LoadScript(file)
		if err != nil {
			return nil, &exit{exitUsage, err}
		}
		return m, nil
	}
	return findModel(ctx, spec)
}

func newRun(ctl *interrupts) *cobra.Command {
	var f askFlags
	cmd := &cobra.Command{
		Use:   "run PROMPT",
		Short: "Ask one question",
		Long: "Ask one question and print the answer, and the Python that led to it. PROMPT - is read from standard input.\n\n" +
			"Ctrl-C stops the run; the exit code is then 130.",
		Example: "  codeagent run 'What is 2 ** 10?'\n  codeagent run --toolkit data,viz --model openai/gpt-5 'Plot sin and cos'",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			prompt, err := promptOf(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			t, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, t.close()) }()
			ctx, done := ctl.begin(cmd.Context())
			defer done()
			return t.answer(ctx, prompt)
		},
	}
	f.add(cmd)
	f.tape.add(cmd)
	return cmd
}

func promptOf(in io.Reader, args []string) (string, error) {
	prompt := strings.Join(args, " ")
	if prompt == "-" {
		data, err := io.ReadAll(in)
		if err != nil {
			return "", fmt.Errorf("reading standard input: %w", err)
		}
		prompt = string(data)
	}
	if strings.TrimSpace(prompt) == "" {
		return "", usagef("ask something: codeagent run 'What is 2 ** 10?'")
	}
	return prompt, nil
}

// answer runs one question and shows what happens.
func (t *talk) answer(ctx context.Context, prompt string) error {
	var stop strands.StopReason
	var shown error
	for e, err := range t.session.Run(ctx, strands.Prompt(prompt)) {
		if err != nil {
			return errors.Join(shown, t.printer.End(), err)
		}
		if t.kept && e.Output != nil && e.Output.Image != nil {
			continue // the section at the end has them
		}
		if e.Result != nil {
			stop = e.Result.StopReason
		}
		if shown = t.printer.Event(e); shown != nil {
			return shown
		}
	}
	if err := t.printer.End(); err != nil {
		return err
	}
	if stop == strands.StopCancelled {
		return context.Canceled
	}
	return nil
}

func newChat(ctl *interrupts) *cobra.Command {
	var f askFlags
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Talk with the model",
		Long: "Talk with the model, a question a line. /exit or Ctrl-D ends the talk, Ctrl-C stops the answer and a second one\n" +
			"within two seconds ends the talk.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			t, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, t.close()) }()
			return t.chat(ctl, cmd)
		},
	}
	f.add(cmd)
	return cmd
}

func (t *talk) chat(ctl *interrupts, cmd *cobra.Command) error {
	errOut := cmd.ErrOrStderr()
	prompt := func() {}
	if _, ok := isTerminal(cmd.InOrStdin()); ok {
		prompt = func() { fmt.Fprint(errOut, "> ") }
	}
	ctl.onIdle(func() {
		fmt.Fprintln(errOut, "\n(Ctrl-C again, or /exit, to leave)")
		prompt()
	})
	prompt()
	for line, err := range lines(cmd.Context(), cmd.InOrStdin()) {
		if err != nil {
			return err
		}
		question := strings.TrimSpace(string(line))
		if question == "/exit" || question == "/quit" {
			return nil
		}
		ctx, done := ctl.begin(cmd.Context())
		err := t.answer(ctx, question)
		done()
		switch {
		case cmd.Context().Err() != nil:
			return cmd.Context().Err()
		case errors.Is(err, context.Canceled):
			fmt.Fprintln(errOut, "codeagent: stopped")
		case err != nil:
			// What went wrong with one question must not end the talk.
			fmt.Fprintln(errOut, "codeagent:", oneLine(err))
		}
		prompt()
	}
	return nil
}

// noModel is the error when there is none to ask.
func noModel(choices []string) error {
	return usagef("no model: set %s, start Ollama, or give --model provider/id or --model scripted:FILE; \"codeagent demo\" needs none",
		cmp.Or(orList(choices), "a provider's key"))
}
