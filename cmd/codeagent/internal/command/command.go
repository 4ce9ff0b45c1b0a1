// Package command is the command line of codeagent.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
)

// The exit codes. What goes wrong with a model or a sandbox, through nobody's
// bad input, is exitFailed.
const (
	exitFailed      = 1 // for exec: the code raised
	exitUsage       = 2
	exitStateLost   = 3 // exec only
	exitInterrupted = 130
)

// exit is an error with the exit code it stands for. A nil err is silent.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

// usagef is a mistake of the one who typed; the text says what to do.
func usagef(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

// Main runs the command line args and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctl := watchInterrupts(context.Background())
	defer ctl.stop()
	root := newRoot(ctl)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctl.ctx)
	if err == nil {
		return 0
	}
	code := exitCode(err)
	if ctl.interrupted() && code == exitFailed {
		code = exitInterrupted
	}
	if e, ok := errors.AsType[*exit](err); (!ok || e.err != nil) && code != exitInterrupted {
		fmt.Fprintln(errOut, "codeagent:", oneLine(err))
	}
	return code
}

func exitCode(err error) int {
	if e, ok := errors.AsType[*exit](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*strands.InputError](err); ok {
		return exitUsage
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitFailed
}

// oneLine is err without what would spoil a line of a terminal or a log.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i, l := range lines {
		lines[i] = strings.TrimSpace(show.Clean(l))
	}
	return strings.Join(lines, "; ")
}

func newRoot(ctl *interrupts) *cobra.Command {
	root := &cobra.Command{
		Use:   "codeagent",
		Short: "An agent that acts by writing Python, in a sandbox",
		Long: "codeagent answers questions with a model that writes Python, and runs the Python in a sandbox on this machine.\n\n" +
			"Begin with \"codeagent demo\": it needs no key and no network.",
		Args:          noArgs,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to do: demo, run, chat, exec or doctor (codeagent --help tells more)")
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w (%s --help lists the flags)", err, cmd.CommandPath())
	})
	root.AddCommand(
		newDemo(ctl), newRun(ctl), newChat(ctl), newExec(ctl), newDoctor(), newVersion(), newOKF(),
		newServe(ctl), newInterpreter(ctl), newJavaScriptWorker(),
	)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "codeagent", version())
			return err
		},
	}
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// noArgs refuses arguments; on the root command these are unknown commands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return usagef("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? ", near[0])
	}
	return usagef("unknown command %q: %sthere are demo, run, chat, exec, doctor, version and completion", args[0], hint)
}

// isTerminal says whether f is a terminal, and how wide.
func isTerminal(f any) (width int, ok bool) {
	file, isFile := f.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// printer picks the form of what a run shows: JSON lines when asked for, rich
// on a terminal, plain otherwise.
func printer(cmd *cobra.Command, jsonLines bool, folder *show.Folder) (show.Printer, error) {
	out := cmd.OutOrStdout()
	if jsonLines {
		return show.JSON(out, folder), nil
	}
	width, ok := isTerminal(out)
	if !ok || os.Getenv("TERM") == "dumb" {
		if ok {
			out = show.CleanWriter{W: out}
		}
		return show.Plain(out, cmd.ErrOrStderr(), folder), nil
	}
	return show.Terminal(out, show.Style{
		Width:   width,
		Light:   os.Getenv("GLAMOUR_STYLE") == "light",
		NoColor: os.Getenv("NO_COLOR") != "",
	}, folder)
}
