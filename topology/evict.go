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
	if t.door.rows != nil {
		t.door.forget(t.tick)
	}
	t.repeats.forget(t.tick)
	t.flood.forget(t.now)
	if t.littered() {
		t.makeRoom(t.once, t.onceNamed)
	}
	if t.pressed() {
		lot := uint64(t.tick/evictEvery) % lots //nolint:gosec // not negative
		t.makeRoom(func(e *edge) bool {
			return t.tired(e.first, e.last) && hashEdge(t.nodes.list[e.src].hash, t.nodes.list[e.dst].hash, e.protocol)%lots == lot
		}, func(n *node) bool { return n.hash%lots == lot && t.tired(n.since, n.reported) })
	}
}

// makeRoom has the edges that are to go be counted at overflow, and gives up the nodes that are to go and have no edge.
func (t *Topology) makeRoom(goes func(*edge) bool, leaves func(*node) bool) {
	es, ns, pressed := &t.edges, &t.nodes, t.pressed()
	stays := make([]bool, len(ns.list))
	var leaving []leaver
	for id, n := range ns.list {
		stays[id] = n != nil && (id == nowhere || ours(n.key) || n.reporter && !t.tired(n.since, n.reported))
	}
	for id, e := range es.list {
		switch {
		case e == nil || e.overflow:
		case goes(e):
			leaving = append(leaving, leaver{edgeID(id), e}) //nolint:gosec // an index
		case !pressed || !t.tired(e.first, e.last): // or else it goes soon
			stays[e.src], stays[e.dst] = true, true
		}
	}
	// In an order that a restart does not change, since what is of no protocol goes to the first that comes.
	slices.SortFunc(leaving, func(a, b leaver) int {
		return cmp.Or(cmp.Compare(a.edge.protocol, b.edge.protocol), compareNodes(ns.list[a.edge.src].key, ns.list[b.edge.src].key),
			compareNodes(ns.list[a.edge.dst].key, ns.list[b.edge.dst].key))
	})
	// Those of a protocol first: on their targets those of none are counted.
	for _, mute := range [...]bool{false, true} {
		for _, l := range leaving {
			if es.list[l.id] == l.edge && (l.edge.protocol == telemetry.ProtocolUnknown) == mute {
				t.evictEdge(l.id, stays)
			}
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

// litter is what a flood leaves behind where there is room for it: thousands of names that came once and never again, among which nobody
// finds the services that live. Once there is so much of it that was silent for a minute, all of it goes that has been for half of one, at
// once, so that no rest stays for as long as forget_after.
const (
	litterAfter = time.Minute
	litterSince = litterAfter / 2
	litterCalls = 4 // as all witnesses count together: one request that four saw
)

// littered says that there is as much litter as is worth telling of a flood.
func (t *Topology) littered() bool {
	old, left := t.now-int64(litterAfter), uint64(0)
	for _, e := range t.edges.list {
		if e != nil && e.last <= old && t.once(e) {
			left++
		}
	}
	for _, n := range t.nodes.list {
		if n != nil && n.edges == 0 && n.reported <= old && t.onceNamed(n) {
			left++
		}
	}
	return left >= t.floodAt()
}

// once says that an edge is litter: some requests within a short time, and silence since.
func (t *Topology) once(e *edge) bool {
	return !e.overflow && t.silent(e.first, e.last) && e.requests() <= litterCalls
}

// onceNamed says that a node without edges is litter.
func (t *Topology) onceNamed(n *node) bool { return n.reporter && t.silent(n.since, n.reported) }

// silent says that something was seen within a short time alone, and not for long.
func (t *Topology) silent(first, last int64) bool {
	return last-first < int64(patience) && t.now-last >= max(int64(litterSince), t.idle())
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
