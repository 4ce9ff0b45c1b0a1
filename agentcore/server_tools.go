package agentcore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// run carries out a tool that has been checked. The caller has the turn.
func (k *kernel) run(ctx context.Context, r *toolRequest, s *Server) (*toolResult, error) {
	a := r.Arguments
	switch r.Name {
	case toolExecuteCode:
		return k.executeCode(ctx, a, s.cfg.KeepSpace)
	case toolWriteFiles:
		return k.writeFiles(ctx, a.Content)
	case toolReadFiles:
		return k.readFiles(ctx, a.Paths, s)
	}
	return nil, unexpected("%s is not there yet", r.Name)
}

func (k *kernel) executeCode(ctx context.Context, a *arguments, keepSpace bool) (*toolResult, error) {
	res, err := k.exec(ctx, *a.Code)
	if err != nil {
		return nil, err
	}
	return resultOf(res, keepSpace), nil
}

// exec runs Python. The interpreter's end is an error, because what the
// session was told before is gone.
func (k *kernel) exec(ctx context.Context, code string) (*python.Result, error) {
	for o, err := range k.python.Exec(ctx, code) {
		if err != nil {
			return nil, err
		}
		if o.Result == nil {
			continue
		}
		if o.Result.StateLost && (o.Result.Err != nil && o.Result.Err.Type == "InterpreterLost") {
			return nil, unexpected("%s; the session goes on, without its variables and files", o.Result.Lost)
		}
		return o.Result, nil
	}
	return nil, errors.New("the interpreter gave no result")
}

// resultOf words the result of a snippet as a code interpreter does.
func resultOf(res *python.Result, keepSpace bool) *toolResult {
	o := &outcome{stdout: res.Stdout, stderr: res.Stderr, seconds: res.Duration.Seconds()}
	if res.Value != "" {
		o.stdout = joinLines(o.stdout, res.Value)
	}
	if res.Err != nil {
		o.exitCode = exitCode(res.Err)
		if res.Err.Type != "SystemExit" {
			trace := res.Err.Traceback
			if trace == "" {
				trace = res.Err.Error()
			}
			o.stderr = joinLines(o.stderr, trace)
		}
	}
	if !keepSpace {
		o.stdout = strings.TrimSpace(o.stdout)
	}
	text := o.stdout
	if o.exitCode != 0 {
		text = joinLines(text, o.stderr)
	}
	r := &toolResult{blocks: []block{{text: &text}}, outcome: o, failed: o.exitCode != 0}
	for _, image := range res.Images {
		r.blocks = append(r.blocks, block{picture: image.Data})
	}
	return r
}

// exitCode is the status that a program ending by err would have.
func exitCode(err *python.Exception) int {
	if err.Type != "SystemExit" {
		return 1
	}
	switch n, parseErr := strconv.ParseInt(err.Message, 10, 64); {
	case err.Message == "" || err.Message == "None":
		return 0
	case parseErr != nil || n < math.MinInt32 || n > math.MaxInt32:
		return 1
	default:
		return int(n)
	}
}

func joinLines(a, b string) string {
	if a == "" || b == "" || strings.HasSuffix(a, "\n") {
		return a + b
	}
	return a + "\n" + b
}

// filer is the session's way to its files.
func (k *kernel) filer() (python.Filer, error) {
	f, ok := k.python.(python.Filer)
	if !ok {
		return nil, unexpected("the sessions of this server have no files")
	}
	return f, nil
}

func (k *kernel) writeFiles(ctx context.Context, files []inputFile) (*toolResult, error) {
	filer, err := k.filer()
	if err != nil {
		return nil, err
	}
	for i := range files {
		f := &files[i]
		if err := filer.WriteFile(ctx, *f.Path, strings.NewReader(f.data())); err != nil {
			if sessionFailed(ctx, err) {
				return nil, err
			}
			return said(fmt.Sprintf("%s was not written: %v", *f.Path, err), true), nil
		}
	}
	return said(fmt.Sprintf("Successfully wrote all %d files", len(files)), false), nil
}

// sessionFailed tells an end of the session from a file that cannot be had.
func sessionFailed(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, strands.ErrClosed) || errors.Is(err, python.ErrBusy)
}

func (k *kernel) readFiles(ctx context.Context, paths []string, s *Server) (*toolResult, error) {
	filer, err := k.filer()
	if err != nil {
		return nil, err
	}
	r := &toolResult{}
	for _, p := range paths {
		f, err := readFile(ctx, filer, p)
		if err != nil {
			if sessionFailed(ctx, err) {
				return nil, err
			}
			return said(fmt.Sprintf("%s cannot be read: %v", p, err), true), nil
		}
		r.blocks = append(r.blocks, block{file: f})
	}
	return r, nil
}

func readFile(ctx context.Context, filer python.Filer, p string) (*outputFile, error) {
	in, err := filer.ReadFile(ctx, p)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	return &outputFile{path: p, mime: mimeOf(p), data: data, isText: utf8.Valid(data)}, nil
}
func mimeOf(string) string { return "text/plain" }
