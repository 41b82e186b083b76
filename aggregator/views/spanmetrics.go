package views

import (
	"github.com/prometheus/common/model"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// Bounds of the two systems' default buckets: Tempo's in seconds, 2 ms doubled
// thirteen times; the OpenTelemetry connector's in milliseconds.
var (
	tempoBounds = []float64{ //nolint:gochecknoglobals // immutable
		0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
	}
	otelBounds = []float64{ //nolint:gochecknoglobals // immutable
		2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000,
	}
)

// tempoSpanMetrics is what Tempo's metrics generator reports of spans.
func tempoSpanMetrics() *family {
	return spanMetrics("service", append(
		classicHistogram("traces_spanmetrics_latency", "seconds", "Duration of spans.", 1, tempoBounds, metric{}),
		counter("traces_spanmetrics_calls_total", "Spans.", metric{})))
}

// otelSpanMetrics is what the OpenTelemetry span metrics connector reports; the
// Monitor tab of Jaeger reads it.
func otelSpanMetrics() *family {
	return spanMetrics("service_name", append(
		classicHistogram("traces_span_metrics_duration_milliseconds", "milliseconds", "Duration of spans.", 1000, otelBounds, metric{}),
		counter("traces_span_metrics_calls_total", "Spans.", metric{})))
}

func spanMetrics(serviceLabel string, metrics []metric) *family {
	kinds := map[string]string{"": ""} // the overflow series has no kind
	for _, k := range []string{"internal", "server", "client", "producer", "consumer"} {
		kinds[k] = spanKind(k)
	}
	statuses := map[string]string{}
	for _, s := range []string{"unset", "ok", "error"} {
		statuses[s] = statusCode(s)
	}
	return &family{
		base:    canonical.Operation,
		metrics: metrics,
		derive: func(f *facts, add func(name, value string)) {
			add(serviceLabel, f.service)
			add("service_namespace", f.namespace)
			add("span_name", f.operation)
			add("span_kind", spanKind(f.kind))
			add("status_code", statusCode(f.status))
			add("overflow", f.overflow)
		},
		push: map[string]push{
			serviceLabel:        {label: canonical.Service},
			"service_namespace": {label: canonical.Namespace},
			"span_name":         {label: canonical.Name},
			"span_kind":         {label: canonical.Kind, values: kinds},
			"status_code":       {label: canonical.Status, values: statuses},
			"overflow":          {label: canonical.Overflow},
		},
	}
}

// spanKind and statusCode write the enums as trace.proto names them.

func spanKind(kind string) string {
	switch kind {
	case "internal":
		return "SPAN_KIND_INTERNAL"
	case "server":
		return "SPAN_KIND_SERVER"
	case "client":
		return "SPAN_KIND_CLIENT"
	case "producer":
		return "SPAN_KIND_PRODUCER"
	case "consumer":
		return "SPAN_KIND_CONSUMER"
	}
	return ""
}

func statusCode(status string) string {
	switch status {
	case "unset":
		return "STATUS_CODE_UNSET"
	case "ok":
		return "STATUS_CODE_OK"
	case "error":
		return "STATUS_CODE_ERROR"
	}
	return ""
}

// Metadata is what a metric is, as the metadata endpoint tells it.
type Metadata struct {
	Name string
	Type model.MetricType
	Help string
	Unit string
}

// Metadata lists the views' metrics: one entry a counter or histogram.
func (v *Views) Metadata() []Metadata {
	var out []Metadata
	seen := map[string]bool{}
	for _, f := range v.families {
		for i := range f.metrics {
			m := &f.metrics[i]
			if !seen[m.family] {
				seen[m.family] = true
				out = append(out, Metadata{Name: m.family, Type: m.typ, Help: m.help, Unit: m.unit})
			}
		}
	}
	return out
}
