//go:build linux

package sandbox

import (
	"testing"
	"time"
)

// BenchmarkFork measures from asking for a session until it is confined and
// verified, and from closing it until it is dead and swept.
func BenchmarkFork(b *testing.B) {
	for _, level := range []Level{LevelNamespaces, LevelFiltered} {
		for _, cgroup := range []bool{true, false} {
			name := string(level)
			if !cgroup {
				name += "/no-cgroup"
			}
			b.Run(name, func(b *testing.B) {
				z := start(b, Config{Level: level, NoCgroup: !cgroup})
				var dying time.Duration
				for b.Loop() {
					p, err := z.Fork(b.Context(), SessionConfig{})
					if err != nil {
						b.Fatal(err)
					}
					begin := time.Now()
					if err := p.Close(); err != nil {
						b.Fatal(err)
					}
					dying += time.Since(begin)
				}
				b.ReportMetric(float64(dying.Microseconds())/float64(b.N), "close-µs/op")
			})
		}
	}
}

// BenchmarkStart measures a warm parent with nothing preloaded.
func BenchmarkStart(b *testing.B) {
	for _, level := range []Level{LevelNamespaces, LevelFiltered} {
		b.Run(string(level), func(b *testing.B) {
			for b.Loop() {
				z, err := Start(b.Context(), Config{Python: python(b), Worker: testWorker, Level: level})
				if err != nil {
					b.Fatal(err)
				}
				if err := z.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
