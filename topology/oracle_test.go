package topology

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The oracle sees each request, and knows what any span of it tells: who called, if the caller's span was sent; whom, if the callee's was or
// the caller's names it. What reaches the graphs is lost, sent twice, in any order, up to a quarter of an hour apart, by clocks that differ, and
// through restarts. Services sample, each at its own rate, by the trace, and say so.
type oracle struct {
	rt   *rapid.T
	due  [][]sent // by second
	want map[onEdge]counted
	ids  uint64

	thresholds map[string]string // by service, as trace states have them; "" samples nothing
	random     uint64            // of the present trace, 56 bits
	eighths    map[onEdge][2]uint64
}

// samples says that a service keeps its spans of the present trace, and what its spans say of that.
func (m *oracle) samples(service string) (kept bool, state string) {
	th := m.thresholds[service]
	if th == "" {
		return true, ""
	}
	v, err := strconv.ParseUint(th+strings.Repeat("0", 14-len(th)), 16, 64)
	if err != nil {
		m.rt.Fatal(err)
	}
	return m.random >= v, "rojo=00f067,ot=rv:0123456789abcd;th:" + th
}

// decodedWeight is the weight that a decoder gives a span of this trace state.
func decodedWeight(trace telemetry.TraceID, state string) telemetry.Weight {
	b := telemetry.NewBatch()
	b.Spans = append(b.Spans, telemetry.Span{TraceID: trace, TraceState: b.InternString(state)})
	b.FinishSpan(0)
	return b.Spans[0].Weight
}

// sent is a span on its way.
type sent struct {
	trace telemetry.TraceID
	put   event
}

// A call is a request, and what of it is sent.
type oracleCall struct {
	source, target string
	sent           [2]bool // the caller's span, the callee's
	names          bool    // the caller's span names the callee
	failed         bool
	at             [2]int // seconds
	skew           int64
	twice          int // 0, 1: the side whose span comes twice
}

func (c *oracleCall) edge() (k onEdge, some bool) {
	k = onEdge{c.source, c.target, 0}
	switch {
	case !c.sent[0] && !c.sent[1]:
		return k, false
	case !c.sent[0]:
		k.source = "client:unknown"
	case !c.sent[1] && !c.names:
		k.target = "unknown"
	}
	return k, true
}

// call has a call made from below the span parent, and returns the callee's.
func (m *oracle) call(trace telemetry.TraceID, parent telemetry.SpanID, c oracleCall) telemetry.SpanID {
	m.ids += 2
	client, server := id64(m.ids), id64(m.ids+1)
	o, code := outcome(c.failed)
	var weights [2]telemetry.Weight
	for side, service := range [...]string{c.source, c.target} {
		kept, state := m.samples(service)
		c.sent[side] = c.sent[side] && kept
		weights[side] = decodedWeight(trace, state)
	}
	put := func(side int, s telemetry.Span, of, peer string, skew int64) {
		s.TraceID, s.Protocol, s.Outcome, s.Code, s.Duration = trace, telemetry.ProtocolHTTP, o, code, int64(m.ids)*1e6 //nolint:gosec // few
		s.Weight = weights[side]
		e := sent{trace, func(b *telemetry.Batch, resource func(string) uint32) {
			s := s
			s.Resource, s.Start = resource(of), b.Received+skew
			if peer != "" {
				s.Peer, s.PeerNamespace, s.PeerKind = b.InternString(peer[len("shop/"):]), b.InternString("shop"), telemetry.NodeService
			}
			b.Spans = append(b.Spans, s)
		}}
		for range 1 + btoi(c.twice == side) {
			m.due[c.at[side]] = append(m.due[c.at[side]], e)
		}
	}
	if c.sent[0] {
		peer := ""
		if c.names {
			peer = c.target
		}
		put(0, telemetry.Span{SpanID: client, ParentID: parent, Kind: telemetry.KindClient}, c.source, peer, c.skew)
	}
	if c.sent[1] {
		put(1, telemetry.Span{SpanID: server, ParentID: client, Kind: telemetry.KindServer}, c.target, "", 0)
	}
	if k, some := c.edge(); some {
		m.want[k] = m.want[k].plus(c.failed)
		stands := m.eighths[k]
		for side, w := range weights {
			if c.sent[side] {
				stands[side] += w.Eighths()
			}
		}
		m.eighths[k] = stands
	}
	return server
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tree draws what a service calls, and what that calls in turn.
func (m *oracle) tree(trace telemetry.TraceID, from int, parent telemetry.SpanID, depth int) {
	rt, last := m.rt, len(m.due)-1
	for range rapid.IntRange(btoi(depth == 3), 3).Draw(rt, "calls") {
		to := (from + rapid.IntRange(1, 2).Draw(rt, "to")) % len(oracleNames)
		lost := rapid.IntRange(0, 9).Draw(rt, "lost")
		server := m.call(trace, parent, oracleCall{
			source: "shop/" + oracleNames[from], target: "shop/" + oracleNames[to], sent: [2]bool{lost != 0, lost != 1},
			names: rapid.Bool().Draw(rt, "names"), failed: rapid.Bool().Draw(rt, "failed"), twice: rapid.IntRange(0, 9).Draw(rt, "twice"),
			at:   [2]int{rapid.IntRange(0, last).Draw(rt, "client at"), rapid.IntRange(0, last).Draw(rt, "server at")},
			skew: rapid.Int64Range(-5e9, 5e9).Draw(rt, "skew"),
		})
		if depth > 0 && rapid.Bool().Draw(rt, "calls on") {
			m.tree(trace, to, server, depth-1)
		}
	}
}

var oracleNames = [...]string{"a", "b", "c"}

// shareOf says which of n graphs has a trace.
func shareOf(trace telemetry.TraceID, n int) int { return int(trace[15]) % n }

func drawOracle(rt *rapid.T) *oracle {
	m := &oracle{rt: rt, due: make([][]sent, 1+rapid.SampledFrom([]int{20, 60, 850}).Draw(rt, "seconds")), want: map[onEdge]counted{}, eighths: map[onEdge][2]uint64{}, thresholds: map[string]string{}}
	if rapid.Bool().Draw(rt, "samples") {
		for _, n := range oracleNames {
			m.thresholds["shop/"+n] = rapid.SampledFrom([]string{"", "0", "8", "c", "fd70a", "ffffffffffffff"}).Draw(rt, "threshold")
		}
	}
	m.random = 1<<56 - 1 // which all keep
	// Who is known to call and to be called: of others nothing is kept. Each share of the traces knows it.
	for share := range byte(4) {
		for i, n := range oracleNames {
			trace := traceID(fmt.Sprint("known", share, i))
			trace[15] = share
			m.call(trace, telemetry.SpanID{}, oracleCall{source: "shop/" + n, target: "shop/" + oracleNames[(i+1)%len(oracleNames)], sent: [2]bool{true, true}, names: true, twice: -1})
		}
	}
	for i := range rapid.IntRange(1, 8).Draw(rt, "traces") {
		trace := traceID(fmt.Sprint("t", i))
		trace[15] = byte(i)
		m.random = rapid.Uint64Range(0, 1<<56-1).Draw(rt, "random")
		m.tree(trace, rapid.IntRange(0, 2).Draw(rt, "root"), telemetry.SpanID{}, 3)
	}
	return m
}

// team is graphs that share the traces.
type team []*Topology

// consume gives each its share of what is due in a second.
func (g team) consume(rt *rapid.T, second int, due []sent) {
	for i, top := range g {
		b, resources := telemetry.NewBatch(), map[string]uint32{}
		b.Received = storyStart + int64(second)*int64(time.Second)
		for _, e := range due {
			if shareOf(e.trace, len(g)) == i {
				e.put(b, func(service string) uint32 { return addResource(b, resources, service) })
			}
		}
		top.Consume(telemetry.Entry{Position: telemetry.Position(second + 1), Batch: b}) //nolint:gosec // not negative
		check(rt, top)
		top.Tick(b.Received)
	}
}

// restart saves the graphs and goes on with what is loaded.
func (g team) restart(rt *rapid.T) {
	for i, top := range g {
		var w bytes.Buffer
		if err := top.Save(&w); err != nil {
			rt.Fatal(err)
		}
		g[i] = New(DefaultConfig())
		if err := g[i].Load(&w); err != nil {
			rt.Fatal(err)
		}
	}
}

// counts is what all of them counted, merged in any order.
func (g team) counts(rt *rapid.T) []byte {
	var sum *Counts
	for _, top := range rapid.Permutation(slices.Clone(g)).Draw(rt, "merged") {
		c := top.Counts()
		if sum == nil {
			sum = c
			continue
		}
		c.Merge(sum)
		sum = c
	}
	return sum.Append(nil)
}

// Each request that any span tells of counts once, where it belongs as far as its spans say; at each moment nodes show what their edges do; and what two or four
// graphs that share the traces have counted is, merged in any order, what one has that had all of them, to the byte.
func TestOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawOracle(rt)
		var teams []team
		for _, n := range [...]int{1, 2, 4} {
			g := make(team, n)
			for i := range g {
				g[i] = New(DefaultConfig())
			}
			teams = append(teams, g)
		}
		restarts := rapid.IntRange(0, len(m.due)-1).Draw(rt, "restart")
		agree := func() {
			for _, g := range teams[1:] {
				if !bytes.Equal(teams[0].counts(rt), g.counts(rt)) {
					rt.Fatalf("%d graphs that share the traces have counted something else than one", len(g))
				}
			}
		}
		for s, due := range m.due {
			if len(due) > 0 {
				due = rapid.Permutation(due).Draw(rt, "order")
			}
			if len(due) > 0 || s%10 == 0 || s == restarts {
				for _, g := range teams {
					g.consume(rt, s, due)
				}
				checkInbound(rt, teams[0][0])
			}
			if s == restarts {
				teams[rapid.IntRange(0, 2).Draw(rt, "who restarts")].restart(rt)
			}
			if s%60 == 0 {
				agree()
			}
		}
		for _, g := range teams {
			for _, top := range g {
				top.Tick(storyStart + int64(len(m.due))*int64(time.Second) + int64(2*time.Minute))
				check(rt, top)
			}
		}
		agree()
		if diff := cmp.Diff(m.want, totalsOf(fresh(teams[0][0])), cmp.AllowUnexported(onEdge{}, counted{})); diff != "" {
			rt.Fatalf("edges (-made +shown):\n%s", diff)
		}
		m.checkEstimates(teams[0][0])
	})
}

// checkEstimates holds what each side's spans stand for against what was made, to the eighth; where no span stands for more than itself there is no estimate. Of
// what is drawn at the unknown client a part may be on the edge from nowhere, which has none.
func (m *oracle) checkEstimates(t *Topology) {
	got := map[string][2]uint64{}
	for _, e := range t.edges.list {
		if e == nil {
			continue
		}
		sum, told, of := got[t.drawnID(e)], e.witnessed(), e.sampledBy()
		for side := range sum {
			sum[side] += 8 * told[side]
			if s := of[side]; s != nil {
				sum[side] += uint64(8*s.Requests()) - 8*s.Spans
			}
		}
		got[t.drawnID(e)] = sum
	}
	g := fresh(t)
	for i := range g.Edges {
		e := &g.Edges[i]
		want, told := m.eighths[onEdge{e.Source, e.Target, 0}], [2]uint64{e.Witnesses.ClientSpan, e.Witnesses.ServerSpan}
		switch {
		case got[e.ID] != want:
			m.rt.Fatalf("%s: spans stand for %v eighths of requests, counted are %v", e.ID, want, got[e.ID])
		case e.Estimate == nil:
			if e.Source != "client:unknown" && want != [2]uint64{8 * told[0], 8 * told[1]} {
				m.rt.Fatalf("%s: no estimate, though its %v spans stand for %v eighths of requests", e.ID, told, want)
			}
		case want == [2]uint64{8 * told[0], 8 * told[1]}:
			m.rt.Fatalf("%s: an estimate where nothing was sampled: %+v", e.ID, *e.Estimate)
		case e.Source != "client:unknown" && [2]float64{8 * e.Estimate.ClientSpan.Requests, 8 * e.Estimate.ServerSpan.Requests} != [2]float64{float64(want[0]), float64(want[1])}:
			m.rt.Fatalf("%s: spans stand for %v eighths of requests, shown is %+v", e.ID, want, *e.Estimate)
		case e.Estimate.Requests < float64(e.Totals.Requests):
			m.rt.Fatalf("%s: %v requests are estimated, and %d were told of", e.ID, e.Estimate.Requests, e.Totals.Requests)
		}
	}
}
