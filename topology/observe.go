package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// observations are collected while the state changes and handed out when the
// lock is free again: what follows the graph is not called from within it (I7).
//
// Invariant: list[:lent] has been handed out, and is not written to before the
// caller comes back for more.
type observations struct {
	list []telemetry.Observation
	lent int
}

// keepObservations is the size, 4 MiB, up to which the list's memory is kept for
// the next call. It takes more when a long gap in the log makes a whole table of halves
// final at once.
const keepObservations = 1 << 16

// reclaim takes back what was handed out.
func (o *observations) reclaim() {
	rest := o.list[o.lent:]
	if cap(o.list) > keepObservations && len(rest) <= keepObservations {
		o.list = append([]telemetry.Observation(nil), rest...)
	} else {
		o.list = append(o.list[:0], rest...)
	}
	o.lent = 0
}

// lend hands out all that has been observed.
func (o *observations) lend(from, to telemetry.Position) telemetry.Observed {
	o.lent = len(o.list)
	return telemetry.Observed{From: from, To: to, Requests: o.list[:o.lent:o.lent]}
}

// emitLate notes the observation of a half whose other half came after the wait: that it is taken back on the route on which it was observed, or that it
// is of another. Of its duration its bucket is known.
func (t *Topology) emitLate(l *late, r routeID, taken bool) {
	s := l.sample()
	t.stats.Observations++
	o := telemetry.Observation{
		Edge: t.edges.routes[r].is, At: (t.tick - l.age(t.tick)) * signal.Tick, Duration: signal.Middle(s.Bucket), Code: int32(l.code),
		Response: telemetry.ResponseFlags(l.response), Outcome: s.Outcome, TLS: s.TLS, Alone: taken && l.server(), Taken: taken,
	}
	if l.server() {
		o.Side = telemetry.SideServer
	}
	t.observed.list = append(t.observed.list, o)
}

// emit notes the observation of a half, once.
func (t *Topology) emit(h *pair.Half) {
	if h.Has(pair.Emitted) {
		return
	}
	h.Set(pair.Emitted)
	t.stats.Observations++
	w := h.Witness()
	o := telemetry.Observation{
		Edge:     t.edges.routes[h.Route()].is,
		At:       h.Start,
		Duration: h.Duration(),
		TraceID:  h.Trace,
		Code:     int32(h.Code),
		Response: h.ResponseFlags(),
		Side:     w.Side(),
		Evidence: w.Evidence(),
		Outcome:  h.Outcome(),
		TLS:      h.TLS(),
		Alone:    h.Alone(),
	}
	if !h.Trace.IsZero() {
		o.SpanID = h.Span
	}
	t.observed.list = append(t.observed.list, o)
}
