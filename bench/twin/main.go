// Command twin measures whether a model does better when it acts by writing
// code, or by calling tools: the same functions, the same model, the same text
// of the task and the same limits, over a folder of tasks or one of our own
// suites.
//
//	go run ./bench/twin --model anthropic/claude-sonnet-5 --trials 5 --suite data
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/twin/dab"
	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/models"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded" // the same CPython on every machine, as recordings need it
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "twin:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	model, suite, arm, tasks     string
	json, html, submission, runs string
	record, replay               string
	trials, maxTurns, parallel   int
	timeout                      time.Duration
	seed                         uint64
	scale                        float64
	hints                        bool
	postgres, mongo              string
	prices                       strands.Prices
}

func parse(args []string, out io.Writer) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("twin", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are of one line
	f.StringVar(&o.model, "model", "", "provider/id of the model, or script:FOLDER for scripted replies")
	f.StringVar(&o.suite, "suite", "data", "data, catalogue, or a folder with query_* folders as the Data Agent Benchmark has them")
	f.StringVar(&o.arm, "arm", "both", "code, tools or both")
	f.StringVar(&o.tasks, "tasks", "", "only tasks that match a pattern like shop/*")
	f.IntVar(&o.trials, "trials", 5, "runs of each task in each arm")
	f.IntVar(&o.maxTurns, "max-turns", 50, "model calls of a run")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "time of a run")
	f.IntVar(&o.parallel, "parallel", 2, "runs at once")
	f.StringVar(&o.runs, "runs", "", "append each finished run to a file; those that are in it are not made again")
	f.StringVar(&o.json, "json", "", "write the report to a file as JSON")
	f.StringVar(&o.html, "html", "", "write the report to a file as a web page")
	f.StringVar(&o.submission, "submission", "", "write the answers of the code arm to a file as the Data Agent Benchmark wants them")
	f.StringVar(&o.record, "record", "", "record each run in a folder")
	f.StringVar(&o.replay, "replay", "", "play the runs recorded in a folder instead of asking a model")
	f.Uint64Var(&o.seed, "seed", 1, "of the generated data and of the bootstrap")
	f.Float64Var(&o.scale, "scale", 0.01, "size of the generated data; 1 = a million rows in the largest table of each dataset")
	f.BoolVar(&o.hints, "hints", false, "give the hints of the Data Agent Benchmark to the model")
	f.StringVar(&o.postgres, "postgres", "", "address of a PostgreSQL server, of an account that is no superuser; the data suite makes databases called twin_* in it (CREATEDB)")
	f.StringVar(&o.mongo, "mongo", "", "address of a MongoDB server with the databases of the folder")
	f.Float64Var(&o.prices.Input, "price-input", 0, "of a million input tokens")
	f.Float64Var(&o.prices.Output, "price-output", 0, "of a million output tokens")
	f.Float64Var(&o.prices.CacheRead, "price-cached", 0, "of a million input tokens read from a cache")
	f.Float64Var(&o.prices.CacheWrite, "price-cache-write", 0, "of a million input tokens written to a cache")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(out)
		f.PrintDefaults()
		return nil, err
	}
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("%q is not a flag; see --help", f.Arg(0))
	}
	if err == nil {
		err = o.check()
	}
	return o, err
}

// check finds what does not go together.
func (o *options) check() error {
	switch {
	case !slices.Contains([]string{armCode, armTools, "both"}, o.arm):
		return fmt.Errorf("--arm %s: take code, tools or both", o.arm)
	case o.record != "" && o.replay != "":
		return errors.New("give --record or --replay, not both")
	case o.replay != "" && o.model != "":
		return errors.New("--replay asks no model; leave --model out")
	case o.replay == "" && o.model == "":
		return errors.New("give --model provider/id, such as anthropic/claude-sonnet-5")
	case o.trials < 1 || o.maxTurns < 1 || o.parallel < 1:
		return errors.New("--trials, --max-turns and --parallel are at least 1")
	case o.timeout <= 0:
		return errors.New("--timeout is a time like 10m")
	case o.scale <= 0 || o.scale > 1:
		return errors.New("--scale is above 0 and at most 1")
	}
	if _, err := path.Match(o.tasks, ""); err != nil {
		return fmt.Errorf("--tasks %s: %w", o.tasks, err)
	}
	return nil
}

// live says that a real model is asked.
func (o *options) live() bool { return o.replay == "" && !strings.HasPrefix(o.model, scripted) }

func (o *options) protocol() protocol {
	p := protocol{Model: o.model, Suite: o.suite, MaxTurns: o.maxTurns, Timeout: o.timeout.String()}
	if o.replay != "" {
		p.Model = "replay of " + o.replay
	}
	switch o.suite {
	case "data":
		p.Seed, p.Scale = o.seed, o.scale
	case "catalogue":
		p.Seed = o.seed
	default:
		p.Hints = o.hints
	}
	return p
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	python := &python.Sandboxed{}
	defer func() { err = errors.Join(err, python.Close()) }()
	s, err := o.openSuite(ctx, python)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := &runner{
		suite: s, interpreter: python, arms: []string{armCode, armTools}, trials: o.trials,
		maxTurns: o.maxTurns, timeout: o.timeout, parallel: o.parallel, record: o.record, replay: o.replay,
	}
	if o.arm != "both" {
		r.arms = []string{o.arm}
	}
	if err := o.choose(ctx, r); err != nil {
		return err
	}
	if o.suite == "catalogue" && o.live() {
		if err := promptSizes(ctx, out, o); err != nil {
			return err
		}
	}
	return o.measure(ctx, r, out, progress)
}

// measure makes the runs and reports; also what there is when ctx ends.
func (o *options) measure(ctx context.Context, r *runner, out, progress io.Writer) (err error) {
	kept, err := openResults(o.runs, o.protocol())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.close()) }()
	jobs := r.jobs(kept.rows)
	if n := len(kept.rows); n > 0 {
		fmt.Fprintf(progress, "%d runs are in %s already\n", n, o.runs)
	}
	n := 0
	stopped := r.all(ctx, jobs, func(row Row) error {
		n++
		fmt.Fprintf(progress, "%d/%d %s %s #%d: %s, %d cycles, %d tokens, %.1f s\n", n, len(jobs), row.Task, row.Arm, row.Trial+1,
			row.outcome(), row.Cycles, read(row.Usage)+row.Usage.Output, row.Time)
		return kept.add(row)
	})
	if stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	report := &Report{
		Protocol: o.protocol(), Made: time.Now().UTC().Truncate(time.Second), Trials: o.trials, Prices: o.prices, Skipped: r.suite.Skipped,
		Live: o.live(),
	}
	report.fill(kept.rows, o.seed)
	if err := o.write(report, out); err != nil {
		return err
	}
	switch {
	case stopped != nil:
		return fmt.Errorf("stopped after %d of %d runs; the same command with --runs goes on where it stopped", n, len(jobs))
	case len(report.Failed) > 0:
		return fmt.Errorf("%d of %d runs are not measured; the first: %s", len(report.Failed), len(jobs), report.Failed[0].Failed)
	}
	return nil
}

func (o *options) write(r *Report, out io.Writer) error {
	err := r.print(out)
	if o.json != "" {
		err = errors.Join(err, r.save(o.json))
	}
	if o.html != "" {
		err = errors.Join(err, r.page(o.html))
	}
	if o.submission != "" {
		err = errors.Join(err, r.submit(o.submission))
	}
	return err
}

// outcome is a word about a run.
func (row Row) outcome() string {
	switch {
	case row.Failed != "":
		return "not measured: " + row.Failed
	case row.Solved:
		return "solved"
	}
	return "not solved: " + row.Why
}

// openSuite makes or reads the tasks.
func (o *options) openSuite(ctx context.Context, p python.Interpreter) (_ *suite.Suite, err error) {
	dir, err := os.MkdirTemp("", "twin-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	var s *suite.Suite
	if o.suite == "data" || o.suite == "catalogue" {
		s, err = suite.Open(ctx, o.suite, suite.Options{Seed: o.seed, Scale: o.scale, Dir: dir, Postgres: o.postgres, Want: o.wanted})
	} else {
		s, err = dab.Open(ctx, o.suite, dab.Options{Postgres: o.postgres, Mongo: o.mongo, Hints: o.hints, Interpreter: p})
	}
	if err != nil {
		return nil, fmt.Errorf("--suite %s: %w", o.suite, err)
	}
	s.OnClose(func() error { return os.RemoveAll(dir) })
	return s, nil
}

// wanted says whether a task is asked for, and has what is to be played.
func (o *options) wanted(id string) bool {
	ok, _ := path.Match(o.tasks, id) // the pattern was checked
	dir, isScript := strings.CutPrefix(o.model, scripted)
	return (ok || o.tasks == "") && (o.replay == "" || has(o.replay, id)) && (!isScript || has(dir, id))
}

// choose finds the model, and leaves out the tasks that are not asked for.
func (o *options) choose(ctx context.Context, r *runner) error {
	r.suite.Keep(func(t suite.Task) bool { return o.wanted(t.ID) })
	if len(r.suite.Tasks()) == 0 {
		return errors.New("no task is left; look at --tasks, and at the folder that --replay or --model script: names")
	}
	if o.replay != "" {
		return nil
	}
	if dir, ok := strings.CutPrefix(o.model, scripted); ok {
		r.model = scripts(dir)
		return nil
	}
	m, err := models.Open(ctx, o.model)
	if err != nil {
		return fmt.Errorf("--model: %w", err)
	}
	r.model = func(string, suite.Task) (strands.Model, error) { return m, nil }
	return nil
}
