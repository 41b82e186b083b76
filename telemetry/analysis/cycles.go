package analysis

import (
	"cmp"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Cycles.
//
// Services that call each other in a circle wait for each other: one that is slow comes back to itself, and they cannot be started
// or rolled out in any order. A cycle here is a strongly connected component: a set of nodes, as large as can be, of which each
// calls each, be it through others. Its edges are those between its nodes; without one of them at least it would be no cycle.
// A node that calls itself is a cycle of one.
//
// Two cycles that share a node are one, for a request may go round both. Simple circles are not listed one by one: there may be exponentially many.

// A Cycle is services that call each other in a circle.
type Cycle struct {
	Nodes []*telemetry.GraphNode // by id
	Edges []*telemetry.GraphEdge // by id
}

// Cycles are the graph's, the largest first.
func (s *Shape) Cycles() []Cycle {
	c := s.components()
	number := make([]int32, c.count()) // 1 + index in out
	var out []Cycle
	for i := range s.g.Nodes {
		k := c.of[i]
		if len(c.members(k)) == 1 && !s.callsItself(int32(i)) {
			continue
		}
		if number[k] == 0 {
			out = append(out, Cycle{})
			number[k] = int32(len(out))
		}
		cycle := &out[number[k]-1]
		cycle.Nodes = append(cycle.Nodes, &s.g.Nodes[i])
	}
	for k, e := range s.ends {
		if e[0] < 0 {
			continue
		}
		if of := c.of[e[0]]; of == c.of[e[1]] && number[of] > 0 {
			cycle := &out[number[of]-1]
			cycle.Edges = append(cycle.Edges, &s.g.Edges[k])
		}
	}
	slices.SortFunc(out, func(a, b Cycle) int {
		return cmp.Or(cmp.Compare(len(b.Nodes), len(a.Nodes)), cmp.Compare(a.Nodes[0].ID, b.Nodes[0].ID))
	})
	return out
}

func (w *wiring) callsItself(i int32) bool {
	from, to := w.out.of(i)
	return slices.Contains(w.out.node[from:to], i)
}
