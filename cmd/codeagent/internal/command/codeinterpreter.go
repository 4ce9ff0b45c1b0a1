package command

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/agentcore/javascript"
	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/python"
)

// keysVariable holds access keys for the interpreter: ID:SECRET, with commas
// or line ends between them.
const keysVariable = "CODEAGENT_INTERPRETER_KEYS"

// interpreterFlags are those of codeagent interpreter.
type interpreterFlags struct {
	listen, keyFile      string
	isolation            choice
	toolkits, require    []string
	identifiers, hosts   []string
	memory, disk         size
	cpu, timeout         time.Duration
	life, maxLife        time.Duration
	sessions, perCaller  int
	grace                time.Duration
	noScripts, keepSpace bool
}

func newInterpreter(ctl *interrupts) *cobra.Command {
	var f interpreterFlags
	cmd := &cobra.Command{
		Use:   "interpreter",
		Short: "Serve sandboxed sessions by the protocol of AWS's AgentCore Code Interpreter",
		Long: "Serve Python, JavaScript, TypeScript and a shell in sandboxed sessions of this machine, by the protocol of Amazon\n" +
			"Bedrock AgentCore Code Interpreter: its clients need another endpoint, nothing else.\n\n" +
			"  codeagent interpreter --listen 127.0.0.1:8086\n" +
			"  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=http://127.0.0.1:8086 python my_agent.py\n\n" +
			"Requests must be signed with a key of $" + keysVariable + " (ID:SECRET, separated by commas) or of --keys. Without\n" +
			"keys every process of this machine may use the server, and it listens on loopback addresses only.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.serve(ctl, cmd) },
	}
	f.isolation = choice{of: []string{"namespaces", "filtered"}}
	fs := cmd.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8086", "address to listen on")
	fs.StringVar(&f.keyFile, "keys", "", "file of access keys, a line ID:SECRET each (beside $"+keysVariable+")")
	fs.Var(&f.isolation, "isolation", "demand namespaces or filtered; below namespaces there is Python only (default: the strongest there is)")
	fs.StringSliceVar(&f.toolkits, "toolkit", []string{"data", "viz"}, "libraries of the sessions: data (numpy, pandas, scipy), viz (matplotlib, seaborn)")
	fs.StringArrayVar(&f.require, "require", nil, "install another package as pip would, \"scikit-learn>=1.5\" (repeatable)")
	fs.StringSliceVar(&f.identifiers, "identifier", nil, "code interpreters that clients may name (default "+agentcore.SystemInterpreter+")")
	fs.StringSliceVar(&f.hosts, "host", nil, "names beside loopback ones that requests without keys may be addressed to")
	fs.Var(&f.memory, "memory", "address space of a session, like 2G (default 4G)")
	fs.Var(&f.disk, "disk", "size of a session's folders, like 512M (default 1G)")
	fs.DurationVar(&f.cpu, "cpu", 0, "processor time of a session (default 1h)")
	fs.DurationVar(&f.timeout, "timeout", 0, "of each call (default: as long as the session lives)")
	fs.DurationVar(&f.life, "session-timeout", 0, "life of a session whose start names none (default 15m)")
	fs.DurationVar(&f.maxLife, "max-session-timeout", 0, "longest life that a start may ask for (default 8h)")
	fs.IntVar(&f.sessions, "max-sessions", 0, "sessions open at once (default 256)")
	fs.IntVar(&f.perCaller, "max-sessions-per-key", 0, "sessions open at once of one access key (default: all)")
	fs.DurationVar(&f.grace, "grace", 30*time.Second, "how long calls may go on after Ctrl-C")
	fs.BoolVar(&f.noScripts, "no-javascript", false, "offer Python and the shell only")
	fs.BoolVar(&f.keepSpace, "keep-space", false, "return output as it was written (AWS removes white space at both ends)")
	complete(cmd, "isolation", f.isolation.of)
	complete(cmd, "toolkit", toolkitNames())
	return cmd
}

// newJavaScriptWorker is what a session starts, inside its sandbox.
func newJavaScriptWorker() *cobra.Command {
	return &cobra.Command{
		Use: "javascript-worker", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return javascript.Serve(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func (f *interpreterFlags) serve(ctl *interrupts, cmd *cobra.Command) error {
	cfg, err := f.config(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	server, err := agentcore.NewServer(*cfg)
	if err != nil {
		return err
	}
	if err := server.Prepare(ctl.ctx); err != nil {
		return errors.Join(unavailable(err), server.Close())
	}
	if len(cfg.Keys) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "codeagent: warning: there are no keys: every process of this machine may use this server; set $"+keysVariable)
	}
	if err := server.Serve(ctl.ctx, f.listen, f.grace); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "codeagent: stopped")
	return nil
}

func (f *interpreterFlags) config(errOut io.Writer) (*agentcore.ServerConfig, error) {
	p := pythonFlags{toolkits: f.toolkits, require: f.require, memory: f.memory, disk: f.disk, cpu: f.cpu, timeout: f.timeout}
	for name, d := range map[string]time.Duration{
		"timeout": f.timeout, "cpu": f.cpu, "session-timeout": f.life, "max-session-timeout": f.maxLife, "grace": f.grace,
	} {
		if d < 0 {
			return nil, usagef("--%s %v: give a duration like 30s", name, d)
		}
	}
	if f.sessions < 0 || f.perCaller < 0 {
		return nil, usagef("--max-sessions and --max-sessions-per-key take a number above 0")
	}
	env, err := p.environment(errOut)
	if err != nil {
		return nil, err
	}
	o := env.options
	o.Libraries = nil // everything may be imported
	if o.Progress == nil {
		o.Progress = func(s string) { fmt.Fprintln(errOut, "codeagent:", show.Clean(s)) }
	}
	cfg := &agentcore.ServerConfig{
		Level: python.Level(f.isolation.value), Options: o, Identifiers: f.identifiers, Hosts: f.hosts,
		SessionLife: f.life, MaxSessionLife: f.maxLife, MaxSessions: f.sessions, MaxSessionsPerCaller: f.perCaller,
		KeepSpace: f.keepSpace, Logger: slog.New(announcing{warnings{errOut}, errOut}),
	}
	if cfg.Keys, err = interpreterKeys(os.Getenv(keysVariable), f.keyFile); err != nil {
		return nil, err
	}
	if !f.noScripts && f.isolation.value != "filtered" {
		worker, err := workerProgram()
		if err != nil {
			return nil, err
		}
		cfg.JavaScript = []string{worker, "javascript-worker"}
	}
	return cfg, nil
}

// interpreterKeys reads keys from the environment and from a file. No error
// shows what is in them.
func interpreterKeys(variable, file string) ([]agentcore.Key, error) {
	lines := strings.FieldsFunc(variable, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' })
	if file != "" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, usagef("--keys: %w", err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			return nil, usagef("--keys %s: others can read it; chmod 600 %s", file, file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usagef("--keys: %w", err)
		}
		lines = append(lines, strings.Fields(string(text))...)
	}
	var keys []agentcore.Key
	for i, line := range lines {
		id, secret, ok := strings.Cut(line, ":")
		if !ok || id == "" || secret == "" {
			return nil, usagef("key %d is not of the form ID:SECRET", i+1)
		}
		keys = append(keys, agentcore.Key{ID: id, Secret: secret})
	}
	return keys, nil
}

// workerProgram is this program where a session can start it: a session's own
// folders would hide what lies in places like /tmp, where "go run" puts it.
func workerProgram() (string, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	hidden := false
	for _, dir := range []string{"/tmp/", "/work/", "/mnt/", "/proc/", "/dev/", "/sys/"} {
		hidden = hidden || strings.HasPrefix(exe, dir)
	}
	if !hidden {
		return exe, nil
	}
	cache := os.Getenv("STRANDS_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("a folder for the JavaScript worker: %w", err)
		}
		cache = filepath.Join(user, "strands")
	}
	return copyProgram(exe, filepath.Join(cache, "programs"))
}

// copyProgram puts a copy into dir, under a name that tells its contents, and
// removes those of other builds that are a day old.
func copyProgram(exe, dir string) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("copying this program to %s: %w", dir, err) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	in, err := os.Open(exe)
	if err != nil {
		return fail(err)
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(out.Name()) // fails when it was renamed
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	if err = errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return fail(err)
	}
	name := filepath.Join(dir, "codeagent-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if err := os.Rename(out.Name(), name); err != nil {
		return fail(err)
	}
	others, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, other := range others {
		if info, err := os.Stat(other); err == nil && other != name && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(other) // somebody else's to remove, then
		}
	}
	return name, nil
}

// announcing prints the address that is served, and warnings.
type announcing struct {
	warnings
	out io.Writer
}

func (a announcing) Enabled(context.Context, slog.Level) bool { return true }
func (a announcing) WithAttrs([]slog.Attr) slog.Handler       { return a }
func (a announcing) WithGroup(string) slog.Handler            { return a }
func (a announcing) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		return a.warnings.Handle(ctx, r)
	}
	address := ""
	r.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "address" {
			address = attr.Value.String()
		}
		return true
	})
	if r.Message != "serving" {
		return nil
	}
	_, err := fmt.Fprintf(a.out, "codeagent: code interpreter on http://%s\n", cmp.Or(address, "?"))
	return err
}
