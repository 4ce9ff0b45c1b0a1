package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/python"
)

type execOptions struct {
	pythonFlags
	code    string
	json    bool
	session bool
	undo    bool
	atomic  bool
}

func newExec(ctl *interrupts) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec [-c CODE | FILE | -]",
		Short: "Run Python in the sandbox, without a model",
		Long: `Run Python in the sandbox, without a model.

Standard output and errors are passed on as they come, then the value of the
last expression. Pictures and files that the code made are saved to --out.

With --json the outcome is one JSON object: stdout, stderr, value, error,
images, state_lost, duration_ms. With --session each line of standard input is
{"code": "..."} or {"reset": true}, and each is answered by one such line.
{"fork": true} copies the session and answers the copy's name, which later
lines give as "session"; {"close": true} ends a copy. With --undo,
{"undo": true} drops what the last code did to the state.

Exit code: 0 when the code ran, 1 when it raised, 2 for bad usage, 3 when the
session's state was lost.`,
		Example: `  codeagent exec -c 'print(2**10)'
  codeagent exec --toolkit data analysis.py
  echo '{"code": "x = 1"}' | codeagent exec --session`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(ctl, cmd, args) },
	}
	o.add(cmd)
	o.addLimits(cmd)
	cmd.Flags().StringVarP(&o.code, "code", "c", "", "the code to run")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object instead")
	cmd.Flags().BoolVar(&o.session, "session", false, "answer JSON lines of standard input, keeping the state")
	cmd.Flags().BoolVar(&o.undo, "undo", false, "with --session: keep the state from before each code, for {\"undo\": true}")
	cmd.Flags().BoolVar(&o.atomic, "atomic", false, "with --session: drop what code that raises did to the state")
	return cmd
}

func (o *execOptions) run(ctl *interrupts, cmd *cobra.Command, args []string) (err error) {
	if err := o.check(cmd); err != nil {
		return err
	}
	src, err := o.source(cmd, args)
	if err != nil {
		return err
	}
	ctx, done := ctl.begin(cmd.Context())
	defer done()
	env, err := o.environment(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.interpreter.Close(), env.data.close()) }()
	if err := o.give(ctx, env, cmd.ErrOrStderr()); err != nil {
		return err
	}
	if o.session {
		env.options.Undo, env.options.Atomic = o.undo, o.atomic
		return (&serving{ctx: ctx, env: env, folder: &show.Folder{Dir: o.out}, out: cmd.OutOrStdout()}).serve(cmd.InOrStdin())
	}
	sess, err := env.interpreter.Open(ctx, env.options)
	if err != nil {
		return unavailable(err)
	}
	defer func() { err = errors.Join(err, sess.Close()) }()
	if o.json {
		return o.once(ctx, cmd, sess, src)
	}
	return o.stream(ctx, cmd, sess, src)
}

// source is code and where it is from.
type source struct{ name, code string }

func (o *execOptions) source(cmd *cobra.Command, args []string) (source, error) {
	given := cmd.Flags().Changed("code")
	switch {
	case o.session && (given || len(args) > 0):
		return source{}, usagef("--session reads its code from standard input; leave %s out", orList(append(args, "-c")[:1]))
	case o.session:
		return source{}, nil
	case o.undo || o.atomic:
		return source{}, usagef("--undo and --atomic need --session: without it one code is all that runs")
	case given && len(args) > 0:
		return source{}, usagef("give either -c CODE or a FILE, not both")
	case given:
		return source{code: o.code}, nil
	case len(args) == 0:
		return source{}, usagef("nothing to run: give -c CODE, a FILE, or - for standard input")
	case len(args) > 1:
		return source{}, usagef("exec takes one FILE, but got %d arguments", len(args))
	}
	name := args[0]
	if name == "-" {
		data, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return source{}, fmt.Errorf("reading standard input: %w", err)
		}
		return text("standard input", data)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return source{}, usagef("cannot read the code: %w", err)
	}
	return text(name, data)
}

func text(name string, data []byte) (source, error) {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return source{}, usagef("%s is no Python: it is not a text in UTF-8", name)
	}
	return source{name, strings.TrimPrefix(string(data), "\ufeff")}, nil
}

// once prints the outcome as JSON.
func (o *execOptions) once(ctx context.Context, cmd *cobra.Command, sess python.Session, src source) error {
	res, err := collect(ctx, sess, src.code)
	if err != nil {
		return err
	}
	if err := save(ctx, sess, &show.Folder{Dir: o.out}, res); err != nil {
		return err
	}
	if err := encoder(cmd.OutOrStdout()).Encode(res); err != nil {
		return err
	}
	return outcome(src, res, true)
}

// stream passes on what the code shows as it comes.
func (o *execOptions) stream(ctx context.Context, cmd *cobra.Command, sess python.Session, src source) error {
	out, errOut := harmless(cmd.OutOrStdout()), harmless(cmd.ErrOrStderr())
	folder := &show.Folder{Dir: o.out}
	var res *python.Result
	for output, err := range sess.Exec(ctx, src.code) {
		if err != nil {
			return err
		}
		if res = output.Result; res != nil {
			break
		}
		if err := pass(output, out, errOut, folder); err != nil {
			return err
		}
	}
	if err := saveFiles(ctx, sess, folder, res, func(path string) { fmt.Fprintln(errOut, "file:", path) }); err != nil {
		return err
	}
	for _, w := range res.Warnings {
		fmt.Fprintln(errOut, "codeagent: warning:", w)
	}
	if res.Err != nil && !isNoPython(src, res) {
		fmt.Fprintln(errOut, strings.TrimRight(traceback(res.Err), "\n"))
	}
	return outcome(src, res, false)
}

// pass writes one output where it belongs. Progress is told by
// Options.Progress, which also has that of Open.
func pass(o python.Output, out, errOut io.Writer, folder *show.Folder) error {
	var err error
	switch {
	case o.Stdout != "":
		_, err = io.WriteString(out, o.Stdout)
	case o.Stderr != "":
		_, err = io.WriteString(errOut, o.Stderr)
	case o.Value != "":
		_, err = fmt.Fprintln(out, o.Value)
	case o.Image != nil:
		var path string
		if path, err = folder.Picture(o.Image); err == nil {
			_, err = fmt.Fprintln(errOut, "picture:", path)
		}
	}
	return err
}

// harmless keeps what code says from controlling a terminal. A pipe gets the
// bytes as they are.
func harmless(w io.Writer) io.Writer {
	if _, ok := isTerminal(w); ok {
		return show.CleanWriter{W: w}
	}
	return w
}

// traceback ends with the exception. That of a timeout or a crash ends with
// what stopped the code, so its own name is put behind; a crash's last words
// were shown when they came.
func traceback(e *python.Exception) string {
	if e.Type == "InterpreterLost" {
		return e.Error()
	}
	if strings.Contains(e.Traceback, e.Type) && strings.Contains(e.Traceback, e.Message) { // which may be all that names a limit
		return e.Traceback
	}
	return strings.TrimLeft(strings.TrimRight(e.Traceback, "\n")+"\n"+e.Error(), "\n")
}

// outcome is the exit code of a result. What printed says was told already.
func outcome(src source, res *python.Result, printed bool) error {
	switch {
	case res.StateLost:
		e := &exit{code: exitStateLost}
		if !printed {
			e.err = fmt.Errorf("the state was lost: %s", res.Lost)
		}
		return e
	case isNoPython(src, res):
		return usagef("%s is no Python: %s", src.name, strings.Replace(res.Err.Message, "<cell 1>, ", "", 1))
	case res.Err != nil:
		return &exit{code: exitFailed}
	}
	return nil
}

// isNoPython says whether a file, as opposed to code somebody typed, could
// not even be compiled: nothing ran, so it is the wrong file.
func isNoPython(src source, res *python.Result) bool {
	if src.name == "" || res.Err == nil || strings.Contains(res.Err.Traceback, ", in ") {
		return false
	}
	switch res.Err.Type {
	case "SyntaxError", "IndentationError", "TabError":
		return true
	}
	return false
}

// collect runs code to its result.
func collect(ctx context.Context, sess python.Session, code string) (*python.Result, error) {
	for output, err := range sess.Exec(ctx, code) {
		if err != nil {
			return nil, err
		}
		if output.Result != nil {
			return output.Result, nil
		}
	}
	return nil, errors.New("the session ended without a result")
}

// save writes pictures and files of res to the folder and notes the paths.
func save(ctx context.Context, sess python.Session, folder *show.Folder, res *python.Result) error {
	for i := range res.Images {
		path, err := folder.Picture(&res.Images[i])
		if err != nil {
			return err
		}
		res.Images[i] = strands.Media{MIME: res.Images[i].MIME, URI: path}
	}
	return saveFiles(ctx, sess, folder, res, func(string) {})
}

// saveFiles saves what can be had: code may have taken a file away again, or
// closed it, which is told and no reason to end.
func saveFiles(ctx context.Context, sess python.Session, folder *show.Folder, res *python.Result, saved func(path string)) error {
	filer, ok := sess.(python.Filer)
	if !ok || res == nil || res.StateLost {
		return nil
	}
	var kept []strands.File
	for _, f := range res.Files {
		path, err := saveFile(ctx, filer, folder, f.Name)
		if _, ok := errors.AsType[*unfetched](err); ok && ctx.Err() == nil {
			res.Warnings = append(res.Warnings, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		f.Name = path
		kept = append(kept, f)
		saved(path)
	}
	res.Files = kept
	return nil
}

// unfetched is a file that the session does not give.
type unfetched struct {
	name string
	err  error
}

func (e *unfetched) Error() string {
	return fmt.Sprintf("fetching %s from the session: %v", e.name, e.err)
}
func (e *unfetched) Unwrap() error { return e.err }

func saveFile(ctx context.Context, filer python.Filer, folder *show.Folder, name string) (path string, err error) {
	r, err := filer.ReadFile(ctx, name)
	if err != nil {
		return "", &unfetched{name, err}
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return folder.File(name, r)
}

func encoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// unavailable is the error of a session that could not be opened: a machine
// or an input that is not as it must be, so it is for the user to mend.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &exit{exitUsage, err}
}
