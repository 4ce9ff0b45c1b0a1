//go:build linux

// Agentcore measures the self-hosted code interpreter through the AWS SDK for
// Go over loopback: starting sessions, running code, moving files, and many
// clients at once.
//
//	go run ./bench/agentcore
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
)

func main() {
	calls := flag.Int("calls", 2000, "executeCode calls to measure")
	starts := flag.Int("starts", 100, "session starts to measure")
	rounds := flag.Int("rounds", 5, "files of 100 MB each way")
	sessions := flag.Int("sessions", 200, "sessions open at once under load; 0 = no load")
	clients := flag.Int("clients", 50, "clients that share them")
	seconds := flag.Int("seconds", 60, "length of the load")
	flag.Parse()
	err := run(context.Background(), *calls, *starts, *rounds, *sessions, *clients, time.Duration(*seconds)*time.Second)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/agentcore:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, calls, starts, rounds, sessions, clients int, length time.Duration) (err error) {
	b, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.measureStarts(ctx, starts); err != nil {
		return fmt.Errorf("starting sessions: %w", err)
	}
	if err := b.measureCalls(ctx, calls); err != nil {
		return fmt.Errorf("running code: %w", err)
	}
	if err := b.measureFiles(ctx, rounds); err != nil {
		return fmt.Errorf("moving files: %w", err)
	}
	if sessions > 0 {
		return b.load(ctx, sessions, clients, length)
	}
	return nil
}

// newBench serves on loopback what the command line serves.
func newBench(ctx context.Context) (*bench, error) {
	key := agentcore.Key{ID: "AKIDBENCH", Secret: "bench"}
	announced := announcement(make(chan string, 1))
	server, err := agentcore.NewServer(agentcore.ServerConfig{
		Keys: []agentcore.Key{key}, Logger: slog.New(announced), MaxSessions: 1000,
		Options: python.Options{
			Requirements: []string{"numpy", "pandas", "scipy", "matplotlib", "seaborn"},
			Preload:      []string{"numpy", "pandas", "matplotlib.pyplot"},
			Progress:     func(s string) { fmt.Fprintln(os.Stderr, s) },
		},
	})
	if err != nil {
		return nil, err
	}
	if err := server.Prepare(ctx); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	b := &bench{server: server, key: key, stop: stop, served: make(chan error, 1)}
	go func() { b.served <- server.Serve(ctx, "127.0.0.1:0", 10*time.Second) }()
	b.endpoint = "http://" + <-announced
	return b, nil
}

// announcement hands on the address that a server logs.
type announcement chan string

func (announcement) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (a announcement) WithAttrs([]slog.Attr) slog.Handler         { return a }
func (a announcement) WithGroup(string) slog.Handler              { return a }
func (a announcement) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		fmt.Fprintln(os.Stderr, r.Message)
		return nil
	}
	r.Attrs(func(at slog.Attr) bool {
		if r.Message == "serving" {
			a <- at.Value.String()
		}
		return false
	})
	return nil
}
