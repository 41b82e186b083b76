package topology

import (
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
	if t.door.rows != nil {
		t.door.forget(t.tick)
	}
	t.flood.forget(t.now)
	if !t.pressed() {
		return
	}
	lot := uint64(t.tick/evictEvery) % lots //nolint:gosec // not negative
	es, ns := &t.edges, &t.nodes
	stays := make([]bool, len(ns.list))
	var leaving []leaver
	for id, n := range ns.list {
		stays[id] = n != nil && (id == nowhere || ours(n.key) || n.reporter && !t.tired(n.since, n.reported))
	}
	for id, e := range es.list {
		switch {
		case e == nil || e.overflow:
		case !t.tired(e.first, e.last):
			stays[e.src], stays[e.dst] = true, true
		case hashEdge(ns.list[e.src].hash, ns.list[e.dst].hash, e.protocol)%lots == lot:
			leaving = append(leaving, leaver{edgeID(id), e}) //nolint:gosec // an index
		}
	}
	// Those of a protocol first: on their targets those of none are counted.
	for _, mute := range [...]bool{false, true} {
		for _, l := range leaving {
			if es.list[l.id] == l.edge && (l.edge.protocol == telemetry.ProtocolUnknown) == mute {
				t.evictEdge(l.id, stays)
			}
		}
	}
	for id, n := range ns.list {
		if n != nil && id != nowhere && n.reporter && n.edges == 0 && n.hash%lots == lot && t.tired(n.since, n.reported) {
			n.reporter = false
			ns.loose = append(ns.loose, nodeID(id)) //nolint:gosec // an index
			t.stats.Evicted.Nodes++
		}
	}
}

// leaver is an edge that is to go, unless it went with another, and its number is another's.
type leaver struct {
	id   edgeID
	edge *edge
}

// evictEdge has an edge on which no half waits be counted at overflow.
func (t *Topology) evictEdge(id edgeID, stays []bool) {
	es, ns := &t.edges, &t.nodes
	e := es.list[id]
	key := edgeKey{e.src, e.dst, e.protocol}
	if !stays[key.dst] {
		key.dst = t.node(overflowNode(ns.list[key.dst].key.Kind))
	}
	if !stays[key.src] || key.dst == e.dst && key.src != nowhere && !ours(ns.list[key.src].key) {
		key.src = t.node(overflowNode(ns.list[key.src].key.Kind))
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
		if e != nil && (e.overflow || many || e.routeCount >= t.limits.routesPerEdge) {
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
