package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/annals"
)

// The problem: what the graph draws is an edge between two nodes; what the
// aggregator needs is an edge between two workloads with version and identity; and
// a half may be counted before either is known for sure, and moved after.
//
// The form: two levels. An edge belongs to (node, node, protocol) and has the
// counters. A route is a way on which requests took an edge: (endpoint, endpoint,
// protocol), with the telemetry.Edge that describes it. A half knows its route, a route its
// edge. Moving a half is moving one number; merging two edges is pointing the routes of the
// one at the other; no half need be found.
//
// Overflow: an edge between two overflow nodes, of whatever protocol, is an overflow edge, however it came about: because
// there were too many edges, or because both its ends were too many nodes. It counts against no limit, for there are few, and
// routes of any ends may take it. So whether an edge is one follows from its ends alone, and can be checked.

// edge is an edge of the graph. It takes 304 bytes, of 320 that the allocator gives it, with what few edges have behind pointers: there may be tens of thousands of them.
type edge struct {
	src, dst    nodeID
	protocol    telemetry.Protocol
	overflow    bool // nodes.overflowEdge(src, dst)
	fromUnknown bool // src is the unknown client
	dirty       bool // counted on since it was last rendered
	emptied     bool // is in edges.emptied
	first       int64
	last        int64   // when it last had traffic
	account             // what was counted on it
	inAt, outAt int32   // its places in the lists of its nodes
	routes      routeID // the first of its routes
	routeCount  int32
	begun       [2]uint32 // of the spans counted on it, by side, those that begin a trace; see notice.go
	begunBefore [2]uint32 // at the last look
	clocks      clocks
	slow        exemplar  // the slowest of the last minute
	failed      *exemplar // the latest error; nil: none has come
	watch       health.Watch
	judged      *judgement   // nil: it is well
	kin         *annals.Pair // what the annals know it as; see events.go
	found       string       // kinds of findings that concern it, with blanks between
	drawn       drawnEdge
}

type edgeKey struct {
	src, dst nodeID
	protocol telemetry.Protocol
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
	described described
}

func (es *edges) init() {
	*es = edges{
		list: []*edge{nil}, byKey: map[edgeKey]edgeID{},
		routes: make([]route, 1), byRoute: map[routeKey]routeID{}, described: newDescribed(),
	}
}

// known are the protocols by which an edge is found for a half that does not
// say its own.
var known = [...]telemetry.Protocol{ //nolint:gochecknoglobals // immutable
	telemetry.ProtocolGRPC, telemetry.ProtocolHTTP, telemetry.ProtocolTCP, telemetry.ProtocolDatabase, telemetry.ProtocolMessaging,
}

// edge is the number of an edge between two nodes, which it makes if need be;
// the overflow edge of the target's kind if there are too many. Two nodes never have an edge
// of unknown protocol beside one of a known: what does not say its protocol is
// counted on the other.
func (t *Topology) edge(src, dst nodeID, p telemetry.Protocol) edgeID {
	if id, ok := t.findEdge(src, dst, p); ok {
		return id
	}
	ns := &t.nodes
	key := edgeKey{src, dst, p}
	switch {
	case ns.overflowEdge(src, dst), t.replaces(key), t.admitEdge(src, dst, p):
		return t.newEdge(key, t.now, t.now)
	}
	key = edgeKey{t.node(overflowNode(telemetry.NodeUnknown)), t.node(overflowNode(ns.list[dst].key.Kind)), telemetry.ProtocolUnknown}
	if id, ok := t.edges.byKey[key]; ok {
		return id
	}
	return t.newEdge(key, t.now, t.now)
}

// findEdge is the edge on which requests between two nodes are counted now. An overflow edge is of just this protocol.
func (t *Topology) findEdge(src, dst nodeID, p telemetry.Protocol) (edgeID, bool) {
	es := &t.edges
	id, ok := es.byKey[edgeKey{src, dst, p}]
	if ok || p != telemetry.ProtocolUnknown || t.nodes.overflowEdge(src, dst) {
		return id, ok
	}
	for _, q := range known {
		if id, ok := es.byKey[edgeKey{src, dst, q}]; ok {
			return id, true
		}
	}
	return 0, false
}

// replaces says that an edge would come in the place of the one of unknown protocol, so that there are no more of them than before.
func (t *Topology) replaces(key edgeKey) bool {
	_, ok := t.edges.byKey[edgeKey{key.src, key.dst, telemetry.ProtocolUnknown}]
	return ok
}

// newEdge makes an edge that is not there, whatever the limit.
func (t *Topology) newEdge(key edgeKey, first, last int64) edgeID {
	es := &t.edges
	overflow := t.nodes.overflowEdge(key.src, key.dst)
	if key.src == nowhere {
		t.node(callerNode())
	}
	mute, muted := es.byKey[edgeKey{key.src, key.dst, telemetry.ProtocolUnknown}]
	if !overflow {
		es.live++
	}
	e := &edge{src: key.src, dst: key.dst, protocol: key.protocol, overflow: overflow, fromUnknown: t.nodes.list[key.src].key == callerNode(), first: first, last: last}
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
	if muted && !overflow {
		t.mergeEdge(mute, id, nowhere, nowhere)
	}
	return id
}

// overflowEdge says that an edge between two nodes is an overflow edge.
func (ns *nodes) overflowEdge(src, dst nodeID) bool {
	return src != nowhere && overflows(ns.list[src].key) && overflows(ns.list[dst].key)
}

// tie counts an edge, or with -1 no longer, at its nodes.
//
// An edge from nowhere holds the unknown client's node, in whose name it is drawn.
func (ns *nodes) tie(e *edge, n int) {
	src, dst := ns.list[e.src], ns.list[e.dst]
	if e.src == nowhere {
		id := ns.byKey[callerNode()]
		ns.list[id].edges += n
		if n < 0 {
			ns.loose = append(ns.loose, id)
		}
	}
	src.edges += n
	dst.edges += n
	if e.src != nowhere && src.key != callerNode() {
		dst.callers += n
	}
	if n > 0 {
		e.inAt, dst.in = int32(len(dst.in)), append(dst.in, e) //nolint:gosec // bounded by MaxEdges
	} else {
		last := len(dst.in) - 1
		dst.in[e.inAt], dst.in[last].inAt = dst.in[last], e.inAt
		dst.in[last], dst.in = nil, dst.in[:last]
	}
	if n > 0 {
		e.outAt, src.out = int32(len(src.out)), append(src.out, e) //nolint:gosec // bounded by MaxEdges
	} else {
		last := len(src.out) - 1
		src.out[e.outAt], src.out[last].outAt = src.out[last], e.outAt
		src.out[last], src.out = nil, src.out[:last]
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
	t.partWithEdge(e)
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
func (c *account) requests() uint64 {
	var n uint64
	for _, a := range c.acc {
		if a != nil {
			n += a.Total().Requests
		}
	}
	return n
}
