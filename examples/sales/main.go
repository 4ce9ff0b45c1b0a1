// Command sales is a data analyst that answers with Python that really runs,
// and with charts, over the contract of AgentCore Runtime.
//
//	SALES_MODEL=anthropic/claude-sonnet-4-5 S3_BUCKET=my-bucket go run ./examples/sales
//	go run ./examples/sales/invoke
//
// See README.md beside it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/models"
	_ "github.com/strandsgo/strands/python/embedded"
	"github.com/strandsgo/strands/strandstest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sales:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) (err error) {
	m, err := model(ctx, os.Getenv("SALES_MODEL"))
	if err != nil {
		return err
	}
	where, err := interpreter(os.Getenv("SALES_INTERPRETER"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, where.Close()) }()
	keeper := pictures(os.Getenv("S3_BUCKET"))
	if err := checkBucket(ctx, keeper); err != nil {
		fmt.Fprintln(os.Stderr, "sales: warning: pictures will be kept on this machine:", err)
	}
	agent, err := newAgent(m, where, keeper)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.Close()) }()
	runtime := agentcore.NewRuntime(agentcore.RuntimeConfig{Agent: agent})
	return runtime.Serve(ctx, cmp.Or(os.Getenv("SALES_LISTEN"), "127.0.0.1:8080"), 30*time.Second)
}

// model opens a model of a provider, or a script.
func model(ctx context.Context, name string) (strands.Model, error) {
	if file, ok := strings.CutPrefix(name, "scripted:"); ok {
		return strandstest.LoadScript(file)
	}
	return models.Open(ctx, name)
}

// empty is a file without content.
type empty struct{}

func (empty) Read([]byte) (int, error)       { return 0, io.EOF }
func (empty) Seek(int64, int) (int64, error) { return 0, nil }
