package python

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/sandbox"
	"github.com/strandsgo/strands/python/worker"
)

// LevelRemote is the level of a session that runs on another machine: nothing
// about it can be verified from here.
const LevelRemote Level = "remote"

// ErrSessionGone is what a Carrier's errors wrap when the remote session had
// ended before the request, which therefore has done nothing.
var ErrSessionGone = errors.New("the remote session has ended")

// Carrier is a session on another machine that can do no more than have a
// Python kernel run code and move files. Its methods are called one at a time,
// but for Close. One with a method Used(cpu time.Duration, memory int64) is
// told before Close what the worker has used, memory in bytes at the peak.
type Carrier interface {
	// Run has the kernel run code, which is this package's own, and returns
	// what it printed. The code prints a line of at most 64 KiB.
	Run(ctx context.Context, code string) (string, error)
	// Put writes a text file into the kernel's working folder, Get reads one.
	// They hold at most 32 MiB.
	Put(ctx context.Context, name, text string) error
	Get(ctx context.Context, name string) (string, error)
	// Expires is when the session will end by itself, and what to say of it;
	// the zero time = never.
	Expires() (time.Time, string)
	// Close ends the session. It is not bound to the context of any call.
	Close() error
}

// Remote is a backend for sessions on other machines: anything that can run
// code in a CPython of 3.10 or later, on a system with processes and Unix
// sockets. The worker runs there, beside the kernel, and its frames travel in
// what the kernel is given and prints. So everything works as it does at home:
// Go functions, streams, figures, files, interrupts. Each call of a Go function
// costs one trip to the kernel; see Carrier.
//
// A session begins with its first snippet. Reset ends it, and the next snippet
// begins another; one that ends by itself is replaced, which the next result
// tells. Options.Libraries, Requirements and Preload have no effect: what there
// is was installed there. Of Options.Limits those of disk, files and threads
// have none.
type Remote struct {
	// Dial begins a session.
	Dial   func(ctx context.Context, progress func(string)) (Carrier, error)
	Logger *slog.Logger // nil = slog.Default()

	open backend
}

// remoteTimings give an interrupt time to travel.
var remoteTimings = timings{again: 2 * time.Second, kill: 4 * time.Second, watch: 400 * time.Millisecond, looks: 5}

// Open implements Interpreter.
func (r *Remote) Open(ctx context.Context, o Options) (Session, error) {
	if len(o.Binds) > 0 {
		return nil, &strands.InputError{Field: "Binds", Reason: "a remote session cannot see folders of this machine; write the files into it"}
	}
	s, err := r.open.session(o, false)
	if err != nil {
		return nil, err
	}
	s.timings = remoteTimings
	s.launch = func(ctx context.Context, progress func(string)) (sandbox.Process, error) {
		return r.launch(ctx, s.opts.Limits, progress)
	}
	if len(o.Libraries)+len(o.Requirements) > 0 {
		logger := r.Logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.InfoContext(ctx, "python: Libraries and Requirements have no effect on a remote session: it has the packages installed there",
			"libraries", len(o.Libraries), "requirements", o.Requirements)
	}
	return s, nil
}

// Unguarded tells who writes a prompt that any module can be imported, and that
// there may be a network.
func (r *Remote) Unguarded() bool { return true }

// Close implements Interpreter.
func (r *Remote) Close() error { return r.open.close() }

// launch begins a session and starts the worker in it.
func (r *Remote) launch(ctx context.Context, l Limits, progress func(string)) (_ sandbox.Process, err error) {
	carrier, err := r.Dial(ctx, progress)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, carrier.Close())
		}
	}()
	var b [8]byte
	rand.Read(b[:]) // never fails
	token := hex.EncodeToString(b[:])
	code, err := bootCode(l, token)
	if err != nil {
		return nil, err
	}
	text, err := carrier.Run(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("python: starting the worker in the remote session: %w", err)
	}
	var begun struct {
		Work string `json:"work"`
	}
	if _, err := parseAnswer(text, token, &begun); err != nil {
		return nil, fmt.Errorf("python: starting the worker in the remote session, which must be able to start processes: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return startTunnel(carrier, token, begun.Work, out, in), nil
}

// bootCode is what the kernel runs first.
func bootCode(l Limits, token string) (string, error) {
	boot, err := bootMessage(sandbox.Python{}, workerCode(), l)
	if err != nil {
		return "", err
	}
	given, err := json.Marshal(map[string]any{"boot": json.RawMessage(boot[4:]), "bootstrap": bootstrap})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("_strands_%[1]s = {'__name__': 'strands_pump'}\n"+
		"exec(__import__('zlib').decompress(__import__('base64').b64decode('%[2]s')), _strands_%[1]s)\n"+
		"_strands_%[1]s['start']('%[3]s', '%[1]s')\n", token, packed([]byte(worker.Pump())), packed(given)), nil
}

func packed(b []byte) string {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = w.Write(b) // a buffer takes everything
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// parseAnswer finds the line of our own in what the kernel printed; the rest
// is not ours.
func parseAnswer(text, token string, v any) (rest string, err error) {
	before, after, ok := cutLast(text, token+"{")
	if !ok {
		return "", fmt.Errorf("the kernel said %q", clip(tail(text, 400), 500))
	}
	line, after, _ := cutLine(after)
	if err := json.Unmarshal([]byte("{"+line), v); err != nil {
		return "", fmt.Errorf("the kernel's answer was cut or changed: %w", err)
	}
	return before + after, nil
}
