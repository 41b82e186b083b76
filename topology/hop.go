package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// The problem: a hop from one service to another is reported by up to four
// witnesses, in any order, each knowing one end for sure and the other by hearsay
// or not at all; some report it twice (an application's span inside its proxy's);
// and what they report must be on the graph at once and be right in the end.
//
// The rules:
//
//	A hop's key is the id of the caller's span. A client span has it as its own id, a
//	server span as its parent (or, as Zipkin shares spans, as its own), a client's log
//	names it, a server's log names its own span's id, or the hop's key if the proxy
//	refused the request before it had a span to name.
//	The source is what the client side says of itself, the target what the server side
//	says of itself. What either says of the other stands until then.
//	A client span whose child is a client span of the same service and which no server's span has for its parent, and a server span
//	whose parent is a server span of the same service, is the same hop seen
//	once more, further from the wire: it is void.
//	A server span whose parent is another service's server span is a hop whose
//	caller has a single span for both sides.
//	What is of neither side, and services that are known only by it: see inner.go; consumers that link to what they consume: links.go.
//
// When a half comes, it is counted where it belongs by what is known; those
// that have waited for it are moved; both are then final (settle).
//
// Not chosen: a record for each hop that gathers its halves (fan-out, retries
// and shared ids give it no fixed size); counting a hop when it is complete (half of the graph
// would be late by the wait, and lone halves, the most telling ones, later still).

// near is the endpoint that a half reports of itself.
func (t *Topology) near(h *pair.Half) endpointID {
	if h.Has(pair.Void) {
		return h.Reporter()
	}
	if h.Witness().Side() == telemetry.SideClient {
		return t.edges.routes[h.Route()].src
	}
	return t.edges.routes[h.Route()].dst
}

// far is the other end, as far as it is known.
func (t *Topology) far(h *pair.Half) endpointID {
	if h.Witness().Side() == telemetry.SideClient {
		return t.edges.routes[h.Route()].dst
	}
	return t.edges.routes[h.Route()].src
}

// hop says that a half is w's report of a hop of its own: not void. Whether its
// far end is a queue or database, which is never met, is the flag pair.Named.
func hop(h *pair.Half, w telemetry.Witness) bool {
	return h.Witness() == w && !h.Has(pair.Void)
}

// rank orders protocols by how much they say.
var rank = [...]uint8{ //nolint:gochecknoglobals // immutable
	telemetry.ProtocolUnknown: 0, telemetry.ProtocolTCP: 1, telemetry.ProtocolHTTP: 2, telemetry.ProtocolGRPC: 3,
	telemetry.ProtocolDatabase: 4, telemetry.ProtocolMessaging: 5,
}

// spoken is the protocol of a hop, of which one half says p.
func (t *Topology) spoken(h *pair.Half, p telemetry.Protocol) telemetry.Protocol {
	q := h.Protocol()
	if !h.Has(pair.Void) {
		q = t.edges.routes[h.Route()].protocol
	}
	if rank[q] > rank[p] {
		return q
	}
	return p
}

// settle puts a half where it belongs for good.
func (t *Topology) settle(h *pair.Half, src, dst endpointID, p telemetry.Protocol) {
	if h.Witness().Side() == telemetry.SideClient {
		t.confirm(src, t.far(h), dst)
	}
	t.move(h, t.route(src, dst, t.spoken(h, p)))
	t.pairUp(h)
	if !h.Alone() {
		t.emit(h)
	}
}

func (t *Topology) pairUp(h *pair.Half) {
	if h.Has(pair.Paired) {
		return
	}
	h.Set(pair.Paired)
	t.stats.Paired++
	if h.Witness().Side() == telemetry.SideServer && !h.Refers.IsZero() {
		t.metCaller(t.nodes.of(t.near(h)))
	}
}

// push takes a new half in, which is counted already, and makes room first.
func (t *Topology) push(h *pair.Half, own, refers uint64) pair.Ref {
	for t.pending.Full() {
		if t.stats.Early%prefetchAhead == 0 {
			t.prefetched += t.pending.PrefetchOldest(prefetchAhead)
		}
		t.stats.Early++
		t.finish(t.pending.At(t.pending.Oldest()))
		t.pending.Pop()
	}
	return t.pending.Push(h, own, refers)
}

// void says that a half that was taken for a hop is none.
func (t *Topology) void(h *pair.Half) {
	near := t.near(h)
	t.uncount(h)
	h.SetAlone(false)
	h.MakeVoid(near)
}

// revive says that a void client half is a hop of its own after all: dst has answered it, and not the span that was taken for its
// like nearer the wire. So whether it is void does not depend on what came first.
func (t *Topology) revive(h *pair.Half, dst endpointID, p telemetry.Protocol) {
	near := h.Reporter()
	h.Clear(pair.Void | pair.Emitted)
	h.SetRoute(t.route(near, dst, p))
	t.countPast(h)
	if h.Refers.IsZero() {
		return
	}
	// The span above it was kept if it named the callee.
	above := t.callAbove(near, t.parent(t.pending.Key(&h.Trace, h.Refers)))
	if above == 0 {
		return
	}
	if o := t.pending.At(above); o != h && hop(o, telemetry.ClientSpan) && !o.Has(pair.Paired) && !o.Has(pair.Named) && t.same(near, t.near(o)) {
		t.void(o)
	}
}

// alone counts a half that nothing can meet, and is done with it.
func (t *Topology) alone(h *pair.Half, src, dst endpointID) {
	t.count(h, t.route(src, dst, h.Protocol()))
	t.emit(h)
}

// unknown is the endpoint of a peer of whom nothing is said.
func (t *Topology) unknown() endpointID {
	return t.endpoint(telemetry.Endpoint{Node: unknownNode()})
}

// anyone is the endpoint of callers that send no telemetry.
func (t *Topology) anyone() endpointID { return t.endpoint(telemetry.Endpoint{Node: callerNode()}) }

// half is what a span reports.
func half(s *telemetry.Span, w telemetry.Witness, tick int64) pair.Half {
	h := pair.Half{
		Trace: s.TraceID, Span: s.SpanID, Refers: s.ParentID, Start: s.Start,
		Response: uint32(s.Response), Code: code16(s.Code),
	}
	h.SetWhat(w, s.Outcome, telemetry.TLSUnknown, s.Protocol)
	h.SetTook(s.Duration, tick)
	h.SetWeight(s.Weight)
	return h
}

func code16(code int32) int16 {
	if code < -1 || code > 1<<15-1 {
		return -1
	}
	return int16(code)
}

// believes says that a client half can have called node dst, of whose log the
// only link to it is an id that may have been passed on unchanged: unless it has met, or
// names, another service.
func (t *Topology) believes(h *pair.Half, dst endpointID) bool {
	if h.Has(pair.Void) {
		return true
	}
	far := t.far(h)
	return t.same(far, dst) || !h.Has(pair.Paired) && t.nodes.of(far).key.Kind != telemetry.NodeService
}

// knowsCaller says that a server half knows its caller, be it by hearsay.
func (t *Topology) knowsCaller(h *pair.Half) bool {
	far := t.far(h)
	return far != nowhere && t.nodes.of(far).key != callerNode()
}
