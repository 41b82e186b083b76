package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/otlp"
)

// factories are all components that a configuration may name.
func factories(traces *otlp.Service, front Front, log *slog.Logger) (f otelcol.Factories, err error) {
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](
		otlpreceiver.NewFactory(), newZipkinFactory(front), newJaegerFactory(front),
	); err != nil {
		return f, err
	}
	if f.Processors, err = otelcol.MakeFactoryMap[processor.Factory](
		batchprocessor.NewFactory(), memorylimiterprocessor.NewFactory(),
	); err != nil {
		return f, err
	}
	if f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](
		newExporterFactory(traces), otlpexporter.NewFactory(),
	); err != nil {
		return f, err
	}
	f.Telemetry = newTelemetryFactory(log)
	return f, nil
}

// newExporterFactory makes the exporter binnacle, in which pipelines end. It
// has no settings.
func newExporterFactory(traces *otlp.Service) exporter.Factory {
	type none struct{}
	return exporter.NewFactory(
		component.MustNewType(exporterName),
		func() component.Config { return &none{} },
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) {
			return &traceExporter{traces: traces}, nil
		}, component.StabilityLevelStable),
	)
}

// traceExporter hands traces to our own OTLP service. It is safe for concurrent use.
type traceExporter struct {
	component.StartFunc
	component.ShutdownFunc
	marshal ptrace.ProtoMarshaler
	traces  *otlp.Service
}

// Capabilities says that traces are read only.
func (e *traceExporter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeTraces returns when the traces are durable. Between the Collector's
// model and ours stands the wire format that both know: it costs an encoding, and
// every limit and repair is the same as for what came by OTLP.
//
// Spans that are rejected are counted. Their sender is told where none was taken: Zipkin's
// and Jaeger's protocols can say "nothing of this", but not "some of it".
func (e *traceExporter) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	msg, err := e.marshal.MarshalTraces(td)
	if err != nil {
		return consumererror.NewPermanent(fmt.Errorf("encode traces: %w", err))
	}
	rejected, first, err := e.traces.Take(ctx, msg)
	if err == nil && rejected > 0 && rejected == td.SpanCount() {
		return consumererror.NewPermanent(fmt.Errorf("all %d spans were rejected; the first: span %s", rejected, first))
	}
	if r, ok := errors.AsType[*collector.Refusal](err); ok {
		tell(ctx, r)
		switch r.Reason {
		case collector.TooLarge, collector.Malformed:
			return consumererror.NewPermanent(err)
		default:
			return consumererror.NewRetryableError(err)
		}
	}
	return err
}
