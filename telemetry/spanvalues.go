package telemetry

import "github.com/binnacle-mesh/binnacle/telemetry/filter"

// The types of attributes are the filter's first, so that one is the other's number.
var _ = [1]struct{}{}[filter.TypeJSON-filter.Type(AttrJSON)]

// SpanValues hands what a field of a span holds to yield, as a filter asks for it; t is what is known of the
// span's trace, nil where nothing is. It is the definition of what each field means: a store
// answers as if it asked this of every span.
func (b *Batch) SpanValues(s *Span, t *TraceSummary, f filter.Field, yield func(t filter.Type, text []byte, bits uint64)) {
	switch {
	case f.Fact == 0:
		b.attributeValues(s, f, yield)
	case f.Fact.OfTrace():
		if t != nil {
			t.values(f.Fact, yield)
		}
	default:
		b.factValues(s, f.Fact, yield)
	}
}

func (b *Batch) attributeValues(s *Span, f filter.Field, yield func(t filter.Type, text []byte, bits uint64)) {
	of := func(r Range) {
		for _, a := range b.AttrsOf(r) {
			if b.Str(a.Key) != f.Key {
				continue
			}
			switch a.Type {
			case AttrInt, AttrFloat, AttrBool:
				yield(filter.Type(a.Type), nil, a.Value)
			default:
				yield(filter.Type(a.Type), b.Bytes(a.String()), 0)
			}
		}
	}
	if f.Scopes&filter.InSpan != 0 {
		of(s.Attrs)
	}
	if f.Scopes&filter.InResource != 0 {
		of(b.Resources[s.Resource].Attrs)
	}
	if f.Scopes&filter.InEvent != 0 {
		for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
			of(e.Attrs)
		}
	}
	if f.Scopes&filter.InLink != 0 {
		for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
			of(l.Attrs)
		}
	}
}

func (b *Batch) factValues(s *Span, f filter.Fact, yield func(t filter.Type, text []byte, bits uint64)) {
	id := &b.Resources[s.Resource].Identity
	switch f {
	case filter.Kind:
		yield(filter.TypeText, []byte(s.Kind.String()), 0)
	case filter.Status:
		yield(filter.TypeText, []byte(s.Status.String()), 0)
	case filter.Outcome:
		yield(filter.TypeText, []byte(s.Outcome.String()), 0)
	case filter.Protocol:
		if s.Protocol != ProtocolUnknown {
			yield(filter.TypeText, []byte(s.Protocol.String()), 0)
		}
	case filter.PeerKind:
		if s.PeerKind != NodeUnknown {
			yield(filter.TypeText, []byte(s.PeerKind.String()), 0)
		}
	case filter.Duration:
		yield(filter.TypeDuration, nil, uint64(s.Duration))
	case filter.Start:
		yield(filter.TypeTime, nil, uint64(s.Start))
	case filter.Code:
		if s.Code != -1 {
			yield(filter.TypeInt, nil, uint64(int64(s.Code)))
		}
	case filter.TraceID:
		yield(filter.TypeText, []byte(s.TraceID.String()), 0)
	case filter.SpanID:
		yield(filter.TypeText, []byte(s.SpanID.String()), 0)
	case filter.ParentID:
		if !s.ParentID.IsZero() {
			yield(filter.TypeText, []byte(s.ParentID.String()), 0)
		}
	case filter.EventName, filter.EventTime:
		for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
			switch {
			case f == filter.EventTime:
				yield(filter.TypeTime, nil, uint64(e.Time))
			case e.Name != 0:
				yield(filter.TypeText, b.Bytes(e.Name), 0)
			}
		}
	case filter.LinkTraceID, filter.LinkSpanID:
		for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
			if f == filter.LinkTraceID {
				yield(filter.TypeText, []byte(l.TraceID.String()), 0)
			} else {
				yield(filter.TypeText, []byte(l.SpanID.String()), 0)
			}
		}
	default:
		text := map[filter.Fact]StrID{
			filter.Name: s.Name, filter.StatusMessage: s.StatusMessage, filter.TraceState: s.TraceState,
			filter.Peer: s.Peer, filter.PeerNamespace: s.PeerNamespace, filter.PeerSystem: s.PeerSys, filter.Upstream: s.Cluster,
			filter.Cluster: id.Cluster, filter.Namespace: id.Namespace, filter.Workload: id.Workload, filter.Service: id.Service,
			filter.App: id.App, filter.Version: id.Version, filter.Instance: id.Instance, filter.Principal: id.Principal,
			filter.ScopeName: s.ScopeName, filter.ScopeVersion: s.ScopeVersion,
		}[f]
		if text != 0 {
			yield(filter.TypeText, b.Bytes(text), 0)
		}
	}
}

// values is what the trace as a whole says.
func (t *TraceSummary) values(f filter.Fact, yield func(t filter.Type, text []byte, bits uint64)) {
	text := func(s string) {
		if s != "" {
			yield(filter.TypeText, []byte(s), 0)
		}
	}
	switch f {
	case filter.TraceStart:
		yield(filter.TypeTime, nil, uint64(t.Start))
	case filter.TraceDuration:
		yield(filter.TypeDuration, nil, uint64(t.Duration))
	case filter.TraceSpans:
		yield(filter.TypeInt, nil, uint64(t.Spans))
	case filter.TraceErrors:
		yield(filter.TypeInt, nil, uint64(t.Errors))
	case filter.RootService:
		text(t.RootService)
	case filter.RootName:
		text(t.RootOperation)
	case filter.TraceService:
		for _, s := range t.Services {
			text(s.Name)
		}
	default:
	}
}
