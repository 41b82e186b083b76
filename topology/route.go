package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// route is a pair of endpoints that share an edge.
type route struct {
	edge     edgeID
	src, dst endpointID
	next     routeID // of the same edge
	last     int64   // when it was last counted on
	gen      uint16  // how many had this number before, modulo 2^16
	protocol telemetry.Protocol
	refused  bool // there was no room for an edge between its ends: it is on an overflow edge, and asks again
	is       *telemetry.Edge
}

// routeKey is source, target and protocol in one number, which maps look up
// fastest. There are far fewer than 2^30 endpoints.
type routeKey uint64

func keyOf(src, dst endpointID, p telemetry.Protocol) routeKey {
	return routeKey(src)<<34 | routeKey(dst)<<4 | routeKey(p)
}

const maxRoutesPerEdge = 256

// route is the number of the route between two endpoints.
func (t *Topology) route(src, dst endpointID, p telemetry.Protocol) routeID {
	es := &t.edges
	key := keyOf(src, dst, p)
	if r, ok := es.byRoute[key]; ok {
		if rt := &es.routes[r]; rt.refused && rt.last != t.now { // once a batch
			if own := t.again(src, dst, p); own != 0 {
				return own
			}
		}
		return r
	}
	return t.newRoute(src, dst, p)
}

// newRoute makes the route between two endpoints, of which none is found. If too many have made one, it is the bare one of the edge; on an
// overflow edge one that is there, though not found since it had an edge of its own meanwhile, is found again.
func (t *Topology) newRoute(src, dst endpointID, p telemetry.Protocol) routeID {
	es, ns := &t.edges, &t.nodes
	key := keyOf(src, dst, p)
	id := t.edge(ns.endpoints[src].node, ns.endpoints[dst].node, p)
	e := es.list[id]
	if e.overflow {
		t.stats.Dropped.Edges++
		if r := es.routeOn(id, src, dst, p); r != 0 {
			es.byRoute[key] = r
			return r
		}
	}
	if t.crowded(e) || len(es.routes)-len(es.freeRoute) > t.limits.routes {
		bareSrc, bareDst := ns.list[e.src].bare, ns.list[e.dst].bare
		bare := keyOf(bareSrc, bareDst, e.protocol)
		if key != bare {
			t.stats.Dropped.Variants++
			if r := es.routeOn(id, bareSrc, bareDst, e.protocol); r != 0 {
				return r
			}
			src, dst, p = bareSrc, bareDst, e.protocol
		}
	}
	n := route{edge: id, src: src, dst: dst, protocol: p, next: e.routes, last: t.now, refused: e.overflow && !t.natural(src, dst)}
	var r routeID
	if l := len(es.freeRoute); l > 0 {
		r, es.freeRoute = es.freeRoute[l-1], es.freeRoute[:l-1]
		n.gen = es.routes[r].gen
		es.routes[r] = n
	} else {
		r = routeID(len(es.routes)) //nolint:gosec // bounded
		es.routes = append(es.routes, n)
	}
	e.routes = r
	e.routeCount++
	es.nameRoute(r, t.edgeOf(r))
	t.hold(r, 1)
	return r
}

// crowded says that an edge has as many routes as it may have. Those that are alike, as merging leaves them, count once: a checkpoint has
// them once, and a copy of the state must go the same way.
func (t *Topology) crowded(e *edge) bool {
	es := &t.edges
	if int(e.routeCount) < t.limits.routesPerEdge {
		return false
	}
	distinct := make(map[routeKey]struct{}, e.routeCount)
	for r := e.routes; r != 0; r = es.routes[r].next {
		rt := &es.routes[r]
		distinct[keyOf(rt.src, rt.dst, rt.protocol)] = struct{}{}
	}
	return len(distinct) >= t.limits.routesPerEdge
}

// natural says that an overflow edge is where requests between two endpoints belong.
func (t *Topology) natural(src, dst endpointID) bool {
	ns := &t.nodes
	return ns.overflowEdge(ns.endpoints[src].node, ns.endpoints[dst].node)
}

// routeOn is the route of an edge between two endpoints, 0 if there is none. The index knows it, unless it is one that
// took another edge when that was made.
func (es *edges) routeOn(id edgeID, src, dst endpointID, p telemetry.Protocol) routeID {
	if r, ok := es.byRoute[keyOf(src, dst, p)]; ok && es.routes[r].edge == id {
		return r
	}
	for r := es.list[id].routes; r != 0; r = es.routes[r].next {
		if rt := &es.routes[r]; rt.src == src && rt.dst == dst && rt.protocol == p {
			return r
		}
	}
	return 0
}

// edgeOf is what observations on a route say. A caller that is not known is
// the unknown client; an overflow edge hides its routes.
func (t *Topology) edgeOf(r routeID) telemetry.Edge {
	es, ns := &t.edges, &t.nodes
	rt := &es.routes[r]
	e := es.list[rt.edge]
	is := telemetry.Edge{Source: ns.endpoints[rt.src].is, Target: ns.endpoints[rt.dst].is, Protocol: e.protocol}
	if e.overflow {
		is = telemetry.Edge{Protocol: e.protocol}
		is.Source.Node, is.Target.Node = ns.list[e.src].key, ns.list[e.dst].key
	} else {
		is.Target.System = ns.of(rt.dst).system
		is.Source.System = ns.of(rt.src).system
	}
	if rt.src == nowhere {
		is.Source = telemetry.Endpoint{Node: callerNode()}
	}
	return is
}

// nameRoute gives a route its description and its place in the index.
func (es *edges) nameRoute(r routeID, is telemetry.Edge) {
	rt := &es.routes[r]
	rt.is = es.described.use(is)
	key := keyOf(rt.src, rt.dst, rt.protocol)
	if _, ok := es.byRoute[key]; !ok {
		es.byRoute[key] = r
	}
}

// forgetRoute undoes nameRoute.
func (es *edges) forgetRoute(r routeID) {
	rt := &es.routes[r]
	if key := keyOf(rt.src, rt.dst, rt.protocol); es.byRoute[key] == r {
		delete(es.byRoute, key)
	}
	es.described.leave(rt.is)
}

// dropRoute lets a route go.
func (t *Topology) dropRoute(r routeID) {
	es := &t.edges
	es.forgetRoute(r)
	t.hold(r, -1)
	es.routes[r] = route{gen: es.routes[r].gen + 1}
	es.freeRoute = append(es.freeRoute, r)
}

// hold keeps the nodes of a route on an overflow edge, which no edge of their
// own keeps, as long as the route is there.
func (t *Topology) hold(r routeID, n int) {
	rt := &t.edges.routes[r]
	if !t.edges.list[rt.edge].overflow {
		return
	}
	for _, ep := range [...]endpointID{rt.src, rt.dst} {
		id := t.nodes.endpoints[ep].node
		t.nodes.list[id].edges += n
		if n < 0 {
			t.nodes.loose = append(t.nodes.loose, id)
		}
	}
}
