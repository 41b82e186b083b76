package topology

import (
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// maxLinks is how many messages one consumer's span stands for at most.
const maxLinks = pair.MaxKin

// linked takes in a consumer's span that names no queue but links to the spans that sent what it consumes, often in traces of their own: each is
// a message, and a half of a hop that refers to the sender's span as a child would. The span itself is remembered under its own id for those below
// it. An observation of such a half, and its exemplar, point to the span that sent the message. It reports whether any link leads anywhere.
func (t *Topology) linked(s *telemetry.Span, near endpointID, key uint64, first pair.Ref) bool {
	leads := func(l telemetry.Link) bool { return !l.TraceID.IsZero() && !l.SpanID.IsZero() }
	links := t.scratch.b.LinksOf(s)
	if !slices.ContainsFunc(links, leads) {
		return false
	}
	t.below(near, first, maxInner)
	self := half(s, telemetry.ServerSpan, t.tick)
	self.Refers = telemetry.SpanID{}
	self.MakeVoid(near)
	self.Set(pair.Inner)
	t.push(&self, key, 0)
	for _, l := range links[:min(len(links), maxLinks)] {
		if !leads(l) {
			continue
		}
		h := half(s, telemetry.ServerSpan, t.tick)
		h.Trace, h.Span, h.Refers = l.TraceID, l.SpanID, l.SpanID
		refers := t.pending.Key(&h.Trace, h.Refers)
		sender, siblings := t.pending.Look(refers)
		if sender != 0 && t.within(near, t.pending.At(sender)) {
			h.MakeVoid(near)
		} else {
			t.serve(&h, near, 0, sender, siblings, 0, nowhere)
		}
		t.stats.Linked++
		t.push(&h, 0, refers)
	}
	return true
}
