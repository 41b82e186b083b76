package topology

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The model. Traces are drawn as trees of hops; each hop says by itself on which
// edge it is, and which witnesses tell of it. The oracle adds that up without
// regard to order; the topology gets the same halves shuffled, in batches, some of them
// twice.

// told is what the oracle counts: requests by edge and witness. Callers that
// never told of themselves are one, drawn or not.
type told struct {
	source, target string
	witness        telemetry.Witness
}

type counted struct{ requests, errors uint64 }

// event puts one half into a batch.
type event func(b *telemetry.Batch, resource func(service string) uint32)

type model struct {
	rt     *rapid.T
	events []event
	want   map[told]counted
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
	c := m.want[told{source, target, w}]
	c.requests++
	if failed {
		c.errors++
	}
	m.want[told{source, target, w}] = c
	m.halves++
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

func (m *model) call(trace telemetry.TraceID, service string, parent telemetry.SpanID, depth int) {
	failed := rapid.IntRange(0, 3).Draw(m.rt, "failed") == 0
	if rapid.IntRange(0, 4).Draw(m.rt, "database") == 0 {
		m.count("shop/"+service, "database:db", telemetry.ClientSpan, failed)
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
		switch {
		case answered || claim == "service":
			m.count("shop/"+service, "shop/"+target, witness, failed)
		case claim == "address":
			m.count("shop/"+service, "10.0.0."+target, witness, failed)
		default:
			m.halves++
			m.bare = append(m.bare, func() {
				m.halves--
				if m.known[target] {
					m.count("shop/"+service, "shop/"+target, witness, failed)
				} else {
					m.count("shop/"+service, target, witness, failed)
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
	if !client {
		caller = "?"
	}
	m.server(trace, caller, id, target, w, failed, depth)
}

func drawModel(rt *rapid.T) *model {
	m := &model{rt: rt, want: map[told]counted{}, known: map[string]bool{}}
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

// got reads all that is counted, drawn or not.
func got(t *Topology) map[told]counted {
	out := map[told]counted{}
	for _, e := range t.edges.list {
		if e == nil {
			continue
		}
		source := t.nodes.list[e.src].key.ID()
		if e.src == nowhere || t.nodes.list[e.src].key == callerNode() {
			source = "?"
		}
		for w, a := range e.acc {
			if a == nil || a.Total().Requests == 0 {
				continue
			}
			k := told{source, t.nodes.list[e.dst].key.ID(), telemetry.Witness(w)}
			c := out[k]
			c.requests += a.Total().Requests
			c.errors += a.Total().Errors
			out[k] = c
		}
	}
	return out
}

// check asks what must hold of any state.
func check(top *rapid.T, t *Topology) {
	touching, callers := map[nodeID]int{}, map[nodeID]int{}
	for r := 1; r < len(t.edges.routes); r++ {
		rt := &t.edges.routes[r]
		if rt.edge == 0 {
			continue
		}
		listed := false
		if e := t.edges.list[rt.edge]; e != nil {
			for at := e.routes; at != 0; at = t.edges.routes[at].next {
				listed = listed || at == routeID(r)
			}
		}
		if !listed {
			top.Fatalf("route %d is on edge %d, which does not know it", r, rt.edge)
		}
	}
	for id, e := range t.edges.list {
		if e == nil {
			continue
		}
		if e.requests() == 0 {
			top.Fatalf("edge %d is empty and still there", id)
		}
		touching[e.src]++
		touching[e.dst]++
		if e.src != nowhere && t.nodes.list[e.src].key != callerNode() {
			callers[e.dst]++
		}
		for r := e.routes; r != 0 && e.overflow; r = t.edges.routes[r].next {
			touching[t.nodes.endpoints[t.edges.routes[r].src].node]++
			touching[t.nodes.endpoints[t.edges.routes[r].dst].node]++
		}
	}
	for id, n := range t.nodes.list {
		if n == nil || id == nowhere {
			continue
		}
		if n.edges != touching[nodeID(id)] {
			top.Fatalf("node %s thinks that %d edges touch it, they are %d", n.key.ID(), n.edges, touching[nodeID(id)])
		}
		if n.callers != callers[nodeID(id)] {
			top.Fatalf("node %s thinks that %d callers are known, they are %d", n.key.ID(), n.callers, callers[nodeID(id)])
		}
		if n.edges == 0 && !n.reporter {
			top.Fatalf("node %s is nobody's and still there", n.key.ID())
		}
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		var observed counter
		top := New(DefaultConfig())
		for i, b := range m.batches(9 * time.Second) {
			observed.add(top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b}))
			check(rt, top)
		}
		observed.add(top.Tick(storyStart + int64(time.Minute)))
		check(rt, top)
		if diff := cmp.Diff(m.want, got(top), cmp.AllowUnexported(told{}, counted{})); diff != "" {
			rt.Fatalf("edges differ (-want +got):\n%s", diff)
		}
		if observed.n != m.halves || top.Stats().Pending != 0 {
			rt.Fatalf("%d observations of %d halves, %d pending", observed.n, m.halves, top.Stats().Pending)
		}
	})
}

// anew renders every edge again, as of now.
func anew(t *Topology) *telemetry.Graph {
	for id, e := range t.edges.list {
		if e != nil {
			t.markEdgeDirty(edgeID(id))
		}
	}
	return fresh(t)
}

// TestReplay: state after (load at P, replay to Q) is the state after a
// straight run to Q, byte for byte, and what was observed is the same.
func TestReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		cfg := DefaultConfig()
		cfg.PairWait, cfg.ForgetAfter = time.Second, 5*time.Second
		cfg.MaxEdges = rapid.SampledFrom([]int{3, 20_000}).Draw(rt, "edges")
		batches := m.batches(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, time.Minute}).Draw(rt, "span"))
		cut := rapid.IntRange(0, len(batches)).Draw(rt, "cut")
		run := func(top *Topology, observed *counter, from, to int) {
			for i := from; i < to; i++ {
				seen := top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: batches[i]})
				if seen.To != top.Applied() || seen.To == seen.From && len(seen.Requests) > 0 {
					rt.Fatalf("entry %d taught %d things from %d to %d, applied is %d", i+1, len(seen.Requests), seen.From, seen.To, top.Applied())
				}
				observed.add(seen)
				check(rt, top)
				if i%3 == 0 {
					observed.add(top.Tick(batches[i].Received))
					check(rt, top)
				}
			}
		}
		var before, after, straight counter
		whole := New(cfg)
		run(whole, &straight, 0, len(batches))

		first := New(cfg)
		run(first, &before, 0, cut)
		var saved bytes.Buffer
		if err := first.Save(&saved); err != nil {
			rt.Fatal(err)
		}
		second := New(cfg)
		if err := second.Load(bytes.NewReader(saved.Bytes())); err != nil {
			rt.Fatal(err)
		}
		if second.Applied() != telemetry.Position(cut) {
			rt.Fatalf("applied %d, want %d", second.Applied(), cut)
		}
		run(second, &after, 0, len(batches)) // from the beginning: what is applied is left out
		check(rt, second)

		var want, have bytes.Buffer
		if err := whole.Save(&want); err != nil {
			rt.Fatal(err)
		}
		if err := second.Save(&have); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(want.Bytes(), have.Bytes()) {
			rt.Fatalf("states differ:\n%s", cmp.Diff(fmt.Sprint(got(whole)), fmt.Sprint(got(second))))
		}
		if before.n+after.n != straight.n {
			rt.Fatalf("%d + %d observations, want %d", before.n, after.n, straight.n)
		}
		if diff := cmp.Diff(anew(whole).Edges, anew(second).Edges); diff != "" {
			rt.Fatalf("graphs differ:\n%s", diff)
		}
	})
}
