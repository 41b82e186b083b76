package topology

import (
	"time"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The model. Traces are drawn as trees of hops; each hop says by itself on which
// edge it is, and which witnesses tell of it. The oracle adds that up without
// regard to order; the topology gets the same halves shuffled, in batches, some of them
// twice.

// onEdge is what the oracle counts: requests by edge and witness. Callers that
// never sent anything are one, drawn or not.
type onEdge struct {
	source, target string
	witness        telemetry.Witness
}

type counted struct{ requests, errors uint64 }

func (c counted) plus(failed bool) counted {
	c.requests++
	if failed {
		c.errors++
	}
	return c
}

// event puts one half into a batch.
type event func(b *telemetry.Batch, resource func(service string) uint32)

type model struct {
	rt     *rapid.T
	events []event
	want   map[onEdge]counted
	hops   map[onEdge]counted // distinct requests that spans tell of, whichever; of no witness
	// bare are the calls to bare names: whom they mean depends on who is known in
	// the end.
	bare   []func()
	known  map[string]bool
	halves int
	ids    uint64
}

func (m *model) id() telemetry.SpanID {
	m.ids++
	return id64(m.ids)
}

func (m *model) count(source, target string, w telemetry.Witness, failed bool) {
	m.want[onEdge{source, target, w}] = m.want[onEdge{source, target, w}].plus(failed)
	m.halves++
}

func (m *model) hop(source, target string, failed bool) {
	m.hops[onEdge{source, target, 0}] = m.hops[onEdge{source, target, 0}].plus(failed)
}

func outcome(failed bool) (telemetry.Outcome, int32) {
	if failed {
		return telemetry.OutcomeError, 500
	}
	return telemetry.OutcomeOK, 200
}

func (m *model) span(service string, s telemetry.Span) {
	m.known[service] = true
	took := rapid.Int64Range(1, 1e10).Draw(m.rt, "took")
	m.events = append(m.events, func(b *telemetry.Batch, resource func(string) uint32) {
		s := s
		s.Resource, s.Duration = resource(service), took
		b.Spans = append(b.Spans, s)
	})
}

func (m *model) log(service string, side telemetry.Side, trace telemetry.TraceID, id telemetry.SpanID, cluster string, failed bool) {
	m.known[service] = true
	took := rapid.Int64Range(1, 1e10).Draw(m.rt, "took")
	m.events = append(m.events, func(b *telemetry.Batch, resource func(string) uint32) {
		r := telemetry.Request{
			TraceID: trace, SpanID: id, Resource: resource(service), Side: side, Protocol: telemetry.ProtocolHTTP,
			Cluster: b.InternString(cluster), Duration: took,
		}
		r.Outcome, r.Code = outcome(failed)
		b.Requests = append(b.Requests, r)
	})
}

// server tells of a call to service, and of those that it makes in turn.
func (m *model) server(trace telemetry.TraceID, caller string, parent telemetry.SpanID, service string, witnesses [4]bool, failed bool, depth int) {
	id := m.id()
	o, code := outcome(failed)
	if witnesses[telemetry.ServerSpan] {
		m.count(caller, "shop/"+service, telemetry.ServerSpan, failed)
		if !witnesses[telemetry.ClientSpan] {
			m.hop(caller, "shop/"+service, failed)
		}
		m.span(service, telemetry.Span{TraceID: trace, SpanID: id, ParentID: parent, Kind: telemetry.KindServer, Protocol: telemetry.ProtocolHTTP, Outcome: o, Code: code})
		if rapid.IntRange(0, 5).Draw(m.rt, "inner") == 0 {
			m.span(service, telemetry.Span{TraceID: trace, SpanID: m.id(), ParentID: id, Kind: telemetry.KindServer, Protocol: telemetry.ProtocolHTTP})
		}
	}
	if witnesses[telemetry.ServerLog] {
		m.count(caller, "shop/"+service, telemetry.ServerLog, failed)
		names := id
		if !witnesses[telemetry.ServerSpan] {
			names = parent
		}
		m.log(service, telemetry.SideServer, trace, names, "inbound|80||", failed)
	}
	if depth == 0 {
		return
	}
	for range rapid.IntRange(0, 3).Draw(m.rt, "calls") {
		m.call(trace, service, id, depth-1)
	}
}

// inner tells of up to two internal spans of service below parent, and returns the lowest.
func (m *model) inner(trace telemetry.TraceID, service string, parent telemetry.SpanID) telemetry.SpanID {
	for range rapid.IntRange(1, 2).Draw(m.rt, "inner spans") {
		id := m.id()
		m.span(service, telemetry.Span{TraceID: trace, SpanID: id, ParentID: parent, Kind: rapid.SampledFrom([]telemetry.SpanKind{telemetry.KindUnspecified, telemetry.KindInternal}).Draw(m.rt, "kind")})
		parent = id
	}
	return parent
}

func (m *model) call(trace telemetry.TraceID, service string, parent telemetry.SpanID, depth int) {
	if rapid.IntRange(0, 3).Draw(m.rt, "inner before") == 0 {
		parent = m.inner(trace, service, parent)
	}
	failed := rapid.IntRange(0, 3).Draw(m.rt, "failed") == 0
	if rapid.IntRange(0, 4).Draw(m.rt, "database") == 0 {
		m.count("shop/"+service, "database:db", telemetry.ClientSpan, failed)
		m.hop("shop/"+service, "database:db", failed)
		o, _ := outcome(failed)
		m.events = append(m.events, func(id telemetry.SpanID) event {
			m.known[service] = true
			return func(b *telemetry.Batch, resource func(string) uint32) {
				b.Spans = append(b.Spans, telemetry.Span{
					TraceID: trace, SpanID: id, ParentID: parent, Kind: telemetry.KindClient, Resource: resource(service), Duration: 1e6,
					Protocol: telemetry.ProtocolDatabase, PeerKind: telemetry.NodeDatabase, Peer: b.InternString("db"), Outcome: o,
				})
			}
		}(m.id()))
		return
	}
	target := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(m.rt, "target")
	if target == service {
		target = "f"
	}
	var w [4]bool
	for i := range w {
		w[i] = rapid.Bool().Draw(m.rt, "witness")
	}
	client := w[telemetry.ClientSpan] || w[telemetry.ClientLog]
	answered := w[telemetry.ServerSpan] || w[telemetry.ServerLog]
	id := m.id()
	claim := rapid.SampledFrom([]string{"service", "bare", "address"}).Draw(m.rt, "claim")
	if w[telemetry.ClientLog] && !w[telemetry.ServerSpan] {
		// An entry that only names an id is believed if no one says otherwise.
		claim = "service"
	}
	if claim == "service" && client {
		m.known[target] = true
	}
	tell := func(witness telemetry.Witness) {
		count := func(callee string) {
			m.count("shop/"+service, callee, witness, failed)
			if witness == telemetry.ClientSpan {
				m.hop("shop/"+service, callee, failed)
			}
		}
		switch {
		case answered || claim == "service":
			count("shop/" + target)
		case claim == "address":
			count("10.0.0." + target)
		default:
			m.halves++
			m.bare = append(m.bare, func() {
				m.halves--
				if m.known[target] {
					count("shop/" + target)
				} else {
					count(target)
				}
			})
		}
	}
	o, code := outcome(failed)
	if w[telemetry.ClientSpan] {
		tell(telemetry.ClientSpan)
		outer := parent
		if rapid.IntRange(0, 5).Draw(m.rt, "outer") == 0 {
			outer = m.id()
			m.span(service, telemetry.Span{TraceID: trace, SpanID: outer, ParentID: parent, Kind: telemetry.KindClient, Protocol: telemetry.ProtocolHTTP})
			if rapid.Bool().Draw(m.rt, "inner within") {
				outer = m.inner(trace, service, outer)
			}
		}
		m.known[service] = true
		m.events = append(m.events, func(b *telemetry.Batch, resource func(string) uint32) {
			s := telemetry.Span{TraceID: trace, SpanID: id, ParentID: outer, Kind: telemetry.KindClient, Resource: resource(service), Duration: 1e6, Protocol: telemetry.ProtocolHTTP, Outcome: o, Code: code}
			switch claim {
			case "service":
				s.Peer, s.PeerNamespace, s.PeerKind = b.InternString(target), b.InternString("shop"), telemetry.NodeService
			case "bare":
				s.Peer = b.InternString(target)
			case "address":
				s.Peer = b.InternString("10.0.0." + target)
			}
			b.Spans = append(b.Spans, s)
		})
	}
	if w[telemetry.ClientLog] {
		tell(telemetry.ClientLog)
		m.log(service, telemetry.SideClient, trace, id, map[string]string{
			"service": "outbound|80||" + target + ".shop.svc.cluster.local", "bare": target, "address": "10.0.0." + target,
		}[claim], failed)
	}
	caller := "shop/" + service
	if !w[telemetry.ClientLog] && !w[telemetry.ServerLog] && rapid.IntRange(0, 3).Draw(m.rt, "inner after") == 0 {
		id = m.inner(trace, service, id) // by which the caller is known, whatever else is
	} else if !client {
		caller = "?"
	}
	m.server(trace, caller, id, target, w, failed, depth)
}

func drawModel(rt *rapid.T) *model {
	m := &model{rt: rt, want: map[onEdge]counted{}, hops: map[onEdge]counted{}, known: map[string]bool{}}
	for i := range rapid.IntRange(1, 8).Draw(rt, "traces") {
		var trace telemetry.TraceID
		trace[0], trace[15] = 1, byte(i)
		m.server(trace, "?", telemetry.SpanID{}, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "root"), [4]bool{telemetry.ServerSpan: true}, false, 4)
	}
	for _, f := range m.bare {
		f()
	}
	return m
}

// batches shuffles events into batches, some twice.
func (m *model) batches(span time.Duration) []*telemetry.Batch {
	events := rapid.Permutation(m.events).Draw(m.rt, "order")
	for range rapid.IntRange(0, 5).Draw(m.rt, "twice") {
		events = append(events, rapid.SampledFrom(events).Draw(m.rt, "again"))
	}
	var out []*telemetry.Batch
	at := int64(storyStart)
	for len(events) > 0 {
		n := rapid.IntRange(1, len(events)).Draw(m.rt, "batch")
		b := telemetry.NewBatch()
		at += rapid.Int64Range(0, int64(span)/int64(len(m.events)+6)).Draw(m.rt, "pause")
		b.Received = at
		resources := map[string]uint32{}
		for _, e := range events[:n] {
			e(b, func(service string) uint32 { return addResource(b, resources, "shop/"+service) })
		}
		out = append(out, b)
		events = events[n:]
	}
	return out
}
