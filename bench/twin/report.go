package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/twin/suite"
)

// Report is what a measurement came to.
type Report struct {
	Protocol protocol        `json:"protocol"`
	Made     time.Time       `json:"made"`
	Live     bool            `json:"live"` // asked of a real model, not scripted or replayed
	Trials   int             `json:"trials"`
	Prices   strands.Prices  `json:"prices"` // of a million tokens
	Paired   int             `json:"tasksInBothArms"`
	Lines    []Line          `json:"metrics"`
	Tasks    []TaskLine      `json:"tasks"`
	Skipped  []suite.Skipped `json:"skipped,omitempty"`
	Failed   []Row           `json:"failed,omitempty"` // runs that are not measured
	Rows     []Row           `json:"runs"`
}

// TaskLine is a task of the report.
type TaskLine struct {
	Task  string  `json:"task"`
	Code  TaskArm `json:"code"`
	Tools TaskArm `json:"tools"`
}

// TaskArm is a task in one arm: means over its runs.
type TaskArm struct {
	Runs   int    `json:"runs"`
	Solved number `json:"accuracy"`
	Input  number `json:"inputTokens"`
	Output number `json:"outputTokens"`
	Cycles number `json:"cycles"`
	Time   number `json:"seconds"`
}

func appendFloat(f float64) []byte { return strconv.AppendFloat(nil, f, 'g', -1, 64) }

// fill computes the report of its rows.
func (r *Report) fill(rows []Row, seed uint64) {
	for _, row := range rows {
		if row.Failed != "" {
			r.Failed = append(r.Failed, row)
		} else {
			r.Rows = append(r.Rows, row)
		}
	}
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Arm, b.Arm), cmp.Compare(a.Trial, b.Trial))
	})
	g := group(r.Rows, r.Prices)
	for i, t := range g.tasks {
		r.Tasks = append(r.Tasks, TaskLine{t, taskArm(g.arms[armCode][i]), taskArm(g.arms[armTools][i])})
	}
	paired := g.paired()
	r.Paired = len(paired.tasks)
	if r.Paired > 0 {
		g = paired // with one arm there is nothing to pair
	}
	if len(g.tasks) > 0 {
		r.Lines = slices.DeleteFunc(compare(g, seed), func(l Line) bool {
			return l.Metric == metrics[iCost].name && r.Prices == strands.Prices{} // what it costs is not known
		})
	}
}

func taskArm(s sums) TaskArm {
	mean := func(i int) number { return number(s.values[i] / float64(s.Runs)) }
	return TaskArm{s.Runs, mean(iSolved), mean(iInput), mean(iOutput), mean(iCycles), mean(iTime)}
}

// print writes the report as tables.
func (r *Report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, suite %s: %d runs, %d tasks in both arms, up to %d trials each\n", r.Protocol.Model, r.Protocol.Suite, len(r.Rows), r.Paired, r.Trials)
	if !r.Live {
		fmt.Fprintln(w, "Scripted or replayed: these figures say nothing about models.")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "per run\tcode\t95 %\ttools\t95 %\tcode vs tools\t95 %\texcludes 0\toriginal says")
	for _, l := range r.Lines {
		claim := ""
		if l.Claim != 0 {
			claim = fmt.Sprintf("%+.0f %%", l.Claim)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Metric,
			show(l.format, l.Code.Value), bounds(l.format, l.Code), show(l.format, l.Tools.Value), bounds(l.format, l.Tools),
			show("%+.1f %%", l.Difference.Value), bounds("%+.1f", l.Difference), l.excludes(), claim)
	}
	fmt.Fprintln(t, "\ntask\tcode: solved\tinput\toutput\tcycles\ttools: solved\tinput\toutput\tcycles")
	for _, l := range r.Tasks {
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.Task, l.Code.cells(), l.Tools.cells())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "skipped %s: %s\n", s.Name, s.Why)
	}
	for _, f := range r.Failed {
		fmt.Fprintf(w, "not measured: %s, %s, trial %d: %s\n", f.Task, f.Arm, f.Trial, f.Failed)
	}
	return nil
}

// excludes is a word for Excludes; "-" when there is no interval.
func (l Line) excludes() string {
	switch {
	case math.IsNaN(float64(l.Difference.Low)):
		return "-"
	case l.Excludes:
		return "yes"
	}
	return "no"
}

func (a TaskArm) cells() string {
	if a.Runs == 0 {
		return "-\t-\t-\t-"
	}
	return fmt.Sprintf("%.0f/%d\t%.0f\t%.0f\t%.1f", float64(a.Solved)*float64(a.Runs), a.Runs, a.Input, a.Output, a.Cycles)
}

func show(format string, n number) string {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return "-"
	}
	return fmt.Sprintf(format, float64(n))
}

func bounds(format string, i Interval) string {
	if math.IsNaN(float64(i.Low)) {
		return "-"
	}
	format = strings.TrimSuffix(format, " %%")
	return "[" + show(format, i.Low) + ", " + show(format, i.High) + "]"
}

// save writes the report as JSON.
func (r *Report) save(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
