package otlp

import (
	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/identity"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What both encodings do once the parts of a span, link or resource are known.

// run is the range from start to end of one of a batch's arrays.
func run(start, end int) telemetry.Range {
	if start == end {
		return telemetry.Range{}
	}
	return telemetry.Range{Start: uint32(start), Len: uint32(end - start)}
}

// beyond says, and counts, that the message has more spans than it may have:
// the next is passed over, since decoding it would cost its sender nothing and us
// much.
func (d *decoder) beyond() bool {
	if len(d.Batch.Spans) < d.Limits.Records {
		return false
	}
	d.Drop(collector.DropRecords, 0)
	return true
}

// endSpan checks ids and times of span i, and derives what its attributes
// say. A span that cannot be kept is taken back, with its attributes, which begin at
// attrs; false says so.
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
	var young bool
	s.Start, s.Duration, young = d.Interval(start, end)
	switch {
	case s.TraceID.IsZero():
		return d.takeBack(collector.DropTraceID, i, attrs)
	case s.SpanID.IsZero():
		return d.takeBack(collector.DropSpanID, i, attrs)
	case !young:
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

// endLink appends a link, if it says where to.
func (d *decoder) endLink(attrs telemetry.Range, trace, id []byte) {
	if len(trace) != 16 || len(id) != 8 {
		d.Repair(collector.RepairLinks)
		return
	}
	d.Batch.Links = append(d.Batch.Links, telemetry.Link{
		TraceID: telemetry.TraceID(trace), SpanID: telemetry.SpanID(id), Attrs: attrs,
	})
}

// endResource says who resource res is, whose spans begin at first; a
// resource of which no span was kept is taken back.
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
