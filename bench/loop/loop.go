// Command loop measures what a cycle of the agent loop costs and what a
// session of 1,000 messages takes of memory, in Go and in the Python SDK, with
// the same scripted model, in one run:
//
//	go run ./bench/loop
//
// A cycle is a model call that answers with a tool call, the tool and the
// events of both; the model and the tool themselves do next to nothing. The
// session consists of questions that each take one tool call, unless a flag
// says otherwise. Each side is a process of its own, which measures itself.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/pythonsdk"
)

//go:embed loop.py
var program string

const (
	turns    = 20   // cycles of a run
	runs     = 16   // of which the fastest half counts
	messages = 1000 // of a session whose memory is measured
	sessions = 10   // measured together
	text     = "It is sunny in Oslo, as it was yesterday, and the wind comes from the west at 3 m/s."
)

// figures are what one side measures.
type figures struct {
	Cycle   float64 `json:"cycle"`   // µs
	Session float64 `json:"session"` // KiB of resident memory
	Version string  `json:"version"`
}

func main() {
	side := flag.String("side", "", "measure this side only and print JSON: go")
	each := flag.Int("session-cycles", 2, "cycles of each question of the session whose memory is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *side, *each); err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, side string, each int) error {
	if side == "go" {
		f, err := measure(ctx, each)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(f)
	}
	sdk, err := pythonsdk.Install(ctx, func(s string) { fmt.Fprintln(os.Stderr, s) })
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{strconv.Itoa(turns), strconv.Itoa(runs), strconv.Itoa(messages), strconv.Itoa(sessions), text, strconv.Itoa(each)}
	ours := exec.CommandContext(ctx, self, "-side", "go", "-session-cycles", strconv.Itoa(each))
	ours.Stderr = os.Stderr
	theirs := sdk.Command(ctx, nil, append([]string{"-c", program}, args...)...)
	a, err := read(ours)
	if err != nil {
		return err
	}
	b, err := read(theirs)
	if err != nil {
		return err
	}
	fmt.Printf("%-28s %14s %14s %8s\n", "", a.Version, "Python "+b.Version, "ratio")
	fmt.Printf("%-28s %11.1f µs %11.1f µs %8s\n", "loop, per cycle", a.Cycle, b.Cycle, fmt.Sprintf("1/%.0f", b.Cycle/a.Cycle))
	fmt.Printf("%-28s %10.0f KiB %10.0f KiB %8s\n", fmt.Sprintf("session of %d messages", messages), a.Session, b.Session, fmt.Sprintf("1/%.1f", b.Session/a.Session))
	return nil
}

func read(cmd *exec.Cmd) (f figures, err error) {
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	if err != nil {
		return f, fmt.Errorf("measuring with %s: %w", cmd.Path, err)
	}
	return f, nil
}

// scripted is a model that calls the tool until it was asked so many times, and
// then says something.
type scripted int

func (turns scripted) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		calls := 0
		for _, m := range slices.Backward(req.Messages) {
			if m.Role == strands.User && len(m.ToolResults()) == 0 {
				break
			}
			calls += len(m.ToolCalls())
		}
		var acc strands.Accumulator
		r := &strands.Reply{StopReason: strands.StopEndTurn, Usage: strands.Usage{Input: 100, Output: 20}}
		deltas := []strands.Delta{{Text: text[:40]}, {Text: text[40:]}}
		if calls < int(turns)-1 {
			id := fmt.Sprintf("call-%d-%d", len(req.Messages), calls)
			deltas = []strands.Delta{{ToolCall: &strands.ToolCallDelta{ID: id, Name: "weather", Input: `{"city":`}}, {ToolCall: &strands.ToolCallDelta{Input: `"Oslo"}`}}}
			r.StopReason = strands.StopToolUse
		}
		for i := range deltas {
			acc.Add(&deltas[i])
			if !yield(strands.Chunk{Delta: &deltas[i]}, nil) {
				return
			}
		}
		r.Message = acc.Message()
		yield(strands.Chunk{Reply: r}, nil)
	}
}

func agent(turns int) (*strands.Agent, error) {
	type in struct {
		City string `json:"city" jsonschema:"the name of the city"`
	}
	weather := strands.NewTool("weather", "Says how the weather is.", func(context.Context, in) (string, error) { return text, nil })
	return strands.New(strands.Config{Model: scripted(turns), Tools: []strands.Tool{weather}})
}

func measure(ctx context.Context, each int) (figures, error) {
	f := figures{Version: runtime.Version()}
	a, err := agent(turns)
	if err != nil {
		return f, err
	}
	defer a.Close()
	var took []float64
	for range runs {
		begin := time.Now()
		res, err := a.Ask(ctx, "What is the weather in Oslo?")
		if err != nil || res.Cycles != turns {
			return f, fmt.Errorf("%d cycles of %d: %w", res.Cycles, turns, err)
		}
		took = append(took, float64(time.Since(begin).Nanoseconds())/1e3/turns)
	}
	slices.Sort(took)
	f.Cycle = took[len(took)/4] // the median of the fastest half
	short, err := agent(each)
	if err != nil {
		return f, err
	}
	defer short.Close()
	f.Session, err = memory(ctx, short)
	return f, err
}

// memory fills sessions by running them, and returns the KiB that each adds.
func memory(ctx context.Context, a *strands.Agent) (float64, error) {
	if err := fill(ctx, a.NewSession()); err != nil { // what the first one brings with it is not the session's
		return 0, err
	}
	before := resident()
	all := make([]*strands.Session, sessions)
	for i := range all {
		all[i] = a.NewSession()
		if err := fill(ctx, all[i]); err != nil {
			return 0, err
		}
	}
	grown := resident() - before
	runtime.KeepAlive(all)
	return grown / sessions, nil
}

func fill(ctx context.Context, s *strands.Session) error {
	for len(s.Messages()) < messages {
		if _, err := s.Ask(ctx, "What is the weather in Oslo?"); err != nil {
			return err
		}
	}
	return nil
}

// resident returns the KiB of memory that the process has, after garbage was
// given back.
func resident() float64 {
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / 1024
	}
	for line := range bytes.Lines(raw) {
		if rest, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64) // the kernel's own format
			return kib
		}
	}
	return 0
}
