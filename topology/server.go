package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// caller is who a server half was called by, as far as is known.
type caller struct {
	src    endpointID // nowhere while it may still come
	sure   bool       // by its own report
	client pair.Ref   // the caller's span, which has been answered
	log    pair.Ref   // or the caller's log entry
	late   *late      // or what is kept of the caller's span
	single bool       // by the only span that it has of the hop
	p      telemetry.Protocol
}

// serverSpan takes in a span of a callee's side.
func (t *Topology) serverSpan(s *telemetry.Span, k *keys) {
	near := t.scratch.own[s.Resource]
	h := half(s, telemetry.ServerSpan, t.tick)
	tb := t.pending
	if s.SpanID.IsZero() || s.TraceID.IsZero() {
		t.alone(&h, t.consumedFrom(s, t.anyone()), near)
		return
	}
	key, refers := k.own, k.refers
	owner, first := tb.Look(key)
	if owner != 0 && tb.At(owner).Witness() == telemetry.ServerSpan {
		t.stats.LeftOut.Duplicates++
		return
	}
	var parent, siblings pair.Ref
	if refers != 0 {
		parent, siblings = tb.Look(refers)
	}
	if s.PeerKind == telemetry.NodeQueue {
		t.below(near, first, maxInner)
		t.consumer(s, &h, near, parent, key, refers)
		return
	}
	if s.Kind == telemetry.KindConsumer && s.Links.Len > 0 && t.linked(s, near, key, first) {
		return
	}
	if t.shareTwice(near, owner, siblings, &s.SpanID) {
		t.stats.LeftOut.Duplicates++
		return
	}
	if owner == 0 && parent != 0 && t.within(near, tb.At(parent)) {
		h.MakeVoid(near)
		t.below(near, first, maxInner)
		t.push(&h, key, refers)
		return
	}

	t.serve(&h, near, owner, parent, siblings, first, t.calledBy(s))
	if owner != 0 {
		key = 0 // the client's half goes on to own the id that they share
	}
	t.push(&h, key, refers)
}

// within says that what refers to o, and is near's, is part of what o reports: a server's or inner span of the same service.
func (t *Topology) within(near endpointID, o *pair.Half) bool {
	return o.Witness() == telemetry.ServerSpan && t.same(near, t.near(o))
}

// serve counts server half h of near's, with these kin, which is not in the table yet, where it belongs, and settles those who have waited for it. by
// is who it says that it was called by.
func (t *Topology) serve(h *pair.Half, near endpointID, owner, parent, siblings, first pair.Ref, by endpointID) {
	if parent != 0 && t.pending.At(parent).Has(pair.Inner) && t.faceless(t.near(t.pending.At(parent))) {
		parent = 0 // whose it is will be known by its own parent
	}
	c := t.callerOf(h, near, owner, parent, siblings, first)
	if by != nowhere && !c.sure && (c.src == nowhere || c.src == t.anyone()) {
		c.src = by
	}
	src := c.src
	if src == nowhere {
		src = t.presumed(h, near)
	}
	if c.client != 0 {
		o := t.pending.At(c.client)
		if o.Has(pair.Void) {
			t.revive(o, near, c.p)
		}
		t.answer(o, near, siblings, c.p, owner != 0, first)
		r := t.route(src, near, c.p)
		h.SetAlone(!t.meets(o, h, r))
		t.count(h, r)
		t.compareClocks(o, h)
	} else {
		r := t.route(src, near, c.p)
		h.SetAlone(!h.Refers.IsZero() && c.late == nil && !t.ofQueue(src))
		if c.late != nil {
			t.reconcile(c.late, h.Trace, r)
		}
		t.count(h, r)
	}
	if c.sure {
		t.pairUp(h)
		if !h.Alone() || c.single {
			t.emit(h)
		}
	}
	switch {
	case c.client != 0:
	case c.log != 0:
		l := t.pending.At(c.log)
		t.settle(l, t.near(l), near, c.p)
	default:
	}
	if siblings != 0 && c.src != nowhere {
		t.settleRefusedLogs(c.src, near, siblings, c.p)
	}
	if first != 0 {
		t.below(near, first, maxInner)
		t.meetLogs(h, c, first)
	}
	if k := t.nodes.of(near).noticed; k != nil && k.rooted != nil {
		k.rooted.answered(h)
	}
}

// shareTwice says that a server span which shares its client's id has come
// before: it does not own its id, but is among those with the same parent.
func (t *Topology) shareTwice(near endpointID, owner, siblings pair.Ref, id *telemetry.SpanID) bool {
	if owner == 0 {
		return false
	}
	for _, o := range t.pending.Kin(siblings) {
		if o.Witness() == telemetry.ServerSpan && o.Span == *id && t.same(near, t.near(o)) {
			return true
		}
	}
	return false
}

// calledBy is the service by which a server's span says that it was called, nowhere if it does not.
func (t *Topology) calledBy(s *telemetry.Span) endpointID {
	if s.Peer == 0 || s.PeerKind == telemetry.NodeDatabase || s.PeerKind == telemetry.NodeQueue || s.Kind < telemetry.KindServer {
		return nowhere
	}
	c := claim{kind: s.PeerKind}
	c.id.Service, c.id.Namespace = s.Peer, s.PeerNamespace
	return t.claimed(&c, s.Resource)
}

// consumedFrom is the queue that a span names, or else what is given.
func (t *Topology) consumedFrom(s *telemetry.Span, otherwise endpointID) endpointID {
	if s.PeerKind != telemetry.NodeQueue {
		return otherwise
	}
	c := claim{kind: s.PeerKind, system: s.PeerSys}
	c.id.Service, c.id.Namespace = s.Peer, s.PeerNamespace
	if q := t.claimed(&c, s.Resource); q != nowhere {
		return q
	}
	return otherwise
}

// consumer takes in a span that says from which queue it came: it needs no
// other half. A producer that does not name the queue learns it here.
func (t *Topology) consumer(s *telemetry.Span, h *pair.Half, near endpointID, parent pair.Ref, key, refers uint64) {
	queue := t.consumedFrom(s, t.anyone())
	h.Set(pair.Named)
	t.count(h, t.route(queue, near, h.Protocol()))
	t.emit(h)
	if parent != 0 {
		if p := t.pending.At(parent); hop(p, telemetry.ClientSpan) && !p.Has(pair.Named) && !p.Has(pair.Paired) {
			t.settle(p, t.near(p), queue, h.Protocol())
		}
	}
	t.push(h, key, refers)
}

// callerOf finds who called, by the best that is known now.
func (t *Topology) callerOf(h *pair.Half, near endpointID, owner, parent, siblings, first pair.Ref) caller {
	tb := t.pending
	p := h.Protocol()
	client := owner
	if client == 0 && parent != 0 {
		if at := t.near(tb.At(parent)); tb.At(parent).Has(pair.Inner) {
			client = t.callAbove(at, parent)
		} else {
			client = parent
		}
		if client != 0 && tb.At(client).Witness() != telemetry.ClientSpan {
			client = 0
		}
	}
	if client != 0 {
		o := tb.At(client)
		c := caller{src: t.near(o), sure: true, client: client, p: t.spoken(o, p)}
		switch {
		case o.Has(pair.Void | pair.Named):
			c.client = 0
		case o.Has(pair.Void): // and will be revived
		case o.Has(pair.Named) && t.nodes.of(t.far(o)).key.Kind == telemetry.NodeQueue:
			c.src, c.client, c.single = t.far(o), 0, true
		default:
		}
		return c
	}
	if parent != 0 { // another service's server span: its only one
		return caller{src: t.near(tb.At(parent)), sure: true, single: !tb.At(parent).Has(pair.Inner), p: p, log: t.clientLog(siblings, near)}
	}
	if l := t.kept(&h.Trace, h.Refers, false); l != nil {
		rt := &t.edges.routes[l.route()]
		if rank[rt.protocol] > rank[p] {
			p = rt.protocol
		}
		return caller{src: rt.src, sure: true, late: l, p: p, log: t.clientLog(siblings, near)}
	}
	if l := t.clientLog(siblings, near); l != 0 {
		return caller{src: t.near(tb.At(l)), sure: true, log: l, p: t.spoken(tb.At(l), p)}
	}
	// What the own proxy's log says of the caller.
	for _, l := range tb.Kin(first) {
		if hop(l, telemetry.ServerLog) && t.same(near, t.near(l)) && t.knowsCaller(l) {
			return caller{src: t.far(l), p: t.spoken(l, p)}
		}
	}
	if h.Refers.IsZero() {
		return caller{src: t.anyone(), p: p}
	}
	return caller{src: nowhere, p: p}
}

// answer settles a client half, and the log entries beside it: near has answered.
func (t *Topology) answer(c *pair.Half, near endpointID, siblings pair.Ref, p telemetry.Protocol, shared bool, first pair.Ref) {
	src := t.near(c)
	if !c.Has(pair.Paired) {
		t.settle(c, src, near, p)
	}
	if shared {
		siblings = first
	}
	if siblings != 0 {
		t.settleClientLogs(src, near, siblings, p)
	}
}

// meetLogs gives the own proxy's entries, which name server span h, its caller.
func (t *Topology) meetLogs(h *pair.Half, c caller, first pair.Ref) {
	near := t.near(h)
	for _, o := range t.pending.Kin(first) {
		switch {
		case !hop(o, telemetry.ServerLog) || !t.same(near, t.near(o)) || o.Has(pair.Paired):
		case c.sure:
			t.settle(o, c.src, t.near(o), c.p)
		case c.src != nowhere:
			t.move(o, t.route(c.src, t.near(o), c.p))
		}
	}
}
