package main

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/strandsgo/strands"
)

// sums are totals of runs of one task and one arm.
type sums struct {
	Runs   int
	values [len(metrics)]float64
}

// metric is something that is measured of a run.
type metric struct {
	name   string
	format string
	of     func(Row, strands.Prices) float64
	// claim is the relative difference in percent that the original states for
	// code against tools; 0 = it states none.
	claim float64
}

const (
	iSolved = iota
	iInput
	iCached
	iOutput
	iCycles
	iTime
	iCost
	iTokens
)

// metrics are means over runs; success per 1,000 tokens comes from two of them.
var metrics = [...]metric{
	iSolved: {"accuracy", "%.3f", func(r Row, _ strands.Prices) float64 {
		if r.Solved {
			return 1
		}
		return 0
	}, 7},
	iInput:  {"input tokens", "%.0f", func(r Row, _ strands.Prices) float64 { return float64(read(r.Usage)) }, -78},
	iCached: {"of them cached", "%.0f", func(r Row, _ strands.Prices) float64 { return float64(r.Usage.CacheRead) }, 0},
	iOutput: {"output tokens", "%.0f", func(r Row, _ strands.Prices) float64 { return float64(r.Usage.Output) }, -67},
	iCycles: {"cycles", "%.2f", func(r Row, _ strands.Prices) float64 { return float64(r.Cycles) }, -35},
	iTime:   {"seconds", "%.2f", func(r Row, _ strands.Prices) float64 { return r.Time }, -56},
	iCost:   {"cost", "%.5f", func(r Row, p strands.Prices) float64 { return r.Usage.Cost(p) }, 0},
	iTokens: {"tokens", "%.0f", func(r Row, _ strands.Prices) float64 { return float64(read(r.Usage) + r.Usage.Output) }, 0},
}

// read is all that the model read, whether from a cache or not.
func read(u strands.Usage) int { return u.Input + u.CacheRead + u.CacheWrite }

// Interval is an estimate with the bounds of its 95 % interval. NaN = there is
// none; it is null in JSON.
type Interval struct {
	Value number `json:"value"`
	Low   number `json:"low"`
	High  number `json:"high"`
}

// ExcludesZero says that the sign is not one of chance.
func (i Interval) ExcludesZero() bool { return i.Low > 0 || i.High < 0 }

// Line is a metric of the report.
type Line struct {
	Metric string   `json:"metric"`
	Code   Interval `json:"code"`
	Tools  Interval `json:"tools"`
	// Difference is that of code against tools, in percent.
	Difference Interval `json:"differencePercent"`
	// Excludes says that the interval of Difference does not hold 0.
	Excludes bool    `json:"excludesZero"`
	Claim    float64 `json:"claimPercent,omitempty"`

	format string
}

// byTask are the sums of tasks, in the order of their names.
type byTask struct {
	tasks []string
	arms  map[string][]sums // by arm, then as tasks
}

func group(rows []Row, prices strands.Prices) byTask {
	seen := map[string]map[string]*sums{}
	for _, r := range rows {
		if r.Failed != "" {
			continue
		}
		if seen[r.Task] == nil {
			seen[r.Task] = map[string]*sums{armCode: {}, armTools: {}}
		}
		s := seen[r.Task][r.Arm]
		s.Runs++
		for i, m := range metrics {
			s.values[i] += m.of(r, prices)
		}
	}
	g := byTask{tasks: slices.Sorted(maps.Keys(seen)), arms: map[string][]sums{}}
	for _, t := range g.tasks {
		for _, arm := range []string{armCode, armTools} {
			g.arms[arm] = append(g.arms[arm], *seen[t][arm])
		}
	}
	return g
}

// paired keeps the tasks that both arms have runs of.
func (g byTask) paired() byTask {
	p := byTask{arms: map[string][]sums{}}
	for i, t := range g.tasks {
		if g.arms[armCode][i].Runs == 0 || g.arms[armTools][i].Runs == 0 {
			continue
		}
		p.tasks = append(p.tasks, t)
		for arm, all := range g.arms {
			p.arms[arm] = append(p.arms[arm], all[i])
		}
	}
	return p
}

// means are the means over the chosen tasks of the means over a task's runs,
// then success per 1,000 tokens. Tasks without runs do not count.
func (g byTask) means(arm string, chosen []int) [len(metrics) + 1]float64 {
	var out [len(metrics) + 1]float64
	n := 0.0
	for _, i := range chosen {
		s := g.arms[arm][i]
		if s.Runs == 0 {
			continue
		}
		n++
		for m, v := range s.values {
			out[m] += v / float64(s.Runs)
		}
	}
	for m := range metrics {
		out[m] /= n
	}
	out[len(metrics)] = 1000 * out[iSolved] / out[iTokens]
	return out
}

// resamples is how often tasks are drawn for the intervals.
const resamples = 5000

// compare makes the lines of the report. Tasks are drawn with replacement, the
// same for both arms: how hard a task is does not count as a difference.
func compare(g byTask, seed uint64) []Line {
	const most = len(metrics) + 1
	everything := make([]int, len(g.tasks))
	for i := range everything {
		everything[i] = i
	}
	code, tools := g.means(armCode, everything), g.means(armTools, everything)
	var drawn [3][most][]float64
	random := rand.New(rand.NewPCG(seed, 0))
	chosen := make([]int, len(g.tasks))
	for range resamples {
		for i := range chosen {
			chosen[i] = random.IntN(len(chosen))
		}
		c, t := g.means(armCode, chosen), g.means(armTools, chosen)
		for m := range most {
			drawn[0][m] = append(drawn[0][m], c[m])
			drawn[1][m] = append(drawn[1][m], t[m])
			drawn[2][m] = append(drawn[2][m], relative(c[m], t[m]))
		}
	}
	var lines []Line
	for m := range most {
		l := Line{Metric: "success per 1,000 tokens", format: "%.4f"}
		if m < len(metrics) {
			l = Line{Metric: metrics[m].name, Claim: metrics[m].claim, format: metrics[m].format}
		}
		l.Code, l.Tools = interval(code[m], drawn[0][m]), interval(tools[m], drawn[1][m])
		l.Difference = interval(relative(code[m], tools[m]), drawn[2][m])
		l.Excludes = l.Difference.ExcludesZero()
		lines = append(lines, l)
	}
	return lines
}

// relative is the difference in percent; NaN when there is nothing to compare
// with.
func relative(code, tools float64) float64 {
	if tools == 0 {
		return math.NaN()
	}
	return 100 * (code/tools - 1)
}

// interval takes the bounds from a sorted sample. Where one of the values is
// NaN there are none.
func interval(value float64, sample []float64) Interval {
	none := Interval{number(value), number(math.NaN()), number(math.NaN())}
	if len(sample) == 0 || slices.ContainsFunc(sample, math.IsNaN) {
		return none
	}
	slices.SortFunc(sample, cmp.Compare[float64])
	at := func(q float64) number { return number(sample[int(q*float64(len(sample)-1)+0.5)]) }
	return Interval{number(value), at(0.025), at(0.975)}
}

// number is a float64 that is null in JSON when it is none.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return appendFloat(float64(n)), nil
}
