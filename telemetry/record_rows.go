package telemetry

import "math"

// spans reads what encoder.spans wrote.
func (d *decoder) spans() {
	n := d.count(15)
	d.next = 0
	prev := Span{Start: d.b.Received}
	for range n {
		var s Span
		f, kind, proto := d.byte(), d.byte(), d.byte()
		if d.version > unsampledRecord && kind&weighted != 0 {
			kind &^= weighted
			if s.Weight = Weight(d.byte()); !s.Weight.Valid() {
				d.fail(errRange)
			}
		}
		s.Kind, s.Status = SpanKind(kind&15), Status(kind>>4)
		s.Protocol, s.Outcome = Protocol(proto&15), Outcome(proto>>4)
		if s.Kind > KindConsumer || s.Status > StatusError || s.Protocol > ProtocolMessaging || s.Outcome > OutcomeThrottled {
			d.fail(errRange)
		}
		if s.TraceID = prev.TraceID; f&sameTrace == 0 {
			d.bytes(s.TraceID[:])
		}
		d.bytes(s.SpanID[:])
		switch {
		case f&noParent != 0:
		case f&sameParent != 0:
			s.ParentID = prev.ParentID
		case f&parentIsPrev != 0:
			s.ParentID = prev.SpanID
		default:
			d.bytes(s.ParentID[:])
		}
		s.Start = prev.Start + d.int()
		s.Duration = int64(d.uint() & math.MaxInt64)
		s.Name = d.str()
		if s.Resource = prev.Resource; f&sameResource == 0 {
			s.Resource = d.resource()
		}
		if s.ScopeName, s.ScopeVersion = prev.ScopeName, prev.ScopeVersion; f&sameScope == 0 {
			s.ScopeName, s.ScopeVersion = d.str(), d.str()
		}
		s.Attrs, d.next = d.rng(d.next, len(d.b.Attrs))
		s.Flags = d.u32()
		s.Code = d.code()
		if f&noPeer == 0 {
			s.PeerKind = d.nodeKind()
			s.Peer, s.PeerNamespace, s.PeerSys, s.Cluster = d.str(), d.str(), d.str(), d.str()
			s.Response = ResponseFlags(d.u32())
		}
		if f&noExtras == 0 {
			s.StatusMessage, s.TraceState = d.str(), d.str()
			s.Events, _ = d.rng(0, len(d.b.Events))
			s.Links, _ = d.rng(0, len(d.b.Links))
		}
		if d.err != nil {
			return
		}
		d.b.Spans = append(d.b.Spans, s)
		prev = s
	}
}

func (d *decoder) resource() uint32 {
	r := d.uint()
	if r >= uint64(len(d.b.Resources)) {
		d.fail(errRange)
		return 0
	}
	return uint32(r)
}

func (d *decoder) code() int32 {
	c := d.int()
	if c < math.MinInt32 || c > math.MaxInt32 {
		d.fail(errRange)
		return 0
	}
	return int32(c)
}

func (d *decoder) port() uint16 {
	p := d.uint()
	if p > math.MaxUint16 {
		d.fail(errRange)
	}
	return uint16(p)
}

func (d *decoder) nodeKind() NodeKind {
	k := NodeKind(d.byte())
	if k > NodeClient {
		d.fail(errRange)
	}
	return k
}

// requests reads what encoder.requests wrote.
func (d *decoder) requests() {
	n := d.count(23)
	d.next = 0
	for range n {
		var r Request
		f := d.byte()
		if d.version == 1 {
			f = f&hasTrace | hasPeer
		}
		if f&hasTrace != 0 {
			d.bytes(r.TraceID[:])
			d.bytes(r.SpanID[:])
		}
		if f&hasUUID != 0 {
			d.bytes(r.RequestID.UUID[:])
		} else if d.version > 1 {
			r.RequestID.Text = d.str()
		}
		side, tls := d.byte(), d.byte()
		r.Side, r.Protocol = Side(side&15), Protocol(side>>4)
		r.TLS, r.Outcome = TLS(tls&15), Outcome(tls>>4)
		r.PeerKind = d.nodeKind()
		if r.Side > SideServer || r.Protocol > ProtocolMessaging || r.TLS > TLSMutual || r.Outcome > OutcomeThrottled {
			d.fail(errRange)
		}
		r.Start = d.b.Received + d.int()
		r.Duration = int64(d.uint() & math.MaxInt64)
		r.Resource = d.resource()
		if f&hasPeer != 0 {
			r.Peer = d.identity()
		}
		r.Response = ResponseFlags(d.u32())
		r.Code = d.code()
		r.Method, r.Path, r.Authority = d.str(), d.str(), d.str()
		if d.version == 1 {
			r.RequestID.Text = d.str()
		}
		r.Route, r.Cluster = d.str(), d.str()
		r.Upstream.Host, r.Remote.Host = d.str(), d.str()
		if d.version > 1 { // before, the port was part of the host
			r.Upstream.Port, r.Remote.Port = d.port(), d.port()
		}
		r.Attempts = d.u32()
		r.BytesIn, r.BytesOut = d.uint(), d.uint()
		r.Attrs, d.next = d.rng(d.next, len(d.b.Attrs))
		if d.err != nil {
			return
		}
		d.b.Requests = append(d.b.Requests, r)
	}
}
