package pythontest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

type none struct{}

// gate is a host function that returns when the test opens it.
type gate struct {
	once sync.Once
	c    chan struct{}
}

func newGate() *gate { return &gate{c: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.c) }) }

func (g *gate) namespaces() []python.Namespace {
	f := strands.NewTool("pass_gate", "Waits.", func(ctx context.Context, _ none) (string, error) {
		select {
		case <-g.c:
			return "open", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	return []python.Namespace{{Functions: []strands.Tool{f}}}
}

type roiIn struct {
	Investment float64 `json:"investment" jsonschema:"money put in"`
	Returns    float64 `json:"returns"`
}

type record struct {
	Name string    `json:"name"`
	When time.Time `json:"when"`
	Data []byte    `json:"data"`
	Tags []string  `json:"tags"`
}

type counter struct{ n atomic.Int64 }

func (c *counter) Add(_ context.Context, in struct {
	N int `json:"n"`
}) (int64, error) {
	if in.N < 0 {
		return 0, errors.New("only up")
	}
	return c.n.Add(int64(in.N)), nil
}

func (c *counter) Total() int64 { return c.n.Load() }

func functions() []python.Namespace {
	roi := strands.NewTool("calculate_roi", "Return on investment as a percentage.", func(_ context.Context, in roiIn) (float64, error) {
		if in.Investment == 0 {
			return 0, errors.New("the investment is zero")
		}
		return (in.Returns - in.Investment) / in.Investment * 100, nil
	})
	fetch := strands.NewTool("fetch-record", "A record.", func(_ context.Context, in struct {
		UserID string `json:"userId"`
	}) (record, error) {
		when := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		return record{Name: in.UserID, When: when, Data: []byte{0, 255}, Tags: []string{"a"}}, nil
	})
	count := strands.NewTool("count", "Counts.", func(ctx context.Context, in struct {
		To int `json:"to"`
	}) (iter.Seq[int], error) {
		return func(yield func(int) bool) {
			for i := range in.To {
				if !yield(i) || ctx.Err() != nil {
					return
				}
			}
		}, nil
	})
	return []python.Namespace{{
		Module: "finance", Doc: "Money.", Functions: []strands.Tool{roi, fetch, count},
		Objects: []python.Object{python.ObjectOf("tally", "Counts up.", new(counter), map[string]string{"Add": "Adds n."})},
	}}
}

func (s *suite) hostCallTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"called":                     s.hostCallCalled,
		"values":                     s.hostCallValues,
		"errors":                     s.hostCallErrors,
		"objects":                    s.hostCallObjects,
		"threads":                    s.hostCallThreads,
		"gather":                     s.hostCallGather,
		"at once, but not too many":  s.hostCallAtOnceButNotTooMany,
		"streams":                    s.hostCallStreams,
		"budget":                     s.hostCallBudget,
		"waiting costs no time":      s.hostCallWaitingCostsNoTime,
		"cancelled with the snippet": s.hostCallCancelledWithTheSnippet,
		"a panic is an exception":    s.hostCallAPanicIsAnException,
		"big values":                 s.hostCallBigValues,
	}
}

func (s *suite) hostCallCalled(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions(), Libraries: []string{"inspect"}})
	r.value("calculate_roi(1000, 1250)", "25.0")
	r.value("calculate_roi(returns=1250, investment=1000)", "25.0")
	r.value("from finance import calculate_roi as c\nc(100, 110)", "10.0")
	res := r.ok("import inspect\nprint(inspect.signature(calculate_roi)); print(calculate_roi.__doc__)")
	contains(t, "signature", res.Stdout, "(investment: float, returns: float) -> float", "Return on investment", "money put in")
	if res := r.ok("calculate_roi(1, 2)"); res.HostCalls != 1 {
		t.Errorf("HostCalls = %d", res.HostCalls)
	}
}

func (s *suite) hostCallValues(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions()})
	r.value("r = fetch_record(user_id='u1')\nr['name'], r.tags, r.data, r.when.year, r.when.utcoffset().total_seconds()",
		`('u1', ['a'], b'\x00\xff', 2026, 0.0)`)
}

func (s *suite) hostCallErrors(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions()})
	r.value("try:\n    calculate_roi(0, 1)\nexcept Exception as e:\n    text = str(e)\ntext", "'the investment is zero'")
	r.raises("calculate_roi(1)", "TypeError")
	r.raises("calculate_roi(1, 2, 3)", "TypeError")
	res := r.run("calculate_roi('much', 2)")
	if res.Err == nil || res.StateLost {
		t.Errorf("a wrong argument passed: %+v", res)
	}
}

func (s *suite) hostCallObjects(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions()})
	r.value("tally.add(2)\ntally.add(n=3)\ntally.total()", "5")
	r.value("from finance import tally as x\nx.total()", "5")
	r.value("try:\n    tally.add(-1)\nexcept Exception as e:\n    text = str(e)\ntext", "'only up'")
}

func (s *suite) hostCallThreads(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions()})
	r.value(`
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as p:
    got = list(p.map(lambda i: calculate_roi(100, 100 + i), range(200)))
[round(g) for g in got] == list(range(200))`, "True")
}

func (s *suite) hostCallGather(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions()})
	r.value(`
import asyncio
got = await asyncio.gather(*[calculate_roi.aio(100, 100 + i) for i in range(100)])
[round(g) for g in got] == list(range(100))`, "True")
}

func (s *suite) hostCallAtOnceButNotTooMany(t *testing.T) {
	var now, most atomic.Int64
	slow := strands.NewTool("slow", "Slow.", func(ctx context.Context, _ none) (int, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond) // so that calls meet
		return 1, nil
	})
	r := s.session(t, python.Options{
		Namespaces: []python.Namespace{{Functions: []strands.Tool{slow}}}, Limits: python.Limits{InFlight: 3},
	})
	r.value("import asyncio\nsum(await asyncio.gather(*[slow.aio() for i in range(30)]))", "30")
	if m := most.Load(); m < 2 || m > 3 {
		t.Errorf("%d calls at once, want 2 or 3", m)
	}
}

func (s *suite) hostCallStreams(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions()})
	r.value("list(count(5))", "[0, 1, 2, 3, 4]")
	r.value("got = []\nfor i in count(10**9):\n    got.append(i)\n    if i == 3: break\ngot", "[0, 1, 2, 3]")
	r.value("got = []\nasync for i in count.aio(3): got.append(i)\ngot", "[0, 1, 2]")
	r.value("calculate_roi(100, 150)", "50.0")
}

func (s *suite) hostCallBudget(t *testing.T) {
	r := s.session(t, python.Options{Namespaces: functions(), Limits: python.Limits{HostCalls: 5}})
	r.ok("n = 0")
	res := r.run("while True:\n    calculate_roi(1, 2); n += 1")
	if res.Err == nil || res.StateLost || res.HostCalls != 5 {
		t.Fatalf("%+v", res)
	}
	contains(t, "message", res.Err.Message, "5 host calls", "calculate_roi 5")
	r.value("n, calculate_roi(1, 2)", "(5, 100.0)")
}

func (s *suite) hostCallWaitingCostsNoTime(t *testing.T) {
	limit := 200 * time.Millisecond
	wait := strands.NewTool("wait", "Waits.", func(ctx context.Context, _ none) (string, error) {
		select {
		case <-time.After(3 * limit):
			return "waited", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	r := s.session(t, python.Options{Timeout: limit, Namespaces: []python.Namespace{{Functions: []strands.Tool{wait}}}})
	r.value("wait()", "'waited'")
}

func (s *suite) hostCallCancelledWithTheSnippet(t *testing.T) {
	g := newGate()
	r := s.session(t, python.Options{Namespaces: g.namespaces()})
	r.ok("x = 1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for o, err := range r.Exec(ctx, "print('in')\npass_gate()") {
		if o.Stdout != "" {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("err = %v", last)
	}
	r.value("x", "1")
}

func (s *suite) hostCallAPanicIsAnException(t *testing.T) {
	bad := strands.NewTool("bad", "Panics.", func(context.Context, none) (string, error) { panic("boom") })
	r := s.session(t, python.Options{Namespaces: []python.Namespace{{Functions: []strands.Tool{bad}}}})
	res := r.run("bad()")
	if res.Err == nil || res.StateLost {
		t.Fatalf("%+v", res)
	}
	contains(t, "message", res.Err.Message, "boom")
}

func (s *suite) hostCallBigValues(t *testing.T) {
	double := strands.NewTool("double", "Doubles.", func(_ context.Context, in struct {
		Text string `json:"text"`
	}) (string, error) {
		return in.Text + in.Text, nil
	})
	r := s.session(t, python.Options{Namespaces: []python.Namespace{{Functions: []strands.Tool{double}}}})
	r.value(fmt.Sprintf("t = 'é' * %d\nd = double(t)\nlen(d), d == t + t", 1<<20), "(2097152, True)")
}
