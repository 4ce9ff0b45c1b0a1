package main

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestSmallest runs the smallest comparison there is.
func TestSmallest(t *testing.T) {
	peers := "exec"
	if runtime.GOOS == "linux" {
		peers = "namespaces,exec"
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-peers", peers, "-cases", "snippet,ready", "-samples", "3"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| case | " + strings.ReplaceAll(peers, ",", " | ") + " | goal", "| session ready, bare | ", "| trivial snippet | ", "×"} {
		if runtime.GOOS == "linux" && !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestChoice(t *testing.T) {
	if err := run(t.Context(), []string{"-peers", "jupiter"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "choose of namespaces") {
		t.Errorf("%v", err)
	}
}

func TestTable(t *testing.T) {
	text := (&table{columns: []column{{name: "ours"}, {name: "other"}, {name: "third"}}, rows: []row{
		{aCase: aCase{title: "time"}, cells: []cell{{samples: []float64{0.001, 0.002, 0.009}}, {samples: []float64{0.2}}, {skipped: "cannot"}}},
		{aCase: aCase{title: "bytes", bytes: true}, cells: []cell{{samples: []float64{4e6}}, {samples: []float64{2e9}}, {skipped: "cannot"}}},
		{aCase: aCase{title: "rate", rate: 1 << 30, goal: "fast"}, cells: []cell{{samples: []float64{1}}, {samples: []float64{4}}, {skipped: "other"}}},
	}}).markdown()
	for _, want := range []string{
		"| time | 2 ms (9 ms) | 200 ms (200 ms) ×100 | – [1] |", "| bytes | 4 MB | 2 GB ×500 | – [1] |",
		"| rate | 1 s (1 s) 1.07 GB/s | 4 s (4 s) 0.27 GB/s ×4 | – [2] | fast |", "1. third: cannot", "2. third: other",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
