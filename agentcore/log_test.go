package agentcore_test

import (
	"context"
	"log/slog"
)

// addresses hands on the address that a runtime logs when it serves.
type addresses struct{ c chan string }

func newLog() (*slog.Logger, <-chan string) {
	a := addresses{make(chan string, 1)}
	return slog.New(a), a.c
}

func (a addresses) Enabled(context.Context, slog.Level) bool { return true }
func (a addresses) WithAttrs([]slog.Attr) slog.Handler       { return a }
func (a addresses) WithGroup(string) slog.Handler            { return a }
func (a addresses) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "serving" {
		r.Attrs(func(at slog.Attr) bool {
			a.c <- at.Value.String()
			return false
		})
	}
	return nil
}
