package main

import (
	_ "embed"
	"errors"
	"html/template"
	"math"
	"os"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"show":    func(l Line, n number) string { return show(l.format, n) },
	"bounds":  func(l Line, i Interval) string { return bounds(l.format, i) },
	"percent": func(n number) string { return show("%+.1f %%", n) },
	"within":  func(i Interval) string { return bounds("%+.1f", i) },
	"claim": func(c float64) string {
		if c == 0 {
			return ""
		}
		return show("%+.0f %%", number(c))
	},
	"solved": func(a TaskArm) string {
		if a.Runs == 0 {
			return "-"
		}
		return show("%.0f %%", 100*a.Solved)
	},
	"excludes": Line.excludes,
	"whole":    func(n number) string { return show("%.0f", n) },
}).Parse(pageSource))

// page writes the report as a web page that needs no other file.
func (r *Report) page(path string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	data := struct {
		*Report
		Differences []bar
		Tokens      []pair
		Heights     [2]int // of the charts
	}{Report: r, Differences: r.differences(), Tokens: r.tokens()}
	data.Heights = [2]int{40*len(data.Differences) + 10, 34*len(data.Tokens) + 10}
	return errors.Join(pageTemplate.Execute(out, data), out.Close())
}

// The chart of differences is 520 units wide for −100 % to +100 %.
const (
	middle   = 260.0
	perPoint = 2.6
)

// bar is a difference with its interval, in units of the chart.
type bar struct {
	Line
	Y, Middle, Text     int // of the bar, of its middle, of the words
	X, Width, Low, High float64
	HasClaim, None      bool
	ClaimX              float64
}

// differences are the bars of what can be compared.
func (r *Report) differences() []bar {
	at := func(percent float64) float64 { return middle + perPoint*max(min(percent, 100), -100) }
	var bars []bar
	for _, l := range r.Lines {
		v := float64(l.Difference.Value)
		if math.IsNaN(v) || l.Metric == metrics[iTokens].name {
			continue
		}
		b := bar{
			Line: l, Y: 40*len(bars) + 10, Middle: 40*len(bars) + 20, Text: 40*len(bars) + 25,
			X: min(at(0), at(v)), Width: math.Abs(at(v) - at(0)), HasClaim: l.Claim != 0, ClaimX: at(l.Claim),
		}
		b.None = math.IsNaN(float64(l.Difference.Low))
		if !b.None {
			b.Low, b.High = at(float64(l.Difference.Low)), at(float64(l.Difference.High))
		}
		bars = append(bars, b)
	}
	return bars
}

// pair are the tokens of a task in both arms, as widths of bars.
type pair struct {
	Task                  string
	Code, Tools           number
	CodeWidth, ToolsWidth float64
	Y                     int
}

// tokens are the bars of the tasks that have tokens.
func (r *Report) tokens() []pair {
	var pairs []pair
	most := 1.0
	for _, t := range r.Tasks {
		p := pair{Task: t.Task, Code: t.Code.Input + t.Code.Output, Tools: t.Tools.Input + t.Tools.Output, Y: 34*len(pairs) + 8}
		for _, n := range []number{p.Code, p.Tools} {
			if !math.IsNaN(float64(n)) {
				most = max(most, float64(n))
			}
		}
		pairs = append(pairs, p)
	}
	width := func(n number) float64 {
		if math.IsNaN(float64(n)) {
			return 0
		}
		return 460 * float64(n) / most
	}
	for i := range pairs {
		pairs[i].CodeWidth, pairs[i].ToolsWidth = width(pairs[i].Code), width(pairs[i].Tools)
	}
	return pairs
}
