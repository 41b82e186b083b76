package otlp

import (
	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/identity"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What is done with a span, link or resource once its fields are read, be it from protobuf or JSON.

// run is the range of one of a batch's arrays from index start up to end.
func run(start, end int) telemetry.Range {
	if start == end {
		return telemetry.Range{}
	}
	return telemetry.Range{Start: uint32(start), Len: uint32(end - start)}
}

// beyond says whether the message has as many spans as it may have, and then counts the
// next as dropped. The caller passes over it without decoding it.
func (d *decoder) beyond() bool {
	if len(d.Batch.Spans) < d.Limits.Records {
		return false
	}
	d.Drop(collector.DropRecords, 0)
	return true
}

// endSpan checks ids and times of span i, and derives the fields that follow from its
// attributes. A span that cannot be kept is removed from the batch, with its attributes,
// which begin at attrs, and the result is false.
func (d *decoder) endSpan(i, attrs int, trace, id, parent []byte, start, end uint64) bool {
	b := d.Batch
	s := &b.Spans[i]
	if len(trace) == len(s.TraceID) {
		s.TraceID = telemetry.TraceID(trace)
	}
	if len(id) == len(s.SpanID) {
		s.SpanID = telemetry.SpanID(id)
	}
	switch {
	case len(parent) == len(s.ParentID):
		s.ParentID = telemetry.SpanID(parent)
	case len(parent) != 0:
		d.Repair(collector.RepairParent)
	}
	var recent bool
	s.Start, s.Duration, recent = d.Interval(start, end)
	switch {
	case s.TraceID.IsZero():
		return d.takeBack(collector.DropTraceID, i, attrs)
	case s.SpanID.IsZero():
		return d.takeBack(collector.DropSpanID, i, attrs)
	case !recent:
		return d.takeBack(collector.DropOld, i, attrs)
	}
	b.FinishSpan(i)
	return true
}

func (d *decoder) takeBack(why collector.Drop, i, attrs int) bool {
	d.Drop(why, d.Batch.Spans[i].Name)
	d.Batch.Spans = d.Batch.Spans[:i]
	d.Batch.Attrs = d.Batch.Attrs[:attrs]
	return false
}

// endLink appends a link, unless it lacks the ids of the span that it leads to.
func (d *decoder) endLink(attrs telemetry.Range, trace, id []byte) {
	if len(trace) != 16 || len(id) != 8 {
		d.Repair(collector.RepairLinks)
		return
	}
	d.Batch.Links = append(d.Batch.Links, telemetry.Link{
		TraceID: telemetry.TraceID(trace), SpanID: telemetry.SpanID(id), Attrs: attrs,
	})
}

// endResource derives the identity of resource res, whose spans begin at first. A resource
// of which no span was kept is removed from the batch.
func (d *decoder) endResource(res, first int) {
	b := d.Batch
	if len(b.Spans) == first {
		b.Resources = b.Resources[:res]
		return
	}
	r := &b.Resources[res]
	r.Identity = identity.OfResource(b, b.AttrsOf(r.Attrs), b.AttrsOf(b.Spans[first].Attrs))
	if r.Identity.Service == 0 {
		d.Repair(collector.RepairIdentity)
	}
}

func (d *decoder) kind(v uint64) telemetry.SpanKind {
	if v > uint64(telemetry.KindConsumer) {
		d.Repair(collector.RepairEnum)
		return telemetry.KindUnspecified
	}
	return telemetry.SpanKind(v)
}

func (d *decoder) statusCode(v uint64) telemetry.Status {
	if v > uint64(telemetry.StatusError) {
		d.Repair(collector.RepairEnum)
		return telemetry.StatusUnset
	}
	return telemetry.Status(v)
}
