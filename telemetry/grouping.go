package telemetry

// Grouping says what a node of a grouped graph stands for.
type Grouping uint8

// The groupings. Nodes that are no services (databases, hosts outside, callers) stand for themselves in all.
const (
	GroupService   Grouping = iota // a service: the graph as it is
	GroupCluster                   // all services of a cluster
	GroupNamespace                 // all services of a namespace
	GroupApp                       // an application of a namespace
	GroupWorkload                  // a workload of a namespace
	GroupVersion                   // a service in one version
	Groupings      = iota
)

var groupingNames = [...]string{"service", "cluster", "namespace", "app", "workload", "version"} //nolint:gochecknoglobals // immutable

// String is the grouping as the HTTP API writes it.
func (g Grouping) String() string { return groupingNames[g] }
