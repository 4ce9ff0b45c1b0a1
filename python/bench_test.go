package python_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// report shows the median and the 99th percentile of times.
func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1000, "p99-µs")
}

func backends(b *testing.B, run func(b *testing.B, i python.Interpreter)) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	b.Run("exec", func(b *testing.B) { run(b, &python.Exec{Logger: logger}) })
	b.Run("sandboxed", func(b *testing.B) { run(b, &python.Sandboxed{Logger: logger}) })
}

func open(b *testing.B, i python.Interpreter, o python.Options) python.Session {
	b.Helper()
	b.Cleanup(func() { i.Close() })
	s, err := i.Open(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func exec(b *testing.B, s python.Session, code string) *python.Result {
	b.Helper()
	var res *python.Result
	for o, err := range s.Exec(b.Context(), code) {
		if err != nil {
			b.Fatal(err)
		}
		res = o.Result
	}
	if res.Err != nil {
		b.Fatal(res.Err)
	}
	return res
}

// BenchmarkExec is the round trip of a trivial snippet in a warm session.
func BenchmarkExec(b *testing.B) {
	backends(b, func(b *testing.B, i python.Interpreter) {
		s := open(b, i, python.Options{})
		for range 200 {
			exec(b, s, "y = 1")
		}
		var times []time.Duration
		for b.Loop() {
			began := time.Now()
			exec(b, s, "y = 1")
			times = append(times, time.Since(began))
		}
		report(b, times)
	})
}

// BenchmarkOpen is a session opened, used once and closed.
func BenchmarkOpen(b *testing.B) {
	backends(b, func(b *testing.B, i python.Interpreter) {
		exec(b, open(b, i, python.Options{}), "1")
		var times []time.Duration
		for b.Loop() {
			began := time.Now()
			s, err := i.Open(b.Context(), python.Options{})
			if err != nil {
				b.Fatal(err)
			}
			exec(b, s, "y = 1")
			times = append(times, time.Since(began))
			s.Close()
		}
		report(b, times)
	})
}

// BenchmarkHostCall is the round trip of one call of a Go function from
// Python, as Python sees it.
func BenchmarkHostCall(b *testing.B) {
	add := strands.NewTool("add", "Adds.", func(_ context.Context, in struct {
		A int `json:"a"`
		B int `json:"b"`
	}) (int, error) {
		return in.A + in.B, nil
	})
	backends(b, func(b *testing.B, i python.Interpreter) {
		s := open(b, i, python.Options{
			Limits:     python.Limits{HostCalls: -1},
			Namespaces: []python.Namespace{{Functions: []strands.Tool{add}}},
		})
		exec(b, s, "import time\ndef bench(n):\n    clock, times = time.perf_counter_ns, []\n    for _ in range(n):\n"+
			"        t = clock(); add(1, 2); times.append(clock() - t)\n    times.sort()\n    print(times[n // 2], times[n * 99 // 100])")
		exec(b, s, "bench(500)")
		const batch = 1000
		var res *python.Result
		for b.Loop() {
			res = exec(b, s, "bench("+strconv.Itoa(batch)+")")
		}
		var p50, p99 float64
		if _, err := fmt.Sscan(res.Stdout, &p50, &p99); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/batch, "µs/call")
		b.ReportMetric(p50/1000, "p50-µs")
		b.ReportMetric(p99/1000, "p99-µs")
	})
}

// BenchmarkBytes is 100 MB of bytes from Go to Python, and back.
func BenchmarkBytes(b *testing.B) {
	const size = 100_000_000
	data := make(python.Bytes, size)
	for i := range data {
		data[i] = byte(i)
	}
	get := strands.NewTool("get", "Gives.", func(context.Context, struct{}) (python.Bytes, error) { return data, nil })
	put := strands.NewTool("put", "Takes.", func(_ context.Context, in struct {
		Data python.Bytes `json:"data"`
	}) (int, error) {
		return len(in.Data), nil
	})
	backends(b, func(b *testing.B, i python.Interpreter) {
		s := open(b, i, python.Options{
			Limits:     python.Limits{HostCalls: -1},
			Namespaces: []python.Namespace{{Functions: []strands.Tool{get, put}}},
		})
		for name, code := range map[string]string{"to Python": "x = get()", "to Go": "n = put(x)"} {
			exec(b, s, "x = get()")
			b.Run(name, func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					exec(b, s, code)
				}
			})
		}
	})
}
