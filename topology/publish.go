package topology

import (
	"sort"
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

	dirtyEdges []edgeID
	dirtyNodes []nodeID

	edgeOrder []*edge // the visible, by id
	nodeOrder []*node
	throttled map[edgeKey][]telemetry.RuleRate

	traffic  traffic // scratch, of an edge
	inbound  traffic // and of a node
	in, out  map[nodeID][]*edge
	nextLook int64
}

func (p *publisher) init() {
	p.current.Store(&telemetry.Graph{Origin: telemetry.OriginLive, Nodes: []telemetry.GraphNode{}, Edges: []telemetry.GraphEdge{}, Culprits: []string{}})
	p.in, p.out = map[nodeID][]*edge{}, map[nodeID][]*edge{}
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

// Snapshot is the latest published graph. It is immutable; callers share it.
func (t *Topology) Snapshot() *telemetry.Graph { return t.pub.current.Load() }

// publish makes a snapshot if one is due and anything differs from the last.
func (t *Topology) publish() {
	p := &t.pub
	if t.now-p.last < int64(t.cfg.PublishEvery) || !p.changed && t.tick < p.nextLook {
		return
	}
	p.last = t.now
	p.changed = false
	some := t.renderEdges()
	if t.renderNodes() {
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
		Nodes: make([]telemetry.GraphNode, len(p.nodeOrder)), Edges: make([]telemetry.GraphEdge, len(p.edgeOrder)), Culprits: t.observant.verdict.culprits, Findings: t.doubts.told,
	}
	for i, n := range p.nodeOrder {
		g.Nodes[i] = n.drawn.is
	}
	for i, e := range p.edgeOrder {
		g.Edges[i] = e.drawn.is
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
		health := e.drawn.is.Health
		if t.renderEdge(e, nil) {
			some = true
			if health != e.drawn.is.Health {
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
	clear(p.in)
	clear(p.out)
	for _, e := range t.edges.list {
		if e == nil {
			continue
		}
		if ns.list[e.dst].drawn.dirty {
			p.in[e.dst] = append(p.in[e.dst], e)
		}
		src := e.src
		if src == nowhere {
			src = caller
		}
		if ns.list[src].drawn.dirty {
			p.out[src] = append(p.out[src], e)
		}
	}
	render := func(id nodeID) {
		n := ns.list[id]
		if n == nil || !n.drawn.dirty {
			return
		}
		n.drawn.dirty = false
		if id != nowhere && t.renderNode(n, p.in[id], p.out[id]) {
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

// reorder lists what is visible, by id.
func (t *Topology) reorder() {
	p := &t.pub
	p.reorder = false
	p.edgeOrder, p.nodeOrder = p.edgeOrder[:0], p.nodeOrder[:0]
	for _, e := range t.edges.list {
		if e != nil && e.drawn.visible {
			p.edgeOrder = append(p.edgeOrder, e)
		}
	}
	for id, n := range t.nodes.list {
		if n != nil && id != nowhere && n.drawn.visible {
			p.nodeOrder = append(p.nodeOrder, n)
		}
	}
	sort.Slice(p.edgeOrder, func(i, j int) bool { return p.edgeOrder[i].drawn.id < p.edgeOrder[j].drawn.id })
	sort.Slice(p.nodeOrder, func(i, j int) bool { return p.nodeOrder[i].drawn.id < p.nodeOrder[j].drawn.id })
}
