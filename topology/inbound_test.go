package topology

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// drawnSums adds up, for each node of a graph, what the edges show that lead to it.
func drawnSums(g *telemetry.Graph, window string) map[string]telemetry.Signals {
	out := map[string]telemetry.Signals{}
	for _, e := range g.Edges {
		s, w := out[e.Target], e.Windows[window]
		s.Rate += w.Rate
		s.ErrorRate += w.ErrorRate
		s.ThrottledRate += w.ThrottledRate
		out[e.Target] = s
	}
	return out
}

// inboundText prints what each node shows of its inbound traffic beside the sum
// of what its edges show, over one window: rate, errors, throttled.
func inboundText(t *Topology, window string) string {
	g := fresh(t)
	drawn := drawnSums(g, window)
	var sb strings.Builder
	for _, n := range g.Nodes {
		s, d := n.Windows[window], drawn[n.ID]
		fmt.Fprintf(&sb, "%s %v/%v/%v drawn %v/%v/%v\n", n.ID, s.Rate, s.ErrorRate, s.ThrottledRate, d.Rate, d.ErrorRate, d.ThrottledRate)
	}
	return sb.String()
}

// near says that two rates are one to the three digits that are shown.
func near(a, b float64) bool { return math.Abs(a-b) <= 0.006*math.Max(a, b)+1e-9 }

// failing is a test's, or a rapid check's.
type failing interface {
	Fatalf(format string, args ...any)
}

// checkInbound asks that each node shows the sum of its edges, in each window, and that
// what leads somewhere is drawn at both ends, once.
func checkInbound(rt failing, t *Topology) {
	g := fresh(t)
	known := map[string]bool{}
	for _, n := range g.Nodes {
		known[n.ID] = true
	}
	drawn := map[string]bool{}
	for _, e := range g.Edges {
		if !known[e.Source] || !known[e.Target] || drawn[e.ID] {
			rt.Fatalf("edge %s is drawn between nodes that are not, or twice", e.ID)
		}
		drawn[e.ID] = true
	}
	for w := range signal.Window(signal.Windows) {
		sums := drawnSums(g, w.String())
		for _, n := range g.Nodes {
			s, d := n.Windows[w.String()], sums[n.ID]
			if !near(s.Rate, d.Rate) || !near(s.ErrorRate, d.ErrorRate) || !near(s.ThrottledRate, d.ThrottledRate) {
				rt.Fatalf("%s: %s shows %v requests, %v errors, %v throttled a second, its edges %v, %v, %v",
					w, n.ID, s.Rate, s.ErrorRate, s.ThrottledRate, d.Rate, d.ErrorRate, d.ThrottledRate)
			}
		}
	}
}

// TestInboundIsTheSumOfEdges drives random traces, of random witnesses and in
// random order, and looks after each batch and after random times.
func TestInboundIsTheSumOfEdges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		top := New(DefaultConfig())
		for i, b := range m.batches(40 * time.Second) {
			top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b})
			checkInbound(rt, top)
			top.Tick(b.Received + rapid.Int64Range(0, 3e9).Draw(rt, "tick"))
			checkInbound(rt, top)
		}
		for _, wait := range [...]time.Duration{11 * time.Second, time.Minute, 2 * time.Minute} {
			top.Tick(top.now + int64(wait))
			checkInbound(rt, top)
		}
	})
}

// arrival is one half that comes at a time.
type arrival struct {
	request int
	witness telemetry.Witness
	at      int64
	put     event
}

// drawArrivals draws requests to one service, by callers of all kinds, that may
// each be seen by up to four witnesses with some seconds between.
func drawArrivals(rt *rapid.T) (out []arrival) {
	type caller struct {
		name        string
		spans, logs bool
	}
	callers := []caller{{"a", rapid.Bool().Draw(rt, "a spans"), rapid.Bool().Draw(rt, "a logs")}, {"b", true, false}, {}}
	spans, logs := rapid.Bool().Draw(rt, "spans"), rapid.Bool().Draw(rt, "logs")
	start := int64(storyStart)
	for r := range rapid.IntRange(1, 60).Draw(rt, "requests") {
		start += rapid.Int64Range(0, 1e9).Draw(rt, "pause")
		from := rapid.SampledFrom(callers).Draw(rt, "caller")
		trace, client, server := traceID(fmt.Sprint("t", r)), id64(uint64(2*r+1)), id64(uint64(2*r+2))
		if from.name == "" && rapid.Bool().Draw(rt, "root") {
			client = telemetry.SpanID{}
		}
		o, code := outcome(rapid.IntRange(0, 3).Draw(rt, "failed") == 0)
		add := func(w telemetry.Witness, put event) {
			out = append(out, arrival{r, w, start + rapid.Int64Range(0, 8e9).Draw(rt, "delay"), put})
		}
		span := func(of string, kind telemetry.SpanKind, id, parent telemetry.SpanID) event {
			return func(b *telemetry.Batch, resource func(string) uint32) {
				s := telemetry.Span{TraceID: trace, SpanID: id, ParentID: parent, Kind: kind, Resource: resource(of), Protocol: telemetry.ProtocolHTTP, Outcome: o, Code: code}
				if kind == telemetry.KindClient {
					s.Peer, s.PeerNamespace, s.PeerKind = b.InternString("x"), b.InternString("shop"), telemetry.NodeService
				}
				b.Spans = append(b.Spans, s)
			}
		}
		log := func(of string, side telemetry.Side, id telemetry.SpanID, cluster string) event {
			return func(b *telemetry.Batch, resource func(string) uint32) {
				b.Requests = append(b.Requests, telemetry.Request{
					TraceID: trace, SpanID: id, Resource: resource(of), Side: side, Protocol: telemetry.ProtocolHTTP,
					Cluster: b.InternString(cluster), Outcome: o, Code: code,
				})
			}
		}
		if from.spans {
			add(telemetry.ClientSpan, span(from.name, telemetry.KindClient, client, telemetry.SpanID{}))
		}
		if from.logs {
			add(telemetry.ClientLog, log(from.name, telemetry.SideClient, client, "outbound|80||x.shop.svc.cluster.local"))
		}
		if spans {
			add(telemetry.ServerSpan, span("x", telemetry.KindServer, server, client))
		}
		if logs {
			names := server
			if !spans && from.name != "" {
				names = client // it has no span of its own, and passes the caller's on
			}
			add(telemetry.ServerLog, log("x", telemetry.SideServer, names, "inbound|80||"))
		}
	}
	return out
}

// TestNoRequestCountsTwiceAtItsNode: at every moment a node counts no more requests than have been reported at all; and at least as
// many as the better of its own witnesses has reported, but for those whose caller may still tell of itself. In the end it counts these too.
func TestNoRequestCountsTwiceAtItsNode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		left := drawArrivals(rt)
		known, by := map[int]bool{}, [telemetry.Witnesses]uint64{}
		top := New(DefaultConfig())
		position := telemetry.Position(0)
		for now := int64(storyStart); len(left) > 0; now += rapid.Int64Range(1e8, 2e9).Draw(rt, "step") {
			b := telemetry.NewBatch()
			b.Received = now
			resources := map[string]uint32{}
			rest := left[:0]
			for _, a := range left {
				if a.at > now {
					rest = append(rest, a)
					continue
				}
				a.put(b, func(service string) uint32 { return addResource(b, resources, "shop/"+service) })
				known[a.request] = true
				by[a.witness]++
			}
			left = rest
			position++
			top.Consume(telemetry.Entry{Position: position, Batch: b})
			checkInbound(rt, top)
			id, ok := top.nodes.byKey[telemetry.Node{Kind: telemetry.NodeService, Namespace: "shop", Name: "x"}]
			if !ok {
				continue
			}
			have, waiting := countedAt(top, id)
			least, most := max(by[telemetry.ServerSpan], by[telemetry.ServerLog]), uint64(len(known))
			if have+waiting < least || have > most {
				rt.Fatalf("%d requests are counted after %v, and %d wait; by witness %v were reported, %d requests in all", have, time.Duration(now-storyStart), waiting, by, most)
			}
		}
		for range 25 { // they wait ten seconds, and are settled ten later
			top.Tick(top.now + 1e9)
			checkInbound(rt, top)
		}
		id := top.nodes.byKey[telemetry.Node{Kind: telemetry.NodeService, Namespace: "shop", Name: "x"}]
		if have, waiting := countedAt(top, id); have < max(by[telemetry.ServerSpan], by[telemetry.ServerLog]) {
			rt.Fatalf("in the end %d requests are counted and %d wait; by witness %v were reported", have, waiting, by)
		}
	})
}

// countedAt is how many requests a node shows of the last five minutes, and how many wait on edges from nowhere.
func countedAt(top *Topology, id nodeID) (have, waiting uint64) {
	var in []*edge
	for _, e := range top.edges.list {
		if e == nil || e.dst != id {
			continue
		}
		in = append(in, e)
		if e.src == nowhere {
			waiting += e.total().Requests
		}
	}
	var tr traffic
	top.renderInbound(in, &tr)
	top.markNodeDirty(id) // the edges are drawn anew by it, the unknown client is not
	return tr.sums[signal.FiveMinutes].Requests, waiting
}
