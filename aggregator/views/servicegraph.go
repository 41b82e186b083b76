package views

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// Bounds in seconds of the service graph's histograms, as Tempo and the
// OpenTelemetry connector have them by default: 0.1 doubled seven times.
var serviceGraphBounds = []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8} //nolint:gochecknoglobals // immutable

// serviceGraph is what Tempo's metrics generator and the OpenTelemetry service
// graph connector report, and Grafana's node graph reads.
func serviceGraph() *family {
	hopOf := func(f *facts) hop { return hop{source: f.source.node(), target: f.target.node(), protocol: f.protocol} }
	server := metric{hop: hopOf, rank: func(f *facts) int { return sideRank(f, "server") }}
	client := metric{hop: hopOf, rank: func(f *facts) int { return sideRank(f, "client") }}
	total := metric{hop: hopOf, distinct: true}
	failed := total
	failed.only = func(f *facts) bool { return f.outcome == "error" }
	metrics := []metric{
		counter("traces_service_graph_request_total", "Requests between two nodes.", total),
		counter("traces_service_graph_request_failed_total", "Requests between two nodes that failed.", failed),
	}
	metrics = append(metrics, classicHistogram("traces_service_graph_request_server_seconds", "seconds",
		"Duration of requests as the server saw them, or the client where no server reports.", 1, serviceGraphBounds, server)...)
	metrics = append(metrics, classicHistogram("traces_service_graph_request_client_seconds", "seconds",
		"Duration of requests as the client saw them, or the server where no client reports.", 1, serviceGraphBounds, client)...)
	return &family{
		base:    canonical.Edge,
		where:   []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, canonical.Overflow, "")},
		metrics: metrics,
		derive: func(f *facts, add func(name, value string)) {
			add("client", nodeName(&f.source))
			add("server", nodeName(&f.target))
			add("client_service_namespace", f.source.namespace)
			add("server_service_namespace", f.target.namespace)
			add("connection_type", connectionType(f))
		},
		push: map[string]push{
			"client":                   {label: canonical.Source, special: []string{user, unknown}},
			"server":                   {label: canonical.Destination, special: []string{user, unknown}},
			"client_service_namespace": {label: canonical.SourceNamespace},
			"server_service_namespace": {label: canonical.DestinationNamespace},
		},
	}
}

// user is how the service graph names callers that send no telemetry.
const user = "user"

func nodeName(e *end) string {
	if e.kind == "client" {
		return user
	}
	return or(e.name, unknown)
}

func connectionType(f *facts) string {
	switch {
	case f.target.kind == "database":
		return "database"
	case f.target.kind == "queue" || f.source.kind == "queue" || f.protocol == "messaging":
		return "messaging_system"
	case f.target.kind != "service" || f.source.kind != "service":
		return "virtual_node"
	}
	return ""
}

func sideRank(f *facts, side string) int {
	r := evidenceRank(f)
	if f.side != side {
		r += 2
	}
	return r
}
