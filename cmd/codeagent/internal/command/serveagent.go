package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/agentcore"
)

// serveFlags are those of codeagent serve: those of run, and the server's.
type serveFlags struct {
	askFlags
	address  string
	grace    time.Duration
	idle     time.Duration
	sessions int
	body     size
	hosts    []string
}

func newServe(ctl *interrupts) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the agent by the contract of AWS's AgentCore Runtime",
		Long: "Serve the agent over HTTP, as Amazon Bedrock AgentCore Runtime demands it of a container:\n\n" +
			"  POST /invocations {\"prompt\": \"…\"}   answers with a JSON string, or with text as it comes (Accept: text/event-stream)\n" +
			"  GET  /ping                          answers {\"status\": \"Healthy\", …}\n" +
			"  GET  /ws                            a WebSocket: prompts in, text out\n\n" +
			"The header X-Amzn-Bedrock-AgentCore-Runtime-Session-Id names a conversation, which has a history and a Python\n" +
			"session of its own. SIGTERM or Ctrl-C lets running answers finish.",
		Example: "  codeagent serve --model anthropic/claude-sonnet-4-5 --toolkit data,viz --artifacts s3://bucket/pictures\n" +
			"  curl -d '{\"prompt\": \"What is 2 ** 10?\"}' 127.0.0.1:8080/invocations",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.serve(ctl, cmd) },
	}
	f.askFlags.add(cmd)
	for _, name := range []string{"out", "json"} { // of a terminal; --artifacts keeps what is to be kept
		if err := cmd.Flags().MarkHidden(name); err != nil {
			panic(err)
		}
	}
	fs := cmd.Flags()
	fs.StringVar(&f.address, "listen", defaultListen(), "address to listen on; in a container all of its addresses by default")
	fs.DurationVar(&f.grace, "grace", 30*time.Second, "how long answers may go on after SIGTERM or Ctrl-C")
	fs.DurationVar(&f.idle, "idle-timeout", 15*time.Minute, "after which a conversation that nobody uses is closed")
	fs.IntVar(&f.sessions, "max-sessions", 1000, "conversations open at once")
	fs.StringSliceVar(&f.hosts, "host", nil, "names beside loopback ones that requests may be addressed to when it listens on a loopback address")
	fs.Var(&f.body, "max-body", "size of a request, like 1M (default 100M)")
	return cmd
}

// defaultListen is a loopback address but in a container, whose network is its
// own.
func defaultListen() string {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(file); err == nil {
			return ":8080"
		}
	}
	if os.Getenv("DOCKER_CONTAINER") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return ":8080"
	}
	return "127.0.0.1:8080"
}

func (f *serveFlags) serve(ctl *interrupts, cmd *cobra.Command) (err error) {
	switch {
	case f.grace < 0 || f.idle <= 0:
		return usagef("--grace and --idle-timeout take durations like 30s")
	case f.sessions <= 0:
		return usagef("--max-sessions %d: give a number above 0", f.sessions)
	case cmd.Flags().Changed("out") || cmd.Flags().Changed("json"):
		return usagef("--out and --json are for a terminal; --artifacts says where pictures and files go")
	}
	t, err := f.prepare(cmd, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	errOut := cmd.ErrOrStderr()
	r := agentcore.NewRuntime(agentcore.RuntimeConfig{
		Agent: t.agent, MaxBody: int64(f.body), MaxSessions: f.sessions, IdleTimeout: f.idle, Hosts: f.hosts,
		Logger: slog.New(agentLog{warnings{errOut}}),
	})
	if err := r.Serve(ctl.ctx, f.address, f.grace); err != nil {
		return err
	}
	fmt.Fprintln(errOut, "codeagent: stopped")
	return nil
}

// agentLog prints the address that is served, and warnings.
type agentLog struct{ warnings }

func (l agentLog) Enabled(context.Context, slog.Level) bool { return true }
func (l agentLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		return l.warnings.Handle(ctx, r)
	}
	var err error
	r.Attrs(func(a slog.Attr) bool {
		if r.Message == "serving" && a.Key == "address" {
			_, err = fmt.Fprintf(l.w, "codeagent: the agent is on http://%s\n", a.Value)
		}
		return true
	})
	return err
}
