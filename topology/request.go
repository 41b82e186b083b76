package topology

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// request takes in an entry of a proxy's log. named is the key of the span that it names, or 0.
func (t *Topology) request(r *telemetry.Request, named uint64) {
	t.scratch.upstream = r.Upstream
	near := t.scratch.own[r.Resource]
	h := pair.Half{
		Trace: r.TraceID, Span: r.SpanID, Start: r.Start, Response: uint32(r.Response), Code: code16(r.Code),
	}
	h.SetTook(r.Duration, t.tick)
	far := t.peerOf(r)
	side := r.Side
	if far == nowhere && r.Response&telemetry.FlagRateLimited != 0 {
		side = telemetry.SideServer // a limit refuses what comes in
	}
	key := t.logKey(r, &h, named, near, far, side)
	owner, first := pair.Ref(0), pair.Ref(0)
	if key != 0 {
		owner, first = t.pending.Look(key)
		if owner != 0 && t.pending.At(owner).Has(pair.Inner) {
			owner = 0 // it says nothing of either side
		}
		// Envoy logs no cluster for a request that it refused itself, so its side
		// cannot be told; the span that it names can.
		if side == telemetry.SideClient && far == nowhere && owner != 0 {
			if o := t.pending.At(owner); o.Witness() == telemetry.ClientSpan && !t.same(near, t.near(o)) {
				side = telemetry.SideServer
			}
		}
	}
	h.SetWhat(telemetry.WitnessOf(side, telemetry.EvidenceLog), r.Outcome, r.TLS, r.Protocol)
	if key == 0 {
		if side == telemetry.SideClient {
			t.alone(&h, near, t.orUnknown(far, near))
		} else {
			t.alone(&h, t.orAnyone(far, near), near)
		}
		return
	}
	if t.loggedTwice(&h, near, first) {
		t.stats.LeftOut.Duplicates++
		return
	}
	if side == telemetry.SideClient {
		t.clientLogged(&h, near, far, owner, first)
	} else {
		t.serverLogged(&h, near, far, owner, first)
	}
	t.push(&h, 0, key)
}

// orUnknown is far, unless that is nobody or the caller itself.
func (t *Topology) orUnknown(far, near endpointID) endpointID {
	if far == nowhere || t.same(far, near) {
		return t.unknown()
	}
	return far
}

// orAnyone is far, unless that is nobody or the callee itself.
func (t *Topology) orAnyone(far, near endpointID) endpointID {
	if far == nowhere || t.same(far, near) {
		return t.anyone()
	}
	return far
}

// peerOf is the far end as the entry names it, or nowhere.
func (t *Topology) peerOf(r *telemetry.Request) endpointID {
	c := claim{id: r.Peer, kind: r.PeerKind}
	c.id.Instance = 0
	if r.Side == telemetry.SideClient && c.id.Service == 0 {
		c.cluster = r.Cluster
	}
	return t.claimed(&c, r.Resource)
}

// logKey is the id by which an entry meets others: its span's, or else that of
// the request at its callee. A request id alone is no hop's: proxies pass it on along
// the whole trace.
func (t *Topology) logKey(r *telemetry.Request, h *pair.Half, named uint64, near, far endpointID, side telemetry.Side) uint64 {
	if named != 0 {
		h.Refers = r.SpanID
		return named
	}
	h.Trace, h.Span = telemetry.TraceID{}, telemetry.SpanID{}
	callee := near
	if side == telemetry.SideClient {
		callee = far
	}
	if r.RequestID == (telemetry.RequestID{}) || callee == nowhere {
		return 0
	}
	id := xxhash.Sum64(r.RequestID.UUID[:])
	if r.RequestID.Text != 0 {
		id = xxhash.Sum64(t.scratch.b.Bytes(r.RequestID.Text))
	}
	id = id*31 + xxhash.Sum64String(firstLabel(t.nodes.of(callee).key.Name))
	if id == 0 {
		id = 1
	}
	binary.LittleEndian.PutUint64(h.Span[:], id)
	h.Refers = h.Span
	return t.pending.Key(&h.Trace, h.Span)
}

// loggedTwice says that the very entry has come before.
func (t *Topology) loggedTwice(h *pair.Half, near endpointID, first pair.Ref) bool {
	for _, o := range t.pending.Kin(first) {
		if o.Witness() == h.Witness() && o.Start == h.Start && o.Duration() == h.Duration() && t.near(o) == near {
			return true
		}
	}
	return false
}

// clientLogged counts an entry of a caller's proxy and meets its like.
func (t *Topology) clientLogged(h *pair.Half, near, far endpointID, owner, first pair.Ref) {
	tb := t.pending
	p := h.Protocol()
	if owner != 0 {
		c := tb.At(owner)
		if c.Witness() == telemetry.ClientSpan {
			if hop(c, telemetry.ClientSpan) && t.same(near, t.near(c)) && (c.Has(pair.Paired) || far == nowhere) {
				if far != nowhere {
					t.confirmAt(near, far, t.far(c))
				}
				t.count(h, t.route(near, t.far(c), t.spoken(c, p)))
				if c.Has(pair.Paired) {
					t.pairUp(h)
					t.emit(h)
				}
				return
			}
			t.count(h, t.route(near, t.orUnknown(far, near), p))
			return
		}
	}
	// No span of the caller: whoever answered is the target.
	var met pair.Ref
	for r, o := range tb.Kin(first) {
		span := hop(o, telemetry.ServerSpan) && !o.Has(pair.Named)
		log := hop(o, telemetry.ServerLog) && !o.Has(pair.Paired)
		if (span || log) && (far == nowhere || t.same(far, t.near(o)) || t.nodes.of(far).key.Kind != telemetry.NodeService) &&
			(!o.Has(pair.Paired) || t.same(near, t.far(o))) {
			met = r
			break
		}
	}
	if met == 0 {
		t.count(h, t.route(near, t.orUnknown(far, near), p))
		return
	}
	o := tb.At(met)
	dst := t.near(o)
	p = t.spoken(o, p)
	t.count(h, t.route(near, dst, p))
	t.pairUp(h)
	t.emit(h)
	if !o.Has(pair.Paired) {
		t.settle(o, near, dst, p)
		if o.Witness() == telemetry.ServerSpan {
			t.settleServerLogs(o, near, p)
		}
	}
}

// serverLogged counts an entry of a callee's proxy and meets its like.
func (t *Topology) serverLogged(h *pair.Half, near, far endpointID, owner, first pair.Ref) {
	if far != nowhere && t.same(far, near) {
		far = nowhere // a call to itself is believed when both halves say so
	}
	src, sure, p := t.loggedCaller(h, near, far, owner, first)
	if src == nowhere {
		src = t.presumed(h, near)
	}
	t.count(h, t.route(src, near, p))
	if sure {
		t.pairUp(h)
		t.emit(h)
	}
}

// loggedCaller finds the caller of a server's entry, and settles those who have
// waited for a word from the server's side.
func (t *Topology) loggedCaller(h *pair.Half, near, far endpointID, owner, first pair.Ref) (src endpointID, sure bool, p telemetry.Protocol) {
	tb := t.pending
	p = h.Protocol()
	if owner != 0 {
		switch o := tb.At(owner); {
		case hop(o, telemetry.ServerSpan) && t.same(near, t.near(o)):
			p = t.spoken(o, p)
			if !o.Has(pair.Paired) && !o.Has(pair.Named) && far != nowhere && !t.knowsCaller(o) {
				t.move(o, t.route(far, t.near(o), p))
			}
			if src = t.far(o); src != nowhere && !o.Has(pair.Presumed) {
				return src, o.Has(pair.Paired), p
			}
			return far, false, p
		case o.Witness() == telemetry.ClientSpan && t.believes(o, near):
			src, p = t.near(o), t.spoken(o, p)
			if !o.Has(pair.Void) && !o.Has(pair.Paired) {
				t.settle(o, src, near, p)
				t.settleClientLogs(src, near, first, p)
			}
			return src, true, p
		default:
		}
	} else {
		if r := t.clientLog(first, near); r != 0 {
			l := tb.At(r)
			src, p = t.near(l), t.spoken(l, p)
			t.settle(l, src, near, p)
			return src, true, p
		}
		for _, o := range tb.Kin(first) {
			if hop(o, telemetry.ServerSpan) && t.same(near, t.near(o)) && t.far(o) != nowhere && !o.Has(pair.Presumed) {
				return t.far(o), o.Has(pair.Paired), t.spoken(o, p)
			}
		}
	}
	return far, false, p // nowhere, if nothing is said
}
