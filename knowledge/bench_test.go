package knowledge_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/knowledge"
)

// synthetic writes a bundle of n concepts of 180 words, as rare and as frequent
// as words are, and returns words to ask for.
func synthetic(b *testing.B, n int) (dir string, vocabulary []string) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for range 30_000 {
		w := ""
		for range 2 + r.IntN(3) {
			w += string("bcdfghklmnprstvz"[r.IntN(16)]) + string("aeiou"[r.IntN(5)])
		}
		vocabulary = append(vocabulary, w)
	}
	zipf := rand.NewZipf(r, 1.1, 10, uint64(len(vocabulary)-1))
	words := func(n int) string {
		var s strings.Builder
		for range n {
			s.WriteString(vocabulary[zipf.Uint64()] + " ")
		}
		return s.String()
	}
	dir = b.TempDir()
	for i := range n {
		folder := filepath.Join(dir, fmt.Sprintf("g%03d", i/1000), fmt.Sprintf("s%d", i/100%10))
		if i%100 == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		text := fmt.Sprintf("---\ntype: Section\ntitle: %s\ndescription: %s\n---\n\n", words(3), words(9))
		for range 14 {
			text += words(12) + "\n"
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("c%06d.md", i)), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir, vocabulary
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir, vocabulary := synthetic(b, n)
			bundle, err := knowledge.Open(b.Context(), dir, knowledge.Options{CacheDir: "-"})
			if err != nil {
				b.Fatal(err)
			}
			defer bundle.Close()
			r := rand.New(rand.NewPCG(3, 4))
			ask := func() string {
				q := "how do I"
				for range 3 {
					q += " " + vocabulary[r.IntN(2000)]
				}
				return q
			}
			if _, err := bundle.Find(b.Context(), ask(), knowledge.FindOptions{}); err != nil {
				b.Fatal(err)
			}
			var took, used []time.Duration
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				began, before := time.Now(), threadTime()
				if _, err := bundle.Find(b.Context(), ask(), knowledge.FindOptions{}); err != nil {
					b.Fatal(err)
				}
				used, took = append(used, threadTime()-before), append(took, time.Since(began))
			}
			slices.Sort(took)
			slices.Sort(used)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
			b.ReportMetric(used[len(used)*99/100].Seconds()*1e3, "p99-cpu-ms")
		})
	}
}

// BenchmarkOpen opens a bundle that was opened before.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir, _ := synthetic(b, n)
			o := knowledge.Options{CacheDir: b.TempDir()}
			began := time.Now()
			first, err := knowledge.Open(b.Context(), dir, o)
			if err != nil {
				b.Fatal(err)
			}
			first.Close()
			cold := time.Since(began)
			for b.Loop() {
				bundle, err := knowledge.Open(b.Context(), dir, o)
				if err != nil {
					b.Fatal(err)
				}
				bundle.Close()
			}
			b.ReportMetric(cold.Seconds()*1e3, "first-ms")
		})
	}
}
