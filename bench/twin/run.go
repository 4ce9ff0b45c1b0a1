package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/strandstest"
)

// The two arms. Both have the same functions; code calls them in Python, tools
// are called by the model one by one.
const (
	armCode  = "code"
	armTools = "tools"
)

// systemPrompt is that of both arms.
const systemPrompt = "You answer questions exactly, with the functions that you have. There is nobody to ask back: find out what you need, and decide."

// Row is a finished run.
type Row struct {
	Task   string `json:"task"`
	Set    string `json:"set"`
	Arm    string `json:"arm"`
	Trial  int    `json:"trial"` // from 0
	Solved bool   `json:"solved"`
	Why    string `json:"why,omitempty"` // it was not
	// Stop is what ended a run that gave no answer of its own accord, such as
	// "turns" or "time". Such a run is measured, and not solved.
	Stop string `json:"stop,omitempty"`
	// Failed is why a run is not measured: the provider failed, or the answer
	// could not be checked. It is made again when the measurement is resumed.
	Failed string  `json:"failed,omitempty"`
	Answer string  `json:"answer"`
	Cycles int     `json:"cycles"`
	Calls  int     `json:"calls"` // of functions; the REPL is not counted
	Time   float64 `json:"seconds"`

	Usage strands.Usage `json:"usage"`
}

// runner makes runs of a suite.
type runner struct {
	suite       *suite.Suite
	model       func(arm string, t suite.Task) (strands.Model, error)
	interpreter python.Interpreter
	arms        []string
	trials      int
	maxTurns    int
	timeout     time.Duration // of a run
	parallel    int
	record      string // folder of tapes to write; "" = none
	replay      string // folder of tapes to play; "" = none
}

// job is a run to make.
type job struct {
	task  suite.Task
	arm   string
	trial int
}

// jobs are all runs that done does not have, trial by trial: what is there
// when the measurement is stopped covers all tasks evenly.
func (r *runner) jobs(done []Row) []job {
	type key struct {
		task, arm string
		trial     int
	}
	have := map[key]bool{}
	for _, row := range done {
		have[key{row.Task, row.Arm, row.Trial}] = true
	}
	var all []job
	for trial := range r.trials {
		for _, t := range r.suite.Tasks() {
			for _, arm := range r.arms {
				if !have[key{t.ID, arm, trial}] {
					all = append(all, job{t, arm, trial})
				}
			}
		}
	}
	return all
}

// all makes runs until they are made or ctx ends; report is called with each,
// one at a time. An error of report ends it, too.
func (r *runner) all(ctx context.Context, jobs []job, report func(Row) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan job)
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for range min(r.parallel, len(jobs)) {
		wg.Go(func() {
			for j := range queue {
				row, err := r.one(ctx, j)
				mu.Lock()
				if err == nil && ctx.Err() == nil {
					err = report(row)
				}
				mu.Unlock()
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for _, j := range jobs {
		select {
		case queue <- j:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}

// tape opens the recording of a job; nil when nothing is recorded or played.
func (r *runner) tape(j job) (*strandstest.Tape, error) {
	name := filepath.Join(filepath.FromSlash(j.task.ID), fmt.Sprintf("%s.%d.tape", j.arm, j.trial))
	if r.replay != "" {
		return strandstest.LoadTape(filepath.Join(r.replay, name))
	}
	if r.record == "" {
		return nil, nil
	}
	path := filepath.Join(r.record, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return strandstest.Record(path)
}

// one makes a run. The error is one of the measurement, not of the run.
func (r *runner) one(ctx context.Context, j job) (row Row, err error) {
	row = Row{Task: j.task.ID, Set: j.task.Set, Arm: j.arm, Trial: j.trial}
	cfg := codeagent.Config{
		Name: "twin", SystemPrompt: systemPrompt, Toolkits: r.suite.Set(j.task.Set).Toolkits,
		ToolCalls: j.arm == armTools, Interpreter: r.interpreter, KeepState: true, NoTempDir: true,
		Limits: strands.Limits{Turns: r.maxTurns},
	}
	tape, err := r.tape(j)
	if err != nil {
		return row, err
	}
	if r.replay == "" {
		if cfg.Model, err = r.model(j.arm, j.task); err != nil {
			return row, err
		}
	}
	if tape != nil {
		cfg.Model = tape.Model(cfg.Model)
		cfg.Hooks = []strands.Hooks{tape.Hooks()}
		cfg.Fixed = &python.Fixed{Seed: tape.Seed(), Time: tape.Time()}
	}
	agent, err := codeagent.New(cfg)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, agent.Close()) }()
	if err := r.ask(ctx, agent, j, &row); err != nil {
		return row, err
	}
	if tape != nil {
		if err := tape.Close(); err != nil && row.Failed == "" {
			row.Failed = err.Error()
		}
	}
	return row, nil
}

// ask lets the agent answer, and judges it. An error is one that all runs
// would have.
func (r *runner) ask(ctx context.Context, agent *strands.Agent, j job, row *Row) error {
	s := agent.NewSession()
	defer s.Close()
	limited, cancel := context.WithTimeoutCause(ctx, r.timeout, errTime)
	defer cancel()
	begin := time.Now()
	res, err := s.Ask(limited, j.task.Question)
	row.Time = time.Since(begin).Seconds()
	m := s.Metrics()
	row.Usage, row.Cycles = m.Usage, m.Cycles
	for name, use := range m.Tools {
		if name != "python_repl" {
			row.Calls += use.Calls
		}
	}
	if m, ok := errors.AsType[*strands.ModelError](err); ok && (m.Kind == strands.ModelAuth || m.Kind == strands.ModelNotFound) {
		return err
	}
	if err != nil {
		row.stopped(limited, err)
		return nil
	}
	row.Answer = res.Text()
	row.Solved, row.Why, err = j.task.Check(ctx, row.Answer)
	if err != nil {
		row.Failed = "checking the answer: " + err.Error()
	}
	return nil
}

var errTime = errors.New("the run took too long")

// stopped says why there is no answer.
func (row *Row) stopped(ctx context.Context, err error) {
	if l, ok := errors.AsType[*strands.LimitError](err); ok {
		row.Stop, row.Why = l.Limit, err.Error()
		return
	}
	if errors.Is(context.Cause(ctx), errTime) {
		row.Stop, row.Why = "time", errTime.Error()
		return
	}
	if m, ok := errors.AsType[*strands.ModelError](err); ok && m.Kind == strands.ModelOverflow {
		row.Stop, row.Why = "context", err.Error()
		return
	}
	row.Failed = err.Error()
}
