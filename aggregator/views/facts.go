package views

import "github.com/prometheus/prometheus/model/labels"

// The canonical metrics, as docs/api/http.md lists them.
const (
	edgeMetric      = "binnacle_edge_duration_seconds"
	operationMetric = "binnacle_operation_duration_seconds"
)

// facts are a canonical series' labels, read in one walk. The strings are the
// store's; they are valid as long as the querier is.
type facts struct {
	// of an edge
	source, target end
	protocol, side string
	evidence, code string
	outcome, flags string
	tls            string
	// of an operation
	service, namespace, operation string
	kind, status                  string
	overflow                      string
}

// end is one end of an edge.
type end struct {
	name, namespace, cluster, kind    string
	workload, app, version, principal string
}

func factsOf(ls labels.Labels) (f facts) {
	ls.Range(func(l labels.Label) {
		switch l.Name {
		case "source":
			f.source.name = l.Value
		case "source_namespace":
			f.source.namespace = l.Value
		case "source_cluster":
			f.source.cluster = l.Value
		case "source_kind":
			f.source.kind = l.Value
		case "source_workload":
			f.source.workload = l.Value
		case "source_app":
			f.source.app = l.Value
		case "source_version":
			f.source.version = l.Value
		case "source_principal":
			f.source.principal = l.Value
		case "destination":
			f.target.name = l.Value
		case "destination_namespace":
			f.target.namespace = l.Value
		case "destination_cluster":
			f.target.cluster = l.Value
		case "destination_kind":
			f.target.kind = l.Value
		case "destination_workload":
			f.target.workload = l.Value
		case "destination_app":
			f.target.app = l.Value
		case "destination_version":
			f.target.version = l.Value
		case "destination_principal":
			f.target.principal = l.Value
		case "protocol":
			f.protocol = l.Value
		case "side":
			f.side = l.Value
		case "evidence":
			f.evidence = l.Value
		case "code":
			f.code = l.Value
		case "outcome":
			f.outcome = l.Value
		case "flags":
			f.flags = l.Value
		case "tls":
			f.tls = l.Value
		case "service":
			f.service = l.Value
		case "namespace":
			f.namespace = l.Value
		case "operation":
			f.operation = l.Value
		case "kind":
			f.kind = l.Value
		case "status":
			f.status = l.Value
		case "overflow":
			f.overflow = l.Value
		}
	})
	return f
}

// hop is an edge of the graph, whose witnesses compete.
type hop struct {
	source, target [4]string
	protocol, side string
}

func (e *end) node() [4]string { return [4]string{e.cluster, e.namespace, e.kind, e.name} }

// or is the first text that is not empty.
func or(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
