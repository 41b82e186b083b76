package analysis

import (
	"cmp"
	"math"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Blast radius.
//
// The problem: when a node fails, who suffers and how much; and on what does a node itself depend. Edges say who calls whom and how
// often, but not which call belongs to which request.
//
// What is told of each node that reaches the failing one, X, or is reached from it:
//
//   - hops: the fewest edges between.
//   - calls: up, how many of the calls that a request of this node makes, itself or through others, pass through X, on average; down, how
//     many calls a request of X makes to this node. Requests of a node are its inbound requests; of one that nobody calls (a client, a
//     job), the calls that it makes. Each request of a node is taken to make the same calls, as nothing else is known.
//   - share: calls, but at most 1. It is the share of the node's requests that pass through X where none does so twice, and otherwise
//     the most that it can be: ten calls by a tenth of the requests are 1 as well.
//
// Without traffic in the window there is neither, and they are -1; the dependence is there all the same.
//
// Invariants: shares are from 0 to 1. Down, calls(node) times the requests of X are never more than the requests of the node. In a graph without
// cycles both are exact by these definitions.
//
// The way: one walk finds who is concerned. Components (see components.go) are gone through from X outwards; one of a single node is
// one sum over its edges, up: calls(C) = sum over callees D of rate(C,D) * share(D) / requests(C); one with a cycle is gone
// through again and again, from 0 upwards and in the order of a depth-first walk, by which all but the edges that close circles settle at once, until nothing changes by more than 1e-8 or for 64 times, after which what goes round a
// 65th time is missing. So it is linear, times 64 for the parts in cycles.
//
// Not chosen: simulating requests, which answers differently each time; matrices, which are cubic.

const (
	mostRounds = 64
	settled    = 1e-8 // six digits are shown
)

// A Flow is a shape with the rates of one window.
type Flow struct {
	*Shape
	rate     []float64 // by edge, requests a second
	requests []float64 // by node: inbound, or outbound where nobody calls it
	per      []float64 // 1 / requests, or 0
}

// NewFlow is s with the rates of that window.
func NewFlow(s *Shape, window string) *Flow {
	f := &Flow{Shape: s, rate: make([]float64, len(s.g.Edges)), requests: make([]float64, len(s.g.Nodes)), per: make([]float64, len(s.g.Nodes))}
	sent := make([]float64, len(s.g.Nodes))
	for k := range s.g.Edges {
		ends := s.ends[k]
		if ends[0] < 0 {
			continue
		}
		if r := s.g.Edges[k].Windows[window].Rate; r > 0 && !math.IsInf(r, 0) {
			f.rate[k] = r
			f.requests[ends[1]] += r
			sent[ends[0]] += r
		}
	}
	for i := range s.g.Nodes {
		if r := s.g.Nodes[i].Windows[window].Rate; r > f.requests[i] && !math.IsInf(r, 0) {
			f.requests[i] = r // some of which no edge shows
		}
		if f.requests[i] == 0 {
			f.requests[i] = sent[i]
		}
		if f.requests[i] > 0 {
			f.per[i] = 1 / f.requests[i]
		}
	}
	return f
}

// Bytes is about what the flow holds beside the shape.
func (f *Flow) Bytes() int64 { return 8 * int64(len(f.rate)+2*len(f.requests)) }

// A Touched is a node that a blast radius holds.
type Touched struct {
	Node  *telemetry.GraphNode
	Hops  int
	Calls float64 // a request, on average; -1 without traffic
	Share float64 // from 0 to 1; -1 without traffic
}

// A Radius is a blast radius in one direction.
type Radius struct {
	// Touched is every node but the one that was asked for, the nearest first.
	Touched []Touched
	// Entries is the share of all requests at entry points that pass through the node; -1 without traffic, and of a radius down.
	Entries float64
}

// Up is who suffers when the node fails; false where the graph does not have it.
func (f *Flow) Up(id string) (Radius, bool) {
	x, ok := f.at[id]
	if !ok {
		return Radius{}, false
	}
	hops, order := f.in.walk([]int32{x}, -1)
	calls, c := make([]float64, len(hops)), f.components()
	share := func(i int32) float64 { return min(1, calls[i]) }
	calls[x] = 1
	sum := func(i int32) (total float64) {
		from, to := f.out.of(i)
		for at := from; at < to; at++ {
			total += f.rate[f.out.edge[at]] * share(f.out.node[at])
		}
		return total * f.per[i]
	}
	for k := c.of[x]; int(k) < c.count(); k++ {
		f.settle(c.members(k), true, x, hops, calls, sum)
	}
	r := Radius{Touched: f.touched(order, hops, calls), Entries: -1}
	all, through := 0.0, 0.0
	for _, i := range f.entries() {
		all += f.requests[i]
		if hops[i] >= 0 {
			through += f.requests[i] * share(i)
		}
	}
	if all > 0 {
		r.Entries = through / all
	}
	return r, true
}

// Down is what the node depends on; false where the graph does not have it.
func (f *Flow) Down(id string) (Radius, bool) {
	x, ok := f.at[id]
	if !ok {
		return Radius{}, false
	}
	hops, order := f.out.walk([]int32{x}, -1)
	calls, c := make([]float64, len(hops)), f.components()
	calls[x] = 1
	sum := func(i int32) (total float64) {
		from, to := f.in.of(i)
		for at := from; at < to; at++ {
			j := f.in.node[at]
			total += calls[j] * f.per[j] * f.rate[f.in.edge[at]]
		}
		return total
	}
	for k := c.of[x]; k >= 0; k-- {
		f.settle(c.members(k), false, x, hops, calls, sum)
	}
	if f.requests[x] == 0 {
		for i := range calls {
			calls[i] = -1
		}
	}
	return Radius{Touched: f.touched(order, hops, calls), Entries: -1}, true
}

// settle computes the calls of a component's nodes but for x, whose own are given, and those that are not concerned.
func (f *Flow) settle(members []int32, up bool, x int32, hops []int32, calls []float64, sum func(int32) float64) {
	if len(members) == 1 && !f.callsItself(members[0]) {
		if i := members[0]; i != x && hops[i] >= 0 {
			calls[i] = sum(i)
		}
		return
	}
	for range mostRounds {
		moved := 0.0
		for n := range members {
			i := members[n]
			if !up {
				i = members[len(members)-1-n]
			}
			if i == x || hops[i] < 0 {
				continue
			}
			now := sum(i)
			moved = max(moved, now-calls[i])
			calls[i] = now
		}
		if moved <= settled {
			return
		}
	}
}

func (f *Flow) touched(order, hops []int32, calls []float64) []Touched {
	out := make([]Touched, 0, max(0, len(order)-1))
	for _, i := range order[1:] {
		t := Touched{Node: &f.g.Nodes[i], Hops: int(hops[i]), Calls: calls[i], Share: min(1, calls[i])}
		if f.requests[i] == 0 {
			t.Calls, t.Share = -1, -1
		}
		out = append(out, t)
	}
	return out
}

// Most is the n of a radius with the greatest share, of equals the nearest; the list is put in that order, as far as n.
func Most(list []Touched, n int) []Touched {
	order := func(a, b Touched) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Hops, b.Hops), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Node.ID, b.Node.ID))
	}
	kept := make([]Touched, 0, min(len(list), 2*n))
	for _, t := range list {
		if len(kept) == 2*n { // half of them can go
			slices.SortFunc(kept, order)
			kept = kept[:n]
		}
		kept = append(kept, t)
	}
	slices.SortFunc(kept, order)
	return kept[:min(n, len(kept))]
}

// entries are the nodes at which requests enter: those that no other calls, and all of a cycle that nobody outside of it calls.
func (w *wiring) entries() []int32 {
	c := w.components()
	called := make([]bool, c.count())
	for _, e := range w.ends {
		if e[0] >= 0 && c.of[e[0]] != c.of[e[1]] {
			called[c.of[e[1]]] = true
		}
	}
	var out []int32
	for i := range int32(len(c.of)) {
		if !called[c.of[i]] {
			out = append(out, i)
		}
	}
	return out
}
