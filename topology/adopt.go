package topology

import (
	"cmp"
	"slices"
)

// adopt is called when a service becomes known: by its own telemetry, or
// because a mesh names it. Nodes that were drawn for its name before are merged into
// it: their edges are re-homed, with all that was counted there.
func (t *Topology) adopt(service nodeID) {
	ns := &t.nodes
	key := ns.list[service].key
	t.scratch.epoch++ // what names meant may have changed
	if t.scratch.epoch == 0 {
		clear(t.scratch.peers)
		t.scratch.epoch = 1
	}
	strays := append([]nodeID(nil), ns.strays[key.Name]...)
	for _, id := range ns.services[key.Name] {
		if id != service && !ns.list[id].reporter {
			strays = append(strays, id)
		}
	}
	// By name, and not by place: see edgesThat.
	slices.SortFunc(strays, func(a, b nodeID) int { return cmp.Compare(ns.list[a].hash, ns.list[b].hash) })
	for _, stray := range strays {
		if !ns.list[stray].reporter {
			t.adoptStray(stray)
		}
	}
}

// adoptStray moves those edges of a node to which a service is now found.
func (t *Topology) adoptStray(stray nodeID) {
	ns := &t.nodes
	n := ns.list[stray]
	touches := func(e *edge) bool { return e.src == stray || e.dst == stray }
	for _, l := range t.edgesThat(touches) {
		e := t.edges.list[l.id]
		if e != l.edge {
			continue // it went with another
		}
		far := e.src
		if far == stray {
			far = e.dst
		}
		is := ns.find(n.key.Kind, n.key.Namespace, n.key.Name, ns.list[far].key.Namespace)
		if is == nowhere || is == stray || is == far {
			continue
		}
		t.rehomeEdge(l.id, stray, is)
	}
}

// rehomeEdge merges an edge into the one that has node to where it has from.
// Halves that are counted there follow, as they refer to it through its routes.
func (t *Topology) rehomeEdge(id edgeID, from, to nodeID) {
	es := &t.edges
	e := es.list[id]
	src, dst := e.src, e.dst
	if src == from {
		src = to
	}
	if dst == from {
		dst = to
	}
	target, ok := t.findEdge(src, dst, e.protocol)
	if !ok {
		target = t.newEdge(edgeKey{src, dst, e.protocol}, e.first, e.last) // in the place of this one, so there is room
	}
	if target != id && es.list[id] == e {
		t.mergeEdge(id, target, from, to)
	}
}

// mergeEdge adds all of an edge to another, and removes it. Routes with an
// endpoint of node from are those of node to from now on.
func (t *Topology) mergeEdge(id, target edgeID, from, to nodeID) {
	ns, es := &t.nodes, &t.edges
	e, into := es.list[id], es.list[target]
	for r := e.routes; r != 0; {
		route := &es.routes[r]
		next := route.next
		es.forgetRoute(r)
		if from != nowhere && ns.endpoints[route.src].node == from {
			route.src = ns.list[to].bare
		}
		if from != nowhere && ns.endpoints[route.dst].node == from {
			route.dst = ns.list[to].bare
		}
		route.edge = target
		route.next, into.routes = into.routes, r
		into.routeCount++
		es.nameRoute(r, t.edgeOf(r))
		t.hold(r, 1)
		r = next
	}
	e.routes, e.routeCount = 0, 0
	into.absorb(e)
	t.markEdgeDirty(target)
	t.removeEdge(id)
}

// absorb adds to an edge what was counted on another, which is to go.
func (e *edge) absorb(o *edge) {
	e.take(&o.account)
	for side := range e.begun {
		e.begun[side] += o.begun[side]
		e.begunBefore[side] += o.begunBefore[side]
	}
	e.first, e.last = min(e.first, o.first), max(e.last, o.last)
	e.watch.Merge(&o.watch)
	e.slow.slower(o.slow)
	switch {
	case o.failed == nil:
	case e.failed == nil:
		e.failed = o.failed
	default:
		e.failed.latest(*o.failed)
	}
}
