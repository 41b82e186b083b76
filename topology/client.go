package topology

import (
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// proxyCall says that a span is of a call that an Envoy makes on its own account
// (rate limits, authorization): "async <method> egress".
func (t *Topology) proxyCall(s *telemetry.Span) bool {
	if s.Cluster == 0 || t.cfg.ProxyCalls {
		return false
	}
	name := t.scratch.b.Str(s.Name)
	return strings.HasPrefix(name, "async ") && strings.HasSuffix(name, " egress")
}

// clientSpan takes in a span of a caller's side.
func (t *Topology) clientSpan(s *telemetry.Span, k *keys) {
	if t.proxyCall(s) {
		t.stats.LeftOut.ProxyCalls++
		return
	}
	near := t.scratch.own[s.Resource]
	h := half(s, telemetry.ClientSpan, t.tick)
	if s.PeerKind == telemetry.NodeDatabase || s.PeerKind == telemetry.NodeQueue {
		h.Set(pair.Named)
	}
	if s.Peer != 0 {
		h.SetTells()
	}
	if s.SpanID.IsZero() || s.TraceID.IsZero() {
		t.alone(&h, near, t.callee(s, near))
		return
	}
	tb := t.pending
	key, refers := k.own, k.refers
	owner, first := tb.Look(key)
	if owner != 0 && tb.At(owner).Witness() == telemetry.ClientSpan {
		t.stats.LeftOut.Duplicates++
		return
	}
	parent := t.parent(refers)
	if parent != 0 && t.faceless(near) {
		if above := t.above(parent); above != nowhere {
			near = above
		}
	}
	more := first != 0 && t.moreThanServers(first)
	if more {
		t.enter(near, first)
	}
	callee := t.answered(&h, near, owner, first)
	served := callee != 0 && !h.Has(pair.Named) && tb.At(callee).Witness() == telemetry.ServerSpan
	void := more && t.coveredByChild(&h, near, first)
	if parent != 0 {
		t.clientAbove(&h, near, tb.At(parent))
		void = t.coveredByParent(&h, near, parent, served) || void
	}
	if void && !served {
		h.MakeVoid(near)
		t.push(&h, key, refers)
		return
	}

	var l *late
	if callee == 0 && !h.Has(pair.Named) {
		if t.kept(&h.Trace, h.Span, false) != nil {
			t.stats.LeftOut.Duplicates++
			return
		}
		l = t.kept(&h.Trace, h.Span, true)
	}
	p := h.Protocol()
	if l != nil {
		rt := &t.edges.routes[l.route()]
		if rank[rt.protocol] > rank[p] {
			p = rt.protocol
		}
		r := t.route(near, rt.dst, p)
		t.reconcile(l, h.Trace, r)
		h.SetMet(true)
		t.count(&h, r)
		t.pairUp(&h)
	} else if callee != 0 && s.PeerKind != telemetry.NodeQueue {
		c := tb.At(callee)
		far := t.near(c)
		if c.Witness().Side() == telemetry.SideServer {
			p = t.spoken(c, p)
			if c.Has(pair.Named) {
				far = t.far(c) // the queue between us
			}
		}
		t.count(&h, t.route(near, far, p))
		t.pairUp(&h)
	} else {
		t.count(&h, t.route(near, t.callee(s, near), p))
	}
	if h.Has(pair.Paired) || h.Has(pair.Named) {
		t.emit(&h)
	}
	if owner != 0 || first != 0 {
		if served && !tb.At(callee).Has(pair.Named) {
			t.meet(&h, tb.At(callee), t.near(&h), p)
		}
		t.meetServers(&h, owner, first, p)
	}
	t.push(&h, key, refers)
}

// callee is whom a client span says it calls. A proxy that names its own service
// names nobody (it stands on the callee's side): a call to itself is believed when both halves say so.
func (t *Topology) callee(s *telemetry.Span, near endpointID) endpointID {
	c := claim{kind: s.PeerKind, system: s.PeerSys}
	c.id.Service, c.id.Namespace = s.Peer, s.PeerNamespace
	if far := t.claimed(&c, s.Resource); far != nowhere && (s.Cluster == 0 || !t.same(near, far)) {
		return far
	}
	return t.unknown()
}

// coveredByChild looks among those who refer to h, be it through inner spans, for client spans of its own
// service.
func (t *Topology) coveredByChild(h *pair.Half, near endpointID, first pair.Ref) (void bool) {
	t.callsBelow(near, first, maxInner, func(o *pair.Half) {
		childVoid, parentVoid := covers(o, h, o.Has(pair.Paired))
		if childVoid && !o.Has(pair.Void) && !o.Has(pair.Paired) {
			t.void(o)
		}
		void = void || parentVoid
	})
	return void
}

// coveredByParent looks at h's parent: if it is a client span of the same
// service, one of the two is void.
func (t *Topology) coveredByParent(h *pair.Half, near endpointID, parent pair.Ref, answered bool) (void bool) {
	r := t.callAbove(near, parent)
	if r == 0 {
		return false
	}
	o := t.pending.At(r)
	if o.Witness() != telemetry.ClientSpan || !t.same(near, t.near(o)) {
		return false
	}
	childVoid, parentVoid := covers(h, o, answered)
	if parentVoid && !o.Has(pair.Void) && !o.Has(pair.Paired) {
		t.void(o)
	}
	return childVoid
}

// answered is the half by which client half h of near's, with these kin, is known to have been answered: the server span of least id
// where there are several, whatever came first, or else a log entry, or a call that another service made below it.
func (t *Topology) answered(h *pair.Half, near endpointID, owner, first pair.Ref) pair.Ref {
	if owner != 0 && hop(t.pending.At(owner), telemetry.ServerSpan) {
		return owner
	}
	var span, log, call pair.Ref
	least := func(at *pair.Ref, r pair.Ref, o *pair.Half) {
		if *at == 0 || string(o.Span[:]) < string(t.pending.At(*at).Span[:]) {
			*at = r
		}
	}
	for r, o := range t.pending.Kin(first) {
		switch {
		case hop(o, telemetry.ServerSpan):
			least(&span, r, o)
		case hop(o, telemetry.ServerLog):
			log = r
		case o.Witness() == telemetry.ClientSpan && !t.faceless(t.near(o)) && !t.same(near, t.near(o)):
			least(&call, r, o)
		default:
		}
	}
	if span == 0 && first != 0 && !h.Has(pair.Named) {
		span = t.enteredBelow(near, first, maxInner)
	}
	for _, r := range [...]pair.Ref{span, log, call} {
		if r != 0 {
			return r
		}
	}
	return 0
}

// meetServers settles those who have waited for client half h, their caller. h is
// not in the table yet.
func (t *Topology) meetServers(h *pair.Half, owner, first pair.Ref, p telemetry.Protocol) {
	src, far := t.near(h), t.far(h)
	via := src
	if h.Has(pair.Named) && t.nodes.of(far).key.Kind == telemetry.NodeQueue {
		via = far // they are called by the queue
	}
	server := func(o *pair.Half) {
		if o.Has(pair.Named) {
			return
		}
		t.meet(h, o, via, p)
		t.settleServerLogs(o, via, p)
	}
	if owner != 0 {
		if o := t.pending.At(owner); hop(o, telemetry.ServerSpan) {
			server(o)
		}
	}
	for _, o := range t.pending.Kin(first) {
		switch {
		case hop(o, telemetry.ServerSpan):
			server(o)
		case hop(o, telemetry.ServerLog) && !o.Has(pair.Paired) && t.believes(h, t.near(o)):
			t.settle(o, via, t.near(o), p)
		case hop(o, telemetry.ClientLog) && h.Has(pair.Paired) && t.same(src, t.near(o)):
			t.settle(o, t.near(o), far, p)
		case t.nameless(o) && !t.same(src, t.near(o)) && t.believes(h, t.near(o)):
			t.turn(o, via, p)
		default:
		}
	}
}

// covers decides between a client span and its child, a client span of the
// same service. A call to a database or queue is known best by the span that names it;
// a database call inside another call is a call of its own. Otherwise the child, which is nearer the wire, knows best, unless it says
// nothing of whom it calls (that of a name that is looked up, or of a connection that is made), the other does, and nobody has answered it.
func covers(child, parent *pair.Half, answered bool) (childVoid, parentVoid bool) {
	switch c, p := child.Has(pair.Named), parent.Has(pair.Named); {
	case c && !p:
		return false, false
	case p && !c:
		return true, false
	case parent.Tells() && !child.Tells() && !answered:
		return true, false
	default:
		return false, true
	}
}
