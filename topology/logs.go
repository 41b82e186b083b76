package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// Entries of logs that wait are found by the id of the span that they name. These
// functions give them their other end when a span, or another entry, comes that knows it.

// settleServerLogs gives the entries that name server span o its caller.
func (t *Topology) settleServerLogs(o *pair.Half, src endpointID, p telemetry.Protocol) {
	_, first := t.pending.Look(t.pending.Key(&o.Trace, o.Span))
	near := t.near(o)
	for _, l := range t.pending.Kin(first) {
		if hop(l, telemetry.ServerLog) && t.same(near, t.near(l)) {
			t.settle(l, src, t.near(l), p)
		}
	}
}

// settleClientLogs gives the entries of a caller's log that name its hop, the latest of
// which is first, the service that answered.
func (t *Topology) settleClientLogs(client, dst endpointID, first pair.Ref, p telemetry.Protocol) {
	for _, l := range t.pending.Kin(first) {
		if hop(l, telemetry.ClientLog) && !l.Has(pair.Paired) && t.same(client, t.near(l)) {
			t.settle(l, t.near(l), dst, p)
		}
	}
}

// clientLog is a caller's log entry among those that refer to an id, which
// can have been answered by node dst.
func (t *Topology) clientLog(first pair.Ref, dst endpointID) pair.Ref {
	for r, l := range t.pending.Kin(first) {
		if hop(l, telemetry.ClientLog) && !l.Has(pair.Paired) && t.believes(l, dst) {
			return r
		}
	}
	return 0
}

// settleRefusedLogs gives the callee's entries that name the caller's span, as those
// of refused requests do, that caller.
func (t *Topology) settleRefusedLogs(src, near endpointID, siblings pair.Ref, p telemetry.Protocol) {
	for _, l := range t.pending.Kin(siblings) {
		if l.Has(pair.Void) || l.Has(pair.Paired) || !t.same(near, t.near(l)) {
			continue
		}
		if hop(l, telemetry.ServerLog) {
			t.settle(l, src, t.near(l), p)
		} else if t.nameless(l) && !t.same(src, near) {
			t.turn(l, src, p)
		}
	}
}

// turn makes an entry that was taken for the caller's the callee's: it names
// nobody, and the span that it names is another service's call.
func (t *Topology) turn(l *pair.Half, src endpointID, p telemetry.Protocol) {
	near := t.near(l)
	p = t.spoken(l, p)
	t.uncount(l)
	l.SetWhat(telemetry.ServerLog, l.Outcome(), l.TLS(), l.Protocol())
	l.SetRoute(t.route(src, near, p))
	t.countPast(l)
	t.pairUp(l)
	t.emit(l)
}

// nameless says that a client's entry names nobody, so that it may be a
// server's.
func (t *Topology) nameless(l *pair.Half) bool {
	return hop(l, telemetry.ClientLog) && !l.Has(pair.Paired) && t.nodes.of(t.far(l)).key == unknownNode()
}
