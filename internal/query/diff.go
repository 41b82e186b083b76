package query

import (
	"reflect"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Diff is what turns old into now: the nodes and edges of now that old has not
// or has with other content, and the ids that now no longer has.
//
// It is a pure function of two immutable snapshots, so that whoever publishes
// snapshots need not keep account of changes, and a reader may be brought from any
// version to any later one. Both graphs are in the order of ids, so it is one walk
// over each, and the parts that two snapshots share (a map, a slice) are told
// equal by their address.
//
// Not chosen: deltas kept by the graph's owner, one a change. They are cheaper to
// read, but every reader that falls behind costs memory or another snapshot, and a
// delta that forgets a field is a fault that nobody sees.
func Diff(old, now *telemetry.Graph) telemetry.GraphDelta {
	d := telemetry.GraphDelta{
		Version: now.Version, Time: now.Time,
		Nodes: []telemetry.GraphNode{}, Edges: []telemetry.GraphEdge{},
		RemovedNodes: []string{}, RemovedEdges: []string{}, Culprits: now.Culprits, Findings: now.Findings,
	}
	if old == now {
		return d
	}
	walk(old.Nodes, now.Nodes,
		func(n *telemetry.GraphNode) string { return n.ID }, sameNode,
		func(n *telemetry.GraphNode) { d.Nodes = append(d.Nodes, *n) },
		func(id string) { d.RemovedNodes = append(d.RemovedNodes, id) })
	walk(old.Edges, now.Edges,
		func(e *telemetry.GraphEdge) string { return e.ID }, sameEdge,
		func(e *telemetry.GraphEdge) { d.Edges = append(d.Edges, *e) },
		func(id string) { d.RemovedEdges = append(d.RemovedEdges, id) })
	return d
}

// Empty says that a delta changes nothing.
func Empty(d *telemetry.GraphDelta) bool {
	return len(d.Nodes)+len(d.Edges)+len(d.RemovedNodes)+len(d.RemovedEdges) == 0
}

// SameFindings says that two graphs have the same list of findings: a graph whose findings changed has another.
func SameFindings(a, b []telemetry.Finding) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// walk goes through two sorted arrays at once.
func walk[T any](old, now []T, id func(*T) string, same func(a, b *T) bool, put func(*T), remove func(string)) {
	if len(old) == len(now) && (len(old) == 0 || &old[0] == &now[0]) {
		return
	}
	i, j := 0, 0
	for i < len(old) || j < len(now) {
		c := 1
		switch {
		case j == len(now):
			c = -1
		case i < len(old):
			c = strings.Compare(id(&old[i]), id(&now[j]))
		}
		switch {
		case c < 0:
			remove(id(&old[i]))
			i++
		case c > 0:
			put(&now[j])
			j++
		default:
			if !same(&old[i], &now[j]) {
				put(&now[j])
			}
			i++
			j++
		}
	}
}

func sameNode(a, b *telemetry.GraphNode) bool {
	return a.LastSeen == b.LastSeen && a.Health == b.Health && a.Judgement == b.Judgement && a.Kind == b.Kind && a.Name == b.Name &&
		a.Namespace == b.Namespace && a.Cluster == b.Cluster && a.System == b.System &&
		slices.Equal(a.Versions, b.Versions) && slices.Equal(a.Findings, b.Findings) && sameWindows(a.Windows, b.Windows)
}

func sameEdge(a, b *telemetry.GraphEdge) bool {
	return a.LastSeen == b.LastSeen && a.FirstSeen == b.FirstSeen && a.Health == b.Health && a.Judgement == b.Judgement && a.MTLS == b.MTLS &&
		a.Totals == b.Totals && a.Witnesses == b.Witnesses && a.Estimate.Same(b.Estimate) &&
		a.Source == b.Source && a.Target == b.Target && a.Protocol == b.Protocol &&
		slices.Equal(a.ThrottledBy, b.ThrottledBy) && slices.Equal(a.Exemplars, b.Exemplars) && slices.Equal(a.Findings, b.Findings) &&
		sameWindows(a.Windows, b.Windows)
}

func sameWindows(a, b map[string]telemetry.Signals) bool {
	if len(a) != len(b) {
		return false
	}
	if reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer() {
		return true
	}
	for k, x := range a {
		y, ok := b[k]
		if !ok || x.Rate != y.Rate || x.ErrorRate != y.ErrorRate || x.ThrottledRate != y.ThrottledRate ||
			!sameNumber(x.P50, y.P50) || !sameNumber(x.P90, y.P90) || !sameNumber(x.P99, y.P99) {
			return false
		}
	}
	return true
}

func sameNumber(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
