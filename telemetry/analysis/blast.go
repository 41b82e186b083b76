package analysis

import (
	"cmp"
	"math"
	"slices"
	"sync"

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

	callers, callees sync.Once
	made, got        parts
}

// parts are what a request of a node makes of calls, or gets made, on average, edge by edge. All is in the order of components.nodes, in which
// questions go through it: so memory is read from the front to the back. Edges without traffic are left out.
type parts struct {
	first []int32   // by place, and one more
	place []int32   // of the node at the other end
	of    []float64 // calls a request of the caller
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
func (f *Flow) Bytes() int64 { return 32*int64(len(f.rate)) + 24*int64(len(f.requests)) }

// calls are those that requests of each node make.
func (f *Flow) calls() *parts {
	f.callees.Do(func() { f.made = f.partsOf(&f.out, true) })
	return &f.made
}

// called are those that requests of others make to each node.
func (f *Flow) called() *parts {
	f.callers.Do(func() { f.got = f.partsOf(&f.in, false) })
	return &f.got
}

func (f *Flow) partsOf(w *ways, out bool) parts {
	c, n := f.components(), len(f.requests)
	p := parts{first: make([]int32, n+1), place: make([]int32, 0, len(w.node)), of: make([]float64, 0, len(w.node))}
	for at, i := range c.nodes {
		from, to := w.of(i)
		for k := from; k < to; k++ {
			j := w.node[k]
			caller := i
			if !out {
				caller = j
			}
			if r := f.rate[w.edge[k]] * f.per[caller]; r > 0 {
				p.place, p.of = append(p.place, c.place[j]), append(p.of, r)
			}
		}
		p.first[at+1] = int32(len(p.of))
	}
	return p
}

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
	p, c := f.calls(), f.components()
	calls, reached, own := make([]float64, len(hops)), c.reached(order), c.place[x]
	calls[own] = 1
	sum := func(at int32) (total float64) {
		from, to := p.first[at], p.first[at+1]
		for k := from; k < to; k++ {
			total += p.of[k] * min(1, calls[p.place[k]])
		}
		return total
	}
	for k := c.of[x]; int(k) < c.count(); k++ {
		f.settle(k, true, own, reached, calls, sum)
	}
	r := Radius{Touched: f.touched(order, hops, calls), Entries: -1}
	all, through := 0.0, 0.0
	for _, i := range f.entries() {
		all += f.requests[i]
		if hops[i] >= 0 {
			through += f.requests[i] * min(1, calls[c.place[i]])
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
	p, c := f.called(), f.components()
	calls, reached, own := make([]float64, len(hops)), c.reached(order), c.place[x]
	calls[own] = 1
	sum := func(at int32) (total float64) {
		from, to := p.first[at], p.first[at+1]
		for k := from; k < to; k++ {
			total += p.of[k] * calls[p.place[k]]
		}
		return total
	}
	for k := c.of[x]; k >= 0; k-- {
		f.settle(k, false, own, reached, calls, sum)
	}
	if f.requests[x] == 0 {
		for i := range calls {
			calls[i] = -1
		}
	}
	return Radius{Touched: f.touched(order, hops, calls), Entries: -1}, true
}

// reached says by place which nodes are in order.
func (c *components) reached(order []int32) []bool {
	out := make([]bool, len(c.nodes))
	for _, i := range order {
		out[c.place[i]] = true
	}
	return out
}

// settle computes the calls of a component's nodes but for that at own, whose own are given, and those that are not concerned.
func (f *Flow) settle(k int32, up bool, own int32, reached []bool, calls []float64, sum func(int32) float64) {
	from, to := f.circles.first[k], f.circles.first[k+1]
	if !f.loops[k] {
		if from != own && reached[from] {
			calls[from] = sum(from)
		}
		return
	}
	for range mostRounds {
		moved := 0.0
		for n := range to - from {
			at := from + n
			if !up {
				at = to - 1 - n
			}
			if at == own || !reached[at] {
				continue
			}
			now := sum(at)
			moved = max(moved, now-calls[at])
			calls[at] = now
		}
		if moved <= settled {
			return
		}
	}
}

func (f *Flow) touched(order, hops []int32, calls []float64) []Touched {
	out, place := make([]Touched, 0, max(0, len(order)-1)), f.circles.place
	for _, i := range order[1:] {
		t := Touched{Node: &f.g.Nodes[i], Hops: int(hops[i]), Calls: calls[place[i]], Share: min(1, calls[place[i]])}
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
	w.components()
	return w.enter
}

func (w *wiring) findEntries() []int32 {
	c := &w.circles
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

func (w *wiring) findLoops() []bool {
	c := &w.circles
	out := make([]bool, c.count())
	for _, e := range w.ends {
		if e[0] >= 0 && c.of[e[0]] == c.of[e[1]] {
			out[c.of[e[0]]] = true
		}
	}
	return out
}
