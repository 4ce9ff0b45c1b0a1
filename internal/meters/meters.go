// Package meters holds the instruments by which runs are measured.
package meters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// ScopeName names who measures.
const ScopeName = "github.com/strandsgo/strands"

// Usage counts tokens, as the vocabulary does.
type Usage struct{ Input, Output, CacheRead, CacheWrite int }

// Meters are the instruments.
type Meters struct {
	Cycles, CyclesBegun, CyclesEnded, toolCalls, toolSuccesses, toolErrors metric.Int64Counter
	input, output, cacheRead, cacheWrite, tokens                           metric.Int64Histogram
	latency, firstToken, CycleTime, toolTime, operationTime                metric.Float64Histogram
}

// Global are those of the global provider. They follow it when it is set.
var Global = sync.OnceValues(func() (*Meters, error) { return New(otel.GetMeterProvider()) })

// New makes the instruments of provider.
func New(provider metric.MeterProvider) (*Meters, error) {
	meter, m := provider.Meter(ScopeName), new(Meters)
	var errs []error
	for _, c := range []struct {
		to   *metric.Int64Counter
		name string
	}{
		{&m.Cycles, "strands.event_loop.cycle_count"}, {&m.CyclesBegun, "strands.event_loop.start_cycle"},
		{&m.CyclesEnded, "strands.event_loop.end_cycle"}, {&m.toolCalls, "strands.tool.call_count"},
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
		{&m.CycleTime, "strands.event_loop.cycle_duration", "s"}, {&m.toolTime, "strands.tool.duration", "s"},
		{&m.operationTime, "gen_ai.client.operation.duration", "s"},
	} {
		var err error
		*h.to, err = meter.Float64Histogram(h.name, metric.WithUnit(h.unit))
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("make the instruments of the meter: %w", err)
	}
	return m, nil
}

// CountTool reports a tool call. Attributes are built only for one who counts.
func (m *Meters) CountTool(ctx context.Context, name string, d time.Duration, failed bool) {
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

// CountChat reports a model call by what describes it; failure is its kind of
// error, "" when it was answered.
func (m *Meters) CountChat(ctx context.Context, u Usage, whole, first time.Duration, of func() []attribute.KeyValue, failure string) {
	if !m.tokens.Enabled(ctx) {
		return
	}
	attrs := metric.WithAttributes(of()...)
	if failure != "" {
		m.operationTime.Record(ctx, whole.Seconds(), attrs, metric.WithAttributes(attribute.String("error.type", failure)))
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
