package strands

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/strandsgo/strands/internal/meters"
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

// telemetry is a Telemetry ready for use.
type telemetry struct {
	Telemetry
	tracer trace.Tracer
	meters *meters.Meters

	// How spans begin, made once.
	runs, cycles, tools, chats []trace.SpanStartOption
	model                      ModelInfo
}

func newTelemetry(cfg *Config) (*telemetry, error) {
	t := &telemetry{Telemetry: cfg.Telemetry, model: Describe(cfg.Model)}
	if t.Tracer == nil {
		t.Tracer = otel.GetTracerProvider()
	}
	t.tracer = t.Tracer.Tracer(meters.ScopeName)
	t.runs = t.begin(trace.SpanKindInternal, "invoke_agent", append(modelAttrs(t.model), attribute.String("gen_ai.agent.name", cfg.Name))...)
	if cfg.Description != "" {
		t.runs = append(t.runs, trace.WithAttributes(attribute.String("gen_ai.agent.description", cfg.Description)))
	}
	t.cycles = t.begin(trace.SpanKindInternal, "execute_event_loop_cycle")
	t.tools = t.begin(trace.SpanKindInternal, "execute_tool")
	t.chats = t.begin(trace.SpanKindClient, "chat", modelAttrs(t.model)...)
	var err error
	if t.Meter == nil {
		t.meters, err = meters.Global()
	} else {
		t.meters, err = meters.New(t.Meter)
	}
	if err != nil {
		return nil, fmt.Errorf("strands: Config.Telemetry: %w", err)
	}
	return t, nil
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
