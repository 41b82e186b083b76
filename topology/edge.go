package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: what the graph draws is an edge between two nodes; what the
// aggregator needs is an edge between two workloads with version and identity; and
// a half may be counted before either is known for sure, and moved after.
//
// The form: two levels. An edge belongs to (node, node, protocol) and has the
// counters. A route is a way on which requests took an edge: (endpoint, endpoint,
// protocol), with its interned telemetry.Edge. A half knows its route, a route its
// edge. Moving a half is moving one number; merging two edges is pointing the routes of the
// one at the other; no half need be found.

// edge is an edge of the graph.
type edge struct {
	src, dst   nodeID
	protocol   telemetry.Protocol
	overflow   bool
	dirty      bool // counted on since it was last rendered
	emptied    bool // is in edges.emptied
	first      int64
	last       int64 // when it last had traffic
	acc        [telemetry.Witnesses]*signal.Acc
	routes     routeID // the first of its routes
	routeCount int
	slow       exemplar // the slowest of the last minute
	failed     exemplar // the latest error
	drawn      drawnEdge
}

// route is a pair of endpoints that share an edge.
type route struct {
	edge     edgeID
	src, dst endpointID
	next     routeID // of the same edge
	last     int64   // when it was last counted on
	protocol telemetry.Protocol
	is       *telemetry.Edge
}

// exemplar is a request by which a number can be looked into.
type exemplar struct {
	trace telemetry.TraceID
	span  telemetry.SpanID
	took  int64
	at    int64 // Unix nanoseconds; 0: none
	err   bool
}

const exemplarAge = 60e9

// slower takes o if it is the slower, latest takes it if it is the later. Both
// have one answer whatever the order in which many are merged.
func (e *exemplar) slower(o exemplar) {
	if o.at != 0 && (e.at == 0 || o.took > e.took || o.took == e.took && (o.at > e.at || o.at == e.at && o.after(e))) {
		*e = o
	}
}

func (e *exemplar) latest(o exemplar) {
	if o.at > e.at || o.at == e.at && o.after(e) {
		*e = o
	}
}

func (e *exemplar) after(o *exemplar) bool { return string(e.span[:]) > string(o.span[:]) }

type edgeKey struct {
	src, dst nodeID
	protocol telemetry.Protocol
}

// routeKey is source, target and protocol in one number, which maps look up
// fastest. There are far fewer than 2^30 endpoints.
type routeKey uint64

func keyOf(src, dst endpointID, p telemetry.Protocol) routeKey {
	return routeKey(src)<<34 | routeKey(dst)<<4 | routeKey(p)
}

// interned is a telemetry.Edge and how many routes have it.
type interned struct {
	is   *telemetry.Edge
	uses int
}

type edges struct {
	list    []*edge // 0 is none
	free    []edgeID
	byKey   map[edgeKey]edgeID
	live    int // without the overflow edges
	emptied []edgeID

	routes    []route // 0 is none
	freeRoute []routeID
	byRoute   map[routeKey]routeID
	interned  map[telemetry.Edge]interned
}

const maxRoutesPerEdge = 256

func (es *edges) init() {
	*es = edges{
		list: []*edge{nil}, byKey: map[edgeKey]edgeID{},
		routes: make([]route, 1), byRoute: map[routeKey]routeID{}, interned: map[telemetry.Edge]interned{},
	}
}

// known are the protocols by which an edge is found for a half that does not
// tell.
var known = [...]telemetry.Protocol{ //nolint:gochecknoglobals // immutable
	telemetry.ProtocolGRPC, telemetry.ProtocolHTTP, telemetry.ProtocolTCP, telemetry.ProtocolDatabase, telemetry.ProtocolMessaging,
}

// edge is the number of an edge between two nodes, which it makes if need be;
// the overflow edge of the target's kind if there are too many. Two nodes never have an edge
// of unknown protocol beside one of a known: what does not tell its protocol is
// counted on the other.
func (t *Topology) edge(src, dst nodeID, p telemetry.Protocol) edgeID {
	es, ns := &t.edges, &t.nodes
	key := edgeKey{src, dst, p}
	if id, ok := es.byKey[key]; ok {
		return id
	}
	if p == telemetry.ProtocolUnknown {
		for _, q := range known {
			if id, ok := es.byKey[edgeKey{src, dst, q}]; ok {
				return id
			}
		}
	}
	overflow := false
	if es.live >= t.cfg.MaxEdges {
		key.src, key.dst = t.node(overflowNode(telemetry.NodeUnknown)), t.node(overflowNode(ns.list[dst].key.Kind))
		key.protocol = telemetry.ProtocolUnknown
		if id, ok := es.byKey[key]; ok {
			return id
		}
		overflow = true
	} else {
		es.live++
	}
	e := &edge{src: key.src, dst: key.dst, protocol: key.protocol, overflow: overflow, first: t.now, last: t.now}
	var id edgeID
	if n := len(es.free); n > 0 {
		id, es.free = es.free[n-1], es.free[:n-1]
		es.list[id] = e
	} else {
		id = edgeID(len(es.list)) //nolint:gosec // bounded by MaxEdges
		es.list = append(es.list, e)
	}
	es.byKey[key] = id
	t.nodes.tie(e, 1)
	t.emptyEdge(id) // nothing is counted on it yet
	if p != telemetry.ProtocolUnknown && !overflow {
		if mute, ok := es.byKey[edgeKey{src, dst, telemetry.ProtocolUnknown}]; ok && !es.list[mute].overflow {
			t.mergeEdge(mute, id, nowhere, nowhere)
		}
	}
	return id
}

// tie counts an edge, or with -1 no longer, at its nodes.
func (ns *nodes) tie(e *edge, n int) {
	src, dst := ns.list[e.src], ns.list[e.dst]
	src.edges += n
	dst.edges += n
	if e.src != nowhere && src.key != callerNode() {
		dst.callers += n
	}
}

// removeEdge lets an edge go. Its nodes stay until the end of the batch.
func (t *Topology) removeEdge(id edgeID) {
	es := &t.edges
	e := es.list[id]
	for r := e.routes; r != 0; {
		next := es.routes[r].next
		t.dropRoute(r)
		r = next
	}
	delete(es.byKey, edgeKey{e.src, e.dst, e.protocol})
	t.nodes.tie(e, -1)
	for _, n := range [...]nodeID{e.src, e.dst} {
		t.nodes.loose = append(t.nodes.loose, n)
		t.markNodeDirty(n)
	}
	if !e.overflow {
		es.live--
	}
	t.pub.removedEdge(e)
	es.list[id] = nil
	es.free = append(es.free, id)
}

// emptyEdge has the edge looked at when the batch is done: if nothing is
// counted on it then, it goes.
func (t *Topology) emptyEdge(id edgeID) {
	if e := t.edges.list[id]; !e.emptied {
		e.emptied = true
		t.edges.emptied = append(t.edges.emptied, id)
	}
}

// sweepEmptied removes edges on which nothing is counted any more, and the
// virtual nodes that nothing leads to: what was provisional leaves no trace.
func (t *Topology) sweepEmptied() {
	es := &t.edges
	for _, id := range es.emptied {
		e := es.list[id]
		if e == nil || !e.emptied {
			continue // it went, and its number is another's
		}
		e.emptied = false
		if e.requests() == 0 {
			t.removeEdge(id)
		}
	}
	es.emptied = es.emptied[:0]
	for _, id := range t.nodes.loose {
		if n := t.nodes.list[id]; n != nil && id != nowhere && n.edges == 0 && !n.reporter {
			t.removeNode(id)
		}
	}
	t.nodes.loose = t.nodes.loose[:0]
	t.pub.compact(t)
}

// requests is how many requests all witnesses counted.
func (e *edge) requests() uint64 {
	var n uint64
	for _, a := range e.acc {
		if a != nil {
			n += a.Total().Requests
		}
	}
	return n
}

// route is the number of the route between two endpoints.
func (t *Topology) route(src, dst endpointID, p telemetry.Protocol) routeID {
	es, ns := &t.edges, &t.nodes
	key := keyOf(src, dst, p)
	if r, ok := es.byRoute[key]; ok {
		return r
	}
	id := t.edge(ns.endpoints[src].node, ns.endpoints[dst].node, p)
	e := es.list[id]
	if e.routeCount >= maxRoutesPerEdge || len(es.routes)-len(es.freeRoute) > 8*t.cfg.MaxEdges {
		bareSrc, bareDst := ns.list[e.src].bare, ns.list[e.dst].bare
		bare := keyOf(bareSrc, bareDst, e.protocol)
		if key != bare {
			t.stats.Dropped.Variants++
			if r, ok := es.byRoute[bare]; ok && es.routes[r].edge == id {
				return r
			}
			src, dst, p = bareSrc, bareDst, e.protocol
		}
	}
	if e.overflow {
		t.stats.Dropped.Edges++
	}
	n := route{edge: id, src: src, dst: dst, protocol: p, next: e.routes, last: t.now}
	var r routeID
	if l := len(es.freeRoute); l > 0 {
		r, es.freeRoute = es.freeRoute[l-1], es.freeRoute[:l-1]
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

// nameRoute gives a route its interned edge and its place in the index.
func (es *edges) nameRoute(r routeID, is telemetry.Edge) {
	rt := &es.routes[r]
	in := es.interned[is]
	if in.is == nil {
		in.is = &is
	}
	in.uses++
	es.interned[is] = in
	rt.is = in.is
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
	in := es.interned[*rt.is]
	if in.uses--; in.uses == 0 {
		delete(es.interned, *rt.is)
	} else {
		es.interned[*rt.is] = in
	}
}

// dropRoute lets a route go.
func (t *Topology) dropRoute(r routeID) {
	es := &t.edges
	es.forgetRoute(r)
	t.hold(r, -1)
	es.routes[r] = route{}
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

func sample(h *pair.Half) signal.Sample {
	return signal.Sample{Bucket: signal.BucketOf(h.Duration()), Outcome: h.Outcome(), TLS: h.TLS()}
}

// count counts a half that has just come on a route.
func (t *Topology) count(h *pair.Half, r routeID) {
	h.SetRoute(r)
	rt := &t.edges.routes[r]
	rt.last = t.now
	e := t.edges.list[rt.edge]
	w := h.Witness()
	if e.acc[w] == nil {
		e.acc[w] = new(signal.Acc)
	}
	e.acc[w].Add(&t.cursor, sample(h))
	e.last = t.now
	if !e.dirty {
		t.markEdgeDirty(rt.edge)
	}
	t.exemplify(e, h)
}

// exemplify keeps a half as its edge's example, if it is one.
func (t *Topology) exemplify(e *edge, h *pair.Half) {
	if h.Trace.IsZero() {
		return
	}
	took := h.Duration()
	isErr := h.Outcome() == telemetry.OutcomeError
	if took < e.slow.took && !isErr && t.now-e.slow.at < exemplarAge {
		return
	}
	x := exemplar{trace: h.Trace, span: h.Span, took: took, at: t.now, err: isErr}
	if took >= e.slow.took || t.now-e.slow.at >= exemplarAge {
		e.slow = x
	}
	if isErr {
		e.failed = x
	}
}

// uncount takes a half off its route, as if it had never been counted there.
func (t *Topology) uncount(h *pair.Half) {
	id := t.edges.routes[h.Route()].edge
	e := t.edges.list[id]
	e.acc[h.Witness()].Remove(&t.cursor, t.cursorAt(t.tick-h.Age(t.tick)), sample(h))
	if e.slow.span == h.Span && e.slow.trace == h.Trace {
		e.slow = exemplar{}
	}
	if e.failed.span == h.Span && e.failed.trace == h.Trace {
		e.failed = exemplar{}
	}
	t.emptyEdge(id)
	t.markEdgeDirty(id)
}

// cursorAt is the cursor of a tick in the past. Halves that are moved one after the
// other came at the same tick more often than not.
func (t *Topology) cursorAt(tick int64) *signal.Cursor {
	if t.back.Tick() != tick {
		t.back = signal.At(tick)
	}
	return &t.back
}

// move counts a half on another route, at the time at which it came.
func (t *Topology) move(h *pair.Half, r routeID) {
	h.Clear(pair.Presumed)
	if r == h.Route() {
		return
	}
	from, to := t.edges.routes[h.Route()].edge, t.edges.routes[r].edge
	t.edges.routes[r].last = t.now
	if from == to {
		h.SetRoute(r)
		return
	}
	t.uncount(h)
	h.SetRoute(r)
	t.countPast(h)
}

// countPast counts a half on the route that it has, at the time at which it
// came.
func (t *Topology) countPast(h *pair.Half) {
	rt := &t.edges.routes[h.Route()]
	rt.last = t.now
	e := t.edges.list[rt.edge]
	w := h.Witness()
	if e.acc[w] == nil {
		e.acc[w] = new(signal.Acc)
	}
	tick := t.tick - h.Age(t.tick)
	e.acc[w].AddPast(&t.cursor, t.cursorAt(tick), sample(h))
	e.last = max(e.last, tick*signal.Tick)
	t.markEdgeDirty(rt.edge)
	t.exemplify(e, h)
}
