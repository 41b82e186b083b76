package topology

import (
	"cmp"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// Once a second, of an eighth of all that there is (by the hash of its name, so that the order in which things lie plays no part: a copy
// of the state goes the same way), what says least makes room where room is wanted. It says least if it has been idle for as long as it
// was ever seen, and for at least patience: what was seen once, or in a burst, goes first, and what calls once an hour, and has for a
// day, is not taken for it.
//
// An edge that goes is counted on at overflow: it is merged, windows and all, into the edge that has the overflow node in place of each
// end that does not stay. So a node that stays loses nothing of its inbound traffic, and no sum changes.

const (
	// patience is for how long at least a thing may be idle; longer where halves wait longer.
	patience = 20 * time.Second
	// lots is in how many parts all is looked at.
	lots       = 8
	evictEvery = int64(time.Second) / signal.Tick // ticks
)

// idle is for how long at least a thing may be idle: so long that no half waits on it any more.
func (t *Topology) idle() int64 { return int64(max(patience, t.cfg.PairWait+time.Second)) }

// tired says that something has been idle for as long as it was seen.
func (t *Topology) tired(first, last int64) bool {
	return t.now-last >= max(t.idle(), min(last-first, int64(t.cfg.ForgetAfter)))
}

// pressed says that room is wanted.
func (t *Topology) pressed() bool {
	ns := &t.nodes
	return 4*ns.live >= 3*t.cfg.MaxNodes || 4*ns.bytes >= 3*t.cfg.MaxNodes*nameBytes || 4*t.edges.live >= 3*t.cfg.MaxEdges
}

// evict does what is due in a second. The caller sweeps.
func (t *Topology) evict() {
	t.thin()
	t.door.forget(t.tick)
	t.repeats.forget(t.tick)
	t.lates.forget(t.tick)
	t.flood.forget(t.now)
	t.clearLitter()
	if t.pressed() {
		lot := uint64(t.tick/evictEvery) % lots //nolint:gosec // not negative
		goes := t.edgesThat(func(e *edge) bool { return t.tired(e.first, e.last) && t.hashOfEdge(e)%lots == lot })
		t.makeRoom(goes, t.staying(goes), func(n *node) bool { return n.hash%lots == lot && t.tired(n.since, n.reported) })
	}
}

// leaver is an edge that is to go, unless it went with another, and its number is another's.
type leaver struct {
	id   edgeID
	edge *edge
	rank uint8  // those of less rank go first
	hash uint64 // of the edge
}

// edgesThat are the edges of which something is true, in the order in which they are to be merged into others. An edge that another of them
// may be merged into comes after it, and goes along with what it has then: those that have an overflow node come last, and of others those
// of a protocol first, since those of none are counted on their targets. The rest of the order is by name, and not by place: what is of no
// protocol falls to whichever comes first.
func (t *Topology) edgesThat(goes func(*edge) bool) (out []leaver) {
	ns := &t.nodes
	for id, e := range t.edges.list {
		if e == nil || e.overflow || !goes(e) {
			continue
		}
		l := leaver{id: edgeID(id), edge: e, hash: t.hashOfEdge(e)} //nolint:gosec // an index
		if e.protocol == telemetry.ProtocolUnknown {
			l.rank = 1
		}
		if overflows(ns.list[e.src].key) || overflows(ns.list[e.dst].key) {
			l.rank += 2
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b leaver) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.hash, b.hash)) })
	return out
}

func (t *Topology) hashOfEdge(e *edge) uint64 {
	return hashEdge(t.nodes.list[e.src].hash, t.nodes.list[e.dst].hash, e.protocol)
}

// staying says which nodes stay when some edges go.
func (t *Topology) staying(leaving []leaver) []bool {
	ns, pressed := &t.nodes, t.pressed()
	stays := make([]bool, len(ns.list))
	for id, n := range ns.list {
		stays[id] = n != nil && (id == nowhere || ours(n.key) || n.reporter && !t.tired(n.since, n.reported))
	}
	gone := make([]bool, len(t.edges.list))
	for _, l := range leaving {
		gone[l.id] = true
	}
	for id, e := range t.edges.list {
		if e != nil && !e.overflow && !gone[id] && (!pressed || !t.tired(e.first, e.last)) { // or else it goes soon
			stays[e.src], stays[e.dst] = true, true
		}
	}
	return stays
}

// makeRoom has the edges that are to go be counted at overflow, and gives up the nodes that are to go and have no edge.
func (t *Topology) makeRoom(goes []leaver, stays []bool, leaves func(*node) bool) {
	es, ns := &t.edges, &t.nodes
	for _, l := range goes {
		if es.list[l.id] == l.edge {
			t.evictEdge(l.id, stays)
		}
	}
	for id, n := range ns.list {
		if n != nil && id != nowhere && n.reporter && n.edges == 0 && leaves(n) {
			n.reporter = false
			ns.loose = append(ns.loose, nodeID(id)) //nolint:gosec // an index
			t.stats.Evicted.Nodes++
		}
	}
}

// home is where an edge that is to go is counted on.
func (t *Topology) home(e *edge, stays []bool) (src, dst telemetry.Node) {
	ns := &t.nodes
	src, dst = ns.list[e.src].key, ns.list[e.dst].key
	if !stays[e.dst] {
		dst = overflowNode(dst.Kind)
	}
	if !stays[e.src] || stays[e.dst] && e.src != nowhere && !ours(src) {
		src = overflowNode(src.Kind)
	}
	return src, dst
}

// evictEdge has an edge on which no half waits be counted at overflow.
func (t *Topology) evictEdge(id edgeID, stays []bool) {
	es, ns := &t.edges, &t.nodes
	e := es.list[id]
	src, dst := t.home(e, stays)
	key := edgeKey{e.src, e.dst, e.protocol}
	if dst != ns.list[e.dst].key {
		key.dst = t.node(dst)
	}
	if src != ns.list[e.src].key {
		key.src = t.node(src)
	}
	if key.src == e.src && key.dst == e.dst {
		return // it is one already, of one that stays
	}
	target, ok := t.findEdge(key.src, key.dst, key.protocol)
	if !ok {
		target = t.newEdge(key, e.first, e.last)
	}
	es.list[target].absorb(e)
	t.markEdgeDirty(target)
	t.removeEdge(id)
	t.stats.Evicted.Edges++
}

// thin lets routes go that nobody takes where there are too many of them, or where they hold nodes for nothing; and then the endpoints
// of nodes that have too many.
func (t *Topology) thin() {
	es, ns := &t.edges, &t.nodes
	old := t.now - t.idle()
	many := len(es.routes)-len(es.freeRoute) > t.limits.routes
	for _, e := range es.list {
		if e != nil && (e.overflow || many || t.crowded(e)) {
			t.forgetRoutes(e, old, nil)
		}
	}
	var used []bool
	for id, n := range ns.list {
		if n == nil || id == nowhere || len(n.variants) < t.limits.variants && 4*ns.bytes < 3*t.cfg.MaxNodes*nameBytes || len(n.variants) == 1 {
			continue
		}
		if used == nil {
			used = make([]bool, len(ns.endpoints))
			for r := range es.routes {
				used[es.routes[r].src], used[es.routes[r].dst] = true, true
			}
		}
		t.forgetVariants(nodeID(id), old, used) //nolint:gosec // an index
	}
}
