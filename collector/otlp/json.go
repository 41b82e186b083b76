package otlp

import (
	"math"
	"runtime"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// json decodes an ExportTraceServiceRequest in OTLP's JSON: protobuf's JSON
// mapping with ids in hexadecimal. Members may come in any order and unknown ones
// are passed over; an enumeration may be its number or its name.
func (d *decoder) json(msg []byte) error {
	r := &jsonReader{in: msg, unquote: d.unquote}
	if r.peek() != '{' {
		r.fail("want {")
	}
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "resourceSpans":
			for more := r.begin('['); more; more = r.more(']') {
				d.jsonResourceSpans(r)
			}
		default:
			r.skip()
		}
	}
	d.unquote = r.unquote
	return r.end()
}

func (d *decoder) jsonResourceSpans(r *jsonReader) {
	b := d.Batch
	res, first := len(b.Resources), len(b.Spans)
	b.Resources = append(b.Resources, telemetry.Resource{})
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "resource":
			for more := r.begin('{'); more; more = r.more('}') {
				switch string(r.key()) {
				case "attributes":
					b.Resources[res].Attrs = d.jsonAttributes(r)
				default:
					r.skip()
				}
			}
		case "scopeSpans":
			for more := r.begin('['); more; more = r.more(']') {
				d.jsonScopeSpans(r, uint32(res))
			}
		default:
			r.skip()
		}
	}
	if r.err == nil {
		d.endResource(res, first)
	}
}

func (d *decoder) jsonScopeSpans(r *jsonReader, res uint32) {
	b := d.Batch
	first := len(b.Spans)
	var s scope
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "scope":
			for more := r.begin('{'); more; more = r.more('}') {
				switch string(r.key()) {
				case "name":
					s.name = d.Text(r.text())
				case "version":
					s.version = d.Text(r.text())
				default:
					r.skip()
				}
			}
			late := b.Spans[first:]
			for i := range late {
				late[i].ScopeName, late[i].ScopeVersion = s.name, s.version
			}
		case "spans":
			for more := r.begin('['); more; more = r.more(']') {
				if d.beyond() {
					r.skip()
				} else {
					d.jsonSpan(r, res, s)
				}
				if len(b.Spans)%yieldEvery == 0 {
					runtime.Gosched()
				}
			}
		default:
			r.skip()
		}
	}
}

// jsonIDs are the ids of a span or link, out of their digits.
type jsonIDs struct {
	trace                [16]byte
	id, parent           [8]byte
	traceN, idN, parentN int // how many bytes were there
}

func (d *decoder) jsonSpan(r *jsonReader, res uint32, sc scope) {
	b := d.Batch
	i, attrs, events, links := len(b.Spans), len(b.Attrs), len(b.Events), len(b.Links)
	b.Spans = append(b.Spans, telemetry.Span{Resource: res, ScopeName: sc.name, ScopeVersion: sc.version})
	s := &b.Spans[i]
	var ids jsonIDs
	var start, end uint64
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "traceId":
			ids.traceN = hexID(ids.trace[:], r.text())
		case "spanId":
			ids.idN = hexID(ids.id[:], r.text())
		case "parentSpanId":
			ids.parentN = hexID(ids.parent[:], r.text())
		case "traceState":
			s.TraceState = d.Text(r.text())
		case "name":
			s.Name = d.Text(r.text())
		case "kind":
			s.Kind = d.kind(r.enum(kindNumbers))
		case "startTimeUnixNano":
			start = r.unsigned()
		case "endTimeUnixNano":
			end = r.unsigned()
		case "attributes":
			s.Attrs = d.jsonAttributes(r)
		case "events":
			for more := r.begin('['); more; more = r.more(']') {
				d.jsonEvent(r, events)
			}
		case "links":
			for more := r.begin('['); more; more = r.more(']') {
				d.jsonLink(r, links)
			}
		case "status":
			for more := r.begin('{'); more; more = r.more('}') {
				switch string(r.key()) {
				case "message":
					s.StatusMessage = d.Text(r.text())
				case "code":
					s.Status = d.statusCode(r.enum(statusNumbers))
				default:
					r.skip()
				}
			}
		case "flags":
			s.Flags = uint32(r.unsigned())
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return
	}
	if !d.endSpan(i, attrs, ids.trace[:min(ids.traceN, 16)], ids.id[:min(ids.idN, 8)], ids.parent[:min(ids.parentN, 8)], start, end) {
		b.Events, b.Links = b.Events[:events], b.Links[:links]
		return
	}
	s.Events, s.Links = run(events, len(b.Events)), run(links, len(b.Links))
	for i := range b.Events[events:] {
		e := &b.Events[events+i]
		e.Time = d.Moment(uint64(e.Time), s.Start)
	}
}

// jsonEvent appends an event whose time is as the wire has it: the span's
// start, which bounds it, may come after it.
func (d *decoder) jsonEvent(r *jsonReader, events int) {
	b := d.Batch
	if len(b.Events)-events >= d.Limits.Events {
		d.Repair(collector.RepairEvents)
		r.skip()
		return
	}
	var e telemetry.Event
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "timeUnixNano":
			e.Time = int64(r.unsigned())
		case "name":
			e.Name = d.Text(r.text())
		case "attributes":
			e.Attrs = d.jsonAttributes(r)
		default:
			r.skip()
		}
	}
	b.Events = append(b.Events, e)
}

func (d *decoder) jsonLink(r *jsonReader, links int) {
	b := d.Batch
	if len(b.Links)-links >= d.Limits.Links {
		d.Repair(collector.RepairLinks)
		r.skip()
		return
	}
	var ids jsonIDs
	var attrs telemetry.Range
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "traceId":
			ids.traceN = hexID(ids.trace[:], r.text())
		case "spanId":
			ids.idN = hexID(ids.id[:], r.text())
		case "attributes":
			attrs = d.jsonAttributes(r)
		default:
			r.skip()
		}
	}
	d.endLink(attrs, ids.trace[:min(ids.traceN, 16)], ids.id[:min(ids.idN, 8)])
}

// hexID reads an id's digits into dst, and returns how many bytes there were:
// len(dst), 0 for none, or another number for what is no such id.
func hexID(dst, s []byte) int {
	if len(s) == 0 {
		return 0
	}
	if len(s) != 2*len(dst) {
		return 1
	}
	for i := range dst {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi > 15 || lo > 15 {
			return 1
		}
		dst[i] = hi<<4 | lo
	}
	return len(dst)
}

// enum reads an enumeration's number, or its name by names; an unknown name
// is a number that no enumeration has.
func (r *jsonReader) enum(names func([]byte) (uint64, bool)) uint64 {
	if r.peek() != '"' {
		return r.unsigned()
	}
	if v, ok := names(r.quoted()); ok {
		return v
	}
	return math.MaxUint64
}

func kindNumbers(name []byte) (uint64, bool) {
	switch string(name) {
	case "SPAN_KIND_UNSPECIFIED":
		return 0, true
	case "SPAN_KIND_INTERNAL":
		return 1, true
	case "SPAN_KIND_SERVER":
		return 2, true
	case "SPAN_KIND_CLIENT":
		return 3, true
	case "SPAN_KIND_PRODUCER":
		return 4, true
	case "SPAN_KIND_CONSUMER":
		return 5, true
	default:
		return 0, false
	}
}

func statusNumbers(name []byte) (uint64, bool) {
	switch string(name) {
	case "STATUS_CODE_UNSET":
		return 0, true
	case "STATUS_CODE_OK":
		return 1, true
	case "STATUS_CODE_ERROR":
		return 2, true
	default:
		return 0, false
	}
}
