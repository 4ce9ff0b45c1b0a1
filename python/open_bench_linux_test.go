package python_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strandsgo/strands/python"
)

// BenchmarkOpenPandas is the time from Open to the first answer of a session
// with pandas loaded, of a warm backend: one after another, and from eight
// goroutines at once.
func BenchmarkOpenPandas(b *testing.B) {
	for name, clients := range map[string]int{"one": 1, "eight": 8} {
		b.Run(name, func(b *testing.B) { benchOpen(b, clients) })
	}
}

func benchOpen(b *testing.B, clients int) {
	i := &python.Sandboxed{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	o := python.Options{Libraries: []string{"*"}, Requirements: []string{"numpy", "pandas"}, Preload: []string{"numpy", "pandas"}}
	const first = "import numpy as np\nimport pandas as pd\npd.DataFrame({'a': [1]}).shape"
	s := open(b, i, o)
	exec(b, s, first)
	s.Close()
	var mu sync.Mutex
	var times []time.Duration
	var wg sync.WaitGroup
	began, spent := cpu(unix.RUSAGE_SELF), spentBelow(b)
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for n := c; n < b.N; n += clients {
				began := time.Now()
				s, err := i.Open(b.Context(), o)
				if err != nil {
					b.Error(err)
					return
				}
				for o, err := range s.Exec(b.Context(), first) {
					if err != nil || o.Result != nil && o.Result.Err != nil {
						b.Error(err)
					}
				}
				mu.Lock()
				times = append(times, time.Since(began))
				mu.Unlock()
				s.Close()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric((cpu(unix.RUSAGE_SELF)-began)*1000/float64(b.N), "ms-host")
	after := spentBelow(b)
	b.ReportMetric((after[0]-spent[0])*1000/float64(b.N), "ms-below")
	b.ReportMetric((after[1]-spent[1])/float64(b.N), "faults")
	report(b, times)
}

// spentBelow is the processor time in seconds of the processes that this one
// has started, and of those that they have waited for, and their page faults.
func spentBelow(b *testing.B) (sums [2]float64) {
	b.Helper()
	parents := map[string]bool{strconv.Itoa(os.Getpid()): true}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for range 2 { // the warm process, and the maker of keepers
		for _, path := range stats {
			data, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			text := string(data)
			f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
			pid := filepath.Base(filepath.Dir(path))
			if !parents[f[1]] || parents[pid] {
				continue
			}
			parents[pid] = true
			for i, at := range []int{7, 8, 11, 12, 13, 14} {
				n, _ := strconv.ParseFloat(f[at], 64)
				if i < 2 {
					sums[1] += n
				} else {
					sums[0] += n / 100
				}
			}
		}
	}
	return sums
}

// cpu is processor time in seconds.
func cpu(who int) float64 {
	var u unix.Rusage
	_ = unix.Getrusage(who, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
