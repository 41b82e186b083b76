package views

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// facts are a canonical series' labels, read in one walk. The strings are the
// store's; they are valid as long as the querier is.
type facts struct {
	// of an edge
	source, target end
	protocol, side string
	evidence, code string
	outcome, flags string
	tls, alone     string
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
		case canonical.Source:
			f.source.name = l.Value
		case canonical.SourceNamespace:
			f.source.namespace = l.Value
		case canonical.SourceCluster:
			f.source.cluster = l.Value
		case canonical.SourceKind:
			f.source.kind = l.Value
		case canonical.SourceWorkload:
			f.source.workload = l.Value
		case canonical.SourceApp:
			f.source.app = l.Value
		case canonical.SourceVersion:
			f.source.version = l.Value
		case canonical.SourcePrincipal:
			f.source.principal = l.Value
		case canonical.Destination:
			f.target.name = l.Value
		case canonical.DestinationNamespace:
			f.target.namespace = l.Value
		case canonical.DestinationCluster:
			f.target.cluster = l.Value
		case canonical.DestinationKind:
			f.target.kind = l.Value
		case canonical.DestinationWorkload:
			f.target.workload = l.Value
		case canonical.DestinationApp:
			f.target.app = l.Value
		case canonical.DestinationVersion:
			f.target.version = l.Value
		case canonical.DestinationPrincipal:
			f.target.principal = l.Value
		case canonical.Protocol:
			f.protocol = l.Value
		case canonical.Side:
			f.side = l.Value
		case canonical.Evidence:
			f.evidence = l.Value
		case canonical.Code:
			f.code = l.Value
		case canonical.Outcome:
			f.outcome = l.Value
		case canonical.Flags:
			f.flags = l.Value
		case canonical.Alone:
			f.alone = l.Value
		case canonical.TLS:
			f.tls = l.Value
		case canonical.Service:
			f.service = l.Value
		case canonical.Namespace:
			f.namespace = l.Value
		case canonical.Name:
			f.operation = l.Value
		case canonical.Kind:
			f.kind = l.Value
		case canonical.Status:
			f.status = l.Value
		case canonical.Overflow:
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
