package agentcore_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/python"
)

// BenchmarkInterpreter is what the way to a session costs, over loopback and
// with the time that a request to a service far away takes.
func BenchmarkInterpreter(b *testing.B) {
	box := &python.Sandboxed{Processes: true, Logger: slog.New(slog.DiscardHandler)}
	defer box.Close()
	s, err := agentcore.NewServer(agentcore.ServerConfig{Interpreter: box, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer func() {
		server.Close()
		_ = s.Close()
	}()
	add := strands.NewTool("add", "Adds.", func(_ context.Context, in struct{ A, B int }) (int, error) { return in.A + in.B, nil })
	i := &agentcore.Interpreter{Endpoint: server.URL, Logger: slog.New(slog.DiscardHandler)}
	defer i.Close()
	sess, err := i.Open(b.Context(), python.Options{Namespaces: []python.Namespace{{Functions: []strands.Tool{add}}}, Limits: python.Limits{HostCalls: -1}})
	if err != nil {
		b.Fatal(err)
	}
	defer sess.Close()
	do := func(b *testing.B, code string) {
		for o, err := range sess.Exec(b.Context(), code) {
			if err != nil || o.Result != nil && o.Result.Err != nil {
				b.Fatal(err, o.Result)
			}
		}
	}
	do(b, "1")
	b.Run("snippet", func(b *testing.B) {
		measure(b, func() { do(b, "1") })
	})
	b.Run("host call", func(b *testing.B) {
		measure(b, func() { do(b, "add(a=1, b=2)") })
	})
	b.Run("host call, one of 100", func(b *testing.B) {
		for b.Loop() {
			do(b, "for n in range(100): add(a=n, b=2)")
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/call")
	})
	b.Run("100 host calls at once", func(b *testing.B) {
		for b.Loop() {
			do(b, "import asyncio\nawait asyncio.gather(*[add.aio(a=n, b=2) for n in range(100)])\nNone")
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/call")
	})
	b.Run("start and stop", func(b *testing.B) {
		measure(b, func() {
			do(b, "1")
			if err := sess.Reset(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	})
	for _, size := range []int{10 << 20, 100 << 20} {
		data := strings.Repeat("0123456789abcdef", size/16)
		b.Run(fmt.Sprintf("write %d MiB", size>>20), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := sess.(python.Filer).WriteFile(b.Context(), "big", strings.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// measure reports the median too.
func measure(b *testing.B, f func()) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		f()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs")
}
