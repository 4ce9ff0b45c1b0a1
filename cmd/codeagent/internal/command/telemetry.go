package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"github.com/strandsgo/strands"
)

// The environment variables that are looked at here; those of endpoints,
// headers, timeouts, sampling and limits are read by the exporters and the SDK
// of OpenTelemetry themselves.
const (
	otelDisabled = "OTEL_SDK_DISABLED"
	otelEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	otelProtocol = "OTEL_EXPORTER_OTLP_PROTOCOL"
	otelTimeout  = "OTEL_EXPORTER_OTLP_TIMEOUT" // milliseconds
	otelContent  = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
)

// flushTime bounds what the end of the program waits for a collector: three
// seconds, unless the environment says how long an export may take.
func flushTime() time.Duration {
	if ms, err := strconv.Atoi(os.Getenv(otelTimeout)); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return 3 * time.Second
}

// telemetry sends what an agent reports to a collector.
type telemetry struct {
	strands.Telemetry
	ends []func(context.Context) error
}

// kind is what a kind of telemetry is called in the environment.
type kind struct{ exporter, endpoint, protocol string }

var (
	traces  = kind{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}
	metrics = kind{"OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"}
)

// openTelemetry makes exporters when the environment asks for them. Unlike the
// specification's default nothing is sent when nothing is said: most machines
// have no collector. Nothing is connected to before there is something to send.
func openTelemetry(ctx context.Context, errOut io.Writer) (*telemetry, error) {
	t := new(telemetry)
	if off, err := boolean(otelDisabled); err != nil || off {
		return t, err
	}
	tracesTo, err := traces.protocolOf()
	if err != nil {
		return nil, err
	}
	metricsTo, err := metrics.protocolOf()
	if err != nil || tracesTo == "" && metricsTo == "" {
		return t, err
	}
	if t.Content, err = boolean(otelContent); err != nil {
		return nil, err
	}
	// A collector that cannot be reached is a line of warning, not one for each batch.
	otel.SetErrorHandler(&once{w: errOut})
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("codeagent"), semconv.ServiceVersion(version())),
		resource.WithTelemetrySDK(), resource.WithFromEnv()) // the environment has the last word
	if err != nil {
		return nil, usagef("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if tracesTo != "" {
		if err := t.trace(ctx, tracesTo, about); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	if metricsTo != "" {
		if err := t.measure(ctx, metricsTo, about); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	return t, nil
}

func (t *telemetry) trace(ctx context.Context, protocol string, about *resource.Resource) error {
	var exporter trace.SpanExporter
	var err error
	if protocol == "grpc" {
		exporter, err = otlptracegrpc.New(ctx)
	} else {
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return fmt.Errorf("exporting traces: %w", err)
	}
	p := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	t.Tracer, t.ends = p, append(t.ends, p.Shutdown)
	logsTo, err := logs.protocolOf()
	if err != nil || logsTo == "" || !t.Content { // without content there are no events
		return err
	}
	events, err := t.log(ctx, logsTo, about)
	if err != nil {
		return err
	}
	p.RegisterSpanProcessor(events)
	return nil
}

func (t *telemetry) measure(ctx context.Context, protocol string, about *resource.Resource) error {
	var exporter metric.Exporter
	var err error
	if protocol == "grpc" {
		exporter, err = otlpmetricgrpc.New(ctx)
	} else {
		exporter, err = otlpmetrichttp.New(ctx)
	}
	if err != nil {
		return fmt.Errorf("exporting metrics: %w", err)
	}
	p := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)), metric.WithResource(about))
	t.Meter, t.ends = p, append(t.ends, p.Shutdown)
	return nil
}

// close sends what is left, within flushTime. It is not told to stop by Ctrl-C:
// what was interrupted is what one wants to look at. t may be nil.
func (t *telemetry) close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime())
	defer cancel()
	var wg sync.WaitGroup
	for _, end := range t.ends {
		wg.Go(func() {
			if err := end(ctx); err != nil {
				otel.Handle(err)
			}
		})
	}
	wg.Wait()
	t.ends = nil
	return nil // it was said, and is no failure of what was asked for
}

// protocolOf says how a kind is sent; "" = not at all.
func (k kind) protocolOf() (string, error) {
	exporter := os.Getenv(k.exporter)
	switch exporter {
	case "none":
		return "", nil
	case "", "otlp":
	default:
		return "", usagef("%s=%s is not supported: set it to otlp or none", k.exporter, exporter)
	}
	if exporter == "" && os.Getenv(otelEndpoint) == "" && os.Getenv(k.endpoint) == "" {
		return "", nil
	}
	switch p := cmp.Or(os.Getenv(k.protocol), os.Getenv(otelProtocol), "http/protobuf"); p {
	case "grpc", "http/protobuf":
		return p, nil
	default:
		return "", usagef("%s=%s is not supported: set it to http/protobuf or grpc", otelProtocol, p)
	}
}

func boolean(name string) (bool, error) {
	text := os.Getenv(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, usagef("%s=%s: set it to true or false", name, text)
	}
	return v, nil
}

// once writes the first error that OpenTelemetry has.
type once struct {
	w    io.Writer
	said sync.Once
}

// Handle implements otel.ErrorHandler.
func (o *once) Handle(err error) {
	o.said.Do(func() { slog.New(warnings{o.w}).Warn("telemetry could not be sent", "error", err) })
}
