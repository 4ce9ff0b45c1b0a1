package agentcore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore/javascript"
	"github.com/strandsgo/strands/python"
)

// offers says why a tool cannot be had of this server; nil = it can.
func (k *kernelSettings) offers(r *toolRequest) error {
	switch a := r.Arguments; {
	case r.Name == toolExecuteCode && *a.Language != "python":
		if !k.programs || k.javascript == nil {
			return invalid("language", "this server runs Python only: %s", k.why())
		}
	case r.Name == toolExecuteCommand, r.Name == toolStartCommand, r.Name == toolGetTask, r.Name == toolStopTask:
		if !k.programs {
			return invalid("name", "this server has no %s: %s", r.Name, k.why())
		}
	}
	return nil
}

func (k *kernelSettings) why() string {
	if !k.programs {
		return "its sessions cannot start programs, which takes the isolation level \"namespaces\""
	}
	return "it was started without a JavaScript worker"
}

// run carries out a tool that has been checked. The caller has the turn.
func (k *kernel) run(ctx context.Context, r *toolRequest) (*toolResult, error) {
	a := r.Arguments
	switch r.Name {
	case toolExecuteCode:
		return k.executeCode(ctx, a)
	case toolExecuteCommand:
		return k.result(k.call(ctx, "command", *a.Command))
	case toolReadFiles:
		return k.readFiles(ctx, a.Paths)
	case toolListFiles:
		return k.listFiles(ctx, a.Directory)
	case toolRemoveFiles:
		return k.removeFiles(ctx, a.Paths)
	case toolWriteFiles:
		return k.writeFiles(ctx, a.Content)
	case toolStartCommand:
		k.tasks++
		id := fmt.Sprintf("task-%d", k.tasks)
		return k.task(ctx, id, "start", id, *a.Command)
	case toolGetTask:
		return k.task(ctx, *a.Task, "task", *a.Task, false)
	case toolStopTask:
		return k.task(ctx, *a.Task, "task", *a.Task, true)
	}
	return nil, unexpected("no tool %s", r.Name)
}

func (k *kernel) executeCode(ctx context.Context, a *arguments) (*toolResult, error) {
	if *a.Language != "python" { // which has no context that could be cleared
		request, err := json.Marshal(javascript.Request{Code: *a.Code, Typed: *a.Language == "typescript"})
		if err != nil {
			return nil, err
		}
		return k.result(k.call(ctx, "script", k.settings.javascript, string(request)))
	}
	if a.Clear {
		if res, err := k.call(ctx, "clear"); err != nil || res.Err != nil {
			return k.result(res, err)
		}
	}
	return k.result(k.exec(ctx, *a.Code))
}

// result words the result of a snippet as a code interpreter does.
func (k *kernel) result(res *python.Result, err error) (*toolResult, error) {
	if err != nil {
		return nil, err
	}
	o := &outcome{stdout: res.Stdout, stderr: res.Stderr, seconds: res.Duration.Seconds()}
	if res.StateLost {
		o.stderr = joinLines(o.stderr, "variables and files are gone, "+res.Lost)
	}
	if res.Value != "" {
		o.stdout = joinLines(o.stdout, res.Value)
	}
	if res.Err != nil {
		o.exitCode = exitCode(res.Err)
		if res.Err.Type != "SystemExit" {
			trace := res.Err.Traceback
			if !strings.Contains(trace, res.Err.Message) {
				trace = joinLines(trace, res.Err.Error())
			}
			o.stderr = joinLines(o.stderr, trace)
		} else if o.exitCode != 0 && o.stderr == "" && o.exitCode == 1 && res.Err.Message != "1" {
			o.stderr = res.Err.Message // sys.exit("why")
		}
	}
	if !k.settings.keepSpace {
		o.stdout = strings.TrimSpace(o.stdout)
	}
	text := o.stdout
	if o.exitCode != 0 {
		text = joinLines(text, o.stderr)
	}
	r := &toolResult{blocks: []block{{text: &text}}, outcome: o, failed: o.exitCode != 0}
	if strings.Contains(o.stdout, pngInText) {
		return r, nil
	}
	for _, image := range res.Images {
		r.blocks = append(r.blocks, block{picture: image.Data})
	}
	return r, nil
}

// pngInText is how a PNG begins in base64. Code that prints one brings its
// pictures home by itself, as all code written for AWS does, where results
// have no pictures; its clients often cannot take one, because they write
// results as JSON.
const pngInText = "iVBORw0KGgo"

func joinLines(a, b string) string {
	if a == "" || b == "" || strings.HasSuffix(a, "\n") {
		return a + b
	}
	return a + "\n" + b
}

// task calls the function of the session's module that tells of a task.
func (k *kernel) task(ctx context.Context, id, function string, args ...any) (*toolResult, error) {
	var told struct {
		Status         string `json:"status"`
		Stdout, Stderr string
		ExitCode       *int    `json:"exitCode"`
		Seconds        float64 `json:"seconds"`
	}
	failed, err := k.ask(ctx, &told, function, args...)
	if err != nil {
		return nil, err
	}
	if failed != "" {
		return said(failed, true), nil
	}
	o := &outcome{task: id, status: told.Status, stdout: told.Stdout, stderr: told.Stderr, seconds: told.Seconds, running: told.ExitCode == nil}
	if told.ExitCode != nil {
		o.exitCode = *told.ExitCode
	}
	text := fmt.Sprintf("%s: %s", id, told.Status)
	return &toolResult{blocks: []block{{text: &text}}, outcome: o, failed: told.Status == "failed"}, nil
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
		if err := filer.WriteFile(ctx, *f.Path, f.reader()); err != nil {
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

func (k *kernel) readFiles(ctx context.Context, paths []string) (*toolResult, error) {
	filer, err := k.filer()
	if err != nil {
		return nil, err
	}
	r := &toolResult{}
	for _, p := range paths {
		f, err := k.readFile(ctx, filer, p, r)
		if err == nil {
			r.blocks = append(r.blocks, block{file: f})
			continue
		}
		r.release()
		if _, ok := errors.AsType[*apiError](err); ok || sessionFailed(ctx, err) {
			return nil, err
		}
		return said(fmt.Sprintf("%s cannot be read: %v", p, err), true), nil
	}
	return r, nil
}

// readFile reads one file. The memory that a large one takes, raw and encoded,
// is waited for, and r gives it back.
func (k *kernel) readFile(ctx context.Context, filer python.Filer, p string, r *toolResult) (*outputFile, error) {
	in, err := filer.ReadFile(ctx, p)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	file, onDisk := in.(interface{ Stat() (fs.FileInfo, error) })
	if !onDisk { // which is how long ones come
		data, err := io.ReadAll(in)
		return &outputFile{path: p, mime: mimeOf(p), data: data, isText: utf8.Valid(data)}, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	need := 5 * info.Size() / 2
	if info.Size() > maxInline || r.taken+need > k.settings.maxTransfer/2 {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are sent at once", info.Size(), maxInline)
	}
	if err := k.settings.transfer.Acquire(ctx, need); err != nil {
		return nil, err
	}
	r.taken += need
	r.transfer = k.settings.transfer
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, err
	}
	return &outputFile{path: p, mime: mimeOf(p), data: data, isText: utf8.Valid(data)}, nil
}

func (k *kernel) listFiles(ctx context.Context, directory *string) (*toolResult, error) {
	where := ""
	if directory != nil {
		where = *directory
	}
	var entries []listedFile
	failed, err := k.ask(ctx, &entries, "listing", where)
	if err != nil {
		return nil, err
	}
	if failed != "" {
		return said(failed, true), nil
	}
	r := &toolResult{}
	for i := range entries {
		entries[i].MIME = mimeOf(entries[i].Name)
		r.blocks = append(r.blocks, block{link: &entries[i]})
	}
	return r, nil
}

func (k *kernel) removeFiles(ctx context.Context, paths []string) (*toolResult, error) {
	var kept []string
	failed, err := k.ask(ctx, &kept, "remove", paths)
	if err != nil {
		return nil, err
	}
	switch {
	case failed != "":
		return said(failed, true), nil
	case len(kept) > 0:
		return said(fmt.Sprintf("Removed %d of %d; not removed: %s", len(paths)-len(kept), len(paths), strings.Join(kept, "; ")), true), nil
	}
	return said(fmt.Sprintf("Successfully removed all %d files", len(paths)), false), nil
}

// mimeOf is the type that a file's name stands for.
func mimeOf(name string) string {
	if t, ok := fileTypes[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	if t, _, err := mime.ParseMediaType(mime.TypeByExtension(path.Ext(name))); err == nil {
		return t
	}
	return "application/octet-stream"
}

// fileTypes are those that data analysis makes, which tables of the machine
// often lack.
var fileTypes = map[string]string{
	".csv": "text/csv", ".tsv": "text/tab-separated-values", ".txt": "text/plain", ".md": "text/markdown", ".py": "text/x-python",
	".ts": "text/x-typescript", ".json": "application/json", ".jsonl": "application/jsonl", ".yaml": "application/yaml",
	".parquet": "application/vnd.apache.parquet", ".png": "image/png", ".pdf": "application/pdf", ".zip": "application/zip",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".log": "text/plain", ".sh": "text/x-shellscript",
}
