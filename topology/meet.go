package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// Which server span's half is counted as the other side of a client span's, so that the two are one request: see figures.go.
//
// A half is observed when it is known whether it is alone: one that may yet meet a client's span, when it does or when the wait is over.

// meet settles a server span's half, which has waited for client half c, its caller. c need not be in the table yet.
func (t *Topology) meet(c, o *pair.Half, src endpointID, p telemetry.Protocol) {
	r := t.route(src, t.near(o), t.spoken(o, p))
	if o.Alone() && (t.ofQueue(src) || t.meets(c, o, r)) {
		o.Clear(pair.Presumed)
		t.uncount(o)
		o.SetAlone(false)
		o.SetRoute(r)
		t.countPast(o)
	} else {
		t.move(o, r)
	}
	t.compareClocks(c, o)
	t.pairUp(o)
	if !o.Alone() {
		t.emit(o)
	}
}

// ofQueue says that an endpoint is a queue, whose edges have no client's spans to meet.
func (t *Topology) ofQueue(ep endpointID) bool {
	return ep != nowhere && t.nodes.of(ep).key.Kind == telemetry.NodeQueue
}

// meets says that server half o, which is to be counted on route r, is the other side of client half c, and has c remember it. If another was
// and is less likely so, that one is alone from now on: so it does not depend on which came first.
func (t *Topology) meets(c, o *pair.Half, r routeID) bool {
	if c.Has(pair.Void) || t.edges.routes[c.Route()].edge != t.edges.routes[r].edge {
		return false
	}
	if !c.Met() {
		c.SetMet(true)
		return true
	}
	other := t.partner(c)
	if other == nil || other == o || !likelier(c, o, other) {
		return false
	}
	t.uncount(other)
	other.SetAlone(true)
	t.countPast(other)
	return true
}

// likelier says that server half a is rather the other side of c than b is. Of attempts of which the client knows only the last, that is one that ended as
// the client says, so that those that failed count as errors.
func likelier(c, a, b *pair.Half) bool {
	if one, other := a.Outcome() == c.Outcome(), b.Outcome() == c.Outcome(); one != other {
		return one
	}
	return string(a.Span[:]) < string(b.Span[:])
}

// partner is the server span's half that client half c has met, nil if it does not refer to c.
func (t *Topology) partner(c *pair.Half) *pair.Half {
	_, first := t.pending.Look(t.pending.Key(&c.Trace, c.Span))
	for _, o := range t.pending.Kin(first) {
		if hop(o, telemetry.ServerSpan) && !o.Alone() && !o.Has(pair.Named) {
			return o
		}
	}
	return nil
}
