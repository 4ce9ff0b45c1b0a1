package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

const big = 100 << 20

//go:embed cases.json
var casesJSON []byte

// code is the Python of the cases, the same for everybody.
var code = func() (m map[string]string) {
	if err := json.Unmarshal(casesJSON, &m); err != nil {
		panic(err)
	}
	return m
}()

// ours is a backend of this module.
type ours struct {
	backend python.Interpreter
	pooled  bool
}

var payload = func() []byte {
	b := make([]byte, big)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}()

// options are those of a session that has what the case needs.
func options(pandas bool) python.Options {
	add := strands.NewTool("add", "Adds.", func(_ context.Context, in struct {
		A int `json:"a"`
		B int `json:"b"`
	}) (int, error) {
		return in.A + in.B, nil
	})
	fetch := strands.NewTool("fetch", "The data.", func(context.Context, struct{}) (python.Bytes, error) { return payload, nil })
	o := python.Options{
		Libraries:  []string{"*"},
		Limits:     python.Limits{HostCalls: -1},
		Namespaces: []python.Namespace{{Functions: []strands.Tool{add, fetch}}},
	}
	if pandas {
		o.Requirements = []string{"numpy", "pandas"}
		o.Preload = []string{"numpy", "pandas"}
	}
	return o
}

func (o ours) measure(ctx context.Context, c aCase, count int) (samples []float64, skipped string, err error) {
	opts := options(slices.Contains([]string{"ready-pandas", "groupby", "memory"}, c.name))
	if err := o.warm(ctx, opts); err != nil {
		return nil, "", err
	}
	switch c.name {
	case "ready":
		samples, err = o.ready(ctx, opts, count, "1")
	case "ready-pandas":
		samples, err = o.ready(ctx, opts, count, code["imports"])
	case "memory":
		samples, err = o.memory(ctx, opts, count)
	case "kill":
		samples, err = o.kill(ctx, opts, count)
	case "snippet":
		samples, err = o.timed(ctx, opts, count, 50, "", "y = 1")
	case "cpu":
		samples, err = o.timed(ctx, opts, count, 1, "", code["cpu"])
	case "groupby":
		samples, err = o.timed(ctx, opts, count, 2, code["frame"], code["groupby"])
	case "calls":
		samples, err = o.timed(ctx, opts, count, 1, "", code["calls"])
		for i := range samples {
			samples[i] /= 1000
		}
	case "big":
		samples, err = o.timed(ctx, opts, count, 1, "", "data = fetch()\nassert len(data) == 100 << 20")
	default:
		return nil, "no such case", nil
	}
	return samples, "", err
}

// warm brings the backend to where a program that has run for a while is.
func (o ours) warm(ctx context.Context, opts python.Options) error {
	if b, ok := o.backend.(*python.Sandboxed); ok {
		return b.Prepare(ctx, opts)
	}
	s, err := o.backend.Open(ctx, opts)
	if err != nil {
		return err
	}
	return s.Close()
}

// ready is the time from Open to the first answer. From the pool it is that of
// Open alone, which hands out a session that was made before.
func (o ours) ready(ctx context.Context, opts python.Options, count int, first string) ([]float64, error) {
	var samples []float64
	for range count {
		if o.pooled { // everybody has a pause between two sessions
			if err := o.backend.(*python.Sandboxed).Prepare(ctx, opts); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		s, err := o.backend.Open(ctx, opts)
		if err != nil {
			return nil, err
		}
		if !o.pooled {
			err = exec(ctx, s, first)
		}
		took := time.Since(began)
		if err := errors.Join(err, exec(ctx, s, first), s.Close()); err != nil {
			return nil, err
		}
		samples = append(samples, took.Seconds())
	}
	return samples, nil
}

// timed runs a snippet many times in one session.
func (o ours) timed(ctx context.Context, opts python.Options, count, warm int, before, snippet string) (samples []float64, err error) {
	s, err := o.backend.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if before != "" {
		if err := exec(ctx, s, before); err != nil {
			return nil, err
		}
	}
	for i := range count + warm {
		began := time.Now()
		if err := exec(ctx, s, snippet); err != nil {
			return nil, err
		}
		if i >= warm {
			samples = append(samples, time.Since(began).Seconds())
		}
	}
	return samples, nil
}

// kill is the time in which Close ends a session that loops.
func (o ours) kill(ctx context.Context, opts python.Options, count int) ([]float64, error) {
	var samples []float64
	for range count {
		s, err := o.backend.Open(ctx, opts)
		if err != nil {
			return nil, err
		}
		busy := make(chan struct{})
		go func() {
			defer close(busy)
			_ = exec(ctx, s, code["loop"])
		}()
		time.Sleep(50 * time.Millisecond)
		began := time.Now()
		err = s.Close()
		samples = append(samples, time.Since(began).Seconds())
		<-busy
		if err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// memory is what count idle sessions that have used pandas hold, each.
func (o ours) memory(ctx context.Context, opts python.Options, count int) (samples []float64, err error) {
	before, err := held()
	if err != nil {
		return nil, err
	}
	var open []python.Session
	defer func() {
		for _, s := range open {
			err = errors.Join(err, s.Close())
		}
	}()
	for range count {
		s, err := o.backend.Open(ctx, opts)
		if err != nil {
			return nil, err
		}
		open = append(open, s)
		if err := exec(ctx, s, code["imports"]); err != nil {
			return nil, err
		}
	}
	after, err := held()
	if err != nil {
		return nil, err
	}
	return []float64{float64(after-before) / float64(count)}, nil
}

// held is the memory of all processes below this one, pages shared with others
// counted in part.
func held() (total int64, err error) {
	children := map[string][]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		text := string(data)
		f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		children[f[1]] = append(children[f[1]], filepath.Base(filepath.Dir(path)))
	}
	for todo := children[fmt.Sprint(os.Getpid())]; len(todo) > 0; todo = todo[1:] {
		data, err := os.ReadFile("/proc/" + todo[0] + "/smaps_rollup")
		if err != nil {
			continue // it has just ended
		}
		for line := range strings.Lines(string(data)) {
			var kb int64
			if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kb); n == 1 {
				total += kb << 10
			}
		}
		todo = append(todo, children[todo[0]]...)
	}
	if total == 0 && len(children) == 0 {
		return 0, errors.New("there is no /proc to read the memory of processes from")
	}
	return total, nil
}

// manySessions opens n idle sessions with pandas and says what they hold.
func manySessions(ctx context.Context, n int) (text string, err error) {
	b := &python.Sandboxed{Logger: slog.New(slog.DiscardHandler)}
	defer func() { err = errors.Join(err, b.Close()) }()
	opts := options(true)
	if err := b.Prepare(ctx, opts); err != nil {
		return "", err
	}
	began := time.Now()
	for i := range n {
		s, err := b.Open(ctx, opts)
		if err == nil {
			err = exec(ctx, s, code["imports"])
		}
		if err != nil {
			return "", fmt.Errorf("session %d: %w", i+1, err)
		}
	}
	took := time.Since(began)
	total, err := held()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("\n%d idle sessions with pandas, open at once: %s together with the warm process (%s each), opened one after "+
		"another in %v. Goal: 1,000 in 8 GB.\n", n, size(float64(total)), size(float64(total)/float64(n)), took.Round(100*time.Millisecond)), nil
}

// exec runs a snippet that must succeed.
func exec(ctx context.Context, s python.Session, code string) error {
	for o, err := range s.Exec(ctx, code) {
		if err != nil {
			return err
		}
		if o.Result != nil && o.Result.Err != nil {
			return o.Result.Err
		}
	}
	return nil
}
