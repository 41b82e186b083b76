package analysis

import (
	"cmp"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Whose loss cuts others off.
//
// A node is cut off by the loss of X where every way to it from every entry point leads through X: X dominates it. Entry points are
// nodes that no other calls, and all of a cycle that nobody outside of it calls. Rates do not matter: a way that is hardly used keeps a node reachable.
//
// The way: a root is put before all entry points, and the tree of immediate dominators found by Lengauer and Tarjan's algorithm with
// path compression, in (nodes + edges) * log(nodes) at most. In the tree's preorder what X cuts off is the run behind X.
//
//  1. Number the nodes depth first. A node's semi is the least number from which a way leads to it over greater numbers only.
//  2. From the last to the first: semi(v) is the least semi of its predecessors, or of what is above them among those already done.
//  3. The immediate dominator is that of the least such ancestor, or semi itself; a last pass from the first on makes it final.
//
// Not chosen: articulation points of the undirected graph, which name nodes whose callers alone would be parted; removing each node
// in turn, which is quadratic.

// A Cut is a node whose loss cuts others off.
type Cut struct {
	Node *telemetry.GraphNode
	// Off is who is cut off; what cuts off others in its turn precedes them. It is not to be changed.
	Off []*telemetry.GraphNode
}

// Cuts are the nodes whose loss cuts others off, those first that cut off most. Clients are left out: they are not ours to lose.
func (s *Shape) Cuts() []Cut {
	idom, order := s.dominators()
	// Children are placed behind their dominator by counting, from the last to the first.
	n := len(s.g.Nodes)
	size, place := make([]int32, n+1), make([]int32, n+1)
	for i := len(order) - 1; i > 0; i-- {
		v := order[i]
		size[v]++
		size[idom[v]] += size[v]
	}
	next := make([]int32, n+1) // the first free place within a node's run
	run := make([]*telemetry.GraphNode, len(order))
	for _, v := range order[1:] { // a dominator precedes what it dominates
		d := idom[v]
		place[v] = next[d]
		next[d] += size[v]
		next[v] = place[v] + 1
		run[place[v]] = &s.g.Nodes[v]
	}
	var out []Cut
	for i := range s.g.Nodes {
		if size[i] > 1 && s.g.Nodes[i].Kind != telemetry.NodeClient {
			out = append(out, Cut{&s.g.Nodes[i], run[place[i]+1 : place[i]+size[i] : place[i]+size[i]]})
		}
	}
	slices.SortFunc(out, func(a, b Cut) int {
		return cmp.Or(cmp.Compare(len(b.Off), len(a.Off)), cmp.Compare(a.Node.ID, b.Node.ID))
	})
	return out
}

// dominators is each node's immediate dominator, and the nodes depth first; the root, which has the number of no node, is the first of them.
func (s *Shape) dominators() (idom, order []int32) {
	n := int32(len(s.g.Nodes))
	t := &tree{
		number: make([]int32, n+1), parent: make([]int32, n+1), semi: make([]int32, n+1),
		above: make([]int32, n+1), best: make([]int32, n+1), order: make([]int32, 0, n+1),
	}
	for i := range t.number {
		t.number[i], t.above[i], t.best[i] = -1, -1, int32(i)
	}
	entries := s.entries()
	isEntry := make([]bool, n)
	for _, i := range entries {
		isEntry[i] = true
	}
	t.visit(s, n, entries)
	idom = make([]int32, n+1)
	head, after := make([]int32, n+1), make([]int32, n+1) // nodes by their semi's node, as lists
	for i := range head {
		head[i] = -1
	}
	for i := len(t.order) - 1; i > 0; i-- {
		v := t.order[i]
		from, to := s.in.of(v)
		for _, u := range s.in.node[from:to] {
			if t.number[u] >= 0 {
				t.semi[v] = min(t.semi[v], t.semi[t.eval(u)])
			}
		}
		if isEntry[v] {
			t.semi[v] = 0
		}
		at := t.order[t.semi[v]]
		after[v], head[at] = head[at], v
		p := t.parent[v]
		t.above[v] = p
		for u := head[p]; u >= 0; u = after[u] {
			if y := t.eval(u); t.semi[y] < t.semi[u] {
				idom[u] = y
			} else {
				idom[u] = p
			}
		}
		head[p] = -1
	}
	for _, v := range t.order[1:] {
		if idom[v] != t.order[t.semi[v]] {
			idom[v] = idom[idom[v]]
		}
	}
	return idom, t.order
}

// A tree is the work of finding dominators. Arrays are by node, and one more for the root.
type tree struct {
	number []int32 // depth first; -1: not met
	parent []int32
	semi   []int32 // a number
	above  []int32 // towards the root, among those that are done; -1: none
	best   []int32 // the node of least semi from here up to above
	order  []int32 // by number
	path   []int32 // of eval
}

// visit numbers the nodes depth first from the root, whose edges lead to entries.
func (t *tree) visit(s *Shape, root int32, entries []int32) {
	next := append([]int32(nil), s.out.first...)
	meet := func(v, parent int32) {
		t.number[v], t.semi[v], t.parent[v] = int32(len(t.order)), int32(len(t.order)), parent
		t.order = append(t.order, v)
	}
	meet(root, root)
	var path []int32
	for _, e := range entries {
		if t.number[e] >= 0 {
			continue
		}
		meet(e, root)
		path = append(path, e)
		for len(path) > 0 {
			v := path[len(path)-1]
			down := int32(-1)
			for end := s.out.first[v+1]; next[v] < end && down < 0; next[v]++ {
				if u := s.out.node[next[v]]; t.number[u] < 0 {
					down = u
				}
			}
			if down < 0 {
				path = path[:len(path)-1]
				continue
			}
			meet(down, v)
			path = append(path, down)
		}
	}
}

// eval is the node of least semi on the way up from v as far as what is done; the way is shortened for those who come after.
func (t *tree) eval(v int32) int32 {
	if t.above[v] < 0 {
		return v
	}
	t.path = t.path[:0]
	for u := v; t.above[t.above[u]] >= 0; u = t.above[u] {
		t.path = append(t.path, u)
	}
	for i := len(t.path) - 1; i >= 0; i-- {
		u := t.path[i]
		a := t.above[u]
		if t.semi[t.best[a]] < t.semi[t.best[u]] {
			t.best[u] = t.best[a]
		}
		t.above[u] = t.above[a]
	}
	return t.best[v]
}
