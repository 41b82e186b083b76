package otlp

import (
	"fmt"
	"runtime"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// How an ExportTraceServiceRequest becomes a batch.
//
// The problem: some 90 fields a span, of which two thirds are the keys and values
// of attributes; protobuf's own decoder builds an object for each.
//
// Invariants: nothing refers to the message once it is decoded (strings are copied
// into the batch's table); the attributes of one owner are one run of Batch.Attrs,
// whatever order the fields came in; a span that is rejected leaves nothing but
// strings behind.
//
// The algorithm: walk the fields of each message with a pb.Reader, one function
// a message type. A resource is appended before its spans, so that spans can name
// it though it may come after them. A span is walked twice where it has events or
// links: once for all but those, once for those, since their attributes share the array.
// Keys and values are guessed from what the batch held last time in the same
// place (attrs.go), which saves hashing most of them.
//
// Not chosen: generated code with unsafe strings (still an object a value), and
// a lazy walk that keeps the message (its bytes would have to live as long as
// the batch, and the log encodes it anyway).

// decoder decodes one message at a time; it is reused, and belongs to one
// goroutine.
type decoder struct {
	collector.Fill
	attrs guesses

	// Memory that one message leaves to the next.
	nested  []byte // the JSON of an attribute's array or map
	unquote []byte // JSON texts that have escapes, resolved
	bytes   []byte // JSON's base64, decoded
}

// begin prepares the decoder for a message.
func (d *decoder) begin(in *collector.Intake) {
	in.Begin(&d.Fill)
	d.attrs.reset()
}

// proto decodes an ExportTraceServiceRequest.
func (d *decoder) proto(msg []byte) error {
	r := pb.Over(msg)
	for i := 0; r.Next(); {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		if err := d.resourceSpans(r.Bytes()); err != nil {
			return fmt.Errorf("resource_spans[%d]: %w", i, err)
		}
		i++
	}
	return r.Err
}

// resourceSpans decodes a ResourceSpans.
func (d *decoder) resourceSpans(msg []byte) error {
	b := d.Batch
	res, first := len(b.Resources), len(b.Spans)
	b.Resources = append(b.Resources, telemetry.Resource{})
	r := pb.Over(msg)
	for i := 0; r.Next(); {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			if err := d.resource(r.Bytes(), res); err != nil {
				return fmt.Errorf("resource: %w", err)
			}
		case 2<<3 | pb.Bytes:
			if err := d.scopeSpans(r.Bytes(), uint32(res)); err != nil {
				return fmt.Errorf("scope_spans[%d]: %w", i, err)
			}
			i++
		}
	}
	if r.Err != nil {
		return r.Err
	}
	d.endResource(res, first)
	return nil
}

// resource decodes a Resource. A second one in the same place adds to the
// first, as protobuf has it.
func (d *decoder) resource(msg []byte, res int) error {
	b := d.Batch
	start := len(b.Attrs)
	b.Attrs = append(b.Attrs, b.AttrsOf(b.Resources[res].Attrs)...)
	r := pb.Over(msg)
	for r.Next() {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		for again := true; again; again = r.Again() {
			if err := d.keyValue(r.Bytes(), start); err != nil {
				return err
			}
		}
	}
	b.Resources[res].Attrs = run(start, len(b.Attrs))
	return r.Err
}

// yieldEvery is after how many spans a decoder lets others go first: about half a millisecond. Left alone the runtime takes a processor back
// after ten, which is what a quota decision may take in all.
const yieldEvery = 512

// scopeSpans decodes a ScopeSpans.
func (d *decoder) scopeSpans(msg []byte, res uint32) error {
	first := len(d.Batch.Spans)
	var s scope
	r := pb.Over(msg)
	for i := 0; r.Next(); {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			if err := d.scope(r.Bytes(), &s); err != nil {
				return fmt.Errorf("scope: %w", err)
			}
			late := d.Batch.Spans[first:]
			for j := range late {
				late[j].ScopeName, late[j].ScopeVersion = s.name, s.version
			}
		case 2<<3 | pb.Bytes:
			if !d.beyond() {
				if err := d.span(r.Bytes(), res, s); err != nil {
					return fmt.Errorf("spans[%d]: %w", i, err)
				}
			}
			if i++; i%yieldEvery == 0 {
				runtime.Gosched()
			}
		}
	}
	return r.Err
}

// A scope is what of an InstrumentationScope a span keeps.
type scope struct{ name, version telemetry.StrID }

func (d *decoder) scope(msg []byte, s *scope) error {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			s.name = d.Text(r.Bytes())
		case 2<<3 | pb.Bytes:
			s.version = d.Text(r.Bytes())
		}
	}
	return r.Err
}

// span decodes a Span.
func (d *decoder) span(msg []byte, res uint32, sc scope) error {
	b := d.Batch
	i, attrs := len(b.Spans), len(b.Attrs)
	b.Spans = append(b.Spans, telemetry.Span{Resource: res, ScopeName: sc.name, ScopeVersion: sc.version})
	s := &b.Spans[i]
	var start, end uint64
	var trace, id, parent []byte
	more := false
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 9<<3 | pb.Bytes:
			for again := true; again; again = r.Again() {
				if err := d.keyValue(r.Bytes(), attrs); err != nil {
					return err
				}
			}
		case 1<<3 | pb.Bytes:
			trace = r.Bytes()
		case 2<<3 | pb.Bytes:
			id = r.Bytes()
		case 3<<3 | pb.Bytes:
			s.TraceState = d.Text(r.Bytes())
		case 4<<3 | pb.Bytes:
			parent = r.Bytes()
		case 5<<3 | pb.Bytes:
			s.Name = d.Text(r.Bytes())
		case 6<<3 | pb.Varint:
			s.Kind = d.kind(r.Uint)
		case 7<<3 | pb.Fixed64:
			start = r.Uint
		case 8<<3 | pb.Fixed64:
			end = r.Uint
		case 11<<3 | pb.Bytes, 13<<3 | pb.Bytes:
			more = true
		case 15<<3 | pb.Bytes:
			if err := d.status(r.Bytes(), s); err != nil {
				return fmt.Errorf("status: %w", err)
			}
		case 16<<3 | pb.Fixed32:
			s.Flags = uint32(r.Uint)
		}
	}
	if r.Err != nil {
		return r.Err
	}
	s.Attrs = run(attrs, len(b.Attrs))
	if !d.endSpan(i, attrs, trace, id, parent, start, end) || !more {
		return nil
	}
	return d.eventsAndLinks(msg, i)
}

// status decodes a Status.
func (d *decoder) status(msg []byte, s *telemetry.Span) error {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 2<<3 | pb.Bytes:
			s.StatusMessage = d.Text(r.Bytes())
		case 3<<3 | pb.Varint:
			s.Status = d.statusCode(r.Uint)
		}
	}
	return r.Err
}

// eventsAndLinks walks a span once more for its events, then for its links.
func (d *decoder) eventsAndLinks(msg []byte, i int) error {
	b := d.Batch
	s := &b.Spans[i]
	events, links := len(b.Events), len(b.Links)
	for r := pb.Over(msg); r.Next(); {
		switch r.Tag {
		case 11<<3 | pb.Bytes:
			if len(b.Events)-events >= d.Limits.Events {
				d.Repair(collector.RepairEvents)
			} else if err := d.event(r.Bytes(), s.Start); err != nil {
				return fmt.Errorf("events[%d]: %w", len(b.Events)-events, err)
			}
		case 13<<3 | pb.Bytes:
			if len(b.Links)-links >= d.Limits.Links {
				d.Repair(collector.RepairLinks)
			} else if err := d.link(r.Bytes()); err != nil {
				return fmt.Errorf("links[%d]: %w", len(b.Links)-links, err)
			}
		}
	}
	s.Events, s.Links = run(events, len(b.Events)), run(links, len(b.Links))
	return nil
}

func (d *decoder) event(msg []byte, start int64) error {
	b := d.Batch
	var e telemetry.Event
	var at uint64
	attrs := len(b.Attrs)
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Fixed64:
			at = r.Uint
		case 2<<3 | pb.Bytes:
			e.Name = d.Text(r.Bytes())
		case 3<<3 | pb.Bytes:
			if err := d.keyValue(r.Bytes(), attrs); err != nil {
				return err
			}
		}
	}
	e.Time, e.Attrs = d.Moment(at, start), run(attrs, len(b.Attrs))
	b.Events = append(b.Events, e)
	return r.Err
}

func (d *decoder) link(msg []byte) error {
	b := d.Batch
	attrs := len(b.Attrs)
	var trace, id []byte
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			trace = r.Bytes()
		case 2<<3 | pb.Bytes:
			id = r.Bytes()
		case 4<<3 | pb.Bytes:
			if err := d.keyValue(r.Bytes(), attrs); err != nil {
				return err
			}
		}
	}
	d.endLink(run(attrs, len(b.Attrs)), trace, id)
	return r.Err
}
