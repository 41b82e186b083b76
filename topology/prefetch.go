package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// prefetchAhead is for how many spans the table's places are fetched at a time.
const prefetchAhead = 64

// keys are the ids of a span and its parent as the table knows them.
type keys struct{ own, refers uint64 }

// prefetchSpans works out the next spans' keys, and has the places where the table
// keeps them fetched together.
func (t *Topology) prefetchSpans(spans []telemetry.Span) {
	var sum uint64
	for i := range spans {
		s := &spans[i]
		k := &t.scratch.keys[i]
		k.own, k.refers = t.pending.Key(&s.TraceID, s.SpanID), 0
		sum += t.pending.Prefetch(k.own)
		if !s.ParentID.IsZero() {
			k.refers = t.pending.Key(&s.TraceID, s.ParentID)
			sum += t.pending.Prefetch(k.refers)
		}
	}
	t.prefetched += sum
}

// prefetchRequests does the same for entries of logs: what they refer to is the span
// that they name.
func (t *Topology) prefetchRequests(requests []telemetry.Request) {
	var sum uint64
	for i := range requests {
		r := &requests[i]
		k := &t.scratch.keys[i]
		if k.refers = 0; !r.TraceID.IsZero() && !r.SpanID.IsZero() {
			k.refers = t.pending.Key(&r.TraceID, r.SpanID)
			sum += t.pending.Prefetch(k.refers)
		}
	}
	t.prefetched += sum
}
