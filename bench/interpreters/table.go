package main

import (
	"fmt"
	"math"
	"os"
	osexec "os/exec"
	"runtime"
	"strings"
	"time"
)

// table is what was measured.
type table struct {
	columns []column
	rows    []row
}

type row struct {
	aCase
	cells []cell
}

// cell is one peer's samples, sorted.
type cell struct {
	samples []float64
	skipped string
}

// at is the sample below which the share p of them lies.
func (c cell) at(p float64) float64 {
	i := int(math.Ceil(p*float64(len(c.samples)))) - 1
	return c.samples[min(max(i, 0), len(c.samples)-1)]
}

// markdown is the table: median, 99th percentile, and how many times the
// median of the first column it is.
func (t *table) markdown() string {
	var b, notes strings.Builder
	b.WriteString("| case |")
	for _, c := range t.columns {
		b.WriteString(" " + c.name + " |")
	}
	b.WriteString(" goal of ours |\n|---|" + strings.Repeat("---|", len(t.columns)) + "---|\n")
	known := map[string]int{}
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s |", r.title)
		for i, c := range r.cells {
			if len(c.samples) == 0 {
				why := t.columns[i].name + ": " + c.skipped
				if known[why] == 0 {
					known[why] = len(known) + 1
					fmt.Fprintf(&notes, "\n%d. %s", known[why], why)
				}
				fmt.Fprintf(&b, " – [%d] |", known[why])
				continue
			}
			b.WriteString(" " + r.word(c))
			if first := r.cells[0]; i > 0 && len(first.samples) > 0 {
				fmt.Fprintf(&b, " ×%s", ratio(c.at(0.5)/first.at(0.5)))
			}
			b.WriteString(" |")
		}
		fmt.Fprintf(&b, " %s |\n", r.goal)
	}
	b.WriteString("\nMedian (99th percentile) ×ratio to the first column.\n")
	if notes.Len() > 0 {
		b.WriteString(notes.String() + "\n")
	}
	return b.String()
}

// word is a cell's figures.
func (r row) word(c cell) string {
	if r.bytes {
		return size(c.at(0.5))
	}
	text := fmt.Sprintf("%s (%s)", span(c.at(0.5)), span(c.at(0.99)))
	if r.rate > 0 {
		text += fmt.Sprintf(" %.2f GB/s", float64(r.rate)/c.at(0.5)/1e9)
	}
	return text
}

func span(seconds float64) string {
	switch {
	case seconds < 1e-6:
		return fmt.Sprintf("%.2f µs", seconds*1e6)
	case seconds < 1e-3:
		return fmt.Sprintf("%.3g µs", seconds*1e6)
	case seconds < 1:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	}
	return fmt.Sprintf("%.3g s", seconds)
}

func size(bytes float64) string {
	switch {
	case bytes < 1e6:
		return fmt.Sprintf("%.3g kB", bytes/1e3)
	case bytes < 1e9:
		return fmt.Sprintf("%.3g MB", bytes/1e6)
	}
	return fmt.Sprintf("%.3g GB", bytes/1e9)
}

func ratio(r float64) string {
	if r < 0.01 || r >= 1000 {
		return fmt.Sprintf("%.1g", r)
	}
	return fmt.Sprintf("%.3g", r)
}

// machine is one paragraph about where the figures come from.
func machine(columns []column) string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := ""
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(data))
	}
	load := "unknown"
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Join(strings.Fields(string(data))[:3], " ")
	}
	text := fmt.Sprintf("%s: %s, %d processors, %s %s, load %s at the end, %s.", time.Now().Format(time.DateOnly), model,
		runtime.NumCPU(), runtime.GOOS, kernel, load, runtime.Version())
	for _, c := range columns {
		if p, ok := c.peer.(*program); ok {
			text += " Peers: " + strings.Join(peerPackages, ", ") + " on the same CPython as ours, " + pyodide
			if out, err := osexec.Command("node", "--version").Output(); err == nil && p.from.node != "" {
				text += " on Node " + strings.TrimSpace(string(out))
			}
			return text + ".\n"
		}
	}
	return text + "\n"
}
