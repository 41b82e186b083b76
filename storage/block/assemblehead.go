package block

import (
	"encoding/binary"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func (a *assembler) headStr(v *headView, id uint32) telemetry.StrID {
	return a.b.Intern(v.strings.bytes(id))
}

func (a *assembler) headAttr(v *headView, x pair) telemetry.Attr {
	k := v.keys[x.col-colDynamic]
	return a.attr(v.strings.bytes(k.name), k.typ, headText(v, k.typ, x.bits), x.bits)
}

// headText is the text of an attribute that is kept as text.
func headText(v *headView, t telemetry.AttrType, bits uint64) []byte {
	switch t {
	case telemetry.AttrInt, telemetry.AttrFloat, telemetry.AttrBool:
		return nil
	default:
		return v.strings.bytes(uint32(bits))
	}
}

// headAttrs reads pairs up to the end of their run.
func (a *assembler) headAttrs(v *headView, p []byte) (telemetry.Range, []byte) {
	start := uint32(len(a.b.Attrs))
	for {
		x, rest, ok := v.next(p, nil)
		p = rest
		if !ok {
			return a.since(start), p
		}
		a.b.Attrs = append(a.b.Attrs, a.headAttr(v, x))
	}
}

// headResource goes by the JSON, so that a resource is found again in the rows
// of a block.
func (a *assembler) headResource(v *headView, i uint32) (uint32, error) {
	r := &v.resources[i]
	var id [8]telemetry.StrID
	for j, s := range r.identity {
		id[j] = a.headStr(v, s)
	}
	var w jsonWriter
	w.attrs(v, v.rest.at(r.attrs))
	if len(w.b) == len("{}") {
		w.b = nil
	}
	return a.resource(resourceKey{identityOf(id), string(w.b)})
}

// headRow hands the values of a row to set, text as a StrID, and puts its attributes into the batch.
func (a *assembler) headRow(v *headView, ref uint32, defs []columnDef, set func(pair)) telemetry.Range {
	var attrs []telemetry.Attr
	for p := v.rest.at(ref); ; {
		x, rest, ok := v.next(p, defs)
		if p = rest; !ok {
			return a.put(attrs)
		}
		if x.col >= colDynamic {
			attrs = append(attrs, a.headAttr(v, x))
			continue
		}
		if defs[x.col].kind == kindText {
			x.bits = uint64(a.headStr(v, uint32(x.bits)))
		}
		set(x)
	}
}

func (a *assembler) headSpan(v *headView, row uint32) error {
	c, i := v.spans.chunks[row/chunkRows], row%chunkRows
	s := telemetry.Span{
		TraceID: c.trace[i], SpanID: c.span[i], ParentID: c.parent[i], Start: c.start[i], Duration: c.duration[i],
		Name: a.headStr(v, c.name[i]), Kind: telemetry.SpanKind(c.bits[i] & 15), Status: telemetry.Status(c.bits[i] >> 4), Code: -1,
	}
	var err error
	if s.Resource, err = a.headResource(v, c.resource[i]); err != nil {
		return err
	}
	s.Attrs = a.headRow(v, c.rest[i], spanColumns(), func(x pair) {
		switch x.col {
		case colEvents:
			a.headEvents(v, x, &s)
		case colLinks:
			a.headLinks(v, x, &s)
		default:
			setSpan(&s, x.col, x.bits)
		}
	})
	a.b.Spans = append(a.b.Spans, s)
	return nil
}

func (a *assembler) headEvents(v *headView, x pair, s *telemetry.Span) {
	s.Events = telemetry.Range{Start: uint32(len(a.b.Events)), Len: uint32(x.bits)}
	p := x.data
	for range x.bits {
		e := telemetry.Event{Time: int64(binary.LittleEndian.Uint64(p))}
		var name uint64
		name, p = uvarint(p[8:])
		e.Name = a.headStr(v, uint32(name))
		e.Attrs, p = a.headAttrs(v, p)
		a.b.Events = append(a.b.Events, e)
	}
}

func (a *assembler) headLinks(v *headView, x pair, s *telemetry.Span) {
	s.Links = telemetry.Range{Start: uint32(len(a.b.Links)), Len: uint32(x.bits)}
	p := x.data
	for range x.bits {
		l := telemetry.Link{TraceID: telemetry.TraceID(p[:16]), SpanID: telemetry.SpanID(p[16:24])}
		l.Attrs, p = a.headAttrs(v, p[24:])
		a.b.Links = append(a.b.Links, l)
	}
}

func (a *assembler) headRequest(v *headView, row uint32) error {
	c, i := v.requests.chunks[row/chunkRows], row%chunkRows
	r := telemetry.Request{TraceID: c.trace[i], SpanID: c.span[i], Start: c.start[i], Duration: c.duration[i], Code: -1}
	var err error
	if r.Resource, err = a.headResource(v, c.resource[i]); err != nil {
		return err
	}
	r.Attrs = a.headRow(v, c.rest[i], requestColumns(), func(x pair) {
		if x.col == colRequestUUID {
			r.RequestID.UUID = [16]byte(x.data)
			return
		}
		setRequest(&r, x.col, x.bits)
	})
	a.b.Requests = append(a.b.Requests, r)
	return nil
}
