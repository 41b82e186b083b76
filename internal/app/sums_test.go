package app

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// sumsHold asks that each node of the live graph shows what its inbound edges sum to, in each window, to the three digits that are shown.
// It says whether there are requests whose caller is not known.
func (s *surfaces) sumsHold(step int) (waits bool) {
	s.t.Helper()
	g := s.graph.Snapshot()
	for _, e := range g.Edges {
		waits = waits || e.Source == "client:unknown"
	}
	for _, n := range g.Nodes {
		for window, of := range n.Windows {
			var sum telemetry.Signals
			for _, e := range g.Edges {
				if e.Target == n.ID {
					sum.Rate += e.Windows[window].Rate
					sum.ErrorRate += e.Windows[window].ErrorRate
					sum.ThrottledRate += e.Windows[window].ThrottledRate
				}
			}
			for _, f := range [...][2]float64{{of.Rate, sum.Rate}, {of.ErrorRate, sum.ErrorRate}, {of.ThrottledRate, sum.ThrottledRate}} {
				if math.Abs(f[0]-f[1]) > 0.006*max(f[0], f[1])+1e-9 {
					s.t.Fatalf("step %d: %s shows %v over %s, its edges %v", step, n.ID, of, window, sum)
				}
			}
		}
	}
	return waits
}

// TestSumsOnAllSurfaces sends halves of random hops some seconds apart and in random order; of one in ten a half is lost, and of one in twenty one comes after the wait. The parts sum to the whole
// after every second; when nothing waits, live graph, past graph, the views and the charts of edges and of nodes have the same totals. Of one caller's requests only
// the log of the callee's proxy tells, so that this one's edges have another witness each.
func TestSumsOnAllSurfaces(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			s := newSurfaces(t)
			r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
			due := map[int][]func(*telemetry.Batch){}
			ids, waited := uint64(0), false
			var sent [2]uint64 // clients, servers
			logged := uint64(0)
			shown, edges := s.graph.Snapshot(), map[string]telemetry.GraphEdge{}
			for step := range 60 {
				for range r.IntN(30) * btoi(step < 30) {
					ids += 2
					from, to := fmt.Sprint("s", r.IntN(3)), fmt.Sprint("s", 3+r.IntN(4))
					client, server, outcome := id8(ids), id8(ids+1), telemetry.Outcome(r.IntN(3)) //nolint:gosec // below 3
					trace := telemetry.TraceID{1}
					put := func(of string, kind telemetry.SpanKind, id, parent telemetry.SpanID) func(*telemetry.Batch) {
						return func(b *telemetry.Batch) {
							b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(of)}})
							b.Spans = append(b.Spans, telemetry.Span{
								TraceID: trace, SpanID: id, ParentID: parent, Kind: kind, Start: s.now.UnixNano(), Duration: 1e7, Name: b.InternString("work"),
								Resource: uint32(len(b.Resources) - 1), Protocol: telemetry.ProtocolHTTP, Outcome: outcome, Code: 200,
							})
						}
					}
					lost := r.IntN(20) // 0: the client's, 1: the server's
					late := [2]int{}
					if to == "s6" {
						lost = 20 // of requests without a caller nobody could tell whether they are among those of the log
					} else if r.IntN(20) == 0 {
						late[r.IntN(2)] = 15 + r.IntN(5)
					}
					if at := step + r.IntN(5) + late[1]; lost != 1 {
						due[at] = append(due[at], put(to, telemetry.KindServer, server, client))
						sent[1]++
					}
					if at := step + r.IntN(5) + late[0]; lost != 0 {
						due[at] = append(due[at], put(from, telemetry.KindClient, client, telemetry.SpanID{}))
						sent[0]++
					}
				}
				b := telemetry.NewBatch()
				b.Received = s.now.UnixNano()
				for _, f := range due[step] {
					f(b)
				}
				for range r.IntN(6) * btoi(step < 30) {
					logged++
					s.logged(b, "logs", "s6", telemetry.Outcome(r.IntN(3))) //nolint:gosec // below 3
				}
				if _, err := s.Append(context.Background(), b); err != nil {
					t.Fatal(err)
				}
				s.now = s.now.Add(time.Second)
				s.pass(0)
				waited = s.sumsHold(step) || waited
				now := s.graph.Snapshot()
				d := query.Diff(shown, now)
				for _, id := range d.RemovedEdges {
					delete(edges, id)
				}
				for _, e := range d.Edges {
					edges[e.ID] = e
				}
				if shown = now; len(edges) != len(now.Edges) {
					t.Fatalf("step %d: what changed adds up to %d edges, the snapshot has %d", step, len(edges), len(now.Edges))
				}
				for _, e := range now.Edges {
					if d := cmp.Diff(e, edges[e.ID]); d != "" {
						t.Fatalf("step %d: edge (-snapshot +deltas):\n%s", step, d)
					}
				}
			}
			s.pass(20 * time.Second)
			if !s.sumsHold(-1) || !waited || sent[0] == ids/2 || sent[1] == ids/2 {
				t.Error("no caller was ever waited for, or nothing was lost")
			}
			live, past := map[string]telemetry.Totals{}, map[string]telemetry.Totals{}
			all := uint64(0)
			for _, e := range s.graph.Snapshot().Edges {
				live[e.ID] = e.Totals
				all += e.Totals.Requests
			}
			for _, e := range s.between(s.now.Add(-time.Hour), s.now.Add(time.Second)).Edges {
				past[e.ID] = e.Totals
			}
			if d := cmp.Diff(live, past); d != "" {
				t.Errorf("totals (-live +past):\n%s", d)
			}
			if all != ids/2+logged {
				t.Errorf("%d requests are counted, %d were made", all, ids/2+logged)
			}
			if d := cmp.Diff(live, s.chart(live)); d != "" {
				t.Errorf("totals (-live +charts):\n%s", d)
			}
			for _, n := range s.graph.Snapshot().Nodes {
				var want telemetry.Totals
				for _, e := range s.graph.Snapshot().Edges {
					if e.Target == n.ID {
						want.Requests, want.Errors, want.Throttled = want.Requests+e.Totals.Requests, want.Errors+e.Totals.Errors, want.Throttled+e.Totals.Throttled
					}
				}
				if d := cmp.Diff(want, s.nodeChart(&n)); d != "" {
					t.Errorf("totals of %s (-live +its charts):\n%s", n.ID, d)
				}
			}
			taken := s.ask(`sum(histogram_count(binnacle_edge_taken_duration_seconds))`)
			if len(taken) != 1 || taken[0].F == 0 {
				t.Fatalf("%v was taken back", taken)
			}
			for q, want := range map[string]uint64{
				`sum(traces_service_graph_request_total)`: all, `sum(istio_requests_total{reporter="destination"})`: sent[1] + logged,
				`sum(istio_requests_total{reporter="source"})`: sent[0], `sum(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"})`: sent[1],
			} {
				if v := s.ask(q); len(v) != 1 || v[0].F != float64(want) {
					t.Errorf("%s is %v, want %d", q, v, want)
				}
			}
		})
	}
}

// theEdge and theWitness are the labels by which the charts' PromQL tells edges and witnesses.
const (
	theEdge = "source, source_namespace, source_cluster, source_kind, destination, destination_namespace, destination_cluster, destination_kind, protocol"

	theWitness = theEdge + ", side, evidence"
)

// shownOf is the web view's and the dashboards' expression for what is shown of each edge that is selected (ui/src/model/queries.ts), of all time.
func shownOf(matchers string) string {
	m := "binnacle_edge_duration_seconds{" + matchers + "}"
	return fmt.Sprintf("%s and on (%s) topk by (%s) (1, sum by (%s) (histogram_count(%s)) * on (side, evidence) group_left binnacle_witness_weight)", m, theWitness, theEdge, theWitness, m)
}

// chart is what the charts' PromQL says of each edge: its requests, errors and throttled ones.
func (s *surfaces) chart(live map[string]telemetry.Totals) map[string]telemetry.Totals {
	s.t.Helper()
	out := map[string]telemetry.Totals{}
	for _, e := range s.ask(fmt.Sprintf(`sum by (%s, outcome) (histogram_count(%s))`, theEdge, shownOf(""))) {
		end := func(name string) string {
			n := telemetry.Node{Name: e.Metric.Get(name)}
			for n.Kind.String() != e.Metric.Get(name+"_kind") {
				n.Kind++
			}
			return n.ID()
		}
		id := end("source") + ">" + end("destination") + "|" + e.Metric.Get("protocol")
		totals := out[id]
		countInto(&totals, e.Metric.Get("outcome"), e.F)
		out[id] = totals
	}
	if len(out) == 0 && len(live) > 0 {
		s.t.Error("the charts are empty")
	}
	return out
}

// nodeChart is what the charts of a node say came to it.
func (s *surfaces) nodeChart(n *telemetry.GraphNode) (totals telemetry.Totals) {
	s.t.Helper()
	kind := n.Kind.String()
	if n.Kind == telemetry.NodeService {
		kind += "|" + telemetry.NodeUnknown.String()
	}
	into := fmt.Sprintf(`destination=%q, destination_namespace=%q, destination_kind=~%q`, n.Name, n.Namespace, kind)
	for _, v := range s.ask(fmt.Sprintf(`sum by (outcome) (histogram_count(%s))`, shownOf(into))) {
		countInto(&totals, v.Metric.Get("outcome"), v.F)
	}
	return totals
}

func countInto(totals *telemetry.Totals, outcome string, n float64) {
	totals.Requests += uint64(n)
	switch outcome {
	case "error":
		totals.Errors += uint64(n)
	case "throttled":
		totals.Throttled += uint64(n)
	}
}

// logged adds an entry of the log of the callee's proxy, of which no span tells.
func (s *surfaces) logged(b *telemetry.Batch, from, to string, outcome telemetry.Outcome) {
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(to)}})
	b.Requests = append(b.Requests, telemetry.Request{
		Start: s.now.UnixNano(), Duration: 1e7, Side: telemetry.SideServer, Peer: telemetry.Identity{Service: b.InternString(from)},
		Resource: uint32(len(b.Resources) - 1), Protocol: telemetry.ProtocolHTTP, Outcome: outcome, Code: 200,
	})
}

func id8(n uint64) (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
