package python_test

import (
	"context"
	"iter"
	"testing"

	"github.com/strandsgo/strands"
)

// TestStreamEndsWithItsSnippet: a sequence that never looks at its ctx is asked
// for nothing once the snippet is over, however that came.
func TestStreamEndsWithItsSnippet(t *testing.T) {
	const most = 100_000
	for name, c := range map[string]struct {
		code  string
		fails bool
	}{
		"interrupted":     {"for n in numbers():\n    if n == 5: stop()", true},
		"left at the end": {"def some():\n    for n in numbers():\n        if n == 5: return\nsome()", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			after, left := 0, false
			s := openQuiet(t, strands.NewTool("numbers", "Counts.", func(call context.Context, _ struct{}) (iter.Seq[int], error) {
				return func(yield func(int) bool) {
					for n := 0; after < most; n++ {
						if call.Err() != nil {
							after++
						}
						if !yield(n) {
							left = true
							return
						}
					}
				}, nil
			}), strands.NewTool("stop", "Ends the run.", func(context.Context, struct{}) (string, error) { cancel(); return "", nil }))
			failed := false
			for event, err := range s.Exec(ctx, c.code) {
				failed = failed || err != nil || event.Result != nil && event.Result.Err != nil
			}
			if failed != c.fails {
				t.Errorf("failed: %v", failed)
			}
			if !left {
				t.Errorf("%d items were asked for after the end", after)
			}
			if succeed(t, s, "6 * 7").Value != "42" {
				t.Error("the session does not go on")
			}
		})
	}
}
