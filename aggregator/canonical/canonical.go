// Package canonical names the stored series, out of which every other name is a
// view: their metrics and their labels. The aggregator writes by it; the reader of past graphs
// and the views read by it.
package canonical

// The metrics, each a native histogram.
const (
	Edge      = "binnacle_edge_duration_seconds"
	Operation = "binnacle_operation_duration_seconds"
	// Taken counts what Edge, under the same labels, had counted and what counts elsewhere since, when the other side's span came late. Whoever reads
	// what is stored takes it off.
	Taken = "binnacle_edge_taken_duration_seconds"
)

// Labels of both. A label that would be empty is absent.
const (
	// Outcome is telemetry.Outcome: ok, error or throttled. Operations have it since
	// version 2 of the aggregator's state; what was written before has Status alone.
	Outcome = "outcome"
	// Overflow is "true" on the series that count what is beyond the limit on series.
	// They have no labels but Outcome and Status.
	Overflow = "overflow"
)

// Labels of an edge, besides those of its ends.
const (
	Protocol = "protocol"
	Side     = "side"
	Evidence = "evidence"
	Code     = "code"
	Flags    = "flags"
	TLS      = "tls"
	// Alone is "true" on what servers' spans tell of whose callers' spans are not counted: see topology/figures.go. A request
	// on an edge is told of by a client's span, or by a server's alone.
	Alone = "alone"
)

// Labels of an edge's ends.
const (
	Source          = "source"
	SourceApp       = "source_app"
	SourceCluster   = "source_cluster"
	SourceKind      = "source_kind"
	SourceNamespace = "source_namespace"
	SourcePrincipal = "source_principal"
	SourceSystem    = "source_system"
	SourceVersion   = "source_version"
	SourceWorkload  = "source_workload"

	Destination          = "destination"
	DestinationApp       = "destination_app"
	DestinationCluster   = "destination_cluster"
	DestinationKind      = "destination_kind"
	DestinationNamespace = "destination_namespace"
	DestinationPrincipal = "destination_principal"
	DestinationSystem    = "destination_system"
	DestinationVersion   = "destination_version"
	DestinationWorkload  = "destination_workload"
)

// Labels of an operation.
const (
	Service   = "service"
	Namespace = "namespace"
	Version   = "version"
	Name      = "operation"
	Kind      = "kind"
	// Status is the span's own: unset, ok or error. It is not the outcome: a client's
	// span of a request that was throttled has the status error, by OpenTelemetry's conventions.
	Status = "status"
)

// EdgeLabels lists the labels of an edge's series, in their order.
func EdgeLabels() []string {
	return []string{
		Alone, Code, Destination, DestinationApp, DestinationCluster, DestinationKind, DestinationNamespace, DestinationPrincipal,
		DestinationSystem, DestinationVersion, DestinationWorkload, Evidence, Flags, Outcome, Protocol, Side,
		Source, SourceApp, SourceCluster, SourceKind, SourceNamespace, SourcePrincipal, SourceSystem, SourceVersion, SourceWorkload, TLS,
	}
}

// OperationLabels lists the labels of an operation's series, in their order.
func OperationLabels() []string {
	return []string{Kind, Namespace, Name, Outcome, Service, Status, Version}
}

// An End names the labels of one end of an edge.
type End struct {
	Name, Namespace, Cluster, Kind, System, Version string
}

// Ends are the labels of both ends by which an edge is told from others, and those
// that a node is shown with.
func Ends() (source, destination End) {
	return End{Source, SourceNamespace, SourceCluster, SourceKind, SourceSystem, SourceVersion},
		End{Destination, DestinationNamespace, DestinationCluster, DestinationKind, DestinationSystem, DestinationVersion}
}
