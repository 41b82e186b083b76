package views

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// Bounds in milliseconds of istio_request_duration_milliseconds: the default
// buckets of Envoy's histograms.
var istioBounds = []float64{ //nolint:gochecknoglobals // immutable
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
}

// istio is what Istio's proxies report of HTTP and gRPC, by the rules of its
// standard metrics: what is not known is "unknown".
func istio() *family {
	perSide := metric{
		rank: evidenceRank,
		hop: func(f *facts) hop {
			return hop{source: f.source.node(), target: f.target.node(), protocol: f.protocol, side: f.side}
		},
	}
	return &family{
		base: canonical.Edge,
		where: []*labels.Matcher{
			labels.MustNewMatcher(labels.MatchEqual, canonical.Overflow, ""),
			labels.MustNewMatcher(labels.MatchRegexp, canonical.Protocol, "http|grpc|unknown"),
		},
		metrics: append(classicHistogram("istio_request_duration_milliseconds", "milliseconds", "Duration of requests.", 1000, istioBounds, perSide),
			counter("istio_requests_total", "Requests, by both ends' workloads, code and flags.", perSide)),
		derive: deriveIstio,
		push: map[string]push{
			"reporter":                       {label: canonical.Side, values: map[string]string{"client": "source", "server": "destination"}},
			"request_protocol":               {label: canonical.Protocol, special: []string{unknown}},
			"destination_service_name":       {label: canonical.Destination, special: []string{unknown}},
			"destination_service_namespace":  {label: canonical.DestinationNamespace, special: []string{unknown}},
			"destination_workload_namespace": {label: canonical.DestinationNamespace, special: []string{unknown}},
			"source_workload_namespace":      {label: canonical.SourceNamespace, special: []string{unknown}},
		},
	}
}

const unknown = "unknown"

func deriveIstio(f *facts, add func(name, value string)) {
	reporter := "source"
	if f.side == "server" {
		reporter = "destination"
	}
	add("reporter", reporter)
	s, d := &f.source, &f.target
	add("source_workload", or(s.workload, s.name, unknown))
	add("source_workload_namespace", or(s.namespace, unknown))
	add("source_app", or(s.app, s.name, unknown))
	add("source_version", or(s.version, unknown))
	add("source_canonical_service", or(s.name, unknown))
	add("source_canonical_revision", or(s.version, "latest"))
	add("source_principal", principal(s))
	add("source_cluster", or(s.cluster, unknown))
	add("destination_workload", or(d.workload, d.name, unknown))
	add("destination_workload_namespace", or(d.namespace, unknown))
	add("destination_app", or(d.app, d.name, unknown))
	add("destination_version", or(d.version, unknown))
	add("destination_canonical_service", or(d.name, unknown))
	add("destination_canonical_revision", or(d.version, "latest"))
	add("destination_principal", principal(d))
	add("destination_cluster", or(d.cluster, unknown))
	add("destination_service", serviceHost(d))
	add("destination_service_name", or(d.name, unknown))
	add("destination_service_namespace", or(d.namespace, unknown))
	add("request_protocol", or(f.protocol, unknown))
	add("response_flags", or(f.flags, "-"))
	add("connection_security_policy", securityPolicy(f))
	code, grpc := responseCode(f)
	add("response_code", code)
	add("grpc_response_status", grpc)
}

func principal(e *end) string {
	if e.principal == "" {
		return unknown
	}
	return "spiffe://" + e.principal
}

// serviceHost is the host by which callers know a service.
func serviceHost(e *end) string {
	if e.namespace != "" && e.kind == "service" {
		return e.name + "." + e.namespace + ".svc.cluster.local"
	}
	return or(e.name, unknown)
}

// securityPolicy is known at the server alone, as in Istio.
func securityPolicy(f *facts) string {
	switch {
	case f.side != "server" || f.tls == "":
		return unknown
	case f.tls == "mtls":
		return "mutual_tls"
	default:
		return "none"
	}
}

// responseCode is the HTTP status and, for gRPC, whose answers are all 200, the
// status in the trailer. A witness without a code still knows the outcome.
func responseCode(f *facts) (code, grpc string) {
	if f.protocol == "grpc" && f.code != "" {
		return "200", f.code
	}
	if f.code != "" {
		return f.code, ""
	}
	switch f.outcome {
	case "error":
		return "500", ""
	case "throttled":
		return "429", ""
	}
	return "200", ""
}
