package block

import (
	"encoding/hex"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// blockRows is the rows of one trace in a file, while they are being put
// together column by column.
type blockRows struct {
	a         *assembler
	r         *reader
	from, to  int
	identity  [][8]telemetry.StrID
	resources []string
	attrs     [][]telemetry.Attr
	spans     []telemetry.Span    // of a spans file
	requests  []telemetry.Request // of a requests file
	parents   []int64             // of spans: offset of the parent's row+1, or 0
}

// blockTrace adds the rows from and below to of a file.
func (a *assembler) blockTrace(r *reader, id telemetry.TraceID, from, to int, spans bool) (err error) {
	defer guard(&err)
	n := to - from
	b := &blockRows{
		a: a, r: r, from: from, to: to,
		identity: make([][8]telemetry.StrID, n), resources: make([]string, n), attrs: make([][]telemetry.Attr, n),
	}
	if spans {
		b.spans, b.parents = make([]telemetry.Span, n), make([]int64, n)
		for i := range b.spans {
			b.spans[i] = telemetry.Span{TraceID: id, Code: -1}
		}
	} else {
		b.requests = make([]telemetry.Request, n)
		for i := range b.requests {
			b.requests[i] = telemetry.Request{TraceID: id, Code: -1}
		}
	}
	for i := range r.f.columns {
		if r.f.columns[i].id == colTraceID {
			continue
		}
		if err := b.column(i); err != nil {
			return err
		}
	}
	return b.finish()
}

// column reads column i of all rows.
func (b *blockRows) column(i int) error {
	f := b.r.f
	for p := f.pageOf(b.from); f.pageFirst(p) < b.to; p++ {
		v, err := b.r.load(i, p)
		if err != nil {
			return err
		}
		first := f.pageFirst(p)
		lo, hi := max(b.from, first), min(b.to, first+v.n)
		for row := lo; row < hi; row++ {
			if pos := v.pos(row - first); pos >= 0 {
				if err := b.set(&f.columns[i], v, pos, row-b.from); err != nil {
					return err
				}
			}
		}
	}
	b.r.giveBack(i)
	return nil
}

// set hands one value to row i.
func (b *blockRows) set(c *fileColumn, v *pageView, pos, i int) error {
	switch {
	case c.id == colDynamic:
		b.attrs[i] = append(b.attrs[i], b.dynamic(c, v, pos))
		return nil
	case c.kind == kindJSON:
		return b.json(c, v.textAt(pos), i)
	case c.id == colResource:
		b.resources[i] = string(v.textAt(pos))
		return nil
	case c.kind == kindUUID:
		b.requests[i].RequestID.UUID = [16]byte(v.bytesAt(pos))
		return nil
	case c.kind == kindID8:
		b.id8(c, telemetry.SpanID(v.bytesAt(pos)), i)
		return nil
	case c.id == colParentRow:
		if b.parents[i] = v.intAt(pos); b.parents[i] >= 0 {
			b.parents[i]++
		}
		return nil
	}
	var bits uint64
	switch c.kind {
	case kindText:
		bits = uint64(b.a.b.Intern(v.textAt(pos)))
	case kindEnum:
		// A name that this version does not know counts as the first.
		bits = uint64(max(0, slices.Index(c.names, string(v.textAt(pos)))))
	default:
		bits = uint64(v.intAt(pos))
	}
	switch {
	case c.id >= colCluster && c.id <= colPrincipal:
		b.identity[i][c.id-colCluster] = telemetry.StrID(bits)
	case b.spans != nil:
		setSpan(&b.spans[i], c.id, bits)
	default:
		setRequest(&b.requests[i], c.id, bits)
	}
	return nil
}

func (b *blockRows) dynamic(c *fileColumn, v *pageView, pos int) telemetry.Attr {
	switch c.kind {
	case kindInt64:
		return b.a.attr([]byte(c.attr), telemetry.AttrInt, nil, uint64(v.intAt(pos)))
	case kindDouble:
		return b.a.attr([]byte(c.attr), telemetry.AttrFloat, nil, uint64(v.intAt(pos)))
	case kindBool:
		return b.a.attr([]byte(c.attr), telemetry.AttrBool, nil, uint64(v.intAt(pos)))
	default:
		return b.a.attr([]byte(c.attr), telemetry.AttrString, v.textAt(pos), 0)
	}
}

func (b *blockRows) id8(c *fileColumn, id telemetry.SpanID, i int) {
	switch {
	case b.spans == nil:
		b.requests[i].SpanID = id
	case c.id == colSpanID:
		b.spans[i].SpanID = id
	default:
		b.spans[i].ParentID = id
	}
}

func (b *blockRows) json(c *fileColumn, text []byte, i int) error {
	r := &jsonReader{in: text}
	switch c.id {
	case colAttributes:
		r.attrs(func(key []byte, t telemetry.AttrType, text []byte, bits uint64) {
			b.attrs[i] = append(b.attrs[i], b.a.attr(key, t, text, bits))
		})
	case colEvents:
		b.events(r, &b.spans[i])
	default:
		b.links(r, &b.spans[i])
	}
	return r.err
}

func (b *blockRows) events(r *jsonReader, s *telemetry.Span) {
	s.Events.Start = uint32(len(b.a.b.Events))
	s.Events.Len = r.list(func() {
		var e telemetry.Event
		r.expect(`{"time":`)
		_, _, bits := r.value()
		e.Time = int64(bits)
		r.expect(`,"name":`)
		_, name, _ := r.value()
		e.Name = b.a.b.Intern(name)
		r.expect(`,"attributes":`)
		e.Attrs, _, _ = b.a.attrsOf(r)
		r.expect("}")
		b.a.b.Events = append(b.a.b.Events, e)
	})
}

func (b *blockRows) links(r *jsonReader, s *telemetry.Span) {
	s.Links.Start = uint32(len(b.a.b.Links))
	s.Links.Len = r.list(func() {
		var l telemetry.Link
		r.expect(`{"trace_id":`)
		r.hex(l.TraceID[:])
		r.expect(`,"span_id":`)
		r.hex(l.SpanID[:])
		r.expect(`,"attributes":`)
		l.Attrs, _, _ = b.a.attrsOf(r)
		r.expect("}")
		b.a.b.Links = append(b.a.b.Links, l)
	})
}

// list reads a list of at least one, each by one, and says how many there were.
func (r *jsonReader) list(one func()) (n uint32) {
	r.expect("[")
	for r.err == nil {
		one()
		if n++; !r.take(',') {
			r.expect("]")
			break
		}
	}
	return n
}

func (r *jsonReader) hex(dst []byte) {
	s := r.str()
	if len(s) != 2*len(dst) {
		r.fail()
		return
	}
	if _, err := hex.Decode(dst, s); err != nil {
		r.fail()
	}
}

// finish puts the rows into the batch.
func (b *blockRows) finish() error {
	for i := range b.to - b.from {
		res, err := b.a.resource(resourceKey{identityOf(b.identity[i]), b.resources[i]})
		if err != nil {
			return err
		}
		attrs := b.a.put(b.attrs[i])
		if b.spans == nil {
			b.requests[i].Resource, b.requests[i].Attrs = res, attrs
			continue
		}
		s := &b.spans[i]
		s.Resource, s.Attrs = res, attrs
		if d := b.parents[i]; d != 0 {
			if d > 0 {
				d--
			}
			s.ParentID = b.spans[int64(i)+d].SpanID
		}
	}
	b.a.b.Spans = append(b.a.b.Spans, b.spans...)
	b.a.b.Requests = append(b.a.b.Requests, b.requests...)
	return nil
}
