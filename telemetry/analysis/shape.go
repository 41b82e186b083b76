package analysis

import (
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: a snapshot names the ends of its edges by text, and each question would look up a million names. Shape has them
// as numbers, once: node i is Graph.Nodes[i], edge k is Graph.Edges[k], and a node's edges lie side by side.
//
// Live graphs are published several times a second, mostly with other figures on the same nodes and edges. Such a graph takes the
// numbers over from the one before ([NewShape]'s old), which costs a comparison of names and no look-up.
//
// Not chosen: numbers within the snapshot itself. Whoever publishes it would have to keep them for questions that are seldom asked.

// A Shape is the nodes and edges of a snapshot as numbers.
type Shape struct {
	g *telemetry.Graph
	*wiring
}

// A wiring is what several snapshots of the same nodes and edges share.
type wiring struct {
	at       map[string]int32 // node by id
	ends     [][2]int32       // by edge: source and target; -1, -1 where one is not in the graph
	out, in  ways
	once     sync.Once
	circles  components // this and the following are set by once
	enter    []int32    // see entries
	loops    []bool     // by component, whether anything in it calls itself, by others or not
	complete bool       // every edge has both ends
}

// ways are the edges at one side of each node: those of node i are [first[i], first[i+1]).
type ways struct {
	first []int32 // by node, and one more
	node  []int32 // at the other end
	edge  []int32
}

// of is where the edges of a node begin and end.
func (w *ways) of(node int32) (from, to int32) { return w.first[node], w.first[node+1] }

// NewShape is the shape of g. old, if not nil, is that of another snapshot, whose numbers are taken over where g has the same nodes and edges.
func NewShape(g *telemetry.Graph, old *Shape) *Shape {
	if old != nil && sameWiring(old.g, g) {
		return &Shape{g, old.wiring}
	}
	w := &wiring{at: make(map[string]int32, len(g.Nodes)), ends: make([][2]int32, len(g.Edges)), complete: true}
	for i := range g.Nodes {
		w.at[g.Nodes[i].ID] = int32(i)
	}
	lastName, last, known := "", int32(-1), false
	for k := range g.Edges {
		e := &g.Edges[k]
		if lastName != e.Source || k == 0 { // edges are by id, so that those of one source mostly follow each other
			last, known = w.at[e.Source]
			lastName = e.Source
		}
		target, ok := w.at[e.Target]
		if w.ends[k] = [2]int32{last, target}; !ok || !known {
			w.ends[k], w.complete = [2]int32{-1, -1}, false
		}
	}
	w.out, w.in = w.side(len(g.Nodes), 0), w.side(len(g.Nodes), 1)
	return &Shape{g, w}
}

// sameWiring says that two snapshots have the same nodes and edges.
func sameWiring(a, b *telemetry.Graph) bool {
	if len(a.Nodes) != len(b.Nodes) || len(a.Edges) != len(b.Edges) {
		return false
	}
	for i := range a.Nodes {
		if a.Nodes[i].ID != b.Nodes[i].ID {
			return false
		}
	}
	for k := range a.Edges {
		if x, y := &a.Edges[k], &b.Edges[k]; x.Source != y.Source || x.Target != y.Target {
			return false
		}
	}
	return true
}

// side sorts the edges by one of their ends, and of equals by their number.
func (w *wiring) side(nodes, end int) ways {
	s := ways{first: make([]int32, nodes+1)}
	for _, e := range w.ends {
		if e[end] >= 0 {
			s.first[e[end]+1]++
		}
	}
	for i := range nodes {
		s.first[i+1] += s.first[i]
	}
	s.node, s.edge = make([]int32, s.first[nodes]), make([]int32, s.first[nodes])
	next := append([]int32(nil), s.first...)
	for k, e := range w.ends {
		if e[end] >= 0 {
			at := next[e[end]]
			next[e[end]]++
			s.node[at], s.edge[at] = e[1-end], int32(k)
		}
	}
	return s
}

// Graph is the snapshot.
func (s *Shape) Graph() *telemetry.Graph { return s.g }

// Has says whether the graph has a node of that id.
func (s *Shape) Has(id string) bool {
	_, ok := s.at[id]
	return ok
}

// Bytes is about what the shape holds beside the snapshot.
func (s *Shape) Bytes() int64 {
	const node, edge = 80, 28
	return int64(len(s.g.Nodes))*node + int64(len(s.g.Edges))*edge
}

// walk goes through the graph from the nodes in start, breadth first, by at most depth edges (any number where it is negative), and gives each node's
// distance, -1 for those that it does not come to, and the order in which it came.
func (w *ways) walk(start []int32, depth int32) (hops, order []int32) {
	hops = make([]int32, len(w.first)-1)
	for i := range hops {
		hops[i] = -1
	}
	for _, i := range start {
		if hops[i] < 0 {
			hops[i] = 0
			order = append(order, i)
		}
	}
	for next := 0; next < len(order); next++ {
		i := order[next]
		if hops[i] == depth {
			break
		}
		from, to := w.of(i)
		for _, j := range w.node[from:to] {
			if hops[j] < 0 {
				hops[j] = hops[i] + 1
				order = append(order, j)
			}
		}
	}
	return hops, order
}
