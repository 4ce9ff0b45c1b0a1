package strands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/strandsgo/strands"
)

// spans records what an agent reports.
func spans(t *testing.T) (*tracetest.InMemoryExporter, *sdktrace.TracerProvider) {
	t.Helper()
	e := tracetest.NewInMemoryExporter()
	return e, sdktrace.NewTracerProvider(sdktrace.WithSyncer(e))
}

// tree writes the spans below parent in the order they began, indented.
func tree(all tracetest.SpanStubs, parent tracetest.SpanStub, depth int) string {
	var b strings.Builder
	slices.SortStableFunc(all, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	for _, s := range all {
		if s.Parent.SpanID() == parent.SpanContext.SpanID() {
			b.WriteString(strings.Repeat(" ", depth) + s.Name + "\n" + tree(all, s, depth+1))
		}
	}
	return b.String()
}

func named(t *testing.T, all tracetest.SpanStubs, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %q in\n%s", name, tree(all, tracetest.SpanStub{}, 0))
	return tracetest.SpanStub{}
}

func attr(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// outer is a tool that calls weather through Invoke.
func outer() strands.Tool {
	return strands.NewTool("outer", "Asks for the weather.", func(ctx context.Context, _ none) (string, error) {
		res, err := strands.Invoke(ctx, weather(), &strands.ToolCall{Name: "weather", Input: []byte(`{"city":"Oslo"}`)})
		if err != nil {
			return "", err
		}
		return res.Text(), nil
	})
}

func TestSpansOfARun(t *testing.T) {
	exp, tp := spans(t)
	a := newAgent(t, strands.Config{
		Name: "guide", Model: &script{turns: []turn{calls(call("1", "outer", `{}`)), says("Sunny.")}},
		Tools:     []strands.Tool{outer(), weather()},
		Telemetry: strands.Telemetry{Tracer: tp, Attributes: []attribute.KeyValue{attribute.String("team", "north")}},
	})
	ctx, above := tp.Tracer("test").Start(t.Context(), "program")
	s := a.NewSession()
	if _, err := s.Ask(ctx, "a secret question"); err != nil {
		t.Fatal(err)
	}
	above.End()
	all := exp.GetSpans()
	want := `program
 invoke_agent guide
  execute_event_loop_cycle
   chat
   execute_tool outer
    execute_tool weather
  execute_event_loop_cycle
   chat
`
	if got := tree(all, tracetest.SpanStub{}, 0); got != want {
		t.Errorf("spans\n%swant\n%s", got, want)
	}
	run := named(t, all, "invoke_agent guide")
	for key, want := range map[string]string{
		"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "guide", "gen_ai.conversation.id": s.ID(), "team": "north",
		"gen_ai.usage.input_tokens": "20", "gen_ai.usage.output_tokens": "10", "gen_ai.usage.total_tokens": "30",
		"gen_ai.agent.tools": `["outer","weather"]`, "gen_ai.response.finish_reasons": `["end_turn"]`,
	} {
		if got := attr(run, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	tool := named(t, all, "execute_tool outer")
	if attr(tool, "gen_ai.tool.call.id") != "1" || attr(tool, "gen_ai.tool.description") != "Asks for the weather." ||
		attr(tool, "gen_ai.tool.status") != "success" || attr(tool, "team") != "north" || attr(tool, "gen_ai.tool.json_schema") == "" {
		t.Errorf("attributes of the tool %v", tool.Attributes)
	}
	if got := attr(named(t, all, "chat"), "gen_ai.response.model"); got != "script-1" {
		t.Errorf("model %q", got)
	}
	for _, s := range all {
		if len(s.Events) > 0 || strings.Contains(fmt.Sprint(s.Attributes), "secret") {
			t.Errorf("%s tells content without being asked: %v %v", s.Name, s.Events, s.Attributes)
		}
	}
}

// TestCyclesAreClosedInTurn: a cycle has ended before the next begins.
func TestCyclesAreClosedInTurn(t *testing.T) {
	exp, tp := spans(t)
	a := newAgent(t, strands.Config{
		Model: &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("Sunny.")}},
		Tools: []strands.Tool{weather()}, Telemetry: strands.Telemetry{Tracer: tp},
	})
	if _, err := a.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	var cycles []tracetest.SpanStub
	for _, s := range exp.GetSpans() {
		if s.Name == "execute_event_loop_cycle" {
			cycles = append(cycles, s)
		}
	}
	if len(cycles) != 2 || cycles[1].StartTime.Before(cycles[0].EndTime) {
		t.Errorf("cycles %v", cycles)
	}
}

func TestContentOnlyWhenAskedFor(t *testing.T) {
	exp, tp := spans(t)
	a := newAgent(t, strands.Config{
		Model:        &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`)), says("It is sunny.")}},
		SystemPrompt: "Be brief.", Tools: []strands.Tool{weather()},
		Telemetry: strands.Telemetry{Tracer: tp, Content: true},
	})
	picture := strands.Part{Image: &strands.Media{MIME: "image/png", Data: []byte("bytes of a picture")}}
	if _, err := strands.Collect(a.NewSession().Run(t.Context(), strands.Input{Parts: []strands.Part{strands.Text("Weather?"), picture}})); err != nil {
		t.Fatal(err)
	}
	all := exp.GetSpans()
	event := func(span, name, key string) string {
		for _, s := range all {
			for _, e := range s.Events {
				if s.Name == span && e.Name == name {
					for _, a := range e.Attributes {
						if string(a.Key) == key {
							return a.Value.String()
						}
					}
				}
			}
		}
		return ""
	}
	for _, w := range [][4]string{
		{"execute_tool weather", "gen_ai.tool.message", "content", `{"city":"Oslo"}`},
		{"execute_tool weather", "gen_ai.tool.message", "id", "1"},
		{"execute_tool weather", "gen_ai.choice", "message", "sunny in Oslo"},
		{"chat", "gen_ai.system.message", "content", "Be brief."},
		{"chat", "gen_ai.user.message", "content", "Weather?"},
		{"chat", "gen_ai.assistant.message", "content", "weather"},
		{"chat", "gen_ai.tool.message", "content", "sunny in Oslo"},
		{"chat", "gen_ai.choice", "finish_reason", "tool_use"},
		{"invoke_agent agent", "gen_ai.choice", "message", "It is sunny."},
	} {
		if got := event(w[0], w[1], w[2]); !strings.Contains(got, w[3]) {
			t.Errorf("%s: %s has %s %q, want %q in it", w[0], w[1], w[2], got, w[3])
		}
	}
	if got := event("chat", "gen_ai.user.message", "content"); strings.Contains(got, "data") {
		t.Errorf("the bytes of a picture are reported: %s", got)
	}
}

func TestSpansOfFailures(t *testing.T) {
	exp, tp := spans(t)
	broken := &strands.ModelError{Kind: strands.ModelAuth, Message: "no key"}
	a := newAgent(t, strands.Config{
		Model: &script{turns: []turn{calls(call("1", "weather", `{"city":"Atlantis"}`)), {err: broken}}},
		Tools: []strands.Tool{weather()}, Telemetry: strands.Telemetry{Tracer: tp},
	})
	if _, err := a.Ask(t.Context(), "go"); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	all := exp.GetSpans()
	failed := map[string]string{}
	for _, s := range all {
		if s.Status.Code == codes.Error {
			failed[s.Name] = attr(s, "error.type")
		}
		if s.Name == "execute_tool weather" && strings.Contains(s.Status.Description, "city") {
			t.Errorf("what a result says is told: %q", s.Status.Description)
		}
	}
	want := map[string]string{"chat": "auth", "execute_event_loop_cycle": "auth", "invoke_agent agent": "auth", "execute_tool weather": "tool_error"}
	if fmt.Sprint(failed) != fmt.Sprint(want) {
		t.Errorf("failed spans %v, want %v", failed, want)
	}
}

// TestSummariesAreSeen: model calls of a conversation manager have a span and
// are counted.
func TestModelCallsOfAManagerAreSeen(t *testing.T) {
	exp, tp := spans(t)
	a := newAgent(t, strands.Config{
		Model:        &script{turns: []turn{says("aside"), says("ok"), says("aside")}},
		Conversation: asking{}, Telemetry: strands.Telemetry{Tracer: tp},
	})
	res, err := a.Ask(t.Context(), "go")
	if err != nil {
		t.Fatal(err)
	}
	chats := 0
	for _, s := range exp.GetSpans() {
		if s.Name == "chat" {
			chats++
		}
	}
	if chats != 3 || res.Usage.Input != 30 {
		t.Errorf("%d chats, usage %+v", chats, res.Usage)
	}
}

// asking is a manager that asks the model each time and changes nothing.
type asking struct{}

func (asking) Manage(ctx context.Context, c *strands.Conversation) error {
	for chunk, err := range c.Model.Generate(ctx, &strands.Request{Messages: c.Messages}) {
		if err != nil {
			return err
		}
		if chunk.Reply != nil {
			c.Usage = chunk.Reply.Usage
		}
	}
	return nil
}

func (asking) Reduce(context.Context, *strands.Conversation, error) error { return nil }

func TestInstruments(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	a := newAgent(t, strands.Config{
		Model: &script{turns: []turn{calls(call("1", "weather", `{"city":"Oslo"}`), call("2", "weather", `{"city":"Atlantis"}`)), says("ok")}},
		Tools: []strands.Tool{weather()}, Telemetry: strands.Telemetry{Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))},
	})
	if _, err := a.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					got[m.Name] += p.Value
					if p.Attributes.HasValue("tool_use_id") {
						t.Errorf("%s has a series for each call", m.Name)
					}
				}
			case metricdata.Histogram[int64]:
				for _, p := range d.DataPoints {
					got[m.Name] += p.Sum
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					got[m.Name+" count"] += int64(p.Count)
				}
			}
		}
	}
	for name, want := range map[string]int64{
		"strands.event_loop.cycle_count": 2, "strands.event_loop.start_cycle": 2, "strands.event_loop.end_cycle": 2,
		"strands.tool.call_count": 2, "strands.tool.success_count": 1, "strands.tool.error_count": 1,
		"strands.event_loop.input.tokens": 20, "strands.event_loop.output.tokens": 10, "gen_ai.client.token.usage": 30,
		"strands.event_loop.latency count": 2, "strands.event_loop.cycle_duration count": 2, "strands.tool.duration count": 2,
		"gen_ai.client.operation.duration count": 2,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
}

func TestMetricsOfASession(t *testing.T) {
	cached := says("ok")
	cached.usage = strands.Usage{Input: 1_000_000, Output: 500_000, CacheRead: 2_000_000}
	a := newAgent(t, strands.Config{
		Model: &script{turns: []turn{calls(call("1", "outer", `{}`)), says("ok"), cached, {err: errors.New("boom")}}},
		Tools: []strands.Tool{outer(), weather()},
	})
	s := a.NewSession()
	if m := s.Metrics(); m.Runs != 0 || m.ContextTokens() != 0 {
		t.Errorf("before the first run %s", show(m))
	}
	for range 2 {
		if _, err := s.Ask(t.Context(), "go"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ask(t.Context(), "go"); err == nil {
		t.Fatal("no error")
	}
	if _, err := s.Call(t.Context(), "weather", cityArgs{City: "Atlantis"}); err != nil {
		t.Fatal(err)
	}
	m := s.Metrics()
	if m.Runs != 3 || m.Cycles != 3 || m.Usage.Input != 1_000_020 || m.ContextTokens() != 3_500_000 {
		t.Errorf("metrics %s", show(m))
	}
	if u := m.Tools["weather"]; u.Calls != 2 || u.Errors != 1 {
		t.Errorf("weather %+v", u)
	}
	if len(m.Last) != 3 || fmt.Sprint(m.Last[0].Cycles[0].Tools) != "[weather outer]" || m.Last[0].StopReason != strands.StopEndTurn || m.Last[2].StopReason != "" {
		t.Errorf("traces %s", show(m.Last))
	}
	prices := map[string]strands.Prices{"script-1": {Input: 3, Output: 15, CacheRead: 0.3}}
	if cost, missing := m.Cost(prices); fmt.Sprintf("%.4f", cost) != "11.1002" || missing != nil {
		t.Errorf("cost %v, no price for %v", cost, missing)
	}
	if sum := m.Summary(map[string]strands.Prices{}); !strings.Contains(sum, "no price for script-1") || !strings.Contains(sum, "tool weather: 2 calls, 1 errors") {
		t.Errorf("summary\n%s", sum)
	}
	m.Tools["weather"] = strands.ToolUse{}
	m.Last[0].Cycles[0].Tools[0] = "changed"
	if again := s.Metrics(); again.Tools["weather"].Calls != 2 || again.Last[0].Cycles[0].Tools[0] != "weather" {
		t.Error("Metrics is not a copy")
	}
}
