package topology

import (
	"fmt"
	"maps"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// Check proves the invariants of the state, from what all is made of to what is counted, and says the first that does
// not hold. It looks at everything, and is for tests and for whoever doubts; ask between calls.
func (t *Topology) Check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, check := range [...]func() error{t.checkNodes, t.checkEdges, t.checkRoutes, t.checkTies, t.checkHalves} {
		if err := check(); err != nil {
			return fmt.Errorf("topology: %w", err)
		}
	}
	return nil
}

// checkNodes: each node and endpoint is found by its name and by nothing else, and numbers that nobody has are free.
func (t *Topology) checkNodes() error {
	ns := &t.nodes
	live, variants := 0, 0
	for id, n := range ns.list {
		if n == nil || id == nowhere {
			continue
		}
		live++
		variants += len(n.variants)
		if ns.phases[id] != phase(n.hash) {
			return fmt.Errorf("node %s is looked at when another is", n.key.ID())
		}
		if got := ns.byKey[n.key]; got != nodeID(id) { //nolint:gosec // an index
			return fmt.Errorf("node %s is number %d, and found as %d", n.key.ID(), id, got)
		}
		if len(n.variants) == 0 || n.variants[0] != n.bare || len(n.variants) > t.limits.variants {
			return fmt.Errorf("node %s has %d endpoints, its bare one is not the first, or they are too many", n.key.ID(), len(n.variants))
		}
		for _, ep := range n.variants {
			e := &ns.endpoints[ep]
			if e.node != nodeID(id) || e.is.Node != n.key || ns.byDetail[e.is] != ep { //nolint:gosec // an index
				return fmt.Errorf("endpoint %d of node %s is %+v of node %d", ep, n.key.ID(), e.is, e.node)
			}
		}
		listed := overflows(n.key)
		switch n.key.Kind {
		case telemetry.NodeService:
			listed = listed || slices.Contains(ns.services[n.key.Name], nodeID(id)) //nolint:gosec // an index
		case telemetry.NodeUnknown, telemetry.NodeExternal:
			listed = listed || slices.Contains(ns.strays[firstLabel(n.key.Name)], nodeID(id)) //nolint:gosec // an index
		default:
			listed = true
		}
		if !listed {
			return fmt.Errorf("node %s is in no index", n.key.ID())
		}
	}
	switch {
	case live != ns.live || live != len(ns.byKey) || live+len(ns.free)+1 != len(ns.list):
		return fmt.Errorf("there are %d nodes: %d counted, %d named, %d free of %d", live, ns.live, len(ns.byKey), len(ns.free), len(ns.list))
	case variants != len(ns.byDetail) || variants+len(ns.freeEP)+1 != len(ns.endpoints):
		return fmt.Errorf("there are %d endpoints: %d named, %d free of %d", variants, len(ns.byDetail), len(ns.freeEP), len(ns.endpoints))
	case live > t.cfg.MaxNodes+ownNodes:
		return fmt.Errorf("there are %d nodes, the limit is %d", live, t.cfg.MaxNodes)
	}
	proved, held, bytes := map[string]provers{}, map[string]int{}, 0
	for id, n := range ns.list {
		if n == nil || id == nowhere {
			continue
		}
		bytes += len(n.key.Name) + len(n.key.Namespace)
		for _, ep := range n.variants {
			bytes += size(&ns.endpoints[ep].is)
		}
		if n.maker != "" {
			held[n.maker]++
		}
		for _, p := range n.proved {
			bytes += len(p)
			by := provers{n: proved[p].n + 1}
			if by.n == 1 {
				by.node = nodeID(id) //nolint:gosec // an index
			}
			proved[p] = by
		}
	}
	if !maps.Equal(proved, ns.principals) {
		return fmt.Errorf("principals are %v, and known as %v", proved, ns.principals)
	}
	if len(held) != len(ns.makers) || bytes != ns.bytes {
		return fmt.Errorf("%d make nodes, %d are known; names take %d bytes, %d are counted", len(held), len(ns.makers), bytes, ns.bytes)
	}
	for m, n := range held {
		if ns.makers[m] == nil || ns.makers[m].held != n {
			return fmt.Errorf("%q made %d nodes, and is known for others", m, n)
		}
	}
	return nil
}

// ownNodes is how many nodes the graph itself names; see ours.
const ownNodes = int(telemetry.NodeClient) + 2

// checkEdges: each edge is found by its ends, counts something, and is an overflow edge if its ends say so.
func (t *Topology) checkEdges() error {
	es, ns := &t.edges, &t.nodes
	all, live := 0, 0
	for id, e := range es.list {
		if e == nil {
			continue
		}
		all++
		if !e.overflow {
			live++
		}
		if int(e.src) >= len(ns.list) || ns.list[e.src] == nil || e.dst == nowhere || int(e.dst) >= len(ns.list) || ns.list[e.dst] == nil {
			return fmt.Errorf("edge %d leads from node %d to node %d, which are not both there", id, e.src, e.dst)
		}
		name := ns.list[e.src].key.ID() + ">" + ns.list[e.dst].key.ID() + "|" + e.protocol.String()
		if got := es.byKey[edgeKey{e.src, e.dst, e.protocol}]; got != edgeID(id) { //nolint:gosec // an index
			return fmt.Errorf("edge %s is number %d, and found as %d", name, id, got)
		}
		if e.overflow != ns.overflowEdge(e.src, e.dst) {
			return fmt.Errorf("edge %s is marked as an overflow edge, or not, against what its ends say", name)
		}
		if e.requests() == 0 {
			return fmt.Errorf("edge %s is empty and still there", name)
		}
		for w, a := range e.acc {
			if a == nil {
				continue
			}
			if err := a.Check(); err != nil {
				return fmt.Errorf("edge %s, place %d: %w", name, w, err)
			}
			if err := e.checkSampled(w); err != nil {
				return fmt.Errorf("edge %s, place %d: %w", name, w, err)
			}
		}
		if e.src == nowhere && (e.acc[telemetry.ClientSpan] != nil || e.acc[telemetry.ServerSpan] != nil) {
			return fmt.Errorf("edge %s is from nobody known, and counts spans that are not alone", name)
		}
	}
	switch {
	case all != len(es.byKey) || all+len(es.free)+1 != len(es.list) || live != es.live:
		return fmt.Errorf("there are %d edges, %d of them within the limit: %d named, %d free of %d, %d counted", all, live, len(es.byKey), len(es.free), len(es.list), es.live)
	case live > t.cfg.MaxEdges:
		return fmt.Errorf("there are %d edges, the limit is %d", live, t.cfg.MaxEdges)
	}
	return nil
}

// checkRoutes: each route is on the edge that its ends say, or on an overflow edge, and in that edge's list.
func (t *Topology) checkRoutes() error {
	es, ns := &t.edges, &t.nodes
	listed := make([]edgeID, len(es.routes))
	for id, e := range es.list {
		if e == nil {
			continue
		}
		n := 0
		for r := e.routes; r != 0; r = es.routes[r].next {
			if listed[r] != 0 {
				return fmt.Errorf("route %d is listed twice", r)
			}
			listed[r] = edgeID(id) //nolint:gosec // an index
			n++
		}
		if n != int(e.routeCount) {
			return fmt.Errorf("edge %d has %d routes, and counts %d", id, n, e.routeCount)
		}
	}
	uses := map[*telemetry.Edge]int{}
	live := 0
	for r := 1; r < len(es.routes); r++ {
		rt := &es.routes[r]
		if listed[r] != rt.edge {
			return fmt.Errorf("route %d is on edge %d, and listed by %d", r, rt.edge, listed[r])
		}
		if rt.edge == 0 {
			continue
		}
		live++
		for _, ep := range [...]endpointID{rt.src, rt.dst} {
			if int(ep) >= len(ns.endpoints) || ns.list[ns.endpoints[ep].node] == nil || ep != nowhere && ns.endpoints[ep].node == nowhere {
				return fmt.Errorf("route %d has an end, %d, that is not there", r, ep)
			}
		}
		e := es.list[rt.edge]
		if !e.overflow && (ns.endpoints[rt.src].node != e.src || ns.endpoints[rt.dst].node != e.dst) {
			return fmt.Errorf("route %d is on edge %d, which leads elsewhere", r, rt.edge)
		}
		if rt.is == nil || es.described.by[es.described.find(*rt.is)].is != rt.is {
			return fmt.Errorf("route %d says of itself what nobody knows", r)
		}
		uses[rt.is]++
		if rt.refused != (e.overflow && !t.natural(rt.src, rt.dst)) {
			return fmt.Errorf("route %d thinks that it was refused, or not, against what its ends say", r)
		}
	}
	if live+len(es.freeRoute)+1 != len(es.routes) || len(es.byRoute) > live || len(uses) != len(es.described.by) {
		return fmt.Errorf("there are %d routes with %d descriptions: %d free of %d, %d found, %d described", live, len(uses), len(es.freeRoute), len(es.routes), len(es.byRoute), len(es.described.by))
	}
	for key, r := range es.byRoute {
		if rt := &es.routes[r]; rt.edge == 0 || keyOf(rt.src, rt.dst, rt.protocol) != key {
			return fmt.Errorf("route %d is found by other ends than it has", r)
		}
	}
	for _, in := range es.described.by {
		if uses[in.is] != in.uses {
			return fmt.Errorf("%d routes are described by what thinks it has %d", uses[in.is], in.uses)
		}
	}
	return nil
}

// checkTies: nodes know how many edges, and routes on overflow edges, hold them, and none is there that nothing holds.
func (t *Topology) checkTies() error {
	es, ns := &t.edges, &t.nodes
	touching, callers := make([]int, len(ns.list)), make([]int, len(ns.list))
	in, out := make([]int, len(ns.list)), make([]int, len(ns.list))
	for _, e := range es.list {
		if e == nil {
			continue
		}
		touching[e.src]++
		touching[e.dst]++
		in[e.dst]++
		out[e.src]++
		at := func(list []*edge, i int32) bool { return int(i) < len(list) && list[i] == e }
		if !at(ns.list[e.dst].in, e.inAt) || !at(ns.list[e.src].out, e.outAt) {
			return fmt.Errorf("the edge %s is not known to its nodes", t.drawnID(e))
		}
		if e.src == nowhere {
			touching[ns.byKey[callerNode()]]++
		}
		if e.src != nowhere && ns.list[e.src].key != callerNode() {
			callers[e.dst]++
		}
		for r := e.routes; r != 0 && e.overflow; r = es.routes[r].next {
			touching[ns.endpoints[es.routes[r].src].node]++
			touching[ns.endpoints[es.routes[r].dst].node]++
		}
	}
	for id, n := range ns.list {
		if n == nil || id == nowhere {
			continue
		}
		switch {
		case n.edges != touching[id]:
			return fmt.Errorf("node %s thinks that %d edges touch it, they are %d", n.key.ID(), n.edges, touching[id])
		case n.callers != callers[id]:
			return fmt.Errorf("node %s thinks that %d callers are known, they are %d", n.key.ID(), n.callers, callers[id])
		case len(n.in) != in[id] || len(n.out) != out[id]:
			return fmt.Errorf("node %s knows %d edges that lead to it and %d away, they are %d and %d", n.key.ID(), len(n.in), len(n.out), in[id], out[id])
		case n.edges == 0 && !n.reporter:
			return fmt.Errorf("node %s is nobody's and still there", n.key.ID())
		}
	}
	return nil
}

// checkHalves: what waits is counted, each half on the edge that it names.
func (t *Topology) checkHalves() error {
	es := &t.edges
	counted := make([][slots]uint64, len(es.list))
	for _, l := range t.allLate() {
		counted[es.routes[l.route()].edge][l.slot()]++
	}
	for h := range t.pending.All() {
		switch {
		case !h.Valid():
			return fmt.Errorf("a half that waits is none: %+v", *h)
		case h.Has(pair.Void):
			if int(h.Reporter()) >= len(t.nodes.endpoints) {
				return fmt.Errorf("a void half was reported by endpoint %d, which is not there", h.Reporter())
			}
		case h.Route() == 0 || int(h.Route()) >= len(es.routes) || es.routes[h.Route()].edge == 0:
			return fmt.Errorf("a half waits on route %d, which is not there", h.Route())
		default:
			counted[es.routes[h.Route()].edge][slotOf(h)]++
		}
	}
	for id, of := range counted {
		for w, n := range of {
			if n == 0 {
				continue
			}
			if a := es.list[id].acc[w]; a == nil || a.Total().Requests < n {
				return fmt.Errorf("%d halves of place %d wait, or are remembered, on edge %d, which counts fewer", n, w, id)
			}
		}
	}
	return nil
}
