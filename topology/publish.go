package topology

import (
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// publisher keeps what has changed since the last snapshot.
//
// Invariant: all that has changed is dirty, was removed with
// reorder set, or is due.
type publisher struct {
	changed bool // anything may have
	reorder bool // edges or nodes came or went
	judged  bool // there are other culprits
	last    int64
	version uint64
	current atomic.Pointer[telemetry.Graph]
	owed    atomic.Bool // a snapshot was due, and nobody waited for it

	dirtyEdges []edgeID
	dirtyNodes []nodeID

	next      []telemetry.GraphEdge // the next snapshot's edges; nil while they are those of the latest
	none      telemetry.GraphEdge   // what is not visible is drawn as
	nodeOrder []*node
	throttled map[edgeKey][]telemetry.RuleRate

	traffic  traffic // scratch, of an edge
	inbound  traffic // and of a node
	nextLook int64
}

func (p *publisher) init() {
	p.current.Store(&telemetry.Graph{Origin: telemetry.OriginLive, Nodes: []telemetry.GraphNode{}, Edges: []telemetry.GraphEdge{}, Culprits: []string{}})
}

func (p *publisher) removedEdge(e *edge) {
	p.changed = true
	p.reorder = p.reorder || e.drawn.visible
}

func (p *publisher) removedNode(n *node) {
	p.changed = true
	p.reorder = p.reorder || n.drawn.visible
}

// markEdgeDirty has an edge rendered anew with the next snapshot.
func (t *Topology) markEdgeDirty(id edgeID) {
	if e := t.edges.list[id]; !e.dirty {
		e.dirty = true
		t.pub.dirtyEdges = append(t.pub.dirtyEdges, id)
	}
}

// markNodeDirty has a node rendered anew with the next snapshot.
func (t *Topology) markNodeDirty(id nodeID) {
	if n := t.nodes.list[id]; !n.drawn.dirty {
		n.drawn.dirty = true
		t.pub.dirtyNodes = append(t.pub.dirtyNodes, id)
	}
}

// compact keeps the lists of what is to be rendered from growing while nothing
// is published, as in a long replay.
func (p *publisher) compact(t *Topology) {
	if len(p.dirtyEdges) > 2*len(t.edges.list)+1024 {
		p.dirtyEdges = p.dirtyEdges[:0]
		for id, e := range t.edges.list {
			if e != nil && e.dirty {
				p.dirtyEdges = append(p.dirtyEdges, edgeID(id)) //nolint:gosec // an index
			}
		}
	}
	if len(p.dirtyNodes) > 2*len(t.nodes.list)+1024 {
		p.dirtyNodes = p.dirtyNodes[:0]
		for id, n := range t.nodes.list {
			if n != nil && n.drawn.dirty {
				p.dirtyNodes = append(p.dirtyNodes, nodeID(id)) //nolint:gosec // an index
			}
		}
	}
}

// Snapshot is the latest graph. It is immutable; callers share it.
func (t *Topology) Snapshot() *telemetry.Graph {
	if t.pub.owed.Load() {
		t.mu.Lock()
		t.publish()
		t.mu.Unlock()
	}
	return t.pub.current.Load()
}

// publishFor makes a snapshot if one is due and anybody waited for it. To draw fifty thousand edges four times a second costs what a fifth of a
// busy server's spans do; where nobody looks, it is done when somebody does.
func (t *Topology) publishFor(watched bool) {
	if p := &t.pub; watched {
		t.publish()
	} else if p.due(t) {
		p.owed.Store(true)
	}
}

// due says that there may be something to publish.
func (p *publisher) due(t *Topology) bool {
	return t.now-p.last >= int64(t.cfg.PublishEvery) && (p.changed || t.tick >= p.nextLook)
}

// publish makes a snapshot if one is due and anything differs from the last.
func (t *Topology) publish() {
	p := &t.pub
	p.owed.Store(false)
	if !p.due(t) {
		return
	}
	p.last = t.now
	p.changed = false
	some := t.renderEdges()
	if t.renderNodes() || p.next != nil {
		some = true
	}
	if !some && !p.reorder && !p.judged {
		return
	}
	p.version++
	p.judged = false
	if p.reorder {
		t.reorder()
	}
	g := &telemetry.Graph{
		Version: p.version, Time: t.now, Origin: telemetry.OriginLive,
		Nodes: make([]telemetry.GraphNode, len(p.nodeOrder)), Edges: p.edges(), Culprits: t.observant.verdict.culprits, Findings: t.doubts.told,
	}
	p.next = nil
	for i, n := range p.nodeOrder {
		g.Nodes[i] = n.drawn.is
	}
	p.current.Store(g)
	t.hub.wake()
}

// renderEdges renders the edges that were counted on, and those whose windows
// have slid.
func (t *Topology) renderEdges() (some bool) {
	p, es := &t.pub, &t.edges
	if t.tick >= p.nextLook {
		p.nextLook = t.tick + 10
		for id, e := range es.list {
			if e != nil && e.drawn.due != 0 && t.tick >= e.drawn.due {
				t.markEdgeDirty(edgeID(id)) //nolint:gosec // an index
			}
		}
	}
	for _, id := range p.dirtyEdges {
		e := es.list[id]
		if e == nil || !e.dirty {
			continue
		}
		e.dirty = false
		t.markNodeDirty(e.dst)
		if e.src == nowhere || e.fromUnknown {
			continue // it is rendered with its node
		}
		health := p.drawn(e).Health
		if t.renderEdge(e, nil) {
			some = true
			if health != p.drawn(e).Health {
				t.markNodeDirty(e.src)
			}
		}
	}
	p.dirtyEdges = p.dirtyEdges[:0]
	return some
}

// renderNodes renders the dirty nodes.
func (t *Topology) renderNodes() (some bool) {
	p, ns := &t.pub, &t.nodes
	if len(p.dirtyNodes) == 0 {
		return false
	}
	caller := ns.byKey[callerNode()]
	if caller != nowhere {
		t.markNodeDirty(caller)
	}
	render := func(id nodeID) {
		n := ns.list[id]
		if n == nil || !n.drawn.dirty {
			return
		}
		n.drawn.dirty = false
		if id != nowhere && t.renderNode(n) {
			some = true
		}
	}
	for _, id := range p.dirtyNodes {
		if id != caller {
			render(id)
		}
	}
	render(caller) // its edges have been rendered with those whom it calls
	p.dirtyNodes = p.dirtyNodes[:0]
	return some
}

// edges are what the next snapshot has, as far as it has been drawn.
func (p *publisher) edges() []telemetry.GraphEdge {
	if p.next != nil {
		return p.next
	}
	return p.current.Load().Edges
}

// drawn is an edge as it was last rendered; of one that is not visible, a zero one. It is not to be changed.
func (p *publisher) drawn(e *edge) *telemetry.GraphEdge {
	if !e.drawn.visible {
		return &p.none
	}
	return &p.edges()[e.drawn.at]
}

// draw puts an edge into the next snapshot.
func (p *publisher) draw(e *edge, is *telemetry.GraphEdge) {
	if p.next == nil {
		p.next = append(make([]telemetry.GraphEdge, 0, len(p.edges())+1), p.edges()...)
	}
	if !e.drawn.visible {
		e.drawn.visible, e.drawn.at = true, int32(len(p.next)) //nolint:gosec // bounded by MaxEdges
		p.next = append(p.next, telemetry.GraphEdge{})
	}
	p.next[e.drawn.at] = *is
}

// reorder has the next snapshot's edges and nodes be what is visible, by id. Edges that were there before are in order but for
// those that came, which are at the end.
func (t *Topology) reorder() {
	p := &t.pub
	p.reorder = false
	drawn := p.edges()
	at := make([]*edge, len(drawn))
	for _, e := range t.edges.list {
		if e != nil && e.drawn.visible {
			at[e.drawn.at] = e
		}
	}
	old := len(p.current.Load().Edges)
	byID := func(a, b *edge) int { return strings.Compare(a.drawn.id, b.drawn.id) }
	gone := func(e *edge) bool { return e == nil }
	before, came := slices.DeleteFunc(at[:old:old], gone), slices.DeleteFunc(at[old:], gone)
	slices.SortFunc(came, byID)
	p.next = make([]telemetry.GraphEdge, 0, len(before)+len(came))
	for len(before)+len(came) > 0 {
		from := &before
		if len(before) == 0 || len(came) > 0 && byID(came[0], before[0]) < 0 {
			from = &came
		}
		e := (*from)[0]
		*from = (*from)[1:]
		p.next = append(p.next, drawn[e.drawn.at])
		e.drawn.at = int32(len(p.next) - 1) //nolint:gosec // bounded by MaxEdges
	}
	p.nodeOrder = p.nodeOrder[:0]
	for id, n := range t.nodes.list {
		if n != nil && id != nowhere && n.drawn.visible {
			p.nodeOrder = append(p.nodeOrder, n)
		}
	}
	sort.Slice(p.nodeOrder, func(i, j int) bool { return p.nodeOrder[i].drawn.id < p.nodeOrder[j].drawn.id })
}
