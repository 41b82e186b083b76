package topology

import (
	"time"
)

// Litter is what a flood leaves behind where there is room for it: thousands of names that came once or twice and never again, among which
// nobody finds the services that live.
//
// Once there is so much of it that was silent for a minute, all of it goes that has been for half of one, at once, so that no rest stays for
// as long as forget_after. Only what would go counts: an edge between ends that stay, and of which overflow could say no less, is no litter,
// however seldom it is used; or else a hundred such would have every quiet newcomer go.
//
// Who calls many that are litter, or is called by them, is none: a nightly batch that calls a thousand hosts, each once, stays on the map for as
// long as it would without them, with all its calls on an edge to overflow.
const (
	litterAfter = time.Minute
	litterSince = litterAfter / 2
	litterCalls = 2  // as any one witness counts
	hubEdges    = 16 // a node with as many is no litter; so what a flood can keep is a part of it
)

// clearLitter has all litter go if there is as much of it as is worth telling of a flood.
func (t *Topology) clearLitter() {
	if !t.littered() {
		return
	}
	goes := t.edgesThat(t.once)
	stays := t.staying(goes)
	t.keepHubs(goes, stays)
	old, left := t.now-int64(litterAfter), t.loneLitter()
	for _, l := range goes {
		if src, dst := t.home(l.edge, stays); l.edge.last <= old && (src != t.nodes.list[l.edge.src].key || dst != t.nodes.list[l.edge.dst].key) {
			left++
		}
	}
	if left >= t.floodAt() {
		t.makeRoom(goes, stays, t.onceNamed)
	}
}

// littered says that there may be enough litter. It is asked each second, and looks at each edge once.
func (t *Topology) littered() bool {
	old, left := t.now-int64(litterAfter), t.loneLitter()
	for _, e := range t.edges.list {
		if e != nil && e.last <= old && t.once(e) {
			left++
		}
	}
	return left >= t.floodAt()
}

// loneLitter is how many nodes without edges are litter.
func (t *Topology) loneLitter() (left uint64) {
	old := t.now - int64(litterAfter)
	for _, n := range t.nodes.list {
		if n != nil && n.edges == 0 && n.reported <= old && t.onceNamed(n) {
			left++
		}
	}
	return left
}

// keepHubs has those stay that many of the edges touch which go.
func (t *Topology) keepHubs(goes []leaver, stays []bool) {
	touching := make([]int32, len(t.nodes.list))
	for _, l := range goes {
		for _, id := range [...]nodeID{l.edge.src, l.edge.dst} {
			if touching[id]++; touching[id] >= hubEdges {
				stays[id] = true
			}
		}
	}
}

// once says that an edge is litter: a request or two within a short time, and silence since.
func (t *Topology) once(e *edge) bool {
	if e.overflow || !t.silent(e.first, e.last) {
		return false
	}
	for _, n := range e.witnessed() {
		if n > litterCalls {
			return false
		}
	}
	return true
}

// onceNamed says that a node without edges is litter.
func (t *Topology) onceNamed(n *node) bool { return n.reporter && t.silent(n.since, n.reported) }

// silent says that something was seen within a short time alone, and not for long.
func (t *Topology) silent(first, last int64) bool {
	return last-first < int64(patience) && t.now-last >= max(int64(litterSince), t.idle())
}
