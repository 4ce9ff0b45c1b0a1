package strands

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Metrics is what a session has used since it was made or restored.
type Metrics struct {
	Runs     int                `json:"runs"`
	Cycles   int                `json:"cycles"` // model calls that were answered
	Usage    Usage              `json:"usage"`
	Models   map[string]Usage   `json:"models,omitempty"` // Usage by the model that answered, as its provider names it
	Duration Duration           `json:"duration"`         // of all runs
	Latency  Duration           `json:"latency"`          // of all model calls in them that were answered
	Tools    map[string]ToolUse `json:"tools,omitempty"`  // direct calls included
	Last     []RunTrace         `json:"last,omitempty"`   // the last runs, at most 16
}

// RunTrace is the course of a run.
type RunTrace struct {
	Start      time.Time    `json:"start"`
	Duration   Duration     `json:"duration"`
	StopReason StopReason   `json:"stopReason,omitempty"` // "" when there was an error
	Usage      Usage        `json:"usage"`
	Cycles     []CycleTrace `json:"cycles,omitempty"` // the first 100
}

// CycleTrace is one model call with the tool calls it asked for.
type CycleTrace struct {
	Duration Duration `json:"duration"`
	Usage    Usage    `json:"usage"`
	Latency  Duration `json:"latency,omitzero"`
	Tools    []string `json:"tools,omitempty"` // names, in the order they ended; the first 100
}

const (
	keptRuns   = 16
	keptTraces = 100
)

func (t *RunTrace) begin() {
	if len(t.Cycles) < keptTraces {
		t.Cycles = append(t.Cycles, CycleTrace{})
	}
}

// last returns the cycle that began last; nil when there is none.
func (t *RunTrace) last() *CycleTrace {
	if len(t.Cycles) == 0 {
		return nil
	}
	return &t.Cycles[len(t.Cycles)-1]
}

// ContextTokens is the length of the last model call's input and output: about
// what the next one begins with. 0 = unknown.
func (m *Metrics) ContextTokens() int {
	for _, run := range slices.Backward(m.Last) {
		for _, c := range slices.Backward(run.Cycles) {
			if n := c.Usage.Total(); n > 0 {
				return n
			}
		}
	}
	return 0
}

// Metrics returns what the session has used, except in a run that is under way.
func (s *Session) Metrics() Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.metrics
	m.Models, m.Tools = maps.Clone(m.Models), maps.Clone(m.Tools)
	m.Last = slices.Clone(m.Last)
	for i, run := range m.Last {
		m.Last[i].Cycles = slices.Clone(run.Cycles)
		for j, c := range m.Last[i].Cycles {
			m.Last[i].Cycles[j].Tools = slices.Clone(c.Tools)
		}
	}
	return m
}

// account adds what r has used.
func (s *Session) account(r *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.metrics
	if m.Tools == nil {
		m.Tools, m.Models = map[string]ToolUse{}, map[string]Usage{}
	}
	for name, u := range r.tools {
		sum := m.Tools[name]
		m.Tools[name] = ToolUse{Calls: sum.Calls + u.Calls, Errors: sum.Errors + u.Errors, Duration: sum.Duration + u.Duration}
	}
	for model, u := range r.models {
		m.Models[model] = m.Models[model].Add(u)
	}
	m.Usage = m.Usage.Add(r.usage)
	if r.events == nil { // a direct call
		return
	}
	m.Runs++
	m.Cycles += r.cycles
	m.Latency += r.latency
	r.trace.Start, r.trace.Duration, r.trace.Usage = r.start, Duration(time.Since(r.start)), r.usage
	if r.res != nil {
		r.trace.StopReason = r.res.StopReason
	}
	m.Duration += r.trace.Duration
	if len(m.Last) == keptRuns {
		m.Last = slices.Delete(m.Last, 0, 1)
	}
	r.trace.Cycles = slices.Clone(r.trace.Cycles) // without room for more
	m.Last = append(m.Last, r.trace)
}

// accountAside adds what was used on behalf of the session.
func (s *Session) accountAside(of Metrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.metrics
	m.Usage, m.Cycles, m.Latency = m.Usage.Add(of.Usage), m.Cycles+of.Cycles, m.Latency+of.Latency
	if m.Models == nil {
		m.Tools, m.Models = map[string]ToolUse{}, map[string]Usage{}
	}
	for model, u := range of.Models {
		m.Models[model] = m.Models[model].Add(u)
	}
}

// addUsage counts what a model has used.
func (r *run) addUsage(model string, u Usage) {
	if u == (Usage{}) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.usage = r.usage.Add(u)
	if r.models == nil {
		r.models = map[string]Usage{}
	}
	r.models[model] = r.models[model].Add(u)
}

// Prices are what a million tokens cost, in any currency.
type Prices struct {
	Input, Output, CacheRead, CacheWrite float64
}

// Cost is what u costs.
func (u Usage) Cost(p Prices) float64 {
	return (float64(u.Input)*p.Input + float64(u.Output)*p.Output + float64(u.CacheRead)*p.CacheRead + float64(u.CacheWrite)*p.CacheWrite) / 1e6
}

// Cost is what the session costs by the prices of its models. missing names
// those without a price, which are not counted.
func (m *Metrics) Cost(prices map[string]Prices) (cost float64, missing []string) {
	for _, model := range slices.Sorted(maps.Keys(m.Models)) {
		p, ok := prices[model]
		if !ok {
			missing = append(missing, model)
			continue
		}
		cost += m.Models[model].Cost(p)
	}
	return cost, missing
}

// Summary says it in a few lines for a person, with the cost when prices are
// given.
func (m *Metrics) Summary(prices map[string]Prices) string {
	var b strings.Builder
	fmt.Fprintf(&b, "runs %d, cycles %d, %.2f s (models %.2f s)\n", m.Runs, m.Cycles, time.Duration(m.Duration).Seconds(), time.Duration(m.Latency).Seconds())
	fmt.Fprintf(&b, "tokens: input %d, output %d, cache read %d, cache write %d\n", m.Usage.Input, m.Usage.Output, m.Usage.CacheRead, m.Usage.CacheWrite)
	if prices != nil {
		cost, missing := m.Cost(prices)
		fmt.Fprintf(&b, "cost: %.4f", cost)
		if len(missing) > 0 {
			fmt.Fprintf(&b, " (no price for %s)", strings.Join(missing, ", "))
		}
		b.WriteByte('\n')
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tools)) {
		u := m.Tools[name]
		fmt.Fprintf(&b, "tool %s: %d calls, %d errors, %.2f s\n", name, u.Calls, u.Errors, time.Duration(u.Duration).Seconds())
	}
	return b.String()
}
