package main_test

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

// BenchmarkExecCommand is a whole process, from its start to its end, that
// answers one snippet in the sandbox.
func BenchmarkExecCommand(b *testing.B) {
	run := func() time.Duration {
		begin := time.Now()
		out, err := exec.Command(binary, "exec", "-c", "print(2**10)").Output()
		if err != nil || string(out) != "1024\n" {
			b.Fatalf("%q, %v", out, err)
		}
		return time.Since(begin)
	}
	run() // the first one may unpack the interpreter
	var times []time.Duration
	for b.Loop() {
		times = append(times, run())
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(times[0].Microseconds())/1000, "ms-min")
}
