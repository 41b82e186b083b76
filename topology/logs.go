package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// tellLogs tells the log entries that name server span o who its caller is.
func (t *Topology) tellLogs(o *pair.Half, src endpointID, p telemetry.Protocol) {
	_, first := t.pending.Look(t.pending.Key(&o.Trace, o.Span))
	near := t.near(o)
	for _, l := range t.pending.Kin(first) {
		if hop(l, telemetry.ServerLog) && t.same(near, t.near(l)) {
			t.settle(l, src, t.near(l), p)
		}
	}
}

// tellClientLogs tells the log entries that name the hop of a client half,
// whose list begins at first, who answered.
func (t *Topology) tellClientLogs(client, dst endpointID, first pair.Ref, p telemetry.Protocol) {
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

// tellRefused tells the callee's log entries that name the caller's span.
func (t *Topology) tellRefused(src, near endpointID, siblings pair.Ref, p telemetry.Protocol) {
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

// turn makes an entry that was taken for the caller's, and names nobody, the
// callee's: the span that it names is another service's call.
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
	return hop(l, telemetry.ClientLog) && !l.Has(pair.Paired) && t.nodes.of(t.far(l)).key == telemetry.Node{Name: unknownName}
}
