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
	void := t.coveredByChild(&h, near, first)
	if refers != 0 && t.coveredByParent(&h, near, refers) {
		void = true
	}
	if void {
		h.MakeVoid(near)
		t.stats.Void++
		t.push(&h, key, refers)
		return
	}

	p := h.Protocol()
	if callee := t.answered(&h, owner, first); callee != 0 {
		c := tb.At(callee)
		p = t.spoken(c, p)
		far := t.near(c)
		if c.Has(pair.Named) {
			far = t.far(c) // the queue between us
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
		t.meetServers(&h, owner, first, p)
	}
	t.push(&h, key, refers)
}

// callee is whom a client span says it calls. A service that names itself
// names nobody: a call to itself is believed when both halves say so.
func (t *Topology) callee(s *telemetry.Span, near endpointID) endpointID {
	c := claim{kind: s.PeerKind, system: s.PeerSys}
	c.id.Service, c.id.Namespace = s.Peer, s.PeerNamespace
	if far := t.claimed(&c, s.Resource); far != nowhere && !t.same(near, far) {
		return far
	}
	return t.unknown()
}

// coveredByChild looks among those who refer to h for client spans of its own
// service.
func (t *Topology) coveredByChild(h *pair.Half, near endpointID, first pair.Ref) (void bool) {
	for _, o := range t.pending.Kin(first) {
		if o.Witness() != telemetry.ClientSpan || !t.same(near, t.near(o)) {
			continue
		}
		childVoid, parentVoid := covers(o, h)
		if childVoid && !o.Has(pair.Void) && !o.Has(pair.Paired) {
			t.void(o)
		}
		void = void || parentVoid
	}
	return void
}

// coveredByParent looks at h's parent: if it is a client span of the same
// service, one of the two is void.
func (t *Topology) coveredByParent(h *pair.Half, near endpointID, refers uint64) (void bool) {
	r, _ := t.pending.Look(refers)
	if r == 0 {
		return false
	}
	o := t.pending.At(r)
	if o.Witness() != telemetry.ClientSpan || !t.same(near, t.near(o)) {
		return false
	}
	childVoid, parentVoid := covers(h, o)
	if parentVoid && !o.Has(pair.Void) && !o.Has(pair.Paired) {
		t.void(o)
	}
	return childVoid
}

// answered is the server half that a client half with these kin has met: the
// span of least id where there are several, whatever came first.
func (t *Topology) answered(h *pair.Half, owner, first pair.Ref) pair.Ref {
	if owner != 0 && hop(t.pending.At(owner), telemetry.ServerSpan) {
		return owner
	}
	var span, log pair.Ref
	for r, o := range t.pending.Kin(first) {
		switch {
		case hop(o, telemetry.ServerSpan):
			if span == 0 || string(o.Span[:]) < string(t.pending.At(span).Span[:]) {
				span = r
			}
		case hop(o, telemetry.ServerLog):
			log = r
		default:
		}
	}
	if h.Has(pair.Named) && span != 0 && t.pending.At(span).Has(pair.Named) {
		return 0 // producer and consumer name their queue, each for itself
	}
	if span != 0 {
		return span
	}
	return log
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
		dst := t.near(o)
		t.settle(o, via, dst, p)
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
// a database call inside another call is a call of its own.
func covers(child, parent *pair.Half) (childVoid, parentVoid bool) {
	switch c, p := child.Has(pair.Named), parent.Has(pair.Named); {
	case c && !p:
		return false, false
	case p && !c:
		return true, false
	default:
		return false, true
	}
}
