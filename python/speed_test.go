package python_test

import (
	"fmt"
	osexec "os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/strandsgo/strands/python"
)

// pure is processor-bound Python without libraries; it prints its own time.
const pure = `
import time
def work():
    total, seen = 0, {}
    for i in range(300_000):
        total += i * i % 7
        seen[i % 1000] = total
    return sorted(seen.values())[0]
begin = time.perf_counter()
work()
print(time.perf_counter() - begin)
`

// BenchmarkPurePython compares processor-bound code in a session with the same
// interpreter started by hand, in turn, so that the machine's moods hit both.
func BenchmarkPurePython(b *testing.B) {
	backends(b, func(b *testing.B, i python.Interpreter) {
		s := open(b, i, python.Options{Libraries: []string{"*"}})
		bare := strings.Trim(exec(b, s, "import sys; sys.executable").Value, "'")
		var ratios, seconds []float64
		for b.Loop() {
			inside := parse(b, exec(b, s, pure).Stdout)
			out, err := osexec.Command(bare, "-I", "-S", "-B", "-c", pure).Output()
			if err != nil {
				b.Fatal(err)
			}
			seconds = append(seconds, inside)
			ratios = append(ratios, inside/parse(b, string(out)))
		}
		slices.Sort(ratios)
		slices.Sort(seconds)
		b.ReportMetric(ratios[len(ratios)/2], "times-bare-p50")
		b.ReportMetric(seconds[len(seconds)/2]*1000, "ms-p50")
	})
}

func parse(b *testing.B, s string) float64 {
	b.Helper()
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		b.Fatal(fmt.Errorf("%q: %w", s, err))
	}
	return f
}
