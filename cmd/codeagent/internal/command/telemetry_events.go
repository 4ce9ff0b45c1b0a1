package command

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

var logs = kind{"OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"}

// events makes a log record of each event about content that a span has: the
// conventions for generative AI know both forms, and who reads them reads one.
// The record has the trace, the span and, when it is about a call, its id.
type events struct{ logger log.Logger }

func (t *telemetry) log(ctx context.Context, protocol string, about *resource.Resource) (trace.SpanProcessor, error) {
	var exporter sdklog.Exporter
	var err error
	if protocol == "grpc" {
		exporter, err = otlploggrpc.New(ctx)
	} else {
		exporter, err = otlploghttp.New(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("exporting events: %w", err)
	}
	p := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(about))
	t.ends = append(t.ends, p.Shutdown)
	return events{p.Logger("github.com/strandsgo/strands")}, nil
}

// OnStart implements trace.SpanProcessor.
func (events) OnStart(context.Context, trace.ReadWriteSpan) {}

// OnEnd implements trace.SpanProcessor.
func (e events) OnEnd(span trace.ReadOnlySpan) {
	ctx := oteltrace.ContextWithSpanContext(context.Background(), span.SpanContext())
	var about []attribute.KeyValue
	for _, kv := range span.Attributes() {
		if kv.Key == "gen_ai.system" {
			about = append(about, kv)
		}
	}
	for _, ev := range span.Events() {
		if !strings.HasPrefix(ev.Name, "gen_ai.") {
			continue
		}
		var r log.Record
		r.SetEventName(ev.Name)
		r.SetTimestamp(ev.Time)
		r.SetSeverity(log.SeverityInfo)
		r.SetBody(attribute.MapValue(ev.Attributes...))
		r.AddAttributes(append(about[:len(about):len(about)], attribute.String("event.name", ev.Name))...)
		e.logger.Emit(ctx, r)
	}
}

// Shutdown implements trace.SpanProcessor; the provider of logs has its own.
func (events) Shutdown(context.Context) error { return nil }

// ForceFlush implements trace.SpanProcessor.
func (events) ForceFlush(context.Context) error { return nil }
