package block

import (
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// assembler builds the batch of one trace out of rows of heads and blocks.
type assembler struct {
	b         *telemetry.Batch
	resources map[resourceKey]uint32
}

// resourceKey is a resource as its columns say it.
type resourceKey struct {
	identity telemetry.Identity
	attrs    string // JSON
}

func newAssembler() *assembler {
	return &assembler{b: telemetry.NewBatch(), resources: map[resourceKey]uint32{}}
}

// resource is the index of the resource with the identity and the JSON.
func (a *assembler) resource(k resourceKey) (uint32, error) {
	if i, ok := a.resources[k]; ok {
		return i, nil
	}
	r := telemetry.Resource{Identity: k.identity}
	if k.attrs != "" {
		var err error
		if r.Attrs, _, err = a.attrsOf(&jsonReader{in: []byte(k.attrs)}); err != nil {
			return 0, err
		}
	}
	i := uint32(len(a.b.Resources))
	a.b.Resources = append(a.b.Resources, r)
	a.resources[k] = i
	return i, nil
}

// attrsOf reads an object of attributes into the batch.
func (a *assembler) attrsOf(r *jsonReader) (telemetry.Range, *jsonReader, error) {
	start := uint32(len(a.b.Attrs))
	r.attrs(func(key []byte, t telemetry.AttrType, text []byte, bits uint64) {
		a.b.Attrs = append(a.b.Attrs, a.attr(key, t, text, bits))
	})
	return a.since(start), r, r.err
}

func (a *assembler) since(start uint32) telemetry.Range {
	if n := uint32(len(a.b.Attrs)) - start; n > 0 {
		return telemetry.Range{Start: start, Len: n}
	}
	return telemetry.Range{}
}

func (a *assembler) attr(key []byte, t telemetry.AttrType, text []byte, bits uint64) telemetry.Attr {
	switch t {
	case telemetry.AttrInt, telemetry.AttrFloat, telemetry.AttrBool:
	default:
		bits = uint64(a.b.Intern(text))
	}
	return telemetry.Attr{Key: a.b.Intern(key), Type: t, Value: bits}
}

// Rows of a head.

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
	p := v.rest.at(c.rest[i])
	defs := spanColumns()
	var attrs []telemetry.Attr
	for {
		x, rest, ok := v.next(p, defs)
		p = rest
		if !ok {
			break
		}
		switch {
		case x.col >= colDynamic:
			attrs = append(attrs, a.headAttr(v, x))
		case x.col == colEvents:
			a.headEvents(v, x, &s)
		case x.col == colLinks:
			a.headLinks(v, x, &s)
		default:
			if defs[x.col].kind == kindText {
				x.bits = uint64(a.headStr(v, uint32(x.bits)))
			}
			setSpan(&s, x.col, x.bits)
		}
	}
	s.Attrs = a.put(attrs)
	a.b.Spans = append(a.b.Spans, s)
	return nil
}

func (a *assembler) put(attrs []telemetry.Attr) telemetry.Range {
	start := uint32(len(a.b.Attrs))
	a.b.Attrs = append(a.b.Attrs, attrs...)
	return a.since(start)
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
	p := v.rest.at(c.rest[i])
	defs := requestColumns()
	var attrs []telemetry.Attr
	for {
		x, rest, ok := v.next(p, defs)
		p = rest
		if !ok {
			break
		}
		if x.col >= colDynamic {
			attrs = append(attrs, a.headAttr(v, x))
			continue
		}
		switch defs[x.col].kind {
		case kindText:
			x.bits = uint64(a.headStr(v, uint32(x.bits)))
		case kindUUID:
			r.RequestID.UUID = [16]byte(x.data)
			continue
		default:
		}
		setRequest(&r, x.col, x.bits)
	}
	r.Attrs = a.put(attrs)
	a.b.Requests = append(a.b.Requests, r)
	return nil
}

// setSpan sets the field of a column that a value of a span came from; text
// comes as a StrID.
func setSpan(s *telemetry.Span, col int, v uint64) {
	switch col {
	case colStart:
		s.Start = int64(v)
	case colDuration:
		s.Duration = int64(v)
	case colName:
		s.Name = telemetry.StrID(v)
	case colKind:
		s.Kind = telemetry.SpanKind(v)
	case colStatus:
		s.Status = telemetry.Status(v)
	case colStatusMessage:
		s.StatusMessage = telemetry.StrID(v)
	case colTraceState:
		s.TraceState = telemetry.StrID(v)
	case colFlags:
		s.Flags = uint32(v)
	case colScopeName:
		s.ScopeName = telemetry.StrID(v)
	case colScopeVersion:
		s.ScopeVersion = telemetry.StrID(v)
	case colProtocol:
		s.Protocol = telemetry.Protocol(v)
	case colOutcome:
		s.Outcome = telemetry.Outcome(v)
	case colCode:
		s.Code = int32(v)
	case colPeer:
		s.Peer = telemetry.StrID(v)
	case colPeerNamespace:
		s.PeerNamespace = telemetry.StrID(v)
	case colPeerSystem:
		s.PeerSys = telemetry.StrID(v)
	case colPeerKind:
		s.PeerKind = telemetry.NodeKind(v)
	case colUpstreamCluster:
		s.Cluster = telemetry.StrID(v)
	case colResponseFlags:
		s.Response = telemetry.ResponseFlags(v)
	}
}

// setRequest is setSpan for a request.
func setRequest(r *telemetry.Request, col int, v uint64) {
	id := telemetry.StrID(v)
	switch col {
	case colStart:
		r.Start = int64(v)
	case colDuration:
		r.Duration = int64(v)
	case colProtocol:
		r.Protocol = telemetry.Protocol(v)
	case colOutcome:
		r.Outcome = telemetry.Outcome(v)
	case colCode:
		r.Code = int32(v)
	case colPeerKind:
		r.PeerKind = telemetry.NodeKind(v)
	case colResponseFlags:
		r.Response = telemetry.ResponseFlags(v)
	case colUpstreamCluster:
		r.Cluster = id
	case colSide:
		r.Side = telemetry.Side(v)
	case colTLS:
		r.TLS = telemetry.TLS(v)
	case colMethod:
		r.Method = id
	case colPath:
		r.Path = id
	case colAuthority:
		r.Authority = id
	case colRequestID:
		r.RequestID.Text = id
	case colRoute:
		r.Route = id
	case colUpstream:
		r.Upstream.Host = id
	case colRemote:
		r.Remote.Host = id
	case colAttempts:
		r.Attempts = uint32(v)
	case colBytesIn:
		r.BytesIn = v
	case colBytesOut:
		r.BytesOut = v
	case colPeerCluster:
		r.Peer.Cluster = id
	case colRequestPeerNamespace:
		r.Peer.Namespace = id
	case colPeerWorkload:
		r.Peer.Workload = id
	case colPeerService:
		r.Peer.Service = id
	case colPeerApp:
		r.Peer.App = id
	case colPeerVersion:
		r.Peer.Version = id
	case colPeerInstance:
		r.Peer.Instance = id
	case colPeerPrincipal:
		r.Peer.Principal = id
	case colUpstreamPort:
		r.Upstream.Port = uint16(v)
	case colRemotePort:
		r.Remote.Port = uint16(v)
	}
}

// Rows of a block.

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
	for p := b.from / pageRows; p*pageRows < b.to; p++ {
		v, err := b.r.load(i, p)
		if err != nil {
			return err
		}
		lo, hi := max(b.from, p*pageRows), min(b.to, p*pageRows+v.n)
		for row := lo; row < hi; row++ {
			if pos := v.pos(row - p*pageRows); pos >= 0 {
				if err := b.set(&b.r.f.columns[i], v, pos, row-b.from); err != nil {
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
	r.expect("[")
	for r.err == nil {
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
		if s.Events.Len++; !r.take(',') {
			r.expect("]")
			return
		}
	}
}

func (b *blockRows) links(r *jsonReader, s *telemetry.Span) {
	s.Links.Start = uint32(len(b.a.b.Links))
	r.expect("[")
	for r.err == nil {
		var l telemetry.Link
		r.expect(`{"trace_id":`)
		r.hex(l.TraceID[:])
		r.expect(`,"span_id":`)
		r.hex(l.SpanID[:])
		r.expect(`,"attributes":`)
		l.Attrs, _, _ = b.a.attrsOf(r)
		r.expect("}")
		b.a.b.Links = append(b.a.b.Links, l)
		if s.Links.Len++; !r.take(',') {
			r.expect("]")
			return
		}
	}
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
