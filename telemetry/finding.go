package telemetry

import (
	"slices"
	"time"
)

// A Finding is something that a room noticed of its own accord and that an operator should know: who floods a table with names, what
// was lost to a damaged file, why nothing is taken at present; or why the graph may be wrong: who drops trace headers, whose clock is off
// (package telemetry/findings). It ends by no longer being found.
type Finding struct {
	Kind     string    // what it is, for machines: names_flood, log_unwritable, headers_dropped
	Subject  string    // whom or what it is about: a service, a connection, a file
	Says     string    // a sentence with its figures
	Evidence []string  // what it rests on, a sentence each; may be empty
	Remedy   string    // a sentence: what to do about it
	Count    uint64    // how many: names, records, bytes; 0 where there is nothing to count
	Since    time.Time // when it was first seen
	Severity Severity
	Loss     bool     // something is lost, and not only late or in a sum
	Nodes    []string // where in the graph it is: GraphNode.ID, whom it is about first; empty where it is not in the graph
	Edges    []string // GraphEdge.ID
}

// Places are the nodes and the edges where findings are, by id, with the kinds of those, in order.
func Places(all []Finding) (nodes, edges map[string][]string) {
	nodes, edges = map[string][]string{}, map[string][]string{}
	for i := range all {
		f := &all[i]
		for _, id := range f.Nodes {
			nodes[id] = append(nodes[id], f.Kind)
		}
		for _, id := range f.Edges {
			edges[id] = append(edges[id], f.Kind)
		}
	}
	for _, of := range [...]map[string][]string{nodes, edges} {
		for id, kinds := range of {
			slices.Sort(kinds)
			of[id] = slices.Compact(kinds)
		}
	}
	return nodes, edges
}

// Severity is how grave a finding is.
type Severity uint8

// The severities, the gravest first.
const (
	SeverityWarning Severity = iota // something is wrong, or figures are
	SeverityInfo
)

// String is the severity as the HTTP API writes it.
func (s Severity) String() string {
	if s == SeverityInfo {
		return "info"
	}
	return "warning"
}
