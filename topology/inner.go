package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// The problem: between the spans of a hop's two sides lie others, internal or of no kind at all. A callee's parent is then no
// client's span but one of these; some services have nothing else, so that they are seen to be entered only by where their spans
// hang; a call inside a call is the same hop though an inner span is between the two; and what has no service's name belongs to
// whoever it is part of.
//
// The rules:
//
//	An inner span is remembered with its service, and counts nowhere: void, marked Inner.
//	Whatever the kind, a span whose parent is another service's has crossed a hop. An inner span that has is the callee's half of it. A
//	client's span that has proves that its service was called: it answers the client half that is its parent, and else is counted as
//	a callee's half that is implied, without error, and at least as long as the call that proves it.
//	A client span has a client span of its own service above it in the sense of covers also if only inner spans of that service are between.
//	An inner or client's span of a sender without name is its parent's service's, and so are those below it.
//
// Each rule is applied by whichever of the spans comes last.
//
// Not chosen: to keep a trace together until it is whole (nobody knows when it is, and what fails is late); to leave inner spans
// out and to join what they separate by trace id alone (a trace goes through a service more than once).

// maxInner is how many inner spans, one below the other, are gone through in search of those on their other side.
const maxInner = 4

// innerSpan takes in a span that is of no side.
func (t *Topology) innerSpan(s *telemetry.Span, k *keys) {
	if s.SpanID.IsZero() || s.TraceID.IsZero() {
		return
	}
	tb := t.pending
	owner, first := tb.Look(k.own)
	if owner != 0 {
		t.stats.LeftOut.Duplicates++
		return
	}
	near := t.scratch.own[s.Resource]
	parent := t.parent(k.refers)
	if above := t.above(parent); above != nowhere {
		if t.faceless(near) {
			near = above
		} else if !t.same(near, above) {
			t.serverSpan(s, k)
			return
		}
	}
	h := half(s, telemetry.ServerSpan, t.tick)
	h.MakeVoid(near)
	h.Set(pair.Inner)
	if first != 0 && !t.faceless(near) {
		t.below(near, first, maxInner)
		t.bridge(near, parent, first)
	}
	t.push(&h, k.own, k.refers)
}

// parent is the half that owns the id to which a span refers, 0 if there is none.
func (t *Topology) parent(refers uint64) pair.Ref {
	if refers == 0 {
		return 0
	}
	r, _ := t.pending.Look(refers)
	return r
}

// above is who reported a span's parent, if it is known and has a name.
func (t *Topology) above(parent pair.Ref) endpointID {
	if parent == 0 {
		return nowhere
	}
	if near := t.near(t.pending.At(parent)); !t.faceless(near) {
		return near
	}
	return nowhere
}

// faceless says that an endpoint is that of senders who do not say who they are.
func (t *Topology) faceless(ep endpointID) bool {
	if ep == nowhere {
		return true
	}
	n := t.nodes.of(ep)
	return n.key.Kind == telemetry.NodeUnknown && n.key == unknownNode()
}

// below settles those who refer to an inner or server span of near's, first the latest of them, as far as it has called them: spans of
// other services that it entered. Those who have no name take near's.
func (t *Topology) below(near endpointID, first pair.Ref, depth int) {
	for _, o := range t.pending.Kin(first) {
		switch {
		case o.Has(pair.Inner):
			t.innerBelow(near, o, first, depth)
		case o.Witness() == telemetry.ClientSpan:
			t.clientBelow(near, o)
		case hop(o, telemetry.ServerSpan) && !o.Has(pair.Paired) && !o.Has(pair.Named):
			if t.same(near, t.near(o)) {
				t.void(o)
			} else {
				t.entered(near, o, first)
			}
		default:
		}
	}
}

// innerBelow is below for an inner span.
func (t *Topology) innerBelow(near endpointID, o *pair.Half, first pair.Ref, depth int) {
	switch at := o.Reporter(); {
	case t.faceless(near):
	case t.faceless(at):
		o.MakeVoid(near)
		if _, next := t.pending.Look(t.pending.Key(&o.Trace, o.Span)); next != 0 && depth > 0 {
			t.below(near, next, depth-1)
		}
	case !t.same(near, at):
		t.promote(o, near, o.Protocol())
		t.entered(near, o, first)
	default:
	}
}

// entered gives a server half its caller, which has no client's span.
func (t *Topology) entered(near endpointID, o *pair.Half, first pair.Ref) {
	dst := t.near(o)
	t.settle(o, near, dst, o.Protocol())
	t.settleServerLogs(o, near, o.Protocol())
	t.settleClientLogs(near, dst, first, o.Protocol())
}

// clientBelow is below for a client's span.
func (t *Topology) clientBelow(near endpointID, o *pair.Half) {
	switch at := t.near(o); {
	case t.faceless(near):
	case !t.faceless(at):
		if !t.same(near, at) {
			t.implied(near, at, o)
		}
	case o.Has(pair.Void):
		o.MakeVoid(near)
	default:
		t.move(o, t.route(near, t.far(o), o.Protocol()))
	}
}

// promote makes an inner span a half of the hop from src.
func (t *Topology) promote(o *pair.Half, src endpointID, p telemetry.Protocol) {
	near := o.Reporter()
	o.Clear(pair.Void | pair.Inner | pair.Emitted)
	o.SetAlone(true)
	o.SetRoute(t.route(src, near, p))
	t.countPast(o)
}

// implied counts that a service was called by another, of which the only trace is a call by the one, client half c, below a span of the other.
func (t *Topology) implied(src, dst endpointID, c *pair.Half) {
	h := pair.Half{Trace: c.Trace, Span: c.Span, Start: c.Start, Code: -1}
	h.SetWhat(telemetry.ServerSpan, telemetry.OutcomeOK, telemetry.TLSUnknown, telemetry.ProtocolUnknown)
	h.SetTook(c.Duration(), t.tick)
	h.SetWeight(c.Weight())
	t.stats.Implied++
	t.alone(&h, src, dst)
}

// clientAbove settles what o, the parent of client half h of near's, learns by it, if it is another service's.
func (t *Topology) clientAbove(h *pair.Half, near endpointID, o *pair.Half) {
	switch at := t.near(o); {
	case t.same(near, at) || t.faceless(at) || t.faceless(near):
	case o.Witness() == telemetry.ServerSpan:
		t.implied(at, near, h)
	case hop(o, telemetry.ClientSpan) && !o.Has(pair.Paired) && !o.Has(pair.Named):
		t.settle(o, at, near, o.Protocol())
	default:
	}
}

// moreThanServers says that inner or client's spans are among those who refer to an id, of which first is the latest.
func (t *Topology) moreThanServers(first pair.Ref) bool {
	for _, o := range t.pending.Kin(first) {
		if o.Has(pair.Inner) || o.Witness() == telemetry.ClientSpan {
			return true
		}
	}
	return false
}

// enter makes hops of the inner spans that client half h of near's has entered, of which first is the latest.
func (t *Topology) enter(near endpointID, first pair.Ref) {
	if t.faceless(near) {
		return
	}
	for _, o := range t.pending.Kin(first) {
		if o.Has(pair.Inner) {
			if at := o.Reporter(); t.faceless(at) {
				t.innerBelow(near, o, first, maxInner)
			} else if !t.same(near, at) {
				t.promote(o, near, o.Protocol())
			}
		}
	}
}

// callAbove is r, or the nearest half above it that is no inner span of near's; 0 if there is none.
func (t *Topology) callAbove(near endpointID, r pair.Ref) pair.Ref {
	for range maxInner {
		if r == 0 {
			return 0
		}
		o := t.pending.At(r)
		if !o.Has(pair.Inner) || !t.same(near, o.Reporter()) {
			return r
		}
		if o.Refers.IsZero() {
			return 0
		}
		r, _ = t.pending.Look(t.pending.Key(&o.Trace, o.Refers))
	}
	return 0
}

// callsBelow calls f with the client halves of near's that refer to an id, of which first is the latest, themselves or through inner spans.
func (t *Topology) callsBelow(near endpointID, first pair.Ref, depth int, f func(*pair.Half)) {
	for _, o := range t.pending.Kin(first) {
		switch {
		case o.Witness() == telemetry.ClientSpan:
			if t.same(near, t.near(o)) {
				f(o)
			}
		case o.Has(pair.Inner) && t.same(near, o.Reporter()) && depth > 0:
			if _, next := t.pending.Look(t.pending.Key(&o.Trace, o.Span)); next != 0 {
				t.callsBelow(near, next, depth-1, f)
			}
		default:
		}
	}
}

// enteredBelow is a server span, of least id, of another service that was called from an inner span of near's which refers to an id, be it
// through others; 0 if there is none.
func (t *Topology) enteredBelow(near endpointID, first pair.Ref, depth int) (found pair.Ref) {
	least := func(r pair.Ref) {
		if found == 0 || string(t.pending.At(r).Span[:]) < string(t.pending.At(found).Span[:]) {
			found = r
		}
	}
	for _, o := range t.pending.Kin(first) {
		if !o.Has(pair.Inner) || !t.same(near, o.Reporter()) {
			continue
		}
		_, next := t.pending.Look(t.pending.Key(&o.Trace, o.Span))
		for r, s := range t.pending.Kin(next) {
			if hop(s, telemetry.ServerSpan) && !s.Has(pair.Named) && !t.same(near, t.near(s)) {
				least(r)
			}
		}
		if next != 0 && depth > 0 {
			if r := t.enteredBelow(near, next, depth-1); r != 0 {
				least(r)
			}
		}
	}
	return found
}

// bridge joins the client's spans above an inner span of near's, which is not in the table yet, and below it.
func (t *Topology) bridge(near endpointID, parent, first pair.Ref) {
	r := t.callAbove(near, parent)
	if r == 0 {
		return
	}
	above := t.pending.At(r)
	if above.Witness() != telemetry.ClientSpan || !t.same(near, t.near(above)) {
		return
	}
	t.answerAbove(above, near, first)
	t.callsBelow(near, first, maxInner, func(child *pair.Half) {
		childVoid, parentVoid := covers(child, above, child.Has(pair.Paired))
		if childVoid && !child.Has(pair.Void) && !child.Has(pair.Paired) {
			t.void(child)
		}
		if parentVoid && !above.Has(pair.Void) && !above.Has(pair.Paired) {
			t.void(above)
		}
	})
}

// answerAbove settles client half parent of near's, between which and the halves that refer to an id are inner spans of near's alone, if one of
// these is the callee's.
func (t *Topology) answerAbove(parent *pair.Half, near endpointID, first pair.Ref) {
	if parent.Has(pair.Paired) || parent.Has(pair.Named) {
		return
	}
	var found pair.Ref
	for r, s := range t.pending.Kin(first) {
		if hop(s, telemetry.ServerSpan) && !s.Has(pair.Named) && !t.same(near, t.near(s)) &&
			(found == 0 || string(s.Span[:]) < string(t.pending.At(found).Span[:])) {
			found = r
		}
	}
	if found == 0 {
		found = t.enteredBelow(near, first, maxInner)
	}
	if found != 0 {
		s := t.pending.At(found)
		if parent.Has(pair.Void) {
			t.revive(parent, t.near(s), s.Protocol())
		}
		t.settle(parent, t.near(parent), t.near(s), s.Protocol())
		t.meet(parent, s, t.near(parent), s.Protocol())
	}
}
