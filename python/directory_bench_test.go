package python_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// BenchmarkDirectory measures a call of a tool of a file, and a look at fifty
// files of which none has changed.
func BenchmarkDirectory(b *testing.B) {
	dir := b.TempDir()
	d := &python.Directory{Path: dir, Logger: quiet()}
	b.Cleanup(func() { d.Close() })
	for i := range 50 {
		source := fmt.Sprintf("from strands import tool\n@tool\ndef add%d(a: int, b: int = 1) -> int:\n    return a + b\n", i)
		name := fmt.Sprintf("t%d.py", i)
		put(b, dir, name, source)
		before := time.Now().Add(-time.Minute) // a file that is new is read, not only looked at
		if err := os.Chtimes(filepath.Join(dir, name), before, before); err != nil {
			b.Fatal(err)
		}
	}
	tools, err := d.Tools(b.Context())
	if err != nil || len(tools) != 50 {
		b.Fatalf("%d tools, %v", len(tools), err)
	}
	b.Run("call", func(b *testing.B) {
		var times []time.Duration
		for b.Loop() {
			began := time.Now()
			if _, err := tools[0].Call(b.Context(), &strands.ToolCall{ID: "x", Input: json.RawMessage(`{"a":1}`)}); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(began))
		}
		report(b, times)
	})
	b.Run("look", func(b *testing.B) {
		var times []time.Duration
		for b.Loop() {
			began := time.Now()
			if _, err := d.Tools(b.Context()); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(began))
		}
		report(b, times)
	})
}
