package strands

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry says where an agent reports to by OpenTelemetry. The zero value
// reports to the global providers, which do nothing until a program sets them.
//
// The spans are invoke_agent (a run), execute_event_loop_cycle (a model call
// with the tool calls it asked for), chat (an attempt at a model call, those
// of a ConversationManager included) and execute_tool (also for a call made
// through Invoke, below the call that made it). Their attributes follow the
// conventions for generative AI; usage is that of the run, or of the call.
type Telemetry struct {
	Tracer     trace.TracerProvider // nil = the global one
	Meter      metric.MeterProvider // nil = the global one
	Attributes []attribute.KeyValue // of all spans

	// Content adds what was said as span events: prompts, answers, inputs and
	// results of tools. They may hold what must not leave the program.
	Content bool
}

const scopeName = "github.com/strandsgo/strands"

// telemetry is a Telemetry ready for use.
type telemetry struct {
	Telemetry
	tracer trace.Tracer
	meters *meters

	// How spans begin, made once.
	runs, cycles, tools, chats []trace.SpanStartOption
	model                      ModelInfo
}

func newTelemetry(cfg *Config) (*telemetry, error) {
	t := &telemetry{Telemetry: cfg.Telemetry, model: Describe(cfg.Model)}
	if t.Tracer == nil {
		t.Tracer = otel.GetTracerProvider()
	}
	t.tracer = t.Tracer.Tracer(scopeName)
	t.runs = t.begin(trace.SpanKindInternal, "invoke_agent", append(modelAttrs(t.model), attribute.String("gen_ai.agent.name", cfg.Name))...)
	if cfg.Description != "" {
		t.runs = append(t.runs, trace.WithAttributes(attribute.String("gen_ai.agent.description", cfg.Description)))
	}
	t.cycles = t.begin(trace.SpanKindInternal, "execute_event_loop_cycle")
	t.tools = t.begin(trace.SpanKindInternal, "execute_tool")
	t.chats = t.begin(trace.SpanKindClient, "chat", modelAttrs(t.model)...)
	var err error
	if t.Meter == nil {
		t.meters, err = globalMeters()
	} else {
		t.meters, err = newMeters(t.Meter)
	}
	return t, err
}

func (t *telemetry) begin(kind trace.SpanKind, operation string, attrs ...attribute.KeyValue) []trace.SpanStartOption {
	return []trace.SpanStartOption{
		trace.WithSpanKind(kind), trace.WithAttributes(attribute.String("gen_ai.operation.name", operation)),
		trace.WithAttributes(attrs...), trace.WithAttributes(t.Attributes...),
	}
}

func modelAttrs(info ModelInfo) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	if info.Provider != "" {
		attrs = append(attrs, attribute.String("gen_ai.provider.name", info.Provider), attribute.String("gen_ai.system", info.Provider))
	}
	if info.ID != "" {
		attrs = append(attrs, attribute.String("gen_ai.request.model", info.ID))
	}
	return attrs
}

func usageAttrs(u Usage) []attribute.KeyValue {
	attrs := []attribute.KeyValue{ // the conventions count what came from a cache as input
		attribute.Int("gen_ai.usage.input_tokens", u.Input+u.CacheRead+u.CacheWrite),
		attribute.Int("gen_ai.usage.output_tokens", u.Output),
		attribute.Int("gen_ai.usage.total_tokens", u.Total()),
	}
	if u.CacheRead > 0 {
		attrs = append(attrs, attribute.Int("gen_ai.usage.cache_read.input_tokens", u.CacheRead))
	}
	if u.CacheWrite > 0 {
		attrs = append(attrs, attribute.Int("gen_ai.usage.cache_creation.input_tokens", u.CacheWrite))
	}
	return attrs
}

// endSpan ends span, as failed when err is not nil.
func endSpan(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetStatus(codes.Error, err.Error())
		span.SetAttributes(attribute.String("error.type", errorType(err)))
		span.RecordError(err)
	}
	span.End()
}

// errorType is one of few words.
func errorType(err error) string {
	if me, ok := errors.AsType[*ModelError](err); ok {
		return string(me.Kind)
	}
	if _, ok := errors.AsType[*LimitError](err); ok {
		return "limit"
	}
	if _, ok := errors.AsType[*InputError](err); ok {
		return "input"
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, errCancelled), errors.Is(err, errLeft):
		return "cancelled"
	}
	return "_OTHER"
}

// meters are the instruments.
type meters struct {
	cycles, cyclesBegun, cyclesEnded, toolCalls, toolSuccesses, toolErrors metric.Int64Counter
	input, output, cacheRead, cacheWrite, tokens                           metric.Int64Histogram
	latency, firstToken, cycleTime, toolTime, operationTime                metric.Float64Histogram
}

// globalMeters follow the global provider when it is set.
var globalMeters = sync.OnceValues(func() (*meters, error) { return newMeters(otel.GetMeterProvider()) })

func newMeters(provider metric.MeterProvider) (*meters, error) {
	meter, m := provider.Meter(scopeName), new(meters)
	var errs []error
	for _, c := range []struct {
		to   *metric.Int64Counter
		name string
	}{
		{&m.cycles, "strands.event_loop.cycle_count"}, {&m.cyclesBegun, "strands.event_loop.start_cycle"},
		{&m.cyclesEnded, "strands.event_loop.end_cycle"}, {&m.toolCalls, "strands.tool.call_count"},
		{&m.toolSuccesses, "strands.tool.success_count"}, {&m.toolErrors, "strands.tool.error_count"},
	} {
		var err error
		*c.to, err = meter.Int64Counter(c.name)
		errs = append(errs, err)
	}
	for _, h := range []struct {
		to   *metric.Int64Histogram
		name string
	}{
		{&m.input, "strands.event_loop.input.tokens"}, {&m.output, "strands.event_loop.output.tokens"},
		{&m.cacheRead, "strands.event_loop.cache_read.input.tokens"}, {&m.cacheWrite, "strands.event_loop.cache_write.input.tokens"},
		{&m.tokens, "gen_ai.client.token.usage"},
	} {
		var err error
		*h.to, err = meter.Int64Histogram(h.name, metric.WithUnit("{token}"))
		errs = append(errs, err)
	}
	for _, h := range []struct {
		to         *metric.Float64Histogram
		name, unit string
	}{
		{&m.latency, "strands.event_loop.latency", "ms"}, {&m.firstToken, "strands.model.time_to_first_token", "ms"},
		{&m.cycleTime, "strands.event_loop.cycle_duration", "s"}, {&m.toolTime, "strands.tool.duration", "s"},
		{&m.operationTime, "gen_ai.client.operation.duration", "s"},
	} {
		var err error
		*h.to, err = meter.Float64Histogram(h.name, metric.WithUnit(h.unit))
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("strands: make the instruments of Config.Telemetry.Meter: %w", err)
	}
	return m, nil
}

// countTool reports a tool call. Attributes are built only for one who counts.
func (m *meters) countTool(ctx context.Context, name string, d time.Duration, failed bool) {
	if !m.toolCalls.Enabled(ctx) {
		return
	}
	attrs := metric.WithAttributes(attribute.String("tool_name", name))
	m.toolCalls.Add(ctx, 1, attrs)
	if failed {
		m.toolErrors.Add(ctx, 1, attrs)
	} else {
		m.toolSuccesses.Add(ctx, 1, attrs)
	}
	m.toolTime.Record(ctx, d.Seconds(), attrs)
}

// countChat reports a model call.
func (m *meters) countChat(ctx context.Context, u Usage, whole, first time.Duration, info ModelInfo, err error) {
	if !m.tokens.Enabled(ctx) {
		return
	}
	attrs := metric.WithAttributes(append(modelAttrs(info), attribute.String("gen_ai.operation.name", "chat"))...)
	if err != nil {
		m.operationTime.Record(ctx, whole.Seconds(), attrs, metric.WithAttributes(attribute.String("error.type", errorType(err))))
		return
	}
	m.operationTime.Record(ctx, whole.Seconds(), attrs)
	m.latency.Record(ctx, ms(whole), attrs)
	if first > 0 {
		m.firstToken.Record(ctx, ms(first), attrs)
	}
	m.input.Record(ctx, int64(u.Input), attrs)
	m.output.Record(ctx, int64(u.Output), attrs)
	if u.CacheRead > 0 {
		m.cacheRead.Record(ctx, int64(u.CacheRead), attrs)
	}
	if u.CacheWrite > 0 {
		m.cacheWrite.Record(ctx, int64(u.CacheWrite), attrs)
	}
	m.tokens.Record(ctx, int64(u.Input+u.CacheRead+u.CacheWrite), attrs, metric.WithAttributes(attribute.String("gen_ai.token.type", "input")))
	m.tokens.Record(ctx, int64(u.Output), attrs, metric.WithAttributes(attribute.String("gen_ai.token.type", "output")))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
