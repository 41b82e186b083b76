package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// emit tells the observer of a half, unless it was told before.
func (t *Topology) emit(h *pair.Half) {
	if h.Has(pair.Emitted) {
		return
	}
	h.Set(pair.Emitted)
	t.stats.Observations++
	if t.obs == nil {
		return
	}
	w := h.Witness()
	o := telemetry.Observation{
		Edge:     t.edges.routes[h.Edge].is,
		At:       h.Start,
		Duration: h.Duration(),
		TraceID:  h.Trace,
		Code:     int32(h.Code),
		Response: telemetry.ResponseFlags(h.Response),
		Side:     telemetry.Side(w & 1),
		Evidence: telemetry.Evidence(w >> 1),
		Outcome:  h.Outcome(),
		TLS:      h.TLS(),
	}
	if !h.Trace.IsZero() {
		o.SpanID = h.Span
	}
	t.obs.Observe(o)
}
