package python

import (
	"context"
	"errors"
	"testing"

	"github.com/strandsgo/strands"
)

// TestParkedSnippetHasItsWholeTime: an answer ends the time that a question
// has, so that the next one has all of it; closing ends it too, since a timer
// holds all that the snippet has.
func TestParkedSnippetHasItsWholeTime(t *testing.T) {
	question := &strands.InterruptError{Interrupts: []strands.Interrupt{{ID: "1", Name: "sure"}}}
	asks := strands.NewTool("asks", "Asks.", func(context.Context, struct{}) (int, error) { return 0, question })
	s := openExec(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{asks}}}}).(*session)
	var log callLog
	ctx := log.watch(t.Context())
	_, _, err := execAll(ctx, s, "asks()")
	if _, ok := errors.AsType[*strands.InterruptError](err); !ok || s.parked == nil {
		t.Fatalf("the snippet does not wait: %v", err)
	}
	first := s.parked.expiry
	outputs, ok := s.resume(log.goOn(t.Context()))
	if !ok {
		t.Fatal("it does not go on")
	}
	if first.Stop() {
		t.Error("the time of the question runs on after the answer")
	}
	for _, err = range outputs {
	}
	if _, ok := errors.AsType[*strands.InterruptError](err); !ok || s.parked == nil {
		t.Fatalf("the snippet does not wait again: %v", err)
	}
	second := s.parked.expiry
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if second.Stop() {
		t.Error("the time of the question runs on after Close")
	}
}
