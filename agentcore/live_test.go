package agentcore_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/python/pythontest"
)

// TestLive asks AWS: the suite, and the life of a session. It needs
// credentials with the three actions of docs/agentcore.md, and costs some
// cents.
func TestLive(t *testing.T) {
	if !slices.Contains(strings.Split(os.Getenv("STRANDS_LIVE"), ","), "agentcore") {
		t.Skip("it costs money: STRANDS_LIVE=agentcore runs it")
	}
	t.Run("suite", func(t *testing.T) {
		pythontest.Test(t, func(*testing.T) python.Interpreter { return &agentcore.Interpreter{} },
			pythontest.Config{Processes: true, Figures: []string{}, Patience: 2 * time.Minute})
	})
	t.Run("life", func(t *testing.T) {
		s := open(t, &agentcore.Interpreter{SessionTimeout: time.Minute}, python.Options{InitializationCode: []string{"base = 2"}})
		for _, code := range []string{"x = base * 3", "assert x == 6"} {
			if res, err := run(t, s, code); err != nil || res.Err != nil {
				t.Fatalf("%+v %v", res, err)
			}
		}
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		if res, err := run(t, s, "'x' in globals(), base"); err != nil || res.Value != "(False, 2)" {
			t.Fatalf("after Reset: %+v %v", res, err)
		}
		time.Sleep(65 * time.Second) // the service's clock
		if res, err := run(t, s, "base"); err != nil || res.Value != "2" || !strings.Contains(res.Lost, "time to live") {
			t.Fatalf("after its time: %+v %v", res, err)
		}
	})
}
